// SPDX-License-Identifier: GPL-2.0
/* Requests for pools that do not take them: 503 or a reset from XDP, and hits all the same where only the queue is
 * full. bpf/lib/queue.h and bpf/lib/owned.h. */
#include "common/macro.h"
#include "harness/prog_cache.h"

PROG_TESTS(xdp_refuse);

#define MISS "GET /other HTTP/1.1\r\nHost: " HOST "\r\n\r\n"
#define POST "POST /other HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 5\r\n\r\nabcde"
#define LIMIT 3

static struct prog_result result;

static void set_pool(uint8_t refusal, uint8_t verbosity, uint32_t queue_limit)
{
	struct weir_pool p = prog_pool(POOL_A);
	uint32_t pool = POOL_A;

	p.refusal = refusal;
	p.verbosity = verbosity;
	p.queue_limit = queue_limit;
	prog_put(prog.pools, &pool, &p);
}

/* The canned answer of each reason is of its own size, by which it is told apart. */
static struct prog_entry canned(uint8_t refusal, uint8_t verbosity)
{
	struct prog_entry e = { .body_bytes = 10u * refusal + verbosity };

	return e;
}

static void publish_all(void)
{
	uint8_t r, v;

	for (r = 1; r < WEIR_REFUSAL__MAX; r++)
		for (v = WEIR_VERBOSITY_LIMITED; v <= WEIR_VERBOSITY_FULL; v++) {
			struct prog_entry e = canned(r, v);

			prog_publish_refusal(&e, r, v);
		}
}

static void send(const struct packet *client, const char *text, enum weir_verdict v)
{
	struct packet p = prog_request(client, text);

	prog_run(&p, &result);
	assert_verdict(&result, v);
}

static uint64_t refused(uint8_t refusal)
{
	return prog_pool_stats(POOL_A).refused[refusal];
}

Test(xdp_refuse, each_reason_has_its_answer_and_its_counter)
{
	uint8_t r, v;

	publish_all();
	for (r = WEIR_REFUSAL_QUEUE_FULL + 1; r < WEIR_REFUSAL__MAX; r++)
		for (v = WEIR_VERBOSITY_LIMITED; v <= WEIR_VERBOSITY_FULL; v++) {
			struct packet c = prog_connect(WITH_TS, 1460);
			struct prog_entry e = canned(r, v);
			uint64_t before = refused(r);

			set_pool(r, v, 0);
			send(&c, MISS, WEIR_VERDICT_REFUSED);
			cr_assert_eq(result.reply.flags, ACK | PSH | FIN);
			prog_assert_response(&result, &e, false, true);
			cr_assert_eq(refused(r), before + 1);
			prog_flow_remove(&c);
		}
}

Test(xdp_refuse, pool_that_does_not_serve_serves_no_hits_either)
{
	struct packet c = prog_connect(0, 1460);
	struct prog_entry e = { .body_bytes = 300 }, no = canned(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED);

	publish_all();
	prog_publish(&e);
	set_pool(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED, 0);
	send(&c, GET, WEIR_VERDICT_REFUSED);
	prog_assert_response(&result, &no, false, true);
}

Test(xdp_refuse, full_queue_refuses_misses_and_serves_hits)
{
	struct packet c = prog_connect(0, 1460);
	struct prog_entry e = { .body_bytes = 300 }, no = canned(WEIR_REFUSAL_QUEUE_FULL, WEIR_VERBOSITY_LIMITED);

	publish_all();
	prog_publish(&e);
	set_pool(WEIR_REFUSAL_NONE, WEIR_VERBOSITY_LIMITED, LIMIT);
	prog_queue_put(POOL_A, 100, 100 - LIMIT);
	send(&c, GET, WEIR_VERDICT_HIT);
	prog_acknowledge(&c, &result.reply);
	send(&c, MISS, WEIR_VERDICT_REFUSED);
	prog_assert_response(&result, &no, false, true);
}

Test(xdp_refuse, queue_with_room_takes_the_request)
{
	static const struct {
		uint64_t arrived, taken;
		enum weir_verdict verdict;
	} rows[] = {
		{ 0, 0, WEIR_VERDICT_HANDOVER },
		{ LIMIT - 1, 0, WEIR_VERDICT_HANDOVER },
		{ LIMIT, 0, WEIR_VERDICT_REFUSED },
		{ LIMIT, 1, WEIR_VERDICT_HANDOVER },
		{ 5, 7, WEIR_VERDICT_HANDOVER }, /* taken before it was counted */
		{ -1ull, -1ull - LIMIT, WEIR_VERDICT_REFUSED },
		{ 1, -2ull, WEIR_VERDICT_REFUSED }, /* wrapped around */
	};
	size_t i;

	publish_all();
	set_pool(WEIR_REFUSAL_NONE, WEIR_VERBOSITY_LIMITED, LIMIT);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet c = prog_connect(0, 1460);

		prog_queue_put(POOL_A, rows[i].arrived, rows[i].taken);
		send(&c, MISS, rows[i].verdict);
		prog_flow_remove(&c);
	}
}

Test(xdp_refuse, queue_without_a_limit_is_never_full)
{
	struct packet c = prog_connect(0, 1460);

	publish_all();
	prog_queue_put(POOL_A, 1000000, 0);
	send(&c, MISS, WEIR_VERDICT_HANDOVER);
}

