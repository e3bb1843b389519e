/* SPDX-License-Identifier: GPL-2.0 */
/* The URL namespace of HTTP.sys as one pair of hash tables that XDP, workers and the command line read
 * alike. A prefix is (endpoint, bucket, host, path). weir_hosts finds the group of prefixes that share
 * the first three and says how deep its paths go; weir_routes finds the longest of them by a digest of
 * whole path segments. Both digests are keyed, see weir/key.h. */
#ifndef WEIR_ROUTE_H
#define WEIR_ROUTE_H

#include "weir/limits.h"
#include "weir/types.h"

/* Searched in this order; the first bucket with a match wins. */
enum weir_bucket {
	WEIR_BUCKET_STRONG,	/* "+": any host */
	WEIR_BUCKET_HOST,	/* explicit host name */
	WEIR_BUCKET_SUBDOMAIN,	/* "*.example.com": one label more */
	WEIR_BUCKET_IP,		/* the local address that the request came in on */
	WEIR_BUCKET_WEAK,	/* "*": whatever no other bucket took */
	WEIR_BUCKET__MAX,
};

struct weir_host_key {
	__u64 digest;	/* weir_host_digest() of the name; of the 16 address bytes for IP; 0 for "+" and "*" */
	__u16 endpoint;	/* id */
	__u16 table;	/* weir_endpoint.table: a new table is written beside the old one, then taken by the endpoints */
	__u8 bucket;	/* enum weir_bucket */
	__u8 pad[3];
};
_Static_assert(sizeof(struct weir_host_key) == 16, "weir_host_key is hashed as 16 bytes");

struct weir_host {
	__u32 group;	/* names this group in weir_route_key: table << 16 | number */
	__u32 depths;	/* bit d: some prefix of this group has d path segments ("/" has none); the largest d above */
};
#define WEIR_HOST_DEEPEST_SHIFT 24 /* of `depths`, the largest d: a walk begins there */
_Static_assert(sizeof(struct weir_host) == 8, "weir_host has no hidden padding");

struct weir_route_key {
	__u64 digest;	/* chained weir_segment_digest() of the prefix's segments; 0 for "/" */
	__u32 group;
	__u32 depth;	/* number of segments */
};
_Static_assert(sizeof(struct weir_route_key) == 16, "weir_route_key is hashed as 16 bytes");

struct weir_route {
	__u16 pool;	/* 0: the prefix is reserved but no pool is registered */
	__u16 flags;	/* none yet, zero */
	__u32 id;	/* the prefix's number in the configuration, for people */
};
_Static_assert(sizeof(struct weir_route) == 8, "weir_route has no hidden padding");

#endif
