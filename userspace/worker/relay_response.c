/* SPDX-License-Identifier: GPL-2.0 */
/* The response's way: the upstream's socket, the codec, framing for the client, the client's
 * socket. */
#include "worker/relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"

#define CHUNK_BYTES 32 /* around a chunk, and the last one */

/* How the body goes to the client, and whether the connection can go on behind it. */
static void decide_framing(struct wrk_exchange *x, const struct weir_reply *reply)
{
	uint64_t bytes;

	x->framing = weir_reply_framing(reply, x->is_head);
	if (x->framing != WEIR_FRAMING_NONE && x->codec->has_length(x->codec_state, &bytes))
		x->framing = WEIR_FRAMING_LENGTH;
	else if (x->framing != WEIR_FRAMING_NONE)
		x->framing = x->is_http10 ? WEIR_FRAMING_CLOSE : WEIR_FRAMING_CHUNKED;
	if (x->framing == WEIR_FRAMING_CLOSE || !x->is_body_done || __atomic_load_n(&x->w->is_ending, __ATOMIC_RELAXED))
		x->is_keep_alive = false;
}

static void on_switch(struct wrk_exchange *x, const struct weir_reply *reply, struct weir_buf *out)
{
	weir_gateway_interim(out, reply);
	x->is_tunnel = true;
	x->is_keep_alive = false;
	x->is_body_done = false;
	x->is_sent = true;
	/* what the client sent behind its request is for the tunnel */
	x->client_reads = true;
	if (x->tap)
		x->tap->end(x->tap_arg, false);
	x->tap = NULL;
}

static void on_head(struct wrk_exchange *x, const struct weir_reply *reply, struct weir_buf *out)
{
	char date[WEIR_HTTP_DATE_BYTES];
	struct weir_gateway_reply g = {
		.reply = reply,
		.is_http = x->codec->is_http,
		.is_head = x->is_head,
		.date = date,
	};

	x->has_head = true;
	x->status = reply->status;
	if (reply->status == 101) {
		on_switch(x, reply, out);
		return;
	}
	decide_framing(x, reply);
	weir_date_format(weir_realtime_s(), date);
	g.fields = &x->w->setup->pool->proxy.response_fields;
	g.framing = x->framing;
	g.is_keep_alive = x->is_keep_alive;
	weir_gateway_head(out, &g);
	if (x->tap)
		x->tap->head(x->tap_arg, reply);
}

static void on_body(struct wrk_exchange *x, struct weir_str data, struct weir_buf *out)
{
	x->reply_bytes += data.n;
	if (x->tap)
		x->tap->body(x->tap_arg, data);
	if (x->framing == WEIR_FRAMING_CHUNKED) {
		weir_buf_hex(out, data.n);
		weir_buf_puts(out, "\r\n");
	}
	weir_buf_str(out, data);
	if (x->framing == WEIR_FRAMING_CHUNKED)
		weir_buf_puts(out, "\r\n");
}

/* The last chunk, with or without trailers; once. */
static void end_chunks(struct wrk_exchange *x, struct weir_str trailers, struct weir_buf *out)
{
	if (x->framing != WEIR_FRAMING_CHUNKED)
		return;
	weir_buf_puts(out, "0\r\n");
	weir_gateway_trailers(out, trailers);
	weir_buf_puts(out, "\r\n");
	x->framing = WEIR_FRAMING_NONE;
}

static void on_end(struct wrk_exchange *x, struct weir_buf *out)
{
	end_chunks(x, (struct weir_str){ NULL, 0 }, out);
	x->is_reply_done = true;
	if (x->tap)
		x->tap->end(x->tap_arg, true);
	x->tap = NULL;
}

