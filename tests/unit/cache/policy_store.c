// SPDX-License-Identifier: GPL-2.0
/* One row for each rule of what may be stored and for how long. The response came at NOW with a
 * Date of NOW unless the row has one of its own; DATE_nn is so many seconds before. */
#include <criterion/criterion.h>

#include <string.h>

#include "cache/policy.h"

/* rows leave out what does not matter to them */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define NOW 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define DATE_100 "Date: Sun, 06 Nov 1994 08:47:57 GMT\r\n"
#define MODIFIED_1000 "Last-Modified: Sun, 06 Nov 1994 08:32:57 GMT\r\n"
#define MODIFIED_1994 "Last-Modified: Sat, 01 Jan 1994 00:00:00 GMT\r\n"
#define EXPIRES_60 "Expires: Sun, 06 Nov 1994 08:50:37 GMT\r\n"
#define EXPIRES_PAST "Expires: Sun, 06 Nov 1994 08:49:36 GMT\r\n"
#define ETAG "ETag: \"a\"\r\n"
#define CC(v) "Cache-Control: " v "\r\n"
#define CDN(v) "CDN-Cache-Control: " v "\r\n"
#define BIT(r) WEIR_RULE_BIT(WEIR_RULE_##r)

static const struct row {
	const char *section;
	const char *response; /* fields */
	uint64_t rules;	      /* 0: stored */
	uint32_t lifetime_s;
	const char *request;	   /* fields; NULL: none */
	unsigned status;	   /* 0: 200 */
	enum weir_cache_mode mode; /* 0: as RFC 9111 says */
	const char *method;	   /* NULL: GET */
	uint32_t swr_s, sie_s;
	uint8_t flags; /* that are set */
	const char *vary;
} rows[] = {
	/* methods and status codes */
	{ "RFC 9111 3", DATE CC("max-age=60"), 0, 60 },
	{ "RFC 9111 3: POST", DATE CC("max-age=60"), BIT(METHOD), 0, .method = "POST" },
	{ "RFC 9111 3: HEAD", DATE CC("max-age=60"), BIT(METHOD), 0, .method = "HEAD" },
	{ "RFC 9111 3: case matters", DATE CC("max-age=60"), BIT(METHOD), 0, .method = "get" },
	{ "RFC 9111 3.3: 206", DATE CC("max-age=60") "Content-Range: bytes 0-1/2\r\n", BIT(STATUS), 0, .status = 206 },
	{ "RFC 9111 3.3: 206 alone", DATE CC("max-age=60"), BIT(STATUS), 0, .status = 206 },
	{ "RFC 9111 3: 200 with Content-Range", DATE CC("max-age=60") "Content-Range: bytes 0-1/2\r\n", BIT(STATUS),
	  0 },
	{ "RFC 9111 4.3: 304", DATE CC("max-age=60"), BIT(STATUS), 0, .status = 304 },
	{ "RFC 9111 3: 103 is not final", DATE CC("max-age=60"), BIT(STATUS), 0, .status = 103 },
	{ "RFC 9111 3: 302 needs a word", DATE ETAG, BIT(NO_LIFETIME), 0, .status = 302 },
	{ "RFC 9111 3: 302 with max-age", DATE CC("max-age=5"), 0, 5, .status = 302 },
	{ "RFC 9111 3: 503 with s-maxage", DATE CC("s-maxage=5"), 0, 5, .status = 503 },
	{ "RFC 9111 3: 599 with max-age", DATE CC("max-age=5"), 0, 5, .status = 599 },
	{ "RFC 9110 15.1: 404 by a guess", DATE MODIFIED_1000, 0, 100, .status = 404 },
	{ "RFC 9110 15.1: 500 not by a guess", DATE MODIFIED_1000, BIT(NO_LIFETIME), 0, .status = 500 },
	{ "RFC 9110 15.1: 301 negative", DATE CC("max-age=0"), BIT(USELESS), 0, .status = 301 },
	/* directives */
	{ "RFC 9111 5.2.2.5", DATE CC("no-store"), BIT(NO_STORE), 0 },
	{ "RFC 9111 5.2.2.5: beside max-age", DATE CC("max-age=60, no-store"), BIT(NO_STORE), 60 },
	{ "RFC 9111 5.2.2.5: in a second line", DATE CC("max-age=60") CC("no-store"), BIT(NO_STORE), 60 },
	{ "RFC 9111 5.2: case does not matter", DATE CC("No-StOrE"), BIT(NO_STORE), 0 },
	{ "RFC 9111 5.2.2.7", DATE CC("private, max-age=60"), BIT(PRIVATE), 60 },
	{ "RFC 9111 5.2.2.7: some fields", DATE CC("private=\"Set-Cookie, X\", max-age=60") "Set-Cookie: a=b\r\n", 0,
	  60 },
	{ "RFC 9111 5.2.2.7: empty list is all", DATE CC("private=\"\", max-age=60"), BIT(PRIVATE), 60 },
	{ "RFC 9111 5.2.2.7: with and without", DATE CC("private=\"a\", private, max-age=9"), BIT(PRIVATE), 9 },
	{ "RFC 9111 5.2.2.9: public, no lifetime", DATE CC("public"), BIT(NO_LIFETIME), 0 },
	{ "RFC 9111 5.2.2.9: public, validator", DATE CC("public") ETAG, 0, 0 },
	{ "RFC 9111 5.2.2.9: public allows a guess", DATE CC("public") MODIFIED_1000, 0, 100, .status = 302 },
	{ "RFC 9111 5.2.2.1", DATE CC("max-age=3600"), 0, 3600 },
	{ "RFC 9111 5.2.2.1: quoted", DATE CC("max-age=\"3600\""), 0, 3600 },
	{ "RFC 9111 5.2.2.1: space around", DATE CC("a=b , max-age= 3600 ,c"), 0, 3600 },
	{ "RFC 9111 4.2.1: no number", DATE CC("max-age=abc") ETAG, 0, 0 },
	{ "RFC 9111 4.2.1: no argument", DATE CC("max-age") ETAG, 0, 0 },
	{ "RFC 9111 4.2.1: negative", DATE CC("max-age=-1") ETAG, 0, 0 },
	{ "RFC 9111 4.2.1: fraction", DATE CC("max-age=1.5") ETAG, 0, 0 },
	{ "RFC 9111 4.2.1: rubbish behind it", DATE CC("max-age=1 5") ETAG, 0, 0 },
	{ "RFC 9111 4.2.1: the same twice", DATE CC("max-age=5, max-age=5"), 0, 5 },
	{ "RFC 9111 4.2.1: two that differ", DATE CC("max-age=5, max-age=6") ETAG, 0, 0 },
	{ "RFC 9111 4.2.1: three, the last as the first", DATE CC("max-age=5, max-age=6, max-age=5") ETAG, 0, 0 },
	{ "RFC 9111 1.2.2: overflow of 32 bits", DATE CC("max-age=4294967296"), 0, 2147483648u },
	{ "RFC 9111 1.2.2: overflow of 64 bits", DATE CC("max-age=99999999999999999999999999"), 0, 2147483648u },
	{ "RFC 9111 5.2: quoted comma is no separator", DATE CC("x=\"a, no-store\", max-age=7"), 0, 7 },
	{ "RFC 9111 5.2: escaped quote", DATE CC("x=\"a\\\", no-store\", max-age=7"), 0, 7 },
	{ "RFC 9111 5.2: quote without end", DATE CC("max-age=7, x=\"a, no-store"), 0, 7 },
	{ "RFC 9111 5.2.3: unknown is skipped", DATE CC("community=\"UCI\", max-age=7, foo"), 0, 7 },
	{ "RFC 9111 5.2: no prefix match", DATE CC("max-age=7, no-storex"), 0, 7 },
	{ "RFC 9111 5.2: empty items", DATE CC(",,max-age=7,,"), 0, 7 },
	{ "RFC 9111 5.2.2.10", DATE CC("s-maxage=10, max-age=60") EXPIRES_60, 0, 10,
	  .flags = WEIR_STORED_MUST_REVALIDATE },
	{ "RFC 9111 5.2.2.10: no number", DATE CC("s-maxage=x, max-age=60") ETAG, 0, 0 },
	{ "RFC 9111 5.2.2.4", DATE CC("no-cache") ETAG, 0, 0, .flags = WEIR_STORED_NO_CACHE },
	{ "RFC 9111 5.2.2.4: no validator", DATE CC("no-cache, max-age=60"), BIT(USELESS), 60 },
	{ "RFC 9111 5.2.2.4: some fields", DATE CC("no-cache=\"Set-Cookie\", max-age=60") "Set-Cookie: a\r\n", 0, 60 },
	{ "RFC 9111 5.2.2.2", DATE CC("must-revalidate, max-age=60"), 0, 60, .flags = WEIR_STORED_MUST_REVALIDATE },
	{ "RFC 9111 5.2.2.8", DATE CC("proxy-revalidate, max-age=60"), 0, 60, .flags = WEIR_STORED_MUST_REVALIDATE },
	{ "RFC 9111 5.2.2.3: understood", DATE CC("must-understand, no-store, max-age=60"), 0, 60 },
	{ "RFC 9111 5.2.2.3: not understood", DATE CC("must-understand, max-age=60"), BIT(MUST_UNDERSTAND), 60,
	  .status = 299 },
	{ "RFC 9111 5.2.2.3: neither", DATE CC("must-understand, no-store, max-age=60"),
	  BIT(MUST_UNDERSTAND) | BIT(NO_STORE), 60, .status = 299 },
	{ "RFC 8246 2", DATE CC("max-age=60, immutable"), 0, 60, .flags = WEIR_STORED_IMMUTABLE },
	{ "RFC 5861 3", DATE CC("max-age=1, stale-while-revalidate=30"), 0, 1, .swr_s = 30 },
	{ "RFC 5861 4", DATE CC("max-age=1, stale-if-error=40"), 0, 1, .sie_s = 40 },
	{ "RFC 5861: stale from the start", DATE CC("max-age=0, stale-while-revalidate=30"), 0, 0, .swr_s = 30 },
	{ "RFC 9111 5.2.2.2 over RFC 5861", DATE CC("max-age=1, stale-if-error=40, must-revalidate"), 0, 1,
	  .sie_s = 0 },
	{ "RFC 5861 beside s-maxage", DATE CC("s-maxage=1, stale-while-revalidate=30"), 0, 1, .swr_s = 30 },
	/* Expires, Date, Age, guesses */
	{ "RFC 9111 5.3", DATE EXPIRES_60, 0, 60 },
	{ "RFC 9111 5.3: max-age wins", DATE EXPIRES_60 CC("max-age=5"), 0, 5 },
	{ "RFC 9111 5.3: \"0\" is the past", DATE "Expires: 0\r\n" ETAG, 0, 0 },
	{ "RFC 9111 5.3: the past", DATE EXPIRES_PAST ETAG, 0, 0 },
	{ "RFC 9111 5.3: useless past", DATE EXPIRES_PAST, BIT(USELESS), 0 },
	{ "RFC 9111 4.2.1: two that differ", DATE EXPIRES_60 EXPIRES_PAST ETAG, 0, 0 },
	{ "RFC 9111 4.2.1: Expires counts from Date", DATE_100 EXPIRES_60, 0, 160 },
	{ "RFC 9110 6.6.1: no Date", EXPIRES_60, 0, 60 },
	{ "RFC 9110 6.6.1: a Date that is none", "Date: today\r\n" EXPIRES_60, 0, 60 },
	{ "RFC 9111 4.2.2", DATE MODIFIED_1000, 0, 100 },
	{ "RFC 9111 4.2.2: a day at most", DATE MODIFIED_1994, 0, 86400 },
	{ "RFC 9111 4.2.2: nothing to guess from", DATE, BIT(NO_LIFETIME), 0 },
	{ "RFC 9111 4.2.2: only to revalidate", DATE ETAG, 0, 0 },
	/* Vary */
	{ "RFC 9111 4.1", DATE CC("max-age=9") "Vary: Accept-Encoding, Cookie\r\n", 0, 9,
	  .vary = "accept-encoding,cookie" },
	{ "RFC 9111 4.1: lines, repeated", DATE CC("max-age=9") "Vary: a, B,,\r\nVary: b, c\r\n", 0, 9,
	  .vary = "a,b,c" },
	{ "RFC 9111 4.1: *", DATE CC("max-age=9") "Vary: a, *\r\n", BIT(VARY_ANY), 9 },
	{ "RFC 9111 4.1: too much",
	  DATE CC("max-age=9") "Vary: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, "
			       "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
			       "bbbbbbbbb\r\n",
	  BIT(VARY_LONG), 9 },
	/* cookies and credentials */
	{ "RFC 9111 7.3", DATE CC("max-age=9") "Set-Cookie: a=b\r\n", BIT(SET_COOKIE), 9 },
	{ "RFC 9111 7.3: public", DATE CC("max-age=9, public") "Set-Cookie: a=b\r\n", 0, 9 },
	{ "RFC 9111 7.3: s-maxage", DATE CC("s-maxage=9") "Set-Cookie: a=b\r\n", 0, 9 },
	{ "RFC 9111 7.3: targeted", DATE CDN("max-age=9") "Set-Cookie: a=b\r\n", 0, 9 },
	{ "RFC 9111 3.5", DATE CC("max-age=9"), BIT(AUTHORIZATION), 9, .request = "Authorization: Basic x\r\n" },
	{ "RFC 9111 3.5: public", DATE CC("max-age=9, public"), 0, 9, .request = "Authorization: Basic x\r\n" },
	{ "RFC 9111 3.5: s-maxage", DATE CC("s-maxage=9"), 0, 9, .request = "Authorization: Basic x\r\n" },
	{ "RFC 9111 3.5: must-revalidate", DATE CC("max-age=9, must-revalidate"), 0, 9,
	  .request = "Authorization: Basic x\r\n" },
	/* what the request says */
	{ "RFC 9111 5.2.1.5", DATE CC("max-age=9"), BIT(REQUEST_NO_STORE), 9, .request = CC("no-store") },
	{ "RFC 9111 3: what Pragma in a response means is unspecified", DATE CC("max-age=9") "Pragma: no-cache\r\n", 0,
	  9 },
	{ "cache_bypass_cookies", DATE CC("max-age=9"), BIT(COOKIE), 9, .request = "Cookie: x=1; session=2\r\n" },
	{ "cache_bypass_cookies: another", DATE CC("max-age=9"), 0, 9,
	  .request = "Cookie: x=session; nosession=2\r\n" },
	/* RFC 9213 */
	{ "RFC 9213 2.2: instead", DATE CDN("max-age=30") CC("max-age=5"), 0, 30 },
	{ "RFC 9213 2.2: beats no-store", DATE CDN("max-age=30") CC("no-store, private"), 0, 30 },
	{ "RFC 9213 2.2: no-store for us", DATE CDN("no-store") CC("max-age=5"), BIT(NO_STORE), 0 },
	{ "RFC 9213 2.2: hides Expires", DATE CDN("must-revalidate") EXPIRES_60 ETAG, 0, 0 },
	{ "RFC 9213 2.1: invalid is absent", DATE CDN("max-age=30,,") CC("max-age=5"), 0, 5 },
	{ "RFC 9213 2.1: upper case is invalid", DATE CDN("Max-Age=30") CC("max-age=5"), 0, 5 },
	{ "RFC 9213 2.1: empty is absent", DATE CDN("") CC("max-age=5"), 0, 5 },
	{ "RFC 8941 3.2: the last of a key", DATE CDN("max-age=30, max-age=31"), 0, 31 },
	{ "RFC 8941 3.1.2: parameters", DATE CDN("max-age=30;a=b;c, no-store=?0"), 0, 30 },
	{ "RFC 9213 2.1: a string is no number of seconds but read", DATE CDN("max-age=\"30\""), 0, 30 },
	/* configuration */
	{ "cache = off", DATE CC("max-age=9"), BIT(OFF), 9, .mode = WEIR_CACHE__MAX },
	{ "cache = ttl", DATE, 0, 77, .mode = WEIR_CACHE_TTL },
	{ "cache = ttl: the origin's word first", DATE CC("max-age=9"), 0, 9, .mode = WEIR_CACHE_TTL },
	{ "cache = ttl: no-store stays", DATE CC("no-store"), BIT(NO_STORE), 77, .mode = WEIR_CACHE_TTL },
	{ "cache = ttl: 302", DATE, 0, 77, .mode = WEIR_CACHE_TTL, .status = 302 },
	{ "cache = ttl: not 500", DATE, BIT(NO_LIFETIME), 0, .mode = WEIR_CACHE_TTL, .status = 500 },
	{ "cache = until_change", DATE, 0, 2147483648u, .mode = WEIR_CACHE_UNTIL_CHANGE },
};

