// SPDX-License-Identifier: GPL-2.0
/* The URL namespace as the kernel searches it: the table that the user-space router is tested with, and random
 * prefixes, through weir_route_compile() and the kernel's maps to the pool of the flow. bpf/lib/route.h. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "harness/prog_run.h"
#include "route/route.h"
#include "unit/route/cases.h"

PROG_TESTS(xdp_route);

#define TABLE 7
#define POOL_DEFAULT 200 /* for what no prefix matches */

static struct weir_config config;
static struct weir_route_table *table;

static void put_endpoint(const struct weir_conf_listen *l, uint8_t buckets, uint16_t number)
{
	struct weir_endpoint_key k = { .addr = l->addr, .port = htons(l->port) };
	struct weir_endpoint e = { .id = l->id, .pool = POOL_DEFAULT, .flags = WEIR_ENDPOINT_HTTP, .buckets = buckets,
				   .table = number };
	uint32_t id = l->id, word = l->port / 64;
	uint64_t bits = 1ULL << l->port % 64;

	prog_put(prog.endpoints, &k, &e);
	prog_put(prog.ep_by_id, &id, &e);
	prog_put(prog.ports, &word, &bits);
}

/* Pool n + 1 has prefix n. */
static void set_up(const char *const *prefixes, size_t count)
{
	struct weir_secrets secrets = prog_secrets();
	struct weir_route_compiled compiled;
	struct weir_conf_listen found[2];
	const char *why;
	size_t i;

	prog_set_up();
	config.listens = calloc(ARRAY_SIZE(route_listens), sizeof(*config.listens));
	config.prefixes = calloc(count + 1, sizeof(*config.prefixes));
	for (i = 0; i < ARRAY_SIZE(route_listens); i++) {
		cr_assert_eq(weir_conf_listen_parse(route_listens[i], found, &why), 1);
		config.listens[i] = found[0];
		config.listens[i].id = (uint16_t)i;
	}
	config.listens_count = i;
	for (i = 0; i < count && prefixes[i]; i++) {
		cr_assert_eq(weir_conf_prefix_parse(prefixes[i], &config.prefixes[i], &why), 0, "%s", prefixes[i]);
		config.prefixes[i].id = (uint32_t)i;
		config.prefixes[i].pool = (uint16_t)(i + 1);
	}
	config.prefixes_count = i;
	cr_assert_eq(weir_route_build(&config, &table), 0);
	cr_assert_eq(weir_route_compile(&config, (const uint64_t *)secrets.cache_key, TABLE, &compiled), 0);
	for (i = 0; i < compiled.routes_count; i++)
		prog_put(prog.routes, &compiled.routes[i].key, &compiled.routes[i].value);
	for (i = 0; i < compiled.hosts_count; i++)
		prog_put(prog.hosts, &compiled.hosts[i].key, &compiled.hosts[i].value);
	for (i = 0; i < config.listens_count; i++)
		put_endpoint(&config.listens[i], compiled.buckets[i], TABLE);
	weir_route_compiled_fini(&compiled);
}

static void tear_down(void)
{
	size_t i;

	table = weir_route_free(table);
	for (i = 0; i < config.prefixes_count; i++)
		weir_conf_prefix_fini(&config.prefixes[i]);
	free(config.prefixes);
	free(config.listens);
}

