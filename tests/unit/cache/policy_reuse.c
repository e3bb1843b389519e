// SPDX-License-Identifier: GPL-2.0
/* One row for each rule of when a stored response answers a request; then keys, merging and
 * forgetting. The response was fresh for 100 s when it was new. */
#include <criterion/criterion.h>

#include <string.h>

#include "cache/policy.h"

/* rows leave out what does not matter to them */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define BIT(r) WEIR_RULE_BIT(WEIR_RULE_##r)
#define CC(v) "Cache-Control: " v "\r\n"
#define BORN_MS 5000000ull

static const struct {
	const char *section;
	const char *request;
	uint64_t age_ms;
	enum weir_reuse_what what;
	uint64_t rules;
	uint8_t flags;
	uint32_t swr_s, sie_s;
	bool may_on_error;
	bool ignores; /* ignore_request_directives */
} rows[] = {
	{ "RFC 9111 4.2", "", 0, WEIR_REUSE_FRESH },
	{ "RFC 9111 4.2: last millisecond", "", 99999, WEIR_REUSE_FRESH },
	{ "RFC 9111 4.2: at the second it is due", "", 100000, WEIR_REUSE_REVALIDATE, BIT(STALE) },
	{ "RFC 9111 5.2.2.4", "", 0, WEIR_REUSE_REVALIDATE, BIT(NO_CACHE), .flags = WEIR_STORED_NO_CACHE },
	{ "RFC 9111 5.2.1.4", CC("no-cache"), 0, WEIR_REUSE_REVALIDATE, BIT(REQUEST_NO_CACHE) },
	{ "RFC 9111 5.4", "Pragma: no-cache\r\n", 0, WEIR_REUSE_REVALIDATE, BIT(REQUEST_PRAGMA) },
	{ "RFC 9111 5.4: Cache-Control hides it", "Pragma: no-cache\r\n" CC("x"), 0, WEIR_REUSE_FRESH },
	{ "ignore_request_directives", CC("no-cache, max-age=0") "Pragma: no-cache\r\n", 0, WEIR_REUSE_FRESH,
	  .ignores = true },
	{ "RFC 9111 5.2.1.1", CC("max-age=10"), 10000, WEIR_REUSE_FRESH },
	{ "RFC 9111 5.2.1.1: older", CC("max-age=10"), 10001, WEIR_REUSE_REVALIDATE, BIT(REQUEST_MAX_AGE) },
	{ "RFC 9111 5.2.1.1: no number is 0", CC("max-age=x"), 1, WEIR_REUSE_REVALIDATE, BIT(REQUEST_MAX_AGE) },
	{ "RFC 8246 2.1: reload", CC("max-age=0"), 5000, WEIR_REUSE_FRESH, .flags = WEIR_STORED_IMMUTABLE },
	{ "RFC 8246 2.1: forced", CC("no-cache"), 5000, WEIR_REUSE_REVALIDATE, BIT(REQUEST_NO_CACHE),
	  .flags = WEIR_STORED_IMMUTABLE },
	{ "RFC 9111 5.2.1.3", CC("min-fresh=20"), 80000, WEIR_REUSE_FRESH },
	{ "RFC 9111 5.2.1.3: not for so long", CC("min-fresh=20"), 80001, WEIR_REUSE_REVALIDATE,
	  BIT(REQUEST_MIN_FRESH) },
	{ "RFC 9111 5.2.1.2", CC("max-stale=10"), 110000, WEIR_REUSE_STALE, BIT(STALE) },
	{ "RFC 9111 5.2.1.2: staler", CC("max-stale=10"), 110001, WEIR_REUSE_REVALIDATE, BIT(STALE) },
	{ "RFC 9111 5.2.1.2: any", CC("max-stale"), 9999999, WEIR_REUSE_STALE, BIT(STALE) },
	{ "RFC 9111 5.2.2.2: must-revalidate wins", CC("max-stale"), 100001, WEIR_REUSE_REVALIDATE,
	  BIT(STALE) | BIT(MUST_REVALIDATE), .flags = WEIR_STORED_MUST_REVALIDATE },
	{ "RFC 9111 5.2.1.7", CC("only-if-cached"), 0, WEIR_REUSE_FRESH },
	{ "RFC 9111 5.2.1.7: stale", CC("only-if-cached"), 100000, WEIR_REUSE_REFUSE,
	  BIT(STALE) | BIT(REQUEST_ONLY_IF_CACHED) },
	{ "RFC 5861 3", "", 100000, WEIR_REUSE_WHILE_REVALIDATE, BIT(STALE), .swr_s = 10 },
	{ "RFC 5861 3: over", "", 110000, WEIR_REUSE_REVALIDATE, BIT(STALE), .swr_s = 10 },
	{ "RFC 5861 3: not for who wants it fresh", CC("max-age=100"), 100001, WEIR_REUSE_REVALIDATE,
	  BIT(REQUEST_MAX_AGE) | BIT(STALE), .swr_s = 10 },
	{ "RFC 5861 4", "", 105000, WEIR_REUSE_REVALIDATE, BIT(STALE), .sie_s = 10, .may_on_error = true },
	{ "RFC 5861 4: over", "", 110000, WEIR_REUSE_REVALIDATE, BIT(STALE), .sie_s = 10 },
};

static struct weir_str text(const char *s)
{
	return (struct weir_str){ s, strlen(s) };
}

Test(policy_reuse, each_rule)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct weir_policy_conf conf = { .mode = WEIR_CACHE_ON,
						       .ignore_request_directives = rows[i].ignores };
		const struct weir_policy_request req = { .method = WEIR_STR("GET"), .fields = text(rows[i].request) };
		const struct weir_policy_stored s = { .born_ms = BORN_MS,
						      .fresh_ms = BORN_MS + 100000,
						      .lifetime_s = 100,
						      .status = 200,
						      .flags = rows[i].flags,
						      .swr_s = rows[i].swr_s,
						      .sie_s = rows[i].sie_s };
		struct weir_policy_reuse got;

		weir_policy_reuse(&conf, &req, &s, BORN_MS + rows[i].age_ms, &got);
		cr_expect_eq(got.what, rows[i].what, "%s: %d", rows[i].section, got.what);
		cr_expect_eq(got.rules, rows[i].rules, "%s: rules %#lx", rows[i].section, (long)got.rules);
		cr_expect_eq(got.may_on_error, rows[i].may_on_error, "%s", rows[i].section);
		cr_expect_eq(got.age_s, rows[i].age_ms / 1000, "%s: age %u", rows[i].section, got.age_s);
	}
}

