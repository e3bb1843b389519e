/* SPDX-License-Identifier: GPL-2.0 */
/* Bodies and responses on the serving thread. Never reads a byte behind the body: what the client has pipelined stays in
 * the socket, or in the input that the request came in. Waits no longer than body_timeout for a piece, and no longer for
 * a response than min_send_rate allows, as pump.c does. */
#include "worker/stream.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/macro.h"

#define PEEK_MAX 65536
#define MIN_SEND_MS 1000 /* for the smallest response */

static int fd_of(const struct wrk_stream *s)
{
	return wrk_conn_fd(&s->t->w->base->table, s->c);
}

/* request_timeout ends a connection by shutting it down. */
static int lost(const struct wrk_stream *s, int error)
{
	return __atomic_load_n(&s->c->is_expired, __ATOMIC_RELAXED) ? -ETIMEDOUT : error;
}

/* 0: ready, or broken, which the next call tells. -ETIMEDOUT. *ret_ms: how long it took. A thread that waits for a client
 * is well: it answers the keeper's pings, else slow clients on all threads would look like a module that hangs. */
static int wait_for(const struct wrk_stream *s, short events, uint64_t limit_ms, uint64_t *ret_ms)
{
	struct wrk_worker *w = s->t->w;
	struct pollfd p[] = { { .fd = fd_of(s), .events = events }, { .fd = w->base->ping_fd, .events = POLLIN } };
	uint64_t start = weir_now_ms(), now = start;

	do {
		uint64_t left = limit_ms - (now - start);

		p[0].revents = p[1].revents = 0;
		(void)poll(p, 2, (int)MIN(left, (uint64_t)INT32_MAX));
		if (p[1].revents & POLLIN)
			wrk_ping_answer(w);
		now = weir_now_ms();
	} while (!p[0].revents && now - start < limit_ms);
	*ret_ms = now - start;
	return p[0].revents ? 0 : -ETIMEDOUT;
}

/* --- the body --- */

/* Moves the data among `count` bytes of a chunked body to `out`, which they may be in. Stops at the body's end. Returns how
 * many bytes were used. */
static ptrdiff_t unchunk(struct wrk_stream *s, const char *bytes, size_t count, char *out, size_t *ret_bytes)
{
	struct weir_str data;
	size_t used = 0;

	*ret_bytes = 0;
	while (used < count && !s->chunked.is_done) {
		ptrdiff_t n = weir_chunked_next(&s->chunked, bytes + used, count - used, &data);

		if (n < 0)
			return n;
		used += (size_t)n;
		if (data.n > 0)
			memmove(out + *ret_bytes, data.p, data.n);
		*ret_bytes += data.n;
	}
	return (ptrdiff_t)used;
}

/* From what was read with the head. Returns data bytes, perhaps none. */
static ptrdiff_t take_rest(struct wrk_stream *s, char *buf, size_t bytes)
{
	size_t got = MIN(bytes, s->rest.n);
	ptrdiff_t used;

	if (s->is_chunked) {
		used = unchunk(s, s->rest.p, got, buf, &got);
		if (used < 0)
			return used;
	} else {
		got = (size_t)MIN((uint64_t)got, s->left);
		memcpy(buf, s->rest.p, got);
		s->left -= got;
		used = (ptrdiff_t)got;
	}
	s->rest.p += used;
	s->rest.n -= (size_t)used;
	return (ptrdiff_t)got;
}

/* Throws bytes away that were looked at: they are there. */
static int discard(struct wrk_stream *s, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = recv(fd_of(s), NULL, bytes, MSG_TRUNC | MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EINTR))
			return -ECONNRESET;
		bytes -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* From the socket, without waiting. -EAGAIN: nothing is there. */
static ptrdiff_t take_socket(struct wrk_stream *s, char *buf, size_t bytes)
{
	size_t want = s->is_chunked ? MIN(bytes, (size_t)PEEK_MAX) : (size_t)MIN((uint64_t)bytes, s->left), got;
	ssize_t n = recv(fd_of(s), buf, want, MSG_DONTWAIT | (s->is_chunked ? MSG_PEEK : 0));
	ptrdiff_t used = n;
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return lost(s, -ECONNRESET);
	got = (size_t)n;
	if (s->is_chunked) {
		used = unchunk(s, buf, got, buf, &got);
		if (used < 0)
			return used;
		r = discard(s, (size_t)used);
		if (r < 0)
			return r;
	} else {
		s->left -= got;
	}
	s->c->consumed += (uint32_t)used;
	return (ptrdiff_t)got;
}

