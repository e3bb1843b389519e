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

struct wrk_listener {
	int fd;		   /* listening, non-blocking, in the endpoint's SO_REUSEPORT group */
	uint16_t endpoint; /* id */
	uint16_t port;	   /* host byte order */
};

struct wrk_setup {
	const struct weir_config *config;
	const struct weir_conf_pool *pool;
	const struct weir_route_table *routes;
	uint32_t slot;			      /* global slot number */
	const struct wrk_listener *listeners; /* this slot's own sockets, one per endpoint */
	size_t listeners_count;
	int pass_rx;			      /* SOCK_SEQPACKET: connections passed on to this slot */
	const int *pass_tx;		      /* by pool id, WEIR_POOLS_MAX of them; -1: none */
	int cache_fds[WEIR_CLASS__MAX];	      /* this pool's inner cache maps; -1: no kernel cache */
	int tickets_fd;			      /* this pool's ticket table, to be mapped; -1: none, never offer */
	int queue_fd;			      /* this pool's struct weir_queue, to be mapped; -1: without XDP */
	uint64_t cache_secret[2];
	struct weir_metrics_slot *metrics;    /* shared with the supervisor */
};

/* Runs a pool slot in the calling (forked) process and exits it: closes every descriptor that is not in `setup`,
 * takes the pool's identity, starts the worker with clone(CLONE_FILES) and starts it again whenever it dies.
 * SIGTERM: drain, then exit 0. Never returns. */
void wrk_keeper_main(const struct wrk_setup *setup) __attribute__((noreturn));

#endif
