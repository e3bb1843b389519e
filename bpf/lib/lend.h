/* SPDX-License-Identifier: GPL-2.0 */
/* Lending a connection to the kernel's TCP and taking it back: the two moves of weir_tc that change a
 * flow's owner. The kernel takes both initial sequence numbers from the packet that is handed over, so
 * nothing is ever translated (net/core/filter.c: bpf_sk_assign_tcp_reqsk(); net/ipv4/syncookies.c). */
#ifndef WEIR_LIB_LEND_H
#define WEIR_LIB_LEND_H

#include "lib/answer.h"
#include "lib/base.h"
#include "lib/flow.h"
#include "lib/queue.h"
#include "lib/reply.h"
#include "maps/route.h"

extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk,
				   struct bpf_tcp_req_attrs *attrs, int attrs__sz) __ksym;

#define HANDOVER_MSS_MIN4 536
#define HANDOVER_MSS_MIN6 1220 /* IPV6_MIN_MTU - 60 */

static __always_inline void handover_attrs(const struct weir_flow *f, const struct weir_pkt *p,
					   struct bpf_tcp_req_attrs *attrs)
{
	__u16 min = p->is_v6 ? HANDOVER_MSS_MIN6 : HANDOVER_MSS_MIN4;

	attrs->mss = f->mss < min ? min : f->mss;
	attrs->wscale_ok = !!(f->flags & WEIR_FLOW_WSCALE);
	attrs->snd_wscale = f->snd_wscale;
	attrs->rcv_wscale = f->rcv_wscale;
	attrs->sack_ok = !!(f->flags & WEIR_FLOW_SACK);
	attrs->tstamp_ok = !!(f->flags & WEIR_FLOW_TS);
	if (attrs->tstamp_ok) {
		attrs->rcv_tsval = p->has_ts ? p->ts_val : f->ts_recent;
		attrs->rcv_tsecr = p->has_ts ? p->ts_ecr : f->ts_echo;
	}
}

/* Turns the packet into a socket of the listener. The flow becomes KERNEL when weir_sock sees the socket; until then
 * every repetition of this packet comes here again. */
static __always_inline enum weir_verdict weir_handover(struct __sk_buff *skb, struct weir_scratch *s,
						       struct weir_flow *f, __u16 pool)
{
	struct weir_pkt *p = &s->pkt;
	struct bpf_tcp_req_attrs attrs = {};
	struct bpf_sock *skc;
	struct sock *sk;
	int r;

	skc = weir_socket_lookup(skb, p);
	if (!skc)
		return WEIR_VERDICT_TC_NO_LISTENER;
	if (skc->state != BPF_TCP_LISTEN) {
		r = skc->state;
		bpf_sk_release(skc);
		if (f->owner != WEIR_OWNER_KERNEL || r == BPF_TCP_TIME_WAIT)
			return WEIR_VERDICT_TC_WAIT;
		flow_passed(f, p->seq + p->payload_bytes);
		return WEIR_VERDICT_TC_PASSED;
	}
	sk = (struct sock *)bpf_skc_to_tcp_sock(skc);
	if (!sk) {
		bpf_sk_release(skc);
		return WEIR_VERDICT_TC_NO_LISTENER;
	}
	f->base_rcv = p->seq;
	f->base_snd = p->ack;
	f->req_seq = p->seq;
	f->req_bytes = p->payload_bytes + (p->tcp_flags & WEIR_TCP_FIN ? 1 : 0);
	f->pool = pool;
	f->slot = weir_pool_slot(pool);
	handover_attrs(f, p, &attrs);
	r = bpf_sk_assign_tcp_reqsk(skb, sk, &attrs, sizeof(attrs));
	bpf_sk_release(skc);
	return r ? WEIR_VERDICT_TC_ASSIGN_FAILED : WEIR_VERDICT_TC_ASSIGNED;
}

/* A packet behind a request that is being handed over, or for which the connection is being seized: up if there is a
 * socket by now, or still. */
static __always_inline enum weir_verdict weir_handover_wait(struct __sk_buff *skb,
							    struct weir_scratch *s,
							    struct weir_flow *f)
{
	struct weir_pkt *p = &s->pkt;
	__u32 state = weir_socket_state(skb, p);

	/* Seized by a packet of the same batch: its RST has not come to the socket yet, for the kernel runs tc for a whole
	 * list of packets before TCP sees the first. */
	if (f->owner == WEIR_OWNER_XDP && !(f->flags & WEIR_FLOW_PENDING))
		return WEIR_VERDICT_TC_WAIT;
	if (state && state != BPF_TCP_LISTEN) {
		if (p->payload_bytes || p->tcp_flags & WEIR_TCP_FIN)
			flow_passed(f, p->seq + p->payload_bytes +
					       (p->tcp_flags & WEIR_TCP_FIN ? 1 : 0));
		return WEIR_VERDICT_TC_PASSED;
	}
	if (p->tcp_flags & WEIR_TCP_RST && p->seq == f->rcv_nxt)
		bpf_map_delete_elem(&weir_flows, &p->key);
	return WEIR_VERDICT_TC_WAIT;
}

