/* SPDX-License-Identifier: GPL-2.0 */
/* The flow table: who owns a TCP connection, and what is needed to go on with it. Also the tickets
 * with which a worker offers an idle connection back to XDP. DESIGN rules 1, 3 and 4. */
#ifndef WEIR_FLOW_H
#define WEIR_FLOW_H

#include "weir/endpoint.h"
#include "weir/types.h"

/* Key of weir_flows, weir_timewait and ticket maps: the connection as the client's packets show it. */
struct weir_flow_key {
	struct weir_addr client;
	struct weir_addr server;
	__be16 client_port;
	__be16 server_port;
	__u8 pad[4];
};
_Static_assert(sizeof(struct weir_flow_key) == 40, "weir_flow_key is hashed as 40 bytes");

enum weir_owner {
	WEIR_OWNER_NONE,
	WEIR_OWNER_XDP,    /* XDP answers; no socket exists */
	WEIR_OWNER_KERNEL, /* a socket exists; XDP passes everything up unless it seizes the flow first */
};

enum weir_flow_state {
	WEIR_FLOW_OPEN,
	WEIR_FLOW_FIN_SENT,  /* our FIN is out (with a response), the client's has not come */
	WEIR_FLOW_LAST_ACK,  /* both FINs are out, ours is not acknowledged */
};

enum weir_flow_flag {
	WEIR_FLOW_TS = 1,	 /* timestamps negotiated, RFC 7323 */
	WEIR_FLOW_SACK = 2,	 /* SACK permitted, RFC 2018 */
	WEIR_FLOW_WSCALE = 4,	 /* window scaling negotiated */
	WEIR_FLOW_PENDING = 8,	 /* XDP has passed a request up for hand-over, or for a seize; not done yet */
	WEIR_FLOW_NO_SEIZE = 16, /* the kernel accepted this connection itself: options unknown */
	WEIR_FLOW_CLOSING = 32,	 /* the socket has sent, or is about to send, its FIN */
	WEIR_FLOW_HEAD = 64,	 /* the last answer was to HEAD: no body */
	WEIR_FLOW_CLOSE = 128,	 /* the last answer carried our FIN */
};

/* What an answer is made of. */
enum weir_form {
	WEIR_FORM_WHOLE,	/* head and body, or to HEAD the head */
	WEIR_FORM_NOT_MODIFIED, /* 304 */
};

/* Value of weir_flows. Sequence numbers in host byte order. */
struct weir_flow {
	/* one 8-byte word, changed by compare-and-swap only */
	__u32 rcv_nxt;	/* XDP: next byte expected; KERNEL: end of the highest byte passed up */
	__u32 snd_nxt;	/* XDP: next byte to send; KERNEL: that at hand-over */

	/* any CPU, single stores */
	__u32 snd_una;	/* XDP: oldest byte not acknowledged */
	__u32 ts_recent; /* client's TSval to echo, RFC 7323 4.3 */
	__u32 ts_echo;	/* highest TSecr seen: what a hand-over goes on from */
	__u32 base_rcv;	/* KERNEL: first byte of the request handed over; tickets count from here */
	__u32 base_snd;
	__u32 requests;	/* answered by XDP since the connection began */
	__u32 snd_iss;	/* snd_una at the beginning: how far back an ACK may be old */
	__u32 form;	/* of the last answer: enum weir_form */

	/* the last answer, for the client's retransmission: DESIGN rule 3 */
	__u32 req_seq;
	__u32 req_bytes;
	__u32 resp_bytes; /* without FIN */
	__u32 ts_offset; /* ours: TSval is the millisecond clock plus this */
	__u64 digest[2];
	__u64 generation;

	__u64 created_ns; /* CLOCK_MONOTONIC */
	__u64 seen_ns;	  /* last packet, CLOCK_MONOTONIC */

	__u16 endpoint;	/* id */
	__u16 pool;	/* of the last request; 0: none yet */
	__u16 mss;	/* largest payload that we send */
	__u8 owner;	/* enum weir_owner */
	__u8 state;	/* enum weir_flow_state, meaningful to XDP only */
	__u8 flags;	/* enum weir_flow_flag */
	__u8 snd_wscale; /* the client's shift */
	__u8 rcv_wscale; /* ours */
	__u8 retransmits; /* of the last answer */
	__u16 slot;	/* worker slot chosen at hand-over */
	__u16 window;	/* bytes that we offer to receive */
};
_Static_assert(sizeof(struct weir_flow) == 112, "weir_flow has no hidden padding");

/* Value of weir_timewait: enough to acknowledge a FIN again, RFC 9293 3.3.2. */
struct weir_timewait {
	__u32 rcv_nxt;
	__u32 snd_nxt;
	__u32 ts_recent;
	__u32 has_ts;
	__u64 since_ns;
};
_Static_assert(sizeof(struct weir_timewait) == 24, "weir_timewait has no hidden padding");

#define WEIR_TICKETS 16384 /* slots of a pool's ticket table; power of two */
#define WEIR_TICKET_WAYS 4 /* of them in a bucket: connections that may meet there without loss */

/* Low byte of weir_ticket.state; above it is a generation that each publication changes, so that a compare-and-swap
 * on the whole word cannot take another connection's ticket. */
enum weir_ticket_state {
	WEIR_TICKET_EMPTY,
	WEIR_TICKET_WRITING, /* a worker thread fills it */
	WEIR_TICKET_OFFERED, /* idle connection: XDP may take it back */
	WEIR_TICKET_TAKEN,   /* XDP took it back: the worker's socket is being reset */
	WEIR_TICKET_COUNTED, /* a request was passed up and counted in weir_queue.arrived */
};

/* A slot of a pool's ticket table, an array of buckets that the pool's workers map. A worker offers a connection before the last send
 * of a response and withdraws the offer before it closes an idle connection. Whoever moves the state away from OFFERED has
 * the connection: worker to EMPTY, tc to TAKEN, XDP to COUNTED. A slot that is TAKEN or COUNTED belongs to the connection
 * in `key` until its worker empties it; one that is OFFERED may be overwritten for another connection if the bucket has
 * no empty one. A key is in one slot at most: whoever offers takes the slot that has it already. */
struct weir_ticket {
	__u32 state;	/* atomic */
	__u32 consumed;	/* bytes the worker will have read from the socket since accept(), modulo 2^32 */
	__u32 sent;	/* bytes it will have written when the response is complete, modulo 2^32 */
	__u32 pad;
	struct weir_flow_key key;
	__u64 spare;
};
_Static_assert(sizeof(struct weir_ticket) == 64, "weir_ticket fills a cache line");

/* Value of the ticket table. */
struct weir_ticket_bucket {
	struct weir_ticket ways[WEIR_TICKET_WAYS];
};
_Static_assert(sizeof(struct weir_ticket_bucket) == 256, "user space sees an array of weir_ticket");

#define WEIR_TICKET_BUCKETS (WEIR_TICKETS / WEIR_TICKET_WAYS)

/* The bucket of a connection. Not keyed: who makes connections collide loses only their own quick way back, and their
 * later requests go uncounted. */
WEIR_INLINE __u32 weir_ticket_bucket(const struct weir_flow_key *k)
{
	__u32 h = k->client.word[0] ^ k->client.word[1] ^ k->client.word[3] ^ k->server.word[3];

	h = h * 0x9e3779b1u ^ ((__u32)k->client_port << 16 | k->server_port);
	h = (h ^ h >> 16) * 0x85ebca6bu;
	h = (h ^ h >> 13) * 0xc2b2ae35u;
	return (h ^ h >> 16) & (WEIR_TICKET_BUCKETS - 1);
}

#endif
