/* SPDX-License-Identifier: GPL-2.0 */
/* The ends of a connection. An idle one is closed only after its offer to XDP was withdrawn, see ticket.c. */
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

enum wrk_next wrk_conn_retire(struct wrk_worker *w, struct wrk_conn *c)
{
	switch (wrk_ticket_withdraw(w, c)) {
	case WRK_TICKET_TAKEN:
		c->phase = WRK_PHASE_TAKEN;
		c->deadline_ms = weir_now_ms() + WRK_TAKEN_MS;
		return WRK_NEXT_IDLE;
	case WRK_TICKET_COUNTED: /* a request has just been passed up: it is served */
		c->is_counted = true;
		c->deadline_ms = weir_now_ms() + w->setup->pool->header_ms;
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
	c->step = WRK_STEP_NONE;
	c->deadline_ms = weir_now_ms() + WRK_LINGER_MS;
	return WRK_NEXT_IDLE;
}

enum wrk_next wrk_conn_lost(struct wrk_worker *w, struct wrk_conn *c, int error)
{
	bool was_taken = c->phase == WRK_PHASE_TAKEN ||
			 (error == ECONNRESET && wrk_ticket_withdraw(w, c) == WRK_TICKET_TAKEN);

	if (!was_taken) {
		wrk_conn_close(w, c);
		return WRK_NEXT_GONE;
	}
	weir_metrics_add(w->setup->metrics, recalled, 1);
	wrk_conn_free(&w->base->table, c);
	return WRK_NEXT_GONE;
}

bool wrk_conn_park(struct wrk_worker *w, struct wrk_conn *c, unsigned thread)
{
	int fd = wrk_conn_fd(&w->base->table, c);
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
		.data.u64 = wrk_event_tag(WRK_SOURCE_CONN, (uint32_t)fd),
	};

	if (!c->in_epoll) {
		c->in_epoll = true;
		/* Reports at once what has come since the last read; then another thread marks the entry. */
		if (epoll_ctl(w->base->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) {
			wrk_conn_close(w, c);
			return true;
		}
	}
	return wrk_conn_release(c, thread);
}
