/* SPDX-License-Identifier: GPL-2.0 */
/* A connection in the hands of one thread: read, take the requests apart, give it back. One recv() for a request
 * that came in one piece; the socket is edge-triggered, so a short read needs no second one. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/macro.h"

/* Throws away what belongs to the body. Returns the bytes, or -errno. */
static ptrdiff_t eat_body(struct wrk_conn *c, const char *bytes, size_t count)
{
	ptrdiff_t n;

	if (!c->is_chunked) {
		n = (ptrdiff_t)MIN((uint64_t)count, c->body_left);
		c->body_left -= (uint64_t)n;
		if (c->body_left == 0)
			c->phase = WRK_PHASE_HEAD;
		return n;
	}
	n = weir_chunked_eat(&c->chunked, bytes, count);
	if (n < 0)
		return n;
	c->body_eaten += (uint32_t)n;
	if (c->chunked.is_done)
		c->phase = WRK_PHASE_HEAD;
	else if (c->body_eaten > WRK_BODY_MAX)
		return -EFBIG;
	return n;
}

/* Keeps what is left of the input where the next thread, or the next worker, finds it. */
static void keep_rest(struct wrk_thread *t, struct wrk_conn *c, const char *rest, size_t count)
{
	char *slot = wrk_conn_slot(&t->w->base->table, c);

	if (count > 0) {
		if (slot != rest)
			memmove(slot, rest, count);
		c->was_used = true;
	}
	c->in_bytes = (uint32_t)count;
}

/* The deadline of a connection that waits for the client. A head that has begun keeps its own: a byte now and then
 * buys no time. A body's starts anew with each piece. */
static void rest_until(struct wrk_thread *t, struct wrk_conn *c)
{
	const struct weir_conf_pool *pool = t->w->setup->pool;
	bool was_partial = c->is_partial;
	unsigned ms;

	c->is_partial = c->phase == WRK_PHASE_HEAD && c->in_bytes > 0;
	if (c->is_partial && was_partial)
		return;
	ms = c->is_partial ? pool->header_ms : c->phase == WRK_PHASE_BODY ? pool->body_ms : pool->keepalive_ms;
	__atomic_store_n(&c->deadline_ms, weir_now_ms() + ms, __ATOMIC_RELAXED);
}

/* Everything that can be done with the bytes at hand. */
static enum wrk_next process(struct wrk_thread *t, struct wrk_conn *c, const char *bytes, size_t count)
{
	enum wrk_next next = WRK_NEXT_IDLE;
	size_t at = 0;

	while (at < count && next != WRK_NEXT_PENDING) {
		if (c->phase == WRK_PHASE_BODY) {
			ptrdiff_t n = eat_body(c, bytes + at, count - at);

			if (n < 0)
				return wrk_conn_linger(t->w, c);
			at += (size_t)n;
			continue;
		}
		int r = weir_request_parse(bytes + at, count - at, &c->scanned, &t->req);

		if (r == -EAGAIN)
			break;
		c->is_partial = false;
		t->body_taken = 0;
		next = r > 0 ? wrk_request_refuse(t, c, (unsigned)r) :
			       wrk_request_handle(t, c, (struct weir_str){ bytes + at, count - at });
		if (next == WRK_NEXT_GONE || c->phase == WRK_PHASE_LINGER)
			return next;
		at += r > 0 ? count - at : t->req.head_bytes + t->body_taken;
		if (at < count && next != WRK_NEXT_PENDING)
			__atomic_store_n(&c->step, WRK_STEP_TAKEN, __ATOMIC_RELEASE);
	}
	keep_rest(t, c, bytes + at, count - at);
	if (next == WRK_NEXT_PENDING)
		return next;
	__atomic_store_n(&c->step, WRK_STEP_NONE, __ATOMIC_RELEASE);
	rest_until(t, c);
	return WRK_NEXT_IDLE;
}

/* From now on the bytes of a request are only here. */
static void note_taken(struct wrk_conn *c)
{
	__atomic_store_n(&c->since_ms, weir_now_ms(), __ATOMIC_RELAXED);
	__atomic_store_n(&c->is_expired, false, __ATOMIC_RELAXED);
	c->what[0] = '\0';
	__atomic_store_n(&c->step, WRK_STEP_TAKEN, __ATOMIC_RELEASE);
}

