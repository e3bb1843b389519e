// SPDX-License-Identifier: GPL-2.0
/* Requests that the cache answers, byte by byte, and every reason why an entry must not be sent: bpf/lib/answer.h. */
#include <stdlib.h>
#include <string.h>

#include "common/macro.h"
#include "harness/prog_cache.h"

PROG_TESTS(xdp_hit);

static struct prog_result result;

static const struct prog_result *ask(const struct packet *client, const char *text)
{
	struct packet p = prog_request(client, text);

	prog_run(&p, &result);
	return &result;
}

/* Afterwards the hand-over that has begun is forgotten, so that the connection can ask again. */
static void expect_miss(const struct packet *client, const char *text, enum weir_miss miss)
{
	const struct prog_result *r = ask(client, text);
	struct weir_flow f;

	assert_miss(r, miss);
	assert_verdict(r, WEIR_VERDICT_HANDOVER);
	cr_assert(prog_flow(client, &f));
	f.flags &= (uint8_t)~WEIR_FLOW_PENDING;
	prog_flow_put(client, &f);
}

Test(xdp_hit, answer_is_the_entry_with_the_date)
{
	unsigned o;

	for (o = 0; o < 16; o++) {
		struct prog_entry e = { .endpoint = o & WITH_V6 ? ENDPOINT6 : ENDPOINT4, .body_bytes = 100 };
		struct packet c = prog_connect(o, 1440);
		const struct prog_result *r;
		struct weir_flow f;

		prog_publish(&e);
		c.ts_val++;
		r = ask(&c, GET);
		assert_verdict(r, WEIR_VERDICT_HIT);
		assert_miss(r, WEIR_MISS_NONE);
		assert_reply(r, ACK | PSH, c.ack, c.seq + strlen(GET));
		prog_assert_response(r, &e, false, false);
		cr_assert(prog_flow(&c, &f));
		cr_assert_eq(r->reply.window, f.window >> f.rcv_wscale);
		cr_assert_eq(r->reply.has_ts, !!(o & WITH_TS));
		cr_assert_eq(r->reply.ts_ecr, o & WITH_TS ? c.ts_val : 0);
		cr_assert_eq(f.rcv_nxt, c.seq + strlen(GET));
		cr_assert_eq(f.snd_nxt, c.ack + r->reply.payload_bytes);
		prog_flow_remove(&c);
	}
}

/* The checksum is put together from sums of parts: each may begin at an odd byte. */
Test(xdp_hit, checksum_is_right_wherever_the_parts_begin)
{
	static const char *const requests[] = { GET, GET_CLOSE, HEAD };
	struct packet c = prog_connect(0, 1460);
	struct weir_flow fresh;
	unsigned i, n;

	cr_assert(prog_flow(&c, &fresh));
	for (i = 0; i < 2 * 2 * 2 * 4; i++) {
		struct prog_entry e = {
			.fill_date = i & 1,
			.fill_conn = i >> 1 & 1,
			.fill_end = i >> 2 & 1,
			.body_bytes = i >> 3,
		};

		prog_publish(&e);
		for (n = 0; n < ARRAY_SIZE(requests); n++) {
			const struct prog_result *r = ask(&c, requests[n]);

			assert_verdict(r, WEIR_VERDICT_HIT);
			prog_assert_response(r, &e, requests[n][0] == 'H', n == 1);
			prog_flow_put(&c, &fresh);
		}
	}
}

/* One's complement sums have two zeros and carries: bodies that bring them about. */
Test(xdp_hit, checksum_is_right_for_random_sizes)
{
	struct packet c = prog_connect(WITH_TS, 65475);
	struct prog_entry e = {};
	struct weir_flow fresh;
	unsigned seed = 1, i;

	cr_assert(prog_flow(&c, &fresh));
	for (i = 0; i < 300; i++) {
		e.generation = i + 1;
		e.body_bytes = (size_t)rand_r(&seed) % (i < 200 ? 1000 : 3200);
		prog_withdraw(&e);
		prog_publish(&e);
		assert_verdict(ask(&c, GET), WEIR_VERDICT_HIT);
		prog_assert_response(&result, &e, false, false);
		prog_flow_put(&c, &fresh);
	}
}

