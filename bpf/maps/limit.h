/* SPDX-License-Identifier: GPL-2.0 */
/* Who may connect, and how fast: declarations of what bpf/maps.bpf.c defines. */
#ifndef WEIR_MAPS_LIMIT_H
#define WEIR_MAPS_LIMIT_H

#include "weir/limit.h"

extern struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, WEIR_ACL_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct weir_acl_key);
	__type(value, struct weir_acl);
} weir_acl SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_SOURCES_MAX);
	__type(key, struct weir_addr);
	__type(value, struct weir_source);
} weir_rate SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_limits);
} weir_limits SEC(".maps");

#endif