Test(xdp_refuse, request_that_is_pending_is_not_refused)
{
	struct packet c = prog_connect(0, 1460);

	publish_all();
	send(&c, MISS, WEIR_VERDICT_HANDOVER);
	set_pool(WEIR_REFUSAL_NONE, WEIR_VERBOSITY_LIMITED, LIMIT);
	prog_queue_put(POOL_A, LIMIT, 0);
	send(&c, MISS, WEIR_VERDICT_HANDOVER);
}

Test(xdp_refuse, basic_verbosity_is_a_reset)
{
	struct packet c = prog_connect(WITH_TS, 1460);
	uint64_t before = refused(WEIR_REFUSAL_APP_OFFLINE);

	publish_all();
	set_pool(WEIR_REFUSAL_APP_OFFLINE, WEIR_VERBOSITY_BASIC, 0);
	send(&c, MISS, WEIR_VERDICT_REFUSED_RESET);
	cr_assert_eq(result.reply.flags & RST, RST);
	cr_assert_eq(result.reply.seq, c.ack);
	cr_assert_eq(prog_flows_count(), 0);
	cr_assert_eq(refused(WEIR_REFUSAL_APP_OFFLINE), before + 1);
}

Test(xdp_refuse, without_a_canned_answer_it_is_a_reset)
{
	struct packet c = prog_connect(0, 1460);

	set_pool(WEIR_REFUSAL_APP_OFFLINE, WEIR_VERBOSITY_FULL, 0);
	send(&c, MISS, WEIR_VERDICT_REFUSED_RESET);
	cr_assert_eq(prog_flows_count(), 0);
}

Test(xdp_refuse, head_is_refused_without_a_body)
{
	struct packet c = prog_connect(0, 1460);
	struct prog_entry e = canned(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED);

	publish_all();
	set_pool(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED, 0);
	send(&c, HEAD, WEIR_VERDICT_REFUSED);
	prog_assert_response(&result, &e, true, true);
}

Test(xdp_refuse, request_with_a_body_is_refused_too)
{
	struct packet c = prog_connect(0, 1460);
	struct prog_entry e = canned(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED);

	publish_all();
	set_pool(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED, 0);
	send(&c, POST, WEIR_VERDICT_REFUSED);
	prog_assert_response(&result, &e, false, true);
}

Test(xdp_refuse, lost_refusal_is_repeated)
{
	struct packet c = prog_connect(WITH_ALL, 1460);
	struct prog_entry e = canned(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED);

	publish_all();
	set_pool(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED, 0);
	send(&c, MISS, WEIR_VERDICT_REFUSED);
	send(&c, MISS, WEIR_VERDICT_HIT_AGAIN);
	prog_assert_response(&result, &e, false, true);
	prog_acknowledge(&c, &result.reply);
	c.flags = FIN | ACK;
	prog_run(&c, &result);
	assert_verdict(&result, WEIR_VERDICT_FIN_LAST);
}

Test(xdp_refuse, frame_that_cannot_grow_is_left_to_tc)
{
	struct packet c = prog_connect(0, 1460);

	publish_all();
	set_pool(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED, 0);
	prog_iface(WEIR_IFACE_GENERIC, 1500, NULL);
	send(&c, MISS, WEIR_VERDICT_REFUSED_TC);
	cr_assert_eq(result.meta.kind, PROG_META_ANSWER);
	cr_assert_eq(result.meta.pool, 0);
	cr_assert_eq(result.meta.digest[0], WEIR_REFUSAL_DISABLED);
	cr_assert_eq(result.meta.digest[2], WEIR_VERBOSITY_LIMITED);
}

Test(xdp_refuse, idle_lent_connection_is_seized_for_a_refusal)
{
	struct packet c = prog_connect(0, 1460);
	struct weir_ticket t = { .state = 0x700 | WEIR_TICKET_OFFERED };
	struct weir_flow f;

	publish_all();
	cr_assert(prog_flow(&c, &f));
	f.owner = WEIR_OWNER_KERNEL;
	f.pool = POOL_A;
	f.base_rcv = c.seq;
	f.base_snd = c.ack;
	prog_flow_put(&c, &f);
	t.key = packet_key(&c);
	prog_ticket_put(&c, POOL_A, &t);
	set_pool(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED, 0);
	send(&c, MISS, WEIR_VERDICT_REFUSED_SEIZE);
	cr_assert_eq(result.meta.kind, PROG_META_SEIZE);
	cr_assert_eq(result.meta.pool, 0);
	prog_flow_put(&c, &f); /* as if weir_tc had left it to the worker */
	set_pool(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_BASIC, 0);
	send(&c, MISS, WEIR_VERDICT_REFUSED_SEIZE_RESET);
	cr_assert_eq(result.meta.kind, PROG_META_SEIZE);
	cr_assert_eq(result.meta.flags, PROG_META_RESET);
}

Test(xdp_refuse, lent_connection_without_ticket_is_not_reset)
{
	struct packet c = prog_connect(0, 1460);
	struct weir_flow f;

	cr_assert(prog_flow(&c, &f));
	f.owner = WEIR_OWNER_KERNEL;
	f.pool = POOL_A;
	f.base_rcv = c.seq;
	f.base_snd = c.ack;
	prog_flow_put(&c, &f);
	set_pool(WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_BASIC, 0);
	send(&c, MISS, WEIR_VERDICT_PASS_KERNEL);
}
