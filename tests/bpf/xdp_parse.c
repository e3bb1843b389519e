// SPDX-License-Identifier: GPL-2.0
/* Which packets are ours: bpf/lib/pkt.h. */
#include "harness/prog_run.h"

PROG_TESTS(xdp_parse);

Test(xdp_parse, syn_to_an_endpoint_is_answered)
{
	struct packet p = prog_syn(0, 1460);
	struct prog_result r;

	prog_run(&p, &r);
	assert_verdict(&r, WEIR_VERDICT_SYN_COOKIE);
}
