/* SPDX-License-Identifier: GPL-2.0 */
/* Pools as the kernel side sees them. */
#ifndef WEIR_POOL_H
#define WEIR_POOL_H

#include "weir/limits.h"
#include "weir/types.h"

enum weir_pool_state {
	WEIR_POOL_NONE,	   /* no such pool: 400 from the worker that gets the request */
	WEIR_POOL_STARTED,
};

enum weir_pool_flag {
	WEIR_POOL_CACHED = 1, /* the pool has cache maps: look requests up, seize for hits */
};

/* Why a request is refused with 503 instead of being passed up. */
enum weir_refusal {
	WEIR_REFUSAL_NONE,
#define WEIR_ROW(name, phrase, help) WEIR_REFUSAL_##name,
#include "weir/refusals.def"
#undef WEIR_ROW
	WEIR_REFUSAL__MAX,
};

/* What a refused client sees, as HTTP.sys's Http503Verbosity. */
enum weir_verbosity {
	WEIR_VERBOSITY_BASIC,	/* the connection is reset */
	WEIR_VERBOSITY_LIMITED, /* 503 Service Unavailable */
	WEIR_VERBOSITY_FULL,	/* 503 with the reason in phrase and body */
};

/* Value of weir_pools, by pool id. Written by the supervisor. */
struct weir_pool {
	char name[32];	  /* for bpftool; zero-terminated */
	__u32 state;	  /* enum weir_pool_state */
	__u32 flags;	  /* enum weir_pool_flag */
	__u32 first_slot; /* its worker slots are first_slot .. first_slot + slots - 1 */
	__u32 slots;
	__u32 queue_limit; /* requests that may wait; 0: no limit */
	__u8 refusal;	  /* enum weir_refusal: every request is refused, hits too; NONE: served */
	__u8 verbosity;	  /* enum weir_verbosity */
	__u8 encodings;	  /* set of enum weir_encoding: what of Accept-Encoding is part of its cache keys */
	__u8 pad;
};
_Static_assert(sizeof(struct weir_pool) == 56, "weir_pool has no hidden padding");

/* The only element of a pool's queue map, mapped by its workers. A request waits from where the kernel side passes it
 * up (arrived) to where a thread takes it (taken); the difference, as a signed number, is the depth. */
struct weir_queue {
	__u64 arrived; /* programs add, atomic */
	__u64 taken;   /* workers add, atomic */
};
_Static_assert(sizeof(struct weir_queue) == 16, "weir_queue has no hidden padding");

/* Canned 503 responses are entries of pool 0's cache under the key { reason, verbosity }. */

/* Value of weir_pool_stats, per CPU, by pool id. */
struct weir_pool_stats {
	__u64 hits;	 /* answered from the cache, by XDP or tc */
	__u64 hit_bytes; /* payload of those answers */
	__u64 misses;	 /* plain requests that were looked up and not found */
	__u64 handovers; /* connections lent to this pool: sockets that came to be */
	__u64 seizes;	 /* connections taken back from it */
	__u64 not_modified;		  /* of the hits: 304 */
	__u64 stale;			  /* of the hits: while another request went up to refresh the entry */
	__u64 refused[WEIR_REFUSAL__MAX]; /* by enum weir_refusal */
};
_Static_assert(sizeof(struct weir_pool_stats) == 56 + 8 * WEIR_REFUSAL__MAX, "weir_pool_stats has no hidden padding");

#endif
