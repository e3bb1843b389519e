/* SPDX-License-Identifier: GPL-2.0 */
/* A whole pool slot on real sockets, without BPF: what clients see, and what they see when a worker dies. */
#include <criterion/criterion.h>

#include "slot.h"

static struct test_slot slot;
static struct answer answer;

static void start(void)
{
	slot_init(&slot, 3);
	slot_file(&slot, "hello.txt", "hello world\n", 12);
	slot_start(&slot);
}

static void stop(void)
{
	cr_assert_eq(slot_stop(&slot), 0, "the keeper ends with 0");
}

TestSuite(slot, .init = start, .fini = stop, .timeout = 30);
TestSuite(slot_own, .fini = stop, .timeout = 30); /* starts it itself */

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.test\r\n\r\n"

Test(slot, file_is_served_again_on_the_same_connection)
{
	int fd = client_open(&slot), i;

	for (i = 0; i < 3; i++) {
		cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
		cr_assert_str_eq(answer.body, "hello world\n");
		cr_assert(strstr(answer.head, "\r\nConnection: keep-alive\r\n\r\n"));
		cr_assert(strstr(answer.head, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
	}
	close(fd);
}

Test(slot, head_has_no_body)
{
	int fd = client_open(&slot);

	cr_assert_eq(client_ask(fd, "HEAD /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n", &answer), 200);
	cr_assert(strstr(answer.head, "Content-Length: 12\r\n"));
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	close(fd);
}

Test(slot, pipelined_requests_are_answered_in_order)
{
	int fd = client_open(&slot);

	slot_file(&slot, "b.txt", "B", 1);
	client_send(fd, GET("/hello.txt") GET("/nothing") GET("/b.txt"));
	client_read(fd, true, &answer);
	cr_assert_eq(answer.status, 200);
	client_read(fd, true, &answer);
	cr_assert_eq(answer.status, 404);
	client_read(fd, true, &answer);
	cr_assert_str_eq(answer.body, "B");
	close(fd);
}

Test(slot, one_byte_segments_make_a_request)
{
	static const char request[] = GET("/hello.txt") GET("/hello.txt");
	int fd = client_open(&slot), on = 1;
	size_t i;

	(void)setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on));
	for (i = 0; i < sizeof(request) - 1; i++)
		cr_assert_eq(send(fd, request + i, 1, 0), 1);
	client_read(fd, true, &answer);
	cr_assert_eq(answer.status, 200);
	client_read(fd, true, &answer);
	cr_assert_eq(answer.status, 200);
	close(fd);
}

Test(slot, large_file_is_complete)
{
	static char big[300000];
	int fd = client_open(&slot);
	size_t i, n = 0;

	for (i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 251);
	slot_file(&slot, "big.bin", big, sizeof(big));
	client_send(fd, GET("/big.bin"));
	client_read(fd, false, &answer);
	cr_assert_eq(answer.status, 200);
	cr_assert(strstr(answer.head, "Content-Length: 300000\r\n"));
	while (n < sizeof(big)) {
		char chunk[8192];
		ssize_t got = recv(fd, chunk, sizeof(chunk), 0);

		cr_assert_gt(got, 0);
		cr_assert_eq(memcmp(chunk, big + n, (size_t)got), 0);
		n += (size_t)got;
	}
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	close(fd);
}

