/* SPDX-License-Identifier: GPL-2.0 */
/* A module's response: checked as it comes, gathered as long as it is small, else sent piece by piece, framed by
 * Content-Length, chunks, or the connection's end (RFC 9112 6). Nothing that breaks the message gets to the client. */
#include "handlers/module_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROW_BYTES 4096

static bool is_head_request(const struct weir_exchange *x)
{
	return x->call->req->method == WEIR_METHOD_HEAD;
}

/* RFC 9110 6.4.1, 15.3.6. */
static bool has_no_content(unsigned status)
{
	return status == 204 || status == 205 || status == 304;
}

/* 0: the module may go on with its response. */
static int check_open(struct weir_exchange *x, const char *call)
{
	if (x->is_misused)
		return -EINVAL;
	if (!x->is_begun)
		return module_misuse(x, "%s() before begin()", call);
	if (x->is_ended)
		return module_misuse(x, "%s() after the end of the response", call);
	return x->send_error;
}

int module_begin(struct weir_exchange *x, unsigned status)
{
	if (x->is_misused)
		return -EINVAL;
	if (x->is_begun)
		return module_misuse(x, "begin(%u) after begin(%u): a request has one response", status,
				     x->resp->status);
	if (status < 200 || status > 599)
		return module_misuse(x, "begin(%u): a status is from 200 to 599", status);
	weir_response_begin(x->resp, status, &x->marks);
	x->is_begun = true;
	return 0;
}

static bool is_token(struct weir_str s)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";
	size_t i;

	for (i = 0; i < s.n; i++) {
		char c = weir_lower(s.p[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr(marks, c))))
			return false;
	}
	return s.n > 0;
}