Test(policy_reuse, nothing_stored)
{
	const struct weir_policy_conf conf = { .mode = WEIR_CACHE_ON };
	struct weir_policy_request req = { .method = WEIR_STR("GET") };
	struct weir_policy_reuse got;

	weir_policy_reuse(&conf, &req, NULL, 0, &got);
	cr_expect_eq(got.what, WEIR_REUSE_REVALIDATE);
	req.fields = WEIR_STR(CC("only-if-cached"));
	weir_policy_reuse(&conf, &req, NULL, 0, &got);
	cr_expect_eq(got.what, WEIR_REUSE_REFUSE);
}

Test(policy_reuse, what_never_ends_does_not)
{
	const struct weir_policy_conf conf = { .mode = WEIR_CACHE_ON };
	const struct weir_policy_request req = { .method = WEIR_STR("GET") };
	const struct weir_policy_stored s = { .born_ms = 0, .lifetime_s = WEIR_POLICY_FOREVER };
	struct weir_policy_reuse got;

	weir_policy_reuse(&conf, &req, &s, UINT64_MAX / 4, &got);
	cr_expect_eq(got.what, WEIR_REUSE_FRESH);
}

/* --- keys --- */

static const struct {
	enum weir_query_key rule;
	const char *names, *target, *key;
} keys[] = {
	{ WEIR_QUERY_FULL, "", "/a?b=1&c", "h/a?b=1&c" },
	{ WEIR_QUERY_NONE, "", "/a?b=1&c", "h/a" },
	{ WEIR_QUERY_LISTED, "b", "/a?c&b=1", "h/a?b=1" },
	{ WEIR_QUERY_LISTED, "c b", "/a?b=1&c&x=2&b=3", "h/a?c&b=1&b=3" },
	{ WEIR_QUERY_LISTED, "b", "/a?bb=1", "h/a" },
	{ WEIR_QUERY_LISTED, "b", "/a?", "h/a" },
	{ WEIR_QUERY_LISTED, "b", "/a", "h/a" },
};

Test(policy_key, query)
{
	char bytes[100];
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct weir_buf b = { .p = bytes, .cap = sizeof(bytes) };

		weir_policy_key(keys[i].rule, text(keys[i].names), WEIR_STR("h"), text(keys[i].target), &b);
		cr_expect(weir_str_eq((struct weir_str){ b.p, b.n }, text(keys[i].key)), "%s: %.*s", keys[i].target,
			  (int)b.n, b.p);
	}
}

static bool vary_agrees(const char *vary, const char *a, const char *b)
{
	char x[300], y[300];
	struct weir_buf p = { .p = x, .cap = sizeof(x) }, q = { .p = y, .cap = sizeof(y) };

	weir_policy_vary(vary, text(a), &p);
	weir_policy_vary(vary, text(b), &q);
	return p.n == q.n && !memcmp(x, y, p.n);
}