static struct weir_str text(const char *s)
{
	return (struct weir_str){ s, s ? strlen(s) : 0 };
}

static void run(const struct row *row, struct weir_policy_store *ret)
{
	const struct weir_policy_conf conf = {
		.mode = row->mode == WEIR_CACHE__MAX ? WEIR_CACHE_OFF
			: row->mode		     ? row->mode
						     : WEIR_CACHE_ON,
		.ttl_s = 77,
		.bypass_cookies = WEIR_STR("sid session"),
	};
	const struct weir_policy_request req = { .method = text(row->method ? row->method : "GET"),
						 .fields = text(row->request) };
	const struct weir_policy_response resp = { .status = row->status ? row->status : 200,
						   .fields = text(row->response),
						   .sent_ms = 1000000,
						   .received_ms = 1000000,
						   .received_s = NOW };

	weir_policy_store(&conf, &req, &resp, ret);
}

Test(policy_store, each_rule)
{
	struct weir_policy_store got;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];

		run(r, &got);
		cr_expect_eq(got.rules, r->rules, "%s: rules %#lx, expected %#lx\n%s", r->section, (long)got.rules,
			     (long)r->rules, r->response);
		cr_expect_eq(got.is_storable, r->rules == 0, "%s", r->section);
		if (!got.is_storable)
			continue;
		cr_expect_eq(got.stored.lifetime_s, r->lifetime_s, "%s: lifetime %u\n%s", r->section,
			     got.stored.lifetime_s, r->response);
		cr_expect_eq(got.stored.swr_s, r->swr_s, "%s: stale-while-revalidate %u", r->section, got.stored.swr_s);
		cr_expect_eq(got.stored.sie_s, r->sie_s, "%s: stale-if-error %u", r->section, got.stored.sie_s);
		cr_expect_eq(got.stored.flags & r->flags, r->flags, "%s: flags %x", r->section, got.stored.flags);
		if (r->vary)
			cr_expect_str_eq(got.vary, r->vary, "%s", r->section);
	}
}

