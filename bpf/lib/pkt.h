/* SPDX-License-Identifier: GPL-2.0 */
/* From a frame to struct weir_pkt: Ethernet with at most one VLAN tag, IPv4 or IPv6, TCP to one of our
 * endpoints. Everything else passes. Used by weir_xdp (which trusts nothing) and weir_tc (which sees
 * what XDP let through). */
#ifndef WEIR_LIB_PKT_H
#define WEIR_LIB_PKT_H

#include "lib/base.h"
#include "lib/csum.h"
#include "lib/verdict.h"
#include "maps/endpoint.h"

static __always_inline struct weir_secrets *weir_secrets_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&weir_secrets, &zero);
}

/* IPv4 header at `ip`: lengths, addresses, header checksum, fragments. */
static __always_inline enum weir_verdict parse_ip4(struct weir_pkt *p, void *ip, void *end)
{
	struct iphdr *h = ip;
	__u32 total, header;

	if (ip + sizeof(*h) > end)
		return WEIR_VERDICT_PASS_NOT_OURS;
	if (h->protocol != IPPROTO_TCP)
		return WEIR_VERDICT_PASS_NOT_OURS;
	header = h->ihl * 4u;
	total = bpf_ntohs(h->tot_len);
	if (h->version != 4 || header < sizeof(*h) || total < header + sizeof(struct tcphdr) ||
	    p->l3_off + total > p->frame_bytes)
		return WEIR_VERDICT_PASS_MALFORMED;
	p->is_v6 = 0;
	p->has_ip_options = header > sizeof(*h);
	p->l4_off = p->l3_off + header;
	p->l4_bytes = total - header;
	p->key.client.word[0] = 0;
	p->key.client.word[1] = 0;
	p->key.client.word[2] = bpf_htonl(0xffff);
	p->key.client.word[3] = h->saddr;
	p->key.server.word[0] = 0;
	p->key.server.word[1] = 0;
	p->key.server.word[2] = bpf_htonl(0xffff);
	p->key.server.word[3] = h->daddr;
	if (h->frag_off & bpf_htons(0x3fff)) /* MF or an offset; DF is 0x4000 */
		return WEIR_VERDICT_PASS_FRAGMENT;
	/* With options the kernel checks the header sum: such packets are handed over anyway. */
	if (header == sizeof(*h) && csum_fold16(csum_words(h, sizeof(*h))) != 0xffff)
		return WEIR_VERDICT_PASS_CHECKSUM;
	return WEIR_VERDICT_MORE;
}

static __always_inline bool is_mapped(const struct weir_addr *a)
{
	return !(a->word[0] | a->word[1]) && a->word[2] == bpf_htonl(0xffff);
}

#define IP6_HEADERS_MAX 4 /* extension headers that are walked */

/* Walks IPv6 extension headers (RFC 8200 4) from `off`, counted from the frame's start, to TCP. */
static __always_inline enum weir_verdict skip_ip6_headers(struct weir_pkt *p, void *data, void *end, __u8 next,
							  __u32 off)
{
	enum weir_verdict v = WEIR_VERDICT_MORE;
	__u32 i, at;

#pragma clang loop unroll(full)
	for (i = 0; i < IP6_HEADERS_MAX; i++) {
		__u8 *h;

		if (next == IPPROTO_TCP)
			break;
		at = off;
		opaque(at);
		h = data + (at & 0xff);
		if (off > 0xf0 || (void *)(h + 8) > end)
			return WEIR_VERDICT_PASS_NOT_OURS;
		if (next == 44) { /* fragment: ports are in the first one only */
			if ((h[2] << 8 | h[3]) & 0xfff8)
				return WEIR_VERDICT_PASS_NOT_OURS;
			v = WEIR_VERDICT_PASS_FRAGMENT;
			off += 8;
		} else if (next == 43 && h[3]) {
			return WEIR_VERDICT_PASS_NOT_OURS; /* segments left: this host only routes it on */
		} else if (next == 0 || next == 43 || next == 60) {
			off += (h[1] + 1u) * 8;
		} else {
			return WEIR_VERDICT_PASS_NOT_OURS;
		}
		next = h[0];
	}
	if (next != IPPROTO_TCP)
		return WEIR_VERDICT_PASS_NOT_OURS;
	p->has_ip_options = 1;
	p->l4_off = off;
	return v;
}

