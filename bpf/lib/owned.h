/* SPDX-License-Identifier: GPL-2.0 */
/* The TCP of connections that XDP owns: RFC 9293 3.10.7.4 for a receiver that keeps no data, RFC 5961,
 * RFC 7323. The order of checks is that of tcp_validate_incoming(). ARCHITECTURE.md has the table. */
#ifndef WEIR_LIB_OWNED_H
#define WEIR_LIB_OWNED_H

#include "lib/answer.h"
#include "lib/base.h"
#include "lib/flow.h"
#include "lib/meta.h"
#include "lib/request.h"

#define AGAIN_MAX 4 /* repetitions of one answer before the kernel's timers take over */

/* Sends a segment without payload on the flow. */
static __always_inline enum weir_verdict owned_send(struct xdp_md *ctx, struct weir_scratch *s,
						    const struct weir_flow *f, __u8 tcp_flags,
						    __u32 seq, __u32 ack, enum weir_verdict v)
{
	struct weir_reply r = {
		.seq = seq,
		.ack = ack,
		.tcp_flags = tcp_flags,
		.window = flow_window(f),
		.has_ts = f->flags & WEIR_FLOW_TS,
		.ts_val = flow_ts(f, &s->pkt),
		.ts_ecr = f->ts_recent,
	};

	return weir_xdp_reply(ctx, s, &r, v);
}

/* Is the last answer still to be acknowledged? */
static __always_inline bool answer_is_out(const struct weir_flow *f)
{
	return f->resp_bytes && f->snd_una != f->snd_nxt;
}

/* What tcp_send_dupack() sends, with two differences. While an answer is out, nothing but the answer acknowledges its
 * request: if it were lost, the client would not ask again, and XDP has no clock of its own. A FIN that answered the
 * client's is repeated, for nobody else would; one that went out with a response is repeated with the response. */
static __always_inline enum weir_verdict owned_ack(struct xdp_md *ctx, struct weir_scratch *s,
						   const struct weir_flow *f, enum weir_verdict v)
{
	if (answer_is_out(f))
		return owned_send(ctx, s, f, WEIR_TCP_ACK,
				  f->snd_nxt - f->resp_bytes - (f->flags & WEIR_FLOW_CLOSE ? 1 : 0),
				  f->req_seq, v);
	if (f->state == WEIR_FLOW_LAST_ACK && !(f->flags & WEIR_FLOW_CLOSE))
		return owned_send(ctx, s, f, WEIR_TCP_FIN | WEIR_TCP_ACK, f->snd_nxt - 1, f->rcv_nxt,
				  v);
	return owned_send(ctx, s, f, WEIR_TCP_ACK, f->snd_nxt, f->rcv_nxt, v);
}

/* Resets the client and forgets the flow. RFC 9293 3.10.7.1: no RST needs an ACK, but one helps. */
static __always_inline enum weir_verdict owned_reset(struct xdp_md *ctx, struct weir_scratch *s,
						     const struct weir_flow *f, enum weir_verdict v)
{
	struct weir_reply r = {
		.seq = s->pkt.ack,
		.ack = f->rcv_nxt,
		.tcp_flags = WEIR_TCP_RST | WEIR_TCP_ACK,
	};

	bpf_map_delete_elem(&weir_flows, &s->pkt.key);
	return weir_xdp_reply(ctx, s, &r, v);
}

static __always_inline enum weir_verdict owned_up(struct xdp_md *ctx, struct weir_scratch *s, __u8 kind,
						  __u16 pool, enum weir_verdict v)
{
	if (!weir_meta_put(ctx, &s->pkt, kind, 0, pool, s->req.digest))
		return WEIR_VERDICT_DROP_NO_META;
	return v;
}

/* Passes a request up for hand-over to `s->req.pool`. */
static __always_inline enum weir_verdict owned_handover(struct xdp_md *ctx, struct weir_scratch *s,
							struct weir_flow *f, __u8 miss)
{
	weir_count_miss(miss);
	f->pool = s->req.pool;
	f->flags |= WEIR_FLOW_PENDING;
	return owned_up(ctx, s, META_HANDOVER, s->req.pool, WEIR_VERDICT_HANDOVER);
}

/* The answer does not get through: steps back to the first byte that is not acknowledged and lets the kernel,
 * which has timers, go on from there. DESIGN rule 3. MORE: this is not exactly the request that was answered. */
static __always_inline enum weir_verdict owned_step_back(struct xdp_md *ctx, struct weir_scratch *s,
							 struct weir_flow *f, __u8 miss)
{
	struct weir_pkt *p = &s->pkt;
	__u32 rcv = f->rcv_nxt, snd = f->snd_nxt;

