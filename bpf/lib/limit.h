/* SPDX-License-Identifier: GPL-2.0 */
/* Protection: denied sources are dropped, and a source that goes faster than it may gets no cookie and no answer. Costs
 * one array look-up while nothing is configured. */
#ifndef WEIR_LIB_LIMIT_H
#define WEIR_LIB_LIMIT_H

#include "lib/base.h"
#include "lib/scratch.h"
#include "maps/limit.h"

static __always_inline struct weir_limits *limits_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&weir_limits, &zero);
}

/* Addresses whose rates are counted together. */
static __always_inline void limit_source(const struct weir_limits *l, const struct weir_pkt *p,
					 struct weir_addr *ret)
{
	__u32 words = p->is_v6 ? l->source_bits / 32 : 4;

	ret->word[0] = p->key.client.word[0];
	ret->word[1] = words > 1 ? p->key.client.word[1] : 0;
	ret->word[2] = words > 2 ? p->key.client.word[2] : 0;
	ret->word[3] = words > 3 ? p->key.client.word[3] : 0;
}

static __always_inline struct weir_source *source_get(const struct weir_limits *l, const struct weir_pkt *p)
{
	struct weir_source empty = {}, *s;
	struct weir_addr source;

	limit_source(l, p, &source);
	s = bpf_map_lookup_elem(&weir_rate, &source);
	if (s)
		return s;
	bpf_map_update_elem(&weir_rate, &source, &empty, BPF_NOEXIST);
	return bpf_map_lookup_elem(&weir_rate, &source);
}

/* Takes `tokens` out of a bucket. False: they are not there, and nothing was taken. */
static __always_inline bool bucket_take(__u64 *full_ns, const struct weir_bucket_rate *r, __u64 now_ns, __u32 tokens)
{
	__u64 full = *(volatile __u64 *)full_ns;

	if (full < now_ns)
		full = now_ns;
	full += r->interval_ns * tokens;
	if (full - now_ns > r->burst_ns)
		return false;
	*(volatile __u64 *)full_ns = full;
	return true;
}

static __always_inline void source_refuse(struct weir_source *s)
{
	__sync_fetch_and_add(&s->refused, 1);
}

/* Any packet to an endpoint. MORE: the source may go on; p->is_limited says whether its rates are to be looked at. */
static __always_inline enum weir_verdict weir_limit_packet(struct weir_pkt *p)
{
	struct weir_limits *l = limits_get();
	struct weir_acl_key key;
	struct weir_acl *row;

	p->is_limited = 0;
	if (!l || !l->flags)
		return WEIR_VERDICT_MORE;
	p->is_limited = !!(l->flags & WEIR_LIMIT_RATES);
	if (!(l->flags & WEIR_LIMIT_ACL))
		return WEIR_VERDICT_MORE;
	key.bits = 128;
	key.addr = p->key.client;
	row = bpf_map_lookup_elem(&weir_acl, &key);
	if (!row)
		return WEIR_VERDICT_MORE;
	__sync_fetch_and_add(&row->packets, 1);
	if (row->action == WEIR_ACL_DENY)
		return WEIR_VERDICT_DROP_DENIED;
	p->is_limited = 0;
	return WEIR_VERDICT_MORE;
}

/* The rest is in functions of their own: they are rare, and the stack of the usual way is full. */

int weir_limit_syn_rate(struct weir_scratch *s);
int weir_limit_count(struct weir_scratch *s);
int weir_limit_take(struct weir_scratch *s);
int weir_limit_pay(struct weir_scratch *s, __u32 bytes);

/* A SYN without a connection: a verdict, or MORE. */
__noinline int weir_limit_syn_rate(struct weir_scratch *s)
{
	struct weir_limits *l = limits_get();
	struct weir_source *from;

	if (!s || !l || (!l->syn.interval_ns && !l->connections))
		return WEIR_VERDICT_MORE;
	from = source_get(l, &s->pkt);
	if (!from)
		return WEIR_VERDICT_MORE;
	if (l->connections && from->connections >= l->connections) {
		source_refuse(from);
		return WEIR_VERDICT_DROP_CONN_LIMIT;
	}
	if (l->syn.interval_ns && !bucket_take(&from->syn_ns, &l->syn, s->pkt.now_ns, 1)) {
		source_refuse(from);
		return WEIR_VERDICT_DROP_SYN_RATE;
	}
	return WEIR_VERDICT_MORE;
}

/* A connection was born. */
__noinline int weir_limit_count(struct weir_scratch *s)
{
	struct weir_limits *l = limits_get();
	struct weir_source *from;

	if (!s || !l || !l->connections)
		return 0;
	from = source_get(l, &s->pkt);
	if (from)
		__sync_fetch_and_add(&from->connections, 1);
	return 0;
}

/* A request, cached or not. 0: within the limits; else enum weir_limit_action + 1. */
__noinline int weir_limit_take(struct weir_scratch *s)
{
	struct weir_limits *l = limits_get();
	struct weir_source *from;

	if (!s || !l || (!l->request.interval_ns && !l->kilobyte.interval_ns))
		return 0;
	from = source_get(l, &s->pkt);
	if (!from)
		return 0;
	if ((!l->request.interval_ns || bucket_take(&from->request_ns, &l->request, s->pkt.now_ns, 1)) &&
	    (!l->kilobyte.interval_ns || bucket_take(&from->kilobyte_ns, &l->kilobyte, s->pkt.now_ns, 0)))
		return 0;
	source_refuse(from);
	return (int)(l->action & 3) + 1;
}

/* Bytes that were sent: the bucket may go below empty, which the next requests pay for. */
__noinline int weir_limit_pay(struct weir_scratch *s, __u32 bytes)
{
	struct weir_limits *l = limits_get();
	struct weir_source *from;
	__u64 full;

	if (!s || !l || !l->kilobyte.interval_ns)
		return 0;
	from = source_get(l, &s->pkt);
	if (!from)
		return 0;
	full = from->kilobyte_ns < s->pkt.now_ns ? s->pkt.now_ns : from->kilobyte_ns;
	from->kilobyte_ns = full + l->kilobyte.interval_ns * bytes / 1024;
	return 0;
}

static __always_inline enum weir_verdict weir_limit_syn(struct weir_scratch *s)
{
	return s->pkt.is_limited ? (enum weir_verdict)weir_limit_syn_rate(s) : WEIR_VERDICT_MORE;
}

static __always_inline void weir_limit_born(struct weir_scratch *s)
{
	if (s->pkt.is_limited)
		weir_limit_count(s);
}

static __always_inline int weir_limit_request(struct weir_scratch *s)
{
	return s->pkt.is_limited ? weir_limit_take(s) : 0;
}

static __always_inline void weir_limit_bytes(struct weir_scratch *s, __u32 bytes)
{
	if (s->pkt.is_limited)
		weir_limit_pay(s, bytes);
}

/* Whether a head of so many bytes is too large to be answered here. */
static __always_inline bool weir_limit_head(__u32 bytes)
{
	struct weir_limits *l = limits_get();

	return l && l->head_bytes && bytes > l->head_bytes;
}

#endif
