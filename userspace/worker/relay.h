/* SPDX-License-Identifier: GPL-2.0 */
/* The relay: requests that are passed on to upstreams, both directions streamed in constant memory, no thread held by a
 * slow client or a slow upstream.
 *
 * An exchange is a client's connection, an upstream's, and up to three bounded buffers. Whoever has something for it to
 * do (the serving thread that begins it, one with an epoll event, the main thread with an expired deadline) adds bits to
 * `events` and claims it; the one who finds it busy leaves the bits, and the one who is busy looks again before it lets
 * go. Nobody ever waits. The memory of an exchange stays one: a late event is harmless.
 *
 *     client socket -> input slot of the connection -> codec -> up -> upstream
 *     client socket <- out <- (framing) <- codec <- in <- upstream
 *
 * The input slot is the one that serve.c uses: what is behind the request's body stays there for the next thread. The
 * serving threads of such a pool wait for the relay's epoll set, which is this worker's alone: connections to upstreams
 * are in it, those of clients only while one is waited for, and the set that all workers of the slot share. */
#ifndef WRK_RELAY_H
#define WRK_RELAY_H

#include "handlers/proxy.h"
#include "upstream/codec.h"
#include "upstream/upstream.h"
#include "worker/wrk_priv.h"

#define RELAY (WRK_THREADS_MAX + 5) /* as the index of a thread */
#define RELAY_BUF_BYTES (64u << 10)
#define RELAY_ROOM_BYTES (32u << 10) /* that `out` has before a response is read on: for the longest head */
#define RELAY_WATCH_MS 1000	     /* after which it is asked whether the client is still there */
#define RELAY_TUNNEL_PART 4	     /* of shutdown_time_limit that tunnels leave to the worker's end */
#define RELAY_AGAIN_MS 20	     /* until a full Unix socket is tried again */

_Static_assert(WEIR_CODEC_HEAD_BYTES + WRK_IN_BYTES + WEIR_CODEC_FRAME_BYTES <= RELAY_BUF_BYTES, "a head, and a slot");

/* Bytes `at` to `n` are yet to be used. p is NULL while it is empty and nobody needs it. */
struct relay_buf {
	char *p;
	uint32_t at;
	uint32_t n;
};

enum relay_state {
	RELAY_FREE,
	RELAY_WAITS, /* nobody's */
	RELAY_BUSY,
	RELAY_AGAIN, /* busy, and events came meanwhile */
};

enum relay_event {
	RELAY_UP_IN = 1,
	RELAY_UP_OUT = 2,
	RELAY_UP_END = 4,
	RELAY_CLIENT_IN = 8,
	RELAY_CLIENT_OUT = 16,
	RELAY_CLIENT_END = 32,
	RELAY_TICK = 64,
};

/* What an exchange waits for: the first of these that holds. */
enum relay_wait {
	RELAY_WAIT_NONE,
	RELAY_WAIT_CONNECT,
	RELAY_WAIT_TAKE,   /* the upstream to take the request */
	RELAY_WAIT_BODY,   /* the client to send */
	RELAY_WAIT_CLIENT, /* the client to take the response */
	RELAY_WAIT_REPLY,  /* the upstream to answer */
	RELAY_WAIT_TUNNEL,
};

/* Listens to what passes: where a cache is filled. Any thread, one call at a time for an exchange.
 */
struct wrk_tap {
	/* A request is passed on; what is in the call is gone afterwards. False: no interest in it.
	 */
	bool (*begin)(struct wrk_worker *w, const struct weir_codec_call *call, void **ret_arg);
	/* Each once at most: the head as the upstream sent it, hop-by-hop fields included. */
	void (*head)(void *arg, const struct weir_reply *reply);
	/* A piece of the body, without framing. */
	void (*body)(void *arg, struct weir_str data);
	/* The last call, once. `is_complete`: the upstream's response came to its end, and was
	 * well-formed. */
	void (*end)(void *arg, bool is_complete);
};

struct wrk_exchange {
	/* any thread, atomic */
	uint32_t state;	  /* enum relay_state */
	uint32_t events;  /* enum relay_event, to be seen by who has it next */
	uint64_t wake_ms; /* the main thread wakes it then; 0: never */

	/* under relay.lock */
	struct wrk_exchange *next_free;

	/* fixed while it is not free */
	struct wrk_worker *w;
	struct wrk_conn *conn;
	const struct weir_codec *codec;
	bool is_head;
	bool is_idempotent;
	bool is_http10;	     /* the client */
	bool wants_continue; /* and has not been told to send */
	bool had_body;
	bool must_look; /* its end of stream may be unread, no event will come for it */
	uint64_t hash;
	uint64_t began_ms;
	char *what; /* of the connection: for messages */

	/* whoever has it (BUSY) */
	struct weir_up_server *server;
	struct weir_up_conn *up;
	uint64_t tried;	  /* servers, as bits */
	unsigned retries; /* left */
	enum relay_wait wait;
	uint64_t deadline_ms;
	uint64_t window_ms;   /* WAIT_CLIENT: the time that is measured */
	uint32_t window_sent; /* what had been sent at its begin */
	bool is_connecting;
	bool has_moved; /* bytes, since the deadline was set */

