/* SPDX-License-Identifier: GPL-2.0 */
/* The ends of a connection, and its tickets. Whoever deletes the ticket has the connection (weir/flow.h): before we
 * close an idle one we delete its ticket, and if it is gone already, XDP owns the connection, and a FIN of ours
 * would be the second voice in one stream. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/bpf_map.h"
#include "common/clock.h"

bool wrk_conn_drop_ticket(struct wrk_worker *w, struct wrk_conn *c)
{
	bool had = c->has_ticket;

	c->has_ticket = c->is_offered = false;
	return !had || weir_bpf_map_delete(w->setup->tickets_fd, &c->key) != -ENOENT;
}

void wrk_conn_offer(struct wrk_worker *w, struct wrk_conn *c, uint64_t bytes)
{
	struct weir_ticket ticket = { .consumed = c->consumed, .sent = c->sent + (uint32_t)bytes };

	if (w->setup->tickets_fd < 0)
		return;
	c->has_ticket = true;
	c->is_offered = weir_bpf_map_update(w->setup->tickets_fd, &c->key, &ticket) == 0;
	if (c->is_offered)
		weir_metrics_add(w->setup->metrics, tickets, 1);
}

void wrk_conn_close(struct wrk_worker *w, struct wrk_conn *c)
{
	(void)wrk_conn_drop_ticket(w, c);
	weir_metrics_add(w->setup->metrics, closed, 1);
	wrk_conn_free(&w->base->table, c);
}

enum wrk_next wrk_conn_retire(struct wrk_worker *w, struct wrk_conn *c)
{
	bool was_offered = c->is_offered;

	if (wrk_conn_drop_ticket(w, c) || !was_offered) {
		wrk_conn_close(w, c);
		return WRK_NEXT_GONE;
	}
	c->phase = WRK_PHASE_TAKEN;
	c->deadline_ms = weir_now_ms() + WRK_TAKEN_MS;
	return WRK_NEXT_IDLE;
}

enum wrk_next wrk_conn_linger(struct wrk_worker *w, struct wrk_conn *c)
{
	if (shutdown(wrk_conn_fd(&w->base->table, c), SHUT_WR) < 0) {
		wrk_conn_close(w, c);
		return WRK_NEXT_GONE;
	}
	(void)wrk_conn_drop_ticket(w, c);
	c->phase = WRK_PHASE_LINGER;
	c->in_bytes = 0;
	c->step = WRK_STEP_NONE;
	c->deadline_ms = weir_now_ms() + WRK_LINGER_MS;
	return WRK_NEXT_IDLE;
}

enum wrk_next wrk_conn_lost(struct wrk_worker *w, struct wrk_conn *c, int error)
{
	bool was_taken = c->phase == WRK_PHASE_TAKEN ||
			 (error == ECONNRESET && c->is_offered && !wrk_conn_drop_ticket(w, c));

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
