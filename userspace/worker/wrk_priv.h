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
#include "handlers/debug.h"
#include "handlers/handler.h"
#include "handlers/module.h"
#include "handlers/static.h"
#include "http/http.h"
#include "worker/worker.h"

#define WRK_IN_BYTES WEIR_HTTP_HEAD_MAX
#define WRK_TABLE_MAX (1u << 18)   /* descriptors that a slot may have */
#define WRK_FRESH_MAX 64		   /* connections that a thread keeps beside the epoll set */
#define WRK_FRESH_NS 2000000	   /* for so long */
#define WRK_FRESH_LOOK_NS 200000   /* and looks at so often when it has nothing else to do */
#define WRK_THREADS_MAX 1024
#define WRK_BODY_MAX 65536	   /* bytes of a body that are read only to throw them away */
#define WRK_LINGER_MS 2000	   /* after our FIN, so that the client reads the answer before a reset */
#define WRK_TAKEN_MS 5000	   /* until the reset of a connection that XDP has taken back must have come */
#define WRK_PENDING_BYTES_MAX (64u << 20) /* memory of responses that wait for slow clients */
#define WRK_TICK_MS 50		   /* the main thread looks at the others */
#define WRK_STUCK_MS 8		   /* a thread that has had one event for so long waits more than it works */
#define WRK_LIVING_MAX 8	   /* workers of one slot at a time */
#define WRK_EXCHANGES_MAX 65536   /* requests that a worker may have passed on at a time */
#define WRK_WHAT_BYTES 96	   /* of a request that are kept for people */
#define WRK_BACKLOG_MS 300	   /* of a drain, in which waiting connections are still accepted */

/* Low seven bits of wrk_conn.state; then WRK_HELD; the thread number is above them. */
enum wrk_state {
	WRK_FREE,
	WRK_IDLE,	  /* in the epoll set, nobody's; queued when bytes wait in the socket */
	WRK_FLIGHT,	  /* one thread's */
	WRK_FLIGHT_AGAIN, /* the same, and an event came meanwhile */
	WRK_OPENING,	  /* one thread's, which fills it; of a dead worker's, nothing but the descriptor is known */
};

#define WRK_HELD 0x80 /* in flight, and somebody else looks at the descriptor: its owner waits before it lets go */

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

/* Why a limit ended a request or a connection; the phrases are HTTP.sys's (limits.c). */
enum wrk_limit {
	WRK_LIMIT_CONNECTION_IDLE,
	WRK_LIMIT_HEADER_WAIT,
	WRK_LIMIT_ENTITY_BODY,
	WRK_LIMIT_MIN_BYTES_PER_SECOND,
	WRK_LIMIT_APP_POOL,
	WRK_LIMIT_REQUEST,
	WRK_LIMIT__MAX,
};

/* A connection, by its descriptor, in memory that outlives the worker. */
struct wrk_conn {
	uint32_t state;	       /* atomic; a thread in FLIGHT owns everything below */
	uint32_t in_bytes;     /* read, not parsed; in the connection's input slot */
	size_t scanned;	       /* see weir_request_parse() */
	uint64_t deadline_ms;  /* CLOCK_MONOTONIC; when the sweep ends it */
	uint64_t begun_ns;     /* CLOCK_MONOTONIC: when the head of the request in hand was complete; 0: none */
	uint64_t since_ms;     /* in FLIGHT: when the thread took the request; atomic, the sweep looks */
	uint64_t body_left;    /* PHASE_BODY with a Content-Length */
	struct weir_chunked chunked;
	uint32_t body_eaten;   /* of a chunked body */
	uint32_t consumed;     /* bytes read since accept(), modulo 2^32 */
	uint32_t sent;	       /* bytes written, likewise */
	uint32_t sent_start;   /* STEP_SENDING: what `sent` was before this response */
	uint32_t sent_goal;    /* STEP_SENDING: what it is when the response is complete */
	uint32_t ticket;       /* state word of our offer to XDP; 0: none */
	uint8_t ticket_way;    /* and where it is in its bucket */
	uint16_t endpoint;     /* id */
	uint8_t phase;	       /* enum wrk_phase */
	uint8_t step;	       /* enum wrk_step */
	bool is_partial;       /* a head has begun */
	bool is_chunked;       /* PHASE_BODY */
	bool goes_on;	       /* STEP_SENDING: when it is complete, the connection is idle */
	bool in_epoll;
	bool is_counted;       /* in weir_queue.arrived, not yet in .taken */
	bool was_used;	       /* its input slot has memory */
	bool has_input;	       /* IDLE: requests wait in the input slot, EPOLLOUT wakes a thread for them */
	bool is_expired;       /* the time limit of the request has ended it; atomic */
	struct weir_flow_key key;
	char what[WRK_WHAT_BYTES]; /* STEP_TAKEN, STEP_SENDING: "GET /path", as the client sent it, terminated */
};

