// SPDX-License-Identifier: GPL-2.0
/* The states of a pool, and what leads from one to another. */
#include <criterion/criterion.h>

#include "pools.h"

TestSuite(pool, .init = pools_init, .fini = pools_fini, .timeout = 30);

static enum sup_pool_state state(unsigned i)
{
	return sup_pool_state(&sup, &sup.pools[i]);
}

Test(pool, state_is_that_of_its_best_slot)
{
	cr_expect_eq(state(0), SUP_POOL_STARTED);
	weir_metrics_set(&sup.metrics[0], slot_state, WEIR_SLOT_STARTING);
	cr_expect_eq(state(0), SUP_POOL_STARTED, "the other one serves");
	weir_metrics_set(&sup.metrics[1], slot_state, WEIR_SLOT_WAITING);
	cr_expect_eq(state(0), SUP_POOL_WAITING);
	weir_metrics_set(&sup.metrics[1], slot_state, WEIR_SLOT_STARTING);
	cr_expect_eq(state(0), SUP_POOL_STARTING);
	weir_metrics_set(&sup.metrics[1], slot_state, WEIR_SLOT_RECYCLING);
	cr_expect_eq(state(0), SUP_POOL_STARTED);
}

Test(pool, stopped_pool_is_refused_and_starts_again)
{
	struct sup_pool *p = &sup.pools[1];

	sup_pool_want(&sup, p, SUP_WANT_STOPPED);
	cr_expect_eq(p->refusal, WEIR_REFUSAL_DISABLED, "before its workers have ended");
	cr_expect_eq(state(1), SUP_POOL_STOPPING);
	wait_ended(2);
	cr_expect_eq(state(1), SUP_POOL_STOPPED);
	sup_pools_look(&sup);
	cr_expect(p->is_refused_here);
	cr_expect_eq((int)sup.state->pools[2].want, SUP_WANT_STOPPED, "the next supervisor knows");
	cr_expect_eq(state(0), SUP_POOL_STARTED, "the other pool is not concerned");
}

Test(pool, keeper_that_was_told_to_end_is_no_failure)
{
	sup_pool_want(&sup, &sup.pools[1], SUP_WANT_DISABLED);
	wait_ended(2);
	cr_expect_eq(weir_metrics_get(&sup.metrics[2], crashes), 0);
	cr_expect_eq(weir_metrics_get(&sup.metrics[2], restarts), 0);
	cr_expect_eq(state(1), SUP_POOL_DISABLED);
}

Test(pool, too_many_crashes_take_it_offline)
{
	weir_metrics_add(&sup.metrics[0], crashes, 1);
	weir_metrics_add(&sup.metrics[1], crashes, 1);
	sup_pools_look(&sup);
	cr_expect_eq(sup.pools[0].want, SUP_WANT_RUN, "two in two slots");
	weir_metrics_add(&sup.metrics[1], crashes, 1);
	sup_pools_look(&sup);
	cr_expect_eq(sup.pools[0].want, SUP_WANT_OFFLINE);
	cr_expect_eq(sup.pools[0].refusal, WEIR_REFUSAL_APP_OFFLINE);
	wait_ended(0);
	wait_ended(1);
	cr_expect_eq(state(0), SUP_POOL_OFFLINE);
	cr_expect_eq(sup.pools[1].want, SUP_WANT_RUN);
}

Test(pool, old_crashes_do_not_count)
{
	confs[1].rapid_fail_ms = 20;
	weir_metrics_add(&sup.metrics[2], crashes, 2);
	sup_pools_look(&sup);
	(void)poll(NULL, 0, 60);
	weir_metrics_add(&sup.metrics[2], crashes, 2);
	sup_pools_look(&sup);
	cr_expect_eq(sup.pools[1].want, SUP_WANT_RUN);
}

Test(pool, without_protection_crashes_are_only_counted)
{
	confs[1].rapid_fail = false;
	weir_metrics_add(&sup.metrics[2], crashes, 50);
	sup_pools_look(&sup);
	cr_expect_eq(sup.pools[1].want, SUP_WANT_RUN);
}

Test(pool, slow_start_is_refused_until_it_is_ready)
{
	confs[1].startup_ms = 20;
	weir_metrics_set(&sup.metrics[2], slot_state, WEIR_SLOT_STARTING);
	sup_pools_look(&sup);
	cr_expect_eq(sup.pools[1].refusal, WEIR_REFUSAL_NONE, "within the limit requests wait");
	(void)poll(NULL, 0, 60);
	sup_pools_look(&sup);
	cr_expect_eq(sup.pools[1].refusal, WEIR_REFUSAL_APP_POOL_TIMER);
	weir_metrics_set(&sup.metrics[2], slot_state, WEIR_SLOT_STARTED);
	sup_pools_look(&sup);
	cr_expect_eq(sup.pools[1].refusal, WEIR_REFUSAL_NONE);
}

Test(pool, slots_are_recycled_one_after_the_other)
{
	uint64_t until = weir_now_ms() + 5000;
	unsigned both = 0;

	sup_recycle(&sup.pools[0], WRK_REASON_ON_DEMAND);
	while (sup_recycle_is_under_way(&sup.pools[0]) && weir_now_ms() < until) {
		sup_recycle_step(&sup, &sup.pools[0]);
		both += sup.slots[0].recycle_ms && sup.slots[1].recycle_ms;
		(void)poll(NULL, 0, 2);
	}
	cr_expect_eq(both, 0);
	cr_expect_eq(weir_metrics_get(&sup.metrics[0], recycles), 1);
	cr_expect_eq(weir_metrics_get(&sup.metrics[1], recycles), 1);
	cr_expect_eq(weir_metrics_get(&sup.metrics[2], recycles), 0);
}

Test(pool, age_and_requests_ask_for_a_recycle)
{
	struct weir_metrics_slot *m = &sup.metrics[2];

	weir_metrics_set(m, born_ms, weir_now_ms());
	confs[1].restart_requests = 10;
	weir_metrics_set(m, requests_at_start, 5);
	weir_metrics_set(m, requests, 14);
	sup_recycle_tick(&sup, &sup.pools[1]);
	cr_expect_not(sup.slots[2].wants_recycle);
	weir_metrics_set(m, requests, 15);
	sup_recycle_tick(&sup, &sup.pools[1]);
	cr_expect(sup.slots[2].wants_recycle && sup.slots[2].reason == WRK_REASON_REQUESTS);
	sup.slots[2].wants_recycle = false;
	confs[1].restart_ms = 10;
	weir_metrics_set(m, born_ms, weir_now_ms() - 20);
	sup_recycle_tick(&sup, &sup.pools[1]);
	cr_expect(sup.slots[2].wants_recycle && sup.slots[2].reason == WRK_REASON_TIME);
}
