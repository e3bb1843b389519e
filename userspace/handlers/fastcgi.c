/* SPDX-License-Identifier: GPL-2.0 */
/* FastCGI as the relay's protocol to an application: records around what it sends, records and a CGI head taken off
 * what it answers. Pure; any thread. */
#include "handlers/fastcgi_priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "http/fcgi.h"

struct state {
	struct weir_fcgi_reader reader;
	size_t head_bytes; /* at the start of the input: the response head so far, without records between */
	size_t skipped;	   /* behind it: bytes that were reported, and are of no more use */
	size_t body_bytes; /* at the start of the input: body that came in one record with the head */
	size_t scanned;
	size_t head_max;
	uint64_t body_left; /* of a Content-Length */
	bool keep_conn;
	bool is_head_request;
	bool has_head;
	bool has_length;
	bool has_body; /* the response may have one */
	bool is_ended;
};
static_assert(sizeof(struct state) <= WEIR_CODEC_STATE_BYTES, "a codec's state");

/* Of the HTTP head that was made of the last CGI head on this thread. */
static _Thread_local char head_text[WEIR_CODEC_HEAD_BYTES + 4096];

static int begin(void *state, const struct weir_codec_call *call, struct weir_buf *out)
{
	struct state *s = state;

	*s = (struct state){
		.head_max = (size_t)call->pool->proxy.response_head_max_kb << 10,
		.keep_conn = call->pool->fastcgi.keep_conn,
		.is_head_request = call->req->method == WEIR_METHOD_HEAD,
	};
	/* whoever passes a request on has looked for its script */
	if (!call->script)
		return 500;
	weir_fcgi_begin(out, s->keep_conn);
	return weir_fastcgi_params(call, out);
}

static void body(void *state, struct weir_str data, struct weir_buf *out)
{
	char header[WEIR_FCGI_HEADER_BYTES];

	(void)state;
	while (data.n > 0) {
		size_t n = MIN(data.n, (size_t)WEIR_FCGI_CONTENT_MAX);

		weir_fcgi_stdin(header, n);
		weir_buf_put(out, header, sizeof(header));
		weir_buf_put(out, data.p, n);
		data.p += n;
		data.n -= n;
	}
}

static void body_end(void *state, struct weir_str trailers, struct weir_buf *out)
{
	char header[WEIR_FCGI_HEADER_BYTES];

	(void)state;
	(void)trailers;
	weir_fcgi_stdin(header, 0);
	weir_buf_put(out, header, sizeof(header));
}

static void restart(void *state)
{
	struct state *s = state;

	*s = (struct state){
		.head_max = s->head_max,
		.keep_conn = s->keep_conn,
		.is_head_request = s->is_head_request,
	};
}

/* --- the response --- */

static enum weir_codec_event bad(struct weir_codec_piece *ret, const char *why)
{
	ret->why = why;
	return WEIR_CODEC_BAD;
}

/* The head is complete: from CGI's form to that of every upstream. */
static enum weir_codec_event take_head(struct state *s, const struct weir_cgi_head *h, const struct weir_buf *text,
				       struct weir_codec_piece *ret)
{
	struct weir_reply *reply = &ret->reply;
	const char *line_end = memmem(text->p, text->n, "\r\n", 2);

	*reply = (struct weir_reply){
		.status = h->status,
		.minor = 1,
		/* behind "HTTP/1.1 200 " */
		.reason = { text->p + 13, (size_t)(line_end - text->p) - 13 },
		.fields = { line_end + 2, (size_t)(text->p + text->n - 2 - (line_end + 2)) },
	};
	if (weir_reply_read_fields(reply) < 0)
		return bad(ret, reply->why);
	s->has_head = true;
	s->has_body = weir_reply_framing(reply, s->is_head_request) != WEIR_FRAMING_NONE;
	s->has_length = s->has_body && reply->has_length;
	s->body_left = s->has_length ? reply->body_bytes : 0;
	s->body_bytes = s->head_bytes - h->head_bytes;
	s->head_bytes = 0;
	return WEIR_CODEC_HEAD;
}

/* A piece of the response's body. */
static enum weir_codec_event give_body(struct state *s, struct weir_str data, struct weir_codec_piece *ret)
{
	if (!s->has_body)
		return WEIR_CODEC_MORE;
	if (s->has_length && data.n > s->body_left)
		return bad(ret, "the body is longer than its Content-Length");
	s->body_left -= s->has_length ? data.n : 0;
	ret->data = data;
	return WEIR_CODEC_BODY;
}

static enum weir_codec_event end(struct state *s, struct weir_codec_piece *ret)
{
	if (s->reader.protocol_status != WEIR_FCGI_REQUEST_COMPLETE)
		return bad(ret, weir_fcgi_status_name(s->reader.protocol_status));
	if (!s->has_head)
		return bad(ret, s->reader.app_status ? "it failed without a response" : "it ended without a response");
	if (s->has_length && s->body_left > 0)
		return bad(ret, "the body is shorter than its Content-Length");
	s->is_ended = true;
	return WEIR_CODEC_END;
}

