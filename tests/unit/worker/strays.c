/* SPDX-License-Identifier: GPL-2.0 */
/* Connections that a worker had accepted when it died, but not entered in the table: the keeper enters them, and nothing
 * that only looks like one. The test is keeper and dead worker in one process. */
#include <criterion/criterion.h>

#include "slot.h"

#include "worker/keeper_strays.c"

#define DEAD 3 /* generation */

static struct test_slot slot;
static struct keeper k;

static void make(void)
{
	slot_init(&slot, 1);
	slot.listener.endpoint = 7;
	slot_share(&slot);
	k.base.setup = &slot.setup;
	k.rescue.base = &k.base;
	k.rescue.setup = &slot.setup;
	k.dead_generation = DEAD;
	cr_assert_eq(wrk_table_new(&k.base.table), 0);
	cr_assert_eq(wrk_tickets_init(&k.rescue), 0);
	cr_assert_eq(wrk_locals_init(&k.rescue), 0);
}

static void clear(void)
{
	slot_fini(&slot);
}

TestSuite(strays, .init = make, .fini = clear, .timeout = 30);

static int accept_one(void)
{
	struct pollfd p = { .fd = slot.listener.fd, .events = POLLIN };
	int fd;

	cr_assert_eq(poll(&p, 1, WAIT_MS), 1);
	fd = accept4(slot.listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	cr_assert_geq(fd, 0);
	return fd;
}

static struct wrk_conn *entry(int fd)
{
	return &k.base.table.conns[fd];
}

Test(strays, accepted_connection_is_entered_as_its_worker_would_have)
{
	int client = client_open(&slot), fd = accept_one();
	struct weir_flow_key key = client_flow(&slot, client);

	cr_assert_eq(look(&k, false, false), 1);
	cr_assert_eq(entry(fd)->state & 0x7f, WRK_FLIGHT);
	cr_assert_eq(wrk_state_generation(entry(fd)->state), DEAD);
	cr_assert_not(wrk_table_is_living(&k.base.table, entry(fd)->state));
	cr_assert_eq(memcmp(&entry(fd)->key, &key, sizeof(key)), 0);
	cr_assert_eq(entry(fd)->endpoint, 7);
	cr_assert(entry(fd)->is_counted);
	cr_assert_eq(entry(fd)->step, WRK_STEP_NONE);
	cr_assert_gt(entry(fd)->deadline_ms, weir_now_ms());
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, accepted), 1);
	cr_assert_eq(look(&k, false, false), 0, "once");
	close(client);
}

Test(strays, what_is_no_client_is_left_alone)
{
	int client = client_open(&slot), pair[2], udp = socket(AF_INET, SOCK_DGRAM, 0),
	    fresh = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	cr_assert_eq(look(&k, false, false), 0, "listening, connected to elsewhere, not connected, no TCP");
	close(client);
	close(udp);
	close(fresh);
}

Test(strays, connection_of_which_something_was_read_was_passed_on_and_counted_elsewhere)
{
	int client = client_open(&slot), fd = accept_one();
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	client_send(client, "GET");
	cr_assert_eq(poll(&p, 1, WAIT_MS), 1);
	cr_assert_eq(recv(fd, &byte, 1, 0), 1);
	cr_assert_eq(look(&k, false, false), 1);
	cr_assert_not(entry(fd)->is_counted);
	close(client);
}

Test(strays, connection_that_was_reset_meanwhile_is_entered_too)
{
	const struct linger now = { .l_onoff = 1 };
	int client = client_open(&slot), fd = accept_one();
	struct pollfd p = { .fd = fd, .events = POLLIN };

	cr_assert_eq(setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(client);
	cr_assert_eq(poll(&p, 1, WAIT_MS), 1);
	cr_assert_eq(look(&k, false, false), 1);
	cr_assert(entry(fd)->is_counted, "it waits, and must be taken off the queue");
	cr_assert_eq(entry(fd)->endpoint, 7);
}

Test(strays, entry_that_a_dead_thread_had_begun_is_made_anew_but_not_a_living_ones)
{
	int client = client_open(&slot), fd = accept_one();

	cr_assert_eq(wrk_table_enter(&k.base.table, DEAD, false), 0);
	entry(fd)->state = WRK_OPENING | wrk_thread_number_in(DEAD, 0) << 8;
	entry(fd)->endpoint = 99;
	cr_assert_eq(look(&k, false, false), 0);
	wrk_table_bury(&k.base.table, DEAD);
	cr_assert_eq(look(&k, false, false), 1);
	cr_assert_eq(entry(fd)->endpoint, 7);
	close(client);
}

Test(strays, beside_a_living_worker_only_what_stays_is_the_dead_ones)
{
	int gone = client_open(&slot), gone_fd = accept_one(), client, fd, other, other_fd;

	client = client_open(&slot);
	fd = accept_one();
	k.serving.pid = getpid();
	keeper_find_strays(&k, DEAD);
	cr_assert_eq(k.strays_count, 2);
	cr_assert_eq(entry(fd)->state, WRK_FREE, "not yet");
	keeper_look_again(&k);
	cr_assert_eq(entry(fd)->state, WRK_FREE, "it is too early");
	other = client_open(&slot);
	close(gone_fd);
	other_fd = accept_one();
	cr_assert_eq(other_fd, gone_fd, "the number is used anew");
	k.strays_ms = 1;
	keeper_look_again(&k);
	cr_assert_eq(entry(fd)->state & 0x7f, WRK_FLIGHT);
	cr_assert_eq(entry(other_fd)->state, WRK_FREE, "by a thread that lives");
	cr_assert_eq(k.base.table.shared->deaths, 1, "so that somebody looks");
	cr_assert_null(wrk_conn_open(&k.base.table, fd, 1, NULL), "whoever comes late leaves it");
	close(gone);
	close(client);
	close(other);
}