	if (p->seq != f->req_seq || p->payload_bytes != f->req_bytes || p->ack != f->snd_una ||
	    rcv != p->seq + p->payload_bytes)
		return WEIR_VERDICT_MORE;
	weir_request_classify(s);
	if (!flow_move(f, rcv, snd, p->seq, p->ack))
		return WEIR_VERDICT_DROP_RACE;
	f->state = WEIR_FLOW_OPEN;
	f->resp_bytes = 0;
	f->retransmits = 0;
	f->flags &= (__u8)~(WEIR_FLOW_HEAD | WEIR_FLOW_CLOSE);
	return owned_handover(ctx, s, f, miss);
}

/* The client repeats a request whose answer it has not acknowledged: the same answer again, or none ever. */
static __always_inline enum weir_verdict owned_again(struct xdp_md *ctx, struct weir_scratch *s,
						     struct weir_flow *f)
{
	struct weir_answer *a = answer_new(s);
	enum weir_verdict v;

	if (f->retransmits >= AGAIN_MAX) {
		v = owned_step_back(ctx, s, f, WEIR_MISS_RETRANSMITS);
		if (v != WEIR_VERDICT_MORE)
			return v;
	} else {
		f->retransmits++;
	}
	weir_answer_again(f, a);
	a->window = flow_client_window(f, &s->pkt);
	switch (weir_xdp_answer(ctx, s, f, a)) {
	case ANSWER_WRITTEN:
		return WEIR_VERDICT_HIT_AGAIN;
	case ANSWER_NO_ROOM:
		if (weir_meta_put(ctx, &s->pkt, META_AGAIN, answer_flags(a), a->pool, a->digest))
			return WEIR_VERDICT_HIT_AGAIN_TC;
		return WEIR_VERDICT_DROP_NO_META;
	case ANSWER_BROKEN:
		return WEIR_VERDICT_DROP_RACE;
	case ANSWER_MISS:
		if (a->miss == WEIR_MISS_WINDOW) {
			v = owned_step_back(ctx, s, f, WEIR_MISS_WINDOW);
			return v != WEIR_VERDICT_MORE ? v : WEIR_VERDICT_DROP_EARLY;
		}
		return owned_reset(ctx, s, f, WEIR_VERDICT_RST_GENERATION);
	default:
		return owned_reset(ctx, s, f, WEIR_VERDICT_RST_GENERATION);
	}
}

/* The pool does not take the request: 503 from here, or a reset, and nothing goes up. */
static __always_inline enum weir_verdict owned_refuse(struct xdp_md *ctx, struct weir_scratch *s,
						      struct weir_flow *f, __u8 refusal)
{
	struct weir_answer *a = answer_new(s);

	weir_request_answer(s, f, a);
	request_refusal(s, a, refusal);
	if (!a->digest[1]) {
		weir_count_refusal(s->req.pool, refusal);
		return owned_reset(ctx, s, f, WEIR_VERDICT_REFUSED_RESET);
	}
	switch (weir_xdp_answer(ctx, s, f, a)) {
	case ANSWER_WRITTEN:
		if (!weir_answer_commit(f, &s->pkt, a))
			return WEIR_VERDICT_DROP_RACE;
		weir_count_refusal(s->req.pool, refusal);
		return WEIR_VERDICT_REFUSED;
	case ANSWER_NO_ROOM:
		if (!weir_meta_put(ctx, &s->pkt, META_ANSWER, answer_flags(a), a->pool, a->digest))
			return WEIR_VERDICT_DROP_NO_META;
		weir_count_refusal(s->req.pool, refusal);
		return WEIR_VERDICT_REFUSED_TC;
	case ANSWER_BROKEN:
		return WEIR_VERDICT_DROP_RACE;
	default: /* no canned answer, or too small a window for it */
		weir_count_refusal(s->req.pool, refusal);
		return owned_reset(ctx, s, f, WEIR_VERDICT_REFUSED_RESET);
	}
}

/* New data at rcv_nxt with everything acknowledged: answer it or hand the connection over. */
static __always_inline enum weir_verdict owned_request(struct xdp_md *ctx, struct weir_scratch *s,
						       struct weir_flow *f)
{
	struct weir_pool_stats *st;
	struct weir_answer *a = answer_new(s);
	__u8 refusal;

