// SPDX-License-Identifier: GPL-2.0
/* Turning a request into a kernel socket: what the socket knows about the connection, and what happens when there is
 * no room for one. bpf/lib/lend.h. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/macro.h"
#include "harness/prog_serve.h"

TestSuite(sock_handover, .init = serve_start, .fini = serve_stop, .timeout = 60);
TestSuite(sock_handover_full, .fini = serve_stop, .timeout = 60);

#define REQUEST "GET /a/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define HIT "GET /a/hit HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* Of this network namespace: the kernel's client offers it from the next connection on. */
static void set_sysctl(const char *name, const char *value)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	fd = open(path, O_WRONLY);
	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(write(fd, value, strlen(value)), (ssize_t)strlen(value));
	close(fd);
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info = {};
	socklen_t bytes = sizeof(info);

	cr_assert(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes));
	return info;
}

/* The sockets of both ends must agree on everything. */
static void expect_options(enum serve_endpoint e, unsigned options)
{
	int client = serve_connect(e), worker;
	struct tcp_info c, w;

	serve_send(client, REQUEST);
	worker = serve_accept(POOL_A, e);
	serve_expect(worker, REQUEST);
	c = info_of(client);
	w = info_of(worker);
	cr_assert_eq(w.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE), options, "%#x",
		     w.tcpi_options);
	cr_assert_eq(c.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE), options);
	cr_assert_eq(w.tcpi_snd_wscale, c.tcpi_rcv_wscale);
	cr_assert_eq(w.tcpi_rcv_wscale, c.tcpi_snd_wscale);
	close(worker);
	close(client);
}

Test(sock_handover, socket_has_what_was_negotiated)
{
	int e;

	for (e = 0; e < SERVE__MAX; e++) {
		set_sysctl("tcp_timestamps", "1");
		expect_options(e, TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE);
		set_sysctl("tcp_sack", "0");
		expect_options(e, TCPI_OPT_TIMESTAMPS | TCPI_OPT_WSCALE);
		set_sysctl("tcp_sack", "1");
		set_sysctl("tcp_window_scaling", "0");
		expect_options(e, TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK);
		set_sysctl("tcp_window_scaling", "1");
		set_sysctl("tcp_timestamps", "0");
		expect_options(e, 0);
		set_sysctl("tcp_timestamps", "1");
	}
}

Test(sock_handover, segment_size_is_the_clients)
{
	int client = socket(AF_INET, SOCK_STREAM, 0), worker, mss = 1300;
	struct sockaddr_storage to;
	socklen_t bytes = sizeof(to);

	cr_assert(!setsockopt(client, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)));
	cr_assert(!getsockname(serve.listeners[POOL_A][SERVE_V4], (struct sockaddr *)&to, &bytes));
	cr_assert(!connect(client, (struct sockaddr *)&to, bytes));
	serve_send(client, REQUEST);
	worker = serve_accept(POOL_A, SERVE_V4);
	cr_assert_eq(info_of(worker).tcpi_snd_mss, 1300 - 12);
}

Test(sock_handover, data_flows_both_ways_after_any_number_of_hits)
{
	static char big[200000], got[sizeof(big)];
	struct prog_entry hit = { .host = "localhost", .target = "/a/hit", .body_bytes = 1000 };
	int client = serve_connect(SERVE_V4), worker, i;
	size_t n;

	prog_publish(&hit);
	for (i = 0; i < 30; i++) {
		serve_send(client, HIT);
		serve_expect_entry(client, &hit, false, false);
	}
	serve_send(client, REQUEST);
	worker = serve_accept(POOL_A, SERVE_V4);
	serve_expect(worker, REQUEST);
	for (n = 0; n < sizeof(big); n++)
		big[n] = (char)(n * 31 >> 3);
	cr_assert_eq(send(worker, big, sizeof(big), 0), (ssize_t)sizeof(big));
	for (n = 0; n < sizeof(big);) {
		ssize_t r = recv(client, got + n, sizeof(big) - n, 0);

		cr_assert_gt(r, 0, "%s", strerror(errno));
		n += (size_t)r;
	}
	cr_assert_arr_eq(got, big, sizeof(big));
}