Test(slot, http10_closes_unless_asked)
{
	int fd = client_open(&slot);

	cr_assert_eq(client_ask(fd, "GET /hello.txt HTTP/1.0\r\n\r\n", &answer), 200);
	cr_assert(strstr(answer.head, "\r\nConnection: close\r\n\r\n"));
	cr_assert_eq(client_end(fd), 0);
	close(fd);
	fd = client_open(&slot);
	cr_assert_eq(client_ask(fd, "GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &answer), 200);
	cr_assert(strstr(answer.head, "\r\nConnection: keep-alive\r\n\r\n"));
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	close(fd);
}

Test(slot, refused_body_is_thrown_away)
{
	int fd = client_open(&slot);

	cr_assert_eq(client_ask(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde", &answer), 405);
	cr_assert(strstr(answer.head, "\r\nAllow: GET, HEAD, OPTIONS\r\n"));
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	cr_assert_eq(client_ask(fd, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &answer), 405);
	client_send(fd, "3\r\nabc\r\n");
	client_send(fd, "0\r\n\r\n");
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	close(fd);
}

Test(slot, large_body_ends_the_connection)
{
	int fd = client_open(&slot);

	cr_assert_eq(client_ask(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\nabc", &answer), 405);
	cr_assert(strstr(answer.head, "Connection: close"));
	cr_assert_eq(client_end(fd), 0);
	close(fd);
}

Test(slot, expectation_is_met_or_refused)
{
	int fd = client_open(&slot);

	client_send(fd, "GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	client_read(fd, true, &answer);
	cr_assert_eq(answer.status, 100);
	client_send(fd, "ab");
	client_read(fd, true, &answer);
	cr_assert_eq(answer.status, 200);
	cr_assert_eq(client_ask(fd, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
				&answer), 405);
	cr_assert(strstr(answer.head, "Connection: close"));
	close(fd);
}

Test(slot, bad_request_is_answered_and_closed)
{
	int fd = client_open(&slot);

	cr_assert_eq(client_ask(fd, "GET / HTTP/1.1\r\nHost : a\r\n\r\n", &answer), 400);
	cr_assert_eq(client_end(fd), 0);
	close(fd);
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, bad_requests), 1);
}

Test(slot, changed_file_is_served_changed)
{
	int fd = client_open(&slot), i;

	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	slot_file(&slot, "hello.txt", "new\n", 4);
	for (i = 0; i < 200; i++) {
		cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
		if (strcmp(answer.body, "new\n") == 0)
			break;
		(void)poll(NULL, 0, 5);
	}
	cr_assert_str_eq(answer.body, "new\n");
	close(fd);
}

Test(slot_own, idle_connection_times_out)
{
	int fd;

	slot_init(&slot, 2);
	slot.pools[0].keepalive_ms = 200;
	slot.pools[0].header_ms = 200;
	slot_file(&slot, "hello.txt", "x", 1);
	slot_start(&slot);
	fd = client_open(&slot);
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	cr_assert_eq(client_end(fd), 0);
	close(fd);
	fd = client_open(&slot);
	client_send(fd, "GET / HTTP/1.1\r\nHos");
	cr_assert_eq(client_end(fd), 0);
	close(fd);
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, timeouts), 2);
}

static pid_t wait_worker(pid_t old)
{
	uint64_t until = weir_now_ms() + WAIT_MS;
	pid_t pid;

	do {
		pid = (pid_t)weir_metrics_get(slot.setup.metrics, worker_pid);
		if (pid > 0 && pid != old)
			return pid;
		(void)poll(NULL, 0, 2);
	} while (weir_now_ms() < until);
	return 0;
}

Test(slot, idle_connections_survive_a_crash)
{
	enum { CONNS = 20 };
	int fds[CONNS], i, crash;
	pid_t pid = wait_worker(0);

	for (i = 0; i < CONNS; i++) {
		fds[i] = client_open(&slot);
		cr_assert_eq(client_ask(fds[i], GET("/hello.txt"), &answer), 200);
	}
	/* one has sent half a request */
	client_send(fds[0], "GET /hello.txt HT");
	(void)poll(NULL, 0, 50);
	for (crash = 0; crash < 5; crash++) {
		cr_assert_gt(pid, 0);
		kill(pid, SIGSEGV);
		pid = wait_worker(pid);
	}
	for (i = 0; i < CONNS; i++) {
		cr_assert_eq(client_ask(fds[i], i ? GET("/hello.txt") : "TP/1.1\r\nHost: a\r\n\r\n", &answer), 200,
			     "connection %d", i);
		close(fds[i]);
	}
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, restarts), 5);
	i = client_open(&slot);
	cr_assert_eq(client_ask(i, GET("/hello.txt"), &answer), 200);
	close(i);
}

Test(slot, stop_lets_a_request_finish)
{
	int fd = client_open(&slot), idle = client_open(&slot);

	cr_assert_eq(client_ask(idle, GET("/hello.txt"), &answer), 200);
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	client_send(fd, GET("/hello.txt"));
	kill(slot.keeper, SIGTERM);
	client_read(fd, true, &answer);
	cr_assert_eq(answer.status, 200);
	cr_assert_eq(client_end(idle), 0);
	close(fd);
	close(idle);
}

/* Two slots of two pools; only the first listens. */
Test(slot_own, request_of_another_pool_is_passed_on_and_back)
{
	static struct test_slot other;
	int to_one[2], to_two[2], fd, i;

	slot_init(&slot, 2);
	slot_init(&other, 2);
	slot_file(&slot, "a.txt", "one", 3);
	slot_file(&other, "a.txt", "two", 3);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, to_one), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, to_two), 0);
	slot.prefixes[1] = slot.prefixes[0];
	slot.prefixes[1].path = (char *)"/two/";
	slot.prefixes[1].pool = 2;
	slot.config.prefixes_count = 2;
	slot.pass_tx[2] = to_two[0];
	slot.setup.pass_rx = to_one[1];
	other.pools[0].id = 2;
	other.prefixes[0] = slot.prefixes[0];
	other.prefixes[1] = slot.prefixes[1];
	other.config.prefixes_count = 2;
	other.pass_tx[1] = to_one[0];
	other.setup.pass_rx = to_two[1];
	other.setup.listeners_count = 0;
	slot_start(&slot);
	slot_start(&other);

	fd = client_open(&slot);
	for (i = 0; i < 3; i++) {
		cr_assert_eq(client_ask(fd, GET("/two/a.txt"), &answer), 200);
		cr_assert_str_eq(answer.body, "two");
		cr_assert_eq(client_ask(fd, GET("/a.txt"), &answer), 200);
		cr_assert_str_eq(answer.body, "one");
	}
	client_send(fd, GET("/a.txt") GET("/two/a.txt") GET("/a.txt"));
	client_read(fd, true, &answer);
	cr_assert_str_eq(answer.body, "one");
	client_read(fd, true, &answer);
	cr_assert_str_eq(answer.body, "two");
	client_read(fd, true, &answer);
	cr_assert_str_eq(answer.body, "one");
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, passed_on), 4);
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, received), 4);
	close(fd);
	cr_assert_eq(slot_stop(&other), 0);
}
