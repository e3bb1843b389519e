/* SPDX-License-Identifier: GPL-2.0 */
/* Stateless SYN cookies (RFC 4987 3.6): the ISN carries the MSS and proves the handshake, the
 * SYN-ACK's TSval carries window scale and SACK-permitted in its low bits, as in the kernel's
 * net/ipv4/syncookies.c; without timestamps neither is negotiated.
 *
 *   31..28 index into the MSS table    27..26 time unit    25 which secret    24..0 MAC
 */
#ifndef WEIR_LIB_COOKIE_H
#define WEIR_LIB_COOKIE_H

#include "lib/base.h"
#include "lib/flow.h"
#include "lib/pkt.h"
#include "lib/scratch.h"
#include "lib/tunables.h"
#include "maps/endpoint.h"

#include "weir/siphash.h"

#define COOKIE_BEHIND_MS 10000 /* clocks of hosts that share their secrets */
#define COOKIE_TS_BITS 6 /* of TSval: window scale (4, 15: none), SACK, reserved */

/* Words of the address pair that every keyed hash here begins with. */
static __always_inline void sip_tuple(struct weir_sip *h, const __u64 secret[2],
				      const struct weir_flow_key *k)
{
	const __u64 *w = (const __u64 *)k;

	weir_sip_init(h, secret);
	weir_sip_word(h, w[0]);
	weir_sip_word(h, w[1]);
	weir_sip_word(h, w[2]);
	weir_sip_word(h, w[3]);
	weir_sip_word(h, w[4]);
}

static __always_inline __u32 cookie_mac(const __u64 secret[2], const struct weir_flow_key *k,
					__u32 client_isn, __u32 mss_unit)
{
	struct weir_sip h;

	sip_tuple(&h, secret, k);
	weir_sip_word(&h, (__u64)client_isn << 32 | mss_unit);
	return weir_sip_final(&h) & 0x1ffffff;
}

/* Hosts that share their secrets count units by the time of day. */
static __always_inline __u32 cookie_unit(const struct weir_secrets *sec, __u64 now_ns)
{
	return (__u32)((now_ns + sec->clock_ns) / (WEIR_COOKIE_UNIT_S * 1000000000ULL));
}

/* Timestamp offset of a flow, the same for its whole life without being stored. */
static __always_inline __u32 weir_ts_offset(const struct weir_secrets *sec,
					    const struct weir_flow_key *k)
{
	struct weir_sip h;

	sip_tuple(&h, sec->ts_offset, k);
	return (__u32)weir_sip_final(&h) + sec->clock_ms;
}

/* Largest table entry not above what the client asked for; no option means 536, RFC 9293 3.7.1. */
static __always_inline __u32 cookie_mss_index(__u32 mss)
{
	__u32 i, found = 0;

	if (!mss)
		mss = 536;
#pragma clang loop unroll(full)
	for (i = 1; i < 16; i++)
		if (weir_mss_table[i] && weir_mss_table[i] <= mss)
			found = i;
	return found;
}

/* The receive window for an MSS: a multiple of the MSS that the kernel will use, which is at least 1220 for IPv6
 * (IPV6_MIN_MTU - 60), so that a hand-over never takes window back. */
static __always_inline __u16 cookie_window(__u32 index, bool is_v6)
{
	if (is_v6 && index < MSS_INDEX_MIN6)
		index = MSS_INDEX_MIN6;
	return weir_wnd_table[index & 15];
}

/* Our ISN for a SYN. */
static __always_inline __u32 weir_cookie_make(const struct weir_secrets *sec, const struct weir_pkt *p,
					      __u32 *ret_index)
{
	__u32 index = cookie_mss_index(p->mss_opt);
	__u32 which = sec->cookie_current & 1;
	__u32 unit = cookie_unit(sec, p->now_ns);
	__u32 mac = cookie_mac(sec->cookie[which], &p->key, p->seq, index << 28 | (unit & 0xfffffff));

	*ret_index = index;
	return index << 28 | (unit & 3) << 26 | which << 25 | mac;
}

