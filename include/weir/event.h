/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel side answered or refused by itself, for the logs: records of the ring buffer weir_events, and how many
 * of them are wanted (weir_log_conf). */
#ifndef WEIR_EVENT_H
#define WEIR_EVENT_H

#include "weir/flow.h"
#include "weir/limits.h"
#include "weir/types.h"

enum weir_event_kind {
	WEIR_EVENT_HIT = 1, /* answered from the cache */
	WEIR_EVENT_REFUSAL, /* 503 or 429, or a reset in its place (status 0) */
	WEIR_EVENT_DROP,    /* nothing was sent: protection, `verdict` says which; no head */
};

enum weir_event_flag {
	WEIR_EVENT_TC = 1,     /* sent by weir_tc */
	WEIR_EVENT_SEIZED = 2, /* on a connection that was taken back from a worker */
};

/* A record of weir_events: this, then `segment_bytes` bytes of the client's segment as it came: skip_bytes of TCP header,
 * then the request head. */
struct weir_event {
	__u64 time_ns; /* CLOCK_MONOTONIC, when the segment came */
	struct weir_flow_key key;
	__u32 took_ns;	     /* until the answer was on its way */
	__u32 bytes;	     /* of the answer, head and body */
	__u32 request_bytes; /* of the request, all of them */
	__u16 segment_bytes;
	__u16 skip_bytes;
	__u16 status; /* 0: reset, or nothing sent */
	__u16 pool;
	__u16 endpoint;
	__u8 kind;    /* enum weir_event_kind */
	__u8 flags;   /* enum weir_event_flag */
	__u8 refusal; /* enum weir_refusal */
	__u8 verdict; /* enum weir_verdict of a DROP */
	__u8 pad[6];
};
_Static_assert(sizeof(struct weir_event) == 80, "weir_event has no hidden padding");

/* The only element of weir_log_conf, changed live by the supervisor. */
struct weir_log_conf {
	__u32 hits_every; /* one hit in so many has a record; 0: none, 1: all */
	__u32 refusals;	  /* 1: refusals have records */
};
_Static_assert(sizeof(struct weir_log_conf) == 8, "weir_log_conf has no hidden padding");

/* The only element of weir_log_stats, per CPU. */
struct weir_log_stats {
	__u64 written;
	__u64 lost;	     /* records for which the ring had no room */
	__u64 drops;	     /* by protection, that have no record because of WEIR_EVENT_DROPS_MAX */
	__u64 drops_second;  /* of the monotonic clock */
	__u64 drops_written; /* in that second */
};
_Static_assert(sizeof(struct weir_log_stats) == 40, "weir_log_stats has no hidden padding");

#endif