static enum wrk_next read_some(struct wrk_thread *t, struct wrk_conn *c)
{
	char *bytes = c->in_bytes > 0 ? wrk_conn_slot(&t->w->base->table, c) : t->in;
	size_t have = c->in_bytes, room = WRK_IN_BYTES - have;
	enum wrk_next next;
	ssize_t n;

	n = recv(wrk_conn_fd(&t->w->base->table, c), bytes + have, room, 0);
	if (n < 0) {
		if (errno == EAGAIN) {
			/* accepted without a request: nobody waits in it */
			if (c->is_counted && c->consumed == 0)
				wrk_queue_leave(t->w, c);
			return WRK_NEXT_EMPTY;
		}
		return errno == EINTR ? WRK_NEXT_MORE : wrk_conn_lost(t->w, c, errno);
	}
	if (n == 0)
		return wrk_conn_lost(t->w, c, 0);
	if (c->phase == WRK_PHASE_LINGER)
		return weir_now_ms() < c->deadline_ms ? WRK_NEXT_MORE : wrk_conn_lost(t->w, c, 0);
	/* Data on a connection that XDP seemed to have taken: its ticket was only evicted. */
	if (c->phase == WRK_PHASE_TAKEN)
		c->phase = WRK_PHASE_HEAD;
	note_taken(c);
	c->consumed += (uint32_t)n;
	if (c->ticket || c->is_counted)
		wrk_queue_leave(t->w, c);
	next = process(t, c, bytes, have + (size_t)n);
	return next == WRK_NEXT_IDLE && (size_t)n == room ? WRK_NEXT_MORE : next;
}

static void serve_on(struct wrk_thread *t, struct wrk_conn *c, bool is_to_the_end)
{
	enum wrk_next next;

	do {
		do {
			next = read_some(t, c);
			if (next == WRK_NEXT_PENDING)
				wrk_pump_take(t, c);
			if (next == WRK_NEXT_GONE || next == WRK_NEXT_PENDING)
				return;
		} while (next == WRK_NEXT_MORE || (is_to_the_end && next == WRK_NEXT_IDLE));
		is_to_the_end = false;
		if (wrk_fresh_keep(t, c))
			return;
	} while (!wrk_conn_park(t->w, c, t->number));
}

/* Bytes that were read before. False: the connection is no longer ours. */
static bool serve_input(struct wrk_thread *t, struct wrk_conn *c, const char *bytes, size_t count)
{
	enum wrk_next next;

	note_taken(c);
	next = process(t, c, bytes, count);
	if (next == WRK_NEXT_PENDING)
		wrk_pump_take(t, c);
	return next != WRK_NEXT_GONE && next != WRK_NEXT_PENDING;
}

/* The reset of a connection that XDP took back: known by its ticket, without asking the socket. */
static bool is_recalled(struct wrk_thread *t, struct wrk_conn *c, uint32_t events)
{
	if (!(events & EPOLLHUP) || !c->ticket || c->phase != WRK_PHASE_HEAD)
		return false;
	switch (wrk_ticket_withdraw(t->w, c)) {
	case WRK_TICKET_TAKEN:
		weir_metrics_add(t->w->setup->metrics, recalled, 1);
		wrk_conn_free(&t->w->base->table, c);
		return true;
	case WRK_TICKET_COUNTED:
		c->is_counted = true;
		break;
	case WRK_TICKET_NONE:
		break;
	}
	return false;
}

void wrk_serve(struct wrk_thread *t, struct wrk_conn *c, uint32_t events)
{
	if (is_recalled(t, c, events))
		return;
	t->saw_end = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
	if (c->has_input) {
		c->has_input = false;
		if (!serve_input(t, c, wrk_conn_slot(&t->w->base->table, c), c->in_bytes))
			return;
	}
	/* After an end of stream no further event comes: it must be read now. */
	serve_on(t, c, t->saw_end);
}

void wrk_serve_received(struct wrk_thread *t, struct wrk_conn *c, size_t count)
{
	t->saw_end = false;
	if (count == 0 || serve_input(t, c, t->in, count))
		serve_on(t, c, false);
}