/* False: what is written for the client is longer than there is room for. */
static bool act(struct wrk_exchange *x, enum weir_codec_event e, const struct weir_codec_piece *piece)
{
	struct weir_buf out = relay_buf_writer(&x->out_buf);

	switch (e) {
	case WEIR_CODEC_INTERIM:
		x->wants_continue = false;
		if (!x->is_http10)
			weir_gateway_interim(&out, &piece->reply);
		break;
	case WEIR_CODEC_HEAD:
		on_head(x, &piece->reply, &out);
		break;
	case WEIR_CODEC_BODY:
		on_body(x, piece->data, &out);
		break;
	case WEIR_CODEC_TRAILERS:
		end_chunks(x, piece->data, &out);
		break;
	case WEIR_CODEC_NOTE:
		weir_warn("pool '%s', %s: %.*s", x->w->setup->pool->name, x->server->conf->text, (int)piece->data.n,
			  piece->data.p);
		break;
	case WEIR_CODEC_END:
		on_end(x, &out);
		break;
	case WEIR_CODEC_MORE:
	case WEIR_CODEC_BAD:
		break;
	}
	x->out_buf.n = (uint32_t)out.n;
	return !out.is_full;
}

/* Reads from the upstream into `in`. 1: something, 0: its end, -EAGAIN, or -errno. */
static int fill_in(struct wrk_exchange *x)
{
	struct relay_buf *b = &x->in_buf;
	ssize_t n;

	if (!x->up_reads)
		return -EAGAIN;
	if (!relay_buf_need(x->w, b))
		return -ENOMEM;
	relay_buf_pack(b);
	do {
		n = recv(x->up->fd, b->p + b->n, relay_buf_room(b), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		x->up_reads = errno != EAGAIN;
		return -errno;
	}
	if ((size_t)n < relay_buf_room(b) && !x->up_ended)
		x->up_reads = false;
	b->n += (uint32_t)n;
	return n > 0;
}

/* True: `out` can take what the next event may bring. */
static bool has_room(struct wrk_exchange *x)
{
	if (!relay_buf_need(x->w, &x->out_buf))
		return false;
	if (relay_buf_room(&x->out_buf) < RELAY_ROOM_BYTES)
		relay_buf_pack(&x->out_buf);
	return relay_buf_room(&x->out_buf) >= RELAY_ROOM_BYTES;
}

/* Opaque bytes of a tunnel. False: it has ended. */
static bool pull_tunnel(struct wrk_exchange *x, bool *ret_moved)
{
	int r = 1;

	while (!x->is_reply_done && has_room(x)) {
		struct weir_buf out = relay_buf_writer(&x->out_buf);
		size_t n = MIN(relay_buf_left(&x->in_buf), relay_buf_room(&x->out_buf));

		if (n > 0) {
			weir_buf_put(&out, x->in_buf.p + x->in_buf.at, n);
			x->in_buf.at += (uint32_t)n;
			x->out_buf.n = (uint32_t)out.n;
			*ret_moved = true;
			continue;
		}
		r = fill_in(x);
		if (r == -EAGAIN)
			break;
		if (r <= 0)
			x->is_reply_done = true;
	}
	if (relay_buf_left(&x->in_buf) == 0)
		relay_buf_drop(x->w, &x->in_buf);
	if (relay_buf_left(&x->out_buf) == 0)
		relay_buf_drop(x->w, &x->out_buf);
	return true;
}

/* The next event of what is in `in`. MORE: of the bytes nothing is left that it could use. */
static enum weir_codec_event next_event(struct wrk_exchange *x, struct weir_codec_piece *piece)
{
	struct relay_buf *b = &x->in_buf;
	/* no more than `out` can take, which is more than a head or trailers can be long */
	size_t used, n, room = relay_buf_room(&x->out_buf) - 2 * CHUNK_BYTES;
	enum weir_codec_event e;

	do {
		used = 0;
		n = MIN((size_t)relay_buf_left(b), room);
		e = x->codec->read(x->codec_state, b->p ? b->p + b->at : NULL, n, RELAY_BUF_BYTES, &used, piece);
		b->at += (uint32_t)used;
	} while (e == WEIR_CODEC_MORE && used > 0 && relay_buf_left(b) > 0);
	if (e == WEIR_CODEC_MORE && relay_buf_left(b) == RELAY_BUF_BYTES) {
		piece->why = "it sends more than fits into the buffer";
		return WEIR_CODEC_BAD;
	}
	return e;
}

/* The upstream's end, or an error, in place of more bytes. */
static enum weir_codec_event no_more(struct wrk_exchange *x, int r, struct weir_codec_piece *piece)
{
	if (r == 0)
		return x->codec->eof(x->codec_state, piece);
	piece->why = x->has_reply ? "it reset the connection inside its response"
				  : "it reset the connection before its response";
	if (r == -ENOMEM)
		piece->why = "out of memory";
	return WEIR_CODEC_BAD;
}

static bool is_too_long(const struct wrk_exchange *x)
{
	uint64_t max = (uint64_t)x->w->setup->pool->proxy.response_body_max_kb << 10, bytes;

	if (max == 0 || !x->has_head || x->is_tunnel)
		return false;
	return x->reply_bytes > max ||
	       (x->framing == WEIR_FRAMING_LENGTH && x->codec->has_length(x->codec_state, &bytes) && bytes > max);
}

bool relay_pull_up(struct wrk_exchange *x, bool *ret_moved)
{
	struct weir_codec_piece piece;
	enum weir_codec_event e;
	bool goes_on;
	int r;

	if (!x->up || x->is_connecting)
		return true;
	/* false where a request was just sent */
	goes_on = x->up_reads || x->has_event || relay_buf_left(&x->in_buf) > 0;
	while (goes_on && !x->is_reply_done && !x->is_tunnel && has_room(x)) {
		e = next_event(x, &piece);
		x->has_event = e != WEIR_CODEC_MORE;
		if (e == WEIR_CODEC_MORE) {
			r = fill_in(x);
			if (r == -EAGAIN)
				break;
			*ret_moved = true;
			if (r > 0) {
				x->has_reply = true;
				continue;
			}
			e = no_more(x, r, &piece);
		}
		*ret_moved = true;
		if (e == WEIR_CODEC_BAD)
			return relay_fail(x, 502, piece.why);
		if (!act(x, e, &piece))
			return relay_fail(x, 502, "response head too long");
		if (is_too_long(x))
			return relay_fail(x, 502, "its response is longer than response_body_max");
	}
	if (x->is_tunnel)
		return pull_tunnel(x, ret_moved);
	if (x->in_buf.p && relay_buf_left(&x->in_buf) == 0)
		relay_buf_drop(x->w, &x->in_buf);
	if (x->out_buf.p && relay_buf_left(&x->out_buf) == 0)
		relay_buf_drop(x->w, &x->out_buf);
	return true;
}

/* Before bytes of the response leave: for a successor, and for XDP. */
static void note(struct wrk_exchange *x)
{
	struct wrk_conn *c = x->conn;
	uint64_t left = relay_buf_left(&x->out_buf);
	bool is_last = x->is_reply_done && !x->is_tunnel;
	bool goes_on = is_last && x->is_keep_alive && x->is_body_done && c->in_bytes == 0;

	if (!x->has_head)
		return;
	if (!x->has_begun || is_last)
		wrk_note_sending(c, is_last ? left : 0, goes_on);
	if (goes_on && !x->must_look && !c->ticket)
		wrk_ticket_offer(x->w, c, left);
	/* a tunnel's time says nothing about answers */
	if (!x->has_begun && x->is_tunnel)
		wrk_count_answer(x->w->setup->metrics, c, x->status);
	x->has_begun = true;
}

bool relay_push_client(struct wrk_exchange *x, bool *ret_moved)
{
	struct relay_buf *b = &x->out_buf;
	int fd = wrk_conn_fd(&x->w->base->table, x->conn);
	ssize_t n;

	if (relay_buf_left(b) > 0)
		note(x);
	while (relay_buf_left(b) > 0) {
		n = send(fd, b->p + b->at, relay_buf_left(b), MSG_NOSIGNAL);
		if (n > 0) {
			wrk_count_sent(x->w, x->conn, (size_t)n);
			b->at += (uint32_t)n;
			*ret_moved = true;
			continue;
		}
		if (errno == EAGAIN) {
			relay_watch_client(x);
			return true;
		}
		if (errno != EINTR)
			return relay_abort(x, true);
	}
	if (b->p)
		relay_buf_drop(x->w, b);
	return x->is_reply_done ? relay_complete(x) : true;
}
