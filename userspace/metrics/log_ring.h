/* SPDX-License-Identifier: GPL-2.0 */
/* From a worker's threads to the log's process: a ring of fixed cells for each slot, in memory that outlives both
 * (D. Vyukov's bounded queue, many producers, one consumer). A full ring drops the record and counts it: nobody waits for
 * the log. The consumer believes nothing that stands there: a worker may be anybody's. */
#ifndef WEIR_METRICS_LOG_RING_H
#define WEIR_METRICS_LOG_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/flow.h"
#include "weir/limits.h"

#include "common/str.h"

#define WEIR_LOG_CELLS 2048	/* a power of two */
#define WEIR_LOG_WAKE_EVERY 256 /* records: a ring that fills between two looks wakes the consumer so often */
#define WEIR_LOG_CELL_BYTES 1024
#define WEIR_LOG_STUCK_MS 1000 /* a cell that was reserved so long ago and not filled is skipped */

enum weir_log_reason {
	WEIR_LOG_REASON_NONE,
#define WEIR_ROW(name, phrase, help) WEIR_LOG_REASON_##name,
#include "metrics/reasons.def"
#undef WEIR_ROW
	WEIR_LOG_REASON__MAX,
};

/* From here on: + enum weir_refusal, for what is refused in a pool's place as the kernel side would. */
#define WEIR_LOG_REASON_REFUSAL 64

/* "Timer_HeaderWait"; "-" for NONE and what is not known. */
const char *weir_log_reason_phrase(unsigned reason);

/* Who made the answer, in a worker. */
enum weir_log_by {
	WEIR_LOG_BY_WORKER, /* the worker itself: refusals, OPTIONS * */
	WEIR_LOG_BY_STATIC,
	WEIR_LOG_BY_DEBUG,
	WEIR_LOG_BY_MODULE,
	WEIR_LOG_BY_PROXY,
	WEIR_LOG_BY_MEMORY, /* the pool's response cache in memory */
	WEIR_LOG_BY__MAX,
};
const char *weir_log_by_name(unsigned by);

enum weir_log_flag {
	WEIR_LOG_IS_REQUEST = 1, /* for the access log; else about a connection, for the error log alone */
};

struct weir_log_record {
	uint64_t begun_ns; /* CLOCK_MONOTONIC: the request's head was complete */
	uint64_t ended_ns; /* the response was with the socket, or given up */
	uint64_t sent;	   /* bytes, heads included, as the next */
	uint64_t received;
	struct weir_flow_key key;
	uint16_t status; /* 0: none was sent */
	uint16_t pool;
	uint16_t endpoint;
	uint8_t by;	       /* enum weir_log_by */
	uint8_t reason;	       /* enum weir_log_reason */
	uint8_t flags;	       /* enum weir_log_flag */
	uint8_t version;       /* 11, 10; 0: not known */
	uint16_t method_bytes; /* how text[] is divided, in this order */
	uint16_t target_bytes;
	uint16_t host_bytes;
	uint16_t referer_bytes;
	uint16_t agent_bytes;
	char text[WEIR_LOG_CELL_BYTES - 8 - 96];
};

struct weir_log_cell {
	uint64_t turn; /* atomic: 2 * lap: free; 2 * lap + 1: filled, where lap is position / WEIR_LOG_CELLS */
	struct weir_log_record record;
};
_Static_assert(sizeof(struct weir_log_cell) == WEIR_LOG_CELL_BYTES, "a cell is cells' size");

/* Zeros are an empty ring. */
struct weir_log_ring {
	uint64_t tail __attribute__((aligned(64))); /* producers, atomic */
	uint64_t lost;				    /* by producers, atomic: the ring was full */
	uint64_t head __attribute__((aligned(64))); /* consumer */
	struct weir_log_cell cells[WEIR_LOG_CELLS] __attribute__((aligned(64)));
} __attribute__((aligned(4096)));

/* Behind the metrics, in the same memory. */
struct weir_log_shared {
	uint64_t consumer; /* atomic: changes when another process shall consume; who has an older one ends */
	uint32_t is_on;	   /* atomic: workers shall write records */
	uint32_t wake;	   /* atomic, a futex: the consumer sleeps on it */
	/* written by the log's process, atomic */
	uint64_t taken;	  /* records that it took out of a ring */
	uint64_t settled; /* of them: those whose lines are written, were not wanted, or are counted as lost */
	uint64_t access_lines;
	uint64_t error_lines;
	uint64_t bytes;	     /* written to both */
	uint64_t lost;	     /* records that it had taken, or whose producer died */
	uint64_t suppressed; /* lines of the error log over the rate of their reason */
	uint64_t write_errors;
	uint64_t lost_said; /* of all that were lost: those that a line in the log speaks of */
	struct weir_log_ring rings[WEIR_SLOTS_MAX] __attribute__((aligned(4096)));
};

/* A place for a record: fill *it, then weir_log_publish(). NULL: the ring is full, and that was counted. Any thread. */
struct weir_log_record *weir_log_reserve(struct weir_log_ring *r, uint64_t *ret_position);
/* True: the ring fills, weir_log_wake() is due. */
bool weir_log_publish(struct weir_log_ring *r, uint64_t position);
void weir_log_wake(struct weir_log_shared *s);
/* For the consumer, before it looks at its rings the last time: what to give to weir_log_sleep(). */
uint32_t weir_log_before_sleep(const struct weir_log_shared *s);
void weir_log_sleep(struct weir_log_shared *s, uint32_t before, unsigned ms);

/* Appends to text[] as much as fits, at most `max` bytes. Returns how many. */
uint16_t weir_log_text(struct weir_log_record *rec, size_t *used, struct weir_str s, size_t max);

/* The consumer's own memory about a ring. */
struct weir_log_reader {
	uint64_t stuck_at; /* position + 1; 0: none */
	uint64_t stuck_ms;
};

enum weir_log_next {
	WEIR_LOG_EMPTY,
	WEIR_LOG_TAKEN,
	WEIR_LOG_SKIPPED, /* its producer died: counted by the caller */
};

/* Copies the next record out; its lengths are within text[] then. Bounded work whatever stands in the memory. */
enum weir_log_next weir_log_take(struct weir_log_ring *r, struct weir_log_reader *reader, uint64_t now_ms,
				 struct weir_log_record *ret);

#endif
