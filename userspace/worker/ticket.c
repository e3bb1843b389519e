/* SPDX-License-Identifier: GPL-2.0 */
/* The pool's ticket table and request queue, shared with the BPF programs (weir/flow.h, weir/pool.h). Whoever moves a
 * ticket away from OFFERED has the connection: before we close an idle one we withdraw the offer, and if it was taken,
 * XDP owns the connection, and a FIN of ours would be the second voice in one stream. */
#include "worker/wrk_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"

static int map_shared(int fd, size_t bytes, void **ret)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

int wrk_tickets_init(struct wrk_worker *w)
{
	void *p = NULL;
	int r;

	if (w->setup->tickets_fd >= 0) {
		r = map_shared(w->setup->tickets_fd, WEIR_TICKETS * sizeof(struct weir_ticket), &p);
		if (r < 0)
			return r;
		w->tickets = p;
		/* not the generations of a worker that died: 24 bits that differ from its last ones */
		w->ticket_generation = (uint32_t)(weir_now_ms() * 4099);
	}
	if (w->setup->queue_fd >= 0) {
		r = map_shared(w->setup->queue_fd, (size_t)sysconf(_SC_PAGESIZE), &p);
		if (r < 0)
			return r;
		w->queue = p;
	}
	return 0;
}

static struct weir_ticket *slot_of(const struct wrk_worker *w, const struct wrk_conn *c)
{
	return &w->tickets[weir_ticket_index(&c->key)];
}

static bool is_ours(const struct weir_ticket *t, const struct wrk_conn *c)
{
	return memcmp(&t->key, &c->key, sizeof(c->key)) == 0;
}

void wrk_ticket_offer(struct wrk_worker *w, struct wrk_conn *c, uint64_t bytes)
{
	struct weir_ticket *t;
	uint32_t old, generation;

	if (!w->tickets)
		return;
	t = slot_of(w, c);
	old = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
	c->ticket = 0;
	if ((old & 0xff) == WEIR_TICKET_WRITING)
		return;
	if (((old & 0xff) == WEIR_TICKET_TAKEN || (old & 0xff) == WEIR_TICKET_COUNTED) && !is_ours(t, c))
		return; /* another connection's worker has not seen it yet */
	generation = __atomic_add_fetch(&w->ticket_generation, 1, __ATOMIC_RELAXED) << 8;
	if (!__atomic_compare_exchange_n(&t->state, &old, generation | WEIR_TICKET_WRITING, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return;
	t->consumed = c->consumed;
	t->sent = c->sent + (uint32_t)bytes;
	t->key = c->key;
	c->ticket = generation | WEIR_TICKET_OFFERED;
	/* release: pairs with the compare-and-swap of the programs (weir_ticket_move()) */
	__atomic_store_n(&t->state, c->ticket, __ATOMIC_RELEASE);
	weir_metrics_add(w->setup->metrics, tickets, 1);
}

enum wrk_ticket wrk_ticket_withdraw(struct wrk_worker *w, struct wrk_conn *c)
{
	uint32_t word = c->ticket, now = c->ticket;
	struct weir_ticket *t;

	if (!w->tickets || !word)
		return WRK_TICKET_NONE;
	c->ticket = 0;
	t = slot_of(w, c);
	if (__atomic_compare_exchange_n(&t->state, &now, WEIR_TICKET_EMPTY, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return WRK_TICKET_NONE;
	if (now >> 8 != word >> 8) /* overwritten: by a successor with our addresses only after it was taken */
		return is_ours(t, c) ? WRK_TICKET_TAKEN : WRK_TICKET_NONE;
	__atomic_store_n(&t->state, WEIR_TICKET_EMPTY, __ATOMIC_RELEASE);
	return (now & 0xff) == WEIR_TICKET_TAKEN   ? WRK_TICKET_TAKEN :
	       (now & 0xff) == WEIR_TICKET_COUNTED ? WRK_TICKET_COUNTED :
						     WRK_TICKET_NONE;
}

enum wrk_ticket wrk_ticket_peek(const struct wrk_worker *w, const struct wrk_conn *c)
{
	const struct weir_ticket *t;
	uint32_t now;

	if (!w->tickets || !c->ticket)
		return WRK_TICKET_NONE;
	t = slot_of(w, c);
	now = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
	if (now == c->ticket)
		return WRK_TICKET_NONE;
	if (now >> 8 != c->ticket >> 8)
		return is_ours(t, c) ? WRK_TICKET_TAKEN : WRK_TICKET_NONE;
	return (now & 0xff) == WEIR_TICKET_TAKEN   ? WRK_TICKET_TAKEN :
	       (now & 0xff) == WEIR_TICKET_COUNTED ? WRK_TICKET_COUNTED :
						     WRK_TICKET_NONE;
}

void wrk_queue_leave(struct wrk_worker *w, struct wrk_conn *c)
{
	bool was_counted = c->is_counted;

	c->is_counted = false;
	if (wrk_ticket_withdraw(w, c) == WRK_TICKET_COUNTED)
		was_counted = true;
	if (was_counted && w->queue)
		__atomic_add_fetch(&w->queue->taken, 1, __ATOMIC_RELAXED);
}
