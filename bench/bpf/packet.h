/* SPDX-License-Identifier: GPL-2.0 */
/* TCP segments made by hand, for test runs: IPv4, no options but MSS and window scale in the SYN, right checksums. */
#ifndef BENCH_PACKET_H
#define BENCH_PACKET_H

#include <linux/types.h>
#include <stddef.h>

struct packet {
	__u8 data[1514];
	__u32 bytes;
};

/* Who talks; network byte order. */
struct packet_ends {
	__u8 server_mac[6];
	__be16 server_port;
	__be32 server_ip;
};

struct packet_conn {
	struct packet_ends ends;
	__be32 client_ip;
	__be16 client_port;
	__u32 seq, ack; /* of the next packet */
	__u32 last_bytes; /* of data (or SYN) in the last packet: taken as acknowledged by packet_take() */
};

/* The `n`th connection: an address and a port that no other one has. */
void packet_conn_init(struct packet_conn *c, const struct packet_ends *ends, unsigned n);

void packet_syn(struct packet_conn *c, struct packet *ret);
void packet_data(struct packet_conn *c, const char *data, struct packet *ret);
void packet_rst(struct packet_conn *c, struct packet *ret);

/* Moves on by what the server answered. -1: not an answer that acknowledges the last packet, or without content. */
int packet_take(struct packet_conn *c, const void *answer, size_t bytes);

#endif