Test(xdp_hit, head_gets_no_body)
{
	struct prog_entry e = { .body_bytes = 1000 };
	struct packet c = prog_connect(0, 1460);

	prog_publish(&e);
	assert_verdict(ask(&c, HEAD), WEIR_VERDICT_HIT);
	prog_assert_response(&result, &e, true, false);
	prog_acknowledge(&c, &result.reply);
	assert_verdict(ask(&c, GET), WEIR_VERDICT_HIT);
	prog_assert_response(&result, &e, false, false);
}

Test(xdp_hit, connection_ends_when_the_client_wants_it_to)
{
	static const struct {
		const char *text;
		bool is_close;
	} rows[] = {
		{ GET, false },
		{ GET_CLOSE, true },
		{ "GET " TARGET " HTTP/1.1\r\nHost: " HOST "\r\nConnection: keep-alive\r\n\r\n", false },
		{ "GET " TARGET " HTTP/1.1\r\nHost: " HOST "\r\nConnection: keep-alive, close\r\n\r\n", true },
		{ "GET " TARGET " HTTP/1.0\r\nHost: " HOST "\r\n\r\n", true },
		{ "GET " TARGET " HTTP/1.0\r\nHost: " HOST "\r\nConnection: Keep-Alive\r\n\r\n", false },
		{ "GET " TARGET " HTTP/1.0\r\nHost: " HOST "\r\nConnection: close\r\n\r\n", true },
	};
	struct prog_entry e = { .body_bytes = 10 };
	size_t i;

	prog_publish(&e);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet c = prog_connect(0, 1460);
		struct weir_flow f;

		assert_verdict(ask(&c, rows[i].text), WEIR_VERDICT_HIT);
		assert_reply(&result, ACK | PSH | (rows[i].is_close ? FIN : 0), c.ack, c.seq + strlen(rows[i].text));
		prog_assert_response(&result, &e, false, rows[i].is_close);
		cr_assert(prog_flow(&c, &f));
		cr_assert_eq(f.state, rows[i].is_close ? WEIR_FLOW_FIN_SENT : WEIR_FLOW_OPEN);
		cr_assert_eq(f.snd_nxt, c.ack + result.reply.payload_bytes + rows[i].is_close);
		prog_flow_remove(&c);
	}
}

Test(xdp_hit, connection_is_kept_for_many_requests)
{
	struct packet c = prog_connect(WITH_ALL, 1460);
	struct prog_entry e = { .body_bytes = 333 };
	struct weir_pool_stats before = prog_pool_stats(POOL_A), after;
	struct weir_entry_l value;
	struct weir_flow f;
	int i;

	prog_publish(&e);
	for (i = 0; i < 50; i++) {
		assert_verdict(ask(&c, GET), WEIR_VERDICT_HIT);
		prog_assert_response(&result, &e, false, false);
		prog_acknowledge(&c, &result.reply);
	}
	after = prog_pool_stats(POOL_A);
	cr_assert_eq(after.hits - before.hits, 50);
	cr_assert_eq(after.hit_bytes - before.hit_bytes, 50 * (prog_head_bytes(&e) + 333));
	cr_assert(prog_flow(&c, &f) && prog_entry_get(&e, &value));
	cr_assert_eq(f.requests, 50);
	cr_assert_eq(value.head.hits, 50);
}

Test(xdp_hit, response_may_fill_the_segment_but_not_exceed_it)
{
	static const struct {
		unsigned options;
		uint16_t mss;
		size_t room;
	} rows[] = { { 0, 536, 536 }, { WITH_TS, 536, 524 }, { 0, 1460, 1460 }, { WITH_TS, 1460, 1448 } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet c = prog_connect(rows[i].options, rows[i].mss);
		struct prog_entry e = {};

		prog_entry_size(&e, rows[i].room + 1);
		prog_publish(&e);
		expect_miss(&c, GET, WEIR_MISS_MSS);
		prog_flow_remove(&c);
		c = prog_connect(rows[i].options, rows[i].mss);
		e.body_bytes--;
		prog_publish(&e);
		assert_verdict(ask(&c, GET), WEIR_VERDICT_HIT);
		prog_assert_response(&result, &e, false, false);
		prog_flow_remove(&c);
	}
}

