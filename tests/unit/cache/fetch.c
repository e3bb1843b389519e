// SPDX-License-Identifier: GPL-2.0
/* From an origin's response to a stored object: what is kept of it, what a 304 makes of an old one, what an unsafe response
 * removes. */
#include "cache/fetch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HEAD(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"

static struct weir_conf_pool pool;
static struct weir_pool_cache pc;

static struct weir_str text(const char *s)
{
	return (struct weir_str){ s, strlen(s) };
}

static void begin(void)
{
	int fd;

	pool.cache = (struct weir_conf_cache){ .mode = WEIR_CACHE_ON, .max_object_kb = 100 };
	cr_assert_eq(weir_store_create(1 << 20, 4, &fd), 0);
	cr_assert_eq(weir_pool_cache_init(&pc, &pool, fd, NULL), 0);
	cr_assert_eq(weir_store_enter(pc.store, 1), 0);
	close(fd);
}

static void end(void)
{
	weir_pool_cache_fini(&pc);
}

TestSuite(fetch, .init = begin, .fini = end);

static struct weir_store_key *key_of(const char *target)
{
	static struct weir_store_key key;

	cr_assert_eq(weir_pool_cache_key(&pc, WEIR_STR("h"), text(target), 80, &key), 0);
	return &key;
}

static struct weir_fetch *start(const char *method, const char *target, const struct weir_hold *stale)
{
	const uint64_t variant[2] = {};
	const struct weir_fetch_request r = { .method = text(method),
					      .fields = WEIR_STR(""),
					      .host = WEIR_STR("h"),
					      .port = 80,
					      .key = key_of(target),
					      .variant = variant,
					      .stale = stale };
	struct weir_fetch *f;

	if (strcmp(method, "GET"))
		cr_assert_eq(weir_fetch_watch(&pc, &r, &f), 0);
	else
		cr_assert_eq(weir_fetch_new(&pc, &r, &f), 0);
	return f;
}

/* `fields`: of the origin; what a client gets is the same here. */
static enum weir_fetch_end fetch(const char *method, const char *target, unsigned status, const char *fields,
				 const char *body, const struct weir_hold *stale)
{
	struct weir_fetch *f = start(method, target, stale);
	char shown[2000];

	snprintf(shown, sizeof(shown), "HTTP/1.1 %u X\r\n%s\r\n", status, fields);
	(void)weir_fetch_head(f, status, text(fields), text(shown), UINT64_MAX);
	weir_fetch_body(f, text(body));
	return weir_fetch_end(f, true, false);
}

static bool find(const char *target, struct weir_hold *ret)
{
	return weir_store_find(pc.store, key_of(target), WEIR_STR(""), ret, NULL) == 0;
}

static bool has(const char *target)
{
	struct weir_hold h;
	bool is_there = find(target, &h);

	weir_hold_put(&h);
	return is_there;
}

static bool is_body(const struct weir_hold *h, const char *body)
{
	struct weir_str parts[WEIR_STORE_EXTENTS];
	unsigned n = weir_hold_body(h, 0, strlen(body), parts);

	return n == 1 && weir_str_eq(parts[0], text(body));
}

Test(fetch, what_is_kept_of_a_head)
{
	struct weir_object_view v;
	struct weir_hold h;

	cr_expect_eq(fetch("GET", "/a", 200,
			   "A: 1\r\nContent-Length: 5\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nAge: 3\r\n"
			   "Cache-Control: max-age=60, private=\"X-Own\"\r\nX-Own: 2\r\nCache-Tag: t1, t2\r\n"
			   "Surrogate-Key: t3  t4\r\nB: 3\r\n",
			   "hello", NULL),
		     WEIR_FETCH_STORED);
	cr_assert(find("/a", &h));
	weir_hold_view(&h, &v);
	cr_expect(weir_str_eq(v.head, WEIR_STR("HTTP/1.1 200 X\r\nA: 1\r\n"
					       "Cache-Control: max-age=60, private=\"X-Own\"\r\nB: 3\r\n")),
		  "%.*s", (int)v.head.n, v.head.p);
	cr_expect(weir_str_eq(v.tags, WEIR_STR("t1 t2 t3 t4")), "%.*s", (int)v.tags.n, v.tags.p);
	cr_expect(is_body(&h, "hello"));
	weir_hold_put(&h);
}

