/* SPDX-License-Identifier: GPL-2.0 */
/* Flows, TIME-WAIT and tickets: declarations of what bpf/maps.bpf.c defines. */
#ifndef WEIR_MAPS_FLOW_H
#define WEIR_MAPS_FLOW_H

#include "weir/flow.h"

extern struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144);
	__type(key, struct weir_flow_key);
	__type(value, struct weir_flow);
} weir_flows SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct weir_flow_key);
	__type(value, struct weir_timewait);
} weir_timewait SEC(".maps");

struct weir_tickets_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WEIR_TICKET_BUCKETS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct weir_ticket_bucket));
};

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WEIR_POOLS_MAX);
	__type(key, __u32);
	__array(values, struct weir_tickets_inner);
} weir_tickets SEC(".maps");

#endif
