/* SPDX-License-Identifier: GPL-2.0 */
/* A pool slot with real cache and ticket maps but without XDP: what it publishes, withdraws, offers and takes back.
 * The test plays the kernel side. Needs root to make maps. */
#include <criterion/criterion.h>

#include "slot.h"

#include <linux/bpf.h>
#include <sys/syscall.h>

#include "weir/flow.h"
#include "weir/key.h"

#include "cache/cache.h"
#include "common/bpf_map.h"

static struct test_slot slot;
static struct answer answer;

static int make_map(uint32_t key_bytes, uint32_t value_bytes)
{
	union bpf_attr attr = { 0 };

	attr.map_type = BPF_MAP_TYPE_LRU_HASH;
	attr.key_size = key_bytes;
	attr.value_size = value_bytes;
	attr.max_entries = 256;
	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static void init(void)
{
	slot_init(&slot, 3);
	slot_file(&slot, "hello.txt", "hello world\n", 12);
	slot.setup.cache_fds[WEIR_CLASS_S] = make_map(16, sizeof(struct weir_entry_s));
	slot.setup.cache_fds[WEIR_CLASS_M] = make_map(16, sizeof(struct weir_entry_m));
	slot.setup.cache_fds[WEIR_CLASS_L] = make_map(16, sizeof(struct weir_entry_l));
	slot_share(&slot);
	if (slot.setup.cache_fds[WEIR_CLASS_S] < 0)
		cr_skip("maps can be made by root only");
}

static void start(void)
{
	init();
	slot_start(&slot);
}

static void stop(void)
{
	if (slot.keeper)
		cr_assert_eq(slot_stop(&slot), 0);
	else
		slot_fini(&slot);
}

TestSuite(published, .init = start, .fini = stop, .timeout = 30);
TestSuite(published_own, .init = init, .fini = stop, .timeout = 30);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: A.Test:80\r\n\r\n"

static void in_root(const char *commands)
{
	char text[512];

	snprintf(text, sizeof(text), "cd %s && { %s; }", slot.root, commands);
	cr_assert_eq(system(text), 0, "%s", commands);
}

static struct weir_cache_key key_of(const char *target)
{
	struct weir_cache_key key;

	weir_key_make((const __u64 *)slot.setup.cache_secret, 0, 0, "a.test", 6, target, (__u16)strlen(target), &key);
	return key;
}

static bool is_published(const char *target, enum weir_class class)
{
	static struct weir_entry_l entry;
	struct weir_cache_key key = key_of(target);

	return weir_bpf_map_lookup(slot.setup.cache_fds[class], &key, &entry) == 0;
}

/* Waits for a key to come or to go. */
static bool becomes(const char *target, enum weir_class class, bool wanted)
{
	uint64_t until = weir_now_ms() + 1000;

	while (is_published(target, class) != wanted) {
		if (weir_now_ms() > until)
			return false;
		(void)poll(NULL, 0, 2);
	}
	return true;
}

static struct weir_ticket *slot_of(int fd)
{
	struct weir_flow_key key = client_flow(&slot, fd);

	return slot_ticket(&slot, &key);
}

static bool has_ticket(int fd, struct weir_ticket *ret)
{
	struct weir_flow_key key = client_flow(&slot, fd);

	*ret = *slot_of(fd);
	return (ret->state & 0xff) == WEIR_TICKET_OFFERED && memcmp(&ret->key, &key, sizeof(key)) == 0;
}

Test(published, entry_is_the_response_without_its_date)
{
	struct weir_cache_key key = key_of("/hello.txt");
	struct weir_entry_s e;
	char date[WEIR_DATE_BYTES] = { 0 };
	int fd = client_open(&slot);
	char *sent_date;

	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	cr_assert_eq(weir_bpf_map_lookup(slot.setup.cache_fds[WEIR_CLASS_S], &key, &e), 0);
	cr_assert_eq(e.head.whole.bytes, strlen(answer.head));
	cr_assert_eq(e.head.body_bytes, 12);
	cr_assert_eq(memcmp(e.bytes + e.head.whole.bytes, "hello world\n", 12), 0);
	cr_assert_eq(memcmp(e.bytes + e.head.whole.date_off, date, sizeof(date)), 0);
	cr_assert_eq(memcmp(e.bytes + e.head.whole.conn_off, "keep-alive\r\n\r\n", 14), 0);
	sent_date = strstr(answer.head, "Date: ") + 6;
	cr_assert_eq(sent_date - answer.head, e.head.whole.date_off);
	memset(sent_date, 0, WEIR_DATE_BYTES);
	cr_assert_eq(memcmp(e.bytes, answer.head, e.head.whole.bytes), 0);
	cr_assert_eq(e.head.whole.sum, weir_cache_sum(e.bytes, e.head.whole.bytes));
	cr_assert_neq(e.head.generation, 0);
	cr_assert_eq(e.head.generation, e.generation_end);
	cr_assert_eq(memcmp(e.head.url, "a.test/hello.txt", e.head.url_bytes), 0);
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, published), 1);
	close(fd);
}

