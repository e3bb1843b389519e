// SPDX-License-Identifier: GPL-2.0
/* Entries that age: Age and Date, the end of freshness, and stale answers while one request refreshes: bpf/lib/answer.h. */
#include <string.h>

#include "common/macro.h"
#include "harness/prog_cache.h"

PROG_TESTS(xdp_stale);

#define SECOND 1000000000ULL

static struct prog_result result;
static struct weir_flow fresh;

static const struct prog_result *ask(const struct packet *client, const char *text)
{
	struct packet p = prog_request(client, text);

	prog_run(&p, &result);
	return &result;
}

static void expect_hit(const struct packet *c, const struct prog_entry *e)
{
	assert_verdict(ask(c, GET), WEIR_VERDICT_HIT);
	prog_assert_response(&result, e, false, false);
	prog_flow_put(c, &fresh);
}

static void expect_miss(const struct packet *c, const char *text, enum weir_miss miss)
{
	ask(c, text);
	assert_miss(&result, miss);
	assert_verdict(&result, WEIR_VERDICT_HANDOVER);
	prog_flow_put(c, &fresh);
}

Test(xdp_stale, age_is_the_time_since_birth_in_ten_digits)
{
	static const uint64_t ages[] = { 0, 1, 9, 10, 99, 100, 4711, 12345678, 987654321, 0x7fffffff, 0x80000000 };
	struct packet c = prog_connect(0, 1460);
	size_t i;

	cr_assert(prog_flow(&c, &fresh));
	for (i = 0; i < ARRAY_SIZE(ages); i++) {
		/* before boot, as it mostly is: modulo 2^64 */
		struct prog_entry e = { .has_age = true,
					.is_dated = i & 1,
					.body_bytes = 60 + i,
					.born_ns = prog_now_ns() - ages[i] * SECOND - SECOND / 2,
					.shown_age = (unsigned)ages[i] };

		prog_publish(&e);
		expect_hit(&c, &e);
	}
}

/* RFC 9111 1.2.2 */
Test(xdp_stale, age_that_is_too_large_is_the_largest)
{
	struct packet c = prog_connect(0, 1460);
	struct prog_entry e = { .has_age = true,
				.born_ns = prog_now_ns() - (1ULL << 33) * SECOND,
				.shown_age = 0x80000000 };

	cr_assert(prog_flow(&c, &fresh));
	prog_publish(&e);
	expect_hit(&c, &e);
}

Test(xdp_stale, age_goes_on_when_the_answer_is_repeated)
{
	struct packet c = prog_connect(WITH_ALL, 1460), p = prog_request(&c, GET);
	struct prog_entry e = { .has_age = true, .shown_age = 5, .body_bytes = 10 };
	struct weir_entry_l value;

	e.born_ns = prog_now_ns() - 5 * SECOND - SECOND / 2;
	prog_publish(&e);
	prog_run(&p, &result);
	assert_verdict(&result, WEIR_VERDICT_HIT);
	prog_assert_response(&result, &e, false, false);
	/* three seconds later */
	cr_assert(prog_entry_get(&e, &value));
	value.head.born_ns -= 3 * SECOND;
	prog_entry_put(&e, &value);
	e.shown_age = 8;
	prog_run(&p, &result);
	assert_verdict(&result, WEIR_VERDICT_HIT_AGAIN);
	prog_assert_response(&result, &e, false, false);
}

Test(xdp_stale, checksum_is_right_wherever_age_and_date_begin)
{
	struct packet c = prog_connect(0, 1460);
	unsigned i;

	cr_assert(prog_flow(&c, &fresh));
	for (i = 0; i < 32; i++) {
		struct prog_entry e = { .fill_date = i & 1,
					.fill_conn = i >> 1 & 1,
					.is_dated = i >> 2 & 1,
					.body_bytes = i >> 3,
					.has_age = true,
					.shown_age = 1234567890,
					.born_ns = prog_now_ns() - 1234567890 * SECOND - SECOND / 2 };

		prog_publish(&e);
		expect_hit(&c, &e);
	}
}

Test(xdp_stale, entry_ends_to_the_nanosecond)
{
	struct packet c = prog_connect(0, 1460);
	struct prog_entry e = { .expires_ns = prog_now_ns() + SECOND / 4 };
	uint64_t before, after;
	unsigned hits = 0;

	cr_assert(prog_flow(&c, &fresh));
	prog_publish(&e);
	do {
		before = prog_now_ns();
		ask(&c, GET);
		after = prog_now_ns();
		if (after < e.expires_ns) {
			assert_verdict(&result, WEIR_VERDICT_HIT);
			hits++;
		} else if (before >= e.expires_ns) {
			assert_miss(&result, WEIR_MISS_EXPIRED);
		}
		prog_flow_put(&c, &fresh);
	} while (before < e.expires_ns);
	cr_assert_gt(hits, 0);
}

