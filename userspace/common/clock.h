/* SPDX-License-Identifier: GPL-2.0 */
/* Clocks by their unit. The coarse ones cost a few nanoseconds and are a few milliseconds late. */
#ifndef WEIR_COMMON_CLOCK_H
#define WEIR_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC: the clock of BPF programs (bpf_ktime_get_ns). */
static inline uint64_t weir_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* CLOCK_MONOTONIC, coarse. */
static inline uint64_t weir_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Seconds since 1970, coarse. */
static inline int64_t weir_realtime_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return t.tv_sec;
}

#endif