	/* request */
	bool is_body_chunked;
	bool is_body_done;  /* nothing of it is left at the client */
	bool is_sent;	    /* codec->body_end() was called */
	bool is_up_whole;   /* `up` still has the request from its first byte */
	bool is_up_broken;  /* the upstream takes no more */
	bool is_up_watched; /* for EPOLLOUT */
	bool is_client_watched;
	bool client_reads; /* may have something to read */
	bool client_ended;
	uint32_t slot_at; /* bytes of the input slot that are used up */
	uint64_t body_left;
	uint64_t body_bytes; /* so far */
	struct weir_chunked chunked;
	struct relay_buf up_buf;

	/* response */
	bool up_reads;
	bool up_ended;	 /* an event said so: read on until the socket says it */
	bool has_event;	 /* the codec may have more to say without further bytes */
	bool has_reply;	 /* anything came from the upstream */
	bool has_head;	 /* a final response's head is in `out`, or was */
	unsigned status; /* of it */
	bool has_begun;	 /* bytes of the final response may be with the client */
	bool is_reply_done;
	bool is_keep_alive;
	bool is_tunnel;
	enum weir_framing framing; /* towards the client */
	uint64_t reply_bytes;	   /* of its body, so far */
	struct relay_buf in_buf;
	struct relay_buf out_buf;

	const struct wrk_tap *tap; /* NULL: nobody listens */
	void *tap_arg;
	uint64_t codec_state[WEIR_CODEC_STATE_BYTES / sizeof(uint64_t)];
};

/* relay.c */
/* The serving thread that this is, while it looks at the relay's events; else NULL. */
extern __thread struct wrk_thread *relay_thread;
/* Something is to be done: does it now, or leaves it to who has the exchange. */
void relay_kick(struct wrk_exchange *x, uint32_t events);
/* For who has it BUSY: goes on until there is nothing to do, then lets go of it. */
void relay_run(struct wrk_exchange *x);
struct wrk_exchange *relay_new(struct wrk_worker *w);
/* Buffers go back, taps hear of it. Connection and upstream are settled before. */
void relay_free(struct wrk_exchange *x);
/* False: no memory. */
bool relay_buf_need(struct wrk_worker *w, struct relay_buf *b);
void relay_buf_drop(struct wrk_worker *w, struct relay_buf *b);
static inline uint32_t relay_buf_left(const struct relay_buf *b)
{
	return b->n - b->at;
}
static inline uint32_t relay_buf_room(const struct relay_buf *b)
{
	return RELAY_BUF_BYTES - b->n;
}
/* To append to, then b->n = .n of what is returned. */
static inline struct weir_buf relay_buf_writer(const struct relay_buf *b)
{
	return (struct weir_buf){ .p = b->p, .n = b->n, .cap = RELAY_BUF_BYTES };
}
/* Moves what is left to the start. */
void relay_buf_pack(struct relay_buf *b);

/* Each does what can be done now. False: the exchange has ended, and is free. ret_moved: whether
 * anything was done. */
/* relay_server.c */
bool relay_connect(struct wrk_exchange *x, bool *ret_moved);
/* The upstream has failed: another one, or `status`, or the end of a partial response. */
bool relay_fail(struct wrk_exchange *x, unsigned status, const char *why);
bool relay_watch_up(struct wrk_exchange *x, bool for_writing);
/* The request leaves its server. */
void relay_leave(struct wrk_exchange *x, bool has_failed, bool keeps);

/* relay_request.c */
bool relay_pull_client(struct wrk_exchange *x, bool *ret_moved);
bool relay_push_up(struct wrk_exchange *x, bool *ret_moved);
void relay_watch_client(struct wrk_exchange *x);
/* A client that has gone needs no answer, and the upstream no longer works for it. */
bool relay_look_for_client(struct wrk_exchange *x);

/* relay_response.c */
bool relay_pull_up(struct wrk_exchange *x, bool *ret_moved);
bool relay_push_client(struct wrk_exchange *x, bool *ret_moved);

/* relay_end.c */
/* The response is with the client's socket. Always false. */
bool relay_complete(struct wrk_exchange *x);
/* Nobody is there to answer, or half a response must not look whole. Always false. */
bool relay_abort(struct wrk_exchange *x, bool is_reset);
/* A response of our own instead of the upstream's; where something of that was sent, the end. */
bool relay_refuse(struct wrk_exchange *x, unsigned status, const char *why);
/* Says what happened to a request, at most a few times a second. */
void relay_log(const struct wrk_exchange *x, const char *why);
bool relay_is_due(const struct wrk_exchange *x, uint64_t now_ms);
/* The deadline is over. False: the exchange has ended. */
bool relay_expire(struct wrk_exchange *x, uint64_t now_ms);
/* Sets what it waits for, and until when. */
void relay_settle(struct wrk_exchange *x, uint64_t now_ms);

#endif