/* IPv6 header at `ip`. */
static __always_inline enum weir_verdict parse_ip6(struct weir_pkt *p, void *data, void *ip, void *end)
{
	enum weir_verdict v = WEIR_VERDICT_MORE;
	struct ipv6hdr *h = ip;
	__u32 bytes;

	if (ip + sizeof(*h) > end)
		return WEIR_VERDICT_PASS_NOT_OURS;
	bytes = bpf_ntohs(h->payload_len);
	p->is_v6 = 1;
	p->has_ip_options = 0;
	p->l4_off = p->l3_off + sizeof(*h);
	if (h->version != 6 || p->l4_off + bytes > p->frame_bytes)
		return WEIR_VERDICT_PASS_MALFORMED;
	if (h->nexthdr != IPPROTO_TCP) {
		v = skip_ip6_headers(p, data, end, h->nexthdr, p->l4_off);
		if (v != WEIR_VERDICT_MORE && v != WEIR_VERDICT_PASS_FRAGMENT)
			return v;
	}
	bytes += p->l3_off + sizeof(*h);
	if (bytes < p->l4_off + sizeof(struct tcphdr))
		return WEIR_VERDICT_PASS_MALFORMED;
	p->l4_bytes = bytes - p->l4_off;
	__builtin_memcpy(&p->key.client, &h->saddr, 16);
	__builtin_memcpy(&p->key.server, &h->daddr, 16);
	/* mapped addresses are never on the wire (RFC 4291 2.5.5.2), and would look like an IPv4 flow */
	if (is_mapped(&p->key.client) || is_mapped(&p->key.server))
		return WEIR_VERDICT_PASS_MALFORMED;
	return v;
}

static __always_inline bool is_our_port(__be16 port)
{
	__u32 host = bpf_ntohs(port), word = host >> 6;
	__u64 *bits = bpf_map_lookup_elem(&weir_ports, &word);

	return bits && *bits & 1ULL << (host & 63);
}

static __always_inline bool use_endpoint(struct weir_pkt *p, const struct weir_endpoint *e)
{
	if (!e)
		return false;
	p->endpoint = e->id;
	p->default_pool = e->pool;
	p->buckets = e->buckets;
	p->table = e->table;
	p->endpoint_flags = e->flags;
	return e->flags & WEIR_ENDPOINT_HTTP;
}

/* Is the destination one of our endpoints? */
static __always_inline bool weir_endpoint_find(struct weir_pkt *p)
{
	struct weir_endpoint_key k = { .addr = p->key.server, .port = p->key.server_port };

	return use_endpoint(p, bpf_map_lookup_elem(&weir_endpoints, &k));
}

/* The endpoint of a flow that is known. */
static __always_inline bool weir_endpoint_by_id(struct weir_pkt *p, __u32 id)
{
	return use_endpoint(p, bpf_map_lookup_elem(&weir_ep_by_id, &id));
}

/* A source that no client can have: the kernel drops and counts it. */
static __always_inline bool is_martian(const struct weir_pkt *p)
{
	__u32 first = bpf_ntohl(p->key.client.word[3]) >> 24;

	if (p->is_v6)
		return (p->key.client.word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000) ||
		       !(p->key.client.word[0] | p->key.client.word[1] | p->key.client.word[2] |
			 p->key.client.word[3]);
	return first == 0 || first >= 224;
}

/* TCP header fields at `h`; options are read by weir_options(). */
static __always_inline enum weir_verdict parse_tcp(struct weir_pkt *p, struct tcphdr *h)
{
	__u8 *raw = (__u8 *)h;

	p->seq = bpf_ntohl(h->seq);
	p->ack = bpf_ntohl(h->ack_seq);
	p->window = bpf_ntohs(h->window);
	p->csum = h->check;
	p->tcp_flags = raw[13];
	p->header_bytes = (raw[12] >> 4) * 4u;
	if (p->header_bytes < sizeof(*h) || p->header_bytes > p->l4_bytes)
		return WEIR_VERDICT_PASS_MALFORMED;
	p->payload_bytes = p->l4_bytes - p->header_bytes;
	return WEIR_VERDICT_MORE;
}

/* Parses the frame up to the TCP header. PASS_* verdicts when it is not for us; MORE when it may be: the caller
 * looks for a flow, then for the endpoint. */
