/* SPDX-License-Identifier: GPL-2.0 */
/* Time limits on real sockets, each with its counter; and that slow clients hold sockets, never threads. */
#include <criterion/criterion.h>

#include "slot.h"

static struct test_slot slot;
static struct answer answer;

static void init(void)
{
	slot_init(&slot, 2);
	slot.pools[0].handler = WEIR_HANDLER_DEBUG;
}

static void stop(void)
{
	cr_assert_eq(slot_stop(&slot), 0);
}

TestSuite(limits, .init = init, .fini = stop, .timeout = 40);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.test\r\n\r\n"
#define COUNTER(name) weir_metrics_get(slot.setup.metrics, name)

Test(limits, silent_connection_is_idle)
{
	int fresh, used;

	slot.pools[0].keepalive_ms = 200;
	slot_start(&slot);
	fresh = client_open(&slot);
	used = client_open(&slot);
	cr_assert_eq(client_ask(used, GET("/status/200"), &answer), 200);
	cr_assert_eq(client_end(used), 0);
	cr_assert_eq(client_end(fresh), 0);
	cr_assert_eq(COUNTER(timer_connection_idle), 2);
	cr_assert_eq(COUNTER(timeouts), 2);
	close(fresh);
	close(used);
}

Test(limits, head_must_be_complete_in_time)
{
	uint64_t began;
	int fd, i;

	slot.pools[0].header_ms = 400;
	slot_start(&slot);
	fd = client_open(&slot);
	began = weir_now_ms();
	client_send(fd, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	/* a byte now and then buys no time */
	for (i = 0; i < 40; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		client_send(fd, "x");
		if (poll(&p, 1, 50) > 0)
			break;
	}
	cr_assert_lt(weir_now_ms() - began, 1500);
	cr_assert_eq(COUNTER(timer_header_wait), 1);
	close(fd);
}

Test(limits, body_must_keep_coming)
{
	int fd, i;

	slot.pools[0].body_ms = 400;
	slot_start(&slot);
	fd = client_open(&slot);
	cr_assert_eq(client_ask(fd, "GET /status/200 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", &answer),
		     200);
	for (i = 0; i < 5; i++) {
		(void)poll(NULL, 0, 150);
		client_send(fd, "x");
	}
	cr_assert_eq(COUNTER(timer_entity_body), 0, "each piece starts the time anew");
	cr_assert_leq(client_end(fd), 0);
	cr_assert_eq(COUNTER(timer_entity_body), 1);
	close(fd);
}

Test(limits, request_that_holds_a_thread_too_long_loses_its_client)
{
	uint64_t began = weir_now_ms();
	int fd;

	slot.pools[0].request_ms = 300;
	slot_start(&slot);
	fd = client_open(&slot);
	client_send(fd, GET("/sleep/1500"));
	cr_assert_eq(client_end(fd), 0);
	cr_assert_lt(weir_now_ms() - began, 1200);
	cr_assert_eq(COUNTER(timer_request), 1);
	close(fd);
	fd = client_open(&slot);
	cr_assert_eq(client_ask(fd, GET("/sleep/100"), &answer), 200, "shorter ones are left alone");
	(void)poll(NULL, 0, 400);
	cr_assert_eq(client_ask(fd, GET("/sleep/100"), &answer), 200, "and so is a connection that was idle");
	cr_assert_eq(COUNTER(timer_request), 1);
	close(fd);
}

Test(limits, request_that_waited_too_long_is_refused)
{
	int fresh, used, busy, late;

	slot.pools[0].threads_min = slot.pools[0].threads_max = 1;
	slot.pools[0].queue_timeout_ms = 300;
	slot_start(&slot);
	used = client_open(&slot);
	cr_assert_eq(client_ask(used, GET("/status/200"), &answer), 200);
	busy = client_open(&slot);
	client_send(busy, GET("/sleep/900"));
	(void)poll(NULL, 0, 50);
	fresh = client_open(&slot);
	client_send(fresh, GET("/status/200"));
	client_send(used, GET("/status/200"));
	(void)poll(NULL, 0, 750);
	late = client_open(&slot);
	client_send(late, GET("/status/200"));
	client_read(busy, true, &answer);
	cr_assert_eq(answer.status, 200);
	client_read(fresh, true, &answer);
	cr_assert_eq(answer.status, 503);
	cr_assert(strstr(answer.body, "AppPoolTimer"));
	cr_assert(strstr(answer.head, "\r\nRetry-After: 1\r\n"));
	client_read(used, true, &answer);
	cr_assert_eq(answer.status, 503);
	client_read(late, true, &answer);
	cr_assert_eq(answer.status, 200, "one that came late has not waited long");
	cr_assert_eq(COUNTER(timer_app_pool), 2);
	close(fresh);
	close(used);
	close(busy);
	close(late);
}

Test(limits, response_must_be_taken_at_the_minimum_rate)
{
	uint64_t began;
	char bytes[65536];
	int slow, fast;
	ssize_t n;

	slot.pools[0].min_send_rate = 20000000;
	slot_start(&slot);
	slow = client_open(&slot);
	fast = client_open(&slot);
	began = weir_now_ms();
	client_send(slow, GET("/bytes/30000000"));
	client_send(fast, GET("/bytes/30000000"));
	client_read(fast, false, &answer);
	cr_assert_eq(answer.status, 200);
	for (size_t left = 30000000; left > 0; left -= (size_t)n)
		cr_assert_gt(n = recv(fast, bytes, sizeof(bytes), 0), 0);
	cr_assert(reaches(&slot.setup.metrics->timer_min_bytes_per_second, 1));
	cr_assert_geq(weir_now_ms() - began, 1400, "not before the whole response's time is over");
	do
		n = recv(slow, bytes, sizeof(bytes), 0);
	while (n > 0);
	cr_assert_lt(n, 0, "a reset, not an end");
	cr_assert_eq(client_ask(fast, GET("/status/200"), &answer), 200);
	cr_assert_eq(COUNTER(timer_min_bytes_per_second), 1);
	close(slow);
	close(fast);
}

Test(limits, slow_readers_hold_no_thread)
{
	enum { SLOW = 24, BYTES = 12000000 };
	static char bytes[65536];
	int fds[SLOW], fd, i;
	uint64_t began;

	slot_start(&slot);
	for (i = 0; i < SLOW; i++) {
		fds[i] = client_open(&slot);
		client_send(fds[i], GET("/bytes/12000000") GET("/status/201"));
	}
	began = weir_now_ms();
	fd = client_open(&slot);
	for (i = 0; i < 100; i++)
		cr_assert_eq(client_ask(fd, GET("/status/200"), &answer), 200);
	cr_assert_lt(weir_now_ms() - began, 2000);
	cr_assert_eq(COUNTER(threads), 2);
	close(fd);
	close(fds[0]); /* one goes away */
	for (i = 1; i < SLOW; i++) {
		size_t at = 0;
		ssize_t n;

		client_read(fds[i], false, &answer);
		cr_assert_eq(answer.status, 200);
		while (at < BYTES) {
			size_t left = BYTES - at, k;

			n = recv(fds[i], bytes, left < sizeof(bytes) ? left : sizeof(bytes), 0);
			cr_assert_gt(n, 0, "connection %d, byte %zu", i, at);
			for (k = 0; k < (size_t)n; k += 101)
				cr_assert_eq(bytes[k], (at + k) % 64 == 63 ? '\n' : (char)('0' + (at + k) % 64));
			at += (size_t)n;
		}
		client_read(fds[i], true, &answer);
		cr_assert_eq(answer.status, 201, "what was pipelined behind it is answered");
		cr_assert_eq(client_ask(fds[i], GET("/status/202"), &answer), 202);
		close(fds[i]);
	}
}

/* A file, its end behind Connection: close, and a body behind the request. */
Test(limits, slow_readers_get_every_kind_of_end)
{
	static const char *const requests[] = {
		"GET /big.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"GET /big.bin HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
		"GET /big.bin HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
		"GET /big.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=1-9,20-29,40-8000000\r\n\r\n",
	};
	static char big[9000000], got[9100000];
	size_t i;

	for (i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 251);
	slot.pools[0].handler = WEIR_HANDLER_STATIC;
	slot_file(&slot, "big.bin", big, sizeof(big));
	slot_start(&slot);
	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		int fd = client_open(&slot);
		size_t n = 0, length;

		client_send(fd, requests[i]);
		(void)poll(NULL, 0, 100);
		client_read(fd, false, &answer);
		length = strtoul(strstr(answer.head, "Content-Length: ") + 16, NULL, 10);
		cr_assert_gt(length, 7000000);
		while (n < length) {
			ssize_t r = recv(fd, got + n, length - n, 0);

			cr_assert_gt(r, 0);
			n += (size_t)r;
		}
		if (answer.status == 200)
			cr_assert_eq(memcmp(got, big, sizeof(big)), 0);
		if (i == 0) {
			cr_assert_eq(client_end(fd), 0);
		} else {
			if (i == 2)
				client_send(fd, "abc");
			cr_assert_eq(client_ask(fd, GET("/nothing"), &answer), 404, "%zu", i);
		}
		close(fd);
	}
}
