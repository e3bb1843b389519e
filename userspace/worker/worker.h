/* SPDX-License-Identifier: GPL-2.0 */
/* What the supervisor hands to a pool slot. The slot is two processes: the keeper, which holds the file table
 * and restarts the worker, and the worker, which serves. Both run in the child of one fork(). */
#ifndef WEIR_WORKER_H
#define WEIR_WORKER_H

#include <stdint.h>

#include "weir/cache.h"
#include "weir/endpoint.h"

#include "config/config.h"
#include "metrics/metrics.h"
#include "route/route.h"
#include "upstream/upstream.h"

struct wrk_listener {
	int fd;		   /* listening, non-blocking, in the endpoint's SO_REUSEPORT group */
	uint16_t endpoint; /* id */
	uint16_t port;	   /* host byte order */
};

/* Orders to a keeper: value of the signal WRK_ORDER, order | reason << 8 | pool id << 16. Believed from root
 * only. */
#define WRK_ORDER SIGRTMIN
enum wrk_order {
	WRK_ORDER_RECYCLE = 1, /* replace the worker without a gap */
	WRK_ORDER_MOVE,	       /* end the slot, connections go to the workers of the pool in the value's upper half */
	WRK_ORDER_REST,	       /* start on demand: end the worker until a request comes */
};

/* Why a worker is replaced; the words are those of IIS's event log. */
enum wrk_reason {
	WRK_REASON_TIME,
	WRK_REASON_REQUESTS,
	WRK_REASON_SCHEDULE,
	WRK_REASON_MEMORY,
	WRK_REASON_ON_DEMAND,
	WRK_REASON_CONFIG_CHANGE,
	WRK_REASON_FILE_CHANGE,
	WRK_REASON_IDLE,
	WRK_REASON__MAX,
};
const char *wrk_reason_name(enum wrk_reason r);

struct wrk_setup {
	const struct weir_config *config;
	const struct weir_conf_pool *pool;
	const struct weir_route_board *routes; /* what the supervisor posts there holds at once */
	uint32_t slot;			      /* global slot number */
	const struct wrk_listener *listeners; /* this slot's own sockets, one per endpoint */
	size_t listeners_count;
	int pass_rx;			      /* SOCK_SEQPACKET: connections passed on to this slot */
	int *pass_tx;			      /* by pool id, WEIR_POOLS_MAX of them; -1: none. Shared memory of the slot:
					       * the keeper adds to it, see wrk_keeper_give() */
	int order_rx, order_tx;		      /* socket pair by which it is given them; -1: none */
	int cache_fds[WEIR_CLASS__MAX];	      /* this pool's inner cache maps; -1: no kernel cache */
	int tickets_fd;			      /* this pool's ticket table, to be mapped; -1: none, never offer */
	int queue_fd;			      /* this pool's struct weir_queue, to be mapped; -1: without XDP */
	uint64_t cache_secret[2];
	struct weir_metrics_slot *metrics;    /* shared with the supervisor */
	struct weir_up_shared *upstreams;     /* shared likewise, one for each upstream of the pool; NULL: none */
	int wake_fd;			      /* eventfd of the supervisor: look at the metrics; <= 0: none */
	int clock_fd;			      /* weir_clock, mapped by the keeper alone; <= 0: without XDP */
	const char *cgroup;		      /* of this slot, joined by the keeper; NULL: none */
};

/* For a supervisor that accepts in a pool's place: passes a new connection, unread, to a worker behind `to`; takes one
 * that a worker has passed (its descriptor, or -errno: -EAGAIN when there is none; -1 for a message without one). */
int wrk_pass_new(int to, int fd, uint16_t endpoint);
int wrk_pass_take(int from);

/* Makes a slot's order_tx and order_rx, in this order. */
int wrk_order_pair(int ret[2]);
/* Gives the keeper behind `order_tx` the socket to a pool's workers, and waits until its own workers have it. -ETIMEDOUT,
 * -EPIPE and others: it does not answer. */
int wrk_keeper_give(int order_tx, uint16_t pool, int fd);

/* Runs a pool slot in the calling (forked) process and exits it: closes every descriptor that is not in `setup`,
 * takes the pool's identity, starts the worker with clone(CLONE_FILES) and starts it again whenever it dies.
 * SIGTERM: drain, then exit 0. WRK_ORDER: see there. It goes on when the supervisor dies: the next one takes it
 * over. Never returns. */
void wrk_keeper_main(const struct wrk_setup *setup) __attribute__((noreturn));

#endif
