// SPDX-License-Identifier: GPL-2.0
/* Who owns a connection from its first to its last packet: weir_sock follows the kernel's sockets. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/prog_serve.h"

TestSuite(sock_lifecycle, .init = serve_start, .fini = serve_stop, .timeout = 60);

#define REQUEST "GET /a/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define HIT "GET /a/hit HTTP/1.1\r\nHost: localhost\r\n\r\n"

static struct prog_entry hit = { .host = "localhost", .target = "/a/hit", .body_bytes = 50 };

static bool is_closing(int client)
{
	struct weir_flow f = {};

	return serve_flow(client, &f) && f.flags & WEIR_FLOW_CLOSING;
}

static bool is_gone(const struct weir_flow_key *k)
{
	struct weir_flow f;

	return !serve_flow_find(k, &f);
}

/* A connection that pool A's worker has accepted; its first request is read and answered. */
static int lend(enum serve_endpoint e, int *ret_worker)
{
	int client = serve_connect(e);

	serve_send(client, REQUEST);
	*ret_worker = serve_accept(POOL_A, e);
	serve_expect(*ret_worker, REQUEST);
	serve_send(*ret_worker, ANSWER);
	serve_expect(client, ANSWER);
	return client;
}

Test(sock_lifecycle, connection_is_xdps_until_a_worker_must_see_a_request)
{
	int client = serve_connect(SERVE_V4);

	serve_wait(serve_is_owned_by(client, WEIR_OWNER_XDP));
	prog_publish(&hit);
	serve_send(client, HIT);
	serve_expect_entry(client, &hit, false, false);
	cr_assert(serve_is_owned_by(client, WEIR_OWNER_XDP));
	cr_assert(serve_is_quiet(POOL_A));
}

Test(sock_lifecycle, flow_is_the_kernels_when_the_socket_exists)
{
	int e;

	for (e = 0; e < SERVE__MAX; e++) {
		struct weir_flow before, after;
		int client = serve_connect(e);

		serve_wait(serve_is_owned_by(client, WEIR_OWNER_XDP));
		cr_assert(serve_flow(client, &before));
		serve_send(client, REQUEST);
		(void)serve_accept(POOL_A, e);
		cr_assert(serve_flow(client, &after));
		cr_assert_eq(after.owner, WEIR_OWNER_KERNEL);
		cr_assert(!(after.flags & (WEIR_FLOW_PENDING | WEIR_FLOW_NO_SEIZE | WEIR_FLOW_CLOSING)));
		cr_assert_eq(after.pool, POOL_A);
		cr_assert_eq(after.base_rcv, before.rcv_nxt);
		cr_assert_eq(after.base_snd, before.snd_nxt);
		cr_assert_eq(after.rcv_nxt, before.rcv_nxt + strlen(REQUEST));
	}
}

Test(sock_lifecycle, handed_over_request_waits_in_the_queue)
{
	int client = serve_connect(SERVE_V4);
	struct weir_queue *q = weir_dataplane_queue(serve.dp, POOL_A);

	cr_assert_eq(q->arrived, 0);
	serve_send(client, REQUEST);
	(void)serve_accept(POOL_A, SERVE_V4);
	cr_assert_eq(q->arrived, 1);
	cr_assert_eq(weir_dataplane_queue(serve.dp, POOL_B)->arrived, 0);
}

Test(sock_lifecycle, flow_ends_with_its_socket)
{
	int worker, client = lend(SERVE_V4, &worker), other;

	other = lend(SERVE_V6, &worker);
	close(worker);
	serve_wait(is_closing(other));
	cr_assert_eq(serve_end(other), 0);
	cr_assert(serve_is_owned_by(client, WEIR_OWNER_KERNEL));
}

Test(sock_lifecycle, flow_is_removed_when_both_sides_have_closed)
{
	int e;

	for (e = 0; e < SERVE__MAX; e++) {
		int worker, client = lend(e, &worker);
		struct weir_flow_key k = serve_key(client);

		shutdown(client, SHUT_WR);
		cr_assert_eq(serve_end(worker), 0);
		close(worker);
		serve_wait(is_gone(&k));
	}
}

Test(sock_lifecycle, reset_removes_the_flow)
{
	static const struct linger now = { .l_onoff = 1 };
	int worker, client = lend(SERVE_V4, &worker), other_worker, other = lend(SERVE_V6, &other_worker);
	struct weir_flow_key k = serve_key(client), other_key = serve_key(other);

	cr_assert(!setsockopt(worker, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	close(worker);
	serve_wait(is_gone(&k));
	cr_assert_eq(serve_end(client), ECONNRESET);
	cr_assert(!setsockopt(other, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	close(other);
	serve_wait(is_gone(&other_key));
	cr_assert_eq(serve_end(other_worker), ECONNRESET);
}

Test(sock_lifecycle, half_close_of_the_worker_forbids_a_seize)
{
	int worker, client = lend(SERVE_V4, &worker);

	prog_publish(&hit);
	shutdown(worker, SHUT_WR);
	serve_wait(is_closing(client));
	cr_assert_eq(serve_end(client), 0);
	serve_offer(client, POOL_A, strlen(REQUEST), strlen(ANSWER) + 1);
	serve_send(client, HIT);
	serve_expect(worker, HIT);
	cr_assert_eq(serve_counted(WEIR_VERDICT_SEIZE), 0);
}

Test(sock_lifecycle, half_close_of_the_client_forbids_a_seize)
{
	int worker, client = lend(SERVE_V4, &worker);

	serve_offer(client, POOL_A, strlen(REQUEST), strlen(ANSWER));
	shutdown(client, SHUT_WR);
	serve_wait(is_closing(client));
	cr_assert_eq(serve_end(worker), 0);
	serve_send(worker, ANSWER); /* and the other direction goes on */
	serve_expect(client, ANSWER);
}

Test(sock_lifecycle, client_that_closes_before_its_request_leaves_nothing)
{
	int client = serve_connect(SERVE_V4);
	struct weir_flow_key k = serve_key(client);

	serve_wait(serve_is_owned_by(client, WEIR_OWNER_XDP));
	shutdown(client, SHUT_WR);
	serve_wait(is_gone(&k));
	cr_assert_eq(serve_end(client), 0);
	cr_assert(serve_is_quiet(POOL_A) && serve_is_quiet(POOL_B));
}

Test(sock_lifecycle, connection_close_ends_in_xdp)
{
	int client = serve_connect(SERVE_V6);
	struct prog_entry e = hit;

	e.endpoint = SERVE_ENDPOINT(SERVE_V6);
	prog_publish(&e);
	serve_send(client, "GET /a/hit HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	serve_expect_entry(client, &e, false, true);
	cr_assert_eq(serve_end(client), 0);
	shutdown(client, SHUT_WR);
	serve_wait(serve_counted(WEIR_VERDICT_FIN_LAST) == 1);
	cr_assert(serve_is_quiet(POOL_A) && serve_is_quiet(POOL_B));
}
