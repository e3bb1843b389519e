/* SPDX-License-Identifier: GPL-2.0 */
/* The connection table: one owner at a time, and no event lost between two of them. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "worker/wrk_priv.h"

static struct wrk_table table;

static int some_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	return fd;
}

static void init(void)
{
	cr_assert_eq(wrk_table_new(&table), 0);
}

TestSuite(table, .init = init, .timeout = 30);

Test(table, idle_connection_has_one_taker)
{
	struct wrk_conn *c = wrk_conn_open(&table, some_fd(), 1, NULL);

	cr_assert(wrk_conn_release(c, 1));
	cr_assert(wrk_conn_claim(c, 2));
	cr_assert_not(wrk_conn_claim(c, 3));
	wrk_conn_free(&table, c);
}

Test(table, event_in_flight_makes_the_owner_look_again)
{
	struct wrk_conn *c = wrk_conn_open(&table, some_fd(), 1, NULL);

	cr_assert_not(wrk_conn_claim(c, 2));
	cr_assert_not(wrk_conn_claim(c, 3));
	cr_assert_not(wrk_conn_release(c, 1));
	cr_assert(wrk_conn_release(c, 1));
	cr_assert(wrk_conn_claim(c, 2));
	wrk_conn_free(&table, c);
}

Test(table, freed_entry_is_nobodys_and_starts_empty)
{
	int fd = some_fd();
	struct wrk_conn *c = wrk_conn_open(&table, fd, 1, NULL);

	c->consumed = 7;
	c->was_used = true;
	wrk_conn_slot(&table, c)[5] = 'x';
	wrk_conn_free(&table, c);
	cr_assert_not(wrk_conn_claim(c, 2));
	cr_assert_eq(fcntl(fd, F_GETFD), -1);
	cr_assert_eq(some_fd(), fd);
	c = wrk_conn_open(&table, fd, 1, NULL);
	cr_assert_eq(c->consumed, 0);
	cr_assert_eq(wrk_conn_slot(&table, c)[5], 0, "an input slot gives its memory back");
	wrk_conn_free(&table, c);
}

Test(table, descriptor_beyond_the_table_is_refused)
{
	cr_assert_null(wrk_conn_open(&table, (int)table.cap, 1, NULL));
	cr_assert_null(wrk_conn_open(&table, -1, 1, NULL));
}

#define GENERATION(g, index) ((g) << 12 | (index))

Test(table, owner_is_told_living_from_dead)
{
	struct wrk_conn *c;

	cr_assert_eq(wrk_table_enter(&table, 5, false), 0);
	c = wrk_conn_open(&table, some_fd(), GENERATION(5, 3), NULL);
	cr_assert(wrk_table_is_living(&table, c->state));
	cr_assert_not(wrk_table_has_others(&table, 5));
	cr_assert_eq(wrk_table_enter(&table, 6, true), 0);
	cr_assert(wrk_table_has_others(&table, 5));
	cr_assert(wrk_table_is_living(&table, c->state));
	wrk_table_leave(&table, 6);
	cr_assert_eq(table.shared->deaths, 0);
	wrk_table_bury(&table, 5);
	wrk_table_bury(&table, 5);
	cr_assert_eq(table.shared->deaths, 1);
	cr_assert_not(wrk_table_is_living(&table, c->state));
}

Test(table, who_starts_alone_follows_the_dead)
{
	cr_assert_eq(wrk_table_enter(&table, 1, false), 0);
	cr_assert_eq(wrk_table_enter(&table, 2, true), 0);
	cr_assert_eq(wrk_table_enter(&table, 3, false), 0);
	cr_assert_eq(table.shared->deaths, 2);
	cr_assert_not(wrk_table_has_others(&table, 3));
}

Test(table, no_more_workers_than_names)
{
	uint32_t i;

	for (i = 0; i < WRK_LIVING_MAX; i++)
		cr_assert_eq(wrk_table_enter(&table, i, true), 0);
	cr_assert_eq(wrk_table_enter(&table, i, true), -EBUSY);
}

static unsigned flights;

static void found(const struct wrk_in_flight *f, void *arg)
{
	flights++;
	cr_assert_str_eq(f->what, arg);
	cr_assert_eq(f->thread, 3);
	cr_assert_eq(f->since_ms, 77);
}

Test(table, requests_in_flight_are_shown_by_generation)
{
	struct wrk_conn *c = wrk_conn_open(&table, some_fd(), GENERATION(5, 3), NULL);
	struct wrk_conn *reading = wrk_conn_open(&table, some_fd(), GENERATION(5, 4), NULL);
	struct wrk_conn *idle = wrk_conn_open(&table, some_fd(), GENERATION(5, 4), NULL);
	struct wrk_conn *other = wrk_conn_open(&table, some_fd(), GENERATION(6, 3), NULL);

	c->step = idle->step = other->step = WRK_STEP_TAKEN;
	reading->step = WRK_STEP_NONE;
	c->since_ms = 77;
	strcpy(c->what, "GET /a\033[1m\377");
	cr_assert(wrk_conn_release(idle, GENERATION(5, 4)));
	cr_assert_not(wrk_conn_claim(c, GENERATION(6, 1)));
	cr_assert(wrk_conn_hold(c, c->state));
	wrk_table_in_flight(&table, 5, found, (void *)"GET /a?[1m?");
	cr_assert_eq(flights, 1);
	wrk_conn_unhold(c);
}

Test(table, handed_connection_keeps_its_event)
{
	struct wrk_conn *c = wrk_conn_open(&table, some_fd(), 1, NULL);

	cr_assert_not(wrk_conn_claim(c, 2));
	wrk_conn_hand(c, 1, 9);
	cr_assert_not(wrk_conn_release(c, 9), "the event is still to be seen");
	cr_assert(wrk_conn_release(c, 9));
}

static void *unholder(void *arg)
{
	(void)usleep(50000);
	wrk_conn_unhold(arg);
	return NULL;
}

Test(table, held_connection_is_neither_released_nor_freed)
{
	struct wrk_conn *c = wrk_conn_open(&table, some_fd(), 1, NULL);
	uint32_t state = c->state;
	pthread_t id;

	cr_assert(wrk_conn_hold(c, state));
	cr_assert_not(wrk_conn_hold(c, c->state));
	cr_assert_eq(pthread_create(&id, NULL, unholder, c), 0);
	cr_assert(wrk_conn_release(c, 1));
	pthread_join(id, NULL);
	cr_assert_eq(c->state, WRK_IDLE);
	cr_assert(wrk_conn_claim(c, 1));
	cr_assert_not(wrk_conn_hold(c, state ^ 1), "it changed meanwhile");
	cr_assert(wrk_conn_hold(c, c->state));
	cr_assert_eq(pthread_create(&id, NULL, unholder, c), 0);
	wrk_conn_free(&table, c);
	pthread_join(id, NULL);
	cr_assert_eq(c->state, WRK_FREE);
}

#define ROUNDS 200000

static struct wrk_conn *shared;
static unsigned owners, events, seen;

static void *taker(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, i;

	for (i = 0; i < ROUNDS; i++) {
		__atomic_add_fetch(&events, 1, __ATOMIC_SEQ_CST);
		if (!wrk_conn_claim(shared, me))
			continue;
		do {
			cr_assert_eq(__atomic_add_fetch(&owners, 1, __ATOMIC_SEQ_CST), 1);
			seen = __atomic_load_n(&events, __ATOMIC_SEQ_CST);
			__atomic_sub_fetch(&owners, 1, __ATOMIC_SEQ_CST);
		} while (!wrk_conn_release(shared, me));
	}
	return NULL;
}

Test(table, threads_never_share_a_connection)
{
	pthread_t threads[3];
	uintptr_t i;

	shared = wrk_conn_open(&table, some_fd(), 9, NULL);
	cr_assert(wrk_conn_release(shared, 9));
	for (i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, taker, (void *)(i + 1)), 0);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(seen, 3 * ROUNDS, "the last event was seen by somebody");
	cr_assert(wrk_conn_claim(shared, 1), "idle in the end");
}
