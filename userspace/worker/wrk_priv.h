/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of a pool slot. The keeper makes what outlives a worker (struct wrk_base: the connection table in shared
 * memory, the epoll set, the drain signal, all in the shared file table); the worker adds threads and a handler, and
 * may die at any instruction. */
#ifndef WRK_PRIV_H
#define WRK_PRIV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "weir/flow.h"
#include "weir/pool.h"

#include "cache/cache.h"
#include "handlers/handler.h"
#include "handlers/static.h"
#include "http/http.h"
#include "worker/worker.h"

#define WRK_IN_BYTES WEIR_HTTP_HEAD_MAX
#define WRK_TABLE_MAX (1u << 18)   /* descriptors that a slot may have */
#define WRK_THREADS_MAX 1024
#define WRK_BODY_MAX 65536	   /* bytes of a body that are read only to throw them away */
#define WRK_LINGER_MS 2000	   /* after our FIN, so that the client reads the answer before a reset */
#define WRK_TAKEN_MS 5000	   /* until the reset of a connection that XDP has taken back must have come */
#define WRK_STALL_MS 30000	   /* a client that takes nothing of a response for so long */
#define WRK_BACKLOG_MS 300	   /* of a drain, in which waiting connections are still accepted */
#define WRK_DRAIN_MS 2000	   /* of a drain, then the worker is killed */

/* Low byte of wrk_conn.state; the thread number is above it. */
enum wrk_state {
	WRK_FREE,
	WRK_IDLE,	  /* in the epoll set, nobody's; queued when bytes wait in the socket */
	WRK_FLIGHT,	  /* one thread's */
	WRK_FLIGHT_AGAIN, /* the same, and an event came meanwhile */
};

enum wrk_phase {
	WRK_PHASE_HEAD,	  /* waits for, or is inside, a request head */
	WRK_PHASE_BODY,	  /* throws a body away */
	WRK_PHASE_LINGER, /* we have sent our FIN */
	WRK_PHASE_TAKEN,  /* XDP has the connection; the socket's reset is on its way */
	WRK_PHASE_PASSED, /* another pool may have the socket already: not a byte from us */
};

enum wrk_step {
	WRK_STEP_NONE,	  /* nothing was read since the thread has it */
	WRK_STEP_TAKEN,	  /* bytes of a request are only in the thread's memory */
	WRK_STEP_SENDING, /* bytes of its response may be out */
};

/* A connection, by its descriptor, in memory that outlives the worker. */
struct wrk_conn {
	uint32_t state;	       /* atomic; a thread in FLIGHT owns everything below */
	uint32_t in_bytes;     /* read, not parsed; in the connection's input slot */
	size_t scanned;	       /* see weir_request_parse() */
	uint64_t deadline_ms;  /* CLOCK_MONOTONIC; when the sweep ends it */
	uint64_t since_ms;     /* in FLIGHT: when the thread took the request */
	uint64_t body_left;    /* PHASE_BODY with a Content-Length */
	struct weir_chunked chunked;
	uint32_t body_eaten;   /* of a chunked body */
	uint32_t consumed;     /* bytes read since accept(), modulo 2^32 */
	uint32_t sent;	       /* bytes written, likewise */
	uint32_t sent_start;   /* STEP_SENDING: what `sent` was before this response */
	uint32_t sent_goal;    /* STEP_SENDING: what it is when the response is complete */
	uint32_t ticket;       /* state word of our offer to XDP; 0: none */
	uint16_t endpoint;     /* id */
	uint8_t phase;	       /* enum wrk_phase */
	uint8_t step;	       /* enum wrk_step */
	bool is_partial;       /* a head has begun */
	bool is_chunked;       /* PHASE_BODY */
	bool goes_on;	       /* STEP_SENDING: when it is complete, the connection is idle */
	bool in_epoll;
	bool is_counted;       /* in weir_queue.arrived, not yet in .taken */
	bool was_used;	       /* its input slot has memory */
	struct weir_flow_key key;
};

struct wrk_table {
	struct wrk_conn *conns; /* `cap` of them */
	char *slots;		/* WRK_IN_BYTES each */
	uint32_t cap;
	uint32_t *highest;	/* shared, atomic: no descriptor above it was ever in use */
};

/* Made by the keeper, survives the worker. Fixed after init. */
struct wrk_base {
	const struct wrk_setup *setup;
	struct wrk_table table;
	int epoll_fd;
	int drain_fd; /* eventfd: readable when the slot shall end */
};

struct wrk_worker;

/* A serving thread's own memory. */
struct wrk_thread {
	struct wrk_worker *w;
	pthread_t id;
	unsigned number;
	int64_t date_s; /* that `date` shows */
	char date[WEIR_HTTP_DATE_BYTES];
	struct weir_request req;
	struct weir_response resp;
	char in[WRK_IN_BYTES];
	char out[WEIR_RESPONSE_TEXT_MAX];
};

struct wrk_worker {
	/* fixed after init */
	const struct wrk_base *base;
	const struct wrk_setup *setup;
	struct weir_cache cache;
	struct weir_static *files; /* NULL: the root cannot be opened, see files_error */
	int files_error;
	struct weir_addr *locals;  /* of each listener; zero when it is a wildcard */
	struct wrk_thread **threads;
	unsigned threads_count;
	struct weir_ticket *tickets; /* the pool's, shared; NULL: never offer */
	struct weir_queue *queue;    /* likewise; NULL: without XDP */
	/* any thread, atomic */
	uint32_t ticket_generation;
	bool is_draining;
	uint64_t drain_ms;	   /* when that began */
	unsigned threads_running;
};

