// SPDX-License-Identifier: GPL-2.0
/* Records for the logs: one for each answer, none for a repetition, none that is not wanted: bpf/lib/emit.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "common/clock.h"
#include "common/macro.h"
#include "harness/prog_cache.h"

PROG_TESTS(xdp_log);

static struct prog_result result;
static struct weir_events *events;
static struct weir_event last;
static char head[WEIR_EVENT_HEAD_MAX + 64];
static unsigned seen;

static void on_event(const struct weir_event *e, const char *segment, void *arg)
{
	(void)arg;
	last = *e;
	cr_assert_leq((size_t)e->segment_bytes, sizeof(head));
	memcpy(head, segment, e->segment_bytes);
	seen++;
}

static unsigned count(void)
{
	seen = 0;
	while (weir_events_consume(events, 1000))
		;
	return seen;
}

static void want(uint32_t hits_every, uint32_t refusals)
{
	struct weir_log_conf conf = { hits_every, refusals };
	uint32_t zero = 0;

	prog_put(prog.log_conf, &zero, &conf);
	if (!events)
		cr_assert_eq(weir_events_open(prog.events, on_event, NULL, &events), 0);
	(void)count(); /* of other tests */
}

static void ask(const struct packet *client, const char *text, enum weir_verdict v)
{
	struct packet p = prog_request(client, text);

	prog_run(&p, &result);
	assert_verdict(&result, v);
}

Test(xdp_log, hit_has_a_record_with_its_head)
{
	unsigned o;

	want(1, 1);
	for (o = 0; o < 16; o++) {
		struct prog_entry e = { .endpoint = o & WITH_V6 ? ENDPOINT6 : ENDPOINT4, .body_bytes = 100 };
		struct packet c = prog_connect(o, 1440);
		struct weir_flow_key key = packet_key(&c);

		prog_publish(&e);
		c.ts_val++;
		ask(&c, GET, WEIR_VERDICT_HIT);
		cr_assert_eq(count(), 1);
		cr_expect_eq(last.kind, WEIR_EVENT_HIT);
		cr_expect_eq(last.status, 200);
		cr_expect_eq(last.pool, POOL_A);
		cr_expect_eq(last.bytes, result.reply.payload_bytes);
		cr_expect_eq(last.request_bytes, strlen(GET));
		cr_expect_eq(memcmp(&last.key, &key, sizeof(key)), 0);
		cr_assert_eq(last.segment_bytes - last.skip_bytes, strlen(GET));
		cr_expect_arr_eq(head + last.skip_bytes, GET, strlen(GET));
		prog_flow_remove(&c);
	}
}

Test(xdp_log, repeated_answer_is_not_logged_again)
{
	struct packet c = prog_connect(WITH_TS, 1460);
	struct prog_entry e = { .body_bytes = 100 };

	want(1, 1);
	prog_publish(&e);
	ask(&c, GET, WEIR_VERDICT_HIT);
	cr_expect_eq(count(), 1);
	ask(&c, GET, WEIR_VERDICT_HIT_AGAIN);
	cr_expect_eq(count(), 0);
}

Test(xdp_log, miss_is_the_workers_to_log)
{
	struct packet c = prog_connect(WITH_TS, 1460);

	want(1, 1);
	ask(&c, GET, WEIR_VERDICT_HANDOVER);
	cr_expect_eq(count(), 0);
}

Test(xdp_log, nothing_is_written_that_is_not_wanted)
{
	struct prog_entry e = { .body_bytes = 100 };
	unsigned i, sampled = 0;

	prog_publish(&e);
	for (i = 0; i < 2000; i++) {
		struct packet c = prog_connect(WITH_TS, 1460);

		want(i < 10 ? 0 : 4, 1);
		ask(&c, GET, WEIR_VERDICT_HIT);
		if (i < 10)
			cr_assert_eq(count(), 0);
		else
			sampled += count();
		prog_flow_remove(&c);
	}
	cr_expect(sampled > 300 && sampled < 700, "one in four of 1990: %u", sampled);
}

