// SPDX-License-Identifier: GPL-2.0
/* How connections that XDP owns end: FIN in either order, data after the end, TIME-WAIT. bpf/lib/owned.h and
 * bpf/lib/fresh.h. */
#include <bpf/bpf.h>

#include "common/macro.h"
#include "harness/prog_cache.h"

PROG_TESTS(xdp_close);

static struct prog_result result;

static void expect(const struct packet *p, enum weir_verdict v)
{
	prog_run(p, &result);
	assert_verdict(&result, v);
}

/* A FIN of the client, and where it is after our reaction. */
static struct packet fin(const struct packet *client)
{
	struct packet p = *client;

	p.flags = FIN | ACK;
	return p;
}

/* The client's segment after Connection: close: our FIN came with the answer. */
static struct packet closed_by_us(unsigned options)
{
	struct packet c = prog_connect(options, 1460), p = prog_request(&c, GET_CLOSE);
	struct prog_entry e = { .body_bytes = 50 };

	prog_publish(&e);
	expect(&p, WEIR_VERDICT_HIT);
	cr_assert(result.reply.flags & FIN);
	prog_acknowledge(&c, &result.reply);
	return c;
}

/* The client's segment after both FINs, ours first: TIME-WAIT is ours. */
static struct packet in_timewait(unsigned options)
{
	struct packet c = closed_by_us(options), p = fin(&c);

	expect(&p, WEIR_VERDICT_FIN_LAST);
	c.seq++;
	return c;
}

Test(xdp_close, client_closes_first)
{
	unsigned o;

	for (o = 0; o < 16; o++) {
		struct packet c = prog_connect(o, 1460), p = fin(&c);
		struct weir_flow f;

		expect(&p, WEIR_VERDICT_FIN);
		assert_reply(&result, FIN | ACK, c.ack, c.seq + 1);
		cr_assert_eq(result.reply.has_ts, !!(o & WITH_TS));
		cr_assert(prog_flow(&c, &f));
		cr_assert_eq(f.state, WEIR_FLOW_LAST_ACK);
		prog_acknowledge(&c, &result.reply);
		expect(&c, WEIR_VERDICT_CLOSED);
		cr_assert_eq(prog_flows_count(), 0);
		expect(&c, WEIR_VERDICT_PASS_NO_FLOW);
	}
}

Test(xdp_close, fin_again_is_answered_with_fin_again)
{
	struct packet c = prog_connect(WITH_ALL, 1460), p = fin(&c);

	expect(&p, WEIR_VERDICT_FIN);
	expect(&p, WEIR_VERDICT_FIN_AGAIN);
	assert_reply(&result, FIN | ACK, c.ack, c.seq + 1);
	prog_acknowledge(&c, &result.reply);
	expect(&c, WEIR_VERDICT_CLOSED);
}

Test(xdp_close, fin_that_acknowledges_our_fin_ends_last_ack)
{
	struct packet c = prog_connect(0, 1460), p = fin(&c);

	expect(&p, WEIR_VERDICT_FIN);
	p.ack++;
	expect(&p, WEIR_VERDICT_CLOSED);
}

Test(xdp_close, our_fin_is_repeated_with_every_ack_in_last_ack)
{
	struct packet c = prog_connect(0, 1460), p = fin(&c);

	expect(&p, WEIR_VERDICT_FIN);
	p.flags = ACK; /* a keep-alive probe: our FIN may have been lost */
	expect(&p, WEIR_VERDICT_ACK_KEEPALIVE);
	assert_reply(&result, FIN | ACK, c.ack, c.seq + 1);
	p.flags = SYN;
	expect(&p, WEIR_VERDICT_ACK_CHALLENGE_SYN);
	assert_reply(&result, FIN | ACK, c.ack, c.seq + 1);
}

Test(xdp_close, fin_before_the_last_answer_is_acknowledged_waits)
{
	struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET);
	struct prog_entry e = { .body_bytes = 50 };

	prog_publish(&e);
	expect(&p, WEIR_VERDICT_HIT);
	p = fin(&c);
	p.seq = result.reply.ack;
	c = p;
	prog_acknowledge(&c, &result.reply);
	expect(&p, WEIR_VERDICT_DROP_EARLY);
	expect(&c, WEIR_VERDICT_FIN);
}

Test(xdp_close, rst_in_last_ack_ends_the_connection)
{
	struct packet c = prog_connect(0, 1460), p = fin(&c);

	expect(&p, WEIR_VERDICT_FIN);
	p.flags = RST;
	p.seq++;
	expect(&p, WEIR_VERDICT_RST);
	cr_assert_eq(prog_flows_count(), 0);
}

Test(xdp_close, we_close_first)
{
	unsigned o;

	for (o = 0; o < 8; o++) {
		struct packet c = closed_by_us(o & ~WITH_V6), p;

		expect(&c, WEIR_VERDICT_ACK); /* half-closed: the client takes its time */
		p = fin(&c);
		expect(&p, WEIR_VERDICT_FIN_LAST);
		assert_reply(&result, ACK, c.ack, c.seq + 1);
		cr_assert_eq(prog_flows_count(), 1);
		cr_assert(!prog_flow(&c, &(struct weir_flow){}));
		prog_set_up();
	}
}

Test(xdp_close, fin_with_the_acknowledgement_of_ours_is_enough)
{
	struct packet c = closed_by_us(WITH_ALL), p = fin(&c);

	expect(&p, WEIR_VERDICT_FIN_LAST);
	assert_reply(&result, ACK, c.ack, c.seq + 1);
}

