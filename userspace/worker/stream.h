/* SPDX-License-Identifier: GPL-2.0 */
/* One request's body and response, read and written on the serving thread, which waits for the client where it must.
 * For handlers that run on their own (handlers/stream.h); used by module.c. */
#ifndef WRK_STREAM_H
#define WRK_STREAM_H

#include "handlers/stream.h"
#include "worker/wrk_priv.h"

struct wrk_stream {
	struct weir_stream base;
	struct wrk_thread *t;
	struct wrk_conn *c;

	/* request body */
	struct weir_str rest; /* bytes that were read with the head: of the body, and of what is behind it */
	bool is_chunked;
	bool is_silent; /* the client waits for 100 Continue */
	uint64_t left;	/* of a body with Content-Length */
	struct weir_chunked chunked;
	uint64_t taken; /* so far */
	uint64_t max;	/* 0: any */
	int error;	/* of read(); 0: none */

	/* response */
	bool has_begun;	    /* its head is out */
	bool is_keep_alive; /* what the head promised */
	uint64_t sent;	    /* bytes that were given to send, in all */
	uint64_t waited_ms; /* for the client to take them */
};

/* For the request in t->req; `rest`: what was read behind its head. */
void wrk_stream_init(struct wrk_stream *s, struct wrk_thread *t, struct wrk_conn *c, struct weir_str rest);

/* Whether the body is read to its end. */
static inline bool wrk_stream_is_done(const struct wrk_stream *s)
{
	return s->is_chunked ? s->chunked.is_done : s->left == 0;
}

/* Whether another request can follow on the connection: not if the client asks for its end, the worker ends, or what
 * is left of the body is not worth reading. */
bool wrk_stream_can_go_on(const struct wrk_stream *s, bool must_close);

#endif