Test(xdp_stale, one_request_refreshes_and_all_others_are_answered)
{
	struct packet c = prog_connect(0, 1460);
	uint64_t now = prog_now_ns();
	struct prog_entry e = {
		.body_bytes = 70, .expires_ns = now - SECOND, .stale_ns = now + 60 * SECOND, .refresh_ms = 30000
	};
	struct weir_pool_stats before = prog_pool_stats(POOL_A), after;
	int i;

	cr_assert(prog_flow(&c, &fresh));
	prog_publish(&e);
	expect_miss(&c, GET, WEIR_MISS_REFRESH);
	for (i = 0; i < 100; i++)
		expect_hit(&c, &e);
	after = prog_pool_stats(POOL_A);
	cr_assert_eq(after.stale - before.stale, 100);
	cr_assert_eq(after.misses - before.misses, 1);

	/* the refresh has brought a new one */
	e.generation = 2;
	e.expires_ns = now + 60 * SECOND;
	prog_publish(&e);
	expect_hit(&c, &e);
	cr_assert_eq(prog_pool_stats(POOL_A).stale - before.stale, 100);
}

Test(xdp_stale, refresh_that_fails_is_tried_again)
{
	struct packet c = prog_connect(0, 1460);
	uint64_t now = prog_now_ns();
	struct prog_entry e = { .expires_ns = now - SECOND, .stale_ns = now + 60 * SECOND, .refresh_ms = 50 };
	unsigned refreshes = 0, hits = 0;

	cr_assert(prog_flow(&c, &fresh));
	prog_publish(&e);
	while (prog_now_ns() < now + 230 * SECOND / 1000) {
		ask(&c, GET);
		if (result.verdict == WEIR_VERDICT_HIT) {
			hits++;
		} else {
			assert_miss(&result, WEIR_MISS_REFRESH);
			refreshes++;
		}
		prog_flow_put(&c, &fresh);
	}
	cr_assert_leq(refreshes, 5, "%u", refreshes);
	cr_assert_geq(refreshes, 2, "%u", refreshes);
	cr_assert_gt(hits, 0);
}

Test(xdp_stale, nothing_is_served_after_the_grace)
{
	struct packet c = prog_connect(0, 1460);
	uint64_t now = prog_now_ns();
	struct prog_entry e = { .expires_ns = now - 2 * SECOND, .stale_ns = now - SECOND };

	cr_assert(prog_flow(&c, &fresh));
	prog_publish(&e);
	expect_miss(&c, GET, WEIR_MISS_EXPIRED);
	expect_miss(&c, GET, WEIR_MISS_EXPIRED);
	e.stale_ns = 0;
	prog_publish(&e);
	expect_miss(&c, GET, WEIR_MISS_EXPIRED);
}

/* A HEAD brings the worker no body to store; a hand-over that has begun is no second request. */
Test(xdp_stale, only_a_new_get_refreshes)
{
	struct packet c = prog_connect(0, 1460);
	uint64_t now = prog_now_ns();
	struct prog_entry e = { .body_bytes = 9, .expires_ns = now - SECOND, .stale_ns = now + 60 * SECOND };
	struct weir_entry_l value;
	struct weir_flow f = {};

	cr_assert(prog_flow(&c, &fresh));
	prog_publish(&e);
	assert_verdict(ask(&c, HEAD), WEIR_VERDICT_HIT);
	prog_assert_response(&result, &e, true, false);
	f = fresh;
	f.flags |= WEIR_FLOW_PENDING;
	prog_flow_put(&c, &f);
	assert_verdict(ask(&c, GET), WEIR_VERDICT_HANDOVER);
	assert_miss(&result, WEIR_MISS_PENDING);
	cr_assert(prog_entry_get(&e, &value));
	cr_assert_eq(value.head.refresh_ns, 0);
	prog_flow_put(&c, &fresh);
	expect_miss(&c, GET, WEIR_MISS_REFRESH);
	cr_assert(prog_entry_get(&e, &value));
	cr_assert_gt(value.head.refresh_ns, now);
}

/* What does not fit a segment goes up in any case: it must not count as the refresh. */
Test(xdp_stale, request_that_could_not_be_answered_is_not_the_one_that_refreshes)
{
	struct packet c = prog_connect(0, 536);
	uint64_t now = prog_now_ns();
	struct prog_entry e = { .body_bytes = 800, .expires_ns = now - SECOND, .stale_ns = now + 60 * SECOND };
	struct weir_entry_l value;

	cr_assert(prog_flow(&c, &fresh));
	prog_publish(&e);
	expect_miss(&c, GET, WEIR_MISS_MSS);
	cr_assert(prog_entry_get(&e, &value));
	cr_assert_eq(value.head.refresh_ns, 0);
}