/* First bytes of the shared memory. All atomic. */
struct wrk_shared {
	uint32_t highest;   /* no descriptor above it was ever in use */
	uint32_t deaths;    /* of workers that had not signed off */
	uint32_t recovered; /* the `deaths` whose connections have been seen to */
	uint32_t is_ending; /* the whole slot does: who leaves last ends what is left */
	uint32_t living[WRK_LIVING_MAX]; /* generation + 1 of each worker that may own connections; 0: none */
	uint32_t spare[4];
};

struct wrk_table {
	struct wrk_conn *conns; /* `cap` of them */
	char *slots;		/* WRK_IN_BYTES each */
	uint32_t cap;
	struct wrk_shared *shared;
	uint32_t *highest;	/* in *shared */
};

/* How a worker shall end: the value that is written to its drain_fd; with WRK_DRAIN_MOVE, a pool id << 8. */
enum wrk_drain {
	WRK_DRAIN_FINAL = 1,	/* the slot ends: idle connections are closed */
	WRK_DRAIN_HAND_OVER = 2, /* another worker of the slot goes on: only what threads hold is finished */
	WRK_DRAIN_MOVE = 4,	 /* the slot ends: connections are passed to that pool's workers (0: its own pool's) */
};

/* Made by the keeper, survives the worker. A worker sees its copy as of its clone(): fixed after init. Two workers of a
 * slot live at a time while one replaces the other. */
struct wrk_base {
	const struct wrk_setup *setup;
	struct wrk_table table;
	int epoll_fd;
	int drain_fd; /* eventfd of this worker alone, readable when it shall end; its value is an enum wrk_drain */
	int ping_fd;  /* eventfd, semaphore: the keeper's health ping, in the epoll set as WRK_SOURCE_PING; -1: none */
	uint32_t generation; /* of this worker: thread numbers in wrk_conn.state carry it, see wrk_thread_number() */
	bool has_elder; /* another worker of the slot lives: what is in flight now is its own, not a dead one's */
};

/* A thread's number in wrk_conn.state: unique among the workers that may live at the same time. */
#define WRK_GENERATIONS 4096
static inline unsigned wrk_thread_number_in(uint32_t generation, unsigned index)
{
	return (generation & (WRK_GENERATIONS - 1)) << 12 | index;
}
static inline unsigned wrk_thread_number(const struct wrk_base *b, unsigned index)
{
	return wrk_thread_number_in(b->generation, index);
}
static inline uint32_t wrk_state_generation(uint32_t state)
{
	return state >> 8 >> 12;
}

struct wrk_worker;

/* What is left of a response, piece by piece. */
struct wrk_out {
	unsigned at;
	unsigned count;
	struct weir_part parts[WEIR_PARTS_MAX + 1];
};

/* A response that waits for a slow client, see pump.c. */
struct wrk_pending {
	struct wrk_pending *next, *prev; /* under wrk_pump.lock */
	struct wrk_conn *conn;
	struct wrk_out out;
	uint64_t deadline_ms; /* complete by then, or slower than min_send_rate; 0: no limit */
	bool is_keep_alive;   /* when it is complete, the connection goes on */
	bool has_more;	      /* the client may send more behind the request: linger */
	void *owner;	      /* of what the pieces point to */
	void (*release)(void *owner);
	size_t bytes;	      /* of this allocation */
	char copy[];	      /* pieces that nobody owns */
};

