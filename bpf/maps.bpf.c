// SPDX-License-Identifier: GPL-2.0
/* Defines every map exactly once, and the licence. What each map's key and value mean is said in
 * include/weir; who may write it is said here. Capacities marked "set at load" are the loader's. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "weir/cache.h"
#include "weir/endpoint.h"
#include "weir/flow.h"
#include "weir/limit.h"
#include "weir/pool.h"
#include "weir/route.h"
#include "weir/verdict.h"

#include "lib/scratch.h"

char weir_license[] SEC("license") = "GPL";

/* supervisor writes */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096); /* wildcards are expanded: endpoints times local addresses */
	__type(key, struct weir_endpoint_key);
	__type(value, struct weir_endpoint);
} weir_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536 / 64);
	__type(key, __u32);
	__type(value, __u64);
} weir_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_ENDPOINTS_MAX);
	__type(key, __u32);
	__type(value, struct weir_endpoint);
} weir_ep_by_id SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_IFINDEX_MAX);
	__type(key, __u32);
	__type(value, struct weir_iface);
} weir_ifaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_secrets);
} weir_secrets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_clock);
} weir_clock SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__type(value, struct weir_pool);
} weir_pools SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, WEIR_ACL_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct weir_acl_key);
	__type(value, struct weir_acl);
} weir_acl SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_SOURCES_MAX);
	__type(key, struct weir_addr);
	__type(value, struct weir_source);
} weir_rate SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_limits);
} weir_limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * WEIR_HOSTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct weir_host_key);
	__type(value, struct weir_host);
} weir_hosts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * WEIR_ROUTES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct weir_route_key);
	__type(value, struct weir_route);
} weir_routes SEC(".maps");

/* listening sockets: index is endpoint id * WEIR_SLOTS_MAX + worker slot */
struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, WEIR_ENDPOINTS_MAX * WEIR_SLOTS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} weir_sockets SEC(".maps");

/* programs write, the supervisor sweeps; capacity set at load */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144);
	__type(key, struct weir_flow_key);
	__type(value, struct weir_flow);
} weir_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct weir_flow_key);
	__type(value, struct weir_timewait);
} weir_timewait SEC(".maps");

/* by pool id: that pool's workers write the inner map, the programs read it, take tickets and count arrivals. The inner
 * maps are made at load, one set a pool, with these types: */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct weir_cache_key);
	__type(value, struct weir_entry_s);
} weir_type_s SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct weir_cache_key);
	__type(value, struct weir_entry_m);
} weir_type_m SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct weir_cache_key);
	__type(value, struct weir_entry_l);
} weir_type_l SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_ticket_bucket);
} weir_type_t SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_queue);
} weir_type_q SEC(".maps");

struct weir_cache_s_inner {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct weir_cache_key));
	__uint(value_size, sizeof(struct weir_entry_s));
};

struct {
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

struct {
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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__array(values, struct weir_cache_l_inner);
} weir_cache_l SEC(".maps");

struct weir_tickets_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_TICKET_BUCKETS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct weir_ticket_bucket));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__array(values, struct weir_tickets_inner);
} weir_tickets SEC(".maps");

struct weir_queues_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct weir_queue));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__array(values, struct weir_queues_inner);
} weir_queues SEC(".maps");

/* programs write, everybody reads */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_VERDICT__MAX);
	__type(key, __u32);
	__type(value, __u64);
} weir_verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_MISS__MAX);
	__type(key, __u32);
	__type(value, __u64);
} weir_misses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__type(value, struct weir_pool_stats);
} weir_pool_stats SEC(".maps");

/* one program run at a time on a CPU uses it; nothing in it outlives the run */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_scratch);
} weir_scratch SEC(".maps");
