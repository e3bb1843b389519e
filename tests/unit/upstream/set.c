// SPDX-License-Identifier: GPL-2.0
/* Which server takes a request, which of them rest, and connections that are kept. The clock is the test's. */
#include "upstream/upstream.h"

#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SERVERS 4

static struct weir_conf_upstream servers[SERVERS];
static struct weir_conf_proxy conf;
static struct weir_up_shared shared[SERVERS];
static struct weir_up_set *set;

static void make(enum weir_balance balance, size_t count)
{
	const char *why;
	char text[32];
	size_t i;

	for (i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "127.0.0.1:%zu", 3000 + i);
		cr_assert_eq(weir_conf_upstream_parse(text, &servers[i], 1, &why), 1);
	}
	conf = (struct weir_conf_proxy){
		.servers = servers,
		.servers_count = count,
		.balance = balance,
		.keepalive = 2,
		.keepalive_idle_ms = 1000,
		.max_fails = 3,
		.fail_ms = 10000,
		.health_rise = 2,
		.health_fall = 3,
	};
	memset(shared, 0, sizeof(shared));
	cr_assert_eq(weir_up_set_new(&conf, shared, &set), 0);
}

static void drop(void)
{
	set = weir_up_set_free(set);
}

TestSuite(set, .fini = drop);

/* The index of the server that takes a request which ends at once. -1: none. */
static int ask(uint64_t hash, uint64_t tried, uint64_t now)
{
	bool is_busy;
	struct weir_up_server *s = weir_up_pick(set, hash, tried, now, &is_busy);

	if (!s)
		return -1;
	(void)weir_up_done(set, s, false, now);
	return (int)s->index;
}

static bool fail(unsigned server, uint64_t now)
{
	uint64_t others = ~(1ull << server);
	bool is_busy;
	struct weir_up_server *s = weir_up_pick(set, 0, others, now, &is_busy);

	cr_assert_not_null(s);
	return weir_up_done(set, s, true, now);
}

Test(set, round_robin_spreads_by_weight_and_evenly_in_time)
{
	int got[3] = { 0 }, last = -1, in_a_row = 0;
	size_t i;

	make(WEIR_BALANCE_ROUND_ROBIN, 3);
	servers[0].weight = 4;
	for (i = 0; i < 60; i++) {
		int s = ask(0, 0, 0);

		got[s]++;
		in_a_row = s == last ? in_a_row + 1 : 1;
		last = s;
		cr_assert_leq(in_a_row, 4);
	}
	cr_assert_eq(got[0], 40);
	cr_assert_eq(got[1], 10);
	cr_assert_eq(got[2], 10);
}

Test(set, least_conn_counts_by_weight)
{
	struct weir_up_server *held[6];
	unsigned count[2] = { 0 };
	bool is_busy;
	size_t i;

	make(WEIR_BALANCE_LEAST_CONN, 2);
	servers[0].weight = 2;
	for (i = 0; i < 6; i++) {
		held[i] = weir_up_pick(set, 0, 0, 0, &is_busy);
		count[held[i]->index]++;
	}
	cr_assert_eq(count[0], 4);
	cr_assert_eq(count[1], 2);
	for (i = 0; i < 6; i++)
		(void)weir_up_done(set, held[i], false, 0);
}

Test(set, hash_moves_only_the_keys_of_a_server_that_goes)
{
	unsigned counts[SERVERS] = { 0 };
	char key[16];
	int k;

	make(WEIR_BALANCE_HASH_URI, SERVERS);
	for (k = 0; k < 4000; k++) {
		uint64_t hash = weir_up_hash((struct weir_str){ key, (size_t)snprintf(key, sizeof(key), "/%d", k) });
		int first = ask(hash, 0, 0), without = ask(hash, 1, 0);

		counts[first]++;
		cr_assert_eq(ask(hash, 0, 0), first);
		cr_assert(first == 0 ? without != 0 : without == first);
	}
	for (k = 0; k < SERVERS; k++)
		cr_expect(counts[k] > 850 && counts[k] < 1150, "server %d has %u of 4000 keys", k, counts[k]);
}

Test(set, max_conns_is_obeyed)
{
	struct weir_up_server *a, *b;
	bool is_busy;

	make(WEIR_BALANCE_ROUND_ROBIN, 2);
	servers[0].max_conns = servers[1].max_conns = 1;
	a = weir_up_pick(set, 0, 0, 0, &is_busy);
	b = weir_up_pick(set, 0, 0, 0, &is_busy);
	cr_assert(a && b && a != b);
	cr_assert_null(weir_up_pick(set, 0, 0, 0, &is_busy));
	cr_assert(is_busy);
	(void)weir_up_done(set, a, false, 0);
	cr_assert_eq(weir_up_pick(set, 0, 0, 0, &is_busy), a);
	(void)weir_up_done(set, a, false, 0);
	(void)weir_up_done(set, b, false, 0);
}

Test(set, failures_within_the_time_make_a_server_rest)
{
	make(WEIR_BALANCE_ROUND_ROBIN, 2);
	cr_assert(!fail(0, 100000));
	cr_assert(!fail(0, 100001));
	cr_assert_eq(weir_up_shared_state(&shared[0], 100001), WEIR_UP_READY);
	cr_assert(fail(0, 100002));
	cr_assert_eq(weir_up_shared_state(&shared[0], 100002), WEIR_UP_RESTING);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(ask(0, 0, 100003), 1);
	cr_assert_eq(weir_up_shared_state(&shared[0], 110002), WEIR_UP_READY);
	cr_assert_neq(ask(0, 0, 110002), ask(0, 0, 110002));
	cr_assert_eq(shared[0].failures, 3);
}