Test(xdp_hit, clients_window_is_obeyed)
{
	struct packet c = prog_connect(0, 1460);
	struct prog_entry e = {};

	prog_entry_size(&e, 1000);
	prog_publish(&e);
	c.window = 999;
	expect_miss(&c, GET, WEIR_MISS_WINDOW);
	prog_flow_remove(&c);
	c = prog_connect(0, 1460);
	c.window = 1000;
	assert_verdict(ask(&c, GET), WEIR_VERDICT_HIT);
}

Test(xdp_hit, clients_window_is_scaled)
{
	struct packet c = prog_connect(WITH_ALL, 1460);
	struct prog_entry e = {};

	prog_entry_size(&e, 1025);
	prog_publish(&e);
	c.window = 1024 >> CLIENT_WSCALE;
	expect_miss(&c, GET, WEIR_MISS_WINDOW);
	prog_flow_remove(&c);
	c = prog_connect(WITH_ALL, 1460);
	c.window = (1024 >> CLIENT_WSCALE) + 1;
	assert_verdict(ask(&c, GET), WEIR_VERDICT_HIT);
}

Test(xdp_hit, expired_entry_is_not_served)
{
	struct prog_entry e = { .expires_ns = prog_now_ns() };
	struct packet c = prog_connect(0, 1460);

	prog_publish(&e);
	expect_miss(&c, GET, WEIR_MISS_EXPIRED);
	e.expires_ns = prog_now_ns() + 60000000000;
	prog_publish(&e);
	assert_verdict(ask(&c, GET), WEIR_VERDICT_HIT);
}

Test(xdp_hit, torn_entry_is_not_served)
{
	struct packet c = prog_connect(0, 1460);
	struct prog_entry e = {};
	struct weir_entry_l value;

	prog_publish(&e);
	cr_assert(prog_entry_get(&e, &value));
	((struct weir_entry_s *)&value)->generation_end++;
	prog_entry_put(&e, &value);
	expect_miss(&c, GET, WEIR_MISS_TORN);
	prog_publish(&e);
	cr_assert(prog_entry_get(&e, &value));
	value.head.digest[1]++;
	prog_entry_put(&e, &value);
	expect_miss(&c, GET, WEIR_MISS_TORN);
}

/* A worker can write what it likes into its own pool's entries. */
Test(xdp_hit, entry_with_impossible_sizes_is_harmless)
{
	struct packet c = prog_connect(0, 65475);
	struct prog_entry e = { .body_bytes = 50 };
	struct weir_entry_l value;
	struct prog_result r;
	struct packet p = prog_request(&c, GET);

	prog_publish(&e);
	cr_assert(prog_entry_get(&e, &value));
	value.head.body_bytes = WEIR_BYTES_S; /* fits the segment, not the entry */
	prog_entry_put(&e, &value);
	prog_run(&p, &r);
	assert_miss(&r, WEIR_MISS_TORN);
	value.head.body_bytes = 0;
	value.head.whole.bytes = 0;
	prog_entry_put(&e, &value);
	prog_run(&p, &r);
	cr_assert_neq(r.verdict, WEIR_VERDICT_HIT);
	value.head.whole.bytes = (uint32_t)prog_head_bytes(&e);
	value.head.whole.date_off = 0xfff0;
	prog_entry_put(&e, &value);
	prog_run(&p, &r);
	cr_assert_neq(r.verdict, WEIR_VERDICT_HIT);
}

