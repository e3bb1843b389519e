/* SPDX-License-Identifier: GPL-2.0 */
/* The three classes of the response cache: declarations of what bpf/maps.bpf.c defines. */
#ifndef WEIR_MAPS_CACHE_H
#define WEIR_MAPS_CACHE_H

#include "weir/cache.h"

struct weir_cache_s_inner {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct weir_cache_key));
	__uint(value_size, sizeof(struct weir_entry_s));
};

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__array(values, struct weir_cache_s_inner);
} weir_cache_s SEC(".maps");

struct weir_cache_m_inner {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct weir_cache_key));
	__uint(value_size, sizeof(struct weir_entry_m));
};

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__array(values, struct weir_cache_m_inner);
} weir_cache_m SEC(".maps");

struct weir_cache_l_inner {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct weir_cache_key));
	__uint(value_size, sizeof(struct weir_entry_l));
};

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__array(values, struct weir_cache_l_inner);
} weir_cache_l SEC(".maps");

#endif
