// SPDX-License-Identifier: GPL-2.0
/* Connections that XDP owns, but for answers and for their end: each row of the state machine in bpf/lib/owned.h. */
#include <string.h>

#include "common/macro.h"
#include "harness/prog_cache.h"

PROG_TESTS(xdp_owned);

#define WINDOW (65535 / 1460 * 1460) /* what we offer with MSS 1460 */

static struct prog_result result;

static const struct prog_result *transmit(const struct packet *p, enum weir_verdict v)
{
	prog_run(p, &result);
	assert_verdict(&result, v);
	return &result;
}

/* What is sent when a segment is not acceptable: where we are, with the window and the client's timestamp. */
static void expect_ack(const struct packet *client, const struct packet *p, enum weir_verdict v)
{
	struct weir_flow f;

	transmit(p, v);
	cr_assert(prog_flow(client, &f));
	assert_reply(&result, ACK, f.snd_nxt, f.rcv_nxt);
	cr_assert_eq(f.rcv_nxt, client->seq);
	cr_assert_eq(f.snd_nxt, client->ack);
	cr_assert_eq(result.reply.payload_bytes, 0);
	cr_assert_eq(result.reply.window, f.window >> f.rcv_wscale);
	cr_assert_eq(result.reply.has_ts, client->has_ts);
	cr_assert_eq(result.reply.ts_ecr, client->has_ts ? f.ts_recent : 0);
}

static void expect_unchanged(const struct packet *p, enum weir_verdict v)
{
	struct weir_flow before, after;

	cr_assert(prog_flow(p, &before));
	transmit(p, v);
	cr_assert(prog_flow(p, &after));
	after.seen_ns = before.seen_ns;
	cr_assert_arr_eq(&after, &before, sizeof(before));
}

Test(xdp_owned, acknowledgement_is_taken_note_of)
{
	struct packet c = prog_connect(WITH_ALL, 1460);

	transmit(&c, WEIR_VERDICT_ACK);
	c.window = 0;
	transmit(&c, WEIR_VERDICT_ACK);
}

Test(xdp_owned, segment_without_ack_is_dropped)
{
	static const uint8_t flags[] = { 0, FIN, PSH, URG, FIN | PSH | URG };
	struct packet c = prog_connect(0, 1460);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		c.flags = flags[i];
		expect_unchanged(&c, WEIR_VERDICT_DROP_NO_ACK);
	}
}

Test(xdp_owned, older_timestamp_is_answered_and_dropped)
{
	struct packet c = prog_connect(WITH_ALL, 1460), p = prog_request(&c, GET);

	p.ts_val = CLIENT_TS;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_PAWS);
	p.ts_val = c.ts_val - 0x7fffffff;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_PAWS);
	p.ts_val = c.ts_val;
	transmit(&p, WEIR_VERDICT_HANDOVER);
}

Test(xdp_owned, timestamp_of_the_next_byte_is_echoed)
{
	struct packet c = prog_connect(WITH_ALL, 1460), p = c;
	struct weir_flow f;

	c.ts_val += 5;
	transmit(&c, WEIR_VERDICT_ACK);
	cr_assert(prog_flow(&c, &f));
	cr_assert_eq(f.ts_recent, c.ts_val);
	p = prog_request(&p, GET);
	p.seq += 100; /* beyond a hole: not to be echoed */
	p.ts_val = c.ts_val + 9;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_OUT_OF_ORDER);
	cr_assert_eq(result.reply.ts_ecr, c.ts_val);
}

Test(xdp_owned, own_timestamps_never_run_backwards)
{
	struct packet c = prog_connect(WITH_ALL, 1460), p = c;
	uint32_t last = c.ts_ecr;
	int i;

	p.seq--;
	for (i = 0; i < 20; i++) {
		expect_ack(&c, &p, WEIR_VERDICT_ACK_KEEPALIVE);
		cr_assert_geq((int32_t)(result.reply.ts_val - last), 0);
		last = result.reply.ts_val;
	}
}

Test(xdp_owned, rst_at_the_next_byte_ends_the_connection)
{
	static const uint8_t flags[] = { RST, RST | ACK, RST | SYN };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct packet c = prog_connect(WITH_ALL, 1460);

		c.flags = flags[i];
		c.ts_val = 0; /* RFC 7323 5.2: no PAWS for RST */
		transmit(&c, WEIR_VERDICT_RST);
		cr_assert_eq(prog_flows_count(), 0);
	}
}

Test(xdp_owned, rst_elsewhere_in_the_window_is_challenged)
{
	struct packet c = prog_connect(WITH_ALL, 1460), p = c;

	p.flags = RST;
	p.seq = c.seq + 1;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_CHALLENGE_RST);
	p.seq = c.seq + WINDOW - 1;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_CHALLENGE_RST);
}

