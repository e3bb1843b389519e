// SPDX-License-Identifier: GPL-2.0
/* Requests reach the listening socket of the pool that their URL belongs to: weir_steer, on the first and on later
 * requests of a connection. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/prog_serve.h"

TestSuite(steer_pool, .init = serve_start, .fini = serve_stop, .timeout = 60);

#define REQUEST(target) "GET " target " HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* The request comes to this pool, whole, and to no other. */
static int expect_at(uint16_t pool, enum serve_endpoint e, const char *text)
{
	int worker = serve_accept(pool, e);

	cr_assert(serve_is_quiet(POOL_A) && serve_is_quiet(POOL_B));
	serve_expect(worker, text);
	return worker;
}

Test(steer_pool, first_request_reaches_its_pool)
{
	int e;

	for (e = 0; e < SERVE__MAX; e++) {
		int a = serve_connect(e), b = serve_connect(e), other = serve_connect(e);

		serve_send(b, REQUEST("/b/x"));
		(void)expect_at(POOL_B, e, REQUEST("/b/x"));
		serve_send(a, REQUEST("/a/x"));
		(void)expect_at(POOL_A, e, REQUEST("/a/x"));
		serve_send(other, REQUEST("/c"));
		(void)expect_at(POOL_A, e, REQUEST("/c"));
	}
}

Test(steer_pool, many_connections_reach_their_pools)
{
	int clients[60], i;

	for (i = 0; i < 60; i++)
		clients[i] = serve_connect(i % 4 < 2 ? SERVE_V4 : SERVE_V6);
	for (i = 0; i < 60; i++) {
		serve_send(clients[i], i & 1 ? REQUEST("/b/") : REQUEST("/a/"));
		(void)expect_at(i & 1 ? POOL_B : POOL_A, i % 4 < 2 ? SERVE_V4 : SERVE_V6,
				i & 1 ? REQUEST("/b/") : REQUEST("/a/"));
	}
}

Test(steer_pool, later_request_reaches_its_pool)
{
	struct prog_entry hit = { .host = "localhost", .target = "/a/hit", .body_bytes = 77 };
	int client = serve_connect(SERVE_V4), i;

	prog_publish(&hit);
	for (i = 0; i < 5; i++) {
		serve_send(client, REQUEST("/a/hit"));
		serve_expect_entry(client, &hit, false, false);
	}
	cr_assert(serve_is_quiet(POOL_A) && serve_is_quiet(POOL_B));
	serve_send(client, REQUEST("/b/miss"));
	(void)expect_at(POOL_B, SERVE_V4, REQUEST("/b/miss"));
}

/* XDP does not read what it does not take for plain, but host and target it may. */
Test(steer_pool, request_that_is_not_plain_reaches_its_pool)
{
	static const char text[] = "POST /b/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc";
	int client = serve_connect(SERVE_V6);

	serve_send(client, text);
	(void)expect_at(POOL_B, SERVE_V6, text);
}

Test(steer_pool, request_cut_in_two_comes_to_the_default_pool_whole)
{
	int client = serve_connect(SERVE_V4), worker;

	serve_send(client, "GET /b/ HT");
	worker = serve_accept(POOL_A, SERVE_V4);
	serve_send(client, "TP/1.1\r\nHost: localhost\r\n\r\n");
	serve_expect(worker, REQUEST("/b/"));
}

Test(steer_pool, connection_of_a_slot_without_socket_goes_to_another)
{
	int client = serve_connect(SERVE_V4);

	close(serve.listeners[POOL_B][SERVE_V4]);
	serve.listeners[POOL_B][SERVE_V4] = serve.listeners[POOL_B][SERVE_V6];
	serve_send(client, REQUEST("/b/"));
	(void)expect_at(POOL_A, SERVE_V4, REQUEST("/b/"));
}

/* A client with the address of `other`, which is closed by then. */
static int connect_as(const struct sockaddr_in *other)
{
	struct sockaddr_in server = { .sin_family = AF_INET,
				      .sin_port = htons(SERVE_PORT),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)other, sizeof(*other)), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&server, sizeof(server)), 0);
	return fd;
}

/* A SYN that meets the server's TIME-WAIT is the kernel's. Its hash alone would bring half of them to pool B. */
Test(steer_pool, connection_that_the_kernel_accepts_is_the_default_pools_and_counted_there)
{
	enum { TIMES = 12 };
	struct weir_queue *a = weir_dataplane_queue(serve.dp, POOL_A), *b = weir_dataplane_queue(serve.dp, POOL_B);
	int i;

	for (i = 0; i < TIMES; i++) {
		int client = serve_connect(SERVE_V4), worker;
		struct sockaddr_in me;
		socklen_t n = sizeof(me);

		serve_send(client, REQUEST("/b/x"));
		worker = expect_at(POOL_B, SERVE_V4, REQUEST("/b/x"));
		cr_assert_eq(getsockname(client, (struct sockaddr *)&me, &n), 0);
		close(worker);
		cr_assert_eq(serve_end(client), 0);
		close(client);
		client = connect_as(&me);
		serve_send(client, REQUEST("/b/y"));
		close(expect_at(POOL_A, SERVE_V4, REQUEST("/b/y")));
		close(client);
	}
	cr_assert_eq(serve_counted(WEIR_VERDICT_PASS_KERNEL_SYN), TIMES);
	cr_assert_eq(a->arrived, TIMES);
	cr_assert_eq(b->arrived, TIMES);
}
