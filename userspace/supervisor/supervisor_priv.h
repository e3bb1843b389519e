/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of supervisor/: the state of a running instance. One thread. This folder includes worker/worker.h, the
 * one crossing between supervisor and worker: a slot begins as a fork() of this process. */
#ifndef WEIR_SUPERVISOR_PRIV_H
#define WEIR_SUPERVISOR_PRIV_H

#include <signal.h>

#include "config/config.h"
#include "ipc/ipc.h"
#include "metrics/metrics.h"
#include "route/route.h"
#include "dataplane/dataplane.h"
#include "worker/worker.h"
#include "supervisor/supervisor.h"

struct sup_slot {
	/* fixed after init */
	const struct weir_conf_pool *pool;
	struct wrk_listener *listeners; /* one per endpoint; fd -1 once the instance stops */

	pid_t keeper;	     /* 0: none */
	uint64_t started_ms; /* when the keeper was started */
	uint64_t retry_ms;   /* keeper is 0: when to start the next one */
	unsigned failures;   /* keepers in a row that died young */
};

struct sup {
	/* fixed after init */
	struct weir_config *config;
	struct weir_route_table *routes;
	struct weir_dataplane *dp;	   /* NULL: no XDP */
	char no_dp[320];		   /* why there is none */
	struct weir_metrics_slot *metrics; /* WEIR_SLOTS_MAX, shared with the workers */
	struct sup_slot *slots;
	size_t slots_count;
	int pass_tx[WEIR_POOLS_MAX];	   /* by pool id; -1: none */
	int pass_rx[WEIR_POOLS_MAX];
	struct weir_ipc_server *ipc;
	int lock_fd;
	int epoll_fd;
	int signal_fd;
	int timer_fd;
	sigset_t signals_before;
	int64_t started_at;		   /* CLOCK_REALTIME seconds */

	bool is_stopping;
	uint64_t kill_ms;		   /* stopping: when patience ends */
};

/* instance.c: that there is one instance of a name. Logs. */
int sup_lock(struct sup *s);
void sup_unlock(struct sup *s);

/* sockets.c: listening sockets of every slot. Logs. */
int sup_sockets_open(struct sup *s);
int sup_sockets_listen(struct sup *s);
void sup_sockets_close(struct sup *s);
/* Connections that wait for accept() in the sockets of a slot. */
uint64_t sup_sockets_queued(const struct sup *s, const struct sup_slot *slot);

/* slots.c: keepers. */
int sup_slots_new(struct sup *s);
void sup_slots_free(struct sup *s);
void sup_slots_start(struct sup *s); /* those that are due */
void sup_slots_reap(struct sup *s);
void sup_slots_signal(struct sup *s, int signal);
bool sup_slots_are_gone(const struct sup *s);

/* kernel.c: the dataplane, or the reason why there is none. Logs. */
int sup_kernel_load(struct sup *s);
int sup_kernel_attach(struct sup *s);

/* privileges.c */
void sup_limits_raise(void);
void sup_privileges_drop(void);

/* loop.c */
int sup_loop_new(struct sup *s);
void sup_loop_run(struct sup *s);
void sup_stop(struct sup *s);

/* control*.c: answers to the command line. */
json_t *sup_control(const char *command, const json_t *request, void *sup);
size_t sup_control_limit(const json_t *request); /* rows of a list */
json_t *sup_control_stats(struct sup *s, const json_t *request);
json_t *sup_control_status(struct sup *s, const json_t *request);
json_t *sup_control_cache_list(struct sup *s, const json_t *request);
json_t *sup_control_cache_purge(struct sup *s, const json_t *request);
json_t *sup_control_cache_flush(struct sup *s, const json_t *request);
json_t *sup_control_conn_list(struct sup *s, const json_t *request);
json_t *sup_control_route(struct sup *s, const json_t *request);
json_t *sup_control_why(struct sup *s, const json_t *request);

/* url.c: a URL that an administrator typed, and what it means to this instance. */
struct sup_url {
	uint16_t port;		      /* 0: none was given */
	char host[WEIR_HOST_MAX + 8]; /* lower case, without port, as in a cache key */
	size_t host_bytes;
	const char *target;	      /* path and query, in the text that was parsed; "/" if there was none */
	char *path;		      /* decoded, without dot segments; NULL: it cannot be decoded */
	size_t path_bytes;
};
/* Parses "http://host:port/target", "host/target" or "/target". -EINVAL: *ret_why says why. */
int sup_url_parse(const char *text, struct sup_url *ret, const char **ret_why);
void sup_url_fini(struct sup_url *u);
/* Whether a request for the URL can come in on this endpoint, and the local address it would have. */
bool sup_url_is_for(const struct sup_url *u, const struct weir_conf_listen *l, struct weir_addr *ret_local);
void sup_addr_format(const struct weir_addr *a, uint16_t port, char *buf, size_t bytes);

#endif
