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
#include "upstream/upstream.h"
#include "worker/worker.h"
#include "supervisor/supervisor.h"

struct sup_slot {
	/* fixed after init */
	const struct weir_conf_pool *pool; /* NULL: nothing has this number */
	struct wrk_listener *listeners; /* as config->listens; fd -1: not the pool's, or the instance stops */
	int order_tx;	     /* its number in the keeper */

	pid_t keeper;	     /* 0: none */
	int pidfd;	     /* of the keeper; -1: none */
	bool is_ending;	     /* it was told to end */
	uint64_t started_ms; /* when the keeper was started */
	uint64_t retry_ms;   /* keeper is 0: when to start the next one */
	unsigned failures;   /* keepers in a row that died young */

	bool wants_recycle;  /* its turn comes when no other slot of the pool is at it */
	enum wrk_reason reason;
	uint64_t recycle_ms; /* when it was told to; 0: it is not recycling */
	uint64_t recycle_ends; /* recycles and failures that it had ended before */

	uint64_t cpu_pid;    /* of the worker that is measured */
	uint64_t cpu_ticks;  /* that it had used when the interval began */
};

/* What shall become of a pool. */
enum sup_want {
	SUP_WANT_RUN,
	SUP_WANT_STOPPED,  /* `weir pool stop` */
	SUP_WANT_DISABLED, /* `weir pool disable`: start does not help, enable does */
	SUP_WANT_OFFLINE,  /* rapid-fail protection */
	SUP_WANT_PAUSED,   /* used up its CPU time, until the interval ends */
};

enum sup_pool_state {
	SUP_POOL_STARTING,
	SUP_POOL_STARTED,
	SUP_POOL_WAITING, /* on demand: no worker until a request comes */
	SUP_POOL_STOPPING,
	SUP_POOL_STOPPED,
	SUP_POOL_DISABLED,
	SUP_POOL_OFFLINE,
	SUP_POOL_PAUSED,
};

#define SUP_CRASHES_MAX 64

struct sup_pool {
	const struct weir_conf_pool *conf; /* fixed after init, as `slots` */
	struct sup_slot *slots;
	enum sup_want want;
	enum weir_refusal refusal;     /* what the kernel side does now */
	uint64_t starting_ms;	       /* since when no worker is ready that should be; 0: one is */
	bool is_refused_here;	       /* its listening sockets are answered by refuse.c */

	uint64_t crashes_seen;	       /* of all its slots */
	uint64_t crash_ms[SUP_CRASHES_MAX]; /* a ring of the last ones */
	unsigned crash_next;

	uint64_t arrived, taken;       /* of its queue, at the last look */
	uint64_t taken_ms;	       /* since when `taken` has not moved while something waits */
	unsigned still;		       /* looks without a change */
	uint64_t refused_seen[WEIR_REFUSAL__MAX];

	int minute;		       /* of the local day, at the last look at the schedule */
	int watch_fd;		       /* inotify of periodic_restart_files; -1 */
	uint64_t cpu_ms;	       /* when the CPU interval began */
	bool is_cpu_said;	       /* a message about it was logged in this interval */
};

struct sup {
	/* fixed after init */
	struct weir_config *config;
	struct weir_route_board *board;	   /* where the workers' routes are posted */
	const struct weir_route_board *routes; /* the same, as workers see it */
	struct weir_dataplane *dp;	   /* NULL: no XDP */
	char no_dp[320];		   /* why there is none */
	bool has_old;			   /* keepers of an earlier supervisor live: kept, or still draining */
	bool was_attached;		   /* it had a kernel side */
	bool is_without_kernel;		   /* and what is kept has none */
	bool has_set_migrate;		   /* tcp_migrate_req is to be set back when the last one has drained */
	bool is_kept[WEIR_POOLS_MAX];	   /* by pool id: its keepers and maps are an earlier supervisor's */
	enum sup_want want_before[WEIR_POOLS_MAX]; /* by pool id */
	uint64_t listens_of[WEIR_POOLS_MAX]; /* by pool id: indexes in config->listens, as bits */
	bool is_new_endpoint[WEIR_ENDPOINTS_MAX]; /* by index in config->listens: nobody of us listens there yet */
	uint16_t last_pool;		   /* the pool id that was given last */
	struct sup_state *state;	   /* what the next supervisor finds, see state.c */
	struct weir_metrics_slot *metrics; /* WEIR_SLOTS_MAX, shared with the workers */
	struct sup_slot *slots;		   /* by number; a number without a pool is free */
	size_t slots_count;
	struct sup_pool *pools;		   /* in the order of config->pools */
	int pass_tx[WEIR_POOLS_MAX];	   /* by pool id; -1: none */
	int pass_rx[WEIR_POOLS_MAX];
	struct weir_ipc_server *ipc;
	int lock_fd;
	int epoll_fd;
	int signal_fd;
	int timer_fd;
	int wake_fd;			   /* eventfd: a keeper has news in the metrics */
	struct sup_refuser *refuser;
	int admin_fds[2];		   /* listening; -1: none */
	pid_t admin_pid;		   /* 0: none */
	uint64_t admin_retry_ms;
	int activated[WEIR_ENDPOINTS_MAX];  /* by endpoint id: a socket of the service manager; -1: none */
	sigset_t signals_before;
	int64_t started_at;		   /* CLOCK_REALTIME seconds */
	const struct weir_conf_options *options;
	uint64_t loaded_ms;		   /* when this program began */
	struct sup_program *upgrade;	   /* that takes over at the next turn of the loop; NULL: none */

