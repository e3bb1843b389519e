// SPDX-License-Identifier: GPL-2.0
/* Handshakes that one host begins and another completes: bpf/lib/cookie.h with shared secrets, userspace/dataplane/shared.c. Two
 * hosts are the same program with another clock. */
#include <string.h>

#include "common/macro.h"
#include "dataplane/dataplane_priv.h"
#include "harness/prog_run.h"

PROG_TESTS(xdp_shared);

#define UNIT_NS (WEIR_COOKIE_UNIT_S * 1000000000ULL)
#define SECOND_NS 1000000000LL
#define UNIT 27000000ULL /* one of the year 2024 */

/* The clock is `after_ns` behind the beginning of UNIT; timestamps are `ahead_ms` ahead of some origin. */
static void be_host(int64_t after_ns, uint32_t ahead_ms, bool is_shared)
{
	struct weir_secrets s = prog_secrets();

	s.clock_ns = UNIT * UNIT_NS + (uint64_t)after_ns - prog_now_ns();
	s.clock_ms = 64 * 1000000 + ahead_ms;
	s.is_shared = is_shared;
	prog_secrets_put(&s);
}

static struct packet handshake(const struct packet *syn)
{
	struct packet p = prog_packet(false);
	struct prog_result r;

	prog_run(syn, &r);
	assert_verdict(&r, WEIR_VERDICT_SYN_COOKIE);
	p.client_port = syn->client_port;
	p.seq = syn->seq + 1;
	p.ack = r.reply.seq + 1;
	p.has_ts = r.reply.has_ts;
	p.ts_val = syn->ts_val;
	p.ts_ecr = r.reply.ts_val;
	return p;
}

static enum weir_verdict verdict_of(const struct packet *p)
{
	struct prog_result r;

	prog_run(p, &r);
	return r.verdict;
}

Test(xdp_shared, clocks_may_differ_by_seconds_where_a_unit_begins)
{
	static const int64_t first[] = { 3, -3, 1, -1, 30, 0 }, second[] = { -3, 3, -1, 1, 33, 5 };
	struct packet syn = prog_syn(0, 1460), p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(first); i++) {
		be_host(first[i] * SECOND_NS, 0, true);
		p = handshake(&syn);
		be_host(second[i] * SECOND_NS, 0, true);
		cr_expect_eq(verdict_of(&p), WEIR_VERDICT_ACCEPTED, "%d: from %d to %d", (int)i, (int)first[i],
			     (int)second[i]);
		prog_flow_remove(&p);
	}
}

Test(xdp_shared, a_cookie_of_the_future_is_refused_of_a_host_that_shares_nothing)
{
	struct packet syn = prog_syn(0, 1460), p;

	be_host(SECOND_NS, 0, false);
	p = handshake(&syn);
	be_host(-SECOND_NS, 0, false);
	cr_assert_eq(verdict_of(&p), WEIR_VERDICT_PASS_NO_FLOW);
}

Test(xdp_shared, cookies_get_old_by_the_time_of_day)
{
	struct packet syn = prog_syn(0, 1460), p;

	be_host(SECOND_NS, 0, true);
	p = handshake(&syn);
	be_host(SECOND_NS + (int64_t)UNIT_NS, 0, true);
	cr_assert_eq(verdict_of(&p), WEIR_VERDICT_ACCEPTED);
	prog_flow_remove(&p);
	be_host(SECOND_NS + 2 * (int64_t)UNIT_NS, 0, true);
	cr_assert_eq(verdict_of(&p), WEIR_VERDICT_PASS_NO_FLOW);
	be_host(SECOND_NS + 3 * (int64_t)UNIT_NS, 0, true);
	cr_assert_eq(verdict_of(&p), WEIR_VERDICT_PASS_NO_FLOW);
	be_host(SECOND_NS - 2 * (int64_t)UNIT_NS, 0, true);
	cr_assert_eq(verdict_of(&p), WEIR_VERDICT_PASS_NO_FLOW);
}

Test(xdp_shared, timestamps_do_not_go_back_and_options_are_read)
{
	struct packet syn = prog_syn(WITH_ALL & ~WITH_V6, 1460), p;
	struct weir_flow f;
	int32_t step;

	for (step = -4096; step <= 4096; step += 1024) {
		uint32_t now;

		be_host(SECOND_NS, 0, true);
		p = handshake(&syn);
		be_host(SECOND_NS, (uint32_t)step, true);
		cr_assert_eq(verdict_of(&p), WEIR_VERDICT_ACCEPTED);
		cr_assert(prog_flow(&p, &f));
		now = (uint32_t)(prog_now_ns() / 1000000) + f.ts_offset;
		cr_expect_geq((int32_t)(now - p.ts_ecr), 0, "a clock that is %d ms ahead", step);
		cr_expect_lt((int32_t)(now - p.ts_ecr), 4096 + 1000, "a clock that is %d ms ahead", step);
		cr_expect_eq(f.flags & (WEIR_FLOW_SACK | WEIR_FLOW_WSCALE), WEIR_FLOW_SACK | WEIR_FLOW_WSCALE);
		cr_expect_eq(f.snd_wscale, syn.wscale);
		prog_flow_remove(&p);
	}
}

Test(xdp_shared, keys_rotate_and_overlap_by_half_an_hour)
{
	static const uint64_t secret[4] = { 1, 2, 3, 4 }, other[4] = { 1, 2, 3, 5 };
	const uint64_t hour = 480000 * 3600ULL;
	struct weir_secrets here, there, odd;
	int64_t at, skew;

	for (at = -3600; at <= 3600; at += 100) {
		for (skew = -5; skew <= 5; skew += 5) {
			dp_shared_keys(secret, hour + (uint64_t)at, &here);
			dp_shared_keys(secret, hour + (uint64_t)(at + skew), &there);
			cr_assert_arr_eq(here.cookie[here.cookie_current], there.cookie[here.cookie_current], 16,
					 "%d %d", (int)at, (int)skew);
			cr_assert_arr_eq(here.ts_offset, there.ts_offset, 16);
		}
	}
	/* what was made before the hour is known two units later */
	dp_shared_keys(secret, hour - 1, &here);
	dp_shared_keys(secret, hour + 2 * WEIR_COOKIE_UNIT_S, &there);
	cr_assert_neq(here.cookie_current, there.cookie_current);
	cr_assert_arr_eq(here.cookie[here.cookie_current], there.cookie[here.cookie_current], 16);
	dp_shared_keys(secret, hour + 7200, &there);
	cr_assert_arr_neq(here.cookie[here.cookie_current], there.cookie[here.cookie_current], 16);
	dp_shared_keys(other, hour - 1, &odd);
	cr_assert_arr_neq(here.cookie[0], odd.cookie[0], 16);
	cr_assert_arr_neq(here.ts_offset, odd.ts_offset, 16);
	cr_assert_neq(here.cookie[0][0], here.cookie[0][1]);
}
