// SPDX-License-Identifier: GPL-2.0
/* The table of cases and random prefixes, asked in both ways: weir_route_find(), and the compiled rows read as the
 * kernel reads its maps. */
#include "route/route.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "weir/key.h"

#include "unit/route/cases.h"

static const uint64_t secret[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

struct instance {
	struct weir_config config;
	struct weir_route_table *table;
	struct weir_route_compiled compiled;
};

static void set_up(struct instance *in, const char *const *prefixes, size_t count)
{
	struct weir_config *c = &in->config;
	const char *why;
	size_t i;

	memset(in, 0, sizeof(*in));
	c->listens_count = ARRAY_SIZE(route_listens);
	c->listens = calloc(c->listens_count, sizeof(*c->listens));
	c->prefixes = calloc(count + 1, sizeof(*c->prefixes));
	for (i = 0; i < c->listens_count; i++) {
		struct weir_conf_listen found[2];

		cr_assert_eq(weir_conf_listen_parse(route_listens[i], found, &why), 1);
		c->listens[i] = found[0];
		c->listens[i].id = (uint16_t)i;
	}
	for (i = 0; i < count && prefixes[i]; i++) {
		cr_assert_eq(weir_conf_prefix_parse(prefixes[i], &c->prefixes[i], &why), 0, "%s", prefixes[i]);
		c->prefixes[i].id = (uint32_t)i;
		c->prefixes[i].pool = (uint16_t)(i + 1);
	}
	c->prefixes_count = i;
	cr_assert_eq(weir_route_build(c, &in->table), 0);
	cr_assert_eq(weir_route_compile(c, secret, 3, &in->compiled), 0);
}

static void tear_down(struct instance *in)
{
	size_t i;

	weir_route_compiled_fini(&in->compiled);
	weir_route_free(in->table);
	for (i = 0; i < in->config.prefixes_count; i++)
		weir_conf_prefix_fini(&in->config.prefixes[i]);
	free(in->config.prefixes);
	free(in->config.listens);
}

/* --- the kernel's way --- */

static const struct weir_host *look_up_host(const struct weir_route_compiled *c, const struct weir_host_key *key)
{
	size_t i;

	for (i = 0; i < c->hosts_count; i++)
		if (!memcmp(&c->hosts[i].key, key, sizeof(*key)))
			return &c->hosts[i].value;
	return NULL;
}

static const struct weir_route *look_up_route(const struct weir_route_compiled *c, const struct weir_route_key *key)
{
	size_t i;

	for (i = 0; i < c->routes_count; i++)
		if (!memcmp(&c->routes[i].key, key, sizeof(*key)))
			return &c->routes[i].value;
	return NULL;
}

static bool bucket_digest(enum weir_bucket bucket, const struct weir_addr *local, const char *host, uint64_t *ret)
{
	const char *dot = strchr(host, '.');

	*ret = 0;
	switch (bucket) {
	case WEIR_BUCKET_HOST:
		*ret = weir_host_digest((const __u64 *)secret, host, (__u32)strlen(host));
		return true;
	case WEIR_BUCKET_SUBDOMAIN:
		if (!dot || dot == host || !dot[1])
			return false;
		*ret = weir_host_digest((const __u64 *)secret, dot + 1, (__u32)strlen(dot + 1));
		return true;
	case WEIR_BUCKET_IP:
		*ret = weir_host_digest((const __u64 *)secret, local, sizeof(*local));
		return true;
	default:
		return true;
	}
}

/* Chained digests of up to WEIR_DEPTH_MAX segments; returns how many there are. */
static unsigned path_digests(const char *path, uint64_t digests[WEIR_DEPTH_MAX + 1])
{
	const char *segment = path + 1;
	unsigned n = 0;

	digests[0] = 0;
	while (n < WEIR_DEPTH_MAX && *segment) {
		size_t bytes = strcspn(segment, "/");

		digests[n + 1] = weir_segment_digest((const __u64 *)secret, digests[n], segment, (__u32)bytes);
		segment += bytes + (segment[bytes] == '/');
		n++;
	}
	return n;
}

static const struct weir_route *kernel_find(const struct instance *in, unsigned endpoint, const char *host,
					    const char *path)
{
	uint64_t digests[WEIR_DEPTH_MAX + 1];
	unsigned segments = path_digests(path, digests);
	int bucket, depth;

	for (bucket = 0; bucket < WEIR_BUCKET__MAX; bucket++) {
		struct weir_host_key key = { .endpoint = (__u16)endpoint,
					     .table = in->compiled.table,
					     .bucket = (__u8)bucket };
		const struct weir_host *h;
		uint64_t digest;

		if (!(in->compiled.buckets[endpoint] & 1U << bucket) ||
		    !bucket_digest(bucket, &in->config.listens[endpoint].addr, host, &digest))
			continue;
		key.digest = digest;
		h = look_up_host(&in->compiled, &key);
		for (depth = (int)segments; h && depth >= 0; depth--) {
			struct weir_route_key rk = { .digest = digests[depth], .group = h->group,
						     .depth = (__u32)depth };
			const struct weir_route *r = h->depths & 1U << depth ? look_up_route(&in->compiled, &rk) : NULL;

			if (r)
				return r;
		}
	}
	return NULL;
}

/* --- both ways --- */

static const struct weir_conf_prefix *user_find(const struct instance *in, unsigned endpoint, const char *host,
						const char *path)
{
	const struct weir_conf_listen *l = &in->config.listens[endpoint];
	struct weir_route_found found;

	if (!weir_route_find(in->table, l->port, &l->addr, host, strlen(host), path, strlen(path), &found))
		return NULL;
	cr_assert_eq(found.pool, in->config.prefixes[found.id].pool);
	cr_assert_str_eq(found.path, in->config.prefixes[found.id].path);
	return &in->config.prefixes[found.id];
}

Test(route, each_case_of_the_table_finds_its_prefix)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(route_cases); i++) {
		const struct route_case *c = &route_cases[i];
		const struct weir_conf_prefix *p;
		const struct weir_route *r;
		struct instance in;

		set_up(&in, c->prefixes, ROUTE_PREFIXES_MAX);
		p = user_find(&in, c->endpoint, c->host, c->path);
		r = kernel_find(&in, c->endpoint, c->host, c->path);
		if (c->expected) {
			cr_expect(p && !strcmp(p->text, c->expected), "%s: found %s", c->what, p ? p->text : "nothing");
			cr_expect(r && p && r->id == p->id && r->pool == p->pool, "%s: kernel rows differ", c->what);
		} else {
			cr_expect_null(p, "%s: found %s", c->what, p ? p->text : "");
			cr_expect_null(r, "%s: kernel rows found one", c->what);
		}
		tear_down(&in);
	}
}