	uint64_t limits_log_ms;		   /* when what protection refused is logged next */
	uint64_t limits_seen[4];

	bool is_stopping;
	bool is_reloading;		   /* once the reply is out */
	uint64_t kill_ms;		   /* stopping: when patience ends */
};

/* instance.c: that there is one instance of a name. Logs. */
int sup_lock(struct sup *s);
void sup_unlock(struct sup *s);

/* sockets.c: listening sockets of every slot. Logs. */
int sup_sockets_open(struct sup *s);
int sup_socket_check(const struct weir_conf_listen *l); /* whether a port is free */
int sup_sockets_listen(struct sup *s);
void sup_sockets_close(struct sup *s);
int sup_socket_bind(const struct weir_conf_listen *l, bool is_shared, int *ret_fd); /* silent */
int sup_socket_error(const struct weir_conf_listen *l, int r);
/* Connections that wait for accept() in the sockets of a slot. */
uint64_t sup_sockets_queued(const struct sup *s, const struct sup_slot *slot);

/* state.c: a file beside the control socket that is mapped by the supervisor: who the keepers are and which of their
 * descriptors are which, for the next supervisor; behind it the metrics, which the workers share. */
int sup_state_new(struct sup *s);
/* This is what the instance is from now on; keepers that it has not kept are leaving. */
void sup_state_commit(struct sup *s);
/* What the workers of a pool know of its upstreams: WEIR_UPSTREAMS_MAX of them, shared. */
struct weir_up_shared *sup_state_upstreams(const struct sup *s, uint16_t pool);
void sup_state_free(struct sup *s, bool is_over); /* is_over: removes the file */
void sup_state_note_slot(struct sup *s, uint32_t number);

/* The table of routes that all workers read. Logs. */
int sup_routes_open(struct sup *s);
int sup_routes_post(struct sup *s); /* every worker routes by the configuration from now on */

/* takeover.c: keepers that an earlier supervisor left. Logs. */
int sup_takeover_find(struct sup *s); /* gives everything its number, and adopts those pools that are the same */
int sup_takeover_give_up(struct sup *s, const char *why); /* all of them will be replaced instead */
bool sup_takeover_has_kept(const struct sup *s);
/* Before any keeper starts: the sockets over which workers that are replaced pass their connections on. */
void sup_takeover_inherit(struct sup *s);
void sup_takeover_connect(struct sup *s); /* keepers that run learn the way to pools that begin */
void sup_takeover_finish(struct sup *s); /* everything runs: those that are replaced drain */
void sup_takeover_tick(struct sup *s, bool is_over); /* are they gone? */

/* slots.c: keepers. */
int sup_slots_new(struct sup *s);
void sup_slots_free(struct sup *s);
void sup_slots_open_passes(struct sup *s);
void sup_slots_start(struct sup *s); /* those that are due */
void sup_slots_reap(struct sup *s);
void sup_slots_signal(struct sup *s, int signal);
bool sup_slots_are_gone(const struct sup *s);
void sup_slot_end(struct sup_slot *slot);
int sup_slot_order(struct sup_slot *slot, enum wrk_order order, enum wrk_reason reason);
enum weir_slot_state sup_slot_state(const struct sup *s, const struct sup_slot *slot);

/* pool.c: the state machine. */
int sup_pools_new(struct sup *s);
void sup_pools_free(struct sup *s);
struct sup_pool *sup_pool_of(const struct sup *s, const struct sup_slot *slot);
struct sup_pool *sup_pool_by_id(const struct sup *s, uint16_t id); /* NULL: none */
struct sup_pool *sup_pool_find(const struct sup *s, const char *name);
enum sup_pool_state sup_pool_state(const struct sup *s, const struct sup_pool *p);
const char *sup_pool_state_name(enum sup_pool_state state);
void sup_pool_want(struct sup *s, struct sup_pool *p, enum sup_want want);
void sup_pools_resume(struct sup *s); /* what the pools were told before a takeover */
void sup_pools_look(struct sup *s); /* a keeper has news, or a second has passed */
uint32_t sup_slot_number(const struct sup *s, const struct sup_slot *slot);
/* Adds up a counter of a pool's slots. */
#define sup_pool_sum(s, p, name)                                                                                       \
	({                                                                                                             \
		uint64_t _sum = 0;                                                                                     \
		unsigned _i;                                                                                           \
		for (_i = 0; _i < (p)->conf->slots; _i++)                                                              \
			_sum += weir_metrics_get(&(s)->metrics[(p)->conf->first_slot + _i], name);                     \
		_sum;                                                                                                  \
	})

