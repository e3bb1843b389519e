// SPDX-License-Identifier: GPL-2.0
/* 503 without a worker, on loopback, where tc sends it: for connections that XDP owns and for idle ones that a worker
 * holds. DESIGN 4.3. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/prog_serve.h"

static void start(void);
TestSuite(sock_refuse, .init = start, .fini = serve_stop, .timeout = 60);

#define REQUEST "GET /a/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define REQUEST_B "GET /b/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static const struct prog_entry full = { .body_bytes = 20 }, disabled = { .body_bytes = 30 };

static void start(void)
{
	serve_start();
	prog_publish_refusal(&full, WEIR_REFUSAL_QUEUE_FULL, WEIR_VERBOSITY_LIMITED);
	prog_publish_refusal(&disabled, WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED);
}

static void set_pool(uint16_t pool, enum weir_refusal refusal, enum weir_verbosity verbosity, uint32_t queue_limit)
{
	cr_assert_eq(weir_dataplane_set_pool(serve.dp, pool, refusal, verbosity, queue_limit), 0);
}

/* The worker of pool A has answered and offers the connection back. */
static int lend_at(enum serve_endpoint e, int *ret_worker)
{
	int client = serve_connect(e);

	serve_send(client, REQUEST);
	*ret_worker = serve_accept(POOL_A, e);
	serve_expect(*ret_worker, REQUEST);
	serve_offer(client, POOL_A, strlen(REQUEST), strlen(ANSWER));
	serve_send(*ret_worker, ANSWER);
	serve_expect(client, ANSWER);
	return client;
}

static int lend(int *ret_worker)
{
	return lend_at(SERVE_V4, ret_worker);
}

Test(sock_refuse, disabled_pool_answers_503_and_closes)
{
	int e;

	set_pool(POOL_A, WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED, 0);
	for (e = 0; e < SERVE__MAX; e++) {
		int client = serve_connect(e);

		serve_send(client, REQUEST);
		serve_expect_entry(client, &disabled, false, true);
		cr_assert_eq(serve_end(client), 0);
	}
	cr_assert(serve_is_quiet(POOL_A));
	cr_assert_eq(serve_counted(WEIR_VERDICT_REFUSED_TC), SERVE__MAX);
}

Test(sock_refuse, other_pool_is_not_touched)
{
	int client = serve_connect(SERVE_V4);

	set_pool(POOL_A, WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED, 0);
	serve_send(client, REQUEST_B);
	serve_expect(serve_accept(POOL_B, SERVE_V4), REQUEST_B);
}

Test(sock_refuse, basic_verbosity_resets)
{
	int client = serve_connect(SERVE_V4);

	set_pool(POOL_A, WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_BASIC, 0);
	serve_send(client, REQUEST);
	cr_assert_eq(serve_end(client), ECONNRESET);
}

Test(sock_refuse, requests_wait_up_to_the_limit)
{
	struct weir_queue *q = weir_dataplane_queue(serve.dp, POOL_A);
	int clients[5], i;

	set_pool(POOL_A, WEIR_REFUSAL_NONE, WEIR_VERBOSITY_LIMITED, 3);
	for (i = 0; i < 5; i++) {
		clients[i] = serve_connect(SERVE_V4);
		serve_send(clients[i], REQUEST);
	}
	for (i = 3; i < 5; i++)
		serve_expect_entry(clients[i], &full, false, true);
	cr_assert_eq(q->arrived, 3);
	serve_expect(serve_accept(POOL_A, SERVE_V4), REQUEST);
	__atomic_add_fetch(&q->taken, 1, __ATOMIC_RELAXED);
	clients[3] = serve_connect(SERVE_V4);
	serve_send(clients[3], REQUEST);
	for (i = 0; i < 3; i++)
		serve_expect(serve_accept(POOL_A, SERVE_V4), REQUEST);
}

Test(sock_refuse, idle_connection_is_seized_for_a_503)
{
	int worker, client = lend(&worker);

	set_pool(POOL_A, WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED, 0);
	serve_send(client, REQUEST);
	serve_expect_entry(client, &disabled, false, true);
	cr_assert_eq(serve_end(client), 0);
	cr_assert_eq(serve_end(worker), ECONNRESET);
	cr_assert_eq(serve_counted(WEIR_VERDICT_REFUSED_SEIZE), 1);
}

/* The frame becomes two resets. */
Test(sock_refuse, idle_connection_is_seized_for_a_reset)
{
	int e;

	for (e = 0; e < SERVE__MAX; e++) {
		struct weir_flow_key k;
		struct weir_flow f;
		int worker, client = lend_at(e, &worker);

		set_pool(POOL_A, WEIR_REFUSAL_QUEUE_FULL, WEIR_VERBOSITY_BASIC, 0);
		k = serve_key(client);
		serve_send(client, REQUEST);
		cr_assert_eq(serve_end(client), ECONNRESET);
		cr_assert_eq(serve_end(worker), ECONNRESET);
		cr_assert_eq(serve_counted(WEIR_VERDICT_REFUSED_SEIZE_RESET), e + 1);
		cr_assert_eq(serve_counted(WEIR_VERDICT_TC_SEIZED), e + 1);
		cr_assert(!serve_flow_find(&k, &f));
		set_pool(POOL_A, WEIR_REFUSAL_NONE, WEIR_VERBOSITY_BASIC, 0);
	}
}

/* The worker closes it, and withdraws the offer, at the moment when the refusal comes. */
Test(sock_refuse, connection_that_its_worker_keeps_is_not_reset)
{
	int worker, client = lend(&worker);

	serve_withdraw(client, POOL_A);
	set_pool(POOL_A, WEIR_REFUSAL_QUEUE_FULL, WEIR_VERBOSITY_BASIC, 0);
	serve_send(client, REQUEST);
	serve_expect(worker, REQUEST);
	serve_send(worker, ANSWER);
	serve_expect(client, ANSWER);
	cr_assert_eq(serve_counted(WEIR_VERDICT_TC_SEIZED), 0);
}

Test(sock_refuse, request_under_way_is_left_to_its_worker)
{
	int client = serve_connect(SERVE_V4), worker;

	serve_send(client, REQUEST);
	worker = serve_accept(POOL_A, SERVE_V4);
	set_pool(POOL_A, WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED, 0);
	serve_expect(worker, REQUEST);
	serve_send(worker, ANSWER);
	serve_expect(client, ANSWER);
}