static const char *pick(const char *const *words, size_t count)
{
	return words[(size_t)rand() % count];
}

static void random_path(char *buf, unsigned depth_max, bool is_prefix)
{
	static const char *const segments[] = { "a", "b", "ab", "a-b", "a.b", "A", "aa", "0" };
	unsigned n = (unsigned)rand() % (depth_max + 1);

	strcpy(buf, "/");
	while (n--) {
		strcat(buf, pick(segments, ARRAY_SIZE(segments)));
		if (n || is_prefix || rand() % 2)
			strcat(buf, "/");
		if (!is_prefix && rand() % 16 == 0)
			strcat(buf, "/");
	}
}

Test(route, random_requests_find_the_same_in_table_and_rows)
{
	static const char *const hosts[] = { "+", "*", "a.example", "b.example", "*.example", "*.a.example",
					     "192.0.2.1", "192.0.2.2", "[2001:db8::1]" };
	static const char *const asked[] = { "", "a.example", "b.example", "c.example", "x.a.example", "example",
					     "192.0.2.1" };
	unsigned round, i, hits = 0;

	srand(7);
	for (round = 0; round < 50; round++) {
		char texts[40][160], path[128];
		const char *prefixes[40];
		struct instance in;
		unsigned count = 0;

		while (count < ARRAY_SIZE(prefixes)) {
			random_path(path, 4, true);
			snprintf(texts[count], sizeof(texts[0]), "http://%s:%d%s", pick(hosts, ARRAY_SIZE(hosts)),
				 rand() % 4 ? 80 : 8080, path);
			for (i = 0; i < count && strcmp(prefixes[i], texts[count]); i++)
				;
			prefixes[count] = texts[count];
			count += i == count;
		}
		set_up(&in, prefixes, count);
		for (i = 0; i < 400; i++) {
			unsigned endpoint = (unsigned)rand() % ARRAY_SIZE(route_listens);
			const char *host = pick(asked, ARRAY_SIZE(asked));
			const struct weir_conf_prefix *p;
			const struct weir_route *r;

			random_path(path, 5, false);
			p = user_find(&in, endpoint, host, path);
			r = kernel_find(&in, endpoint, host, path);
			cr_assert_eq(!p, !r, "%s %s", host, path);
			cr_assert(!p || p->id == r->id, "%s %s: %s", host, path, p->text);
			hits += p != NULL;
		}
		tear_down(&in);
	}
	cr_assert_gt(hits, 5000, "the cases must find something: %u", hits);
}