/* TSval of the SYN-ACK, before the flow's offset: the clock with the options in its low bits, not ahead
 * of the clock (cookie_init_timestamp()). */
static __always_inline __u32 weir_cookie_ts(const struct weir_pkt *p)
{
	__u32 now = weir_ts_now(p->now_ns);
	__u32 options, ts;

	options = weir_use_wscale && p->wscale_opt != WEIR_NO_OPT ? p->wscale_opt & 0xf : 0xf;
	if (weir_use_sack && p->has_sack)
		options |= 1 << 4;
	ts = (now >> COOKIE_TS_BITS << COOKIE_TS_BITS) | options;
	if (seq_after(ts, now))
		ts -= 1 << COOKIE_TS_BITS;
	return ts;
}

/* Does `cookie` answer a SYN of ISN `client_isn`, at most two units ago? One of another host whose clock is ahead may be of
 * the unit that has not begun here. */
static __always_inline bool weir_cookie_check(const struct weir_secrets *sec, const struct weir_pkt *p,
					      __u32 client_isn, __u32 cookie, __u32 *ret_index)
{
	__u32 index = cookie >> 28;
	__u32 which = (cookie >> 25) & 1;
	__u32 now = cookie_unit(sec, p->now_ns);
	__u32 age = (now - (cookie >> 26)) & 3;

	if (age == 3 && sec->is_shared)
		age = (__u32)-1;
	else if (age > 1)
		return false;
	*ret_index = index;
	return cookie_mac(sec->cookie[which], &p->key, client_isn,
			  index << 28 | ((now - age) & 0xfffffff)) == (cookie & 0x1ffffff);
}

/* A packet without a flow that acknowledges a cookie: creates the flow, or finds the one that another CPU has just
 * created from another packet of the handshake. NULL: no valid cookie, or, with *ret_is_valid, no memory. RFC 4987 3.6. */
static __always_inline struct weir_flow *weir_flow_accept(struct weir_scratch *s, bool *ret_is_valid)
{
	const struct weir_pkt *p = &s->pkt;
	struct weir_flow *f = &s->born;
	struct weir_secrets *sec = weir_secrets_get();
	__u32 index, options, behind;

	*ret_is_valid = false;
	if (!sec || !weir_cookie_check(sec, p, p->seq - 1, p->ack - 1, &index))
		return NULL;
	index &= 15;
	__builtin_memset(f, 0, sizeof(*f));
	f->rcv_nxt = p->seq;
	f->snd_nxt = p->ack;
	f->snd_una = p->ack;
	f->snd_iss = p->ack;
	f->created_ns = p->now_ns;
	f->seen_ns = p->now_ns;
	f->endpoint = p->endpoint;
	f->mss = weir_mss_table[index];
	f->window = cookie_window(index, p->is_v6);
	f->owner = WEIR_OWNER_XDP;
	if (weir_use_ts && p->has_ts) {
		f->flags = WEIR_FLOW_TS;
		f->ts_offset = weir_ts_offset(sec, &p->key);
		f->ts_recent = p->ts_val;
		f->ts_echo = p->ts_ecr;
		options = p->ts_ecr - f->ts_offset;
		/* The clock of the host that sent the SYN-ACK is ahead: ours would be in the client's past (RFC 7323 5). */
		behind = p->ts_ecr - (weir_ts_now(p->now_ns) + f->ts_offset);
		if (sec->is_shared && behind <= COOKIE_BEHIND_MS)
			f->ts_offset += behind;
		if (options & 1 << 4)
			f->flags |= WEIR_FLOW_SACK;
		if ((options & 0xf) != 0xf) {
			f->flags |= WEIR_FLOW_WSCALE;
			f->snd_wscale = options & 0xf;
			f->rcv_wscale = weir_rcv_wscale;
		}
	}
	*ret_is_valid = true;
	bpf_map_update_elem(&weir_flows, &p->key, f, BPF_NOEXIST);
	return bpf_map_lookup_elem(&weir_flows, &p->key);
}

#endif
