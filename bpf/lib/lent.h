/* SPDX-License-Identifier: GPL-2.0 */
/* Packets of connections that a kernel socket owns: they pass. Only a request that the cache can answer,
 * on a connection that its worker has offered back, is marked for weir_tc to seize. */
#ifndef WEIR_LIB_LENT_H
#define WEIR_LIB_LENT_H

#include "lib/answer.h"
#include "lib/base.h"
#include "lib/flow.h"
#include "lib/meta.h"
#include "lib/pkt.h"
#include "lib/request.h"

/* Does the worker's ticket say that this packet's first byte is the next it will read, and that every byte it
 * sent is acknowledged by this packet? */
static __always_inline bool ticket_matches(const struct weir_flow *f, const struct weir_pkt *p)
{
	__u32 pool = f->pool;
	void *tickets = bpf_map_lookup_elem(&weir_tickets, &pool);
	struct weir_ticket *t;

	if (!tickets)
		return false;
	t = bpf_map_lookup_elem(tickets, &p->key);
	return t && f->base_rcv + t->consumed == p->seq && f->base_snd + t->sent == p->ack;
}

static __always_inline bool lent_is_candidate(const struct weir_flow *f, const struct weir_pkt *p)
{
	return p->payload_bytes && p->seq == f->rcv_nxt &&
	       !(f->flags & (WEIR_FLOW_NO_SEIZE | WEIR_FLOW_CLOSING)) &&
	       !(p->tcp_flags & (WEIR_TCP_SYN | WEIR_TCP_FIN | WEIR_TCP_RST | WEIR_TCP_URG)) &&
	       (p->tcp_flags & WEIR_TCP_ACK) && ticket_matches(f, p);
}

/* The worker that gets this request will pass the connection on to `pool`, whose worker offers it back in that pool's
 * tickets. What either map still holds belongs to the past. */
static __always_inline void lent_follow(struct weir_flow *f, const struct weir_pkt *p, __u16 pool)
{
	flow_drop_ticket(p, f->pool);
	flow_drop_ticket(p, pool);
	f->pool = pool;
}

static __always_inline enum weir_verdict weir_lent_packet(struct xdp_md *ctx, struct weir_scratch *s,
							  struct weir_flow *f)
{
	struct weir_pkt *p = &s->pkt;
	struct weir_pool_stats *st;
	struct weir_answer a = {};
	enum weir_verdict v;

	f->seen_ns = p->now_ns;
	if (!lent_is_candidate(f, p))
		goto pass;
	v = weir_xdp_load(ctx, s);
	if (v != WEIR_VERDICT_MORE)
		return v;
	weir_options(s);
	if (f->flags & WEIR_FLOW_TS && (!p->has_ts || seq_before(p->ts_val, f->ts_recent)))
		goto pass;
	weir_request_classify(s);
	a.miss = s->req.miss;
	if (!a.miss) {
		weir_request_answer(s, f, &a);
		a.is_write = 0;
		if (weir_xdp_answer(ctx, s, f, &a) == ANSWER_WRITTEN) {
			if (!weir_meta_put(ctx, p, META_SEIZE, answer_flags(&a), a.pool, a.digest))
				return WEIR_VERDICT_PASS_KERNEL;
			return WEIR_VERDICT_SEIZE;
		}
		st = weir_stats_of(a.pool);
		if (st)
			st->misses++;
	}
	weir_count_miss(a.miss);
	if (s->req.is_routed && s->req.pool != f->pool)
		lent_follow(f, p, s->req.pool);
pass:
	if (p->payload_bytes || p->tcp_flags & WEIR_TCP_FIN)
		flow_passed(f, p->seq + p->payload_bytes + (p->tcp_flags & WEIR_TCP_FIN ? 1 : 0));
	return WEIR_VERDICT_PASS_KERNEL;
}

#endif
