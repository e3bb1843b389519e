/* SPDX-License-Identifier: GPL-2.0 */
/* TCP packets for tests: built from a description, taken apart into the same description, every checksum by plain
 * byte loops that share nothing with the code under test. No state, any thread. */
#ifndef WEIR_TEST_PACKET_H
#define WEIR_TEST_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/flow.h"

#define PACKET_FRAME_MAX 8192

enum packet_flag {
	FIN = 0x01,
	SYN = 0x02,
	RST = 0x04,
	PSH = 0x08,
	ACK = 0x10,
	URG = 0x20,
	ECE = 0x40,
	CWR = 0x80,
};

/* Numbers in host byte order, but for addresses. What is zero is absent. */
struct packet {
	/* Ethernet */
	uint8_t to[6];
	uint8_t from[6];
	unsigned tags;	    /* 0 to 2 VLAN tags, outermost first */
	uint16_t tpid[2];
	uint16_t tci[2];
	unsigned padding;   /* bytes behind the IP packet */
	/* IP: from `client` to `server`, mapped addresses if it is IPv4 */
	bool is_v6;
	struct weir_addr client;
	struct weir_addr server;
	uint16_t frag;	    /* flags and offset field of IPv4 */
	unsigned ip_option_bytes; /* IPv4: so many no-operation options; IPv6: a destination options header; / 4, / 8 */
	/* TCP */
	uint16_t client_port;
	uint16_t server_port;
	uint32_t seq;
	uint32_t ack;
	uint16_t window;
	uint8_t flags;	    /* enum packet_flag */
	uint16_t mss;
	bool has_sack;
	bool has_wscale;
	bool has_ts;
	uint8_t wscale;
	uint32_t ts_val;
	uint32_t ts_ecr;
	const uint8_t *raw_options; /* instead of those above; multiple of 4 bytes */
	unsigned raw_option_bytes;
	const void *payload;
	size_t payload_bytes;
};

/* Writes the frame, at most PACKET_FRAME_MAX bytes; returns its length. */
size_t packet_build(const struct packet *p, uint8_t *frame);

/* Takes a frame apart. NULL: it is well-formed, nothing is behind the IP packet, and both checksums are right; else
 * what is wrong. The payload points into the frame. */
const char *packet_parse(const uint8_t *frame, size_t bytes, struct packet *ret);

/* Where things are in a frame that packet_build() made. */
size_t packet_ip_offset(const struct packet *p);
size_t packet_tcp_offset(const struct packet *p);

/* Replaces the TCP checksum by what checksum offload leaves: the sum of the pseudo header, not inverted. */
void packet_offload(const struct packet *p, uint8_t *frame);

/* Computes the IP header's checksum anew, after a test has changed its bytes. */
void packet_sum_ip(const struct packet *p, uint8_t *frame);

/* The other direction: addresses and ports swapped. */
void packet_swap(struct packet *p);

/* The connection as the client's packets show it. */
struct weir_flow_key packet_key(const struct packet *p);

/* One's complement sum of big-endian 16-bit words, folded, not inverted. */
uint16_t packet_sum(const void *data, size_t bytes);

#endif
