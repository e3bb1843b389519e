// SPDX-License-Identifier: GPL-2.0
/* Connections that a kernel socket owns: XDP lets every packet by, but marks a hit on one that its worker has offered
 * back with a ticket. bpf/lib/lent.h, DESIGN rule 1. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

#include "common/macro.h"
#include "harness/prog_cache.h"

PROG_TESTS(xdp_lent);

static struct prog_result result;

/* A connection that is handed over with a request of 100 bytes, of which the worker has sent 300 bytes back. Returns
 * the client's next segment; the entry is in the cache. */
#define CONSUMED 100
#define SENT 300

static struct packet lent(unsigned options, uint8_t flags)
{
	struct packet c = prog_connect(options, 1460);
	struct prog_entry e = { .body_bytes = 40 };
	struct weir_flow f;

	cr_assert(prog_flow(&c, &f));
	f.owner = WEIR_OWNER_KERNEL;
	f.flags |= flags;
	f.pool = POOL_A;
	f.base_rcv = c.seq;
	f.base_snd = c.ack;
	f.rcv_nxt = c.seq + CONSUMED;
	prog_flow_put(&c, &f);
	prog_publish(&e);
	c.seq += CONSUMED;
	c.ack += SENT;
	c.ts_val++;
	return c;
}

#define GENERATION 0x12345600u

/* The worker of `pool` offers the connection back. */
static void put_ticket(const struct packet *c, uint32_t pool, uint32_t consumed, uint32_t sent)
{
	struct weir_ticket t = { .state = GENERATION | WEIR_TICKET_OFFERED, .consumed = consumed, .sent = sent };

	t.key = packet_key(c);
	prog_ticket_put(c, pool, &t);
}

static bool ticket_is(const struct packet *c, uint32_t pool, uint32_t state)
{
	return prog_ticket(c, pool).state == (GENERATION | state);
}

static void expect(const struct packet *p, enum weir_verdict v, enum weir_miss miss)
{
	prog_run(p, &result);
	assert_verdict(&result, v);
	assert_miss(&result, miss);
}

Test(xdp_lent, xdp_never_answers_a_kernel_flow_without_ticket)
{
	static const uint8_t flags[] = { ACK, ACK | PSH, FIN | ACK, RST, RST | ACK, 0, FIN, URG | ACK, SYN | ACK };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct packet c = lent(WITH_ALL, 0), p = prog_request(&c, GET);

		p.flags = flags[i];
		expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
		p.payload_bytes = 0;
		expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
		p.seq -= 10;
		expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
		p.seq += 1000000;
		expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
		prog_flow_remove(&c);
	}
}

Test(xdp_lent, hit_with_ticket_is_marked_for_a_seize)
{
	static const char *const requests[] = { GET, HEAD, GET_CLOSE };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		struct packet c = lent(i ? WITH_ALL : 0, 0), p = prog_request(&c, requests[i]);
		struct prog_entry e = { .body_bytes = 40 };
		struct weir_entry_l value;

		put_ticket(&c, POOL_A, CONSUMED, SENT);
		expect(&p, WEIR_VERDICT_SEIZE, WEIR_MISS_NONE);
		cr_assert_eq(result.meta.kind, PROG_META_SEIZE);
		cr_assert_eq(result.meta.seq, p.seq);
		cr_assert_eq(result.meta.ack, p.ack);
		cr_assert_eq(result.meta.pool, POOL_A);
		cr_assert_eq(result.meta.flags, i);
		cr_assert(prog_entry_get(&e, &value));
		cr_assert_arr_eq(result.meta.digest, value.head.digest, 16);
		cr_assert(ticket_is(&c, POOL_A, WEIR_TICKET_OFFERED), "the claim is weir_tc's");
		cr_assert_eq(prog_queue(POOL_A).arrived, 0);
		prog_flow_remove(&c);
	}
}

Test(xdp_lent, wrong_ticket_is_no_ticket)
{
	static const struct {
		uint32_t consumed, sent;
	} wrong[] = { { CONSUMED + 1, SENT },
		      { CONSUMED - 1, SENT },
		      { CONSUMED, SENT + 1 },
		      { CONSUMED, SENT - 1 },
		      { 0, 0 },
		      { SENT, CONSUMED } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct packet c = lent(0, 0), p = prog_request(&c, GET);

		put_ticket(&c, POOL_A, wrong[i].consumed, wrong[i].sent);
		expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
		prog_flow_remove(&c);
	}
}

