/* SPDX-License-Identifier: GPL-2.0 */
/* Pools and the URL namespace: declarations of what bpf/maps.bpf.c defines. */
#ifndef WEIR_MAPS_ROUTE_H
#define WEIR_MAPS_ROUTE_H

#include "weir/route.h"
#include "weir/pool.h"

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__type(value, struct weir_pool);
} weir_pools SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * WEIR_HOSTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct weir_host_key);
	__type(value, struct weir_host);
} weir_hosts SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * WEIR_ROUTES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct weir_route_key);
	__type(value, struct weir_route);
} weir_routes SEC(".maps");

struct weir_queues_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct weir_queue));
};

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__array(values, struct weir_queues_inner);
} weir_queues SEC(".maps");

#endif
