/* SPDX-License-Identifier: GPL-2.0 */
/* The end of a slot whose pool goes on in another one, or is no more (a supervisor with a changed configuration): its
 * connections are not closed but passed to other workers. Main thread; the serving threads have
 * ended, but for those that go on with exchanges of the relay. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/macro.h"

#define MOVE_MAX_MS 5000 /* for what cannot be passed on before it is done */
#define ROUND_MS 5
#define MOVER (WRK_THREADS_MAX + 3) /* as the index of a thread */

/* The sources are the new workers' alone: what is passed must not come back. */
static void leave_sources(struct wrk_worker *w)
{
	size_t i;

	(void)epoll_ctl(w->base->epoll_fd, EPOLL_CTL_DEL, w->setup->pass_rx, NULL);
	for (i = 0; i < w->setup->listeners_count; i++)
		(void)epoll_ctl(w->base->epoll_fd, EPOLL_CTL_DEL, w->setup->listeners[i].fd, NULL);
}

/* What waits in the listening sockets. */
static void move_new(struct wrk_worker *w, int to)
{
	const struct wrk_setup *s = w->setup;
	size_t i;
	int fd;

	for (i = 0; i < s->listeners_count; i++) {
		while ((fd = accept4(s->listeners[i].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
			while (wrk_pass_new(to, fd, s->listeners[i].endpoint) == -EAGAIN)
				(void)poll(NULL, 0, 1);
			close(fd);
		}
	}
}

/* A connection that waits for a request, or has a part of one. True: it has left, or ends by itself. */
static bool move(struct wrk_thread *t, struct wrk_conn *c)
{
	struct wrk_worker *w = t->w;
	struct weir_str rest = { wrk_conn_slot(&w->base->table, c), c->in_bytes };

	if (wrk_ticket_withdraw(w, c) == WRK_TICKET_TAKEN) {
		c->phase = WRK_PHASE_TAKEN;
		__atomic_store_n(&c->deadline_ms, weir_now_ms() + WRK_TAKEN_MS, __ATOMIC_RELAXED);
		return false;
	}
	return wrk_pass_on(t, c, w->move_to, rest) == 0;
}

/* What the epoll set reports: a connection in which a request waits goes unread, so that a busy client cannot keep this
 * one thread serving; only what is under way (a body, an end) is finished here. */
static void take_events(struct wrk_thread *t)
{
	struct wrk_worker *w = t->w;
	struct epoll_event events[64];
	int i, n = epoll_wait(w->base->epoll_fd, events, ARRAY_SIZE(events), 0);

	for (i = 0; i < n; i++) {
		struct wrk_conn *c = &w->base->table.conns[(uint32_t)events[i].data.u64];

		if (events[i].data.u64 >> 32 != WRK_SOURCE_CONN) {
			wrk_dispatch(t, events[i].data.u64, events[i].events);
			continue;
		}
		if (!wrk_conn_claim(c, t->number))
			continue;
		if (c->phase != WRK_PHASE_HEAD)
			wrk_serve(t, c, events[i].events);
		else if (!move(t, c))
			wrk_conn_give_back(w, c, t->number);
	}
}

/* Returns how many are left. */
static unsigned move_idle(struct wrk_thread *t)
{
	struct wrk_worker *w = t->w;
	const struct wrk_table *table = &w->base->table;
	uint32_t fd, highest = __atomic_load_n(table->highest, __ATOMIC_RELAXED);
	unsigned left = 0;

	for (fd = 0; fd <= highest; fd++) {
		struct wrk_conn *c = &table->conns[fd];

		if (!wrk_conn_claim(c, t->number)) {
			left += __atomic_load_n(&c->state, __ATOMIC_RELAXED) != WRK_FREE;
			continue;
		}
		if (c->phase == WRK_PHASE_HEAD && move(t, c))
			continue;
		wrk_conn_give_back(w, c, t->number);
		left++;
	}
	return left;
}

void wrk_move_all(struct wrk_worker *w)
{
	_cleanup_free_ struct wrk_thread *t = calloc(1, sizeof(*t));
	uint64_t start = weir_now_ms(), now = start;
	int to = __atomic_load_n(&w->setup->pass_tx[w->move_to], __ATOMIC_ACQUIRE);
	unsigned left = 1;

	if (!t || to < 0)
		return;
	t->w = w;
	t->number = wrk_thread_number(w->base, MOVER);
	leave_sources(w);
	/* For a while something may still be handed to the old listening sockets. */
	while (now - start < WRK_BACKLOG_MS || (left && now - start < MOVE_MAX_MS)) {
		move_new(w, to);
		take_events(t);
		wrk_relay_sweep(w, now);
		left = move_idle(t);
		(void)poll(NULL, 0, ROUND_MS);
		now = weir_now_ms();
	}
	if (w->module)
		weir_module_thread_fini(w->module, &t->module);
}