Test(published, ticket_counts_every_byte_of_the_connection)
{
	struct weir_ticket ticket;
	int fd = client_open(&slot);
	size_t sent;

	cr_assert_eq(client_ask(fd, GET("/nothing"), &answer), 404);
	sent = strlen(answer.head) + answer.body_bytes;
	cr_assert(has_ticket(fd, &ticket));
	cr_assert_eq(ticket.consumed, strlen(GET("/nothing")));
	cr_assert_eq(ticket.sent, sent);
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	sent += strlen(answer.head) + answer.body_bytes;
	cr_assert(has_ticket(fd, &ticket));
	cr_assert_eq(ticket.consumed, strlen(GET("/nothing")) + strlen(GET("/hello.txt")));
	cr_assert_eq(ticket.sent, sent);
	close(fd);
}

Test(published, ticket_goes_with_its_connection)
{
	struct weir_ticket *ticket;
	int fd = client_open(&slot), i;

	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	ticket = slot_of(fd);
	close(fd);
	for (i = 0; i < 500 && __atomic_load_n(&ticket->state, __ATOMIC_ACQUIRE) != WEIR_TICKET_EMPTY; i++)
		(void)poll(NULL, 0, 2);
	cr_assert_eq(ticket->state, WEIR_TICKET_EMPTY);
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, recalled), 0);
}

Test(published, connection_that_is_not_idle_is_not_offered)
{
	static const char *const requests[] = {
		"GET /hello.txt HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
		"GET /hello.txt HTTP/1.0\r\nHost: a.test\r\n\r\n",
		"GET /hello.txt HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n",
		"GET /hello.txt HTTP/1.1\r\nHost: a.test\r\n\r\nGET /hello.txt",
		"GET /hello.txt HTTP/1.1\r\nHost : a.test\r\n\r\n",
	};
	struct weir_ticket ticket;
	size_t i;

	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		int fd = client_open(&slot);

		cr_assert_gt(client_ask(fd, requests[i], &answer), 0);
		cr_assert_not(has_ticket(fd, &ticket), "%s", requests[i]);
		close(fd);
	}
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, tickets), 0);
}

Test(published, request_that_decides_more_than_its_url_fills_nothing)
{
	static const char *const requests[] = {
		"GET /hello.txt HTTP/1.1\r\nHost: a.test\r\nAuthorization: x\r\n\r\n",
		"GET /hello.txt HTTP/1.1\r\nHost: a.test\r\nRange: bytes=0-1\r\n\r\n",
		"GET /hello.txt HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip;q=0.5, identity\r\n\r\n",
		"GET /hello.txt HTTP/1.1\r\nHost: a.test\r\nIf-None-Match: \"a\", \"b\"\r\n\r\n",
		"GET /./hello.txt HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET /hello%2etxt HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"HEAD /hello.txt HTTP/1.1\r\nHost: a.test\r\n\r\n",
	};
	int fd = client_open(&slot);
	size_t i;

	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		cr_assert_lt(client_ask(fd, requests[i], &answer), 300, "%s", requests[i]);
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, published), 0);
	close(fd);
}

Test(published, class_is_the_smallest_that_fits)
{
	static char bytes[16384];
	int fd = client_open(&slot);

	slot_file(&slot, "m.bin", bytes, 2000);
	slot_file(&slot, "l.bin", bytes, 10000);
	slot_file(&slot, "x.bin", bytes, 16384);
	cr_assert_eq(client_ask(fd, GET("/m.bin"), &answer), 200);
	cr_assert_eq(client_ask(fd, GET("/l.bin"), &answer), 200);
	cr_assert_eq(client_ask(fd, GET("/x.bin"), &answer), 200);
	cr_assert(is_published("/m.bin", WEIR_CLASS_M) && !is_published("/m.bin", WEIR_CLASS_S));
	cr_assert(is_published("/l.bin", WEIR_CLASS_L));
	cr_assert_not(is_published("/x.bin", WEIR_CLASS_L));
	cr_assert(is_published("/x.bin", WEIR_CLASS_S), "its head is");
	close(fd);
}