Test(set, failures_far_apart_do_not)
{
	make(WEIR_BALANCE_ROUND_ROBIN, 1);
	for (uint64_t now = 100000; now < 500000; now += 6000)
		cr_assert(!fail(0, now));
}

Test(set, those_that_rest_are_asked_when_no_other_is_left_but_not_again)
{
	make(WEIR_BALANCE_ROUND_ROBIN, 2);
	conf.max_fails = 1;
	cr_assert(fail(0, 1000));
	cr_assert(fail(1, 1000));
	cr_assert_geq(ask(0, 0, 1001), 0);
	cr_assert_eq(ask(0, 1, 1001), -1, "not as a second try");
	cr_assert_eq(ask(0, 3, 1001), -1);
}

Test(set, health_checks_rise_and_fall)
{
	make(WEIR_BALANCE_ROUND_ROBIN, 2);
	cr_assert(!weir_up_note_check(&conf, &shared[0], false));
	cr_assert(!weir_up_note_check(&conf, &shared[0], false));
	cr_assert(!weir_up_note_check(&conf, &shared[0], true), "a good one starts the count anew");
	cr_assert(!weir_up_note_check(&conf, &shared[0], false));
	cr_assert(!weir_up_note_check(&conf, &shared[0], false));
	cr_assert(weir_up_note_check(&conf, &shared[0], false));
	cr_assert_eq(weir_up_shared_state(&shared[0], 0), WEIR_UP_DOWN);
	cr_assert_eq(ask(0, 0, 0), 1);
	cr_assert_eq(ask(0, 0, 0), 1);
	cr_assert(!weir_up_note_check(&conf, &shared[0], true));
	cr_assert(weir_up_note_check(&conf, &shared[0], true));
	cr_assert_eq(weir_up_shared_state(&shared[0], 0), WEIR_UP_READY);
}

/* A listening Unix socket as the only server; the kernel names it. */
static int listen_unix(void)
{
	struct sockaddr_un *a = (struct sockaddr_un *)&servers[0].addr;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	make(WEIR_BALANCE_ROUND_ROBIN, 1);
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	servers[0].addr_bytes = sizeof(sa_family_t);
	cr_assert_eq(bind(fd, (struct sockaddr *)a, servers[0].addr_bytes), 0);
	servers[0].addr_bytes = sizeof(servers[0].addr);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)a, &servers[0].addr_bytes), 0);
	cr_assert_eq(listen(fd, 16), 0);
	return fd;
}

Test(set, connections_are_kept_up_to_the_limit_and_the_time)
{
	int fd = listen_unix(), user, i;
	struct weir_up_server *s = &set->servers[0];
	struct weir_up_conn *c[3];

	for (i = 0; i < 3; i++)
		cr_assert_eq(weir_up_conn_open(set, s, &user, &c[i]), 0);
	for (i = 0; i < 3; i++)
		weir_up_conn_keep(set, c[i], 5000 + (uint64_t)i);
	cr_assert_eq(s->idle_count, 2);
	cr_assert_eq(weir_up_conn_take(set, s, &user), c[1], "the last one used comes first");
	cr_assert(c[1]->was_used && c[1]->user == &user);
	weir_up_expire(set, 5999, false);
	cr_assert_eq(s->idle_count, 1);
	weir_up_expire(set, 6000, false);
	cr_assert_eq(s->idle_count, 0);
	cr_assert_null(weir_up_conn_take(set, s, &user));
	weir_up_conn_close(set, c[1]);
	close(fd);
}

Test(set, an_event_on_an_idle_connection_ends_it)
{
	int fd = listen_unix(), user;
	struct weir_up_server *s = &set->servers[0];
	struct weir_up_conn *c;

	cr_assert_eq(weir_up_conn_open(set, s, &user, &c), 0);
	cr_assert_eq(weir_up_conn_stray(set, c), &user, "not while it is somebody's");
	weir_up_conn_keep(set, c, 0);
	cr_assert_null(weir_up_conn_stray(set, c));
	cr_assert_eq(s->idle_count, 0);
	cr_assert_null(weir_up_conn_stray(set, c), "a late event is harmless");
	close(fd);
}

Test(upstream_text, addresses)
{
	struct weir_conf_upstream u[4];
	const char *why;

	cr_assert_eq(weir_conf_upstream_parse("127.0.0.1:80 weight=5 max_conns=7", u, 4, &why), 1);
	cr_assert(u->weight == 5 && u->max_conns == 7 && !strcmp(u->text, "127.0.0.1:80"));
	cr_assert_eq(weir_conf_upstream_parse("[::1]:8080", u, 4, &why), 1);
	cr_assert_str_eq(u->text, "[::1]:8080");
	cr_assert_eq(u->addr.ss_family, AF_INET6);
	cr_assert_eq(weir_conf_upstream_parse("unix:/run/app.sock", u, 4, &why), 1);
	cr_assert_str_eq(u->text, "unix:/run/app.sock");
	cr_assert_geq(weir_conf_upstream_parse("localhost:3000", u, 4, &why), 1);
}

Test(upstream_text, mistakes)
{
	static const char *const wrong[] = { "",
					     "127.0.0.1",
					     ":80",
					     "127.0.0.1:0",
					     "127.0.0.1:99999",
					     "http://a:80",
					     "::1:80",
					     "unix:relative",
					     "unix:",
					     "127.0.0.1:80 weight=0",
					     "127.0.0.1:80 speed=9",
					     "127.0.0.1:80 max_conns=x",
					     "no.such.host.invalid:80" };
	struct weir_conf_upstream u[4];
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		why = NULL;
		cr_expect_eq(weir_conf_upstream_parse(wrong[i], u, 4, &why), -EINVAL, "'%s'", wrong[i]);
		cr_expect(why && *why, "'%s': no reason", wrong[i]);
	}
}
