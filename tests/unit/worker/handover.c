/* SPDX-License-Identifier: GPL-2.0 */
/* One worker replaces another that still serves: same epoll set, same connections, and not one failed request; also
 * when the elder dies before it is done. */
#include <criterion/criterion.h>

#include <pthread.h>

#include "slot.h"

static struct test_slot slot;
static struct answer answer;

static void init(void)
{
	slot_init(&slot, 3);
	slot.pools[0].handler = WEIR_HANDLER_DEBUG;
	slot.pools[0].shutdown_ms = 8000;
	slot_start(&slot);
	cr_assert(reaches(&slot.setup.metrics->ready_pid, 1));
}

static void stop(void)
{
	cr_assert_eq(slot_stop(&slot), 0);
}

TestSuite(handover, .init = init, .fini = stop, .timeout = 60);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.test\r\n\r\n"

static pid_t ready_pid(void)
{
	return (pid_t)weir_metrics_get(slot.setup.metrics, ready_pid);
}

/* Orders a recycle; returns when another worker is ready. */
static pid_t recycle(void)
{
	uint64_t until = weir_now_ms() + WAIT_MS;
	pid_t old = ready_pid(), pid;

	if (sigqueue(slot.keeper, WRK_ORDER, (union sigval){ .sival_int = WRK_ORDER_RECYCLE }) < 0)
		return 0;
	while ((pid = ready_pid()) == old || pid == 0) {
		if (weir_now_ms() > until)
			return 0;
		(void)poll(NULL, 0, 1);
	}
	return pid;
}

static bool is_gone(pid_t pid)
{
	uint64_t until = weir_now_ms() + WAIT_MS;

	while (kill(pid, 0) == 0) {
		if (weir_now_ms() > until)
			return false;
		(void)poll(NULL, 0, 2);
	}
	return true;
}

static bool is_over;
static unsigned failures, answers;

/* Keep-alive requests, or one a connection. Not criterion's asserts: those are for the main thread. */
static void *load(void *arg)
{
	bool is_keep_alive = arg == NULL;
	struct answer *a = malloc(sizeof(*a));
	int fd = -1;

	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
		if (fd < 0)
			fd = client_open(&slot);
		if (client_ask(fd, is_keep_alive ? GET("/echo") :
						   "GET /sleep/3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", a) != 200 ||
		    (is_keep_alive && !strstr(a->head, "keep-alive")))
			__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
		else
			__atomic_add_fetch(&answers, 1, __ATOMIC_RELAXED);
		if (!is_keep_alive || a->status == 0) {
			close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		close(fd);
	free(a);
	return NULL;
}

Test(handover, twenty_recycles_under_load_fail_no_request)
{
	pthread_t threads[6];
	pid_t old, pid = 0;
	uintptr_t i;

	for (i = 0; i < 6; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, load, (void *)(i % 2)), 0);
	for (i = 0; i < 20; i++) {
		old = ready_pid();
		pid = recycle();
		cr_assert_gt(pid, 0, "recycle %lu", (unsigned long)i);
		cr_assert(is_gone(old), "the elder %d ends", old);
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
	for (i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(failures, 0, "%u of %u failed", failures, failures + answers);
	cr_assert_gt(answers, 100);
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, restarts), 0);
}

Test(handover, what_the_elder_holds_is_finished_and_goes_on)
{
	static char bytes[65536];
	int busy = client_open(&slot), idle = client_open(&slot), half = client_open(&slot), slow = client_open(&slot);
	pid_t old = ready_pid();
	size_t left;
	ssize_t n;

	cr_assert_eq(client_ask(idle, GET("/echo"), &answer), 200);
	cr_assert_eq(client_ask(half, GET("/echo"), &answer), 200);
	client_send(half, "GET /echo HT");
	client_send(busy, GET("/sleep/500") GET("/status/201"));
	client_send(slow, GET("/bytes/20000000") GET("/status/201"));
	(void)poll(NULL, 0, 50);
	cr_assert_gt(recycle(), 0);
	cr_assert_eq(client_ask(idle, GET("/echo"), &answer), 200);
	cr_assert_eq(client_ask(half, "TP/1.1\r\nHost: a\r\n\r\n", &answer), 200);
	client_read(busy, true, &answer);
	cr_assert_eq(answer.status, 200);
	client_read(busy, true, &answer);
	cr_assert_eq(answer.status, 201);
	cr_assert_eq(kill(old, 0), 0, "the elder still has a response to send");
	client_read(slow, false, &answer);
	cr_assert_eq(answer.status, 200);
	for (left = 20000000; left > 0; left -= (size_t)n)
		cr_assert_gt(n = recv(slow, bytes, left < sizeof(bytes) ? left : sizeof(bytes), 0), 0);
	client_read(slow, true, &answer);
	cr_assert_eq(answer.status, 201, "what was pipelined is in the table for the successor");
	cr_assert(is_gone(old));
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, threads), 3, "the counters are the successor's");
	cr_assert_eq(client_ask(busy, GET("/status/202"), &answer), 202);
	cr_assert_eq(client_ask(slow, GET("/status/202"), &answer), 202);
	close(busy);
	close(idle);
	close(half);
	close(slow);
}

Test(handover, elder_that_crashes_loses_only_what_it_held)
{
	int busy = client_open(&slot), slow = client_open(&slot), idle = client_open(&slot);
	int young = client_open(&slot);
	char bytes[4096];
	pid_t old = ready_pid();
	ssize_t n;

	cr_assert_eq(client_ask(idle, GET("/echo"), &answer), 200);
	client_send(busy, GET("/sleep/5000"));
	client_send(slow, GET("/bytes/20000000"));
	(void)poll(NULL, 0, 50);
	cr_assert_gt(recycle(), 0);
	client_send(young, GET("/sleep/700"));
	(void)poll(NULL, 0, 50);
	kill(old, SIGSEGV);
	client_read(busy, true, &answer);
	cr_assert_eq(answer.status, 503);
	cr_assert(strstr(answer.head, "\r\nRetry-After: 1\r\n"));
	do
		n = recv(slow, bytes, sizeof(bytes), 0);
	while (n > 0);
	cr_assert_lt(n, 0, "half a response ends with a reset");
	cr_assert_eq(client_ask(idle, GET("/echo"), &answer), 200);
	client_read(young, true, &answer);
	cr_assert_eq(answer.status, 200, "the successor's own request is left alone");
	close(busy);
	close(slow);
	close(idle);
	close(young);
}
