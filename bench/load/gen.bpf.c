// SPDX-License-Identifier: GPL-2.0
/* A closed-loop HTTP client as an XDP program. gen_xdp sits on the client's end of a veth pair and turns each
 * response into the next request of the same connection, in the same frame, after checking it whole: place in the
 * stream, IP and TCP checksums, and every byte against the response that gen.c learned, but for the Date value.
 * gen_inject makes first packets and repeats lost ones; gen.c runs it with BPF_F_TEST_XDP_LIVE_FRAMES.
 *
 * With more connections than packets in flight, packet i serves connections i, i + in_flight, i + 2 in_flight ... in
 * turn. A connection has at most one packet under way, so its state needs no lock. */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "gen.h"

char LICENSE[] SEC("license") = "GPL";

#define ETH_IP_BYTES (sizeof(struct ethhdr) + sizeof(struct iphdr))
#define TCP_OFF ETH_IP_BYTES
#define FLAG_FIN 0x01
#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_PSH 0x08
#define FLAG_ACK 0x10
#define WINDOW 0xffff
#define IPPROTO_TCP 6
#define TS_WORD bpf_htonl(0x0101080a) /* NOP, NOP, timestamps, length 10 */
#define SYN_OPT_BYTES 20

const volatile struct gen_setup setup;
const volatile __u64 want[GEN_WORDS(GEN_RESPONSE_MAX)];	/* the response */
const volatile __u64 vary[GEN_WORDS(GEN_RESPONSE_MAX)];	/* bits that must be equal in its Date words */
const volatile __u64 want_last;				/* last 8 bytes of the response */
const volatile __u64 request[GEN_WORDS(GEN_REQUEST_MAX)];
const volatile __u64 request_last;			/* last 8 bytes of the request */

/* any CPU, one at a time for each element; gen.c reads */
struct gen_conn conns[GEN_CONNS_MAX];
/* written by gen.c; is_single: one request on each connection, then an ACK and silence */
__u32 is_single;
__u32 is_stopped;
/* written by gen.c between runs of gen_inject */
__u32 inject_list[GEN_CONNS_MAX];
__u32 inject_next;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gen_counters);
} counters SEC(".maps");

static __always_inline __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u32)sum;
}

static __always_inline __u64 sum_words(const __u32 *p, __u32 count)
{
	__u64 sum = 0;

#pragma unroll
	for (__u32 i = 0; i < count; i++)
		sum += p[i];
	return sum;
}

/* Writes Ethernet and IPv4 headers for a segment of connection `idx` with `tcp_bytes`; returns the pseudo
 * header's sum. */
static __always_inline __u64 put_eth_ip(void *data, __u32 idx, __u32 tcp_bytes)
{
	struct iphdr *ip = data + sizeof(struct ethhdr);
	__u32 *w = (__u32 *)ip;
	__u64 addrs;

	*(__u64 *)data = setup.eth[0];
	*(__u64 *)(data + 8) = setup.eth[1]; /* two bytes of IP too, written next */
	w[0] = bpf_htonl(0x45000000 | (tcp_bytes + 20));
	w[1] = bpf_htonl(0x00004000); /* do not fragment */
	w[2] = bpf_htonl(64 << 24 | IPPROTO_TCP << 16);
	w[3] = bpf_htonl(setup.client_ip + (idx >> GEN_PORT_BITS));
	w[4] = setup.server_ip;
	addrs = (__u64)w[3] + w[4];
	ip->check = (__u16)~fold(addrs + w[0] + w[1] + w[2]);
	return addrs + bpf_htonl(IPPROTO_TCP << 16 | tcp_bytes);
}

/* Writes the TCP header at `w`; `sum` is that of everything else that the checksum covers. */
static __always_inline void put_tcp(__u32 *w, __u32 idx, __u32 seq, __u32 ack, __u32 words, __u32 flags,
				    __u64 sum)
{
	w[0] = (__u32)bpf_htons((__u16)(setup.base_port + (idx & (GEN_PORTS - 1)))) | (__u32)setup.server_port << 16;
	w[1] = bpf_htonl(seq);
	w[2] = bpf_htonl(ack);
	w[3] = bpf_htonl(words << 28 | flags << 16 | WINDOW);
	sum += (__u64)w[0] + w[1] + w[2] + w[3];
	w[4] = (~fold(sum)) & 0xffff; /* urgent pointer 0 */
}

static __always_inline __u64 put_ts(__u32 *w, __u32 tsecr)
{
	w[0] = TS_WORD;
	w[1] = bpf_htonl((__u32)bpf_jiffies64() + 1);
	w[2] = tsecr;
	return (__u64)w[0] + w[1] + w[2];
}

