/* SPDX-License-Identifier: GPL-2.0 */
/* Connections that have just been offered to XDP. Most of them are taken back by the client's next request, so a thread
 * keeps them for a moment, looks at their tickets whenever it looks for work, and puts only those that are still its own
 * into the epoll set: one that is taken back then costs neither an epoll entry nor a wake-up. They stay in flight by this
 * thread meanwhile. Only for handlers that do not block: nobody else can look at them. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

bool wrk_fresh_keep(struct wrk_thread *t, struct wrk_conn *c)
{
	struct wrk_worker *w = t->w;

	if (c->in_epoll || !c->ticket || c->phase != WRK_PHASE_HEAD || c->in_bytes > 0 || c->has_input ||
	    w->setup->pool->handler != WEIR_HANDLER_STATIC || t->fresh_count == WRK_FRESH_MAX ||
	    __atomic_load_n(&w->is_draining, __ATOMIC_RELAXED))
		return false;
	/* release: whoever finds this after a crash sees everything that was sent counted */
	__atomic_store_n(&c->step, WRK_STEP_NONE, __ATOMIC_RELEASE);
	t->fresh[t->fresh_count] = c;
	t->fresh_ns[t->fresh_count] = now_ns();
	t->fresh_count++;
	return true;
}

/* The socket of a connection that XDP has: gone once the reset has come. Until then a close would send a FIN. */
static bool is_reset(struct wrk_thread *t, struct wrk_conn *c)
{
	char byte;

	return recv(wrk_conn_fd(&t->w->base->table, c), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == ECONNRESET;
}

/* True: it is settled, and no longer in the list. */
static bool settle(struct wrk_thread *t, struct wrk_conn *c, bool is_due)
{
	switch (wrk_ticket_peek(t->w, c)) {
	case WRK_TICKET_TAKEN:
		if (!is_reset(t, c))
			break;
		(void)wrk_ticket_withdraw(t->w, c);
		weir_metrics_add(t->w->setup->metrics, recalled, 1);
		wrk_conn_free(&t->w->base->table, c);
		return true;
	case WRK_TICKET_COUNTED: /* the next request is there, or will be at once */
		wrk_serve(t, c, 0);
		return true;
	case WRK_TICKET_NONE:
		break;
	}
	if (!is_due)
		return false;
	if (!wrk_conn_park(t->w, c, t->number))
		wrk_serve(t, c, 0);
	return true;
}

void wrk_fresh_look(struct wrk_thread *t, bool is_end)
{
	uint64_t now = now_ns();
	unsigned count = t->fresh_count, i;

	/* Those that are served here may be kept again: behind the ones that are looked at now. */
	for (i = 0; i < count; i++) {
		struct wrk_conn *c = t->fresh[i];
		uint64_t since = t->fresh_ns[i];

		if (settle(t, c, is_end || now - since > WRK_FRESH_NS))
			t->fresh[i] = NULL;
	}
	for (i = count = 0; i < t->fresh_count; i++) {
		if (!t->fresh[i])
			continue;
		t->fresh[count] = t->fresh[i];
		t->fresh_ns[count++] = t->fresh_ns[i];
	}
	t->fresh_count = count;
}
