// SPDX-License-Identifier: GPL-2.0
/* What requests ask of an entry before it is sent, and entries of objects that are too large: bpf/lib/choose.h. */
#include <stdio.h>
#include <string.h>

#include "common/macro.h"
#include "harness/prog_cache.h"

PROG_TESTS(xdp_cond);

#define WITH(fields) "GET " TARGET " HTTP/1.1\r\nHost: " HOST "\r\n" fields "\r\n"

static struct prog_result result;
static struct weir_flow fresh;

static const struct prog_result *ask(const struct packet *client, const char *text)
{
	struct packet p = prog_request(client, text);

	prog_run(&p, &result);
	return &result;
}

static struct packet connect_to(const struct prog_entry *e)
{
	struct packet c = prog_connect(0, 1460);

	cr_assert(prog_flow(&c, &fresh));
	prog_publish(e);
	return c;
}

static void expect_304(const struct packet *c, const char *text, const struct prog_entry *e)
{
	assert_verdict(ask(c, text), WEIR_VERDICT_HIT);
	assert_reply(&result, ACK | PSH, c->ack, c->seq + strlen(text));
	prog_assert_not_modified(&result, e, false);
	prog_flow_put(c, &fresh);
}

static void expect_200(const struct packet *c, const char *text, const struct prog_entry *e)
{
	assert_verdict(ask(c, text), WEIR_VERDICT_HIT);
	prog_assert_response(&result, e, text[0] == 'H', false);
	prog_flow_put(c, &fresh);
}

static void expect_miss(const struct packet *c, const char *text, enum weir_miss miss)
{
	ask(c, text);
	assert_miss(&result, miss);
	assert_verdict(&result, WEIR_VERDICT_HANDOVER);
	prog_flow_put(c, &fresh);
}

Test(xdp_cond, entity_tags_are_compared_weakly)
{
	static const char *const weak[] = { "\"x\"",
					    "W/\"x\"",
					    "\"\"",
					    "W/\"\"",
					    "\"0123456789abcdef\"",
					    "\"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\"" };
	struct prog_entry e = { .body_bytes = 100, .is_conditional = true };
	struct packet c = connect_to(&e);
	char text[256], tag[80];
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(weak); i++) {
		const char *opaque = weak[i][0] == 'W' ? weak[i] + 2 : weak[i];

		e.etag = weak[i];
		prog_publish(&e);
		sprintf(text, WITH("If-None-Match: %s\r\n"), opaque);
		expect_304(&c, text, &e);
		sprintf(text, WITH("If-None-Match: W/%s\r\n"), opaque);
		expect_304(&c, text, &e);
		/* one that is longer, one that is shorter, one that differs anywhere */
		n = strlen(opaque);
		if (n < WEIR_ETAG_BYTES) {
			sprintf(text, WITH("If-None-Match: %.*sz\"\r\n"), (int)n - 1, opaque);
			expect_200(&c, text, &e);
		}
		for (; n > 2; n--) {
			strcpy(tag, opaque);
			tag[n - 2] ^= 1;
			sprintf(text, WITH("If-None-Match: %s\r\n"), tag);
			expect_200(&c, text, &e);
		}
	}
}

Test(xdp_cond, date_must_be_the_entrys_own_text)
{
	struct prog_entry e = { .body_bytes = 100, .is_conditional = true };
	struct packet c = connect_to(&e);
	char text[256], date[] = MODIFIED;
	size_t i;

	expect_304(&c, WITH("If-Modified-Since: " MODIFIED "\r\n"), &e);
	expect_miss(&c, WITH("If-Modified-Since: Fri, 04 Nov 1994 10:11:13 GMT\r\n"), WEIR_MISS_CONDITIONAL);
	for (i = 0; date[i]; i++) {
		date[i] ^= 1;
		sprintf(text, WITH("If-Modified-Since: %s\r\n"), date);
		if (date[0] != '!' && date[WEIR_DATE_BYTES - 1] != '!')
			expect_miss(&c, text, WEIR_MISS_CONDITIONAL);
		date[i] ^= 1;
	}
}

