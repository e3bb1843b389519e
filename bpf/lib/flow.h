/* SPDX-License-Identifier: GPL-2.0 */
/* The flow table's operations: moving (rcv_nxt, snd_nxt) as one word, timestamps, windows, the end. */
#ifndef WEIR_LIB_FLOW_H
#define WEIR_LIB_FLOW_H

#include "lib/base.h"
#include "lib/scratch.h"
#include "maps/flow.h"

#define TIMEWAIT_NS (60ULL * 1000000000)

static __always_inline __u32 weir_ts_now(__u64 now_ns)
{
	return (__u32)(now_ns / 1000000);
}

static __always_inline struct weir_flow *weir_flow_find(const struct weir_pkt *p)
{
	return bpf_map_lookup_elem(&weir_flows, &p->key);
}

/* Is this flow's socket about to be, or being, made out of a request? Else a socket that comes to be is the kernel's own
 * doing: weir_steer and weir_sock must agree on it, or the wrong pool's queue would count it. */
static __always_inline bool flow_is_handed(const struct weir_flow *f)
{
	return f && f->owner == WEIR_OWNER_XDP && f->flags & WEIR_FLOW_PENDING;
}

/* The window field of our segments. */
static __always_inline __u16 flow_window(const struct weir_flow *f)
{
	return f->window >> (f->rcv_wscale & 15);
}

/* Moves both sequence numbers from one pair to another. False: another CPU was first. */
static __always_inline bool flow_move(struct weir_flow *f, __u32 rcv, __u32 snd, __u32 to_rcv,
				      __u32 to_snd)
{
	__u64 old = (__u64)snd << 32 | rcv;
	__u64 new = (__u64)to_snd << 32 | to_rcv;

	return __sync_val_compare_and_swap((__u64 *)&f->rcv_nxt, old, new) == old;
}

/* Notes that bytes up to `end` went up to the kernel's socket: a seize needs to know the highest. */
static __always_inline void flow_passed(struct weir_flow *f, __u32 end)
{
	__u32 rcv = f->rcv_nxt, snd = f->snd_nxt;

	if (!seq_after(end, rcv))
		return;
	if (flow_move(f, rcv, snd, end, snd))
		return;
	rcv = f->rcv_nxt;
	snd = f->snd_nxt;
	if (seq_after(end, rcv))
		flow_move(f, rcv, snd, end, snd);
}

/* Largest payload that fits one segment of this flow. */
static __always_inline __u32 flow_room(const struct weir_flow *f)
{
	__u32 mss = f->mss;

	return (f->flags & WEIR_FLOW_TS) && mss ? mss - 12 : mss;
}

/* The receive window that the packet offers us. */
static __always_inline __u32 flow_client_window(const struct weir_flow *f, const struct weir_pkt *p)
{
	return p->window << (f->flags & WEIR_FLOW_WSCALE ? f->snd_wscale & 15 : 0);
}

static __always_inline __u32 flow_ts(const struct weir_flow *f, const struct weir_pkt *p)
{
	return weir_ts_now(p->now_ns) + f->ts_offset;
}

/* RFC 7323 4.3: the timestamp to echo, from a segment that is not beyond what we expect. */
static __always_inline void flow_note_ts(struct weir_flow *f, const struct weir_pkt *p)
{
	if (!(f->flags & WEIR_FLOW_TS) || !p->has_ts)
		return;
	if (!seq_before(p->ts_val, f->ts_recent) && !seq_after(p->seq, f->rcv_nxt))
		f->ts_recent = p->ts_val;
	if (seq_after(p->ts_ecr, f->ts_echo))
		f->ts_echo = p->ts_ecr;
}

/* Our FIN and the client's are out and the client closed second: remembers enough to repeat the last ACK. */
static __always_inline void weir_flow_timewait(const struct weir_pkt *p, const struct weir_flow *f,
					       __u32 rcv_nxt)
{
	struct weir_timewait tw = {
		.rcv_nxt = rcv_nxt,
		.snd_nxt = f->snd_nxt,
		.ts_recent = f->ts_recent,
		.has_ts = !!(f->flags & WEIR_FLOW_TS),
		.since_ns = p->now_ns,
	};

	bpf_map_update_elem(&weir_timewait, &p->key, &tw, BPF_ANY);
	bpf_map_delete_elem(&weir_flows, &p->key);
}

/* What the kernel has for this address pair: a connection, what is left of one, or a listener. The caller releases. */
static __always_inline struct bpf_sock *weir_socket_lookup(void *ctx, const struct weir_pkt *p)
{
	struct bpf_sock_tuple t = {};
	__u32 bytes;

	if (p->is_v6) {
		__builtin_memcpy(t.ipv6.saddr, &p->key.client, 16);
		__builtin_memcpy(t.ipv6.daddr, &p->key.server, 16);
		t.ipv6.sport = p->key.client_port;
		t.ipv6.dport = p->key.server_port;
		bytes = sizeof(t.ipv6);
	} else {
		t.ipv4.saddr = p->key.client.word[3];
		t.ipv4.daddr = p->key.server.word[3];
		t.ipv4.sport = p->key.client_port;
		t.ipv4.dport = p->key.server_port;
		bytes = sizeof(t.ipv4);
	}
	return bpf_skc_lookup_tcp(ctx, &t, bytes, BPF_F_CURRENT_NETNS, 0);
}

/* State of that socket: 0 none, else BPF_TCP_*. Listeners count as found. */
static __always_inline __u32 weir_socket_state(void *ctx, const struct weir_pkt *p)
{
	struct bpf_sock *sk = weir_socket_lookup(ctx, p);
	__u32 state;

	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state;
}

#endif
