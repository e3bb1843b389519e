/* SPDX-License-Identifier: GPL-2.0 */
/* Endpoints, interfaces, secrets, the clock, listening sockets: declarations of what bpf/maps.bpf.c defines. */
#ifndef WEIR_MAPS_ENDPOINT_H
#define WEIR_MAPS_ENDPOINT_H

#include "weir/endpoint.h"

extern struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct weir_endpoint_key);
	__type(value, struct weir_endpoint);
} weir_endpoints SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536 / 64);
	__type(key, __u32);
	__type(value, __u64);
} weir_ports SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_ENDPOINTS_MAX);
	__type(key, __u32);
	__type(value, struct weir_endpoint);
} weir_ep_by_id SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_IFINDEX_MAX);
	__type(key, __u32);
	__type(value, struct weir_iface);
} weir_ifaces SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_secrets);
} weir_secrets SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_clock);
} weir_clock SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, WEIR_ENDPOINTS_MAX * WEIR_SLOTS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} weir_sockets SEC(".maps");

#endif
