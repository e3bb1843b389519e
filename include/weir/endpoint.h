/* SPDX-License-Identifier: GPL-2.0 */
/* What Weir listens on, which interfaces it is attached to, and the secrets of this boot. */
#ifndef WEIR_ENDPOINT_H
#define WEIR_ENDPOINT_H

#include "weir/limits.h"
#include "weir/types.h"

/* An IPv6 address, or an IPv4 address mapped as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), network byte order. */
struct weir_addr {
	__be32 word[4];
};
_Static_assert(sizeof(struct weir_addr) == 16, "an address is 16 bytes in map keys");

/* Key of weir_endpoints. One entry for each local address: user space expands wildcards, because XDP
 * must not take packets that this host would only forward. Before it the port is looked up in weir_ports, a
 * bitmap of 64-bit words, so that foreign traffic costs one array access; a packet of a known flow finds the
 * endpoint by its id in weir_ep_by_id. */
struct weir_endpoint_key {
	struct weir_addr addr;
	__be16 port;
	__u8 pad[2];
};
_Static_assert(sizeof(struct weir_endpoint_key) == 20, "weir_endpoint_key is hashed as 20 bytes");

enum weir_endpoint_flag {
	WEIR_ENDPOINT_HTTP = 1,	  /* plain HTTP: XDP classifies and answers */
	WEIR_ENDPOINT_SINGLE = 2, /* the only prefix is "*" with "/": every request is for `pool` */
};

struct weir_endpoint {
	__u16 id;	/* 0..WEIR_ENDPOINTS_MAX-1 */
	__u16 pool;	/* pool for requests that XDP cannot route (not the plain case); 0: none */
	__u8 flags;	/* enum weir_endpoint_flag */
	__u8 buckets;	/* 1 << enum weir_bucket for each bucket that has a prefix on this endpoint */
	__u16 table;	/* whose rows in weir_hosts and weir_routes hold for this endpoint */
};
_Static_assert(sizeof(struct weir_endpoint) == 8, "weir_endpoint has no hidden padding");

enum weir_iface_flag {
	WEIR_IFACE_LOCAL = 1, /* link is local memory (lo, veth): offloaded checksums are believed */
	WEIR_IFACE_GENERIC = 2, /* generic XDP: frames cannot grow, tc answers */
};

/* Value of weir_ifaces, by ifindex. */
struct weir_iface {
	__u8 mac[6];	/* a frame for another MAC is not ours; zeros on lo */
	__u8 flags;	/* enum weir_iface_flag */
	__u8 pad;
	__u32 mtu;	/* bytes, without the Ethernet header */
};
_Static_assert(sizeof(struct weir_iface) == 12, "weir_iface has no hidden padding");

/* The only element of weir_secrets. Written by the supervisor, read by every program. */
struct weir_secrets {
	__u64 cache_key[2];	/* SipHash key of cache keys and route digests; fixed for the life of the maps */
	__u64 ts_offset[2];	/* SipHash key of each flow's timestamp offset */
	__u64 cookie[2][2];	/* two generations of the SYN cookie key */
	__u32 cookie_current;	/* which of the two makes new cookies; both are accepted */
	__u32 pad;
};
_Static_assert(sizeof(struct weir_secrets) == 72, "weir_secrets has no hidden padding");

/* The only element of weir_clock, mapped into the supervisor and, in case that dies, the keepers. Who moves `turn` to
 * the present second writes the date that is not current, then stores `current` with release order. XDP masks
 * `current` with 1. */
struct weir_date {
	char text[32];		/* WEIR_DATE_BYTES of IMF-fixdate, then zeros */
	__u32 sum;		/* one's complement sum, not inverted, of text as big-endian words from an even offset */
	__u32 pad;
	__u64 written_ns;	/* CLOCK_MONOTONIC */
};
struct weir_clock {
	__u32 current;
	__u32 turn;		/* low bits of the second that was written last; user space only */
	struct weir_date dates[2];
};
_Static_assert(sizeof(struct weir_clock) == 104, "weir_clock has no hidden padding");

#endif
