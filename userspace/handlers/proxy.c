/* SPDX-License-Identifier: GPL-2.0 */
/* HTTP/1.1 to an upstream: framing of the request's body, and the response taken apart into events.
 */
#include "handlers/proxy.h"

#include <errno.h>

#define INTERIM_MAX 32 /* responses that are not the last one, to one request */

enum phase {
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_END,
	PHASE_TUNNEL,
};

struct state {
	/* fixed after begin() */
	bool is_body_chunked; /* towards the upstream */
	bool is_head;
	bool is_upgrade;
	size_t head_max;
	/* of the response */
	enum phase phase;
	enum weir_framing framing;
	bool is_keep_alive;
	bool has_length;
	unsigned interims;
	uint64_t body_bytes;
	uint64_t left;
	size_t scanned;
	struct weir_chunked chunked;
};
_Static_assert(sizeof(struct state) <= WEIR_CODEC_STATE_BYTES, "the relay has no more room");

static int begin(void *state, const struct weir_codec_call *call, struct weir_buf *out)
{
	const struct weir_request *req = call->req;
	struct state *s = state;
	int status;

	*s = (struct state){
		.is_body_chunked = req->is_chunked,
		.is_head = req->method == WEIR_METHOD_HEAD,
		.is_upgrade = weir_proxy_wants_upgrade(call),
		.head_max = (size_t)call->pool->proxy.response_head_max_kb << 10,
	};
	status = weir_proxy_fields(call, s->is_upgrade, out);
	if (status)
		return status;
	if (req->is_chunked) {
		weir_buf_puts(out, "Transfer-Encoding: chunked\r\n");
	} else if (req->counts[WEIR_FIELD_CONTENT_LENGTH] > 0) {
		weir_buf_puts(out, "Content-Length: ");
		weir_buf_u64(out, req->body_bytes);
		weir_buf_puts(out, "\r\n");
	}
	weir_buf_puts(out, "\r\n");
	return out->is_full ? 431 : 0;
}

static void body(void *state, struct weir_str data, struct weir_buf *out)
{
	const struct state *s = state;

	if (data.n == 0)
		return;
	if (s->is_body_chunked) {
		weir_buf_hex(out, data.n);
		weir_buf_puts(out, "\r\n");
	}
	weir_buf_str(out, data);
	if (s->is_body_chunked)
		weir_buf_puts(out, "\r\n");
}

static void body_end(void *state, struct weir_str trailers, struct weir_buf *out)
{
	const struct state *s = state;

	if (!s->is_body_chunked)
		return;
	weir_buf_puts(out, "0\r\n");
	weir_gateway_trailers(out, trailers);
	weir_buf_puts(out, "\r\n");
}

static void restart(void *state)
{
	struct state *s = state;

	s->phase = PHASE_HEAD;
	s->interims = 0;
	s->scanned = 0;
	s->chunked = (struct weir_chunked){ 0 };
}

static enum weir_codec_event refuse(struct weir_codec_piece *ret, const char *why)
{
	ret->why = why;
	return WEIR_CODEC_BAD;
}

static enum weir_codec_event read_head(struct state *s, const char *bytes, size_t count, size_t room, size_t *ret_used,
				       struct weir_codec_piece *ret)
{
	struct weir_reply *r = &ret->reply;
	int error = weir_reply_parse(bytes, count, s->head_max, &s->scanned, r);

	*ret_used = 0;
	if (error == -EAGAIN)
		return count < room ? WEIR_CODEC_MORE : refuse(ret, "response head too long");
	if (error < 0)
		return refuse(ret, r->why);
	*ret_used = r->head_bytes;
	if (r->status < 200 && r->status != 101)
		return ++s->interims > INTERIM_MAX ? refuse(ret, "too many interim responses") : WEIR_CODEC_INTERIM;
	if (r->status == 101 && !s->is_upgrade)
		return refuse(ret, "it switches protocols, which nobody asked for");
	s->framing = weir_reply_framing(r, s->is_head);
	s->is_keep_alive = r->is_keep_alive;
	s->has_length = s->framing == WEIR_FRAMING_LENGTH;
	s->body_bytes = s->left = r->body_bytes;
	s->phase = r->status == 101 ? PHASE_TUNNEL : PHASE_BODY;
	return WEIR_CODEC_HEAD;
}

static enum weir_codec_event end(struct state *s)
{
	s->phase = PHASE_END;
	return WEIR_CODEC_END;
}

static enum weir_codec_event read_chunks(struct state *s, const char *bytes, size_t count, size_t room,
					 size_t *ret_used, struct weir_codec_piece *ret)
{
	switch (weir_chunked_read(&s->chunked, bytes, count, ret_used, &ret->data)) {
	case WEIR_CHUNK_DATA:
		return WEIR_CODEC_BODY;
	case WEIR_CHUNK_TRAILERS:
		return WEIR_CODEC_TRAILERS;
	case WEIR_CHUNK_END:
		return end(s);
	case WEIR_CHUNK_MORE:
		return *ret_used > 0 || count < room ? WEIR_CODEC_MORE : refuse(ret, "trailer section too long");
	case WEIR_CHUNK_BAD:
		break;
	}
	return refuse(ret, "malformed chunked body");
}

static enum weir_codec_event read_some(void *state, char *bytes, size_t count, size_t room, size_t *ret_used,
				       struct weir_codec_piece *ret)
{
	struct state *s = state;

	if (s->phase == PHASE_HEAD)
		return read_head(s, bytes, count, room, ret_used, ret);
	*ret_used = 0;
	if (s->phase == PHASE_END || s->framing == WEIR_FRAMING_NONE ||
	    (s->framing == WEIR_FRAMING_LENGTH && s->left == 0))
		return end(s);
	if (s->framing == WEIR_FRAMING_CHUNKED)
		return read_chunks(s, bytes, count, room, ret_used, ret);
	if (count == 0)
		return WEIR_CODEC_MORE;
	ret->data = (struct weir_str){ bytes, count };
	if (s->framing == WEIR_FRAMING_LENGTH) {
		ret->data.n = s->left < count ? (size_t)s->left : count;
		s->left -= ret->data.n;
	}
	*ret_used = ret->data.n;
	return WEIR_CODEC_BODY;
}

static enum weir_codec_event eof(void *state, struct weir_codec_piece *ret)
{
	struct state *s = state;

	if (s->phase == PHASE_BODY && s->framing == WEIR_FRAMING_CLOSE)
		return end(s);
	return refuse(ret, s->phase == PHASE_HEAD ? "it closed the connection before its response"
						  : "it closed the connection inside its response");
}

static bool is_reusable(const void *state)
{
	const struct state *s = state;

	return s->phase == PHASE_END && s->is_keep_alive && s->framing != WEIR_FRAMING_CLOSE;
}

static bool has_length(const void *state, uint64_t *ret_bytes)
{
	const struct state *s = state;

	*ret_bytes = s->body_bytes;
	return s->has_length;
}

const struct weir_codec weir_proxy_codec = {
	.name = "http",
	.is_http = true,
	.begin = begin,
	.body = body,
	.body_end = body_end,
	.restart = restart,
	.read = read_some,
	.eof = eof,
	.is_reusable = is_reusable,
	.has_length = has_length,
};
