/* SPDX-License-Identifier: GPL-2.0 */
/* The ends of a connection, and its way back to the epoll set. An idle one is closed only after its offer to XDP was
 * withdrawn, see ticket.c. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/clock.h"

void wrk_conn_close(struct wrk_worker *w, struct wrk_conn *c)
{
	wrk_queue_leave(w, c);
	weir_metrics_add(w->setup->metrics, closed, 1);
	wrk_conn_free(&w->base->table, c);
}

void wrk_conn_reset(struct wrk_worker *w, struct wrk_conn *c)
{
	const struct linger now = { .l_onoff = 1 };

	(void)setsockopt(wrk_conn_fd(&w->base->table, c), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	wrk_conn_close(w, c);
}

enum wrk_next wrk_conn_retire(struct wrk_worker *w, struct wrk_conn *c)
{
	switch (wrk_ticket_withdraw(w, c)) {
	case WRK_TICKET_TAKEN:
		c->phase = WRK_PHASE_TAKEN;
		__atomic_store_n(&c->deadline_ms, weir_now_ms() + WRK_TAKEN_MS, __ATOMIC_RELAXED);
		return WRK_NEXT_IDLE;
	case WRK_TICKET_COUNTED: /* a request has just been passed up: it is served */
		c->is_counted = true;
		__atomic_store_n(&c->deadline_ms, weir_now_ms() + w->setup->pool->header_ms, __ATOMIC_RELAXED);
		return WRK_NEXT_IDLE;
	case WRK_TICKET_NONE:
		break;
	}
	wrk_conn_close(w, c);
	return WRK_NEXT_GONE;
}

enum wrk_next wrk_conn_linger(struct wrk_worker *w, struct wrk_conn *c)
{
	if (shutdown(wrk_conn_fd(&w->base->table, c), SHUT_WR) < 0) {
		wrk_conn_close(w, c);
		return WRK_NEXT_GONE;
	}
	wrk_queue_leave(w, c);
	c->phase = WRK_PHASE_LINGER;
	c->in_bytes = 0;
	c->has_input = false;
	__atomic_store_n(&c->step, WRK_STEP_NONE, __ATOMIC_RELEASE);
	__atomic_store_n(&c->deadline_ms, weir_now_ms() + WRK_LINGER_MS, __ATOMIC_RELAXED);
	return WRK_NEXT_IDLE;
}

enum wrk_next wrk_conn_lost(struct wrk_worker *w, struct wrk_conn *c, int error)
{
	bool was_taken = c->phase == WRK_PHASE_TAKEN ||
			 (error == ECONNRESET && wrk_ticket_withdraw(w, c) == WRK_TICKET_TAKEN);

	if (!was_taken) {
		/* inside a request head, or a body */
		if (c->is_partial || c->phase == WRK_PHASE_BODY)
			wrk_log_conn(w, c, WEIR_LOG_REASON_CLIENT_RESET);
		wrk_conn_close(w, c);
		return WRK_NEXT_GONE;
	}
	weir_metrics_add(w->setup->metrics, recalled, 1);
	wrk_conn_free(&w->base->table, c);
	return WRK_NEXT_GONE;
}

/* EPOLLOUT reports at once: for input that waits here and not in the socket. */
static int control(struct wrk_worker *w, int op, int fd, bool has_input)
{
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET | (has_input ? EPOLLOUT : 0u),
		.data.u64 = wrk_event_tag(WRK_SOURCE_CONN, (uint32_t)fd),
	};

	return epoll_ctl(w->base->epoll_fd, op, fd, &e);
}

bool wrk_conn_park(struct wrk_worker *w, struct wrk_conn *c, unsigned thread)
{
	if (!c->in_epoll) {
		c->in_epoll = true;
		/* Reports at once what has come since the last read; then another thread marks the entry. */
		if (control(w, EPOLL_CTL_ADD, wrk_conn_fd(&w->base->table, c), false) < 0) {
			wrk_conn_close(w, c);
			return true;
		}
	}
	return wrk_conn_release(c, thread);
}

void wrk_conn_give_back(struct wrk_worker *w, struct wrk_conn *c, unsigned thread)
{
	int fd = wrk_conn_fd(&w->base->table, c);

	/* What comes in between marks the entry, and is asked for again. */
	do {
		if ((c->in_epoll || control(w, EPOLL_CTL_ADD, fd, c->has_input) < 0) &&
		    control(w, EPOLL_CTL_MOD, fd, c->has_input) < 0) {
			wrk_conn_close(w, c);
			return;
		}
		c->in_epoll = true;
	} while (!wrk_conn_release(c, thread));
}
