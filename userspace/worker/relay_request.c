/* SPDX-License-Identifier: GPL-2.0 */
/* The request's way: the client's socket, the connection's input slot, the codec, the upstream's
 * socket. */
#include "worker/relay.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static int client_fd(const struct wrk_exchange *x)
{
	return wrk_conn_fd(&x->w->base->table, x->conn);
}

void relay_watch_client(struct wrk_exchange *x)
{
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = (void *)((uintptr_t)x | 1),
	};

	/* reports at once what is there; should it fail, the deadline ends it */
	if (!x->is_client_watched)
		(void)epoll_ctl(x->w->relay.epoll_fd, EPOLL_CTL_ADD, client_fd(x), &e);
	x->is_client_watched = true;
}

/* Reads into the slot. False: the exchange has ended. */
static bool fill_slot(struct wrk_exchange *x, bool *ret_moved)
{
	struct wrk_conn *c = x->conn;
	char *slot = wrk_conn_slot(&x->w->base->table, c);
	ssize_t n;

	if (x->slot_at > 0) {
		memmove(slot, slot + x->slot_at, c->in_bytes - x->slot_at);
		c->in_bytes -= x->slot_at;
		x->slot_at = 0;
	}
	do {
		n = recv(client_fd(x), slot + c->in_bytes, WRK_IN_BYTES - c->in_bytes, 0);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		/* an end that was announced is still to be read */
		if ((size_t)n < WRK_IN_BYTES - c->in_bytes && !x->client_ended)
			x->client_reads = false;
		c->in_bytes += (uint32_t)n;
		c->consumed += (uint32_t)n;
		c->was_used = true;
		*ret_moved = true;
		return true;
	}
	x->client_reads = false;
	if (n < 0 && errno == EAGAIN)
		return true;
	if (n == 0 && x->is_tunnel) {
		x->is_body_done = true;
		*ret_moved = true;
		return true;
	}
	return relay_abort(x, true);
}

/* One piece of the body, from the slot into `up`. -EAGAIN: more bytes, or room, are needed;
 * -EBADMSG: bad framing. */
static int take_piece(struct wrk_exchange *x)
{
	struct wrk_conn *c = x->conn;
	struct weir_buf out = relay_buf_writer(&x->up_buf);
	struct weir_str data = { wrk_conn_slot(&x->w->base->table, c) + x->slot_at, c->in_bytes - x->slot_at };
	size_t room = relay_buf_room(&x->up_buf) - WEIR_CODEC_FRAME_BYTES, used = 0;

	data.n = MIN(data.n, room);
	if (x->is_tunnel) {
		weir_buf_str(&out, data);
		used = data.n;
	} else if (!x->is_body_chunked) {
		data.n = (size_t)MIN((uint64_t)data.n, x->body_left);
		x->codec->body(x->codec_state, data, &out);
		used = data.n;
		x->body_left -= used;
		x->body_bytes += used;
		x->is_body_done = x->body_left == 0;
	} else {
		struct weir_str piece = { NULL, 0 };

		switch (weir_chunked_read(&x->chunked, data.p, data.n, &used, &piece)) {
		case WEIR_CHUNK_DATA:
			x->codec->body(x->codec_state, piece, &out);
			x->body_bytes += piece.n;
			break;
		case WEIR_CHUNK_TRAILERS:
			x->codec->body_end(x->codec_state, piece, &out);
			x->is_sent = x->is_body_done = true;
			break;
		case WEIR_CHUNK_END:
			x->is_body_done = true;
			break;
		case WEIR_CHUNK_MORE:
			break;
		case WEIR_CHUNK_BAD:
			return -EBADMSG;
		}
	}
	x->slot_at += (uint32_t)used;
	x->up_buf.n = (uint32_t)out.n;
	return used > 0 || x->is_body_done ? 0 : -EAGAIN;
}

/* What is left of the slot is the next request's. */
static void leave_slot(struct wrk_exchange *x)
{
	struct wrk_conn *c = x->conn;
	char *slot = wrk_conn_slot(&x->w->base->table, c);

	if (x->slot_at > 0 && c->in_bytes > x->slot_at)
		memmove(slot, slot + x->slot_at, c->in_bytes - x->slot_at);
	c->in_bytes -= x->slot_at;
	x->slot_at = 0;
}