/* What an epoll event is about: kind << 32 | number. */
enum wrk_source {
	WRK_SOURCE_CONN,     /* number: descriptor */
	WRK_SOURCE_LISTENER, /* number: index in setup->listeners */
	WRK_SOURCE_PASS,
	WRK_SOURCE_DRAIN,
};

static inline uint64_t wrk_event_tag(enum wrk_source source, uint32_t number)
{
	return (uint64_t)source << 32 | number;
}

/* What becomes of a connection after a step. */
enum wrk_next {
	WRK_NEXT_IDLE,	/* waits for the client */
	WRK_NEXT_MORE,	/* read at once: the last read was full */
	WRK_NEXT_EMPTY, /* waits, and a read has just said so */
	WRK_NEXT_GONE,	/* closed, or passed on */
};

/* table.c */
int wrk_table_new(struct wrk_table *ret);
static inline int wrk_conn_fd(const struct wrk_table *t, const struct wrk_conn *c)
{
	return (int)(c - t->conns);
}
static inline char *wrk_conn_slot(const struct wrk_table *t, const struct wrk_conn *c)
{
	return t->slots + (size_t)(c - t->conns) * WRK_IN_BYTES;
}
/* The entry of a new descriptor, in flight by `thread`. NULL: the table is too small. */
struct wrk_conn *wrk_conn_open(const struct wrk_table *t, int fd, unsigned thread);
/* False: it is nobody's to take (free, or in flight: then its thread will look again). */
bool wrk_conn_claim(struct wrk_conn *c, unsigned thread);
/* Back to idle. False: an event came meanwhile, and the thread still has it. */
bool wrk_conn_release(struct wrk_conn *c, unsigned thread);
/* Makes the entry free, then closes the descriptor, in this order: the number may be reused at once. */
void wrk_conn_free(const struct wrk_table *t, struct wrk_conn *c);

/* conn.c */
/* Closes what the thread has in flight, with its ticket; counts it. */
void wrk_conn_close(struct wrk_worker *w, struct wrk_conn *c);
/* Ends an idle connection that the calling thread has claimed: closed, or, when XDP has it, in PHASE_TAKEN. */
enum wrk_next wrk_conn_retire(struct wrk_worker *w, struct wrk_conn *c);
/* After our last response: FIN, then whatever the client still sends is thrown away for a while. */
enum wrk_next wrk_conn_linger(struct wrk_worker *w, struct wrk_conn *c);
/* A read has failed, or found the end. */
enum wrk_next wrk_conn_lost(struct wrk_worker *w, struct wrk_conn *c, int error);
/* Gives the connection back to the epoll set. False: an event came, the thread still has it. */
bool wrk_conn_park(struct wrk_worker *w, struct wrk_conn *c, unsigned thread);

/* What became of an offer. */
enum wrk_ticket {
	WRK_TICKET_NONE,    /* there was none, or it was withdrawn: the connection is ours */
	WRK_TICKET_TAKEN,   /* XDP has the connection */
	WRK_TICKET_COUNTED, /* ours, and a request is waiting in it */
};

/* ticket.c */
int wrk_tickets_init(struct wrk_worker *w);
/* Offers the connection to XDP once `bytes` more are sent. */
void wrk_ticket_offer(struct wrk_worker *w, struct wrk_conn *c, uint64_t bytes);
enum wrk_ticket wrk_ticket_withdraw(struct wrk_worker *w, struct wrk_conn *c);
/* A thread has read the request, or the connection ends: it waits no longer. Withdraws an offer. */
void wrk_queue_leave(struct wrk_worker *w, struct wrk_conn *c);

/* serve.c */
void wrk_serve(struct wrk_thread *t, struct wrk_conn *c, uint32_t events);
/* The same for a connection whose first `count` bytes are in t->in. */
void wrk_serve_received(struct wrk_thread *t, struct wrk_conn *c, size_t count);

/* request.c: one request, its head in t->req. `rest` is everything that was read, from the head's first byte on. */
enum wrk_next wrk_request_handle(struct wrk_thread *t, struct wrk_conn *c, struct weir_str rest);
/* Answers a head that cannot be parsed, and ends the connection. */
enum wrk_next wrk_request_refuse(struct wrk_thread *t, struct wrk_conn *c, unsigned status);

/* send.c */
/* Sends t->resp. `goes_on`: nothing of the client's is left to do after it. -errno: the connection is of no more
 * use. */
int wrk_send_response(struct wrk_thread *t, struct wrk_conn *c, bool is_keep_alive, bool goes_on);
int wrk_send_text(struct wrk_thread *t, struct wrk_conn *c, struct weir_str text);

/* accept.c */
void wrk_accept(struct wrk_thread *t, size_t listener);
int wrk_locals_init(struct wrk_worker *w);

/* pass.c */
/* 0: another pool has it now, and *c is free. */
int wrk_pass_on(struct wrk_thread *t, struct wrk_conn *c, uint16_t pool, struct weir_str rest);
void wrk_pass_receive(struct wrk_thread *t);

/* sweep.c */
void wrk_sweep(struct wrk_worker *w);
/* Ends every connection; waits for those that XDP has. */
void wrk_sweep_all(struct wrk_worker *w);

/* recover.c: what a dead worker left. */
void wrk_recover(struct wrk_worker *w);

/* worker.c */
void wrk_worker_main(const struct wrk_base *base) __attribute__((noreturn));

/* sandbox.c */
/* Takes the pool's identity and gives up every capability. */
int wrk_sandbox_identity(uid_t uid, gid_t gid);
/* Leaves the calling thread, and those it starts, the system calls that a worker needs. */
int wrk_sandbox_syscalls(void);

#endif
