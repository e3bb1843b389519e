/* SPDX-License-Identifier: GPL-2.0 */
/* Counters, and the scratch memory of a run: declarations of what bpf/maps.bpf.c defines. */
#ifndef WEIR_MAPS_STATS_H
#define WEIR_MAPS_STATS_H

#include "weir/verdict.h"
#include "weir/pool.h"

#include "lib/scratch.h"

extern struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_VERDICT__MAX);
	__type(key, __u32);
	__type(value, __u64);
} weir_verdicts SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_MISS__MAX);
	__type(key, __u32);
	__type(value, __u64);
} weir_misses SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__type(value, struct weir_pool_stats);
} weir_pool_stats SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_scratch);
} weir_scratch SEC(".maps");

#endif
