/* SPDX-License-Identifier: GPL-2.0 */
/* The connection table, in memory that keeper and workers share, so that the next worker finds what the last one
 * had. Indexed by descriptor; each entry changes hands by compare-and-swap of its state. Beside it: which workers
 * live, so that a connection in flight can be told from one whose owner is dead. */
#include "worker/wrk_priv.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/macro.h"

#define STATE_MASK 0x7fu

static uint32_t state_of(enum wrk_state s, unsigned thread)
{
	return (uint32_t)s | thread << 8;
}

/* Untouched pages cost nothing: the sizes only say what may be used. */
static void *map_shared(size_t bytes)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static int map_table(struct wrk_table *t)
{
	size_t bytes = sizeof(struct wrk_shared) + (size_t)t->cap * sizeof(*t->conns);
	char *shared = map_shared(bytes);

	if (shared == MAP_FAILED)
		return -errno;
	t->slots = map_shared((size_t)t->cap * WRK_IN_BYTES);
	if (t->slots == MAP_FAILED) {
		int error = -errno;

		munmap(shared, bytes);
		return error;
	}
	t->shared = (struct wrk_shared *)shared;
	t->highest = &t->shared->highest;
	t->conns = (struct wrk_conn *)(shared + sizeof(struct wrk_shared));
	return 0;
}

int wrk_table_new(struct wrk_table *ret)
{
	struct wrk_table t = { .cap = WRK_TABLE_MAX };
	struct rlimit limit;
	int r;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		t.cap = (uint32_t)MIN(limit.rlim_cur, (rlim_t)t.cap);
	/* A machine that accounts for every page that might be used gets a smaller table. */
	while ((r = map_table(&t)) == -ENOMEM && t.cap > 1024)
		t.cap /= 2;
	if (r == 0)
		*ret = t;
	return r;
}

struct wrk_conn *wrk_conn_open(const struct wrk_table *t, int fd, unsigned thread, const struct wrk_conn *born)
{
	static const struct wrk_conn empty;
	uint32_t highest = __atomic_load_n(t->highest, __ATOMIC_RELAXED), old = WRK_FREE;
	struct wrk_conn *c;

