/* SPDX-License-Identifier: GPL-2.0 */
/* Packets without a flow: SYN, and the aftermath in TIME-WAIT. Nothing is stored for a SYN. */
#ifndef WEIR_LIB_FRESH_H
#define WEIR_LIB_FRESH_H

#include "lib/base.h"
#include "lib/cookie.h"
#include "lib/flow.h"
#include "lib/reply.h"

/* The MSS that our end can receive: the interface's MTU less headers. */
static __always_inline __u16 our_mss(const struct weir_pkt *p)
{
	__u32 headers = p->is_v6 ? 60 : 40;
	__u32 mss = p->mtu > headers ? p->mtu - headers : 536;

	return mss > 65495 ? 65495 : (__u16)mss;
}

/* SYN: answered with a cookie (RFC 4987), unless a kernel socket holds the address pair. */
static __always_inline enum weir_verdict weir_syn(struct xdp_md *ctx, struct weir_scratch *s)
{
	struct weir_secrets *sec = weir_secrets_get();
	struct weir_pkt *p = &s->pkt;
	struct weir_reply r = {
		.ack = p->seq + 1,
		.tcp_flags = WEIR_TCP_SYN | WEIR_TCP_ACK,
		.mss = our_mss(p),
		.wscale = WEIR_NO_OPT,
	};
	__u32 state = weir_socket_state(ctx, p);
	__u32 index = 0;

	if (!sec || (state && state != BPF_TCP_LISTEN))
		return WEIR_VERDICT_PASS_KERNEL_SYN;
	if (p->tcp_flags & WEIR_TCP_FIN)
		return WEIR_VERDICT_DROP_NO_ACK;
	r.seq = weir_cookie_make(sec, p, &index);
	r.window = cookie_window(index, p->is_v6);
	if (weir_use_ts && p->has_ts) {
		r.has_ts = 1;
		r.ts_val = weir_cookie_ts(p) + weir_ts_offset(sec, &p->key);
		r.ts_ecr = p->ts_val;
		r.has_sack = weir_use_sack && p->has_sack;
		if (weir_use_wscale && p->wscale_opt != WEIR_NO_OPT)
			r.wscale = weir_rcv_wscale;
	}
	return weir_xdp_reply(ctx, s, &r, WEIR_VERDICT_SYN_COOKIE);
}

/* TIME-WAIT, as tcp_timewait_state_process(). MORE: the entry is no obstacle, go on. */
static __always_inline enum weir_verdict weir_timewait_packet(struct xdp_md *ctx,
							      struct weir_scratch *s)
{
	struct weir_pkt *p = &s->pkt;
	struct weir_timewait *tw = bpf_map_lookup_elem(&weir_timewait, &p->key);
	struct weir_secrets *sec = weir_secrets_get();
	struct weir_reply r = { .tcp_flags = WEIR_TCP_ACK, .window = 500 };
	bool is_old;

	if (!tw || !sec || p->now_ns - tw->since_ns > TIMEWAIT_NS)
		return WEIR_VERDICT_MORE;
	is_old = tw->has_ts && p->has_ts && seq_before(p->ts_val, tw->ts_recent);
	if (p->tcp_flags & WEIR_TCP_SYN && !(p->tcp_flags & (WEIR_TCP_ACK | WEIR_TCP_RST))) {
		if (!is_old && (seq_after(p->seq, tw->rcv_nxt) ||
				(tw->has_ts && p->has_ts && p->ts_val != tw->ts_recent))) {
			bpf_map_delete_elem(&weir_timewait, &p->key);
			return WEIR_VERDICT_MORE;
		}
	} else if (p->tcp_flags & WEIR_TCP_RST) {
		if (!is_old && p->seq == tw->rcv_nxt)
			bpf_map_delete_elem(&weir_timewait, &p->key);
		return WEIR_VERDICT_DROP_TIMEWAIT;
	} else if (!is_old && p->seq == tw->rcv_nxt && !p->payload_bytes &&
		   !(p->tcp_flags & WEIR_TCP_FIN)) {
		return WEIR_VERDICT_DROP_TIMEWAIT;
	}
	r.seq = tw->snd_nxt;
	r.ack = tw->rcv_nxt;
	r.has_ts = (__u8)tw->has_ts;
	r.ts_val = weir_ts_now(p->now_ns) + weir_ts_offset(sec, &p->key);
	r.ts_ecr = tw->ts_recent;
	return weir_xdp_reply(ctx, s, &r, WEIR_VERDICT_FIN_AGAIN);
}

#endif