/* RFC 9110 10.1.1. */
static int say_continue(struct wrk_stream *s)
{
	if (!s->is_silent || s->has_begun)
		return 0;
	s->is_silent = false;
	return wrk_send_text(s->t, s->c, WEIR_STR("HTTP/1.1 100 Continue\r\n\r\n")) < 0 ? -ECONNRESET : 0;
}

static ptrdiff_t read_some(struct wrk_stream *s, char *buf, size_t bytes)
{
	ptrdiff_t n = say_continue(s);
	uint64_t ms;

	while (n == 0 && !wrk_stream_is_done(s)) {
		n = s->rest.n > 0 ? take_rest(s, buf, bytes) : take_socket(s, buf, bytes);
		if (n != -EAGAIN)
			continue;
		n = wait_for(s, POLLIN, s->t->w->setup->pool->body_ms, &ms);
		if (n < 0)
			wrk_limit_note(s->t->w, WRK_LIMIT_ENTITY_BODY);
	}
	return n;
}

static ptrdiff_t stream_read(struct weir_stream *base, void *buf, size_t bytes)
{
	struct wrk_stream *s = (struct wrk_stream *)base;
	ptrdiff_t n = s->error ? s->error : read_some(s, buf, bytes);

	if (n > 0) {
		s->taken += (uint64_t)n;
		if (s->max && s->taken > s->max)
			n = -EFBIG;
	}
	if (n < 0)
		s->error = (int)n;
	return n;
}

bool wrk_stream_can_go_on(const struct wrk_stream *s, bool must_close)
{
	return s->t->req.is_keep_alive && !must_close && !s->error && !s->is_silent && s->left <= WRK_BODY_MAX &&
	       !__atomic_load_n(&s->t->w->is_ending, __ATOMIC_RELAXED);
}

/* --- the response --- */

/* What is in t->todo, to its end. */
static int send_all(struct wrk_stream *s)
{
	unsigned rate = s->t->w->setup->pool->min_send_rate;
	int r;

	while ((r = wrk_out_send(s->t->w, s->c, &s->t->todo)) == -EAGAIN) {
		uint64_t limit_ms = UINT64_MAX, ms;

		if (rate > 0) {
			limit_ms = MAX(s->sent * 1000 / rate, (uint64_t)MIN_SEND_MS);
			limit_ms = limit_ms > s->waited_ms ? limit_ms - s->waited_ms : 0;
		}
		r = wait_for(s, POLLOUT, limit_ms, &ms);
		s->waited_ms += ms;
		if (r < 0) {
			wrk_limit_note(s->t->w, WRK_LIMIT_MIN_BYTES_PER_SECOND);
			return r;
		}
	}
	return r < 0 ? lost(s, r) : 0;
}

static int stream_begin(struct weir_stream *base, struct weir_response *resp)
{
	struct wrk_stream *s = (struct wrk_stream *)base;

	s->has_begun = true;
	/* hoping that the module will read what is left of the body */
	s->is_keep_alive = s->t->req.is_keep_alive && !resp->must_close && !s->error && !s->is_silent &&
			   !__atomic_load_n(&s->t->w->is_ending, __ATOMIC_RELAXED);
	s->sent = wrk_send_begin(s->t, s->c, s->is_keep_alive);
	return send_all(s);
}

static int stream_send(struct weir_stream *base, const struct weir_part *parts, unsigned count, bool is_last)
{
	struct wrk_stream *s = (struct wrk_stream *)base;
	struct wrk_out *out = &s->t->todo;
	bool goes_on = is_last && s->is_keep_alive && wrk_stream_is_done(s) && s->rest.n == 0;
	uint64_t bytes = 0;
	unsigned i;

	assert(count <= ARRAY_SIZE(out->parts));
	out->at = 0;
	out->count = count;
	for (i = 0; i < count; i++) {
		out->parts[i] = parts[i];
		bytes += parts[i].bytes;
	}
	s->sent += bytes;
	if (goes_on && bytes > 0)
		wrk_ticket_offer(s->t->w, s->c, bytes);
	wrk_send_more(s->c, bytes, is_last, goes_on);
	return send_all(s);
}

static const struct weir_stream_ops stream_ops = {
	.read = stream_read,
	.begin = stream_begin,
	.send = stream_send,
};

void wrk_stream_init(struct wrk_stream *s, struct wrk_thread *t, struct wrk_conn *c, struct weir_str rest)
{
	const struct weir_request *req = &t->req;

	*s = (struct wrk_stream){
		.base.ops = &stream_ops,
		.t = t,
		.c = c,
		.rest = rest,
		.is_chunked = req->is_chunked,
		.is_silent = req->expects_continue && rest.n == 0,
		.left = req->is_chunked ? 0 : req->body_bytes,
		.max = (uint64_t)t->w->setup->pool->module.request_body_max_kb << 10,
	};
}