/* RFC 9111 4.2.3 */
static const struct {
	const char *fields;
	uint64_t delay_ms;
	uint64_t age_ms; /* when it comes */
} ages[] = {
	{ DATE, 0, 0 },
	{ DATE, 2500, 2500 },
	{ DATE_100, 0, 100000 },
	{ DATE_100, 2000, 100000 },
	{ DATE "Age: 30\r\n", 0, 30000 },
	{ DATE "Age: 30\r\n", 1500, 31500 },
	{ DATE_100 "Age: 30\r\n", 0, 100000 },
	{ DATE_100 "Age: 300\r\n", 0, 300000 },
	{ DATE "Age: 30, 40\r\n", 0, 30000 },
	{ DATE "Age: 30\r\nAge: 40\r\n", 0, 30000 },
	{ DATE "Age: -3\r\n", 0, 0 },
	{ DATE "Age: \r\n", 0, 0 },
	{ DATE "Age: 7.0\r\n", 0, 0 },
	{ DATE "Age: 99999999999999999999\r\n", 0, 2147483648000 },
	{ "Date: Sun, 06 Nov 1994 09:49:37 GMT\r\n", 0, 0 }, /* the origin's clock is ahead */
	{ "", 100, 100 },
};

Test(policy_store, age_when_it_comes)
{
	const struct weir_policy_conf conf = { .mode = WEIR_CACHE_ON };
	const struct weir_policy_request req = { .method = WEIR_STR("GET") };
	struct weir_policy_store got;
	size_t i;

	for (i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
		const struct weir_policy_response resp = { .status = 200,
							   .fields = text(ages[i].fields),
							   .sent_ms = 50000,
							   .received_ms = 50000 + ages[i].delay_ms,
							   .received_s = NOW };

		weir_policy_store(&conf, &req, &resp, &got);
		cr_expect_eq(resp.received_ms - got.stored.born_ms, ages[i].age_ms, "%s: %lu", ages[i].fields,
			     (unsigned long)(resp.received_ms - got.stored.born_ms));
	}
}

