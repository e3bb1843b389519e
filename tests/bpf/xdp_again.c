// SPDX-License-Identifier: GPL-2.0
/* Answers that got lost: the client repeats its request and gets the same bytes, or a reset. DESIGN rule 3. */
#include <string.h>

#include "common/macro.h"
#include "harness/prog_cache.h"

PROG_TESTS(xdp_again);

static struct prog_result first, again;

/* A connection whose last answer was to `text`, and has not arrived. */
static struct packet answered(unsigned options, const struct prog_entry *e, const char *text)
{
	struct packet c = prog_connect(options, 1460), p = prog_request(&c, text);

	prog_publish(e);
	prog_run(&p, &first);
	assert_verdict(&first, WEIR_VERDICT_HIT);
	return p;
}

static void expect(const struct packet *p, enum weir_verdict v)
{
	prog_run(p, &again);
	assert_verdict(&again, v);
}

/* The client takes the RST only if it is at the byte that it expects next: the one it acknowledged. */
static void expect_reset(const struct packet *p, enum weir_verdict v)
{
	expect(p, v);
	assert_reply(&again, RST | ACK, p->ack, p->seq + p->payload_bytes);
	cr_assert_eq(prog_flows_count(), 0);
}

static void expect_same_answer(const struct packet *p)
{
	expect(p, WEIR_VERDICT_HIT_AGAIN);
	assert_reply(&again, first.reply.flags, first.reply.seq, first.reply.ack);
	cr_assert_eq(again.reply.payload_bytes, first.reply.payload_bytes);
	cr_assert_arr_eq(again.reply.payload, first.reply.payload, first.reply.payload_bytes);
}

Test(xdp_again, repeated_request_gets_the_same_answer)
{
	static const char *const requests[] = { GET, HEAD, GET_CLOSE };
	struct prog_entry e = { .body_bytes = 200 };
	unsigned o;
	size_t i;

	for (o = 0; o < 8; o++)
		for (i = 0; i < ARRAY_SIZE(requests); i++) {
			struct packet p = answered(o & ~WITH_V6, &e, requests[i]);
			int n;

			for (n = 0; n < 3; n++) {
				p.ts_val++;
				expect_same_answer(&p);
			}
			prog_flow_remove(&p);
		}
}

Test(xdp_again, repetition_moves_nothing)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(0, &e, GET);
	struct weir_flow before, after;

	cr_assert(prog_flow(&p, &before));
	expect_same_answer(&p);
	cr_assert(prog_flow(&p, &after));
	cr_assert_eq(after.rcv_nxt, before.rcv_nxt);
	cr_assert_eq(after.snd_nxt, before.snd_nxt);
	cr_assert_eq(after.snd_una, before.snd_una);
	cr_assert_eq(after.requests, before.requests);
}

Test(xdp_again, repetition_cut_in_pieces_gets_the_whole_answer)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(0, &e, GET);

	p.payload_bytes = 10;
	expect_same_answer(&p);
	p.seq += 10;
	p.payload = GET + 10;
	p.payload_bytes = strlen(GET) - 10;
	expect_same_answer(&p);
}

Test(xdp_again, arrived_answer_is_not_repeated)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(0, &e, GET), c = p;

	c.flags = ACK;
	c.payload_bytes = 0;
	prog_acknowledge(&c, &first.reply);
	expect(&c, WEIR_VERDICT_ACK);
	expect(&p, WEIR_VERDICT_ACK_OLD_DATA);
	assert_reply(&again, ACK, c.ack, c.seq);
}

/* Where the client would take an acknowledgement of its request for the end of its retransmissions. */
Test(xdp_again, nothing_but_the_answer_acknowledges_its_request)
{
	static const char *const requests[] = { GET, GET_CLOSE };
	struct prog_entry e = { .body_bytes = 200 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		struct packet p = answered(0, &e, requests[i]), c = p;

		c.payload_bytes = 0;
		c.flags = ACK;
		c.seq += (uint32_t)p.payload_bytes - 1;
		expect(&c, WEIR_VERDICT_ACK_KEEPALIVE);
		assert_reply(&again, ACK, p.ack, p.seq);
		c.flags = SYN | ACK;
		expect(&c, WEIR_VERDICT_ACK_CHALLENGE_SYN);
		assert_reply(&again, ACK, p.ack, p.seq);
		c.flags = RST;
		c.seq += 2;
		expect(&c, WEIR_VERDICT_ACK_CHALLENGE_RST);
		assert_reply(&again, ACK, p.ack, p.seq);
		expect_same_answer(&p);
		prog_flow_remove(&p);
	}
}

/* The client's ACK of the answer was lost, and its next segment is no data: it must not be told of old times, or its
 * keep-alive timer finds us dead. */
Test(xdp_again, probe_that_acknowledges_the_answer_is_answered_from_there)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(WITH_ALL, &e, GET), c = p;

	c.flags = ACK;
	c.payload_bytes = 0;
	prog_acknowledge(&c, &first.reply);
	p = c;
	p.seq--;
	expect(&p, WEIR_VERDICT_ACK_KEEPALIVE);
	assert_reply(&again, ACK, c.ack, c.seq);
}