/* clang 14 merges loads of ctx->data in different branches into one through a computed pointer, which the verifier
 * refuses ("dereference of modified ctx ptr"); in assembly they stay as they are. */
static __always_inline void *ctx_data(const struct xdp_md *ctx)
{
	void *p;

	asm volatile("%0 = *(u32 *)(%1 + 0)" : "=r"(p) : "r"(ctx));
	return p;
}

static __always_inline void *ctx_end(const struct xdp_md *ctx)
{
	void *p;

	asm volatile("%0 = *(u32 *)(%1 + 4)" : "=r"(p) : "r"(ctx));
	return p;
}

/* Resizes the frame to `bytes`. The caller loads its pointers again. */
static __always_inline int resize(struct xdp_md *ctx, __u32 bytes)
{
	__u32 now = (__u32)(ctx_end(ctx) - ctx_data(ctx));

	if (bytes == now)
		return 0;
	return bpf_xdp_adjust_tail(ctx, (int)bytes - (int)now) ? -1 : 0;
}

/* Makes the frame the request of `c` that starts at `seq`. */
static __always_inline int put_request(struct xdp_md *ctx, struct gen_conn *c, __u32 idx, __u32 seq)
{
	const __u32 tcp_words = setup.with_ts ? 8 : 5, text = setup.request_bytes;
	const __u32 bytes = TCP_OFF + tcp_words * 4 + text;
	void *data, *end;
	__u32 *w;
	__u64 *p;
	__u64 sum;

	if (resize(ctx, bytes))
		return -1;
	data = ctx_data(ctx);
	end = ctx_end(ctx);
	if (data + bytes > end)
		return -1;

	sum = put_eth_ip(data, idx, tcp_words * 4 + text) + setup.request_sum;
	w = data + TCP_OFF;
	if (tcp_words == 8)
		sum += put_ts(w + 5, c->ts_recent);
	put_tcp(w, idx, seq, c->rcv_nxt, tcp_words, FLAG_ACK | FLAG_PSH, sum);

	p = data + TCP_OFF + tcp_words * 4;
	for (__u32 i = 0; i < text / 8 && i < GEN_WORDS(GEN_REQUEST_MAX); i++)
		p[i] = request[i];
	*(__u64 *)((void *)p + text - 8) = request_last;
	return 0;
}

/* Makes the frame a segment without data. */
static __always_inline int put_bare(struct xdp_md *ctx, struct gen_conn *c, __u32 idx, __u32 flags)
{
	__u32 tcp_words = setup.with_ts && !(flags & FLAG_RST) ? 8 : 5;
	__u32 bytes = TCP_OFF + tcp_words * 4;
	void *data, *end;
	__u64 sum;

	if (resize(ctx, bytes))
		return -1;
	data = ctx_data(ctx);
	end = ctx_end(ctx);
	if (data + bytes > end)
		return -1;
	sum = put_eth_ip(data, idx, tcp_words * 4);
	if (tcp_words == 8)
		sum += put_ts(data + TCP_OFF + 20, c->ts_recent);
	put_tcp(data + TCP_OFF, idx, c->snd_nxt, c->rcv_nxt, tcp_words, flags, sum);
	return 0;
}

/* The TSval of a SYN-ACK, network byte order; 0 if there is none. */
static __always_inline __u32 find_ts(void *opt, void *end, __u32 opt_bytes)
{
	__u32 off = 0;

	for (int i = 0; i < 12; i++) {
		__u8 *o = opt + off;

		if (off >= opt_bytes || off > 30 || (void *)(o + 10) > end)
			return 0;
		if (o[0] == 8)
			return *(__u32 *)(o + 2);
		if (o[0] == 0)
			return 0;
		off += o[0] == 1 ? 1 : o[1] & 0x1f;
	}
	return 0;
}

/* Bits in which words first .. end - 1 differ from the response. The inner loop: four words at a time, and a function
 * of its own because clang 14 spills registers in it when it is inlined (20 ns more). */
static __noinline __u64 differ(const __u64 *p, __u32 first, __u32 end)
{
	__u64 diff = 0;
	__u32 i;

	for (i = first; i + 4 <= end && i < GEN_WORDS(GEN_RESPONSE_MAX) - 3; i += 4) {
		diff |= p[i] ^ want[i];
		diff |= p[i + 1] ^ want[i + 1];
		diff |= p[i + 2] ^ want[i + 2];
		diff |= p[i + 3] ^ want[i + 3];
	}
	for (; i < end && i < GEN_WORDS(GEN_RESPONSE_MAX); i++)
		diff |= p[i] ^ want[i];
	return diff;
}