Test(xdp_log, long_head_is_cut)
{
	struct prog_entry e = { .body_bytes = 10 };
	struct packet c = prog_connect(WITH_TS, 1460);
	char text[1400];
	int n = snprintf(text, sizeof(text), "GET " TARGET " HTTP/1.1\r\nHost: " HOST "\r\nUser-Agent: ");

	want(1, 1);
	prog_publish(&e);
	memset(text + n, 'u', 1300 - (size_t)n);
	memcpy(text + 1300, "\r\n\r\n", 5);
	ask(&c, text, WEIR_VERDICT_HIT);
	cr_assert_eq(count(), 1);
	cr_expect_eq(last.request_bytes, 1304);
	cr_expect_eq(last.segment_bytes, WEIR_EVENT_HEAD_MAX + 60);
	cr_expect_arr_eq(head + last.skip_bytes, text, WEIR_EVENT_HEAD_MAX);
}

Test(xdp_log, refusal_has_its_reason)
{
	struct weir_pool p = prog_pool(POOL_A);
	struct prog_entry e = { .body_bytes = 20, .status = 503 };
	struct packet c = prog_connect(WITH_TS, 1460);
	uint32_t pool = POOL_A;

	want(0, 1);
	prog_publish_refusal(&e, WEIR_REFUSAL_DISABLED, WEIR_VERBOSITY_LIMITED);
	p.refusal = WEIR_REFUSAL_DISABLED;
	p.verbosity = WEIR_VERBOSITY_LIMITED;
	prog_put(prog.pools, &pool, &p);
	ask(&c, GET, WEIR_VERDICT_REFUSED);
	cr_assert_eq(count(), 1);
	cr_expect_eq(last.kind, WEIR_EVENT_REFUSAL);
	cr_expect_eq(last.refusal, WEIR_REFUSAL_DISABLED);
	cr_expect_eq(last.pool, POOL_A);
	prog_flow_remove(&c);

	c = prog_connect(WITH_TS, 1460);
	p.verbosity = WEIR_VERBOSITY_BASIC;
	prog_put(prog.pools, &pool, &p);
	ask(&c, GET, WEIR_VERDICT_REFUSED_RESET);
	cr_assert_eq(count(), 1);
	cr_expect_eq(last.status, 0);
	prog_flow_remove(&c);

	want(1, 0);
	c = prog_connect(WITH_TS, 1460);
	ask(&c, GET, WEIR_VERDICT_REFUSED_RESET);
	cr_expect_eq(count(), 0);
}

Test(xdp_log, full_ring_loses_and_counts)
{
	struct weir_log_stats stats[256];
	struct prog_entry e = { .body_bytes = 10 };
	uint64_t lost = 0, before = 0;
	uint32_t zero = 0;
	unsigned i;
	char text[1300];
	int cpu, n;

	want(1, 1);
	n = snprintf(text, sizeof(text), "GET " TARGET " HTTP/1.1\r\nHost: " HOST "\r\nUser-Agent: ");
	memset(text + n, 'u', 1200 - (size_t)n);
	memcpy(text + 1200, "\r\n\r\n", 5);
	prog_publish(&e);
	cr_assert_eq(bpf_map_lookup_elem(prog.log_stats, &zero, stats), 0);
	for (cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
		before += stats[cpu].lost;
	for (i = 0; i < WEIR_EVENTS_BYTES / 1000 && !lost; i++) {
		struct packet c = prog_connect(WITH_TS, 1460);

		ask(&c, text, WEIR_VERDICT_HIT);
		prog_flow_remove(&c);
		if (i % 500)
			continue;
		prog_clock_written(weir_now_ns());
		cr_assert_eq(bpf_map_lookup_elem(prog.log_stats, &zero, stats), 0);
		for (cpu = 0, lost = 0; cpu < libbpf_num_possible_cpus(); cpu++)
			lost += stats[cpu].lost;
		lost -= before;
	}
	cr_expect_gt(lost, 0, "and every one of them was answered");
	want(0, 0);
}
