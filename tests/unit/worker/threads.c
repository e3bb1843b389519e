/* SPDX-License-Identifier: GPL-2.0 */
/* How many threads a worker has: more while they wait and requests do, fewer when there is nothing to do. */
#include <criterion/criterion.h>

#include "slot.h"

static struct test_slot slot;
static struct answer answer;

static void init(void)
{
	slot_init(&slot, 2);
	slot.pools[0].handler = WEIR_HANDLER_DEBUG;
	slot.pools[0].threads_max = 12;
	slot.pools[0].threads_idle_ms = 300;
}

static void stop(void)
{
	cr_assert_eq(slot_stop(&slot), 0);
}

TestSuite(threads, .init = init, .fini = stop, .timeout = 40);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.test\r\n\r\n"
#define COUNTER(name) weir_metrics_get(slot.setup.metrics, name)

static bool falls_to(const uint64_t *counter, uint64_t wanted)
{
	uint64_t until = weir_now_ms() + WAIT_MS;

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) > wanted) {
		if (weir_now_ms() > until)
			return false;
		(void)poll(NULL, 0, 5);
	}
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE) == wanted;
}

static void ask_all(int *fds, int count, const char *request)
{
	int i;

	for (i = 0; i < count; i++) {
		fds[i] = client_open(&slot);
		client_send(fds[i], request);
	}
}

static void read_all(int *fds, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		client_read(fds[i], true, &answer);
		cr_assert_eq(answer.status, 200, "request %d", i);
		close(fds[i]);
	}
}

Test(threads, blocked_threads_get_company_and_lose_it_again)
{
	uint64_t began;
	int fds[10];

	slot_start(&slot);
	cr_assert(reaches(&slot.setup.metrics->ready_pid, 1));
	cr_assert_eq(COUNTER(threads), 2);
	began = weir_now_ms();
	ask_all(fds, 10, GET("/sleep/600"));
	cr_assert(reaches(&slot.setup.metrics->threads_busy, 10));
	cr_assert_geq(COUNTER(threads), 10);
	read_all(fds, 10);
	cr_assert_lt(weir_now_ms() - began, 1800, "they slept side by side");
	cr_assert(falls_to(&slot.setup.metrics->threads, 2));
	cr_assert(falls_to(&slot.setup.metrics->threads_busy, 0));
	ask_all(fds, 1, GET("/sleep/1"));
	read_all(fds, 1);
}

Test(threads, maximum_holds)
{
	int fds[20];
	uint64_t began;

	slot.pools[0].threads_max = 4;
	slot_start(&slot);
	began = weir_now_ms();
	ask_all(fds, 20, GET("/sleep/200"));
	read_all(fds, 20);
	cr_assert_geq(weir_now_ms() - began, 950);
	cr_assert_leq(COUNTER(threads), 4);
}

Test(threads, work_that_needs_the_processor_brings_no_more_of_them)
{
	int fds[8], i, k;

	slot_start(&slot);
	for (i = 0; i < 8; i++)
		fds[i] = client_open(&slot);
	for (k = 0; k < 300; k++) {
		for (i = 0; i < 8; i++)
			client_send(fds[i], GET("/cpu/0"));
		for (i = 0; i < 8; i++) {
			client_read(fds[i], true, &answer);
			cr_assert_eq(answer.status, 200);
		}
	}
	cr_assert_leq(COUNTER(threads), 4);
	for (i = 0; i < 8; i++)
		close(fds[i]);
}

Test(threads, last_request_is_remembered)
{
	uint64_t before;
	int fd;

	slot_start(&slot);
	fd = client_open(&slot);
	cr_assert_eq(client_ask(fd, GET("/echo"), &answer), 200);
	cr_assert(reaches(&slot.setup.metrics->last_request_ms, 1));
	before = COUNTER(last_request_ms);
	(void)poll(NULL, 0, 300);
	cr_assert_eq(client_ask(fd, GET("/echo"), &answer), 200);
	cr_assert(reaches(&slot.setup.metrics->last_request_ms, before + 200));
	close(fd);
}