/* The pool that XDP finds for a request; 0: it leaves host and target to a worker. */
static uint16_t ask(unsigned endpoint, const char *host, const char *path)
{
	const struct weir_conf_listen *l = &config.listens[endpoint];
	struct packet p = prog_packet(l->is_v6);
	struct weir_flow f = {
		.rcv_nxt = 1000,
		.snd_nxt = 2000,
		.snd_una = 2000,
		.endpoint = l->id,
		.mss = 1460,
		.window = 60000,
		.owner = WEIR_OWNER_XDP,
	};
	struct prog_result r;
	char text[1024];

	(void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
	p.server = l->addr;
	p.server_port = l->port;
	p.seq = f.rcv_nxt;
	p.ack = f.snd_nxt;
	prog_flow_put(&p, &f);
	p = prog_request(&p, text);
	prog_run(&p, &r);
	assert_verdict(&r, WEIR_VERDICT_HANDOVER);
	cr_assert(prog_flow(&p, &f));
	cr_assert_eq(r.meta.pool, f.pool);
	if (r.miss == WEIR_MISS_TARGET || r.miss == WEIR_MISS_HOST || r.miss == WEIR_MISS_VERSION) {
		cr_assert_eq(f.pool, POOL_DEFAULT);
		return 0;
	}
	cr_assert_eq(r.miss == WEIR_MISS_NO_ROUTE, f.pool == POOL_DEFAULT);
	return f.pool;
}

Test(xdp_route, each_case_of_the_table_finds_its_pool)
{
	size_t i, n, compared = 0;

	for (i = 0; i < ARRAY_SIZE(route_cases); i++) {
		const struct route_case *c = &route_cases[i];
		uint16_t pool, expected = POOL_DEFAULT;

		set_up(c->prefixes, ROUTE_PREFIXES_MAX);
		for (n = 0; c->expected && n < config.prefixes_count; n++)
			if (!strcmp(config.prefixes[n].text, c->expected))
				expected = config.prefixes[n].pool;
		pool = ask(c->endpoint, c->host, c->path);
		if (pool) {
			compared++;
			cr_expect_eq(pool, expected, "%s: pool %u instead of %u", c->what, pool, expected);
		}
		tear_down();
	}
	cr_assert_gt(compared, ARRAY_SIZE(route_cases) * 3 / 4, "%zu", compared);
}

static void random_path(char *buf, unsigned depth_max, bool is_prefix)
{
	static const char *const segments[] = {
		"a", "b", "ab", "a-b", "a.b", "A", "aa", "0", "a-segment-of-more-than-thirty-two-bytes",
	};
	unsigned n = (unsigned)rand() % (depth_max + 1);

	strcpy(buf, "/");
	while (n--) {
		strcat(buf, segments[(size_t)rand() % ARRAY_SIZE(segments)]);
		if (n || is_prefix || rand() % 2)
			strcat(buf, "/");
	}
}

Test(xdp_route, random_requests_find_what_user_space_finds)
{
	static const char *const hosts[] = {
		"+", "*", "a.example", "b.example", "*.example", "*.a.example", "192.0.2.1", "[2001:db8::1]",
	};
	static const char *const asked[] = {
		"a.example", "b.example", "c.example", "x.a.example", "example", "192.0.2.1",
	};
	unsigned round, i, routed = 0;

	srand(11);
	for (round = 0; round < 20; round++) {
		char texts[30][256], path[256];
		const char *prefixes[30];
		unsigned count = 0;

		while (count < ARRAY_SIZE(prefixes)) {
			random_path(path, 4, true);
			(void)snprintf(texts[count], sizeof(texts[0]), "http://%s:%d%.200s",
				       hosts[(size_t)rand() % ARRAY_SIZE(hosts)], rand() % 4 ? 80 : 8080, path);
			for (i = 0; i < count && strcmp(prefixes[i], texts[count]); i++)
				;
			prefixes[count] = texts[count];
			count += i == count;
		}
		set_up(prefixes, count);
		for (i = 0; i < 100; i++) {
			unsigned endpoint = (unsigned)rand() % ARRAY_SIZE(route_listens);
			const struct weir_conf_listen *l = &config.listens[endpoint];
			const char *host = asked[(size_t)rand() % ARRAY_SIZE(asked)];
			const struct weir_conf_prefix *p = NULL;
			struct weir_route_found found;
			uint16_t pool;

			random_path(path, 5, false);
			if (weir_route_find(table, l->port, &l->addr, host, strlen(host), path, strlen(path), &found))
				p = &config.prefixes[found.id];
			pool = ask(endpoint, host, path);
			cr_assert_eq(pool, p ? p->pool : POOL_DEFAULT, "http://%s%s at %s: pool %u, %s", host, path,
				     l->text, pool, p ? p->text : "none");
			routed += p != NULL;
		}
		tear_down();
	}
	cr_assert_gt(routed, 1000, "%u", routed);
}

/* The query is no part of the path that is routed. */
Test(xdp_route, query_does_not_take_part)
{
	static const char *const prefixes[] = { "http://*:80/", "http://*:80/a/", "http://*:80/a/b/" };

	set_up(prefixes, 3);
	cr_assert_eq(ask(0, "h", "/a?/b/"), 2);
	cr_assert_eq(ask(0, "h", "/?/a/b/"), 1);
	cr_assert_eq(ask(0, "h", "/a/b?x"), 3);
	tear_down();
}

Test(xdp_route, request_that_xdp_cannot_read_goes_to_the_default_pool)
{
	static const char *const prefixes[] = { "http://*:80/" };

	set_up(prefixes, 1);
	cr_assert_eq(ask(0, "h", "/%61"), 0);
	cr_assert_eq(ask(0, "h h", "/"), 0);
	tear_down();
}

/* How a reload swaps the table: all rows of the next one are there before an endpoint takes it. */
Test(xdp_route, endpoint_sees_the_table_that_it_names_and_no_other)
{
	static const char *const prefixes[] = { "http://*:80/", "http://*:80/a/", "http://h.example:80/" };
	struct weir_secrets secrets = prog_secrets();
	struct weir_route_compiled next;
	size_t i;

	set_up(prefixes, 3);
	config.prefixes[1].pool = 21;
	config.prefixes[2].pool = 22;
	cr_assert_eq(weir_route_compile(&config, (const uint64_t *)secrets.cache_key, TABLE + 1, &next), 0);
	for (i = 0; i < next.routes_count; i++)
		prog_put(prog.routes, &next.routes[i].key, &next.routes[i].value);
	cr_expect_eq(ask(0, "x", "/a/b"), 2);
	for (i = 0; i < next.hosts_count; i++)
		prog_put(prog.hosts, &next.hosts[i].key, &next.hosts[i].value);
	cr_expect_eq(ask(0, "x", "/a/b"), 2);
	cr_expect_eq(ask(0, "h.example", "/"), 3);
	put_endpoint(&config.listens[0], next.buckets[0], TABLE + 1);
	cr_expect_eq(ask(0, "x", "/a/b"), 21);
	cr_expect_eq(ask(0, "h.example", "/"), 22);
	cr_expect_eq(ask(1, "x", "/a/b"), 2, "the next endpoint has its turn later");
	weir_route_compiled_fini(&next);
	tear_down();
}

Test(xdp_route, reserved_prefix_hides_weaker_buckets)
{
	static const char *const prefixes[] = { "http://+:80/app/", "http://*:80/" };
	struct weir_secrets secrets = prog_secrets();
	struct weir_route_compiled compiled;
	size_t i;

	set_up(prefixes, 2);
	config.prefixes[0].pool = 0;
	cr_assert_eq(weir_route_compile(&config, (const uint64_t *)secrets.cache_key, TABLE, &compiled), 0);
	for (i = 0; i < compiled.routes_count; i++)
		prog_put(prog.routes, &compiled.routes[i].key, &compiled.routes[i].value);
	cr_expect_eq(ask(0, "h", "/app/x"), POOL_DEFAULT);
	cr_expect_eq(ask(0, "h", "/app"), POOL_DEFAULT);
	cr_expect_eq(ask(0, "h", "/apple"), 2);
	weir_route_compiled_fini(&compiled);
	tear_down();
}
