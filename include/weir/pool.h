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

/* Value of weir_pools, by pool id. Written by the supervisor. */
struct weir_pool {
	char name[32];	  /* for bpftool; zero-terminated */
	__u32 state;	  /* enum weir_pool_state */
	__u32 flags;	  /* enum weir_pool_flag */
	__u32 first_slot; /* its worker slots are first_slot .. first_slot + slots - 1 */
	__u32 slots;
};
_Static_assert(sizeof(struct weir_pool) == 48, "weir_pool has no hidden padding");

/* Value of weir_pool_stats, per CPU, by pool id. */
struct weir_pool_stats {
	__u64 hits;	 /* answered from the cache, by XDP or tc */
	__u64 hit_bytes; /* payload of those answers */
	__u64 misses;	 /* plain requests that were looked up and not found */
	__u64 handovers; /* connections lent to this pool */
	__u64 seizes;	 /* connections taken back from it */
};
_Static_assert(sizeof(struct weir_pool_stats) == 40, "weir_pool_stats has no hidden padding");

#endif