Test(sock_handover, head_may_fill_the_largest_segment_but_not_exceed_it)
{
	static char text[WEIR_HEAD_MAX + 64];
	size_t room = WEIR_HEAD_MAX - 32, n; /* TCP header with timestamps */

	for (n = room - 2; n <= room + 2; n++) {
		int client = serve_connect(SERVE_V4), worker;
		uint64_t plain = serve_missed(WEIR_MISS_NOT_CACHED), large = serve_missed(WEIR_MISS_HEAD_SIZE);

		memset(text, 'x', n);
		memcpy(text, "GET /a/ HTTP/1.1\r\nHost: localhost\r\nX: ", 38);
		strcpy(text + n - 4, "\r\n\r\n");
		serve_send(client, text);
		worker = serve_accept(POOL_A, SERVE_V4);
		serve_expect(worker, text);
		cr_assert_eq(serve_missed(WEIR_MISS_NOT_CACHED) - plain, n <= room, "%zu bytes", n);
		cr_assert_eq(serve_missed(WEIR_MISS_HEAD_SIZE) - large, n > room, "%zu bytes", n);
	}
}

static void expect_hits(const size_t *sizes, size_t count)
{
	int e;
	size_t i;

	for (e = 0; e < SERVE__MAX; e++) {
		int client = serve_connect(e);

		for (i = 0; i < count; i++) {
			struct prog_entry hit = { .host = "localhost", .target = "/a/hit", .generation = i + 1 };

			hit.endpoint = SERVE_ENDPOINT(e);
			prog_withdraw(&hit);
			prog_entry_size(&hit, sizes[i]);
			prog_publish(&hit);
			serve_send(client, HIT);
			serve_expect_entry(client, &hit, false, false);
		}
		cr_assert(serve_is_quiet(POOL_A));
	}
	cr_assert_eq(serve_counted(WEIR_VERDICT_TC_ANSWERED), SERVE__MAX * count);
}

Test(sock_handover, entries_of_every_class_are_hits_on_loopback)
{
	static const size_t sizes[] = { 200, 1535, 1536, 1537, 4095, 4096, 4097, 9000, 15000 };

	expect_hits(sizes, ARRAY_SIZE(sizes));
}

/* An skb that tc makes larger cannot hold all of the largest class. */
Test(sock_handover, largest_entries_are_answered_or_left_to_a_worker)
{
	size_t size;

	for (size = 15800; size <= WEIR_BYTES_L; size += 73) {
		struct prog_entry hit = { .host = "localhost", .target = "/a/hit", .generation = size };
		int client = serve_connect(SERVE_V4);
		struct pollfd ends[] = { { .fd = client, .events = POLLIN },
					 { .fd = serve.listeners[POOL_A][SERVE_V4], .events = POLLIN } };

		prog_withdraw(&hit);
		prog_entry_size(&hit, size);
		prog_publish(&hit);
		serve_send(client, HIT);
		cr_assert_gt(poll(ends, 2, SERVE_WAIT_MS), 0, "nobody answers for %zu bytes", size);
		if (ends[0].revents)
			serve_expect_entry(client, &hit, false, false);
		else
			serve_expect(serve_accept(POOL_A, SERVE_V4), HIT);
	}
}

/* A backlog of 1 has room for two connections. */
Test(sock_handover_full, full_accept_queue_delays_but_resets_nobody)
{
	int clients[5], workers[5], i;

	serve_start_with_backlog(1);
	for (i = 0; i < 5; i++) {
		clients[i] = serve_connect(SERVE_V4);
		serve_send(clients[i], REQUEST);
	}
	cr_assert_eq(serve_counted(WEIR_VERDICT_RST) + serve_counted(WEIR_VERDICT_PASS_NO_FLOW), 0);
	for (i = 0; i < 5; i++) {
		workers[i] = serve_accept(POOL_A, SERVE_V4); /* the later ones by retransmission */
		serve_expect(workers[i], REQUEST);
		serve_send(workers[i], "ok");
	}
	for (i = 0; i < 5; i++)
		serve_expect(clients[i], "ok");
	cr_assert_gt(serve_counted(WEIR_VERDICT_HANDOVER), 5);
	cr_assert(serve_is_quiet(POOL_A));
}

Test(sock_handover_full, without_a_listener_the_client_waits)
{
	int client, worker;

	serve_start();
	for (worker = 0; worker < SERVE__MAX; worker++) {
		close(serve.listeners[POOL_B][worker]);
		shutdown(serve.listeners[POOL_A][worker], SHUT_RDWR);
	}
	serve.listeners[POOL_B][SERVE_V4] = serve.listeners[POOL_A][SERVE_V4];
	client = serve_connect(SERVE_V4);
	serve_send(client, REQUEST);
	serve_wait(serve_counted(WEIR_VERDICT_TC_NO_LISTENER) > 0);
	cr_assert(!listen(serve.listeners[POOL_A][SERVE_V4], 64));
	worker = serve_accept(POOL_A, SERVE_V4);
	serve_expect(worker, REQUEST);
}
