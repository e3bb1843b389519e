/* SPDX-License-Identifier: GPL-2.0 */
/* HTTP/1 as bytes in, structs out: no descriptor, no clock, no allocation. Called by handlers, cache and worker on
 * any thread; a struct belongs to one thread at a time. Message syntax is llhttp's, plus the checks that it
 * leaves out (RFC 9112 with no leniency); the plain case agrees with the parser in bpf/lib. */
#ifndef WEIR_HTTP_H
#define WEIR_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/str.h"

#define WEIR_HTTP_HEAD_MAX 16384  /* request line and fields, with the empty line */
#define WEIR_HTTP_TARGET_MAX 8192 /* request target */
#define WEIR_HTTP_HOST_MAX 255	  /* host name without port */
#define WEIR_HTTP_FIELDS_MAX 100
#define WEIR_HTTP_RANGES_MAX 16   /* ranges of one request; with more the whole is sent */
#define WEIR_HTTP_DATE_BYTES 29   /* IMF-fixdate */

enum weir_method {
	WEIR_METHOD_GET,
	WEIR_METHOD_HEAD,
	WEIR_METHOD_OPTIONS,
	WEIR_METHOD_OTHER,
};

/* Fields that something here reads. */
enum weir_field {
	WEIR_FIELD_HOST,
	WEIR_FIELD_CONNECTION,
	WEIR_FIELD_CONTENT_LENGTH,
	WEIR_FIELD_TRANSFER_ENCODING,
	WEIR_FIELD_EXPECT,
	WEIR_FIELD_UPGRADE,
	WEIR_FIELD_RANGE,
	WEIR_FIELD_IF_RANGE,
	WEIR_FIELD_IF_MATCH,
	WEIR_FIELD_IF_NONE_MATCH,
	WEIR_FIELD_IF_MODIFIED_SINCE,
	WEIR_FIELD_IF_UNMODIFIED_SINCE,
	WEIR_FIELD_ACCEPT_ENCODING,
	WEIR_FIELD_AUTHORIZATION,
	WEIR_FIELD_CACHE_CONTROL,
	WEIR_FIELD__MAX,
};

enum weir_target_form {
	WEIR_TARGET_ORIGIN,   /* "/path?query" */
	WEIR_TARGET_ABSOLUTE, /* "http://host/path?query" */
	WEIR_TARGET_ASTERISK, /* "*", OPTIONS only */
};

/* A request head. Slices point into the parsed bytes, but for host and path, which point into this struct. */
struct weir_request {
	enum weir_method method;
	enum weir_target_form form;
	unsigned minor;		     /* HTTP/1.minor: 0 or 1 */
	struct weir_str method_text;
	struct weir_str target;	     /* as sent */
	struct weir_str query;	     /* without '?'; p is NULL when there is none */
	struct weir_str host;	     /* lower case, without port; may be empty */
	struct weir_str path;	     /* decoded once, no dot segments, begins with '/'; empty for "*" */
	struct weir_str fields[WEIR_FIELD__MAX]; /* value of the first; p is NULL when there is none */
	uint8_t counts[WEIR_FIELD__MAX];
	unsigned fields_count;	     /* of all fields, known or not */
	bool is_keep_alive;	     /* what the client asks for */
	bool is_chunked;
	bool expects_continue;
	uint64_t body_bytes;	     /* Content-Length, or 0 */
	size_t head_bytes;	     /* with the empty line, and with empty lines before the request line */
	const char *why;	     /* after a refusal: a few words for people */
	char host_text[WEIR_HTTP_HOST_MAX + 1];
	char path_text[WEIR_HTTP_TARGET_MAX + 1];
};

/* Parses the request head at the start of `bytes`. `*scanned` is where the search for its end goes on: 0 for new
 * bytes, left alone between calls while the same head grows, 0 again after success or refusal.
 * 0: *ret is complete. -EAGAIN: more bytes are needed. Positive: the status to refuse with (400, 414, 417, 431,
 * 501, 505); ret->why, ret->method and ret->minor are set, and the connection must be closed. */
int weir_request_parse(const char *bytes, size_t count, size_t *scanned, struct weir_request *ret);

/* Sizes that an administrator may set below the parser's own; HTTP.sys's MaxRequestBytes, MaxFieldLength,
 * UrlSegmentMaxLength and UrlSegmentMaxCount. */
struct weir_http_limits {
	size_t head_bytes;
	size_t field_bytes;   /* of one field line */
	size_t segment_bytes; /* between two slashes of the path, as sent */
	size_t segments;
};

/* Whether a parsed request is over a limit. `head`: the bytes that were parsed, with the empty line. 0: it is not; else the
 * status to refuse with, and HTTP.sys's reason phrase in *ret_why (static). */
unsigned weir_request_over(const struct weir_request *r, struct weir_str head, const struct weir_http_limits *l,
			   const char **ret_why);

