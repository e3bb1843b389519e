/* SPDX-License-Identifier: GPL-2.0 */
/* The protocol spoken with an upstream, as the relay (worker/relay*.c) sees it: writes requests
 * into a buffer, reads responses out of one. No descriptor, no clock, no thread: the relay owns all
 * of that, so that a protocol is a table of functions over a small state. One state serves one
 * request on one connection. */
#ifndef WEIR_UPSTREAM_CODEC_H
#define WEIR_UPSTREAM_CODEC_H

#include "weir/flow.h"

#include "common/buf.h"
#include "config/config.h"
#include "http/response.h"

#define WEIR_CODEC_STATE_BYTES 256
/* What body() and body_end() may add around the data. */
#define WEIR_CODEC_FRAME_BYTES 64
/* The longest head that begin() may write: the client's, and what is added to it. */
#define WEIR_CODEC_HEAD_BYTES (2 * WEIR_HTTP_HEAD_MAX)

/* A request on its way to an upstream. Borrowed for the call of begin() only. */
struct weir_codec_call {
	const struct weir_request *req;
	struct weir_str head;	/* as the client sent it, with the empty line */
	struct weir_str prefix; /* path of the URL prefix that was matched: begins and ends with '/' */
	const struct weir_conf_pool *pool;
	const struct weir_flow_key *flow; /* addresses and ports of client and server, network byte order */
};

enum weir_codec_event {
	WEIR_CODEC_MORE,     /* everything useful was used: more bytes are needed */
	WEIR_CODEC_INTERIM,  /* ->reply is a 1xx other than 101 */
	WEIR_CODEC_HEAD,     /* ->reply is the response's head; once */
	WEIR_CODEC_BODY,     /* ->data is a piece of the body */
	WEIR_CODEC_TRAILERS, /* ->data are field lines, checked; at most once, after the body */
	WEIR_CODEC_NOTE,     /* ->data is a message for the log (FastCGI's stderr) */
	WEIR_CODEC_END,	     /* the response is complete */
	WEIR_CODEC_BAD,	     /* ->why says what is wrong; the connection is of no more use */
};

/* Slices point into the bytes that were given, or into the state. */
struct weir_codec_piece {
	struct weir_reply reply;
	struct weir_str data;
	const char *why;
};

struct weir_codec {
	const char *name;
	bool is_http;	   /* the upstream speaks HTTP itself: Via, Upgrade, interim responses */
	bool needs_length; /* a request body of unknown length cannot be sent: 411 */

	/* Starts `state` (WEIR_CODEC_STATE_BYTES, any content) and writes the request's head.
	 * Returns 0 or the status to refuse the request with (400, 431, 500). */
	int (*begin)(void *state, const struct weir_codec_call *call, struct weir_buf *out);
	/* A piece of the request's body, which has room for `data` and WEIR_CODEC_FRAME_BYTES. */
	void (*body)(void *state, struct weir_str data, struct weir_buf *out);
	/* The end of the request; `trailers` are checked field lines, or empty. Called once, also
	 * without a body. */
	void (*body_end)(void *state, struct weir_str trailers, struct weir_buf *out);
	/* The same request is sent anew: the response is still to come. */
	void (*restart)(void *state);

	/* The next event in the response's bytes, of which *ret_used are done with; the rest is
	 * given again. When `count` is `room`, the buffer cannot grow. The bytes may be changed in
	 * place. Called until it says MORE, END or BAD. */
	enum weir_codec_event (*read)(void *state, char *bytes, size_t count, size_t room, size_t *ret_used,
				      struct weir_codec_piece *ret);
	/* The upstream has closed its side, and read() has said MORE: END, or BAD. */
	enum weir_codec_event (*eof)(void *state, struct weir_codec_piece *ret);
	/* After END: whether the connection can take another request. */
	bool (*is_reusable)(const void *state);
	/* After HEAD: bytes of the body, when they are known. */
	bool (*has_length)(const void *state, uint64_t *ret_bytes);
};

#endif