/* A serving thread's own memory. */
struct wrk_thread {
	struct wrk_worker *w;
	pthread_t id;	  /* under threads_lock */
	unsigned index;	  /* in wrk_worker.threads */
	unsigned number;  /* in wrk_conn.state */
	uint64_t busy_ms; /* atomic: since when it has an event; 0: it waits for one */
	int64_t date_s; /* that `date` shows */
	char date[WEIR_HTTP_DATE_BYTES];
	struct wrk_conn *fresh[WRK_FRESH_MAX]; /* see fresh.c */
	struct wrk_conn *again; /* its next request has come, see relay_end.c */
	uint32_t again_events;
	bool saw_end;	  /* the event that is served says that the client has ended its side */
	uint64_t fresh_ns[WRK_FRESH_MAX];      /* CLOCK_MONOTONIC: since when */
	unsigned fresh_count;
	struct wrk_pending *pending; /* of the response that was just begun */
	struct wrk_out todo;
	size_t body_taken; /* bytes behind the request's head that its handler has eaten */
	struct weir_module_thread module;
	struct weir_request req;
	struct weir_route_found found; /* the prefix of req */
	struct weir_response resp;
	char in[WRK_IN_BYTES];
	char out[WEIR_RESPONSE_TEXT_MAX];
};

/* Sends what slow clients are yet to take; a thread of its own while there is something. */
struct wrk_pump {
	int epoll_fd;	 /* this worker's alone; fixed after init */
	unsigned number; /* in wrk_conn.state; fixed after init */
	pthread_mutex_t lock;
	/* under lock */
	struct wrk_pending *first;
	bool is_running;
	/* any thread, atomic */
	size_t bytes;
};

struct wrk_exchange;
struct wrk_tap;
struct weir_codec;
struct weir_up_set;

/* Passes requests on to upstreams, see relay.h. Not there (codec is NULL) when the handler needs none. */
struct wrk_relay {
	/* fixed after init */
	const struct weir_codec *codec;
	struct weir_up_set *upstreams;
	const struct wrk_tap *tap; /* NULL: nobody listens */
	int epoll_fd;	 /* this worker's alone; the slot's is in it */
	unsigned number; /* in wrk_conn.state */
	struct wrk_exchange **all; /* WRK_EXCHANGES_MAX; the first `count` are set */
	pthread_mutex_t lock;
	/* under lock */
	struct wrk_exchange *free;
	void *free_bufs; /* a list through their first bytes */
	unsigned free_bufs_count;
	uint64_t said_ms; /* of messages about failures: this second, and how many */
	unsigned said;
	/* any thread, atomic */
	unsigned count;
	unsigned active;  /* exchanges */
};

struct wrk_worker {
	/* fixed after init */
	const struct wrk_base *base;
	const struct wrk_setup *setup;
	struct weir_cache cache;
	struct weir_static *files; /* NULL: the root cannot be opened, or is_debug */
	struct weir_http_limits limits;
	bool is_debug;		   /* the debug handler serves, not files */
	struct weir_module_conf module_conf;
	struct weir_worker *module; /* NULL: another handler serves */
	struct weir_addr *locals;  /* of each listener; zero when it is a wildcard */
	struct weir_ticket *tickets; /* the pool's, shared; NULL: never offer */
	struct weir_queue *queue;    /* likewise; NULL: without XDP */
	unsigned threads_min;
	unsigned threads_max;
	struct wrk_pump pump;
	struct wrk_relay relay;
	/* any thread, atomic */
	uint32_t ticket_generation;
	bool is_draining;
	bool is_moving;		   /* of is_draining: connections go to other workers */
	uint16_t move_to;	   /* those of this pool */
	bool is_ending;		   /* of is_draining: not a hand-over; connections are not kept alive */
	bool is_pressed;	   /* requests have been waiting for queue_timeout_ms: ask each for its age */
	uint64_t drain_ms;	   /* when that began */
	unsigned threads_running;
	uint64_t looked_ms;	   /* when somebody last looked whether a thread is missing */
	uint32_t noted[WRK_LIMIT__MAX]; /* since the last message about it */
	/* main thread */
	uint64_t waiting_ms;	   /* since when events have been waiting; 0: none wait */
	uint64_t noted_ms;
	uint64_t requests_seen;
	pthread_mutex_t threads_lock;
	/* under threads_lock */
	bool is_short;		   /* of threads: another could not be started; said once */
	unsigned threads_count;	   /* atomic for those who only look */
	struct wrk_thread *threads[WRK_THREADS_MAX];
};

