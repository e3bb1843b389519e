/* SPDX-License-Identifier: GPL-2.0 */
/* The servers behind a pool: which of them takes a request, which of them rest, and the connections
 * that are kept open to each. One set a worker, used by its serving threads and its relay at once;
 * what all workers of a pool should know of a server is in memory that they share. */
#ifndef WEIR_UPSTREAM_H
#define WEIR_UPSTREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/str.h"
#include "config/config.h"

/* What is known of one server. In memory shared by the workers of a pool and the supervisor; all
 * atomic. */
struct weir_up_shared {
	uint64_t requests;	 /* given to it */
	uint64_t failures;	 /* of those: no connection, no answer, or none that could be understood */
	uint64_t fails;		 /* in the current fail_timeout */
	uint64_t fails_since_ms; /* CLOCK_MONOTONIC */
	uint64_t rests_until_ms; /* passive health: not chosen before; 0: never failed so often */
	uint64_t is_down;	 /* active health: 1 */
	uint64_t checks_ok;	 /* in a row */
	uint64_t checks_failed;	 /* in a row */
	uint64_t check_at_ms;	 /* the next check; whoever moves it does the check */
};

enum weir_up_state {
	WEIR_UP_READY,
	WEIR_UP_RESTING, /* passive health */
	WEIR_UP_DOWN,	 /* active health */
};
enum weir_up_state weir_up_shared_state(const struct weir_up_shared *s, uint64_t now_ms);

const char *weir_up_state_name(enum weir_up_state s);

struct weir_up_server;

/* A connection to a server. Its memory stays what it is after it was closed, so that a late epoll
 * event is harmless. */
struct weir_up_conn {
	int fd;
	struct weir_up_server *server;
	void *user;    /* atomic: whose it is; NULL: nobody's */
	bool was_used; /* a request was answered on it */
	/* under weir_up_set.lock */
	bool is_idle;
	uint64_t idle_since_ms;
	struct weir_up_conn *next, *prev;
};

/* A health check that is under way. */
struct weir_up_check {
	bool is_running;
	bool is_sent;
	int fd;
	uint64_t deadline_ms;
	size_t n;
	size_t scanned;
	char bytes[4096]; /* the request, then the answer */
};

struct weir_up_server {
	/* fixed after init */
	const struct weir_conf_upstream *conf;
	unsigned index;
	uint64_t name_hash;
	struct weir_up_shared *shared;
	/* under weir_up_set.lock */
	unsigned active;	   /* of this worker */
	long turn;		   /* smooth weighted round robin */
	struct weir_up_conn *idle; /* the last one used first */
	unsigned idle_count;
	/* whoever calls weir_up_check() */
	struct weir_up_check check;
};

struct weir_up_set {
	/* fixed after init */
	const struct weir_conf_proxy *conf;
	struct weir_up_server *servers;
	size_t count;
	struct weir_up_shared *own; /* when the caller shares none */
	/* a health check has made a server's state another; `why` is NULL when it is ready. NULL: nobody is told */
	void (*on_change)(void *arg, const struct weir_up_server *server, const char *why);
	void *on_change_arg;
	pthread_mutex_t lock;
	/* under lock */
	struct weir_up_conn *spare;
};

/* `shared`: one for each server of `conf`, zero the first time, or NULL. -ENOMEM. */
int weir_up_set_new(const struct weir_conf_proxy *conf, struct weir_up_shared *shared, struct weir_up_set **ret);
/* Closes every idle connection; no other may be left. Takes NULL, returns NULL. */
struct weir_up_set *weir_up_set_free(struct weir_up_set *s);

/* A stable hash of what a request is balanced by. */
uint64_t weir_up_hash(struct weir_str key);

/* Chooses a server that is not in `tried` (bits by index) and counts a request to it;
 * weir_up_done() must follow. Servers that rest or are down come only when no other is left, unless
 * `tried` is not empty. NULL, *ret_is_busy: all that could be asked have max_conns requests; else
 * there is none left to ask. */
struct weir_up_server *weir_up_pick(struct weir_up_set *s, uint64_t hash, uint64_t tried, uint64_t now_ms,
				    bool *ret_is_busy);
/* The request is over for this server. True: with this failure it begins to rest. */
bool weir_up_done(struct weir_up_set *s, struct weir_up_server *server, bool has_failed, uint64_t now_ms);

/* An idle connection, now `user`'s; NULL: there is none. */
struct weir_up_conn *weir_up_conn_take(struct weir_up_set *s, struct weir_up_server *server, void *user);
/* Begins a new one. 0: *ret is connected. -EINPROGRESS: *ret tells by EPOLLOUT, then
 * weir_up_conn_error() knows more. -EAGAIN: a Unix socket's queue is full, try again a little
 * later. Other -errno. */
int weir_up_conn_open(struct weir_up_set *s, struct weir_up_server *server, void *user, struct weir_up_conn **ret);
int weir_up_conn_error(const struct weir_up_conn *c);
/* Gives it back for the next request, or closes it when enough are kept. */
void weir_up_conn_keep(struct weir_up_set *s, struct weir_up_conn *c, uint64_t now_ms);
void weir_up_conn_close(struct weir_up_set *s, struct weir_up_conn *c);
/* An event came for a connection that has no user: it is closed, unless somebody has taken it
 * meanwhile, who is returned. */
void *weir_up_conn_stray(struct weir_up_set *s, struct weir_up_conn *c);
/* Closes what was idle for too long; all of them at the end. */
void weir_up_expire(struct weir_up_set *s, uint64_t now_ms, bool is_all);

/* --- health --- */

/* Begins and continues health checks; to be called now and then by one thread, never waits. Without health_path there
 * is nothing to do. */
void weir_up_check(struct weir_up_set *s, uint64_t now_ms);
/* Drops what is under way. */
void weir_up_check_end(struct weir_up_set *s);
/* Counts the result of a check: health_fall failures in a row make a server down, health_rise successes ready again.
 * True: its state has changed. */
bool weir_up_note_check(const struct weir_conf_proxy *conf, struct weir_up_shared *s, bool is_ok);

#endif