	if (fd < 0 || (uint32_t)fd >= t->cap) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	while ((uint32_t)fd > highest &&
	       !__atomic_compare_exchange_n(t->highest, &highest, (uint32_t)fd, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
	c = &t->conns[fd];
	/* acquire: pairs with the release in wrk_conn_free() */
	if (!__atomic_compare_exchange_n(&c->state, &old, state_of(WRK_OPENING, thread), false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return NULL;
	memcpy((char *)c + sizeof(c->state), (const char *)(born ?: &empty) + sizeof(c->state),
	       sizeof(*c) - sizeof(c->state));
	/* release: whoever sees it in use sees it filled */
	__atomic_store_n(&c->state, state_of(WRK_FLIGHT, thread), __ATOMIC_RELEASE);
	return c;
}

bool wrk_conn_claim(struct wrk_conn *c, unsigned thread)
{
	uint32_t old = __atomic_load_n(&c->state, __ATOMIC_RELAXED), new;
	bool is_mine;

	do {
		is_mine = (old & STATE_MASK) == WRK_IDLE;
		if (is_mine)
			new = state_of(WRK_FLIGHT, thread);
		else if ((old & STATE_MASK) == WRK_FLIGHT)
			new = (old & ~STATE_MASK) | WRK_FLIGHT_AGAIN;
		else
			return false;
		/* acquire: pairs with the release in wrk_conn_release() */
	} while (!__atomic_compare_exchange_n(&c->state, &old, new, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return is_mine;
}

/* Before an owner lets go: who holds the entry is about to be done. */
static uint32_t wait_unheld(struct wrk_conn *c, uint32_t state)
{
	while (state & WRK_HELD) {
		(void)sched_yield();
		state = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);
	}
	return state;
}

bool wrk_conn_release(struct wrk_conn *c, unsigned thread)
{
	const uint32_t mine = state_of(WRK_FLIGHT, thread), again = state_of(WRK_FLIGHT_AGAIN, thread);
	uint32_t old = mine;

	/* release: pairs with the acquire in wrk_conn_claim() */
	while (!__atomic_compare_exchange_n(&c->state, &old, old == again ? mine : (uint32_t)WRK_IDLE, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		old = wait_unheld(c, old);
		assert(old == mine || old == again);
	}
	return old == mine;
}

void wrk_conn_hand(struct wrk_conn *c, unsigned from, unsigned to)
{
	uint32_t old = __atomic_load_n(&c->state, __ATOMIC_RELAXED), new;

	do {
		old = wait_unheld(c, old);
		assert(old >> 8 == from);
		new = (old & STATE_MASK) | to << 8;
	} while (!__atomic_compare_exchange_n(&c->state, &old, new, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}

bool wrk_conn_hold(struct wrk_conn *c, uint32_t state)
{
	return !(state & WRK_HELD) && __atomic_compare_exchange_n(&c->state, &state, state | WRK_HELD, false,
								  __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void wrk_conn_unhold(struct wrk_conn *c)
{
	__atomic_fetch_and(&c->state, ~(uint32_t)WRK_HELD, __ATOMIC_RELEASE);
}

void wrk_conn_free(const struct wrk_table *t, struct wrk_conn *c)
{
	uint32_t old = __atomic_load_n(&c->state, __ATOMIC_RELAXED);
	int fd = wrk_conn_fd(t, c);

	if (c->was_used)
		(void)madvise(wrk_conn_slot(t, c), WRK_IN_BYTES, MADV_REMOVE);
	/* release: the next owner of the number starts from an entry that nobody writes any more */
	do {
		old = wait_unheld(c, old);
	} while (!__atomic_compare_exchange_n(&c->state, &old, WRK_FREE, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	close(fd);
}

static uint32_t name_of(uint32_t generation)
{
	return (generation & (WRK_GENERATIONS - 1)) + 1;
}

/* Takes a name out of the list. False: it was not in it. */
static bool strike(struct wrk_shared *s, uint32_t name)
{
	unsigned i;

	for (i = 0; i < WRK_LIVING_MAX; i++) {
		uint32_t old = name;

		if (__atomic_compare_exchange_n(&s->living[i], &old, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

int wrk_table_enter(const struct wrk_table *t, uint32_t generation, bool has_elder)
{
	struct wrk_shared *s = t->shared;
	unsigned i;

	for (i = 0; i < WRK_LIVING_MAX; i++) {
		uint32_t name = __atomic_load_n(&s->living[i], __ATOMIC_RELAXED);

		/* whoever starts alone follows the dead */
		if (name && (!has_elder || name == name_of(generation)))
			wrk_table_bury(t, name - 1);
	}
	for (i = 0; i < WRK_LIVING_MAX; i++) {
		uint32_t none = 0;

		/* release: before the first connection with this name in its state, see wrk_table_is_living() */
		if (__atomic_compare_exchange_n(&s->living[i], &none, name_of(generation), false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return 0;
	}
	return -EBUSY;
}

void wrk_table_leave(const struct wrk_table *t, uint32_t generation)
{
	(void)strike(t->shared, name_of(generation));
}

void wrk_table_disturb(const struct wrk_table *t)
{
	/* release: pairs with the acquire in wrk_recover() */
	__atomic_add_fetch(&t->shared->deaths, 1, __ATOMIC_RELEASE);
}

void wrk_table_bury(const struct wrk_table *t, uint32_t generation)
{
	if (strike(t->shared, name_of(generation)))
		wrk_table_disturb(t);
}

bool wrk_table_is_living(const struct wrk_table *t, uint32_t state)
{
	unsigned i;

	for (i = 0; i < WRK_LIVING_MAX; i++)
		if (__atomic_load_n(&t->shared->living[i], __ATOMIC_ACQUIRE) == wrk_state_generation(state) + 1)
			return true;
	return false;
}

bool wrk_table_has_others(const struct wrk_table *t, uint32_t generation)
{
	unsigned i;

	for (i = 0; i < WRK_LIVING_MAX; i++) {
		uint32_t name = __atomic_load_n(&t->shared->living[i], __ATOMIC_ACQUIRE);

		if (name && name != name_of(generation))
			return true;
	}
	return false;
}

static void make_printable(const char *what, char *ret)
{
	size_t i;

	for (i = 0; i < WRK_WHAT_BYTES - 1 && what[i]; i++)
		ret[i] = what[i] >= ' ' && what[i] < 0x7f ? what[i] : '?';
	ret[i] = '\0';
}

void wrk_table_in_flight(const struct wrk_table *t, uint32_t generation,
			 void (*found)(const struct wrk_in_flight *f, void *arg), void *arg)
{
	uint32_t fd, highest = __atomic_load_n(t->highest, __ATOMIC_RELAXED);

	for (fd = 0; fd <= highest && fd < t->cap; fd++) {
		const struct wrk_conn *c = &t->conns[fd];
		uint32_t state = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);
		struct wrk_in_flight f;

		if (((state & STATE_MASK) != WRK_FLIGHT && (state & STATE_MASK) != WRK_FLIGHT_AGAIN) ||
		    wrk_state_generation(state) != (generation & (WRK_GENERATIONS - 1)) ||
		    __atomic_load_n(&c->step, __ATOMIC_ACQUIRE) == WRK_STEP_NONE)
			continue;
		f.key = c->key;
		f.since_ms = __atomic_load_n(&c->since_ms, __ATOMIC_RELAXED);
		f.thread = state >> 8 & 0xfff;
		make_printable(c->what, f.what);
		found(&f, arg);
	}
}
