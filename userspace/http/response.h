/* SPDX-License-Identifier: GPL-2.0 */
/* What an upstream answers: response heads as bytes in, struct out, and the rules for fields that
 * belong to one connection only (RFC 9110 7.6.1). Pure: no descriptor, clock or allocation; a
 * struct belongs to one thread. */
#ifndef WEIR_HTTP_RESPONSE_H
#define WEIR_HTTP_RESPONSE_H

#include "http/http.h"

#define WEIR_HTTP_HOPS_MAX 8 /* Connection fields of one message */

/* A response head. Slices point into the parsed bytes. */
struct weir_reply {
	unsigned status;
	unsigned minor;		/* HTTP/1.minor: 0 or 1 */
	struct weir_str reason; /* may be empty */
	struct weir_str fields; /* checked lines, each with its CRLF, without the empty line */
	unsigned fields_count;
	bool is_chunked;
	bool has_length;
	uint64_t body_bytes; /* Content-Length */
	bool is_keep_alive;  /* what the upstream will do after this message, as far as its fields
				say */
	size_t head_bytes;   /* with the empty line */
	const char *why;     /* after a refusal: a few words for people */
};

/* How the end of a response's body is found, RFC 9112 6.3. */
enum weir_framing {
	WEIR_FRAMING_NONE, /* no body: HEAD, 1xx, 204, 304 */
	WEIR_FRAMING_LENGTH,
	WEIR_FRAMING_CHUNKED,
	WEIR_FRAMING_CLOSE, /* up to the end of the connection */
};

/* Parses the response head at the start of `bytes`. `*scanned` as in weir_request_parse(). 0: *ret
 * is complete. -EAGAIN: more bytes are needed. -EBADMSG: not HTTP/1, or a message that two readers
 * could take differently (Content-Length beside Transfer-Encoding, bad lengths, bare CR or LF,
 * obs-fold); ret->why says what. -EMSGSIZE: the head is longer than `max` bytes, or has more than
 * WEIR_HTTP_FIELDS_MAX fields. */
int weir_reply_parse(const char *bytes, size_t count, size_t max, size_t *scanned, struct weir_reply *ret);

/* Reads framing and persistence out of field lines that were checked: for what has no status line
 * (CGI). `ret` has minor, fields and status set. -EBADMSG, -EMSGSIZE; ret->why. */
int weir_reply_read_fields(struct weir_reply *ret);

enum weir_framing weir_reply_framing(const struct weir_reply *r, bool is_head_request);

/* Cuts the next line off *rest: name, and value without spaces around it. Lines were checked.
 * False: no more. */
bool weir_fields_next(struct weir_str *rest, struct weir_str *ret_name, struct weir_str *ret_value);
/* The value of the first field of this name. False: there is none. */
bool weir_fields_find(struct weir_str fields, struct weir_str name, struct weir_str *ret_value);
/* Whether `word` is an item of a comma-separated list; case does not matter. */
bool weir_list_has(struct weir_str list, struct weir_str word);

/* RFC 9110 5.1 and 5.5, with no leniency: each line "token: value CRLF", no control characters, no
 * folding. `fields` may end with the empty line. NULL: well-formed; else a few words. */
const char *weir_fields_check(struct weir_str fields);
bool weir_is_token(struct weir_str s);

/* The names that a message's Connection fields list. */
struct weir_hops {
	struct weir_str values[WEIR_HTTP_HOPS_MAX];
	unsigned count;
	bool has_upgrade; /* "upgrade" is among them */
	bool has_close;
	bool has_keep_alive;
};
/* -E2BIG: more than WEIR_HTTP_HOPS_MAX Connection fields. */
int weir_hops_collect(struct weir_str fields, struct weir_hops *ret);
/* Whether a field goes no further than this connection: the known ones (RFC 9110 7.6.1), framing
 * included, and those that Connection lists. */
bool weir_is_hop(const struct weir_hops *hops, struct weir_str name);
/* Whether a field may be in a trailer section that is passed on: none that says how a message is
 * framed, routed or authenticated (RFC 9110 6.5.1). */
bool weir_is_trailer(const struct weir_hops *hops, struct weir_str name);

/* --- chunked bodies, taken apart --- */

enum weir_chunk_event {
	WEIR_CHUNK_MORE, /* what is not used is given again, with more */
	WEIR_CHUNK_DATA,
	WEIR_CHUNK_TRAILERS, /* all field lines of the trailer section, checked; END follows */
	WEIR_CHUNK_END,
	WEIR_CHUNK_BAD,
};

/* One step through a chunked body (RFC 9112 7.1): *ret_used bytes are done with; DATA and TRAILERS
 * give a slice. A trailer section is read in one piece, of up to 8192 bytes. */
enum weir_chunk_event weir_chunked_read(struct weir_chunked *c, const char *bytes, size_t count, size_t *ret_used,
					struct weir_str *ret_data);

#endif