	weir_request_classify(s);
	refusal = weir_request_refusal(s, f);
	if (refusal == REFUSAL_DROP)
		return WEIR_VERDICT_DROP_RATE;
	if (s->req.miss || refusal > WEIR_REFUSAL_QUEUE_FULL)
		goto handover;
	weir_request_answer(s, f, a);
	/* A hand-over that has begun is never turned into an answer: the kernel may be making the socket right now. */
	a->is_write = !(f->flags & WEIR_FLOW_PENDING);
	switch (weir_xdp_answer(ctx, s, f, a)) {
	case ANSWER_WRITTEN:
		if (!a->is_write) {
			s->req.miss = WEIR_MISS_PENDING;
			goto handover;
		}
		weir_limit_bytes(s, a->bytes);
		return weir_answer_commit(f, &s->pkt, a) ? WEIR_VERDICT_HIT :
							    WEIR_VERDICT_DROP_RACE;
	case ANSWER_NO_ROOM:
		weir_limit_bytes(s, a->bytes);
		if (weir_meta_put(ctx, &s->pkt, META_ANSWER, answer_flags(a), a->pool, a->digest))
			return WEIR_VERDICT_HIT_TC;
		return WEIR_VERDICT_DROP_NO_META;
	case ANSWER_BROKEN:
		return WEIR_VERDICT_DROP_RACE;
	default:
		s->req.miss = (__u8)a->miss;
	}
	st = weir_stats_of(s->req.pool);
	if (st)
		st->misses++;
handover:
	if (refusal && !(f->flags & WEIR_FLOW_PENDING))
		return owned_refuse(ctx, s, f, refusal);
	return owned_handover(ctx, s, f, s->req.miss);
}

/* ACK field, RFC 9293 3.10.7.4 and RFC 5961 5. MORE: acceptable. */
static __always_inline enum weir_verdict owned_check_ack(struct xdp_md *ctx, struct weir_scratch *s,
							 struct weir_flow *f)
{
	struct weir_pkt *p = &s->pkt;

	__u32 acked = f->snd_una - f->snd_iss;

	if (seq_after(p->ack, f->snd_nxt))
		return owned_ack(ctx, s, f, WEIR_VERDICT_ACK_UNSENT);
	if (seq_before(p->ack, f->snd_una - (acked < 65535 ? acked : 65535)))
		return owned_ack(ctx, s, f, WEIR_VERDICT_ACK_CHALLENGE_ACK);
	if (seq_after(p->ack, f->snd_una)) {
		__u32 start = f->snd_nxt - f->resp_bytes - (f->flags & WEIR_FLOW_CLOSE ? 1 : 0);

		if (p->ack != f->snd_nxt && seq_after(p->ack, start) &&
		    !(f->flags & WEIR_FLOW_CLOSE && p->ack == f->snd_nxt - 1))
			return owned_reset(ctx, s, f, WEIR_VERDICT_RST_PARTIAL);
		f->snd_una = p->ack;
	}
	return WEIR_VERDICT_MORE;
}

/* FIN at rcv_nxt without payload. */
static __always_inline enum weir_verdict owned_fin(struct xdp_md *ctx, struct weir_scratch *s,
						   struct weir_flow *f)
{
	struct weir_pkt *p = &s->pkt;
	__u32 rcv = p->seq, snd = f->snd_nxt;

	if (f->state == WEIR_FLOW_FIN_SENT) {
		if (p->ack == snd) {
			weir_flow_timewait(p, f, rcv + 1);
			return owned_send(ctx, s, f, WEIR_TCP_ACK, snd, rcv + 1,
					  WEIR_VERDICT_FIN_LAST);
		}
		/* both sides close at once: ours is still to be acknowledged */
		if (!flow_move(f, rcv, snd, rcv + 1, snd))
			return WEIR_VERDICT_DROP_RACE;
		f->state = WEIR_FLOW_LAST_ACK;
		return owned_send(ctx, s, f, WEIR_TCP_ACK, snd, rcv + 1, WEIR_VERDICT_FIN);
	}
	if (p->ack != snd)
		return WEIR_VERDICT_DROP_EARLY;
	if (!flow_move(f, rcv, snd, rcv + 1, snd + 1))
		return WEIR_VERDICT_DROP_RACE;
	f->state = WEIR_FLOW_LAST_ACK;
	f->resp_bytes = 0; /* acknowledged: only our FIN is out now */
	return owned_send(ctx, s, f, WEIR_TCP_FIN | WEIR_TCP_ACK, snd, rcv + 1, WEIR_VERDICT_FIN);
}

/* Payload or FIN, sequence and ACK checked. */
static __always_inline enum weir_verdict owned_text(struct xdp_md *ctx, struct weir_scratch *s,
						    struct weir_flow *f)
{
	struct weir_pkt *p = &s->pkt;
	__u32 rcv = f->rcv_nxt;

