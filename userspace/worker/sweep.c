/* SPDX-License-Identifier: GPL-2.0 */
/* Deadlines: the worker's main thread walks the table now and then and ends what has waited too long. It takes a
 * connection as a serving thread would, but never reads from it; only at the end of a drain it serves, what came
 * while every other thread was ending. */
#include "worker/wrk_priv.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/macro.h"

#define SWEEPER (WRK_THREADS_MAX + 1) /* as the index of a thread */
#define TRIES 50
#define TRY_MS 20

static unsigned sweeper(const struct wrk_worker *w)
{
	return wrk_thread_number(w->base, SWEEPER);
}

static void end(struct wrk_worker *w, struct wrk_conn *c)
{
	if (c->phase != WRK_PHASE_HEAD)
		wrk_conn_close(w, c);
	else if (wrk_conn_retire(w, c) == WRK_NEXT_IDLE)
		wrk_conn_give_back(w, c, sweeper(w));
}

static void end_expired(struct wrk_worker *w, struct wrk_conn *c, uint64_t now)
{
	if (!wrk_conn_claim(c, sweeper(w)))
		return;
	if (c->deadline_ms > now || c->has_input) {
		wrk_conn_give_back(w, c, sweeper(w));
		return;
	}
	if (c->phase == WRK_PHASE_BODY)
		wrk_limit_note(w, WRK_LIMIT_ENTITY_BODY);
	else if (c->phase == WRK_PHASE_HEAD)
		wrk_limit_note(w, c->is_partial ? WRK_LIMIT_HEADER_WAIT : WRK_LIMIT_CONNECTION_IDLE);
	end(w, c);
}

/* A thread that blocks cannot be interrupted: its client is let go, and what it will send goes nowhere. */
static void expire_request(struct wrk_worker *w, struct wrk_conn *c, uint32_t state, uint64_t before)
{
	if (__atomic_load_n(&c->step, __ATOMIC_ACQUIRE) == WRK_STEP_NONE ||
	    __atomic_load_n(&c->since_ms, __ATOMIC_RELAXED) > before ||
	    __atomic_load_n(&c->is_expired, __ATOMIC_RELAXED) || !wrk_conn_hold(c, state))
		return;
	/* now the descriptor stays what it is; the request may be a new one */
	if (__atomic_load_n(&c->step, __ATOMIC_ACQUIRE) != WRK_STEP_NONE &&
	    __atomic_load_n(&c->since_ms, __ATOMIC_RELAXED) <= before) {
		__atomic_store_n(&c->is_expired, true, __ATOMIC_RELAXED);
		(void)shutdown(wrk_conn_fd(&w->base->table, c), SHUT_RDWR);
		wrk_limit_note(w, WRK_LIMIT_REQUEST);
	}
	wrk_conn_unhold(c);
}

void wrk_sweep(struct wrk_worker *w)
{
	const struct wrk_table *t = &w->base->table;
	uint32_t fd, highest = __atomic_load_n(t->highest, __ATOMIC_RELAXED);
	unsigned first = wrk_thread_number(w->base, 0), request_ms = w->setup->pool->request_ms;
	uint64_t now = weir_now_ms();

	for (fd = 0; fd <= highest; fd++) {
		struct wrk_conn *c = &t->conns[fd];
		uint32_t state = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);

		/* a look without ownership, only to leave most alone */
		if (state == WRK_IDLE && __atomic_load_n(&c->deadline_ms, __ATOMIC_RELAXED) <= now)
			end_expired(w, c, now);
		else if (request_ms > 0 && now > request_ms &&
			 ((state & 0x7f) == WRK_FLIGHT || (state & 0x7f) == WRK_FLIGHT_AGAIN) && state >> 8 >= first &&
			 state >> 8 < first + WRK_THREADS_MAX)
			expire_request(w, c, state, now - request_ms);
	}
}

/* Whether the socket has something to read, be it its end. */
static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* Returns how many are left: those that XDP has, and those in which a request waits. */
static unsigned end_all(struct wrk_worker *w, bool is_final)
{
	const struct wrk_table *t = &w->base->table;
	uint32_t fd, highest = __atomic_load_n(t->highest, __ATOMIC_RELAXED);
	unsigned left = 0;

	for (fd = 0; fd <= highest; fd++) {
		struct wrk_conn *c = &t->conns[fd];
		bool is_taken, waits;

		if (!wrk_conn_claim(c, sweeper(w)))
			continue;
		is_taken = c->phase == WRK_PHASE_TAKEN;
		waits = c->phase == WRK_PHASE_HEAD && (c->has_input || c->is_counted || is_readable((int)fd));
		if (!is_final && is_taken && is_readable((int)fd)) {
			(void)wrk_conn_lost(w, c, 0);
		} else if (!is_final && (is_taken || waits)) {
			wrk_conn_give_back(w, c, sweeper(w));
			left++;
		} else {
			end(w, c);
			left += __atomic_load_n(&c->state, __ATOMIC_RELAXED) != WRK_FREE;
		}
	}
	return left;
}

void wrk_sweep_all(struct wrk_worker *w)
{
	_cleanup_free_ struct wrk_thread *t = calloc(1, sizeof(*t));
	int tries = TRIES;

	if (t) {
		t->w = w;
		t->number = sweeper(w);
	}
	while (end_all(w, tries == 0) > 0 && tries-- > 0) {
		(void)poll(NULL, 0, tries == TRIES - 1 ? 1 : TRY_MS);
		if (t)
			wrk_serve_rest(t);
	}
	if (t && w->module)
		weir_module_thread_fini(w->module, &t->module);
}