static __always_inline enum weir_verdict weir_pkt_parse(struct weir_pkt *p, void *data, void *data_end,
							__u32 frame_bytes, __u32 ifindex)
{
	struct weir_iface *iface = bpf_map_lookup_elem(&weir_ifaces, &ifindex);
	struct ethhdr *eth = data;
	enum weir_verdict v;
	__u16 proto;
	__u32 off, tag;

	if (!iface || (void *)(eth + 1) > data_end)
		return WEIR_VERDICT_PASS_NOT_OURS;
	proto = eth->h_proto;
	tag = proto;
	off = sizeof(*eth);
	if (proto == bpf_htons(ETH_P_8021Q)) {
		if (data + 18 > data_end)
			return WEIR_VERDICT_PASS_NOT_OURS;
		tag = *(__u32 *)(data + 12);
		proto = *(__u16 *)(data + 16);
		off = 18;
	}
	p->l3_off = off;
	p->l2[0] = *(__u32 *)eth->h_source;
	p->l2[1] = *(__u16 *)(eth->h_source + 4) | (__u32) * (__u16 *)eth->h_dest << 16;
	p->l2[2] = *(__u32 *)(eth->h_dest + 2);
	p->l2[3] = tag;
	p->l2[4] = proto;
	p->frame_bytes = frame_bytes;
	p->ifindex = ifindex;
	if (proto == bpf_htons(ETH_P_IP))
		v = parse_ip4(p, data + off, data_end);
	else if (proto == bpf_htons(ETH_P_IPV6))
		v = parse_ip6(p, data, data + off, data_end);
	else
		return WEIR_VERDICT_PASS_NOT_OURS;
	if (v != WEIR_VERDICT_MORE && v != WEIR_VERDICT_PASS_FRAGMENT)
		return v;

	off = p->l4_off;
	opaque(off);
	off &= 0xff;
	if (data + off + sizeof(struct tcphdr) > data_end)
		return v == WEIR_VERDICT_MORE ? WEIR_VERDICT_PASS_MALFORMED : v;
	p->key.client_port = *(__u16 *)(data + off);
	p->key.server_port = *(__u16 *)(data + off + 2);
	*(__u32 *)p->key.pad = 0;
	if (!is_our_port(p->key.server_port))
		return WEIR_VERDICT_PASS_NOT_OURS;
	if (v != WEIR_VERDICT_MORE) /* a later fragment's bytes are no ports: the caller looks at its own risk */
		return v;
	p->iface_flags = iface->flags;
	p->mtu = iface->mtu;
	if (*(__u32 *)eth->h_dest != *(__u32 *)iface->mac ||
	    *(__u16 *)(eth->h_dest + 4) != *(__u16 *)(iface->mac + 4))
		return WEIR_VERDICT_PASS_NOT_OURS;
	if (is_martian(p))
		return WEIR_VERDICT_PASS_MALFORMED;
	return parse_tcp(p, data + off);
}

#define CSUM_CHUNK 512 /* what bpf_csum_diff() takes at most on kernels before 6.13 */

struct csum_ctx {
	struct xdp_md *ctx;
	struct weir_scratch *s;
	__u32 sum;
	__u32 pad;
};

/* Adds the next chunk of the segment, copied to the end of head[]. */
static long csum_chunk(__u64 index, struct csum_ctx *c)
{
	struct weir_scratch *s = c->s;
	__u32 off = (__u32)index * CSUM_CHUNK, bytes;

	if (off >= s->pkt.l4_bytes)
		return 1;
	bytes = s->pkt.l4_bytes - off;
	if (bytes > CSUM_CHUNK)
		bytes = CSUM_CHUNK;
	*(__u32 *)(s->csum + (bytes & ~3u & (CSUM_CHUNK - 1))) = 0;
	if (bytes < 1)
		return 1;
	opaque(bytes);
	if (bytes > CSUM_CHUNK)
		return 1;
	if (bpf_xdp_load_bytes(c->ctx, s->pkt.l4_off + off, s->csum, bytes)) {
		c->sum = 0;
		return 1;
	}
	bytes = (bytes + 3) & ~3u;
	opaque(bytes);
	if (bytes > CSUM_CHUNK)
		return 1;
	c->sum = (__u32)bpf_csum_diff(NULL, 0, (__be32 *)s->csum, bytes, c->sum);
	return 0;
}

/* Copies the TCP segment to head[], or, if it is larger, its header: it is then no plain case. Zeroes what follows and,
 * unless the link is local memory and holds the bare pseudo-header sum, verifies the segment's checksum. */