/* RFC 9110 13.1.3 */
Test(xdp_cond, entity_tag_goes_before_the_date)
{
	struct prog_entry e = { .body_bytes = 100, .is_conditional = true };
	struct packet c = connect_to(&e);

	expect_200(&c, WITH("If-None-Match: \"x\"\r\nIf-Modified-Since: " MODIFIED "\r\n"), &e);
	expect_304(&c, WITH("If-Modified-Since: x\r\nIf-None-Match: " ETAG "\r\n"), &e);
}

/* RFC 9110 13.2.1: conditions are for what would be a success. */
Test(xdp_cond, conditions_are_ignored_for_redirects_and_errors)
{
	static const uint16_t statuses[] = { 301, 302, 404, 410, 503 };
	struct prog_entry e = { .body_bytes = 50 };
	struct packet c = connect_to(&e);
	size_t i;

	expect_miss(&c, WITH("If-None-Match: \"x\"\r\n"), WEIR_MISS_CONDITIONAL);
	for (i = 0; i < ARRAY_SIZE(statuses); i++) {
		e.status = statuses[i];
		prog_publish(&e);
		expect_200(&c, WITH("If-None-Match: \"x\"\r\n"), &e);
		expect_200(&c, WITH("If-Modified-Since: " MODIFIED "\r\n"), &e);
		expect_200(&c, GET, &e);
	}
	e.status = 203;
	prog_publish(&e);
	expect_miss(&c, WITH("If-None-Match: \"x\"\r\n"), WEIR_MISS_CONDITIONAL);
}

Test(xdp_cond, not_modified_has_no_body_for_head_either_and_may_end_the_connection)
{
	struct prog_entry e = { .body_bytes = 100, .is_conditional = true };
	struct packet c = connect_to(&e);
	struct weir_pool_stats before = prog_pool_stats(POOL_A), after;

	expect_304(&c, "HEAD " TARGET " HTTP/1.1\r\nHost: " HOST "\r\nIf-None-Match: " ETAG "\r\n\r\n", &e);
	assert_verdict(ask(&c, WITH("Connection: close\r\nIf-None-Match: " ETAG "\r\n")), WEIR_VERDICT_HIT);
	prog_assert_not_modified(&result, &e, true);
	cr_assert(result.reply.flags & FIN);
	after = prog_pool_stats(POOL_A);
	cr_assert_eq(after.not_modified - before.not_modified, 2);
	cr_assert_eq(after.hits - before.hits, 2);
}

Test(xdp_cond, checksum_of_a_304_is_right_wherever_its_parts_begin)
{
	struct packet c = prog_connect(0, 1460);
	unsigned i;

	cr_assert(prog_flow(&c, &fresh));
	for (i = 0; i < 64; i++) {
		struct prog_entry e = { .fill_date = i & 1,
					.fill_conn = i >> 1 & 1,
					.fill_end = i >> 2 & 1,
					.is_dated = i >> 3 & 1,
					.has_age = i >> 4 & 1,
					.shown_age = 77,
					.born_ns = prog_now_ns() - 77500000000,
					.body_bytes = i >> 5,
					.is_conditional = true };

		prog_publish(&e);
		expect_304(&c, WITH("If-None-Match: " ETAG "\r\n"), &e);
		assert_verdict(ask(&c, WITH("Connection: close\r\nIf-None-Match: " ETAG "\r\n")), WEIR_VERDICT_HIT);
		prog_assert_not_modified(&result, &e, true);
		prog_flow_put(&c, &fresh);
		expect_200(&c, GET, &e);
	}
}

Test(xdp_cond, repeated_request_gets_the_304_again)
{
	struct prog_entry e = { .body_bytes = 100, .is_conditional = true };
	struct packet c = connect_to(&e), p = prog_request(&c, WITH("If-None-Match: " ETAG "\r\n"));

	prog_run(&p, &result);
	assert_verdict(&result, WEIR_VERDICT_HIT);
	prog_run(&p, &result);
	assert_verdict(&result, WEIR_VERDICT_HIT_AGAIN);
	prog_assert_not_modified(&result, &e, false);
	prog_acknowledge(&c, &result.reply);
	assert_verdict(ask(&c, GET), WEIR_VERDICT_HIT);
	prog_assert_response(&result, &e, false, false);
}

