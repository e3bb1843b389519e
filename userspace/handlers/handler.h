/* SPDX-License-Identifier: GPL-2.0 */
/* What a worker asks of a handler, and what it gets: one call, one response, on the worker thread that has the
 * connection. A handler may block. */
#ifndef WEIR_HANDLER_H
#define WEIR_HANDLER_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/flow.h"

#include "common/buf.h"
#include "common/str.h"
#include "http/http.h"

#define WEIR_PARTS_MAX (2 * WEIR_HTTP_RANGES_MAX + 2)
#define WEIR_RESPONSE_TEXT_MAX 8192

/* The request and how it came here. Borrowed. */
struct weir_call {
	const struct weir_request *req;
	struct weir_str prefix;	/* path of the URL prefix that was matched: begins and ends with '/' */
	struct weir_str head;	/* as the client sent it, with the empty line */
	uint16_t endpoint;	/* id */
	const struct weir_flow_key *flow; /* addresses and ports */
};

/* A piece of the body: memory, or a range of a file. */
struct weir_part {
	const void *mem; /* NULL: file */
	int fd;
	uint32_t period; /* memory that repeats after so many bytes; 0: it does not */
	uint64_t off;	 /* in the file, or in what repeats */
	uint64_t bytes;
};

/* The head is complete but for two values: the Date is WEIR_HTTP_DATE_BYTES bytes at date_off, and the value of
 * Connection, which is the last field, is "keep-alive" at conn_off. The sender fills both in; with a date_off of 0 there is
 * a Date already. */
struct weir_response {
	unsigned status;
	bool must_close;    /* the connection cannot go on */
	const char *head;
	uint16_t head_bytes;
	uint16_t date_off;
	uint16_t conn_off;
	unsigned parts_count;
	struct weir_part parts[WEIR_PARTS_MAX];
	void *owner;	    /* keeps head and parts alive until release(owner) */
	void (*release)(void *owner);
	struct weir_buf buf; /* over text */
	char text[WEIR_RESPONSE_TEXT_MAX];
};

/* Empty again; releases what the last one held. The first time `r` is zero-filled memory. */
void weir_response_reset(struct weir_response *r);

/* Everything that will be sent: head and parts. */
uint64_t weir_response_bytes(const struct weir_response *r);

/* Where Date and Connection are in a head. */
struct weir_head_marks {
	uint16_t date_off;
	uint16_t conn_off;
};

/* Status line, Server, Date. */
void weir_head_begin(struct weir_buf *b, unsigned status, struct weir_head_marks *ret);
void weir_head_field(struct weir_buf *b, const char *name, struct weir_str value);
void weir_head_length(struct weir_buf *b, uint64_t body_bytes);
/* Connection and the empty line. */
void weir_head_end(struct weir_buf *b, struct weir_head_marks *ret);

/* The whole of a response that has one short text as its body ("404 Not Found" and a line of explanation), or none
 * for HEAD. `name` and `value`: one more field, or NULL. `why` may be NULL. */
void weir_response_error(struct weir_response *r, const struct weir_request *req, unsigned status, const char *why,
			 const char *name, struct weir_str value);

/* Begins and ends a head in r->text for responses that are not errors. */
void weir_response_begin(struct weir_response *r, unsigned status, struct weir_head_marks *ret);
void weir_response_end(struct weir_response *r, struct weir_head_marks *marks);

#endif
