/* SPDX-License-Identifier: GPL-2.0 */
/* The only place where verdicts become actions and counters. */
#ifndef WEIR_LIB_VERDICT_H
#define WEIR_LIB_VERDICT_H

#include "lib/base.h"
#include "maps/stats.h"

static __always_inline void weir_count(enum weir_verdict v)
{
	__u32 i = v;
	__u64 *n = bpf_map_lookup_elem(&weir_verdicts, &i);

	if (n)
		++*n;
}

static __always_inline void weir_count_miss(__u32 miss)
{
	__u64 *n = bpf_map_lookup_elem(&weir_misses, &miss);

	if (n)
		++*n;
}

static __always_inline struct weir_pool_stats *weir_stats_of(__u32 pool)
{
	return bpf_map_lookup_elem(&weir_pool_stats, &pool);
}

static __always_inline struct weir_scratch *weir_scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&weir_scratch, &zero);
}

#define WEIR_ACTION_PASS XDP_PASS
#define WEIR_ACTION_UP XDP_PASS
#define WEIR_ACTION_DROP XDP_DROP
#define WEIR_ACTION_TX XDP_TX

static __always_inline int weir_xdp_action(enum weir_verdict v)
{
	weir_count(v);
	switch (v) {
#define WEIR_ROW(name, action, help)   \
	case WEIR_VERDICT_##name:      \
		return WEIR_ACTION_##action;
#include "weir/verdicts.def"
#undef WEIR_ROW
	default:
		return XDP_PASS;
	}
}

#endif