Test(fetch, rules_and_ends)
{
	struct weir_fetch *f;

	cr_expect_eq(fetch("GET", "/no", 200, "Cache-Control: no-store\r\n", "x", NULL), WEIR_FETCH_PASSED);
	cr_expect(weir_store_refusal(pc.store, key_of("/no")) & WEIR_RULE_BIT(WEIR_RULE_NO_STORE));
	f = start("GET", "/half", NULL);
	cr_expect_eq(weir_fetch_head(f, 200, WEIR_STR("Cache-Control: max-age=60\r\n"),
				     WEIR_STR(HEAD("Cache-Control: max-age=60\r\n")), 10),
		     0);
	weir_fetch_body(f, WEIR_STR("half"));
	cr_expect_eq(weir_fetch_end(f, false, true), WEIR_FETCH_FAILED);
	cr_expect_not(has("/half"));
	f = start("GET", "/large", NULL);
	cr_expect_eq(weir_fetch_head(f, 200, WEIR_STR("Cache-Control: max-age=60\r\n"),
				     WEIR_STR(HEAD("Cache-Control: max-age=60\r\n")), 200 << 10),
		     WEIR_RULE_BIT(WEIR_RULE_TOO_LARGE));
	cr_expect_eq(weir_fetch_end(f, true, false), WEIR_FETCH_PASSED);
}

/* RFC 9111 4.3.4 */
Test(fetch, confirmed_by_304)
{
	struct weir_object_view v;
	struct weir_hold h;

	fetch("GET", "/a", 200, "ETag: \"1\"\r\nCache-Control: max-age=0\r\nContent-Type: a/b\r\n", "hello", NULL);
	cr_assert(find("/a", &h));
	cr_expect_eq(
		fetch("GET", "/a", 304, "ETag: \"1\"\r\nCache-Control: max-age=9\r\nContent-Type: c/d\r\n", "", &h),
		WEIR_FETCH_CONFIRMED);
	cr_assert(find("/a", &h));
	weir_hold_view(&h, &v);
	cr_expect_eq(v.stored.status, 200);
	cr_expect_eq(v.stored.lifetime_s, 9);
	cr_expect(weir_str_eq(v.head, WEIR_STR("HTTP/1.1 200 X\r\nContent-Type: a/b\r\nETag: \"1\"\r\n"
					       "Cache-Control: max-age=9\r\n")),
		  "%.*s", (int)v.head.n, v.head.p);
	cr_expect(is_body(&h, "hello"));
	weir_hold_put(&h);
}

Test(fetch, a_304_for_another_response_confirms_nothing)
{
	struct weir_hold h;

	fetch("GET", "/a", 200, "ETag: \"1\"\r\nCache-Control: max-age=0\r\n", "hello", NULL);
	cr_assert(find("/a", &h));
	cr_expect_eq(fetch("GET", "/a", 304, "ETag: \"2\"\r\nCache-Control: max-age=9\r\n", "", &h), WEIR_FETCH_PASSED);
	cr_expect_not(has("/a"));
}

/* RFC 5861 4: what failed leaves the old one; what the origin says instead does not. */
Test(fetch, errors_keep_the_old_response)
{
	struct weir_hold h;

	fetch("GET", "/a", 200, "ETag: \"1\"\r\nCache-Control: max-age=0\r\n", "hello", NULL);
	cr_assert(find("/a", &h));
	cr_expect_eq(fetch("GET", "/a", 503, "", "", &h), WEIR_FETCH_FAILED);
	cr_assert(find("/a", &h));
	cr_expect_eq(fetch("GET", "/a", 403, "Cache-Control: no-store\r\n", "", &h), WEIR_FETCH_PASSED);
	cr_expect_not(has("/a"));
}

/* RFC 9111 4.4, 4.3.5 */
Test(fetch, what_other_methods_remove)
{
	static const struct {
		const char *method, *target;
		unsigned status;
		const char *fields;
		bool keeps_a, keeps_b;
	} rows[] = {
		{ "POST", "/a", 200, "", false, true },
		{ "POST", "/a", 500, "", true, true },
		{ "POST", "/x", 201, "Location: /b\r\n", true, false },
		{ "POST", "/x", 201, "Location: http://h/b\r\nContent-Location: /a#top\r\n", false, false },
		{ "POST", "/x", 201, "Location: HTTP://H:8080/b\r\n", true, false },
		{ "POST", "/x", 201, "Location: http://i/b\r\nContent-Location: //h/a\r\n", true, true },
		{ "POST", "/x", 201, "Location: b\r\nContent-Location:\r\n", true, true },
		{ "HEAD", "/a", 200, "ETag: \"a\"\r\nContent-Length: 1\r\n", true, true },
		{ "HEAD", "/a", 200, "ETag: \"other\"\r\n", false, true },
		{ "HEAD", "/a", 200, "ETag: \"a\"\r\nContent-Length: 2\r\n", false, true },
		{ "HEAD", "/a", 404, "Content-Length: 2\r\n", true, true },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fetch("GET", "/a", 200, "ETag: \"a\"\r\nCache-Control: max-age=60\r\n", "1", NULL);
		fetch("GET", "/b", 200, "Cache-Control: max-age=60\r\n", "1", NULL);
		(void)fetch(rows[i].method, rows[i].target, rows[i].status, rows[i].fields, "", NULL);
		cr_expect_eq(has("/a"), rows[i].keeps_a, "row %zu", i);
		cr_expect_eq(has("/b"), rows[i].keeps_b, "row %zu", i);
	}
}
