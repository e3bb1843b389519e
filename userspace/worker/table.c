/* SPDX-License-Identifier: GPL-2.0 */
/* The connection table, in memory that keeper and workers share, so that the next worker finds what the last one
 * had. Indexed by descriptor; each entry changes hands by compare-and-swap of its state. */
#include "worker/wrk_priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/macro.h"

#define STATE_MASK 0xff

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
	size_t bytes = 64 + (size_t)t->cap * sizeof(*t->conns);
	char *shared = map_shared(bytes);

	if (shared == MAP_FAILED)
		return -errno;
	t->slots = map_shared((size_t)t->cap * WRK_IN_BYTES);
	if (t->slots == MAP_FAILED) {
		int error = -errno;

		munmap(shared, bytes);
		return error;
	}
	t->highest = (uint32_t *)shared;
	t->conns = (struct wrk_conn *)(shared + 64);
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

struct wrk_conn *wrk_conn_open(const struct wrk_table *t, int fd, unsigned thread)
{
	uint32_t highest = __atomic_load_n(t->highest, __ATOMIC_RELAXED);
	struct wrk_conn *c;

	if (fd < 0 || (uint32_t)fd >= t->cap)
		return NULL;
	while ((uint32_t)fd > highest &&
	       !__atomic_compare_exchange_n(t->highest, &highest, (uint32_t)fd, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
	c = &t->conns[fd];
	assert(c->state == WRK_FREE);
	memset((char *)c + sizeof(c->state), 0, sizeof(*c) - sizeof(c->state));
	/* release: whoever sees it in use sees it empty */
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
			new = state_of(WRK_FLIGHT_AGAIN, old >> 8);
		else
			return false;
		/* acquire: pairs with the release in wrk_conn_release() */
	} while (!__atomic_compare_exchange_n(&c->state, &old, new, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return is_mine;
}

bool wrk_conn_release(struct wrk_conn *c, unsigned thread)
{
	uint32_t old = state_of(WRK_FLIGHT, thread);

	/* release: pairs with the acquire in wrk_conn_claim() */
	if (__atomic_compare_exchange_n(&c->state, &old, WRK_IDLE, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return true;
	assert(old == state_of(WRK_FLIGHT_AGAIN, thread));
	__atomic_store_n(&c->state, state_of(WRK_FLIGHT, thread), __ATOMIC_RELAXED);
	return false;
}

void wrk_conn_free(const struct wrk_table *t, struct wrk_conn *c)
{
	int fd = wrk_conn_fd(t, c);

	if (c->was_used)
		(void)madvise(wrk_conn_slot(t, c), WRK_IN_BYTES, MADV_REMOVE);
	/* release: the next owner of the number starts from an entry that nobody writes any more */
	__atomic_store_n(&c->state, WRK_FREE, __ATOMIC_RELEASE);
	close(fd);
}
