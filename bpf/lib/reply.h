/* SPDX-License-Identifier: GPL-2.0 */
/* Builds the headers of a reply in scratch memory and turns the received frame into it. There is no
 * checksum offload behind XDP_TX: every sum is written in full. */
#ifndef WEIR_LIB_REPLY_H
#define WEIR_LIB_REPLY_H

#include "lib/base.h"
#include "lib/csum.h"
#include "lib/pkt.h"

#define REPLY_TTL 64
#define REPLY_WORDS 14    /* 64-bit words that hold the largest headers: 18 + 40 + 40 bytes */
#define REPLY_WORDS_IP4 9 /* those of IPv4 with timestamps, and a tag */

struct weir_reply {
	__u32 seq;
	__u32 ack;
	__u32 ts_val; /* with TS */
	__u32 ts_ecr;
	__u32 payload_bytes;
	__u32 payload_sum; /* native, folded */
	__u16 window;	   /* field */
	__u8 tcp_flags;
	__u8 has_ts;
	/* SYN-ACK only */
	__u16 mss;	   /* 0: no MSS option */
	__u8 wscale;	   /* WEIR_NO_OPT: none */
	__u8 has_sack;
};

static __always_inline __u32 put_options(__u8 *o, const struct weir_reply *r)
{
	__u32 *w = (__u32 *)o;
	__u32 n = 0;

	if (r->tcp_flags & WEIR_TCP_SYN) {
		if (!r->mss)
			return 0;
		w[n++] = bpf_htonl(0x02040000u | r->mss);
		if (!r->has_ts)
			return n * 4;
		w[n++] = r->has_sack ? bpf_htonl(0x0402080a) : bpf_htonl(0x0101080a);
		w[n++] = bpf_htonl(r->ts_val);
		w[n++] = bpf_htonl(r->ts_ecr);
		if (r->wscale != WEIR_NO_OPT)
			w[n++] = bpf_htonl(0x01030300u | r->wscale);
		return n * 4;
	}
	if (!r->has_ts)
		return 0;
	w[0] = bpf_htonl(0x0101080a);
	w[1] = bpf_htonl(r->ts_val);
	w[2] = bpf_htonl(r->ts_ecr);
	return 12;
}

/* Builds the headers in s->out; s->out_bytes of them. */
static __always_inline void weir_reply_build(struct weir_scratch *s, const struct weir_reply *r)
{
	const struct weir_pkt *p = &s->pkt;
	__u32 l2 = p->l3_off == 18 ? 18 : 14;
	__u32 options, tcp_bytes, total, at = l2;
	struct tcphdr *tcp;
	__u8 *o = s->out;
	__u64 sum;
	__u32 i;

#pragma clang loop unroll(full)
	for (i = 0; i < 5; i++)
		((__u32 *)o)[i] = p->l2[i];
	at += p->is_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	tcp = (struct tcphdr *)(o + at);
	options = put_options(o + at + sizeof(*tcp), r);
	tcp_bytes = sizeof(*tcp) + options;
	total = tcp_bytes + r->payload_bytes;

	if (p->is_v6) {
		struct ipv6hdr *h = (struct ipv6hdr *)(o + l2);

		*(__u32 *)h = bpf_htonl(0x60000000);
		h->payload_len = bpf_htons((__u16)total);
		h->nexthdr = IPPROTO_TCP;
		h->hop_limit = REPLY_TTL;
		__builtin_memcpy(&h->saddr, &p->key.server, 16);
		__builtin_memcpy(&h->daddr, &p->key.client, 16);
	} else {
		struct iphdr *h = (struct iphdr *)(o + l2);

		*(__u32 *)h = bpf_htonl(0x45000000u | (total + sizeof(*h)));
		*((__u32 *)h + 1) = bpf_htonl(0x00004000); /* DF */
		*((__u32 *)h + 2) = bpf_htonl(REPLY_TTL << 24 | IPPROTO_TCP << 16);
		h->saddr = p->key.server.word[3];
		h->daddr = p->key.client.word[3];
		h->check = (__u16)~csum_fold16(csum_words(h, sizeof(*h)));
	}
	*(__u32 *)tcp = (__u32)p->key.client_port << 16 | p->key.server_port; /* little endian */
	tcp->seq = bpf_htonl(r->seq);
	tcp->ack_seq = bpf_htonl(r->ack);
	*((__u32 *)tcp + 3) = bpf_htonl((tcp_bytes / 4) << 28 | (__u32)r->tcp_flags << 16 | r->window);
	*((__u32 *)tcp + 4) = 0;

	sum = csum_pseudo(&p->key, p->is_v6, total) + r->payload_sum;
#pragma clang loop unroll(full)
	for (i = 0; i < 10; i++)
		if (i < 5 || i * 4 < tcp_bytes)
			sum += *((__u32 *)tcp + i);
	tcp->check = (__u16)~csum_fold16(sum);
	s->out_bytes = at + tcp_bytes;
}

/* Copies out[] to the start of the frame. Where the frame is long enough this is by words; those beyond the headers
 * are overwritten by the payload, which the caller writes next. */
static __always_inline bool xdp_copy_out(struct xdp_md *ctx, struct weir_scratch *s)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 bytes = s->out_bytes;
	__u32 i;

	if (data + REPLY_WORDS * 8 <= end) {
#pragma clang loop unroll(full)
		for (i = 0; i < REPLY_WORDS_IP4; i++)
			((__u64 *)data)[i] = ((__u64 *)s->out)[i];
		if (bytes <= REPLY_WORDS_IP4 * 8)
			return true;
#pragma clang loop unroll(full)
		for (i = REPLY_WORDS_IP4; i < REPLY_WORDS; i++)
			((__u64 *)data)[i] = ((__u64 *)s->out)[i];
		return true;
	}
	if (bytes < 54)
		return false;
	opaque(bytes);
	if (bytes > WEIR_OUT_MAX)
		return false;
	return !bpf_xdp_store_bytes(ctx, 0, s->out, bytes);
}

/* Resizes the frame to headers and payload and writes the headers. False: it cannot be grown here, and
 * nothing has changed. */
static __always_inline bool weir_xdp_write(struct xdp_md *ctx, struct weir_scratch *s,
					   __u32 payload_bytes)
{
	__u32 want = s->out_bytes + payload_bytes;
	__u32 have = s->pkt.frame_bytes;

	/* generic XDP has room for some options at best: a payload is tc's */
	if (want > have && payload_bytes && (s->pkt.iface_flags & WEIR_IFACE_GENERIC))
		return false;
	if (want != have && bpf_xdp_adjust_tail(ctx, (int)want - (int)have))
		return false;
	return xdp_copy_out(ctx, s);
}

/* Sends a reply without payload from XDP. Where the frame is too short for options they are left out:
 * a receiver must do without them (RFC 7323 3.2 allows a RST, and an ACK is better than none). */
static __always_inline enum weir_verdict weir_xdp_reply(struct xdp_md *ctx, struct weir_scratch *s,
							struct weir_reply *r, enum weir_verdict v)
{
	weir_reply_build(s, r);
	if (weir_xdp_write(ctx, s, 0))
		return v;
	r->has_ts = 0;
	r->mss = 0;
	weir_reply_build(s, r);
	return weir_xdp_write(ctx, s, 0) ? v : WEIR_VERDICT_PASS_MALFORMED;
}

#endif