/* recycle.c: who is recycled, and when. */
void sup_recycle(struct sup_pool *p, enum wrk_reason reason);
bool sup_recycle_is_under_way(const struct sup_pool *p);
void sup_recycle_step(struct sup *s, struct sup_pool *p);
void sup_recycle_tick(struct sup *s, struct sup_pool *p);
int sup_recycle_watch(struct sup_pool *p); /* logs */

uint64_t sup_resident_kb(uint64_t pid); /* memory of a process; 0: unknown */

/* cpu.c */
void sup_cpu_tick(struct sup *s, struct sup_pool *p);
/* Makes the cgroup of a slot, where there is need and permission. NULL: none; static. */
const char *sup_cgroup_make(const struct sup *s, const struct weir_conf_pool *conf, uint32_t number);
void sup_cgroup_remove(const struct sup *s);

/* queue.c: the request queues that the kernel side counts. */
int sup_queues_init(struct sup *s); /* the canned refusals */
void sup_queue_tick(struct sup *s, struct sup_pool *p);
uint64_t sup_queue_depth(const struct sup *s, const struct sup_pool *p);
uint64_t sup_queue_oldest_ms(const struct sup *s, const struct sup_pool *p);

/* limit.c: protection. */
int sup_limits_apply(struct sup *s); /* what the configuration says; logs */
void sup_limits_tick(struct sup *s);
json_t *sup_control_limit_show(struct sup *s, const json_t *request);
json_t *sup_control_limit_set(struct sup *s, const json_t *request);
json_t *sup_control_acl_list(struct sup *s, const json_t *request);
json_t *sup_control_acl_do(struct sup *s, const json_t *request);

/* refuse.c: connections to a pool without workers get a 503 here, unread. */
int sup_refuser_new(struct sup *s);
void sup_refuser_free(struct sup *s);
int sup_refuser_fd(const struct sup *s);
void sup_refuser_dispatch(struct sup *s);
void sup_refuser_watch(struct sup *s, struct sup_pool *p, bool is_on);
/* Sockets of the service manager: watched once the workers run; off closes them. */
void sup_refuser_watch_activated(struct sup *s, bool is_on);

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

/* service.c: systemd, where it is. */
int sup_service_inherit(struct sup *s); /* logs */
/* Before this process becomes another program, which inherits the sockets in its turn; off: it has not. */
void sup_service_pass_on(const struct sup *s, bool is_on);
void sup_service_ready(const struct sup *s);
void sup_service_stopping(void);
void sup_service_tick(void);

/* admin.c: the process of the admin endpoint. */
int sup_admin_open(struct sup *s); /* logs */
void sup_admin_start(struct sup *s);
void sup_admin_died(struct sup *s, pid_t pid); /* if it was that one */
void sup_admin_close(struct sup *s);

/* upgrade.c: a new program file. */
void sup_upgrade_tick(struct sup *s); /* does not return when one takes over */
json_t *sup_control_upgrade(struct sup *s, const json_t *request);

/* reload.c: SIGHUP, and `weir reload`. */
void sup_reload(struct sup *s);
void sup_reload_now(struct sup *s); /* is_reloading was set */
json_t *sup_control_reload(struct sup *s, const json_t *request);

/* control*.c: answers to the command line. */
json_t *sup_control(const char *command, const json_t *request, void *sup);
size_t sup_control_limit(const json_t *request); /* rows of a list */
json_t *sup_control_stats(struct sup *s, const json_t *request);
json_t *sup_control_status(struct sup *s, const json_t *request);
json_t *sup_control_cache_list(struct sup *s, const json_t *request);
json_t *sup_control_busiest(struct sup *s, const json_t *request);
json_t *sup_control_cache_purge(struct sup *s, const json_t *request);
json_t *sup_control_cache_flush(struct sup *s, const json_t *request);
json_t *sup_control_pool_list(struct sup *s, const json_t *request);
json_t *sup_control_pool_show(struct sup *s, const json_t *request);
json_t *sup_control_pool_do(struct sup *s, const json_t *request);
json_t *sup_control_queue(struct sup *s, const json_t *request);
json_t *sup_pool_json(const struct sup *s, const struct sup_pool *p); /* state, workers, queue */
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
bool sup_addr_is_v4(const struct weir_addr *a);
void sup_addr_format(const struct weir_addr *a, uint16_t port, char *buf, size_t bytes);

#endif