static inline bool weir_request_has(const struct weir_request *r, enum weir_field f)
{
	return r->counts[f] > 0;
}

/* Chunked framing of a request's body. Zero-initialised; small enough for a connection table. */
struct weir_chunked {
	uint64_t left;	/* bytes of the current chunk */
	uint8_t state;
	uint8_t digits;
	uint8_t is_done;
	uint8_t pad;
	uint32_t extra;	/* bytes of extensions and trailers so far, limited */
};

/* Eats framing and data. Returns how many bytes belong to the body (all, until is_done); -EBADMSG. */
ptrdiff_t weir_chunked_eat(struct weir_chunked *c, const char *bytes, size_t count);

/* Eats framing up to the next data and that data, as far as it is there: *ret_data points to it, empty when there is none
 * before `count` or the body's end. Returns how many bytes were eaten, the data being the last of them; -EBADMSG. */
ptrdiff_t weir_chunked_next(struct weir_chunked *c, const char *bytes, size_t count, struct weir_str *ret_data);

/* Host as in a Host field or authority: [name | IPv4 | "[" IPv6 "]"] [":" port]. Writes the lower-case name without
 * port to `out` (WEIR_HTTP_HOST_MAX bytes). -EINVAL. */
int weir_host_normalize(struct weir_str host, char *out, size_t *ret_bytes);

/* Decodes percent signs once, then removes dot segments (RFC 3986 5.2.4), from `path`, which begins with '/', to
 * `out` (as many bytes as the input). -EINVAL: bad escape, %00, or an escaped '/'. */
int weir_path_decode(struct weir_str path, char *out, size_t *ret_bytes);

/* Appends a decoded path to a Location value, escaped where RFC 3986 wants it; leading slashes become one, so
 * that no path is taken for a host. */
void weir_path_encode(struct weir_buf *b, struct weir_str path);

/* Writes IMF-fixdate (RFC 9110 5.6.7), WEIR_HTTP_DATE_BYTES, not terminated. */
void weir_date_format(int64_t seconds, char *out);
/* Reads any of the three forms of RFC 9110 5.6.7. `now` settles two-digit years. -EINVAL. */
int weir_date_parse(struct weir_str s, int64_t now, int64_t *ret_seconds);

struct weir_range {
	uint64_t first;
	uint64_t last;	/* inclusive */
};

/* Range (RFC 9110 14.2) over `size` bytes. Returns how many satisfiable ranges there are; 0: ignore the field (not
 * bytes, malformed, or more than a server should put up with); -ERANGE: nothing satisfiable, 416. */
int weir_range_parse(struct weir_str value, uint64_t size, struct weir_range ret[WEIR_HTTP_RANGES_MAX]);

/* True when `etag` (quoted, strong) is in the list, or the list is "*". Weak comparison ignores W/ in the list. */
bool weir_etag_in_list(struct weir_str list, struct weir_str etag, bool is_weak_ok);

/* Evaluates If-* (RFC 9110 13.2.2, without If-Range) for GET and HEAD of an existing representation. Returns 0,
 * 304 or 412. */
int weir_cond_check(const struct weir_request *r, struct weir_str etag, int64_t modified, int64_t now);
/* Whether Range applies: there is no If-Range, or it matches strongly. */
bool weir_cond_range_applies(const struct weir_request *r, struct weir_str etag, int64_t modified, int64_t now);

/* Accept-Encoding as the kernel side classifies it: the set of enum weir_encoding that the client accepts, and those that
 * only its "*" stands for, times WEIR_ENCODING_ANY. -EINVAL: malformed; or what has no coding is refused ("identity;q=0",
 * "*;q=0"); or weights prefer something against our own order: br, zstd, gzip, deflate, identity. Such a request is never
 * answered by the kernel. Whoever chooses by weight and, among equals, by this order, chooses the same for every request
 * with the same set. */
int weir_encoding_classify(struct weir_str value, uint8_t *ret_set);
/* enum weir_encoding of a coding's name; 0: it has no bit. */
uint8_t weir_encoding_bit(struct weir_str name);

/* Content codings that responses are made in; the order is the server's preference among equals. */
enum weir_coding {
	WEIR_CODING_BR,
	WEIR_CODING_ZSTD,
	WEIR_CODING_GZIP,
	WEIR_CODING_IDENTITY,
	WEIR_CODING__MAX,
};

/* Weights of an Accept-Encoding value (RFC 9110 12.5.3) in thousandths; 0: not acceptable. Items that are malformed
 * are ignored; of several about one coding the first counts. An identity that the field does not name weighs 1. */
void weir_encoding_weigh(struct weir_str value, uint16_t ret[WEIR_CODING__MAX]);

/* "br", "zstd", "gzip", "identity" */
extern const char *const weir_coding_names[WEIR_CODING__MAX];

/* "Not Found"; "Unknown" for what has none. */
const char *weir_status_reason(unsigned status);

#endif
