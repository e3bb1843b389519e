// SPDX-License-Identifier: GPL-2.0
/* Connections to a pool without workers: answered here, or passed, unread, to the workers of another pool. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "pools.h"

static struct sockaddr_in address;

/* The second pool has a listening socket, and the first one a way to pass connections to. */
static void init(void)
{
	socklen_t n = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), i, pair[2];

	pools_init();
	address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cr_assert(bind(fd, (struct sockaddr *)&address, n) == 0 && listen(fd, 16) == 0 &&
		  getsockname(fd, (struct sockaddr *)&address, &n) == 0);
	sup.slots[2].listeners[0].fd = fd;
	for (i = 1; i <= 2; i++) {
		cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
		sup.pass_tx[i] = pair[0];
		sup.pass_rx[i] = pair[1];
	}
}

TestSuite(refuse, .init = init, .fini = pools_fini, .timeout = 30);

static int ask(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(send(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, 0), 27);
	return fd;
}

static ssize_t answer_of(int fd, char *buf, size_t bytes)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	memset(buf, 0, bytes);
	sup_refuser_dispatch(&sup);
	(void)poll(&p, 1, 2000);
	n = recv(fd, buf, bytes - 1, MSG_DONTWAIT);
	return n;
}

static void stop_pool(unsigned i)
{
	sup_pool_want(&sup, &sup.pools[i], SUP_WANT_STOPPED);
	wait_ended(confs[i].first_slot);
	if (confs[i].slots == 2)
		wait_ended(confs[i].first_slot + 1);
	sup_pools_look(&sup);
}

Test(refuse, without_a_running_pool_it_is_answered)
{
	char buf[512];
	int fd;

	confs[1].verbosity = WEIR_VERBOSITY_FULL;
	stop_pool(0);
	stop_pool(1);
	fd = ask();
	cr_assert_gt(answer_of(fd, buf, sizeof(buf)), 0);
	cr_expect_eq(strncmp(buf, "HTTP/1.1 503 Service Unavailable (Disabled)\r\n", 45), 0, "%s", buf);
	cr_expect_not_null(strstr(buf, "\r\nRetry-After: "));
	cr_expect_eq(recv(fd, buf, sizeof(buf), 0), 0, "and closed, not reset");
	close(fd);
}

Test(refuse, basic_is_a_reset)
{
	char buf[64];
	int fd;

	confs[1].verbosity = WEIR_VERBOSITY_BASIC;
	stop_pool(0);
	stop_pool(1);
	fd = ask();
	cr_expect_lt(answer_of(fd, buf, sizeof(buf)), 0);
	cr_expect_eq(errno, ECONNRESET);
	close(fd);
}

Test(refuse, running_pool_gets_it_unread)
{
	char buf[64];
	int fd, passed;

	stop_pool(1);
	fd = ask();
	cr_expect_lt(answer_of(fd, buf, 1), 0);
	passed = wrk_pass_take(sup.pass_rx[1]);
	cr_assert_geq(passed, 0);
	cr_expect_eq(recv(passed, buf, sizeof(buf), 0), 27, "every byte is there");
	close(passed);
	close(fd);
}

Test(refuse, what_comes_back_is_answered)
{
	char buf[512];
	int fd = socket(AF_INET, SOCK_STREAM, 0), peer;

	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	peer = accept4(sup.slots[2].listeners[0].fd, NULL, NULL, SOCK_NONBLOCK);
	cr_assert_geq(peer, 0);
	stop_pool(1);
	cr_assert_eq(wrk_pass_new(sup.pass_tx[2], peer, 0), 0);
	close(peer);
	cr_assert_gt(answer_of(fd, buf, sizeof(buf)), 0);
	cr_expect_eq(strncmp(buf, "HTTP/1.1 503 ", 13), 0);
	close(fd);
}

Test(refuse, pool_that_runs_again_keeps_its_connections)
{
	char buf[64];
	int fd;

	stop_pool(1);
	sup_refuser_watch(&sup, &sup.pools[1], false);
	fd = ask();
	cr_expect_lt(answer_of(fd, buf, 1), 0);
	cr_expect_geq(accept4(sup.slots[2].listeners[0].fd, NULL, NULL, 0), 0, "it waits for the workers");
	close(fd);
}