/* Makes the frame a reset, to the client or as if from it. */
static __always_inline bool seize_put_reset(struct __sk_buff *skb, struct weir_scratch *s, __u32 seq, __u32 ack)
{
	struct weir_reply r = {
		.seq = seq,
		.ack = ack,
		.tcp_flags = WEIR_TCP_RST | WEIR_TCP_ACK,
	};
	__u32 bytes;

	weir_reply_build(s, &r);
	bytes = s->out_bytes;
	if (bpf_skb_change_tail(skb, bytes, 0))
		return false;
	if (bytes < 54)
		return false;
	opaque(bytes);
	if (bytes > WEIR_OUT_MAX)
		return false;
	return !bpf_skb_store_bytes(skb, 0, s->out, bytes, BPF_F_RECOMPUTE_CSUM);
}

/* Rewrites the frame, which by now is our answer, into the RST that removes the kernel's socket: from the client,
 * at exactly the sequence number that it expects (RFC 5961 3). */
static __always_inline bool seize_reset(struct __sk_buff *skb, struct weir_scratch *s)
{
	struct weir_pkt *p = &s->pkt;
	struct weir_addr addr = p->key.client;
	__be16 port = p->key.client_port;
	__u32 l2[3] = { p->l2[0], p->l2[1], p->l2[2] };

	/* back to the client's direction */
	p->l2[0] = l2[1] >> 16 | l2[2] << 16;
	p->l2[1] = l2[2] >> 16 | l2[0] << 16;
	p->l2[2] = l2[0] >> 16 | l2[1] << 16;
	p->key.client = p->key.server;
	p->key.server = addr;
	p->key.client_port = p->key.server_port;
	p->key.server_port = port;
	return seize_put_reset(skb, s, p->seq, p->ack);
}

/* Takes an idle connection back. Moving the ticket to TAKEN is the claim: worker and tc cannot both succeed. */
static __always_inline enum weir_verdict weir_seize(struct __sk_buff *skb, struct weir_scratch *s,
						    struct weir_flow *f, struct weir_answer *a)
{
	struct weir_pkt *p = &s->pkt;
	__u32 lender = f->pool, end = p->seq + p->payload_bytes;
	struct weir_pool_stats *st;
	__u32 snd = f->snd_nxt, state = 0;
	struct weir_ticket *t;

	f->flags &= (__u8)~WEIR_FLOW_PENDING;
	a->is_write = 0;
	t = weir_ticket_match(f, p, &state);
	if (!t || f->owner != WEIR_OWNER_KERNEL || f->rcv_nxt != p->seq ||
	    f->flags & WEIR_FLOW_CLOSING || weir_tc_answer(skb, s, f, a) != ANSWER_WRITTEN ||
	    !weir_ticket_move(t, state, WEIR_TICKET_TAKEN)) {
		flow_passed(f, end);
		return WEIR_VERDICT_TC_PASSED;
	}
	f->state = WEIR_FLOW_OPEN;
	f->snd_una = p->ack;
	f->ts_echo = p->ts_ecr;
	if (!flow_move(f, p->seq, snd, p->seq, p->ack))
		return WEIR_VERDICT_TC_RACE;
	if (p->has_ts && !seq_before(p->ts_val, f->ts_recent))
		f->ts_recent = p->ts_val;
	f->owner = WEIR_OWNER_XDP;
	a->is_write = 1;
	if (weir_tc_answer(skb, s, f, a) != ANSWER_WRITTEN || !weir_answer_commit(f, p, a) || bpf_clone_redirect(skb, skb->ifindex, 0)) {
		/* the socket is still there and idle: let it go on */
		f->rcv_nxt = p->seq;
		f->owner = WEIR_OWNER_KERNEL;
		return WEIR_VERDICT_TC_RACE;
	}
	st = weir_stats_of(lender);
	if (st)
		st->seizes++;
	return seize_reset(skb, s) ? WEIR_VERDICT_TC_SEIZED : WEIR_VERDICT_TC_NO_ROOM;
}

/* Takes an idle connection back to end it: resets the client, then the kernel's socket. */
static __always_inline enum weir_verdict weir_seize_to_reset(struct __sk_buff *skb, struct weir_scratch *s,
							     struct weir_flow *f)
{
	struct weir_pkt *p = &s->pkt;
	struct weir_pool_stats *st;
	__u32 lender = f->pool, state = 0;
	struct weir_ticket *t;

	f->flags &= (__u8)~WEIR_FLOW_PENDING;
	t = weir_ticket_match(f, p, &state);
	if (!t || f->owner != WEIR_OWNER_KERNEL || f->rcv_nxt != p->seq || f->flags & WEIR_FLOW_CLOSING ||
	    !weir_ticket_move(t, state, WEIR_TICKET_TAKEN)) {
		flow_passed(f, p->seq + p->payload_bytes);
		return WEIR_VERDICT_TC_PASSED;
	}
	st = weir_stats_of(lender);
	if (st)
		st->seizes++;
	bpf_map_delete_elem(&weir_flows, &p->key);
	/* Should this one be lost, what the client sends again is answered with another: nothing is known of it any more. */
	if (!seize_put_reset(skb, s, p->ack, p->seq))
		return WEIR_VERDICT_TC_NO_ROOM;
	(void)bpf_clone_redirect(skb, skb->ifindex, 0);
	return seize_reset(skb, s) ? WEIR_VERDICT_TC_SEIZED : WEIR_VERDICT_TC_NO_ROOM;
}

#endif