/* Whether the payload is the response. *ret_sum: its part of the checksum, which for bytes that are equal to
 * the expected ones is known; only the words with the Date value are summed. */
static __always_inline bool is_expected(const void *payload, __u32 bytes, __u64 *ret_sum)
{
	const __u32 first = setup.vary_first, end = setup.vary_end;
	const __u64 *p = payload;
	__u64 diff, sum = setup.response_sum;

	diff = differ(p, 0, first) | differ(p, end, bytes / 8);
	for (__u32 i = first; i < end && i < GEN_WORDS(GEN_RESPONSE_MAX); i++) {
		__u64 x = p[i];

		diff |= (x ^ want[i]) & vary[i];
		sum += (x & 0xffffffff) + (x >> 32);
	}
	diff |= *(const __u64 *)(payload + bytes - 8) ^ want_last;
	*ret_sum = sum;
	return !diff;
}

/* Checks a segment that starts at rcv_nxt and counts it. */
static __always_inline void verify(struct gen_counters *n, const struct gen_conn *c, void *data, void *end,
				   __u32 head_bytes, __u32 payload_bytes)
{
	const __u32 tcp_bytes = setup.with_ts ? 32 : 20, want_bytes = setup.response_bytes;
	__u64 pseudo, sum, payload_sum;
	__u32 *ip, *w;

	if (payload_bytes != want_bytes || data + TCP_OFF + tcp_bytes + want_bytes > end) {
		n->bad_length++;
		return;
	}
	ip = data + sizeof(struct ethhdr);
	w = data + TCP_OFF;
	if (head_bytes != tcp_bytes || bpf_ntohl(w[2]) != c->snd_nxt || (setup.with_ts && w[5] != TS_WORD) ||
	    ((bpf_ntohl(w[3]) >> 16) & 0xff & ~FLAG_PSH) != FLAG_ACK) {
		n->bad_header++;
		return;
	}
	if (!is_expected(data + TCP_OFF + tcp_bytes, want_bytes, &payload_sum)) {
		n->bad_bytes++;
		return;
	}

	pseudo = (__u64)ip[3] + ip[4] + bpf_htonl(IPPROTO_TCP << 16 | (tcp_bytes + want_bytes));
	sum = pseudo + payload_sum + sum_words(w, 5);
	if (tcp_bytes == 32)
		sum += sum_words(w + 5, 3);
	if (fold(sum_words(ip, 5)) != 0xffff) {
		n->bad_checksum++;
		return;
	}
	if (fold(sum) != 0xffff) {
		if ((w[4] & 0xffff) != fold(pseudo)) {
			n->bad_checksum++;
			return;
		}
		n->checksum_offloaded++;
	}
	n->verified++;
}

/* Sends the next request in this frame. */
static __always_inline int go_on(struct xdp_md *ctx, struct gen_counters *n, struct gen_conn *c, __u32 idx)
{
	if (put_request(ctx, c, idx, c->snd_nxt)) {
		n->no_room++;
		c->state = GEN_NEED_REQUEST;
		return XDP_DROP;
	}
	c->snd_nxt += setup.request_bytes;
	c->requests++;
	return XDP_TX;
}