/* RFC 9111 4.1 */
Test(policy_key, vary)
{
	cr_expect(vary_agrees("", "A: 1\r\n", "A: 2\r\n"));
	cr_expect(vary_agrees("a", "A: 1\r\n", "a:1 \r\n"));
	cr_expect_not(vary_agrees("a", "A: x\r\n", "A: X\r\n"));
	cr_expect_not(vary_agrees("a", "A: 1\r\n", "A: 2\r\n"));
	cr_expect_not(vary_agrees("a", "A:\r\n", ""));
	cr_expect_not(vary_agrees("a,b", "A: 1\r\nB: 2\r\n", "A: 2\r\nB: 1\r\n"));
	cr_expect_not(vary_agrees("a,b", "A: b:x\r\n", "A: \r\nB: x\r\n"));
	cr_expect(vary_agrees("accept-encoding", "Accept-Encoding: gzip,  BR\r\n", "accept-encoding: GZip,br\r\n"));
	cr_expect(vary_agrees("accept-encoding", "Accept-Encoding: gzip; q=1\r\n", "accept-encoding: gzip;q=1\r\n"));
	cr_expect_not(vary_agrees("accept-encoding", "Accept-Encoding: gzip\r\n", ""));
}

/* --- change --- */

/* RFC 9111 3.2, 4.3.4 */
Test(policy_change, merge)
{
	const char *stored = "ETag: \"a\"\r\nCache-Control: max-age=1\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 5\r\n"
			     "Content-Type: text/plain\r\nX-B: 3\r\n\r\n";
	const char *fresh = "etag: \"a\"\r\nCache-Control: max-age=9\r\nX-A: 7\r\nContent-Length: "
			    "0\r\nConnection: x-c, close\r\n"
			    "X-C: 1\r\nContent-Type: text/html\r\nX-D: 4\r\n\r\n";
	const char *merged = "Content-Length: 5\r\nContent-Type: text/plain\r\nX-B: 3\r\netag: \"a\"\r\n"
			     "Cache-Control: max-age=9\r\nX-A: 7\r\nX-D: 4\r\n";
	char bytes[400];
	struct weir_buf b = { .p = bytes, .cap = sizeof(bytes) };

	weir_policy_merge(text(stored), text(fresh), &b);
	cr_expect(weir_str_eq((struct weir_str){ b.p, b.n }, text(merged)), "%.*s", (int)b.n, b.p);
}

/* RFC 9111 4.3.4, 4.3.5 */
Test(policy_change, which_response_it_is_about)
{
	cr_expect(weir_policy_is_same(WEIR_STR("ETag: \"a\"\r\n"), WEIR_STR("ETag: W/\"a\"\r\n")));
	cr_expect_not(weir_policy_is_same(WEIR_STR("ETag: \"a\"\r\n"), WEIR_STR("ETag: \"b\"\r\n")));
	cr_expect_not(weir_policy_is_same(WEIR_STR("X: 1\r\n"), WEIR_STR("ETag: \"b\"\r\n")));
	cr_expect(weir_policy_is_same(WEIR_STR("ETag: \"a\"\r\n"), WEIR_STR("X: 1\r\n")));
	cr_expect_not(weir_policy_is_same(WEIR_STR("Last-Modified: x\r\n"), WEIR_STR("Last-Modified: y\r\n")));
	cr_expect(weir_policy_head_differs(WEIR_STR("ETag: \"a\"\r\n"), 5, WEIR_STR("ETag: \"b\"\r\n")));
	cr_expect(weir_policy_head_differs(WEIR_STR("X: 1\r\n"), 5, WEIR_STR("Content-Length: 6\r\n")));
	cr_expect(weir_policy_head_differs(WEIR_STR("X: 1\r\n"), 5,
					   WEIR_STR("Content-Length: 99999999999999999999999\r\n")));
	cr_expect_not(weir_policy_head_differs(WEIR_STR("X: 1\r\n"), 5, WEIR_STR("Content-Length: 5\r\n")));
	cr_expect_not(weir_policy_head_differs(WEIR_STR("X: 1\r\n"), 5, WEIR_STR("X: 2\r\n")));
}

/* RFC 9111 4.4 */
Test(policy_change, unsafe_methods_invalidate)
{
	cr_expect(weir_policy_invalidates(WEIR_STR("POST"), 200));
	cr_expect(weir_policy_invalidates(WEIR_STR("PUT"), 204));
	cr_expect(weir_policy_invalidates(WEIR_STR("DELETE"), 303));
	cr_expect(weir_policy_invalidates(WEIR_STR("FOO"), 201));
	cr_expect_not(weir_policy_invalidates(WEIR_STR("POST"), 404));
	cr_expect_not(weir_policy_invalidates(WEIR_STR("POST"), 500));
	cr_expect_not(weir_policy_invalidates(WEIR_STR("GET"), 200));
	cr_expect_not(weir_policy_invalidates(WEIR_STR("OPTIONS"), 200));
}

/* RFC 5861 4 */
Test(policy_change, which_status_is_an_error)
{
	cr_expect(weir_policy_is_error(0));
	cr_expect(weir_policy_is_error(503));
	cr_expect_not(weir_policy_is_error(501));
	cr_expect_not(weir_policy_is_error(404));
}