Test(xdp_again, next_request_after_a_repetition_is_answered)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(WITH_ALL, &e, GET);

	expect_same_answer(&p);
	prog_acknowledge(&p, &again.reply);
	expect(&p, WEIR_VERDICT_HIT);
	prog_assert_response(&again, &e, false, false);
}

Test(xdp_again, changed_generation_is_reset)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(WITH_ALL, &e, GET);

	e.generation = 2;
	prog_publish(&e);
	expect_reset(&p, WEIR_VERDICT_RST_GENERATION);
}

Test(xdp_again, withdrawn_entry_is_reset)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(0, &e, GET);

	prog_withdraw(&e);
	expect_reset(&p, WEIR_VERDICT_RST_GENERATION);
}

/* It was fresh when it was sent: the client's clock is not the cache's. */
Test(xdp_again, entry_that_has_expired_since_is_repeated)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(0, &e, GET);

	e.expires_ns = prog_now_ns();
	prog_publish(&e);
	expect_same_answer(&p);
}

Test(xdp_again, torn_entry_is_reset)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(0, &e, GET);
	struct weir_entry_l value;

	cr_assert(prog_entry_get(&e, &value));
	((struct weir_entry_s *)&value)->generation_end++;
	prog_entry_put(&e, &value);
	expect_reset(&p, WEIR_VERDICT_RST_GENERATION);
}

/* Back at the request, as if it had not been answered. */
static void expect_step_back(const struct packet *p, enum weir_miss miss)
{
	struct weir_flow f;

	expect(p, WEIR_VERDICT_HANDOVER);
	assert_miss(&again, miss);
	cr_assert_eq(again.meta.kind, PROG_META_HANDOVER);
	cr_assert_eq(again.meta.pool, POOL_A);
	cr_assert(prog_flow(p, &f));
	cr_assert_eq(f.rcv_nxt, p->seq);
	cr_assert_eq(f.snd_nxt, p->ack);
	cr_assert_eq(f.state, WEIR_FLOW_OPEN);
	cr_assert(f.flags & WEIR_FLOW_PENDING);
}

Test(xdp_again, request_repeated_too_often_is_handed_over)
{
	static const char *const requests[] = { GET, HEAD, GET_CLOSE };
	struct prog_entry e = { .body_bytes = 200 };
	size_t i;
	int n;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		struct packet p = answered(WITH_ALL, &e, requests[i]);

		for (n = 0; n < 4; n++)
			expect_same_answer(&p);
		expect_step_back(&p, WEIR_MISS_RETRANSMITS);
		prog_flow_remove(&p);
	}
}

Test(xdp_again, answer_that_the_window_has_closed_to_is_handed_over)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(0, &e, GET);

	p.window = (uint16_t)first.reply.payload_bytes;
	expect_same_answer(&p);
	p.window--;
	expect_step_back(&p, WEIR_MISS_WINDOW);
}

Test(xdp_again, piece_of_a_request_is_never_handed_over)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(0, &e, GET);
	int n;

	p.payload_bytes = 10;
	for (n = 0; n < 8; n++)
		expect_same_answer(&p);
	p.window = 1;
	expect(&p, WEIR_VERDICT_DROP_EARLY);
}

Test(xdp_again, frame_that_cannot_grow_is_left_to_tc)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = answered(0, &e, GET_CLOSE);

	prog_iface(WEIR_IFACE_GENERIC, 1500, NULL);
	expect(&p, WEIR_VERDICT_HIT_AGAIN_TC);
	cr_assert_eq(again.meta.kind, PROG_META_AGAIN);
	cr_assert_eq(again.meta.seq, p.seq);
	cr_assert_eq(again.meta.ack, p.ack);
}

/* An ACK of the first 100 bytes. */
static struct packet acknowledge_part(struct packet p)
{
	p.flags = ACK;
	p.seq += (uint32_t)p.payload_bytes;
	p.payload_bytes = 0;
	p.ack += 100;
	return p;
}

Test(xdp_again, partially_acknowledged_answer_is_reset)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p;

	p = acknowledge_part(answered(0, &e, GET));
	expect_reset(&p, WEIR_VERDICT_RST_PARTIAL);
	p = acknowledge_part(answered(WITH_ALL, &e, HEAD));
	expect_reset(&p, WEIR_VERDICT_RST_PARTIAL);
}

Test(xdp_again, partially_acknowledged_last_answer_is_reset)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet p = acknowledge_part(answered(0, &e, GET_CLOSE));

	expect_reset(&p, WEIR_VERDICT_RST_PARTIAL);
}

Test(xdp_again, duplicate_of_an_older_request_gets_the_last_answer)
{
	struct prog_entry e = { .body_bytes = 200 };
	struct packet old = answered(0, &e, GET), p = old;

	prog_acknowledge(&p, &first.reply);
	prog_run(&p, &first);
	assert_verdict(&first, WEIR_VERDICT_HIT);
	expect_same_answer(&old);
	expect_same_answer(&p);
}