SEC("xdp")
int gen_xdp(struct xdp_md *ctx)
{
	void *data = ctx_data(ctx), *end = ctx_end(ctx);
	__u32 zero = 0, port, idx, flags, head_bytes, total;
	struct gen_counters *n;
	struct gen_conn *c;
	__u32 *ip, *w;

	if (data + TCP_OFF + 20 > end || ((struct ethhdr *)data)->h_proto != bpf_htons(0x0800))
		return XDP_PASS;
	ip = data + sizeof(struct ethhdr);
	w = data + TCP_OFF;
	port = (bpf_ntohl(w[0]) & 0xffff) - setup.base_port;
	idx = (bpf_ntohl(ip[4]) - setup.client_ip) << GEN_PORT_BITS | port;
	if ((bpf_ntohl(ip[0]) >> 24) != 0x45 || ((bpf_ntohl(ip[2]) >> 16) & 0xff) != IPPROTO_TCP ||
	    ip[3] != setup.server_ip || (w[0] & 0xffff) != setup.server_port || port >= GEN_PORTS ||
	    idx >= setup.connections)
		return XDP_PASS;
	n = bpf_map_lookup_elem(&counters, &zero);
	if (!n || is_stopped)
		return XDP_DROP;

	/* clang 14 drops the mask after the comparison above, and the verifier then loses the bound. */
	asm volatile("" : "+r"(idx));
	c = &conns[idx & (GEN_CONNS_MAX - 1)];
	total = bpf_ntohl(ip[0]) & 0xffff;
	flags = (bpf_ntohl(w[3]) >> 16) & 0xff;
	head_bytes = (bpf_ntohl(w[3]) >> 28) * 4;
	if (flags & FLAG_RST) {
		n->resets++;
		c->state = GEN_DEAD;
		return XDP_DROP;
	}
	if (flags & FLAG_SYN) {
		if (c->state != GEN_SYN_SENT || bpf_ntohl(w[2]) != c->snd_nxt || !(flags & FLAG_ACK))
			return XDP_DROP;
		c->rcv_nxt = bpf_ntohl(w[1]) + 1;
		c->ts_recent = setup.with_ts ? find_ts(w + 5, end, head_bytes - 20) : 0;
		c->state = GEN_OPEN;
		n->opened++;
		return go_on(ctx, n, c, idx);
	}
	if (total <= 20 + head_bytes) {
		if (flags & FLAG_FIN) {
			n->resets++;
			c->state = GEN_DEAD;
		}
		n->acks++;
		return XDP_DROP;
	}
	if (bpf_ntohl(w[1]) != c->rcv_nxt || c->state != GEN_OPEN) {
		n->old++;
		return XDP_DROP;
	}

	verify(n, c, data, end, head_bytes, total - 20 - head_bytes);
	c->rcv_nxt += total - 20 - head_bytes;
	if (setup.with_ts && data + TCP_OFF + 32 <= end)
		c->ts_recent = w[6];
	if (is_single) {
		c->state = GEN_IDLE;
		return put_bare(ctx, c, idx, FLAG_ACK) ? XDP_DROP : XDP_TX;
	}
	if (setup.in_flight != setup.connections) {
		c->state = GEN_IDLE;
		idx += setup.in_flight;
		idx -= idx < setup.connections ? 0 : setup.connections;
		asm volatile("" : "+r"(idx));
		c = &conns[idx & (GEN_CONNS_MAX - 1)];
		if (c->state != GEN_IDLE) {
			n->busy++;
			return XDP_DROP;
		}
		c->state = GEN_OPEN;
	}
	return go_on(ctx, n, c, idx);
}

/* Makes the frame a SYN with MSS, SACK permitted, window scale 0 and, if asked for, timestamps. */
static __always_inline int put_syn(struct xdp_md *ctx, struct gen_conn *c, __u32 idx)
{
	__u32 bytes = TCP_OFF + 20 + SYN_OPT_BYTES;
	void *data, *end;
	__u64 sum;
	__u32 *w;

	if (resize(ctx, bytes))
		return -1;
	data = ctx_data(ctx);
	end = ctx_end(ctx);
	if (data + bytes > end)
		return -1;
	sum = put_eth_ip(data, idx, 20 + SYN_OPT_BYTES);
	w = data + TCP_OFF;
	w[5] = bpf_htonl(0x020405b4); /* MSS 1460 */
	w[6] = bpf_htonl(setup.with_ts ? 0x0402080a : 0x01010402);
	w[7] = setup.with_ts ? bpf_htonl((__u32)bpf_jiffies64() + 1) : bpf_htonl(0x01030300);
	w[8] = 0; /* no timestamps: end of options */
	w[9] = setup.with_ts ? bpf_htonl(0x01030300) : 0;
	sum += sum_words(w + 5, 5);
	put_tcp(w, idx, c->snd_nxt - 1, 0, 10, FLAG_SYN, sum);
	return 0;
}

/* Takes the next entry of inject_list and sends what it says; gen.c is the only one that runs it. */
SEC("xdp")
int gen_inject(struct xdp_md *ctx)
{
	__u32 at = inject_next++, entry, idx;
	struct gen_conn *c;
	int r = -1;

	entry = inject_list[at & (GEN_CONNS_MAX - 1)];
	idx = entry & 0xffffff;
	c = &conns[idx & (GEN_CONNS_MAX - 1)];
	switch (entry >> 24) {
	case GEN_INJECT_SYN:
		r = put_syn(ctx, c, idx);
		break;
	case GEN_INJECT_REQUEST:
		r = put_request(ctx, c, idx, c->snd_nxt - setup.request_bytes);
		break;
	case GEN_INJECT_RST:
		r = put_bare(ctx, c, idx, FLAG_RST | FLAG_ACK);
		break;
	}
	return r ? XDP_DROP : bpf_redirect(setup.ifindex, 0);
}
