/* SPDX-License-Identifier: GPL-2.0 */
/* Deadlines: the worker's main thread walks the table now and then and ends what has waited too long. It takes a
 * connection as a serving thread would, but never reads from it. */
#include "worker/wrk_priv.h"

#include <poll.h>
#include <sys/epoll.h>

#include "common/clock.h"

#define SWEEPER (WRK_THREADS_MAX + 1) /* as a thread number */

/* An event that came while the sweeper had the connection would be lost: ask for it once more. */
static void give_back(struct wrk_worker *w, struct wrk_conn *c)
{
	int fd = wrk_conn_fd(&w->base->table, c);
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
		.data.u64 = wrk_event_tag(WRK_SOURCE_CONN, (uint32_t)fd),
	};

	while (!wrk_conn_release(c, SWEEPER))
		if (epoll_ctl(w->base->epoll_fd, EPOLL_CTL_MOD, fd, &e) < 0)
			break;
}

static void end(struct wrk_worker *w, struct wrk_conn *c)
{
	if (c->phase != WRK_PHASE_HEAD)
		wrk_conn_close(w, c);
	else if (wrk_conn_retire(w, c) == WRK_NEXT_IDLE)
		give_back(w, c);
}

void wrk_sweep(struct wrk_worker *w)
{
	const struct wrk_table *t = &w->base->table;
	uint32_t fd, highest = __atomic_load_n(t->highest, __ATOMIC_RELAXED);
	uint64_t now = weir_now_ms();

	for (fd = 0; fd <= highest; fd++) {
		struct wrk_conn *c = &t->conns[fd];

		/* a look without ownership, only to leave most alone */
		if (__atomic_load_n(&c->state, __ATOMIC_ACQUIRE) != WRK_IDLE ||
		    __atomic_load_n(&c->deadline_ms, __ATOMIC_RELAXED) > now)
			continue;
		if (!wrk_conn_claim(c, SWEEPER))
			continue;
		if (c->deadline_ms > now) {
			give_back(w, c);
			continue;
		}
		if (c->phase == WRK_PHASE_HEAD || c->phase == WRK_PHASE_BODY)
			weir_metrics_add(w->setup->metrics, timeouts, 1);
		end(w, c);
	}
}

/* Returns how many are left: those that XDP has. */
static unsigned end_all(struct wrk_worker *w, bool is_final)
{
	const struct wrk_table *t = &w->base->table;
	uint32_t fd, highest = __atomic_load_n(t->highest, __ATOMIC_RELAXED);
	unsigned left = 0;

	for (fd = 0; fd <= highest; fd++) {
		struct wrk_conn *c = &t->conns[fd];
		struct pollfd p = { .fd = (int)fd, .events = POLLIN };

		if (!wrk_conn_claim(c, SWEEPER))
			continue;
		if (c->phase == WRK_PHASE_TAKEN && !is_final && poll(&p, 1, 0) == 0) {
			give_back(w, c);
			left++;
			continue;
		}
		if (c->phase == WRK_PHASE_TAKEN && !is_final) {
			(void)wrk_conn_lost(w, c, 0);
			continue;
		}
		end(w, c);
		left += __atomic_load_n(&c->state, __ATOMIC_RELAXED) != WRK_FREE;
	}
	return left;
}

void wrk_sweep_all(struct wrk_worker *w)
{
	int tries = 50;

	while (end_all(w, tries == 0) > 0 && tries-- > 0)
		(void)poll(NULL, 0, 20);
}
