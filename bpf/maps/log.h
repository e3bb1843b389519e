/* SPDX-License-Identifier: GPL-2.0 */
/* Records for the logs: declarations of what bpf/maps.bpf.c defines. */
#ifndef WEIR_MAPS_LOG_H
#define WEIR_MAPS_LOG_H

#include "weir/event.h"
#include "weir/limits.h"

extern struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, WEIR_EVENTS_BYTES);
} weir_events SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_log_conf);
} weir_log_conf SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_log_stats);
} weir_log_stats SEC(".maps");

#endif
