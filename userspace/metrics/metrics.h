/* SPDX-License-Identifier: GPL-2.0 */
/* Counters of a worker slot, in memory shared with the supervisor (mmap before fork). Workers add
 * with relaxed atomics; the supervisor only reads. Active connections: accepted + received - closed
 * - recalled - passed_on. */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include <stdint.h>

#include "metrics/latency.h"

/* What a pool slot is doing. */
enum weir_slot_state {
	WEIR_SLOT_NONE,	    /* no keeper */
	WEIR_SLOT_STARTING, /* a worker is not ready yet, or the pause before the next one */
	WEIR_SLOT_STARTED,
	WEIR_SLOT_RECYCLING, /* started, and its worker is being replaced */
	WEIR_SLOT_WAITING,   /* start on demand: no worker until a request comes */
	WEIR_SLOT_STOPPING,  /* drains, then the keeper ends */
};

struct weir_metrics_slot {
	/* any thread of the worker, atomic */
#define WEIR_ROW(name, help) uint64_t name;
#include "metrics/counters.def"
#undef WEIR_ROW
	uint64_t worker_pid; /* 0: none; written by the keeper */
	uint64_t keeper_pid;
	uint64_t started_at; /* CLOCK_REALTIME seconds, of the worker */
	uint64_t restarts;   /* workers started after the first */
	/* thread pool, written by the worker's threads */
	uint64_t threads;	  /* running */
	uint64_t threads_busy;	  /* of them: with a request */
	uint64_t last_request_ms; /* CLOCK_MONOTONIC: when a thread last took a request */
	uint64_t ready_pid;	  /* of the worker whose threads run: its start-up is complete */
	uint64_t ping_answered; /* the `ping_asked` that a thread saw when it took the ping from the
				   epoll set */
	/* written by the keeper */
	uint64_t ping_asked;	     /* sequence number of the last health ping */
	uint64_t slot_state;	     /* enum weir_slot_state */
	uint64_t state_ms;	     /* CLOCK_MONOTONIC: since when */
	uint64_t old_pid;	     /* of the worker that drains after it was replaced; 0: none */
	uint64_t born_ms;	     /* CLOCK_MONOTONIC: when the worker was started */
	uint64_t requests_at_start;  /* what `requests` was then */
	uint64_t crashes;	     /* workers that died, hung, or were not ready in time */
	uint64_t recycles;	     /* workers replaced by order, without a gap */
	uint64_t program_pid;	     /* of the pool's program (exec); 0: none */
	uint64_t program_old_pid;    /* of the one that is being ended after it was replaced; 0: none */
	uint64_t program_born_ms;    /* CLOCK_MONOTONIC: when the program was started */
	uint64_t program_restarts;   /* programs started after the first, but for those of a recycling */
	struct weir_latency latency; /* written by the worker's threads */
	uint64_t
	    recycle_failures; /* replacements that were not ready in time: the old worker stayed */
} __attribute__((aligned(64)));

#define weir_metrics_add(slot, name, n)                                                            \
	__atomic_fetch_add(&(slot)->name, (uint64_t)(n), __ATOMIC_RELAXED)
#define weir_metrics_get(slot, name) __atomic_load_n(&(slot)->name, __ATOMIC_RELAXED)
#define weir_metrics_set(slot, name, v)                                                            \
	__atomic_store_n(&(slot)->name, (uint64_t)(v), __ATOMIC_RELAXED)

#endif
