/* SPDX-License-Identifier: GPL-2.0 */
/* Protection before anything else: who may connect (weir_acl), and how fast one source may go (weir_limits, weir_rate).
 * Checked by XDP for every packet to an endpoint, changed live by the supervisor. */
#ifndef WEIR_LIMIT_H
#define WEIR_LIMIT_H

#include "weir/endpoint.h"
#include "weir/types.h"

#define WEIR_ACL_MAX 65536    /* prefixes */
#define WEIR_SOURCES_MAX 65536 /* sources whose rates are known; the least recently seen makes room */

/* Key of weir_acl, a longest-prefix trie. IPv4 prefixes are mapped: 96 bits more. */
struct weir_acl_key {
	__u32 bits;		/* of addr that count; host byte order */
	struct weir_addr addr;
};
_Static_assert(sizeof(struct weir_acl_key) == 20, "weir_acl_key is 20 bytes in the trie");

enum weir_acl_action {
	WEIR_ACL_ALLOW, /* and no rate limit holds */
	WEIR_ACL_DENY,	/* dropped */
};

struct weir_acl {
	__u32 action;	/* enum weir_acl_action */
	__u32 pad;
	__u64 packets;	/* any CPU, atomic: that the prefix decided */
};
_Static_assert(sizeof(struct weir_acl) == 16, "weir_acl has no hidden padding");

/* What happens to a request over its rate. */
enum weir_limit_action {
	WEIR_LIMIT_REJECT, /* 429, then the connection is closed */
	WEIR_LIMIT_DROP,   /* the client tries again */
	WEIR_LIMIT_POOL,   /* to a worker, past the cache */
};

enum weir_limit_flag {
	WEIR_LIMIT_ACL = 1,   /* weir_acl has rows */
	WEIR_LIMIT_RATES = 2, /* at least one limit below is not 0 */
};

/* A token bucket as GCRA has it (ITU-T I.371): one token every `interval_ns`, as many at once as fit `burst_ns`. */
struct weir_bucket_rate {
	__u64 interval_ns; /* 0: no limit */
	__u64 burst_ns;
};

/* The only element of weir_limits. Rates hold for each source: an IPv4 address, or the first source_bits of an IPv6 one. */
struct weir_limits {
	__u32 flags;		       /* enum weir_limit_flag */
	__u32 action;		       /* enum weir_limit_action */
	__u32 connections;	       /* of one source at a time; 0: no limit */
	__u32 source_bits;	       /* 1..128, multiple of 32 */
	__u32 head_bytes;	       /* a larger request head is a worker's to refuse; 0: no limit */
	__u32 pad;
	struct weir_bucket_rate syn;
	struct weir_bucket_rate request;
	struct weir_bucket_rate kilobyte; /* of answers from XDP; a token is 1024 bytes */
};
_Static_assert(sizeof(struct weir_limits) == 72, "weir_limits has no hidden padding");

/* Value of weir_rate, by source. Times are when each bucket would be full again (CLOCK_MONOTONIC); CPUs that race lose a
 * token at worst. */
struct weir_source {
	__u64 syn_ns;
	__u64 request_ns;
	__u64 kilobyte_ns;
	__u64 refused;		/* SYNs and requests over a limit; any CPU */
	__u32 connections;	/* counted up by XDP, put right by the supervisor once a second */
	__u32 pad;
};
_Static_assert(sizeof(struct weir_source) == 40, "weir_source has no hidden padding");

#endif