Test(xdp_lent, ticket_that_is_not_offered_is_no_ticket)
{
	static const uint32_t states[] = { WEIR_TICKET_EMPTY, WEIR_TICKET_WRITING, WEIR_TICKET_TAKEN,
					   WEIR_TICKET_COUNTED };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		struct packet c = lent(0, 0), p = prog_request(&c, GET);
		struct weir_ticket t;

		put_ticket(&c, POOL_A, CONSUMED, SENT);
		t = prog_ticket(&c, POOL_A);
		t.state = GENERATION | states[i];
		prog_ticket_put(&c, POOL_A, &t);
		expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
		cr_assert(ticket_is(&c, POOL_A, states[i]));
		prog_flow_remove(&c);
	}
}

/* A bucket full of offers of other connections, which all would fit. */
static struct weir_ticket_bucket bucket_of_others(const struct packet *c)
{
	struct weir_ticket_bucket b;
	unsigned i;

	for (i = 0; i < WEIR_TICKET_WAYS; i++) {
		b.ways[i] = (struct weir_ticket){ .state = (GENERATION + 256 * (i + 1)) | WEIR_TICKET_OFFERED,
						  .consumed = CONSUMED,
						  .sent = SENT,
						  .key = packet_key(c) };
		b.ways[i].key.client_port ^= htons(1 + i);
	}
	return b;
}

Test(xdp_lent, ticket_of_another_connection_in_the_same_bucket_is_no_ticket)
{
	struct packet c = lent(0, 0), p = prog_request(&c, GET);
	struct weir_ticket_bucket b = bucket_of_others(&c), after;

	prog_bucket_put(&c, POOL_A, &b);
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
	after = prog_bucket(&c, POOL_A);
	cr_assert_arr_eq(&after, &b, sizeof(b));
}

Test(xdp_lent, ticket_is_found_in_every_way_of_its_bucket)
{
	unsigned i;

	for (i = 0; i < WEIR_TICKET_WAYS; i++) {
		struct packet c = lent(0, 0), p = prog_request(&c, GET), miss;
		struct weir_ticket_bucket b = bucket_of_others(&c), after;

		b.ways[i].key = packet_key(&c);
		prog_bucket_put(&c, POOL_A, &b);
		expect(&p, WEIR_VERDICT_SEIZE, WEIR_MISS_NONE);
		prog_flow_remove(&c);
		(void)lent(0, 0);
		miss = prog_request(&c, "GET /other HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
		expect(&miss, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NOT_CACHED);
		b.ways[i].state += WEIR_TICKET_COUNTED - WEIR_TICKET_OFFERED;
		after = prog_bucket(&c, POOL_A);
		cr_assert_arr_eq(&after, &b, sizeof(b));
		prog_flow_remove(&c);
	}
}

Test(xdp_lent, ticket_of_another_pool_is_no_ticket)
{
	struct packet c = lent(0, 0), p = prog_request(&c, GET);

	put_ticket(&c, POOL_B, CONSUMED, SENT);
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
}

Test(xdp_lent, connections_that_must_not_be_seized_are_not)
{
	static const uint8_t flags[] = { WEIR_FLOW_NO_SEIZE, WEIR_FLOW_CLOSING };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct packet c = lent(0, flags[i]), p = prog_request(&c, GET);

		put_ticket(&c, POOL_A, CONSUMED, SENT);
		expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
		prog_flow_remove(&c);
	}
}

Test(xdp_lent, bytes_already_passed_up_forbid_a_seize)
{
	struct packet c = lent(0, 0), p = prog_request(&c, GET), first = p;

	first.payload_bytes = 10;
	expect(&first, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE); /* before the ticket */
	put_ticket(&c, POOL_A, CONSUMED, SENT);
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
}

Test(xdp_lent, highest_byte_passed_up_is_remembered)
{
	struct packet c = lent(0, 0), p = prog_request(&c, GET);
	uint32_t end = p.seq + (uint32_t)p.payload_bytes;
	struct weir_flow f;

	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
	cr_assert(prog_flow(&c, &f));
	cr_assert_eq(f.rcv_nxt, end);
	p.seq -= 5;
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
	cr_assert(prog_flow(&c, &f));
	cr_assert_eq(f.rcv_nxt, end);
	p.seq = end;
	p.payload_bytes = 0;
	p.flags = FIN | ACK;
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
	cr_assert(prog_flow(&c, &f));
	cr_assert_eq(f.rcv_nxt, end + 1);
}