/* For HEAD, and for who has the file already. */
Test(published, head_of_a_file_of_any_size_is)
{
	struct weir_cache_key key = key_of("/large.bin");
	struct weir_entry_s e;
	int fd = client_open(&slot);

	in_root("truncate -s 10M large.bin");
	cr_assert_eq(client_ask(fd, "HEAD /large.bin HTTP/1.1\r\nHost: a.test\r\n\r\n", &answer), 200);
	cr_assert_not(is_published("/large.bin", WEIR_CLASS_S));
	cr_assert_eq(
		client_ask(
			fd,
			"GET /large.bin HTTP/1.1\r\nHost: a.test\r\nIf-None-Match: \"x\"\r\nRange: bytes=0-0\r\n\r\n",
			&answer),
		206);
	cr_assert_not(is_published("/large.bin", WEIR_CLASS_S));
	cr_assert_eq(client_ask(fd,
				"GET /large.bin HTTP/1.1\r\nHost: a.test\r\n"
				"If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT\r\n\r\n",
				&answer),
		     304);
	cr_assert_eq(weir_bpf_map_lookup(slot.setup.cache_fds[WEIR_CLASS_S], &key, &e), 0);
	cr_expect_eq(e.head.flags, WEIR_ENTRY_HEAD_ONLY | WEIR_ENTRY_IGNORE_REQUEST);
	cr_expect_eq(e.head.object_bytes, 10 << 20);
	cr_expect_gt(e.head.etag_bytes, 2);
	/* the 304 that was sent, but for its Date */
	memset(strstr(answer.head, "Date: ") + 6, 0, WEIR_DATE_BYTES);
	cr_expect_eq(e.head.cond.bytes, e.head.cond.conn_off + 14);
	cr_expect_eq(memcmp(e.head.cond_head, answer.head, e.head.cond.bytes), 0);
	close(fd);
	slot_file(&slot, "large.bin", "now it is small", 15);
	cr_assert(becomes("/large.bin", WEIR_CLASS_S, false));
}

Test(published_own, cache_status_is_added_where_it_is_wanted)
{
	struct weir_cache_key key = key_of("/hello.txt");
	struct weir_entry_s e;
	int fd;

	slot.pools[0].cache_status = true;
	slot_start(&slot);
	fd = client_open(&slot);
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	cr_expect_null(strstr(answer.head, "Cache-Status"), "a worker gave it");
	cr_assert_eq(weir_bpf_map_lookup(slot.setup.cache_fds[WEIR_CLASS_S], &key, &e), 0);
	cr_expect_not_null(memmem(e.bytes, e.head.whole.bytes, "\r\nCache-Status: weir-kernel; hit\r\n\r\n", 36));
	cr_expect_not_null(
		memmem(e.head.cond_head, e.head.cond.bytes, "\r\nCache-Status: weir-kernel; hit\r\n\r\n", 36));
	close(fd);
}

Test(published, every_kind_of_change_withdraws)
{
	static const char *const changes[] = {
		"echo more >> d/e/f.txt",
		"touch d/e/f.txt",
		"chmod 600 d/e/f.txt; chmod 644 d/e/f.txt",
		"mv d/e/f.txt d/e/g.txt; cp d/e/g.txt d/e/f.txt",
		"rm d/e/f.txt; echo x > d/e/f.txt",
		"mv d d2; cp -r d2 d; rm -r d2",
		"mv d/e d/e2; cp -r d/e2 d/e; rm -r d/e2",
		"ln d/e/f.txt hard; echo more >> hard; rm hard",
	};
	size_t i;

	in_root("mkdir -p d/e; echo one > d/e/f.txt");
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		int fd = client_open(&slot);

		/* events of the change before may still come in while the file is read */
		do {
			cr_assert_eq(client_ask(fd, GET("/d/e/f.txt"), &answer), 200, "%s", changes[i]);
		} while (!is_published("/d/e/f.txt", WEIR_CLASS_S));
		in_root(changes[i]);
		cr_assert(becomes("/d/e/f.txt", WEIR_CLASS_S, false), "withdrawn after: %s", changes[i]);
		close(fd);
	}
}