Test(xdp_hit, nothing_is_served_while_the_clock_stands)
{
	struct packet c = prog_connect(0, 1460);
	struct prog_entry e = {};

	prog_publish(&e);
	prog_clock_written(prog_now_ns() - (WEIR_CLOCK_STALE_MS + 1) * 1000000ULL);
	expect_miss(&c, GET, WEIR_MISS_CLOCK);
	prog_clock_written(prog_now_ns() - (WEIR_CLOCK_STALE_MS - 500) * 1000000ULL);
	assert_verdict(ask(&c, GET), WEIR_VERDICT_HIT);
}

Test(xdp_hit, entry_is_found_under_its_whole_key_only)
{
	static const char *const others[] = {
		"GET " TARGET "x HTTP/1.1\r\nHost: " HOST "\r\n\r\n",
		"GET " TARGET "? HTTP/1.1\r\nHost: " HOST "\r\n\r\n",
		"GET /INDEX.html HTTP/1.1\r\nHost: " HOST "\r\n\r\n",
		"GET " TARGET " HTTP/1.1\r\nHost: x" HOST "\r\n\r\n",
		"GET " TARGET " HTTP/1.1\r\nHost: " HOST ".\r\n\r\n",
		"GET " TARGET " HTTP/1.1\r\nHost: " HOST "\r\nAccept-Encoding: gzip\r\n\r\n",
	};
	struct packet c = prog_connect(0, 1460);
	struct prog_entry e = {};
	size_t i;

	prog_publish(&e);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		expect_miss(&c, others[i], WEIR_MISS_NOT_CACHED);
	assert_verdict(ask(&c, "GET " TARGET " HTTP/1.1\r\nhOST: A.EXAMPLE:80\r\n\r\n"), WEIR_VERDICT_HIT);
}

Test(xdp_hit, entries_of_other_pools_and_endpoints_are_not_served)
{
	struct prog_entry b = { .pool = POOL_B }, v6 = { .endpoint = ENDPOINT6 };
	struct packet c = prog_connect(0, 1460);

	prog_publish(&b);
	prog_publish(&v6);
	expect_miss(&c, GET, WEIR_MISS_NOT_CACHED);
}

Test(xdp_hit, pool_without_a_cache_is_not_asked)
{
	struct packet c = prog_connect(0, 1460);

	prog_endpoints(WEIR_ENDPOINT_HTTP | WEIR_ENDPOINT_SINGLE, POOL_OFF, 1 << WEIR_BUCKET_WEAK);
	expect_miss(&c, GET, WEIR_MISS_POOL_OFF);
}

Test(xdp_hit, frame_that_cannot_grow_is_left_to_tc)
{
	struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET_CLOSE);
	struct prog_entry e = { .body_bytes = 100 };
	struct weir_flow before, after;
	struct weir_entry_l value;

	prog_publish(&e);
	prog_iface(WEIR_IFACE_GENERIC, 1500, NULL);
	cr_assert(prog_flow(&c, &before) && prog_entry_get(&e, &value));
	prog_run(&p, &result);
	assert_verdict(&result, WEIR_VERDICT_HIT_TC);
	cr_assert_eq(result.meta.kind, PROG_META_ANSWER);
	cr_assert_eq(result.meta.seq, p.seq);
	cr_assert_eq(result.meta.ack, p.ack);
	cr_assert_eq(result.meta.pool, POOL_A);
	cr_assert_eq(result.meta.flags, 2);
	cr_assert_arr_eq(result.meta.digest, value.head.digest, 16);
	cr_assert(prog_flow(&c, &after));
	cr_assert_eq(after.rcv_nxt, before.rcv_nxt);
	cr_assert_eq(after.snd_nxt, before.snd_nxt);
}

Test(xdp_hit, one_vlan_tag_is_kept_in_the_answer)
{
	struct packet c = prog_connect(WITH_V6, 1420);
	struct prog_entry e = { .endpoint = ENDPOINT6, .body_bytes = 100 };

	prog_publish(&e);
	c.tags = 1;
	c.tci[0] = 7;
	assert_verdict(ask(&c, GET), WEIR_VERDICT_HIT);
	cr_assert_eq(result.reply.tags, 1);
	cr_assert_eq(result.reply.tci[0], 7);
	prog_assert_response(&result, &e, false, false);
}
