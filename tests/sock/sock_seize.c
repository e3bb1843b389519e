// SPDX-License-Identifier: GPL-2.0
/* Taking an idle connection back from a worker, and who wins when both want it: weir_tc with tickets. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/prog_serve.h"

TestSuite(sock_seize, .init = serve_start, .fini = serve_stop, .timeout = 60);

#define REQUEST "GET /a/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define HIT "GET /a/hit HTTP/1.1\r\nHost: localhost\r\n\r\n"

static struct prog_entry entry(enum serve_endpoint e)
{
	struct prog_entry p = { .host = "localhost", .target = "/a/hit", .body_bytes = 300 };

	p.endpoint = SERVE_ENDPOINT(e);

	return p;
}

/* The worker of pool A takes a request, offers the connection back and answers; the hit is in the cache. */
static int serve_once(int client, enum serve_endpoint e)
{
	int worker;

	serve_send(client, REQUEST);
	worker = serve_accept(POOL_A, e);
	serve_expect(worker, REQUEST);
	serve_offer(client, POOL_A, strlen(REQUEST), strlen(ANSWER));
	serve_send(worker, ANSWER);
	serve_expect(client, ANSWER);
	return worker;
}

Test(sock_seize, next_hit_takes_the_connection_back)
{
	int e;

	for (e = 0; e < SERVE__MAX; e++) {
		struct prog_entry p = entry(e);
		int client = serve_connect(e), worker;

		prog_publish(&p);
		worker = serve_once(client, e);
		serve_mark();
		serve_send(client, HIT);
		serve_expect_entry(client, &p, false, false);
		cr_assert_eq(serve_end(worker), ECONNRESET);
		cr_assert(serve_is_owned_by(client, WEIR_OWNER_XDP));
		cr_assert_eq(serve_ticket(client, POOL_A), WEIR_TICKET_TAKEN);
		cr_assert_eq(serve_counted(WEIR_VERDICT_SEIZE), 1);
		cr_assert_eq(serve_counted(WEIR_VERDICT_TC_SEIZED), 1);
	}
}

Test(sock_seize, seized_connection_serves_hits_and_can_be_lent_again)
{
	struct prog_entry p = entry(SERVE_V4);
	int client = serve_connect(SERVE_V4), i, n;

	prog_publish(&p);
	for (i = 0; i < 20; i++) {
		int worker = serve_once(client, SERVE_V4);

		for (n = 0; n < 3; n++) {
			serve_send(client, HIT);
			serve_expect_entry(client, &p, false, false);
		}
		cr_assert_eq(serve_end(worker), ECONNRESET);
		close(worker);
	}
	cr_assert_eq(serve_counted(WEIR_VERDICT_TC_SEIZED), 20);
	cr_assert_eq(serve_counted(WEIR_VERDICT_TC_ASSIGNED), 20);
}