/* On the way to weir_tc the entry may change: it is told which generation the 304 is of. */
Test(xdp_cond, not_modified_that_tc_sends_is_of_the_same_generation)
{
	struct prog_entry e = { .body_bytes = 100, .is_conditional = true, .generation = 9 };
	struct packet c = connect_to(&e);
	struct weir_flow f;

	prog_iface(WEIR_IFACE_GENERIC, 1500, NULL);
	assert_verdict(ask(&c, WITH("If-None-Match: " ETAG "\r\n")), WEIR_VERDICT_HIT_TC);
	cr_assert_eq(result.meta.kind, PROG_META_ANSWER);
	cr_assert_eq(result.meta.flags, 8);
	cr_assert(prog_flow(&c, &f));
	cr_assert_eq(f.generation, 9);
}

/* RFC 9111 5.2.1; a browser's reload. */
Test(xdp_cond, directives_of_the_request_are_a_workers_unless_the_entry_ignores_them)
{
	static const char *const fields[] = { "Cache-Control: max-age=0\r\n", "cache-control: no-cache\r\n",
					      "Pragma: no-cache\r\n" };
	struct prog_entry e = { .body_bytes = 100, .is_conditional = true };
	struct packet c = connect_to(&e);
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		sprintf(text, WITH("%s"), fields[i]);
		e.flags = 0;
		prog_publish(&e);
		expect_miss(&c, text, WEIR_MISS_DIRECTIVES);
		e.flags = WEIR_ENTRY_IGNORE_REQUEST;
		prog_publish(&e);
		expect_200(&c, text, &e);
		sprintf(text, WITH("%sIf-None-Match: " ETAG "\r\n"), fields[i]);
		expect_304(&c, text, &e);
	}
	expect_200(&c, WITH("X-Cache-Control: no-cache\r\nPragmas: no-cache\r\n"), &e);
}

Test(xdp_cond, of_a_large_object_the_head_and_the_304_are_there)
{
	struct prog_entry e = { .body_bytes = 10000000, .is_conditional = true, .flags = WEIR_ENTRY_HEAD_ONLY };
	struct packet c = connect_to(&e);

	expect_304(&c, WITH("If-None-Match: " ETAG "\r\n"), &e);
	expect_304(&c, WITH("If-Modified-Since: " MODIFIED "\r\n"), &e);
	expect_200(&c, HEAD, &e);
	expect_miss(&c, GET, WEIR_MISS_HEAD_ONLY);
	expect_miss(&c, WITH("If-None-Match: \"other\"\r\n"), WEIR_MISS_HEAD_ONLY);
}

/* The larger classes hold what no segment of this connection can carry, but for the head and the 304. */
Test(xdp_cond, of_an_object_larger_than_the_segment_the_head_and_the_304_are_sent)
{
	static const size_t sizes[] = { 2000, 3500, 12000 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct prog_entry e = { .body_bytes = sizes[i], .is_conditional = true };
		struct packet c = connect_to(&e);

		expect_304(&c, WITH("If-None-Match: " ETAG "\r\n"), &e);
		expect_200(&c, HEAD, &e);
		expect_miss(&c, WITH("If-None-Match: \"x\"\r\n"), WEIR_MISS_MSS);
		expect_miss(&c, GET, WEIR_MISS_NOT_CACHED);
		prog_withdraw(&e);
		prog_flow_remove(&c);
	}
}

/* A worker can write what it likes into its own pool's entries. */
Test(xdp_cond, entry_with_an_impossible_304_is_harmless)
{
	struct prog_entry e = { .body_bytes = 100, .is_conditional = true };
	struct packet c = connect_to(&e);
	struct weir_entry_l value;

	cr_assert(prog_entry_get(&e, &value));
	value.head.cond.bytes = WEIR_COND_BYTES + 1;
	prog_entry_put(&e, &value);
	cr_assert_neq(ask(&c, WITH("If-None-Match: " ETAG "\r\n"))->verdict, WEIR_VERDICT_HIT);
	prog_flow_put(&c, &fresh);
	value.head.cond.bytes = 100;
	value.head.cond.date_off = 95;
	prog_entry_put(&e, &value);
	cr_assert_neq(ask(&c, WITH("If-None-Match: " ETAG "\r\n"))->verdict, WEIR_VERDICT_HIT);
}