static bool has_room(struct wrk_exchange *x)
{
	struct relay_buf *b = &x->up_buf;

	if (!relay_buf_need(x->w, b))
		return false;
	if (relay_buf_room(b) >= WRK_IN_BYTES + WEIR_CODEC_FRAME_BYTES)
		return true;
	/* A body as long as this is not kept for a second server. */
	if (b->at == 0)
		return false;
	x->is_up_whole = false;
	relay_buf_pack(b);
	return relay_buf_room(b) >= WRK_IN_BYTES + WEIR_CODEC_FRAME_BYTES;
}

/* A response that came before the request's end stays the response; the rest of the request is not
 * wanted. */
static bool is_wanted(const struct wrk_exchange *x)
{
	return !x->is_body_done && !x->is_up_broken && !x->is_reply_done;
}

bool relay_pull_client(struct wrk_exchange *x, bool *ret_moved)
{
	uint64_t max = (uint64_t)x->w->setup->pool->module.request_body_max_kb << 10;
	int r;

	while (is_wanted(x) && has_room(x)) {
		if (x->conn->in_bytes == x->slot_at) {
			if (!x->client_reads)
				break;
			if (!fill_slot(x, ret_moved))
				return false;
			continue;
		}
		r = take_piece(x);
		if (r == -EBADMSG)
			return relay_refuse(x, 400, "The request's body is malformed.");
		if (max && x->body_bytes > max && !x->is_tunnel)
			return relay_refuse(x, 413, "The request's body is larger than this server takes.");
		x->wants_continue = false;
		if (r == 0) {
			*ret_moved = true;
			continue;
		}
		/* an incomplete piece of framing */
		if (!x->client_reads)
			break;
		if (!fill_slot(x, ret_moved))
			return false;
	}
	if (x->is_body_done && !x->is_sent && relay_buf_need(x->w, &x->up_buf) &&
	    relay_buf_room(&x->up_buf) >= WEIR_CODEC_FRAME_BYTES) {
		struct weir_buf out = relay_buf_writer(&x->up_buf);

		if (!x->is_tunnel)
			x->codec->body_end(x->codec_state, (struct weir_str){ NULL, 0 }, &out);
		x->up_buf.n = (uint32_t)out.n;
		x->is_sent = true;
	}
	if (x->is_body_done && !x->is_tunnel && x->slot_at > 0)
		leave_slot(x);
	/* only events tell when there is more */
	if (is_wanted(x) && !x->client_reads)
		relay_watch_client(x);
	return true;
}

/* Whether the upstream will read no more. Perhaps it has answered before: that is worth more than
 * the error. */
static void break_up(struct wrk_exchange *x, bool *ret_moved)
{
	x->is_up_broken = true;
	x->up_reads = true;
	x->up_ended = true;
	*ret_moved = true;
}

bool relay_push_up(struct wrk_exchange *x, bool *ret_moved)
{
	struct relay_buf *b = &x->up_buf;
	ssize_t n;

	if (!x->up || x->is_connecting || x->is_up_broken)
		return true;
	while (relay_buf_left(b) > 0) {
		n = send(x->up->fd, b->p + b->at, relay_buf_left(b), MSG_NOSIGNAL);
		if (n > 0) {
			b->at += (uint32_t)n;
			*ret_moved = true;
			continue;
		}
		if (errno == EAGAIN)
			return relay_watch_up(x, true);
		if (errno != EINTR) {
			break_up(x, ret_moved);
			return true;
		}
	}
	/* It is kept whole for another try until an answer comes. */
	if (b->p && (x->has_reply || !x->is_up_whole || x->is_tunnel)) {
		if (x->is_sent)
			relay_buf_drop(x->w, b);
		else
			b->at = b->n = 0;
		x->is_up_whole = false;
	}
	if (x->is_tunnel && x->is_body_done && !x->is_up_broken) {
		x->is_up_broken = true;
		(void)shutdown(x->up->fd, SHUT_WR);
	}
	return true;
}

bool relay_look_for_client(struct wrk_exchange *x)
{
	char byte;
	ssize_t n;

	/* while it sends, or we do, a read or a write tells */
	if (!x->client_ended || !x->is_body_done || x->is_tunnel || x->is_reply_done || x->conn->in_bytes > 0)
		return true;
	n = recv(client_fd(x), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0 || (n < 0 && errno == EAGAIN))
		return true;
	return relay_abort(x, true);
}