static __always_inline enum weir_verdict weir_segment_load(struct xdp_md *ctx, struct weir_scratch *s)
{
	struct weir_pkt *p = &s->pkt;
	__u64 sum = csum_pseudo(&p->key, p->is_v6, p->l4_bytes);
	struct csum_ctx c = { .ctx = ctx, .s = s, .sum = csum_fold16(sum) };
	__u32 bytes = p->l4_bytes;
	__u32 at;

	if (bytes > WEIR_HEAD_MAX)
		bytes = p->header_bytes;
	if (bytes < sizeof(struct tcphdr))
		return WEIR_VERDICT_PASS_MALFORMED;
	opaque(bytes);
	if (bytes > WEIR_HEAD_MAX)
		return WEIR_VERDICT_PASS_MALFORMED;
	if (bpf_xdp_load_bytes(ctx, p->l4_off, s->head, bytes))
		return WEIR_VERDICT_PASS_MALFORMED;
	at = bytes & (WEIR_HEAD_MAX * 2 - 1);
	if (at > WEIR_HEAD_MAX)
		return WEIR_VERDICT_PASS_MALFORMED;
	*(__u64 *)(s->head + at) = 0;
	if ((p->iface_flags & WEIR_IFACE_LOCAL) && p->csum == c.sum)
		return WEIR_VERDICT_MORE;
	if (p->l4_bytes <= CSUM_CHUNK) {
		bytes = (bytes + 3) & ~3u;
		opaque(bytes);
		if (bytes > CSUM_CHUNK)
			return WEIR_VERDICT_PASS_MALFORMED;
		c.sum = (__u32)bpf_csum_diff(NULL, 0, (__be32 *)s->head, bytes, c.sum);
	} else {
		bpf_loop(65536 / CSUM_CHUNK, csum_chunk, &c, 0);
	}
	return csum_fold16(c.sum) == 0xffff ? WEIR_VERDICT_MORE : WEIR_VERDICT_PASS_CHECKSUM;
}

/* Reads the TCP options from head[]. RFC 9293 3.1, RFC 7323. A malformed list ends the reading, as in
 * tcp_parse_options(). */
static __always_inline void weir_options(struct weir_scratch *s)
{
	struct weir_pkt *p = &s->pkt;
	__u32 end = p->header_bytes;
	__u32 at = sizeof(struct tcphdr);
	__u32 i;

	p->has_ts = 0;
	p->mss_opt = 0;
	p->wscale_opt = WEIR_NO_OPT;
	p->has_sack = 0;
	p->has_odd_options = 0;
	/* NOP NOP timestamps: what Linux sends on every segment but SYN. */
	if (end == 32 && *(__u32 *)(s->head + 20) == bpf_htonl(0x0101080a)) {
		p->has_ts = 1;
		p->ts_val = bpf_ntohl(*(__u32 *)(s->head + 24));
		p->ts_ecr = bpf_ntohl(*(__u32 *)(s->head + 28));
		return;
	}
#pragma clang loop unroll(disable)
	for (i = 0; i < 40; i++) {
		__u32 kind, len;

		at &= 0x3f;
		if (at >= end)
			break;
		kind = s->head[at];
		if (kind == 0)
			break;
		if (kind == 1) {
			at++;
			continue;
		}
		len = s->head[at + 1];
		if (len < 2 || at + len > end) {
			p->has_odd_options = 1;
			break;
		}
		if (kind != 5 && !(kind == 8 && len == 10))
			p->has_odd_options = 1;
		if (kind == 2 && len == 4) {
			p->mss_opt = (__u16)(s->head[at + 2] << 8 | s->head[at + 3]);
		} else if (kind == 3 && len == 3) {
			p->wscale_opt = s->head[at + 2] > 14 ? 14 : s->head[at + 2];
		} else if (kind == 4 && len == 2) {
			p->has_sack = 1;
		} else if (kind == 8 && len == 10) {
			p->has_ts = 1;
			p->ts_val = bpf_ntohl(*(__u32 *)(s->head + at + 2));
			p->ts_ecr = bpf_ntohl(*(__u32 *)(s->head + at + 6));
		}
		at += len;
	}
}

/* weir_segment_load() for XDP, walked once by the verifier. enum weir_verdict. */
int weir_xdp_load(struct xdp_md *ctx, struct weir_scratch *s);

#endif
