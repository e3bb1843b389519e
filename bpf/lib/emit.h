/* SPDX-License-Identifier: GPL-2.0 */
/* Records for the logs: one for each answer that the kernel side sends, none for a repetition. XDP emits what it sends
 * itself; what goes up for weir_tc is weir_tc's to emit when it has really sent it. */
#ifndef WEIR_LIB_EMIT_H
#define WEIR_LIB_EMIT_H

#include "lib/base.h"
#include "lib/scratch.h"
#include "maps/log.h"

static __always_inline struct weir_log_conf *log_conf(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&weir_log_conf, &zero);
}

static __always_inline struct weir_log_stats *log_stats(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&weir_log_stats, &zero);
}

/* Whether this record is wanted at all. Packets that protection drops come in floods: some of each second have one. */
static __always_inline bool log_wants(__u32 kind, __u64 now_ns)
{
	struct weir_log_conf *c = log_conf();
	struct weir_log_stats *st;
	__u64 second;
	__u32 every;

	if (!c)
		return false;
	if (kind == WEIR_EVENT_HIT) {
		every = c->hits_every;
		return every == 1 || (every && bpf_get_prandom_u32() % every == 0);
	}
	if (!c->refusals)
		return false;
	if (kind != WEIR_EVENT_DROP)
		return true;
	st = log_stats();
	if (!st)
		return false;
	second = now_ns / 1000000000;
	if (st->drops_second != second) {
		st->drops_second = second;
		st->drops_written = 0;
	}
	if (st->drops_written >= WEIR_EVENT_DROPS_MAX) {
		st->drops++;
		return false;
	}
	st->drops_written++;
	return true;
}

/* Writes a record about the packet in s->pkt; its segment is in head[]. `kind`: enum weir_event_kind, with the flags in the
 * second byte and refusal or verdict in the third; s->event.status is set. Returns 0. */
static __always_inline int log_emit(struct weir_scratch *s, __u32 kind, __u32 pool, __u32 bytes)
{
	struct weir_log_stats *st;
	struct weir_event *e;
	struct weir_pkt *p;
	__u32 n;

	if (!s)
		return 0;
	e = &s->event;
	p = &s->pkt;
	if (!log_wants(kind & 0xff, p->now_ns))
		return 0;
	n = (kind & 0xff) == WEIR_EVENT_DROP ? 0 : p->header_bytes + p->payload_bytes;
	if (n > WEIR_EVENT_HEAD_MAX + 60)
		n = WEIR_EVENT_HEAD_MAX + 60;
	e->time_ns = p->now_ns;
	e->key = p->key;
	e->took_ns = (__u32)(bpf_ktime_get_ns() - p->now_ns);
	e->bytes = bytes;
	e->request_bytes = p->payload_bytes;
	e->segment_bytes = (__u16)n;
	e->skip_bytes = (__u16)p->header_bytes;
	e->pool = (__u16)pool;
	e->endpoint = p->endpoint;
	e->kind = (__u8)kind;
	e->flags = (__u8)(kind >> 8);
	e->refusal = (kind & 0xff) == WEIR_EVENT_REFUSAL ? (__u8)(kind >> 16) : 0;
	e->verdict = (kind & 0xff) == WEIR_EVENT_DROP ? (__u8)(kind >> 16) : 0;
	n += sizeof(*e);
	opaque(n);
	if (n > sizeof(*e) + WEIR_EVENT_HEAD_MAX + 60 || n < sizeof(*e))
		return 0;
	st = log_stats();
	if (bpf_ringbuf_output(&weir_events, e, n, BPF_RB_NO_WAKEUP)) {
		if (st)
			st->lost++;
	} else if (st) {
		st->written++;
	}
	return 0;
}

static __always_inline __u32 log_kind(__u32 kind, __u32 flags, __u32 reason)
{
	return kind | flags << 8 | reason << 16;
}

/* The same for each hook: global functions, so that the verifier walks each once. */
int weir_xdp_log(struct weir_scratch *s, __u32 kind, __u32 pool, __u32 bytes);
int weir_xdp_log_drop(__u32 verdict);
int weir_tc_log(struct weir_scratch *s, __u32 kind, __u32 pool, __u32 bytes);

#endif