Test(published, index_gives_way_to_a_better_name)
{
	int fd = client_open(&slot);
	struct weir_ticket ticket;

	slot_file(&slot, "index.html", "one", 3);
	cr_assert_eq(client_ask(fd, GET("/"), &answer), 200);
	cr_assert_str_eq(answer.body, "one");
	cr_assert(has_ticket(fd, &ticket));
	slot_file(&slot, "index.html", "two", 3);
	cr_assert(becomes("/", WEIR_CLASS_S, false));
	cr_assert_eq(client_ask(fd, GET("/"), &answer), 200);
	cr_assert_str_eq(answer.body, "two");
	close(fd);
}

Test(published, file_behind_a_symbolic_link_is_not)
{
	int fd = client_open(&slot);

	in_root("ln -s hello.txt link; ln -s /etc/passwd out");
	cr_assert_eq(client_ask(fd, GET("/link"), &answer), 200);
	cr_assert_eq(client_ask(fd, GET("/out"), &answer), 403);
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, published), 0);
	close(fd);
}

Test(published, evicted_entry_is_published_again)
{
	struct weir_cache_key key = key_of("/hello.txt");
	int fd = client_open(&slot);

	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	cr_assert_eq(weir_bpf_map_delete(slot.setup.cache_fds[WEIR_CLASS_S], &key), 0);
	(void)poll(NULL, 0, WEIR_CACHE_REPEAT_MS + 20);
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	cr_assert(is_published("/hello.txt", WEIR_CLASS_S));
	close(fd);
}

Test(published, keys_of_one_file_are_limited)
{
	char request[128];
	struct weir_cache_key key;
	int fd = client_open(&slot), i, n = 0;

	for (i = 0; i < 3 * WEIR_CACHE_KEYS_MAX; i++) {
		snprintf(request, sizeof(request), "GET /hello.txt?%d HTTP/1.1\r\nHost: a.test\r\n\r\n", i);
		cr_assert_eq(client_ask(fd, request, &answer), 200);
	}
	for (i = weir_bpf_map_next_key(slot.setup.cache_fds[0], NULL, &key); i == 0; n++)
		i = weir_bpf_map_next_key(slot.setup.cache_fds[0], &key, &key);
	cr_assert_leq(n, WEIR_CACHE_KEYS_MAX);
	slot_file(&slot, "hello.txt", "x", 1);
	cr_assert(becomes("/hello.txt?190", WEIR_CLASS_S, false));
	close(fd);
}

Test(published, crash_empties_the_cache)
{
	int fd = client_open(&slot);
	pid_t pid;

	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	pid = (pid_t)weir_metrics_get(slot.setup.metrics, worker_pid);
	cr_assert(is_published("/hello.txt", WEIR_CLASS_S));
	kill(pid, SIGSEGV);
	cr_assert(becomes("/hello.txt", WEIR_CLASS_S, false));
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	close(fd);
}

/* The test takes the ticket, as XDP does when it seizes a connection. */
Test(published_own, taken_connection_is_not_closed_by_us)
{
	struct weir_ticket *ticket;
	struct pollfd p;
	struct linger reset = { .l_onoff = 1 };
	int fd;

	slot.pools[0].keepalive_ms = 300;
	slot_start(&slot);
	fd = client_open(&slot);
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	ticket = slot_of(fd);
	ticket->state = (ticket->state & ~0xffu) | WEIR_TICKET_TAKEN;
	p = (struct pollfd){ .fd = fd, .events = POLLIN | POLLRDHUP };
	cr_assert_eq(poll(&p, 1, 1000), 0, "no FIN from a worker that has lost the connection");
	/* XDP resets the socket */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	cr_assert(reaches(&slot.setup.metrics->recalled, 1));
	cr_assert_eq(ticket->state, WEIR_TICKET_EMPTY);
	cr_assert_eq(weir_metrics_get(slot.setup.metrics, closed), 0);
}

Test(published_own, stop_leaves_neither_entries_nor_tickets)
{
	struct weir_cache_key first;
	struct weir_ticket ticket;
	int fd, status;

	slot_start(&slot);
	fd = client_open(&slot);
	cr_assert_eq(client_ask(fd, GET("/hello.txt"), &answer), 200);
	kill(slot.keeper, SIGTERM);
	waitpid(slot.keeper, &status, 0);
	cr_assert_not(has_ticket(fd, &ticket));
	cr_assert_eq(weir_bpf_map_next_key(slot.setup.cache_fds[0], NULL, &first), -ENOENT);
	cr_assert_eq(client_end(fd), 0);
	close(fd);
	slot.keeper = 0;
}