	if (seq_before(p->seq, rcv)) {
		if (p->payload_bytes && answer_is_out(f) &&
		    (f->state != WEIR_FLOW_LAST_ACK || f->flags & WEIR_FLOW_CLOSE))
			return owned_again(ctx, s, f);
		return owned_ack(ctx, s, f, p->payload_bytes ? WEIR_VERDICT_ACK_OLD_DATA :
							       WEIR_VERDICT_FIN_AGAIN);
	}
	if (p->seq != rcv)
		return owned_ack(ctx, s, f, WEIR_VERDICT_ACK_OUT_OF_ORDER);
	if (f->state == WEIR_FLOW_LAST_ACK)
		return WEIR_VERDICT_DROP_AFTER_FIN;
	if (!p->payload_bytes)
		return owned_fin(ctx, s, f);
	if (f->state != WEIR_FLOW_OPEN)
		return owned_reset(ctx, s, f, WEIR_VERDICT_RST_CLOSED);
	if (p->ack != f->snd_nxt)
		return WEIR_VERDICT_DROP_EARLY;
	return owned_request(ctx, s, f);
}

/* RST: RFC 5961 3. */
static __always_inline enum weir_verdict owned_rst(struct xdp_md *ctx, struct weir_scratch *s,
						   struct weir_flow *f)
{
	__u32 ahead = s->pkt.seq - f->rcv_nxt;

	/* exactly at what owned_ack() acknowledges */
	if (!ahead || (answer_is_out(f) && s->pkt.seq == f->req_seq)) {
		bpf_map_delete_elem(&weir_flows, &s->pkt.key);
		return WEIR_VERDICT_RST;
	}
	if (ahead < f->window)
		return owned_ack(ctx, s, f, WEIR_VERDICT_ACK_CHALLENGE_RST);
	return WEIR_VERDICT_DROP_RST_WINDOW;
}

/* A packet of a flow that XDP owns. */
static __always_inline enum weir_verdict weir_owned_packet(struct xdp_md *ctx, struct weir_scratch *s,
							   struct weir_flow *f)
{
	struct weir_pkt *p = &s->pkt;
	__u32 end = p->seq + p->payload_bytes + (p->tcp_flags & WEIR_TCP_FIN ? 1 : 0);
	__u32 rcv = f->rcv_nxt;
	enum weir_verdict v;

	if (!(p->tcp_flags & (WEIR_TCP_ACK | WEIR_TCP_RST | WEIR_TCP_SYN)))
		return WEIR_VERDICT_DROP_NO_ACK;
	if (f->flags & WEIR_FLOW_PENDING &&
	    !(p->payload_bytes && p->seq == rcv && p->ack == f->snd_nxt))
		return owned_up(ctx, s, META_WAIT, f->pool, WEIR_VERDICT_HANDOVER_WAIT);
	f->seen_ns = p->now_ns;
	if (f->flags & WEIR_FLOW_TS && p->has_ts && !(p->tcp_flags & WEIR_TCP_RST) &&
	    seq_before(p->ts_val, f->ts_recent))
		return owned_ack(ctx, s, f, WEIR_VERDICT_ACK_PAWS);
	if (p->tcp_flags & WEIR_TCP_RST)
		return owned_rst(ctx, s, f);
	if (p->tcp_flags & WEIR_TCP_SYN)
		return owned_ack(ctx, s, f, WEIR_VERDICT_ACK_CHALLENGE_SYN);
	if (!p->payload_bytes && !(p->tcp_flags & WEIR_TCP_FIN) && seq_before(p->seq, rcv)) {
		if (p->seq + 1 == rcv && p->ack == f->snd_nxt) /* the ACK of the answer may have been lost */
			f->snd_una = p->ack;
		return owned_ack(ctx, s, f, WEIR_VERDICT_ACK_KEEPALIVE);
	}
	if (seq_after(p->seq, rcv + f->window))
		return owned_ack(ctx, s, f, WEIR_VERDICT_ACK_WINDOW);
	v = owned_check_ack(ctx, s, f);
	if (v != WEIR_VERDICT_MORE)
		return v;
	if (!seq_before(end, rcv))
		flow_note_ts(f, p);
	if (f->state == WEIR_FLOW_LAST_ACK && p->ack == f->snd_nxt && !seq_before(end, rcv)) {
		if (f->flags & WEIR_FLOW_CLOSE) /* ours was first: CLOSING to TIME-WAIT */
			weir_flow_timewait(p, f, rcv);
		else
			bpf_map_delete_elem(&weir_flows, &p->key);
		return WEIR_VERDICT_CLOSED;
	}
	if (end != p->seq)
		return owned_text(ctx, s, f);
	return WEIR_VERDICT_ACK;
}

#endif