Test(xdp_lent, miss_with_ticket_says_why)
{
	struct packet c = lent(0, 0), p;

	put_ticket(&c, POOL_A, CONSUMED, SENT);
	p = prog_request(&c, "GET /other HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NOT_CACHED);
	prog_flow_remove(&c);
	c = lent(0, 0);
	put_ticket(&c, POOL_A, CONSUMED, SENT);
	p = prog_request(&c, "POST " TARGET " HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 0\r\n\r\n");
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_METHOD);
}

Test(xdp_lent, response_that_xdp_cannot_send_is_no_reason_to_seize)
{
	struct packet c = lent(0, 0), p = prog_request(&c, GET);
	struct prog_entry e = {};

	prog_entry_size(&e, 1461);
	prog_publish(&e);
	put_ticket(&c, POOL_A, CONSUMED, SENT);
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_MSS);
	prog_flow_remove(&c);
	c = lent(0, 0);
	put_ticket(&c, POOL_A, CONSUMED, SENT);
	c.window = 100;
	p = prog_request(&c, GET);
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_WINDOW);
}

Test(xdp_lent, older_timestamp_is_the_sockets_affair)
{
	struct packet c = lent(WITH_ALL, 0), p = prog_request(&c, GET);

	put_ticket(&c, POOL_A, CONSUMED, SENT);
	p.ts_val = CLIENT_TS - 1;
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
}

Test(xdp_lent, wrong_checksum_is_not_believed)
{
	struct packet c = lent(0, 0), p = prog_request(&c, GET);
	uint8_t frame[PACKET_FRAME_MAX];
	size_t bytes = packet_build(&p, frame);

	put_ticket(&c, POOL_A, CONSUMED, SENT);
	frame[bytes - 1] ^= 1;
	prog_run_frame(frame, bytes, &result);
	assert_verdict(&result, WEIR_VERDICT_PASS_CHECKSUM);
}

Test(xdp_lent, request_for_another_pool_takes_the_flow_along)
{
	struct packet c = lent(0, 0), p = prog_request(&c, "GET /other HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
	struct weir_flow f;

	put_ticket(&c, POOL_A, CONSUMED, SENT);
	prog_endpoints(WEIR_ENDPOINT_HTTP | WEIR_ENDPOINT_SINGLE, POOL_B, 1 << WEIR_BUCKET_WEAK);
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NOT_CACHED);
	cr_assert(prog_flow(&c, &f));
	cr_assert_eq(f.pool, POOL_B);
}

/* Counted where the worker is that will find it in its socket. */
Test(xdp_lent, miss_joins_the_queue_once)
{
	struct packet c = lent(0, 0), p = prog_request(&c, "GET /other HTTP/1.1\r\nHost: " HOST "\r\n\r\n");

	put_ticket(&c, POOL_A, CONSUMED, SENT);
	prog_endpoints(WEIR_ENDPOINT_HTTP | WEIR_ENDPOINT_SINGLE, POOL_B, 1 << WEIR_BUCKET_WEAK);
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NOT_CACHED);
	cr_assert(ticket_is(&c, POOL_A, WEIR_TICKET_COUNTED));
	cr_assert_eq(prog_queue(POOL_A).arrived, 1);
	expect(&p, WEIR_VERDICT_PASS_KERNEL, WEIR_MISS_NONE);
	cr_assert_eq(prog_queue(POOL_A).arrived, 1);
	cr_assert_eq(prog_queue(POOL_B).arrived, 0);
}

Test(xdp_lent, hit_in_another_pool_is_a_seize_too)
{
	struct packet c = lent(0, 0), p = prog_request(&c, GET);
	struct prog_entry e = { .pool = POOL_B, .body_bytes = 7 };

	prog_publish(&e);
	put_ticket(&c, POOL_A, CONSUMED, SENT);
	prog_endpoints(WEIR_ENDPOINT_HTTP | WEIR_ENDPOINT_SINGLE, POOL_B, 1 << WEIR_BUCKET_WEAK);
	expect(&p, WEIR_VERDICT_SEIZE, WEIR_MISS_NONE);
	cr_assert_eq(result.meta.pool, POOL_B);
}

/* No socket has the cast's addresses, so the entry is a dead connection's. */
Test(xdp_lent, syn_for_a_stale_entry_begins_a_new_connection)
{
	struct packet c = lent(0, 0), p = prog_syn(WITH_ALL, 1460);
	struct weir_flow f;

	expect(&p, WEIR_VERDICT_SYN_COOKIE, WEIR_MISS_NONE);
	cr_assert(!prog_flow(&c, &f));
}