Test(sock_seize, head_and_close_are_seized_too)
{
	struct prog_entry p = entry(SERVE_V4);
	int client = serve_connect(SERVE_V4), worker;

	prog_publish(&p);
	worker = serve_once(client, SERVE_V4);
	serve_send(client, "HEAD /a/hit HTTP/1.1\r\nHost: localhost\r\n\r\n");
	serve_expect_entry(client, &p, true, false);
	cr_assert_eq(serve_end(worker), ECONNRESET);
	worker = serve_once(client, SERVE_V4);
	serve_send(client, "GET /a/hit HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	serve_expect_entry(client, &p, false, true);
	cr_assert_eq(serve_end(client), 0);
	cr_assert_eq(serve_end(worker), ECONNRESET);
}

Test(sock_seize, without_ticket_nothing_is_seized)
{
	struct prog_entry p = entry(SERVE_V4);
	int client = serve_connect(SERVE_V4), worker;

	prog_publish(&p);
	serve_send(client, REQUEST);
	worker = serve_accept(POOL_A, SERVE_V4);
	serve_expect(worker, REQUEST);
	serve_send(worker, ANSWER);
	serve_expect(client, ANSWER);
	serve_send(client, HIT);
	serve_expect(worker, HIT);
	cr_assert_eq(serve_counted(WEIR_VERDICT_SEIZE), 0);
}

Test(sock_seize, wrong_ticket_is_not_used)
{
	static const struct {
		int consumed, sent;
	} wrong[] = { { 1, 0 }, { -1, 0 }, { 0, 1 }, { 0, -1 } };
	struct prog_entry p = entry(SERVE_V4);
	size_t i;

	prog_publish(&p);
	for (i = 0; i < 4; i++) {
		int client = serve_connect(SERVE_V4), worker = serve_once(client, SERVE_V4);

		serve_offer(client, POOL_A, (uint32_t)((int)strlen(REQUEST) + wrong[i].consumed),
			    (uint32_t)((int)strlen(ANSWER) + wrong[i].sent));
		serve_send(client, HIT);
		serve_expect(worker, HIT);
		cr_assert_eq(serve_ticket(client, POOL_A), WEIR_TICKET_OFFERED);
	}
	cr_assert_eq(serve_counted(WEIR_VERDICT_SEIZE), 0);
}

Test(sock_seize, worker_that_withdraws_first_keeps_the_connection)
{
	struct prog_entry p = entry(SERVE_V4);
	int client = serve_connect(SERVE_V4), worker;

	prog_publish(&p);
	worker = serve_once(client, SERVE_V4);
	serve_withdraw(client, POOL_A);
	serve_send(client, HIT);
	serve_expect(worker, HIT);
	serve_send(worker, ANSWER);
	serve_expect(client, ANSWER);
	cr_assert(serve_is_owned_by(client, WEIR_OWNER_KERNEL));
}

Test(sock_seize, miss_goes_to_the_worker_and_joins_its_queue)
{
	int client = serve_connect(SERVE_V4), worker = serve_once(client, SERVE_V4);
	struct weir_queue *q = weir_dataplane_queue(serve.dp, POOL_A);
	uint64_t before = q->arrived;

	serve_send(client, HIT); /* nothing is published */
	serve_expect(worker, HIT);
	cr_assert_eq(serve_ticket(client, POOL_A), WEIR_TICKET_COUNTED);
	cr_assert_eq(q->arrived, before + 1);
}

Test(sock_seize, response_larger_than_a_segment_is_left_to_the_worker)
{
	struct prog_entry p = entry(SERVE_V4);
	int client, worker, mss = 1000;
	struct sockaddr_storage to;
	socklen_t bytes = sizeof(to);

	prog_entry_size(&p, 1200);
	prog_publish(&p);
	client = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(!setsockopt(client, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)));
	cr_assert(!getsockname(serve.listeners[POOL_A][SERVE_V4], (struct sockaddr *)&to, &bytes));
	cr_assert(!connect(client, (struct sockaddr *)&to, bytes));
	worker = serve_once(client, SERVE_V4);
	serve_send(client, HIT);
	serve_expect(worker, HIT);
	cr_assert_eq(serve_counted(WEIR_VERDICT_SEIZE), 0);
	cr_assert_eq(serve_missed(WEIR_MISS_MSS), 1);
}

/* Two requests in one segment are not the plain case, whatever the ticket says. */
Test(sock_seize, pipelined_hits_are_left_to_the_worker)
{
	struct prog_entry p = entry(SERVE_V4);
	int client = serve_connect(SERVE_V4), worker;

	prog_publish(&p);
	worker = serve_once(client, SERVE_V4);
	serve_send(client, HIT HIT);
	serve_expect(worker, HIT HIT);
	cr_assert_eq(serve_counted(WEIR_VERDICT_SEIZE), 0);
}

Test(sock_seize, hit_in_another_pool_takes_the_connection_back)
{
	struct prog_entry b = { .pool = POOL_B, .host = "localhost", .target = "/b/hit", .body_bytes = 20 };
	int client = serve_connect(SERVE_V4), worker;

	prog_publish(&b);
	worker = serve_once(client, SERVE_V4);
	serve_send(client, "GET /b/hit HTTP/1.1\r\nHost: localhost\r\n\r\n");
	serve_expect_entry(client, &b, false, false);
	cr_assert_eq(serve_end(worker), ECONNRESET);
}
