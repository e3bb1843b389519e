// SPDX-License-Identifier: GPL-2.0
/* Builds and takes apart Ethernet, VLAN, IPv4, IPv6 and TCP by offsets and single bytes. */
#include "harness/packet.h"

#include <arpa/inet.h>
#include <string.h>

#define ETHERTYPE_4 0x0800
#define ETHERTYPE_6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define PROTO_TCP 6
#define PROTO_DSTOPTS 60

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint64_t add(uint64_t sum, const uint8_t *p, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

uint16_t packet_sum(const void *data, size_t bytes)
{
	return fold(add(0, data, bytes));
}

/* Addresses, protocol and length, from the IP header itself. */
static uint64_t pseudo(const uint8_t *ip, bool is_v6, size_t tcp_bytes)
{
	uint64_t sum = PROTO_TCP + tcp_bytes;

	return is_v6 ? add(sum, ip + 8, 32) : add(sum, ip + 12, 8);
}

size_t packet_ip_offset(const struct packet *p)
{
	return 14 + 4 * p->tags;
}

size_t packet_tcp_offset(const struct packet *p)
{
	return packet_ip_offset(p) + (p->is_v6 ? 40 : 20) + p->ip_option_bytes;
}

static size_t put_options(const struct packet *p, uint8_t *o)
{
	size_t n = 0;

	if (p->raw_options) {
		memcpy(o, p->raw_options, p->raw_option_bytes);
		return p->raw_option_bytes;
	}
	if (p->mss) {
		put32(o, 0x02040000u | p->mss);
		n += 4;
	}
	if (p->has_sack || p->has_ts) {
		put16(o + n, p->has_sack ? 0x0402 : 0x0101);
		n += 2;
	}
	if (p->has_ts) {
		put16(o + n, 0x080a);
		put32(o + n + 2, p->ts_val);
		put32(o + n + 6, p->ts_ecr);
		n += 10;
	}
	if (p->has_wscale) {
		put32(o + n, 0x01030300u | p->wscale);
		n += 4;
	}
	while (n & 3)
		o[n++] = 1;
	return n;
}

/* PadN all over, RFC 8200 4.2. */
static void put_destination_options(uint8_t *h, size_t bytes)
{
	memset(h, 0, bytes);
	h[0] = PROTO_TCP;
	h[1] = (uint8_t)(bytes / 8 - 1);
	h[2] = 1;
	h[3] = (uint8_t)(bytes - 4);
}

static void put_ip(const struct packet *p, uint8_t *ip, size_t tcp_bytes)
{
	size_t header = 20 + p->ip_option_bytes;

	if (p->is_v6) {
		memset(ip, 0, 40);
		ip[0] = 0x60;
		put16(ip + 4, (uint16_t)(p->ip_option_bytes + tcp_bytes));
		ip[6] = p->ip_option_bytes ? PROTO_DSTOPTS : PROTO_TCP;
		ip[7] = 61;
		memcpy(ip + 8, &p->client, 16);
		memcpy(ip + 24, &p->server, 16);
		if (p->ip_option_bytes)
			put_destination_options(ip + 40, p->ip_option_bytes);
		return;
	}
	memset(ip, 0, 20);
	memset(ip + 20, 1, p->ip_option_bytes);
	ip[0] = (uint8_t)(0x40 | header / 4);
	put16(ip + 2, (uint16_t)(header + tcp_bytes));
	put16(ip + 4, 0x1234);
	put16(ip + 6, p->frag ? p->frag : 0x4000);
	ip[8] = 61;
	ip[9] = PROTO_TCP;
	memcpy(ip + 12, &p->client.word[3], 4);
	memcpy(ip + 16, &p->server.word[3], 4);
	put16(ip + 10, (uint16_t)~packet_sum(ip, header));
}

void packet_sum_ip(const struct packet *p, uint8_t *frame)
{
	uint8_t *ip = frame + packet_ip_offset(p);

	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~packet_sum(ip, (ip[0] & 15) * 4u));
}

size_t packet_build(const struct packet *p, uint8_t *frame)
{
	uint8_t *ip = frame + packet_ip_offset(p), *tcp = frame + packet_tcp_offset(p);
	size_t header, bytes, i, at = 12;

	memcpy(frame, p->to, 6);
	memcpy(frame + 6, p->from, 6);
	for (i = 0; i < p->tags; i++, at += 4) {
		put16(frame + at, p->tpid[i] ? p->tpid[i] : ETHERTYPE_VLAN);
		put16(frame + at + 2, p->tci[i]);
	}
	put16(frame + at, p->is_v6 ? ETHERTYPE_6 : ETHERTYPE_4);

	memset(tcp, 0, 20);
	put16(tcp, p->client_port);
	put16(tcp + 2, p->server_port);
	put32(tcp + 4, p->seq);
	put32(tcp + 8, p->ack);
	header = 20 + put_options(p, tcp + 20);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = p->flags;
	put16(tcp + 14, p->window);
	if (p->payload_bytes)
		memcpy(tcp + header, p->payload, p->payload_bytes);
	bytes = header + p->payload_bytes;
	put_ip(p, ip, bytes);
	put16(tcp + 16, (uint16_t)~fold(add(pseudo(ip, p->is_v6, bytes), tcp, bytes)));
	memset(tcp + bytes, 0xee, p->padding);
	return (size_t)(tcp - frame) + bytes + p->padding;
}

