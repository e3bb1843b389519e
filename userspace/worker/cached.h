/* SPDX-License-Identifier: GPL-2.0 */
/* The pool's response cache in front of what asks an origin: answers from memory, one fetch for many who want the same, fills
 * from what the relay hears. Part of wrk_priv.h. */
#ifndef WRK_CACHED_H
#define WRK_CACHED_H

#include <pthread.h>

#include "cache/fetch.h"

struct wrk_conn;
struct wrk_exchange;
struct wrk_thread;
struct wrk_worker;
struct wrk_tap;
struct weir_conf_prefix;

/* A connection whose request waits for another's fetch. Its bytes are in its input slot: no thread, and no memory of ours
 * but this, waits with it. */
struct wrk_waiter {
	struct wrk_waiter *next;
	struct wrk_conn *conn;
	uint64_t hash[2];
	uint64_t variant[2];
	uint64_t until_ms;
};

struct wrk_cached {
	/* fixed after init */
	struct weir_pool_cache pc; /* .store NULL: no cache */
	unsigned number;	   /* in wrk_conn.state: of those who wait */
	pthread_mutex_t lock;
	/* under lock */
	struct wrk_waiter *first;
	/* any thread, atomic */
	unsigned waiting;
};

enum wrk_cached_step {
	WRK_CACHED_PASS,     /* the origin is asked; t->fetch, where it is set, hears the response */
	WRK_CACHED_ANSWERED, /* t->resp */
	WRK_CACHED_WAITS,    /* the connection is not the thread's any more */
};

int wrk_cached_init(struct wrk_worker *w);
void wrk_cached_fini(struct wrk_worker *w);
/* For a request of this pool, before its handler is asked. */
enum wrk_cached_step wrk_cached_serve(struct wrk_thread *t, struct wrk_conn *c, const struct weir_conf_prefix *prefix,
				      struct weir_str rest);
/* Nobody took t->fetch, or the request has ended otherwise. */
void wrk_cached_drop(struct wrk_thread *t);
/* Lets those go on who wait for too long, or for a fetch that has ended in another process; all of them in a drain. Main
 * thread: takes no lock of the store. */
void wrk_cached_sweep(struct wrk_worker *w, uint64_t now_ms);
unsigned wrk_cached_waiting(struct wrk_worker *w);

extern const struct wrk_tap wrk_cached_tap;

#endif
