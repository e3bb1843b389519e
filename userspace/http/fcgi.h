/* SPDX-License-Identifier: GPL-2.0 */
/* FastCGI 1.0 as bytes in, structs out, for the side of the web server: records of one request at a
 * time (number 1) as a responder; and what CGI (RFC 3875) adds to it: a response head with Status,
 * a path that is divided into script and PATH_INFO. No descriptor, no clock, no allocation. Called
 * by the fastcgi handler on any thread; a struct belongs to one thread at a time. */
#ifndef WEIR_FCGI_H
#define WEIR_FCGI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/str.h"

#define WEIR_FCGI_HEADER_BYTES 8
#define WEIR_FCGI_CONTENT_MAX 65535 /* of one record */

/* --- to the application --- */

/* BEGIN_REQUEST (FastCGI 5.1). keep_conn: the application shall leave the connection open behind
 * the response. */
void weir_fcgi_begin(struct weir_buf *b, bool keep_conn);

/* PARAMS in one record: open, any number of parameters, close, which also ends the stream. close
 * returns -E2BIG when they do not fit a record or the buffer; what was appended is then to be
 * thrown away. */
size_t weir_fcgi_params_open(struct weir_buf *b);
void weir_fcgi_param(struct weir_buf *b, struct weir_str name, struct weir_str value);
/* The same for a value of `bytes` that the caller appends. */
void weir_fcgi_param_begin(struct weir_buf *b, struct weir_str name, size_t bytes);
/* A name made of a field's: "HTTP_" and upper case, '-' as '_' (RFC 3875 4.1.18). Nothing for names
 * that would be taken for another's: "Proxy" (HTTP_PROXY), and those with '_' or anything else that
 * is no letter, digit or '-'. */
void weir_fcgi_param_field(struct weir_buf *b, struct weir_str name, struct weir_str value);
int weir_fcgi_params_close(struct weir_buf *b, size_t opened);

/* Header of a STDIN record with `bytes` (to WEIR_FCGI_CONTENT_MAX) of the request's body behind it;
 * 0 ends the body. */
void weir_fcgi_stdin(char out[WEIR_FCGI_HEADER_BYTES], size_t bytes);

/* --- from the application --- */

enum weir_fcgi_event {
	WEIR_FCGI_MORE,	  /* the input is used up */
	WEIR_FCGI_STDOUT, /* some of the response */
	WEIR_FCGI_STDERR, /* some of the application's messages */
	WEIR_FCGI_END,	  /* the request is complete; what follows belongs to another */
};

/* protocolStatus of END_REQUEST (5.5). */
enum weir_fcgi_status {
	WEIR_FCGI_REQUEST_COMPLETE,
	WEIR_FCGI_CANT_MPX_CONN,
	WEIR_FCGI_OVERLOADED,
	WEIR_FCGI_UNKNOWN_ROLE,
};

/* Zero-initialised for each request. */
struct weir_fcgi_reader {
	uint16_t left;	 /* bytes of content that are yet to come */
	uint8_t padding; /* likewise */
	uint8_t have;	 /* bytes of `header` or `end` */
	uint8_t type;
	bool is_inside; /* the header is complete */
	bool is_ended;	/* END_REQUEST was seen, its padding not yet */
	uint8_t header[WEIR_FCGI_HEADER_BYTES];
	uint8_t end[8];
	uint32_t app_status;	 /* after END: what the application would have given exit() */
	uint8_t protocol_status; /* after END: enum weir_fcgi_status, or a number that none of them
				    has */
};

/* Takes one event out of *in, which is cut. *ret_data is set for STDOUT and STDERR, never empty.
 * -EBADMSG: not FastCGI, or not for our request; the connection is of no more use. */
int weir_fcgi_read(struct weir_fcgi_reader *r, struct weir_str *in, struct weir_str *ret_data);

const char *weir_fcgi_status_name(unsigned protocol_status);

/* --- CGI --- */

struct weir_cgi_head {
	size_t head_bytes; /* of the input, with the empty line */
	unsigned status;   /* 200 to 599 */
	const char *why;   /* after -EBADMSG: a few words for people */
};

/* Turns a CGI response head (RFC 3875 6; lines end with LF or CRLF) into that of HTTP/1.1, appended
 * to `out`: status line, the fields in their order, empty line. Status becomes the status line; a
 * Location without Status makes it 302. Fields that only the server may decide on (RFC 3875 6.3.4:
 * Connection, Keep-Alive, Proxy-Connection, Trailer, Transfer-Encoding, Upgrade) are left out.
 * `*scanned` is 0 for new bytes and left alone while the same head grows. -EAGAIN: more bytes are
 * needed. -EBADMSG: no such head. -E2BIG: `out` is too small. */
int weir_cgi_head(const char *bytes, size_t count, size_t *scanned, struct weir_buf *out, struct weir_cgi_head *ret);

/* The next way to divide a path behind `from` (0 at first) into a script that ends with `extension`
 * and the PATH_INFO that follows: returns the length of the script's part, or 0 when there is none.
 * "/a.php/b.php" gives 6, then 12. */
size_t weir_cgi_split(struct weir_str path, struct weir_str extension, size_t from);

/* Whether a file of this name must not be given away as text: it ends with the extension, in
 * whatever case. */
bool weir_cgi_is_script(struct weir_str path, struct weir_str extension);

#endif
