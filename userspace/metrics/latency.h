/* SPDX-License-Identifier: GPL-2.0 */
/* How long requests took in a worker, as a histogram in shared memory: from the request's head
 * being complete to its response being with the socket. */
#ifndef WEIR_METRICS_LATENCY_H
#define WEIR_METRICS_LATENCY_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_LATENCY_BUCKETS 18

/* Upper bounds in microseconds, inclusive; the last bucket has none. */
static const uint32_t weir_latency_us[WEIR_LATENCY_BUCKETS - 1] = {
	50,    100,    250,    500,    1000,	2500,	 5000,	  10000,    25000,
	50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

struct weir_latency {
	uint64_t counts[WEIR_LATENCY_BUCKETS]; /* any thread, atomic, as the next */
	uint64_t sum_us;
};

static inline void weir_latency_add(struct weir_latency *l, uint64_t us)
{
	size_t i = 0;

	while (i < WEIR_LATENCY_BUCKETS - 1 && us > weir_latency_us[i])
		i++;
	__atomic_fetch_add(&l->counts[i], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&l->sum_us, us, __ATOMIC_RELAXED);
}

#endif
