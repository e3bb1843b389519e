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

#define SPINS 1000 /* much longer than a ticket takes to write */

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

static struct weir_ticket *bucket_of(const struct wrk_worker *w, const struct wrk_conn *c)
{
	return &w->tickets[weir_ticket_bucket(&c->key) * WEIR_TICKET_WAYS];
}

static bool is_ours(const struct weir_ticket *t, const struct wrk_conn *c)
{
	return memcmp(&t->key, &c->key, sizeof(c->key)) == 0;
}

/* Where to write an offer: over an older one of these addresses, be it another connection's by now dead, so that a key
 * is never in two ways; else an empty way; else, `first` before others, one whose offer is open. NULL: none is free.
 * The keys are read while others may write them: with the state that was read before (acquire, *ret_old) the slot can
 * be claimed only if it has not changed since. */
static struct weir_ticket *choose(const struct wrk_worker *w, const struct wrk_conn *c, unsigned first,
				  uint32_t *ret_old)
{
	struct weir_ticket *bucket = bucket_of(w, c), *best = NULL;
	bool is_best_empty = false;
	unsigned i;

	for (i = 0; i < WEIR_TICKET_WAYS; i++) {
		struct weir_ticket *t = &bucket[(first + i) % WEIR_TICKET_WAYS];
		uint32_t old = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);

		if ((old & 0xff) == WEIR_TICKET_WRITING)
			continue;
		if (is_ours(t, c)) {
			*ret_old = old;
			return t;
		}
		/* one that is TAKEN or COUNTED: its connection's worker has not seen it yet */
		if (is_best_empty ||
		    ((old & 0xff) != WEIR_TICKET_EMPTY && (best || (old & 0xff) != WEIR_TICKET_OFFERED)))
			continue;
		best = t;
		is_best_empty = (old & 0xff) == WEIR_TICKET_EMPTY;
		*ret_old = old;
	}
	return best;
}

void wrk_ticket_offer(struct wrk_worker *w, struct wrk_conn *c, uint64_t bytes)
{
	uint32_t old = 0, generation;
	struct weir_ticket *t;
	int tries;

	if (!w->tickets)
		return;
	c->ticket = 0;
	generation = __atomic_add_fetch(&w->ticket_generation, 1, __ATOMIC_RELAXED) << 8;
	/* Another thread may be as quick: then there are other ways. */
	for (tries = 0; tries < WEIR_TICKET_WAYS; tries++) {
		t = choose(w, c, generation >> 8, &old);
		if (!t)
			return;
		if (__atomic_compare_exchange_n(&t->state, &old, generation | WEIR_TICKET_WRITING, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			break;
	}
	if (tries == WEIR_TICKET_WAYS)
		return;
	t->consumed = c->consumed;
	t->sent = c->sent + (uint32_t)bytes;
	t->key = c->key;
	c->ticket_way = (uint8_t)(t - bucket_of(w, c));
	c->ticket = generation | WEIR_TICKET_OFFERED;
	/* release: pairs with the compare-and-swap of the programs (weir_ticket_move()) */
	__atomic_store_n(&t->state, c->ticket, __ATOMIC_RELEASE);
	weir_metrics_add(w->setup->metrics, tickets, 1);
}

/* What a state word `now` in our slot says about the offer `word`. */
static enum wrk_ticket read_state(const struct weir_ticket *t, const struct wrk_conn *c, uint32_t word, uint32_t now)
{
	int spins = SPINS;

	if (now >> 8 == word >> 8)
		return (now & 0xff) == WEIR_TICKET_TAKEN     ? WRK_TICKET_TAKEN
		       : (now & 0xff) == WEIR_TICKET_COUNTED ? WRK_TICKET_COUNTED
							     : WRK_TICKET_NONE;
	/* Overwritten: by a successor with our addresses only after ours was taken. The key tells once it is written;
	 * whoever writes it may be dead. */
	while ((now & 0xff) == WEIR_TICKET_WRITING && spins-- > 0)
		now = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
	return (now & 0xff) != WEIR_TICKET_WRITING && is_ours(t, c) ? WRK_TICKET_TAKEN : WRK_TICKET_NONE;
}

enum wrk_ticket wrk_ticket_withdraw(struct wrk_worker *w, struct wrk_conn *c)
{
	uint32_t word = c->ticket, now = c->ticket;
	enum wrk_ticket r;
	struct weir_ticket *t;

	if (!w->tickets || !word)
		return WRK_TICKET_NONE;
	c->ticket = 0;
	t = bucket_of(w, c) + c->ticket_way;
	if (__atomic_compare_exchange_n(&t->state, &now, WEIR_TICKET_EMPTY, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return WRK_TICKET_NONE;
	r = read_state(t, c, word, now);
	if (now >> 8 == word >> 8)
		__atomic_store_n(&t->state, WEIR_TICKET_EMPTY, __ATOMIC_RELEASE);
	return r;
}

enum wrk_ticket wrk_ticket_peek(const struct wrk_worker *w, const struct wrk_conn *c)
{
	const struct weir_ticket *t;
	uint32_t now;

	if (!w->tickets || !c->ticket)
		return WRK_TICKET_NONE;
	t = bucket_of(w, c) + c->ticket_way;
	now = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);
	return now == c->ticket ? WRK_TICKET_NONE : read_state(t, c, c->ticket, now);
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