/* What an epoll event is about: kind << 32 | number. */
enum wrk_source {
	WRK_SOURCE_CONN,     /* number: descriptor */
	WRK_SOURCE_LISTENER, /* number: index in setup->listeners */
	WRK_SOURCE_PASS,
	WRK_SOURCE_PING,
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
	WRK_NEXT_PENDING, /* t->pending waits for the client to read */
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
/* The entry of a new descriptor, in flight by `thread`, with all of `born` but its state; NULL: empty. Takes the
 * descriptor. NULL: the table is too small, and it was closed; or somebody else has found it, see keeper_strays.c. */
struct wrk_conn *wrk_conn_open(const struct wrk_table *t, int fd, unsigned thread, const struct wrk_conn *born);
/* False: it is nobody's to take (free, or in flight: then its thread will look again). */
bool wrk_conn_claim(struct wrk_conn *c, unsigned thread);
/* Back to idle. False: an event came meanwhile, and the thread still has it. */
bool wrk_conn_release(struct wrk_conn *c, unsigned thread);
/* Makes another thread of this worker the owner of what is in flight. */
void wrk_conn_hand(struct wrk_conn *c, unsigned from, unsigned to);
/* Keeps what is in flight in flight until wrk_conn_unhold(), if its state still is `state`. */
bool wrk_conn_hold(struct wrk_conn *c, uint32_t state);
void wrk_conn_unhold(struct wrk_conn *c);
/* Makes the entry free, then closes the descriptor, in this order: the number may be reused at once. */
void wrk_conn_free(const struct wrk_table *t, struct wrk_conn *c);

/* The worker's first and last call: between them it may own connections. `has_elder`: others may, too. -EBUSY. */
int wrk_table_enter(const struct wrk_table *t, uint32_t generation, bool has_elder);
void wrk_table_leave(const struct wrk_table *t, uint32_t generation);
/* For the keeper, when the worker of this generation is dead: another one that lives sees to its connections. */
void wrk_table_bury(const struct wrk_table *t, uint32_t generation);
/* For the keeper: a living worker, or the next one, looks for entries of the dead once more. */
void wrk_table_disturb(const struct wrk_table *t);
/* Whether the owner in a state word can still act. */
bool wrk_table_is_living(const struct wrk_table *t, uint32_t state);
/* Whether a worker of another generation may own connections. */
bool wrk_table_has_others(const struct wrk_table *t, uint32_t generation);

/* A request that a thread has, or had when its worker died. */
struct wrk_in_flight {
	char what[WRK_WHAT_BYTES]; /* "GET /path", printable */
	struct weir_flow_key key;
	uint64_t since_ms;	   /* CLOCK_MONOTONIC */
	unsigned thread;
};
/* For the keeper, before wrk_table_bury(): calls found() for each request in flight in the worker of a generation. */
void wrk_table_in_flight(const struct wrk_table *t, uint32_t generation,
			 void (*found)(const struct wrk_in_flight *f, void *arg), void *arg);

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
/* The same for an owner that does not read: whatever came, or waits, is reported again. */
void wrk_conn_give_back(struct wrk_worker *w, struct wrk_conn *c, unsigned thread);
/* Ends it with a reset, so that the client does not take half a response for a whole one. */
void wrk_conn_reset(struct wrk_worker *w, struct wrk_conn *c);

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
/* What withdrawing would say, without doing it. */
enum wrk_ticket wrk_ticket_peek(const struct wrk_worker *w, const struct wrk_conn *c);
/* A thread has read the request, or the connection ends: it waits no longer. Withdraws an offer. */
void wrk_queue_leave(struct wrk_worker *w, struct wrk_conn *c);

/* fresh.c */
/* Keeps an offered connection beside the epoll set. False: it is to be parked. */
bool wrk_fresh_keep(struct wrk_thread *t, struct wrk_conn *c);
/* Settles those that are taken back, have a request, or were kept long enough; all of them at the `end`. */
void wrk_fresh_look(struct wrk_thread *t, bool is_end);

/* serve.c */
void wrk_serve(struct wrk_thread *t, struct wrk_conn *c, uint32_t events);
/* The same for a connection whose first `count` bytes are in t->in. */
void wrk_serve_received(struct wrk_thread *t, struct wrk_conn *c, size_t count);

/* The response, with this status, is with the socket. */
void wrk_count_answer(struct weir_metrics_slot *m, struct wrk_conn *c, unsigned status);

/* request.c: one request, its head in t->req. `rest` is everything that was read, from the head's first byte on. */
enum wrk_next wrk_request_handle(struct wrk_thread *t, struct wrk_conn *c, struct weir_str rest);
/* Answers a head that cannot be parsed, and ends the connection. */
enum wrk_next wrk_request_refuse(struct wrk_thread *t, struct wrk_conn *c, unsigned status);

/* After t->resp was sent to its end: what becomes of the connection. `has_more`: the client has sent, or may still send,
 * something behind this request's head. */
enum wrk_next wrk_request_sent(struct wrk_thread *t, struct wrk_conn *c, bool is_keep_alive, bool has_more);
/* Sends t->resp first. */
enum wrk_next wrk_request_finish(struct wrk_thread *t, struct wrk_conn *c, bool is_keep_alive, bool has_more);

/* module.c */
/* -errno: said already. */
int wrk_module_init(struct wrk_worker *w);
/* One request of a module; `rest` as in wrk_request_handle(). */
enum wrk_next wrk_module_handle(struct wrk_thread *t, struct wrk_conn *c, const struct weir_route_found *prefix,
				struct weir_str rest);

/* send.c */
/* Sends t->resp. `goes_on`: nothing of the client's is left to do after it. -EAGAIN: the socket is full, the rest is in
 * t->todo. Other -errno: the connection is of no more use. */
int wrk_send_response(struct wrk_thread *t, struct wrk_conn *c, bool is_keep_alive, bool goes_on);
/* For a response that is sent piece by piece (stream.c): the head of t->resp, completed, to t->todo. Returns its bytes. */
uint64_t wrk_send_begin(struct wrk_thread *t, struct wrk_conn *c, bool is_keep_alive);
/* Notes that so many bytes more will be sent, for a successor that finds the connection in flight. */
void wrk_send_more(struct wrk_conn *c, uint64_t bytes, bool is_last, bool goes_on);
/* -EAGAIN: nothing was sent. */
int wrk_send_text(struct wrk_thread *t, struct wrk_conn *c, struct weir_str text);
/* As much as the socket takes: 0: all is out, -EAGAIN: there is more, other -errno. */
int wrk_out_send(struct wrk_worker *w, struct wrk_conn *c, struct wrk_out *out);
void wrk_count_sent(struct wrk_worker *w, struct wrk_conn *c, size_t bytes);
/* For a successor that finds the connection in flight, see recover.c. `bytes` of the response are still to be sent;
 * 0: who knows how many. `goes_on`: then the connection is idle. */
void wrk_note_sending(struct wrk_conn *c, uint64_t bytes, bool goes_on);

/* pump.c */
int wrk_pump_init(struct wrk_worker *w);
/* Moves what is left of t->resp (t->todo) to t->pending. `bytes`: of the whole response. -ENOMEM, -ENOBUFS. */
int wrk_pending_new(struct wrk_thread *t, struct wrk_conn *c, uint64_t bytes, bool is_keep_alive, bool has_more);
/* Gives t->pending and its connection to the pump. */
void wrk_pump_take(struct wrk_thread *t, struct wrk_conn *c);
/* In a drain it ends with its last response. */
bool wrk_pump_is_running(struct wrk_worker *w);

/* relay.c */
int wrk_relay_init(struct wrk_worker *w);
/* Waits for events of both kinds, and serves them. Returns what epoll_wait() did. */
int wrk_relay_wait(struct wrk_thread *t, int timeout_ms);
/* A drain has begun: requests are another worker's now. */
void wrk_relay_leave_requests(struct wrk_worker *w);
/* Wakes what has waited too long. Main thread. */
void wrk_relay_sweep(struct wrk_worker *w, uint64_t now_ms);
/* Exchanges that have not come to their end. */
unsigned wrk_relay_active(struct wrk_worker *w);
/* Goes on with them until none is left. Main thread; the serving threads have ended. */
void wrk_relay_end(struct wrk_worker *w);
void wrk_relay_fini(struct wrk_worker *w);

/* relay_begin.c: passes t->req on. 0: the connection is the relay's, and no more the thread's. Else the status to
 * refuse with, *ret_why (static) says why. */
unsigned wrk_relay_begin(struct wrk_thread *t, struct wrk_conn *c, const struct weir_route_found *prefix,
			 struct weir_str rest, const char **ret_why);

/* threads.c */
int wrk_threads_start(struct wrk_worker *w);
/* Whether a thread is missing; any thread. `is_waiting`: events are known to wait. */
void wrk_threads_look(struct wrk_worker *w, uint64_t now_ms, bool is_waiting);
/* Brings the counters up to date. */
void wrk_threads_count(struct wrk_worker *w, uint64_t now_ms);
/* Wakes those that wait for an event, so that they see is_draining. */
void wrk_threads_wake(struct wrk_worker *w);

/* limits.c */
void wrk_limit_note(struct wrk_worker *w, enum wrk_limit limit);
/* One message a second for each limit that was noted. Main thread. */
void wrk_limits_log(struct wrk_worker *w, uint64_t now_ms, bool is_last);
/* Whether the request that was just read has waited longer than queue_timeout_ms. */
bool wrk_request_is_stale(struct wrk_worker *w, struct wrk_conn *c);

/* accept.c */
void wrk_accept(struct wrk_thread *t, size_t listener);
/* What wrk_accept() knows of a connection, from its socket alone: endpoint and addresses. False: it is not a client's. */
bool wrk_conn_describe(const struct wrk_worker *w, int fd, struct wrk_conn *ret_born);
int wrk_locals_init(struct wrk_worker *w);

/* pass.c */
/* 0: another pool has it now, and *c is free. */
int wrk_pass_on(struct wrk_thread *t, struct wrk_conn *c, uint16_t pool, struct weir_str rest);
void wrk_pass_receive(struct wrk_thread *t);

/* sweep.c */
void wrk_sweep(struct wrk_worker *w);
/* Ends every connection; waits for those that XDP has, serves those in which a request waits. */
void wrk_sweep_all(struct wrk_worker *w);

/* move.c: passes every connection to the pool's other slots. */
void wrk_move_all(struct wrk_worker *w);

/* recover.c: what dead workers left. Cheap when nobody has died. */
/* In its successor, before any thread runs; nothing to do when an elder lives. */
void wrk_recover(struct wrk_worker *w);
/* Whether nothing was ever read from this socket. */
bool wrk_socket_is_unread(int fd);
/* For the keeper: the worker of this generation is dead; one that lives, or the next one, sees to its connections. */
void wrk_recover_dead(struct wrk_worker *w, uint32_t generation);

/* worker.c */
/* For the keeper's ping: by any thread that is free, or waits for a client. */
void wrk_ping_answer(struct wrk_worker *w);
void wrk_dispatch(struct wrk_thread *t, uint64_t tag, uint32_t events);
/* Serves whatever waits until nothing does; new connections only for WRK_BACKLOG_MS of a drain. */
void wrk_serve_rest(struct wrk_thread *t);
void wrk_worker_main(const struct wrk_base *base) __attribute__((noreturn));

/* sandbox.c */
/* Takes the pool's identity and gives up every capability. */
int wrk_sandbox_identity(uid_t uid, gid_t gid);
/* Leaves the calling thread, and those it starts, the system calls that a worker needs, or a module besides; connections
 * to others only if it `has_upstreams`, or is a module's. */
int wrk_sandbox_syscalls(enum weir_sandbox sandbox, bool has_upstreams);

#endif