Test(route, same_prefix_twice_is_refused)
{
	static const char *const same[] = { "http://h.example:80/a/", "http://H.example:80/a/" };
	struct weir_conf_prefix prefixes[2] = {};
	struct weir_config c = { .prefixes = prefixes, .prefixes_count = 2 };
	struct weir_route_table *t = NULL;
	const char *why;

	cr_assert_eq(weir_conf_prefix_parse(same[0], &prefixes[0], &why), 0);
	cr_assert_eq(weir_conf_prefix_parse(same[1], &prefixes[1], &why), 0);
	cr_assert_eq(weir_route_build(&c, &t), -EEXIST);
	cr_assert_null(t);
	weir_conf_prefix_fini(&prefixes[0]);
	weir_conf_prefix_fini(&prefixes[1]);
}

Test(route, ten_thousand_prefixes_compile_and_are_found)
{
	enum { COUNT = 10000 };
	char(*texts)[64] = calloc(COUNT, sizeof(*texts)), path[64];
	const char **prefixes = calloc(COUNT, sizeof(*prefixes));
	struct instance in;
	unsigned i;

	for (i = 0; i < COUNT; i++) {
		snprintf(texts[i], sizeof(texts[i]), "http://*:80/app%u/", i);
		prefixes[i] = texts[i];
	}
	set_up(&in, prefixes, COUNT);
	cr_assert_eq(in.compiled.routes_count, (size_t)COUNT);
	cr_assert_eq(in.compiled.hosts_count, 3, "one group on three endpoints with port 80");
	for (i = 0; i < COUNT; i += 97) {
		const struct weir_conf_prefix *p;

		snprintf(path, sizeof(path), "/app%u/x", i);
		p = user_find(&in, 0, "h", path);
		cr_assert(p && p->id == i);
	}
	tear_down(&in);
	free(texts);
	free(prefixes);
}

Test(route, too_many_host_rows_are_refused)
{
	enum { COUNT = WEIR_HOSTS_MAX / 5 + 1 };
	struct weir_config c = {};
	struct weir_route_compiled out = {};
	const char *why;
	unsigned i;

	c.listens = calloc(5, sizeof(*c.listens));
	c.prefixes = calloc(COUNT, sizeof(*c.prefixes));
	for (c.listens_count = 0; c.listens_count < 5; c.listens_count++)
		c.listens[c.listens_count] =
			(struct weir_conf_listen){ .port = 80, .id = (uint16_t)c.listens_count };
	for (i = 0; i < COUNT; i++) {
		char text[64];

		snprintf(text, sizeof(text), "http://h%u.example:80/", i);
		cr_assert_eq(weir_conf_prefix_parse(text, &c.prefixes[i], &why), 0);
	}
	c.prefixes_count = COUNT;
	cr_assert_eq(weir_route_compile(&c, secret, 0, &out), -E2BIG);
	cr_assert_null(out.hosts);
	for (i = 0; i < COUNT; i++)
		weir_conf_prefix_fini(&c.prefixes[i]);
	free(c.prefixes);
	free(c.listens);
}