Test(xdp_close, both_close_at_once)
{
	struct packet c = closed_by_us(0), p = fin(&c);

	p.ack--; /* has the answer, but not our FIN */
	expect(&p, WEIR_VERDICT_FIN);
	assert_reply(&result, ACK, c.ack, c.seq + 1);
	c.seq++;
	expect(&c, WEIR_VERDICT_CLOSED); /* ours was first: TIME-WAIT */
	expect(&c, WEIR_VERDICT_DROP_TIMEWAIT);
	expect(&p, WEIR_VERDICT_FIN_AGAIN);
}

Test(xdp_close, lost_answer_is_repeated_after_the_clients_fin)
{
	struct packet c = prog_connect(0, 1460), p = prog_request(&c, GET_CLOSE), end;
	struct prog_entry e = { .body_bytes = 50 };

	prog_publish(&e);
	expect(&p, WEIR_VERDICT_HIT);
	end = fin(&c);
	end.seq = result.reply.ack; /* the answer has not arrived */
	expect(&end, WEIR_VERDICT_FIN);
	expect(&p, WEIR_VERDICT_HIT_AGAIN);
	prog_assert_response(&result, &e, false, true);
	cr_assert_eq(result.reply.flags & FIN, FIN);
}

Test(xdp_close, payload_behind_the_clients_fin_is_dropped)
{
	struct packet c = prog_connect(0, 1460), p = fin(&c);

	expect(&p, WEIR_VERDICT_FIN);
	p = prog_request(&c, GET);
	p.seq++;
	expect(&p, WEIR_VERDICT_DROP_AFTER_FIN);
}

Test(xdp_close, data_after_our_fin_is_reset)
{
	struct packet c = closed_by_us(WITH_ALL), p = prog_request(&c, GET);

	expect(&p, WEIR_VERDICT_RST_CLOSED);
	cr_assert_eq(result.reply.flags & RST, RST);
	cr_assert_eq(result.reply.seq, c.ack);
	cr_assert_eq(prog_flows_count(), 0);
}

Test(xdp_close, rst_after_our_fin_ends_the_connection)
{
	struct packet p = closed_by_us(0);

	p.flags = RST | ACK;
	expect(&p, WEIR_VERDICT_RST);
	cr_assert_eq(prog_flows_count(), 0);
}

Test(xdp_close, keepalive_after_our_fin_is_answered_without_it)
{
	struct packet c = closed_by_us(0), p = c;

	p.seq--;
	expect(&p, WEIR_VERDICT_ACK_KEEPALIVE);
	assert_reply(&result, ACK, c.ack, c.seq);
}

Test(xdp_close, fin_in_timewait_is_acknowledged_again)
{
	struct packet c = in_timewait(WITH_ALL), p = fin(&c);

	p.seq--;
	expect(&p, WEIR_VERDICT_FIN_AGAIN);
	assert_reply(&result, ACK, c.ack, c.seq);
	cr_assert_eq(result.reply.has_ts, true);
	expect(&c, WEIR_VERDICT_DROP_TIMEWAIT);
}

Test(xdp_close, data_in_timewait_is_answered)
{
	struct packet c = in_timewait(0), p = prog_request(&c, GET);

	expect(&p, WEIR_VERDICT_FIN_AGAIN);
	assert_reply(&result, ACK, c.ack, c.seq);
}

Test(xdp_close, rst_at_the_next_byte_ends_timewait)
{
	struct packet c = in_timewait(0), p = c;

	p.flags = RST;
	p.seq++;
	expect(&p, WEIR_VERDICT_DROP_TIMEWAIT);
	cr_assert_eq(prog_flows_count(), 1);
	p.seq--;
	expect(&p, WEIR_VERDICT_DROP_TIMEWAIT);
	cr_assert_eq(prog_flows_count(), 0);
}

Test(xdp_close, new_connection_ends_timewait)
{
	static const struct {
		unsigned options;
		uint32_t ahead; /* of the old connection's last byte */
		uint32_t ts_ahead;
		enum weir_verdict verdict;
	} rows[] = {
		{ 0, 1, 0, WEIR_VERDICT_SYN_COOKIE },
		{ 0, 100000, 0, WEIR_VERDICT_SYN_COOKIE },
		{ 0, 0, 0, WEIR_VERDICT_FIN_AGAIN },
		{ 0, -1u, 0, WEIR_VERDICT_FIN_AGAIN },
		{ WITH_ALL, -1000u, 1, WEIR_VERDICT_SYN_COOKIE },
		{ WITH_ALL, -1000u, 0, WEIR_VERDICT_FIN_AGAIN },
		{ WITH_ALL, 1, -1u, WEIR_VERDICT_FIN_AGAIN },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet c = in_timewait(rows[i].options), p = prog_syn(rows[i].options, 1460);

		p.seq = c.seq + rows[i].ahead;
		p.ts_val = c.ts_val + rows[i].ts_ahead;
		expect(&p, rows[i].verdict);
		cr_assert_eq(prog_flows_count(), rows[i].verdict == WEIR_VERDICT_FIN_AGAIN);
		prog_set_up();
	}
}

Test(xdp_close, timewait_ends_after_a_minute)
{
	struct packet c = in_timewait(0), p = prog_syn(0, 1460);
	struct weir_flow_key k = packet_key(&c);
	struct weir_timewait tw;

	cr_assert_eq(bpf_map_lookup_elem(prog.timewait, &k, &tw), 0);
	tw.since_ns -= 61000000000;
	prog_put(prog.timewait, &k, &tw);
	expect(&c, WEIR_VERDICT_PASS_NO_FLOW);
	p.seq = c.seq - 1000;
	expect(&p, WEIR_VERDICT_SYN_COOKIE);
}