/* RFC 9110 5.5. */
static bool is_value(struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

static int set_length(struct weir_exchange *x, struct weir_str value)
{
	uint64_t length = 0;
	size_t i;

	for (i = 0; i < value.n && i < 18; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			break;
		length = length * 10 + (uint64_t)(value.p[i] - '0');
	}
	if (value.n == 0 || i < value.n)
		return module_misuse(x, "add_field(Content-Length): the value is no number");
	if (x->has_length && x->length != length)
		return module_misuse(x, "add_field(Content-Length): it has another value already");
	if (length < x->written)
		return module_misuse(x, "add_field(Content-Length): more than that is written already");
	x->has_length = true;
	x->length = length;
	return 0;
}

/* Fields that are no mere text to the server. True: *ret is what add_field() returns. */
static bool is_special(struct weir_exchange *x, struct weir_str name, struct weir_str value, int *ret)
{
	static const struct weir_str ours[] = {
		{ "date", 4 },	      { "server", 6 },	{ "transfer-encoding", 17 },
		{ "keep-alive", 10 }, { "trailer", 7 }, { "upgrade", 7 },
	};
	size_t i;

	if (weir_str_caseeq(name, WEIR_STR("content-length"))) {
		*ret = set_length(x, value);
		return true;
	}
	if (weir_str_caseeq(name, WEIR_STR("connection"))) {
		x->closes = weir_str_caseeq(value, WEIR_STR("close"));
		*ret = x->closes ? 0 : module_misuse(x, "add_field(Connection): only \"close\" is for a module to say");
		return true;
	}
	for (i = 0; i < ARRAY_SIZE(ours); i++) {
		if (!weir_str_caseeq(name, ours[i]))
			continue;
		*ret = module_misuse(x, "add_field(%s): the server writes this field", ours[i].p);
		return true;
	}
	return false;
}

int module_add_field(struct weir_exchange *x, const char *name, const void *value, size_t bytes)
{
	struct weir_str n = { name, name ? strlen(name) : 0 }, v = { value, value ? bytes : 0 };
	struct weir_buf *b = &x->resp->buf;
	int r = check_open(x, "add_field");

	if (r < 0)
		return r;
	if (x->is_streaming)
		return module_misuse(x, "add_field() after the head was sent");
	v = weir_str_trim(v);
	if (!is_token(n))
		return module_misuse(x, "add_field(): the name of a field is empty or has a byte that is not allowed");
	if (!is_value(v))
		return module_misuse(x, "add_field(%.40s): the value has a control character", name);
	if (is_special(x, n, v, &r))
		return r;
	if (n.n > b->cap || v.n > b->cap || b->n + n.n + v.n + 4 + MODULE_HEAD_ROOM > b->cap) {
		(void)module_misuse(x, "add_field(%.40s): the head of the response is larger than %zu bytes", name,
				    b->cap - MODULE_HEAD_ROOM);
		return -E2BIG;
	}
	weir_head_field(b, name, v);
	module_cache_field(x, n, v);
	return 0;
}

/* --- sending --- */

/* Completes the head: how the body is framed depends on what is known of it. */
static void end_head(struct weir_exchange *x)
{
	struct weir_response *resp = x->resp;
	bool has_content = !has_no_content(resp->status);

	/* To HEAD, the length that GET would have had, if anybody knows it. */
	if (!x->has_length && !x->is_streaming && (!is_head_request(x) || x->written > 0)) {
		x->has_length = true;
		x->length = x->written;
	}
	if (x->has_length && (has_content || resp->status == 205 || (resp->status == 304 && x->length > 0))) {
		weir_head_length(&resp->buf, x->length);
	} else if (has_content && !is_head_request(x)) {
		x->is_chunked = x->call->req->minor > 0;
		x->closes = x->closes || !x->is_chunked;
		if (x->is_chunked)
			weir_head_field(&resp->buf, "Transfer-Encoding", WEIR_STR("chunked"));
	}
	resp->must_close = x->closes || x->read_error;
	weir_response_end(resp, &x->marks);
}

static struct weir_part part_of(const void *mem, size_t bytes)
{
	return (struct weir_part){ .mem = mem, .fd = -1, .bytes = bytes };
}

/* Sends what is gathered, `data` behind it, and, at the end, what closes the body. */
static int send_pieces(struct weir_exchange *x, const void *data, size_t bytes, bool is_last)
{
	struct weir_part parts[4];
	struct weir_buf size = { .p = (char[24]){ 0 }, .cap = 24 };
	size_t all = x->body_bytes + bytes;
	unsigned n = 0;
	int r;

	if (x->is_chunked && all > 0) {
		weir_buf_hex(&size, all);
		weir_buf_puts(&size, "\r\n");
		parts[n++] = part_of(size.p, size.n);
	}
	if (x->body_bytes > 0)
		parts[n++] = part_of(x->body, x->body_bytes);
	if (bytes > 0)
		parts[n++] = part_of(data, bytes);
	if (x->is_chunked && is_last)
		parts[n++] = all > 0 ? part_of("\r\n0\r\n\r\n", 7) : part_of("0\r\n\r\n", 5);
	else if (x->is_chunked && all > 0)
		parts[n++] = part_of("\r\n", 2);
	x->body_bytes = 0;
	if (n == 0 && !is_last)
		return 0;
	r = x->stream->ops->send(x->stream, parts, n, is_last);
	if (r < 0)
		x->send_error = r;
	return r;
}

static int start_streaming(struct weir_exchange *x)
{
	int r;

	x->is_streaming = true;
	end_head(x);
	r = x->stream->ops->begin(x->stream, x->resp);
	if (r < 0)
		x->send_error = r;
	return r;
}

/* False: no memory. */
static bool gather(struct weir_exchange *x, const void *data, size_t bytes)
{
	size_t cap = x->body_cap;
	char *body;

	if (bytes > cap - x->body_bytes) {
		cap = x->body_bytes + bytes;
		cap = MIN(MAX((cap + GROW_BYTES) / GROW_BYTES * GROW_BYTES, 2 * x->body_cap),
			  (size_t)WEIR_MODULE_BUFFER_BYTES);
		body = realloc(x->body, cap);
		if (!body)
			return false;
		x->body = body;
		x->body_cap = cap;
	}
	memcpy(x->body + x->body_bytes, data, bytes);
	x->body_bytes += bytes;
	return true;
}

int module_write(struct weir_exchange *x, const void *data, size_t bytes)
{
	int r = check_open(x, "write");

	if (r < 0 || bytes == 0)
		return r;
	if (has_no_content(x->resp->status))
		return module_misuse(x, "write(): a response of status %u has no body", x->resp->status);
	if (x->has_length && (bytes > x->length || x->written > x->length - bytes))
		return module_misuse(x, "write(): the body is longer than its Content-Length, %llu bytes",
				     (unsigned long long)x->length);
	x->written += bytes;
	if (is_head_request(x))
		return 0;
	if (bytes <= WEIR_MODULE_BUFFER_BYTES - x->body_bytes)
		return gather(x, data, bytes) ? 0 : -ENOMEM;
	if (!x->is_streaming) {
		r = start_streaming(x);
		if (r < 0)
			return r;
	}
	return send_pieces(x, data, bytes, false);
}

int module_flush(struct weir_exchange *x)
{
	int r = check_open(x, "flush");

	/* Without a body nothing goes out before the end. */
	if (r < 0 || is_head_request(x) || has_no_content(x->resp->status))
		return r;
	if (!x->is_streaming) {
		r = start_streaming(x);
		if (r < 0)
			return r;
	}
	return send_pieces(x, NULL, 0, false);
}

int module_end(struct weir_exchange *x)
{
	int r = check_open(x, "end");

	if (r < 0)
		return r;
	if (x->has_length && x->written != x->length && !has_no_content(x->resp->status) &&
	    !(is_head_request(x) && x->written == 0))
		return module_misuse(x, "end(): the body has %llu bytes, its Content-Length says %llu",
				     (unsigned long long)x->written, (unsigned long long)x->length);
	x->is_ended = true;
	return 0;
}

int module_finish(struct weir_exchange *x)
{
	struct weir_response *resp = x->resp;

	if (x->is_streaming)
		return send_pieces(x, NULL, 0, true);
	end_head(x);
	if (x->body_bytes > 0) {
		resp->parts[resp->parts_count++] = part_of(x->body, x->body_bytes);
		resp->owner = TAKE_PTR(x->body);
		resp->release = free;
	}
	return 0;
}