Test(xdp_owned, rst_outside_the_window_is_dropped)
{
	struct packet p = prog_connect(0, 1460);

	p.flags = RST;
	p.seq--;
	expect_unchanged(&p, WEIR_VERDICT_DROP_RST_WINDOW);
	p.seq += 1 + 65536;
	expect_unchanged(&p, WEIR_VERDICT_DROP_RST_WINDOW);
	p.seq += 0x7fffffff;
	expect_unchanged(&p, WEIR_VERDICT_DROP_RST_WINDOW);
}

Test(xdp_owned, syn_inside_a_connection_is_challenged)
{
	static const uint8_t flags[] = { SYN, SYN | ACK, SYN | FIN | ACK };
	struct packet c = prog_connect(WITH_ALL, 1460), p = c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		p.flags = flags[i];
		p.seq = c.seq + 7;
		expect_ack(&c, &p, WEIR_VERDICT_ACK_CHALLENGE_SYN);
		p.seq = c.seq + 0x40000000;
		expect_ack(&c, &p, WEIR_VERDICT_ACK_CHALLENGE_SYN);
	}
}

Test(xdp_owned, keepalive_probe_is_answered)
{
	struct packet c = prog_connect(WITH_ALL, 1460), p = c;

	p.seq--;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_KEEPALIVE);
	p.payload = "?"; /* RFC 9293 3.8.4: may hold one garbage octet */
	p.payload_bytes = 1;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_OLD_DATA);
}

Test(xdp_owned, segment_beyond_the_window_is_answered_and_dropped)
{
	struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);

	p.seq = c.seq + WINDOW + 1;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_WINDOW);
	p.payload_bytes = 0;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_WINDOW);
}

Test(xdp_owned, acknowledgement_of_what_was_never_sent_is_answered_and_dropped)
{
	struct packet c = prog_connect(WITH_ALL, 1460), p = c;

	p.ack++;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_UNSENT);
	p = prog_request(&p, GET);
	expect_ack(&c, &p, WEIR_VERDICT_ACK_UNSENT);
}

Test(xdp_owned, acknowledgement_far_below_is_challenged)
{
	struct packet c = prog_connect(0, 1460), p = c;
	struct prog_entry e = { .body_bytes = 100 };

	p.ack = c.ack - 1; /* nothing was sent that it could acknowledge */
	expect_ack(&c, &p, WEIR_VERDICT_ACK_CHALLENGE_ACK);
	prog_publish(&e);
	p = prog_request(&c, GET);
	prog_acknowledge(&c, &transmit(&p, WEIR_VERDICT_HIT)->reply);
	transmit(&c, WEIR_VERDICT_ACK);
	p = c;
	p.ack--;
	transmit(&p, WEIR_VERDICT_ACK); /* an old one, late */
	p.ack -= 65536;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_CHALLENGE_ACK);
}

Test(xdp_owned, whatever_is_beyond_a_hole_gets_a_duplicate_ack)
{
	static const uint8_t flags[] = { ACK, ACK | PSH, FIN | ACK, ACK | URG };
	struct packet c = prog_connect(WITH_ALL, 1460), p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		p = prog_request(&c, GET);
		p.flags = flags[i];
		p.seq++;
		expect_ack(&c, &p, WEIR_VERDICT_ACK_OUT_OF_ORDER);
		p.payload_bytes = 0;
		if (flags[i] & FIN)
			expect_ack(&c, &p, WEIR_VERDICT_ACK_OUT_OF_ORDER);
		else
			transmit(&p, WEIR_VERDICT_ACK);
	}
}

Test(xdp_owned, old_data_is_acknowledged_again)
{
	struct packet c = prog_connect(WITH_ALL, 1460), p = prog_request(&c, GET);

	p.seq -= (uint32_t)p.payload_bytes;
	expect_ack(&c, &p, WEIR_VERDICT_ACK_OLD_DATA);
	p.seq += 4; /* overlaps what is expected: a receiver that keeps no data takes none of it */
	expect_ack(&c, &p, WEIR_VERDICT_ACK_OLD_DATA);
}

Test(xdp_owned, request_for_a_worker_goes_up_with_what_is_known)
{
	struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);
	struct weir_flow f;

	transmit(&p, WEIR_VERDICT_HANDOVER);
	assert_miss(&result, WEIR_MISS_NOT_CACHED);
	cr_assert_eq(result.meta.kind, PROG_META_HANDOVER);
	cr_assert_eq(result.meta.seq, p.seq);
	cr_assert_eq(result.meta.ack, p.ack);
	cr_assert_eq(result.meta.pool, POOL_A);
	cr_assert(prog_flow(&c, &f));
	cr_assert_eq(f.owner, WEIR_OWNER_XDP);
	cr_assert(f.flags & WEIR_FLOW_PENDING);
	cr_assert_eq(f.pool, POOL_A);
	cr_assert_eq(f.rcv_nxt, c.seq);
	cr_assert_eq(f.snd_nxt, c.ack);
}