/* Bytes of the head that stood before what a record brings are moved up to it, over the record's header. */
static void close_gap(struct state *s, char *bytes, size_t *front, size_t to)
{
	if (s->head_bytes > 0)
		memmove(bytes + to - s->head_bytes, bytes + *front, s->head_bytes);
	*front = to - s->head_bytes;
}

static enum weir_codec_event read_head(struct state *s, char *bytes, size_t count, size_t *ret_used,
				       struct weir_codec_piece *ret)
{
	size_t front = 0;
	struct weir_str in, data;
	int event;

	close_gap(s, bytes, &front, s->head_bytes + s->skipped);
	in = (struct weir_str){ bytes + s->head_bytes + s->skipped, count - s->head_bytes - s->skipped };
	s->skipped = 0;
	while ((event = weir_fcgi_read(&s->reader, &in, &data)) == WEIR_FCGI_STDOUT) {
		struct weir_buf text = { .p = head_text, .cap = sizeof(head_text) };
		struct weir_cgi_head h;
		int r;

		/* the record's padding is used up, too */
		memmove((char *)(uintptr_t)in.p - data.n, data.p, data.n);
		close_gap(s, bytes, &front, (size_t)(in.p - bytes) - data.n);
		s->head_bytes += data.n;
		r = weir_cgi_head(bytes + front, s->head_bytes, &s->scanned, &text, &h);
		if (r == 0 ? h.head_bytes > s->head_max : s->head_bytes > s->head_max)
			return bad(ret, "its head is larger than response_head_max");
		if (r == -EAGAIN)
			continue;
		if (r < 0)
			return bad(ret, h.why);
		*ret_used = front + h.head_bytes;
		return take_head(s, &h, &text, ret);
	}
	if (event == WEIR_FCGI_STDERR) {
		*ret_used = front;
		/* the message, with its record's header and padding */
		s->skipped = (size_t)(in.p - (bytes + front)) - s->head_bytes;
		ret->data = data;
		return WEIR_CODEC_NOTE;
	}
	if (event == WEIR_FCGI_END)
		return end(s, ret);
	if (event < 0)
		return bad(ret, "it does not speak FastCGI");
	close_gap(s, bytes, &front, count);
	*ret_used = front;
	return WEIR_CODEC_MORE;
}

static enum weir_codec_event read_body(struct state *s, char *bytes, size_t count, size_t *ret_used,
				       struct weir_codec_piece *ret)
{
	struct weir_str in = { bytes, count }, data = { bytes, MIN(s->body_bytes, count) };
	enum weir_codec_event e = WEIR_CODEC_MORE;
	int event = WEIR_FCGI_STDOUT;

	in.p += data.n;
	in.n -= data.n;
	s->body_bytes -= data.n;
	if (data.n > 0)
		e = give_body(s, data, ret);
	while (e == WEIR_CODEC_MORE && (event = weir_fcgi_read(&s->reader, &in, &data)) == WEIR_FCGI_STDOUT)
		e = give_body(s, data, ret);
	*ret_used = count - in.n;
	if (e != WEIR_CODEC_MORE)
		return e;
	switch (event) {
	case WEIR_FCGI_STDERR:
		ret->data = data;
		return WEIR_CODEC_NOTE;
	case WEIR_FCGI_END:
		return end(s, ret);
	case WEIR_FCGI_MORE:
		return WEIR_CODEC_MORE;
	default:
		return bad(ret, "it does not speak FastCGI");
	}
}

static enum weir_codec_event read_some(void *state, char *bytes, size_t count, size_t room, size_t *ret_used,
				       struct weir_codec_piece *ret)
{
	struct state *s = state;

	(void)room;
	*ret_used = 0;
	return s->has_head ? read_body(s, bytes, count, ret_used, ret) : read_head(s, bytes, count, ret_used, ret);
}

static enum weir_codec_event eof(void *state, struct weir_codec_piece *ret)
{
	const struct state *s = state;

	return bad(ret, s->has_head ? "it closed the connection before the response was complete"
				    : "it closed the connection before it had answered");
}

static bool is_reusable(const void *state)
{
	const struct state *s = state;

	return s->is_ended && s->keep_conn;
}

static bool has_length(const void *state, uint64_t *ret_bytes)
{
	const struct state *s = state;

	if (s->has_length)
		*ret_bytes = s->body_left;
	return s->has_length;
}

const struct weir_codec weir_fastcgi_codec = {
	.name = "FastCGI",
	.needs_length = true,
	.begin = begin,
	.body = body,
	.body_end = body_end,
	.restart = restart,
	.read = read_some,
	.eof = eof,
	.is_reusable = is_reusable,
	.has_length = has_length,
};
