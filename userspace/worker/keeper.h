/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the keeper: one process a pool slot that holds the file table (listening sockets, epoll set, connections)
 * and the connection table, so that both outlive a worker. One thread. It never reads what a client sent. */
#ifndef WRK_KEEPER_H
#define WRK_KEEPER_H

#include "worker/wrk_priv.h"

/* A worker process. */
struct keeper_worker {
	pid_t pid;	      /* 0: none */
	uint32_t generation;
	int drain_fd;
	uint64_t born_ms;
	uint64_t requests;    /* that the slot had answered then */
	uint64_t drain_ms;    /* when it was told to drain; 0: not yet */
	bool is_ready;
	const char *killed_for; /* why we killed it; NULL: we have not */
};

#define KEEPER_STRAYS_MAX 64

struct keeper {
	/* fixed after init */
	struct wrk_base base;	  /* but for what each worker gets of its own */
	struct wrk_worker rescue; /* with which the keeper itself recovers a dead worker's connections */
	int signal_fd;
	struct weir_clock *clock; /* NULL: without XDP */
	unsigned tick_ms;

	/* At most two live at a time: one serves; `next` will replace it, or `old` was replaced. */
	struct keeper_worker serving, next, old;
	uint64_t retry_ms;	  /* none serves: when to start one */
	unsigned backoff_ms;
	uint32_t dead_generation;	    /* of the worker that died last */
	uint64_t strays_ms;		    /* when to look at the strays again; 0: there are none */
	uint64_t strays[KEEPER_STRAYS_MAX]; /* their sockets' cookies */
	unsigned strays_count;
	bool is_ending;
	bool is_moving;		  /* and the workers of another pool, or of another slot of this, take its connections */
	uint16_t move_to;	  /* that pool; 0: its own */
	bool is_resting;	  /* no worker until the epoll set has an event */
	bool has_order;		  /* an order to recycle */
	enum wrk_reason reason;   /* its reason, or that of the recycling under way */
	bool is_timekeeper;	  /* wrote the last Date */
	uint32_t clock_turn;	  /* the second of it */
	bool is_pinged;		  /* a health ping is not answered yet */
	uint64_t pinged_ms;
};

/* keeper_worker.c: the workers' lives. */
void keeper_reap(struct keeper *k);
/* What is due: starts, replaces, drains, kills. */
void keeper_step(struct keeper *k);
bool keeper_has_worker(const struct keeper *k);
/* Ends a worker by force; its death then counts as a crash unless it was draining. */
void keeper_kill(struct keeper *k, struct keeper_worker *w, const char *why);
void keeper_state(struct keeper *k, enum weir_slot_state state);

/* keeper_order.c: takes what the supervisor gives to a keeper that runs. */
void keeper_take_gift(struct keeper *k);

/* keeper_start.c: what is done once, with the rights of the supervisor at first. Logs. */
int keeper_prepare(struct keeper *k);
/* Listening sockets in the epoll set, as a worker would put them there. */
int keeper_watch_sources(const struct keeper *k);

/* keeper_strays.c */
/* Closes what neither the supervisor gave us nor a connection is: what a dead worker had open. */
int keeper_close_strays(const struct keeper *k);
/* A worker has died, and its requests in flight were noted: sees to the descriptors that it had not entered. */
void keeper_find_strays(struct keeper *k, uint32_t dead_generation);
/* Now and then: whether those that it found beside a living worker are still there. */
void keeper_look_again(struct keeper *k);

/* keeper_health.c */
void keeper_ping(struct keeper *k);
void keeper_tick_clock(struct keeper *k);

/* keeper_death.c: logs how a worker ended and what it had in flight. */
void keeper_report_death(const struct keeper *k, const struct keeper_worker *w, int status);
/* Leaves a worker that hangs alive, for a debugger, and says so. */
void keeper_orphan(struct keeper *k, struct keeper_worker *w, const char *why);

#endif