Test(xdp_owned, request_with_urgent_data_or_fin_is_a_workers)
{
	static const uint8_t flags[] = { URG, FIN };
	struct prog_entry e = {};
	size_t i;

	prog_publish(&e);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);

		p.flags |= flags[i];
		transmit(&p, WEIR_VERDICT_HANDOVER);
		assert_miss(&result, WEIR_MISS_TCP_FLAGS);
		prog_flow_remove(&c);
	}
}

/* DESIGN rule 2: ECN was not negotiated, so these flags mean nothing that XDP knows of. */
Test(xdp_owned, request_with_ecn_flags_is_a_workers)
{
	static const uint8_t flags[] = { ECE, CWR, ECE | CWR };
	struct prog_entry e = {};
	size_t i;

	prog_publish(&e);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);

		p.flags |= flags[i];
		transmit(&p, WEIR_VERDICT_HANDOVER);
		prog_flow_remove(&c);
	}
}

Test(xdp_owned, request_with_an_unknown_tcp_option_is_a_workers)
{
	static const uint8_t experiment[] = { 253, 4, 0xf9, 0x89 }, md5[20] = { 1, 1, 19, 18 }, cut[] = { 1, 1, 1, 8 };
	static const struct {
		const uint8_t *bytes;
		unsigned count;
	} options[] = { { experiment, sizeof(experiment) }, { md5, sizeof(md5) }, { cut, sizeof(cut) } };
	struct prog_entry e = {};
	size_t i;

	prog_publish(&e);
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);

		p.raw_options = options[i].bytes;
		p.raw_option_bytes = options[i].count;
		transmit(&p, WEIR_VERDICT_HANDOVER);
		prog_flow_remove(&c);
	}
}

/* A client that got an answer twice says so with its next request: RFC 2883. */
Test(xdp_owned, duplicate_sack_in_a_request_is_no_obstacle)
{
	static const uint8_t dsack[] = { 1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2 };
	struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);
	struct prog_entry e = {};

	prog_publish(&e);
	p.raw_options = dsack;
	p.raw_option_bytes = sizeof(dsack);
	transmit(&p, WEIR_VERDICT_HIT);
}

Test(xdp_owned, repeated_request_tries_the_handover_again)
{
	struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);
	int i;

	for (i = 0; i < 3; i++) {
		transmit(&p, WEIR_VERDICT_HANDOVER);
		cr_assert_eq(result.meta.kind, PROG_META_HANDOVER);
	}
}

Test(xdp_owned, packets_behind_a_pending_handover_wait_for_it)
{
	static const uint8_t flags[] = { ACK, FIN | ACK, RST, RST | ACK, SYN | ACK };
	struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);
	size_t i;

	transmit(&p, WEIR_VERDICT_HANDOVER);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		p = c;
		p.flags = flags[i];
		p.seq = c.seq + (uint32_t)strlen(GET);
		expect_unchanged(&p, WEIR_VERDICT_HANDOVER_WAIT);
		cr_assert_eq(result.meta.kind, PROG_META_WAIT);
		cr_assert_eq(result.meta.pool, POOL_A);
	}
	p = prog_request(&c, GET);
	p.seq += 1;
	expect_unchanged(&p, WEIR_VERDICT_HANDOVER_WAIT);
}

Test(xdp_owned, request_that_became_a_hit_is_still_handed_over)
{
	struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);
	struct prog_entry e = {};

	transmit(&p, WEIR_VERDICT_HANDOVER); /* and the kernel may be making the socket at this moment */
	prog_publish(&e);
	transmit(&p, WEIR_VERDICT_HANDOVER);
	cr_assert_eq(result.miss, WEIR_MISS_PENDING);
}

Test(xdp_owned, nothing_unacknowledged_is_handed_over)
{
	struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);
	struct prog_entry e = {};
	struct packet answer;

	prog_publish(&e);
	answer = transmit(&p, WEIR_VERDICT_HIT)->reply;
	p = prog_request(&c, "GET /other HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
	p.seq = answer.ack;
	expect_unchanged(&p, WEIR_VERDICT_DROP_EARLY);
	p.ack = answer.seq + (uint32_t)answer.payload_bytes;
	transmit(&p, WEIR_VERDICT_HANDOVER);
	cr_assert_eq(result.meta.ack, p.ack);
}

Test(xdp_owned, cached_request_before_the_last_answer_is_acknowledged_waits)
{
	struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);
	struct prog_entry e = {};

	prog_publish(&e);
	transmit(&p, WEIR_VERDICT_HIT);
	p.seq += (uint32_t)p.payload_bytes;
	expect_unchanged(&p, WEIR_VERDICT_DROP_EARLY);
}

Test(xdp_owned, endpoint_of_a_flow_is_its_own)
{
	struct packet c = prog_connect(0, 1460);
	struct weir_endpoint off = { .id = ENDPOINT4 };
	uint32_t id = ENDPOINT4;

	prog_put(prog.ep_by_id, &id, &off);
	transmit(&c, WEIR_VERDICT_PASS_NOT_OURS);
}
