/* SPDX-License-Identifier: GPL-2.0 */
/* What the load generator's two halves share: gen.bpf.c answers packets, gen.c sets it up, injects and reads.
 * Included after vmlinux.h by the BPF half and after <linux/types.h> by the other. */
#ifndef BENCH_GEN_H
#define BENCH_GEN_H

#define GEN_CONNS_MAX 131072	/* connections of one run; power of two */
#define GEN_PORT_BITS 14	/* an index is the client's address and, in these bits, its port */
#define GEN_PORTS (1 << GEN_PORT_BITS)
#define GEN_RESPONSE_MAX 1440	/* bytes of head and body: one segment with timestamps */
#define GEN_REQUEST_MAX 512
#define GEN_WORDS(bytes) (((bytes) + 7) / 8)

enum gen_state {
	GEN_CLOSED,
	GEN_SYN_SENT,
	GEN_OPEN,	  /* a request is out */
	GEN_NEED_REQUEST, /* open, but the SYN-ACK's frame could not grow into a request: gen.c injects it */
	GEN_IDLE,	  /* answered, nothing under way */
	GEN_DEAD,	  /* the server sent RST or FIN */
};

/* One connection, seen from the client. Host byte order. */
struct gen_conn {
	__u32 snd_nxt;	 /* after the request that is out */
	__u32 rcv_nxt;	 /* where the response must start */
	__u32 ts_recent; /* server's TSval, network byte order */
	__u32 requests;	 /* sent so far: gen.c sees a stall by it */
	__u32 state;	 /* enum gen_state */
	__u32 pad;
};

/* What gen_inject makes of a list entry. */
enum gen_inject_kind {
	GEN_INJECT_SYN = 1,
	GEN_INJECT_REQUEST,
	GEN_INJECT_RST,
};
#define GEN_INJECT(kind, idx) ((__u32)(kind) << 24 | (idx))

/* One counter for each way out of gen_xdp; GEN_ROW(name, "help"). */
#define GEN_COUNTERS(GEN_ROW)                                                                      \
	GEN_ROW(verified, "responses at the right seq and ack with every byte and checksum right") \
	GEN_ROW(checksum_offloaded, "of these, with the TCP checksum left to offload")             \
	GEN_ROW(bad_length, "segment at the right place that is not one whole response")           \
	GEN_ROW(bad_bytes, "a byte outside Date differs")                                          \
	GEN_ROW(bad_checksum, "IP or TCP checksum wrong")                                          \
	GEN_ROW(bad_header, "ack, options or flags other than expected")                           \
	GEN_ROW(old, "data at another sequence number: duplicates")                                \
	GEN_ROW(acks, "segments without data")                                                     \
	GEN_ROW(opened, "SYN-ACKs accepted")                                                       \
	GEN_ROW(resets, "RST or FIN from the server")                                              \
	GEN_ROW(no_room, "frames that could not be resized")                                       \
	GEN_ROW(busy, "packets dropped because their next connection had one")

struct gen_counters {
#define GEN_ROW(name, help) __u64 name;
	GEN_COUNTERS(GEN_ROW)
#undef GEN_ROW
};

/* Fixed before load, so that the verifier knows every length. Sums are one's complement sums over
 * 32-bit words as they lie in memory. Addresses and ports in network byte order. */
struct gen_setup {
	__u32 ifindex;
	__u32 connections;
	__u32 with_ts;
	__u32 in_flight;    /* divides connections */
	__u32 request_bytes;
	__u32 response_bytes;
	__u32 vary_first;   /* 64-bit words of the response that hold the Date value: first, */
	__u32 vary_end;	    /* and one past the last; the others must be equal */
	__u32 response_sum; /* of all the other words, folded to 16 bits */
	__u32 request_sum;  /* of the request's bytes, folded to 16 bits */
	__u32 pad;
	__u32 client_ip;    /* the first one; host byte order */
	__be32 server_ip;
	__u16 base_port;    /* host byte order */
	__be16 server_port;
	__u64 eth[2];	    /* 14 bytes of Ethernet header */
};

#endif