Test(policy_store, hop_by_hop_and_named_fields_stay_out)
{
	struct weir_cc cc = {};

	weir_cc_add(&cc, WEIR_STR("private=\"X-Secret\", no-cache=\"Set-Cookie, X-B\""));
	cr_expect(weir_policy_is_dropped(&cc, WEIR_STR("close, X-Hop"), WEIR_STR("x-hop")));
	cr_expect(weir_policy_is_dropped(&cc, WEIR_STR(""), WEIR_STR("Connection")));
	cr_expect(weir_policy_is_dropped(&cc, WEIR_STR(""), WEIR_STR("Proxy-Authenticate")));
	cr_expect(weir_policy_is_dropped(&cc, WEIR_STR(""), WEIR_STR("x-secret")));
	cr_expect(weir_policy_is_dropped(&cc, WEIR_STR(""), WEIR_STR("set-cookie")));
	cr_expect(weir_policy_is_dropped(&cc, WEIR_STR(""), WEIR_STR("Age")));
	cr_expect_not(weir_policy_is_dropped(&cc, WEIR_STR("close"), WEIR_STR("ETag")));
}

Test(policy_store, each_rule_names_its_section)
{
	unsigned i;

	for (i = 0; i < WEIR_RULE__MAX; i++) {
		cr_expect_gt(strlen(weir_rule_section(i)), 0);
		cr_expect_gt(strlen(weir_rule_text(i)), 0);
	}
}
