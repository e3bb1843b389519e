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
#include "lib/queue.h"
#include "lib/request.h"

static __always_inline bool lent_is_candidate(const struct weir_flow *f, const struct weir_pkt *p)
{
	return p->payload_bytes && p->seq == f->rcv_nxt &&
	       !(f->flags & (WEIR_FLOW_NO_SEIZE | WEIR_FLOW_CLOSING)) &&
	       !(p->tcp_flags & (WEIR_TCP_SYN | WEIR_TCP_FIN | WEIR_TCP_RST | WEIR_TCP_URG)) &&
	       (p->tcp_flags & WEIR_TCP_ACK);
}

/* Marks the packet for weir_tc to take the connection back and answer from pool `a->pool`. */
static __always_inline bool lent_seize(struct xdp_md *ctx, struct weir_scratch *s, struct weir_flow *f,
				       struct weir_answer *a)
{
	a->is_write = 0;
	if (weir_xdp_answer(ctx, s, f, a) != ANSWER_WRITTEN)
		return false;
	if (!weir_meta_put(ctx, &s->pkt, META_SEIZE, answer_flags(a), a->pool, a->digest))
		return false;
	/* Packets of the same batch come by here before weir_tc has done it: they must wait for the outcome, or the
	 * kernel would answer them for a socket that is gone by then. */
	f->flags |= WEIR_FLOW_PENDING;
	return true;
}

/* Marks the packet for weir_tc to take the connection back and end it: verbosity basic. */
static __always_inline bool lent_reset(struct xdp_md *ctx, struct weir_scratch *s, struct weir_flow *f)
{
	if (!weir_meta_put(ctx, &s->pkt, META_SEIZE, META_RESET, 0, s->req.digest))
		return false;
	f->flags |= WEIR_FLOW_PENDING; /* as in lent_seize() */
	return true;
}

/* A request at its boundary on an idle connection: seize it for a hit or a refusal, else it goes up and counts. */
static __always_inline enum weir_verdict lent_request(struct xdp_md *ctx, struct weir_scratch *s,
						      struct weir_flow *f)
{
	struct weir_req *r = &s->req;
	struct weir_answer a = {};
	struct weir_pool_stats *st;
	__u8 refusal;

	weir_request_classify(s);
	refusal = weir_request_refusal(s, f);
	if (refusal == REFUSAL_DROP)
		return WEIR_VERDICT_DROP_RATE;
	weir_request_answer(s, f, &a);
	if (!r->miss && refusal <= WEIR_REFUSAL_QUEUE_FULL) {
		if (lent_seize(ctx, s, f, &a)) {
			weir_limit_bytes(s, a.bytes);
			return WEIR_VERDICT_SEIZE;
		}
		st = weir_stats_of(r->pool);
		if (st)
			st->misses++;
		r->miss = (__u8)a.miss;
	}
	if (refusal && queue_verbosity(r->pool) == WEIR_VERBOSITY_BASIC) {
		if (lent_reset(ctx, s, f)) {
			weir_count_refusal(r->pool, refusal);
			return WEIR_VERDICT_REFUSED_SEIZE_RESET;
		}
	} else if (refusal) {
		request_refusal(s, &a, refusal);
		if (lent_seize(ctx, s, f, &a)) {
			weir_count_refusal(r->pool, refusal);
			return WEIR_VERDICT_REFUSED_SEIZE;
		}
	}
	weir_count_miss(r->miss);
	/* the worker that gets this request will pass the connection on to that pool, which offers it back */
	if (r->is_routed)
		f->pool = r->pool;
	return WEIR_VERDICT_PASS_KERNEL;
}

static __always_inline enum weir_verdict weir_lent_packet(struct xdp_md *ctx, struct weir_scratch *s,
							  struct weir_flow *f)
{
	struct weir_pkt *p = &s->pkt;
	struct weir_ticket *t;
	enum weir_verdict v;
	__u16 pool = f->pool;
	__u32 state;

	f->seen_ns = p->now_ns;
	if (!lent_is_candidate(f, p))
		goto pass;
	t = weir_ticket_match(f, p, &state);
	if (!t)
		goto pass;
	v = weir_xdp_load(ctx, s);
	if (v != WEIR_VERDICT_MORE)
		return v;
	weir_options(s);
	if (!(f->flags & WEIR_FLOW_TS) || (p->has_ts && !seq_before(p->ts_val, f->ts_recent))) {
		v = lent_request(ctx, s, f);
		if (v != WEIR_VERDICT_PASS_KERNEL)
			return v;
	}
	if (weir_ticket_move(t, state, WEIR_TICKET_COUNTED))
		weir_queue_arrive(pool);
pass:
	if (f->flags & WEIR_FLOW_PENDING) {
		if (!weir_meta_put(ctx, p, META_WAIT, 0, pool, s->req.digest))
			return WEIR_VERDICT_DROP_NO_META;
		return WEIR_VERDICT_HANDOVER_WAIT;
	}
	if (p->payload_bytes || p->tcp_flags & WEIR_TCP_FIN)
		flow_passed(f, p->seq + p->payload_bytes + (p->tcp_flags & WEIR_TCP_FIN ? 1 : 0));
	return WEIR_VERDICT_PASS_KERNEL;
}

#endif
