// SPDX-License-Identifier: GPL-2.0
/* weir_tc on packets that weir_xdp left no metadata on: none of its business. What it does with metadata needs real
 * sockets, see tests/sock. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "common/macro.h"
#include "harness/prog_cache.h"

PROG_TESTS(tc_pass);

#define TC_ACT_UNSPEC (-1)

static void expect_untouched(const struct packet *p)
{
	uint8_t frame[PACKET_FRAME_MAX], out[PACKET_FRAME_MAX];
	size_t bytes = packet_build(p, frame);
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = (uint32_t)bytes, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = 1);

	cr_assert_eq(bpf_prog_test_run_opts(prog.tc, &o), 0);
	cr_assert_eq((int)o.retval, TC_ACT_UNSPEC);
	cr_assert_eq(o.data_size_out, bytes);
	cr_assert_arr_eq(out, frame, bytes);
}

static uint64_t verdicts_sum(void)
{
	uint64_t values[256], sum = 0;
	uint32_t i;
	int cpu;

	for (i = 0; i < WEIR_VERDICT__MAX; i++) {
		cr_assert_eq(bpf_map_lookup_elem(prog.verdicts, &i, values), 0);
		for (cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
			sum += values[cpu];
	}
	return sum;
}

Test(tc_pass, packets_without_metadata_are_untouched)
{
	struct prog_entry e = {};
	uint64_t before;
	unsigned o;

	prog_publish(&e);
	for (o = 0; o < 16; o++) {
		struct packet syn = prog_syn(o, 1460), c = prog_connect(o, 1460), request = prog_request(&c, GET);

		before = verdicts_sum();
		expect_untouched(&syn);
		expect_untouched(&c);
		expect_untouched(&request);
		cr_assert_eq(verdicts_sum(), before);
		prog_flow_remove(&c);
	}
}

Test(tc_pass, payload_that_looks_like_metadata_is_payload)
{
	struct packet c = prog_connect(0, 1460), p;
	struct prog_meta m = { 0x57656972, c.seq, c.ack, POOL_A, PROG_META_HANDOVER, 0, {} };

	p = c;
	p.payload = &m;
	p.payload_bytes = sizeof(m);
	expect_untouched(&p);
}