void packet_offload(const struct packet *p, uint8_t *frame)
{
	const uint8_t *ip = frame + packet_ip_offset(p);
	uint8_t *tcp = frame + packet_tcp_offset(p);
	size_t bytes = p->is_v6 ? get16(ip + 4) : get16(ip + 2) - (ip[0] & 15) * 4u;

	put16(tcp + 16, fold(pseudo(ip, p->is_v6, bytes)));
}

static const char *parse_options(const uint8_t *o, size_t bytes, struct packet *ret)
{
	size_t at = 0, len;

	while (at < bytes && o[at] != 0) {
		if (o[at] == 1) {
			at++;
			continue;
		}
		len = at + 1 < bytes ? o[at + 1] : 0;
		if (len < 2 || at + len > bytes)
			return "TCP option length";
		if (o[at] == 2 && len == 4) {
			ret->mss = get16(o + at + 2);
		} else if (o[at] == 3 && len == 3) {
			ret->has_wscale = true;
			ret->wscale = o[at + 2];
		} else if (o[at] == 4 && len == 2) {
			ret->has_sack = true;
		} else if (o[at] == 8 && len == 10) {
			ret->has_ts = true;
			ret->ts_val = get32(o + at + 2);
			ret->ts_ecr = get32(o + at + 6);
		} else {
			return "TCP option that nobody asked for";
		}
		at += len;
	}
	return NULL;
}

static const char *parse_tcp(const uint8_t *tcp, size_t bytes, struct packet *ret)
{
	size_t header;

	if (bytes < 20)
		return "no whole TCP header";
	header = (tcp[12] >> 4) * 4u;
	if (header < 20 || header > bytes)
		return "TCP data offset";
	if (tcp[12] & 15)
		return "TCP reserved bits";
	ret->client_port = get16(tcp);
	ret->server_port = get16(tcp + 2);
	ret->seq = get32(tcp + 4);
	ret->ack = get32(tcp + 8);
	ret->flags = tcp[13];
	ret->window = get16(tcp + 14);
	if (get16(tcp + 18))
		return "urgent pointer";
	ret->payload = tcp + header;
	ret->payload_bytes = bytes - header;
	return parse_options(tcp + 20, header - 20, ret);
}

static const char *parse_ip(const uint8_t *ip, size_t bytes, struct packet *ret)
{
	size_t header = ret->is_v6 ? 40 : 20, total;

	if (bytes < header || ip[0] != (ret->is_v6 ? 0x60 : 0x45))
		return "IP header";
	if (ip[ret->is_v6 ? 6 : 9] != PROTO_TCP || !ip[ret->is_v6 ? 7 : 8])
		return "IP protocol or hop limit";
	total = ret->is_v6 ? 40u + get16(ip + 4) : get16(ip + 2);
	if (total != bytes)
		return "IP length is not the frame's";
	if (ret->is_v6) {
		memcpy(&ret->client, ip + 8, 16);
		memcpy(&ret->server, ip + 24, 16);
	} else {
		if (packet_sum(ip, 20) != 0xffff)
			return "IP checksum";
		ret->frag = get16(ip + 6);
		ret->client.word[2] = ret->server.word[2] = htonl(0xffff);
		memcpy(&ret->client.word[3], ip + 12, 4);
		memcpy(&ret->server.word[3], ip + 16, 4);
	}
	if (fold(add(pseudo(ip, ret->is_v6, bytes - header), ip + header, bytes - header)) != 0xffff)
		return "TCP checksum";
	return parse_tcp(ip + header, bytes - header, ret);
}

const char *packet_parse(const uint8_t *frame, size_t bytes, struct packet *ret)
{
	size_t at = 12;

	memset(ret, 0, sizeof(*ret));
	if (bytes < 14)
		return "no whole Ethernet header";
	memcpy(ret->to, frame, 6);
	memcpy(ret->from, frame + 6, 6);
	while (ret->tags < 2 && at + 6 <= bytes && get16(frame + at) == ETHERTYPE_VLAN) {
		ret->tpid[ret->tags] = ETHERTYPE_VLAN;
		ret->tci[ret->tags++] = get16(frame + at + 2);
		at += 4;
	}
	if (get16(frame + at) != ETHERTYPE_4 && get16(frame + at) != ETHERTYPE_6)
		return "EtherType";
	ret->is_v6 = get16(frame + at) == ETHERTYPE_6;
	return parse_ip(frame + at + 2, bytes - at - 2, ret);
}

void packet_swap(struct packet *p)
{
	struct weir_addr addr = p->client;
	uint16_t port = p->client_port;

	p->client = p->server;
	p->server = addr;
	p->client_port = p->server_port;
	p->server_port = port;
}

struct weir_flow_key packet_key(const struct packet *p)
{
	struct weir_flow_key k = {
		.client = p->client,
		.server = p->server,
		.client_port = htons(p->client_port),
		.server_port = htons(p->server_port),
	};

	return k;
}
