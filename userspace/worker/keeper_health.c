/* SPDX-License-Identifier: GPL-2.0 */
/* Health pings, and the Date of a kernel cache whose supervisor is gone. */
#include "worker/keeper.h"

#include "common/clock.h"
#include "common/kernel_clock.h"

#define STALE_NS 1200000000ULL /* a Date that the supervisor should have replaced */

static void ask(struct keeper *k)
{
	struct weir_metrics_slot *m = k->base.setup->metrics;
	const uint64_t one = 1;
	uint64_t left;

	/* what a dead worker did not take would be answered twice */
	while (read(k->base.ping_fd, &left, sizeof(left)) == sizeof(left))
		;
	weir_metrics_add(m, ping_asked, 1);
	k->is_pinged = true;
	k->pinged_ms = weir_now_ms();
	(void)!write(k->base.ping_fd, &one, sizeof(one));
}

void keeper_ping(struct keeper *k)
{
	const struct weir_conf_pool *pool = k->base.setup->pool;
	struct weir_metrics_slot *m = k->base.setup->metrics;
	uint64_t now = weir_now_ms();

	if (!pool->ping_enabled || !pool->ping_interval_ms || k->is_ending || !k->serving.is_ready ||
	    !k->serving.pid || k->next.pid || k->old.pid)
		return;
	if (k->is_pinged && weir_metrics_get(m, ping_answered) == weir_metrics_get(m, ping_asked))
		k->is_pinged = false;
	if (!k->is_pinged && now - MAX(k->pinged_ms, k->serving.born_ms) >= pool->ping_interval_ms)
		ask(k);
	else if (k->is_pinged && now - k->pinged_ms > pool->ping_response_ms)
		keeper_kill(k, &k->serving, "did not answer a ping within ping_response_time");
}

void keeper_tick_clock(struct keeper *k)
{
	uint64_t written;

	if (!k->clock)
		return;
	written = __atomic_load_n(&k->clock->dates[k->clock->current & 1].written_ns, __ATOMIC_RELAXED);
	if (!k->is_timekeeper && weir_now_ns() < written + STALE_NS)
		return;
	/* Once it wrote, it goes on with each second, until somebody else is faster. */
	if (weir_clock_write(k->clock))
		k->clock_turn = __atomic_load_n(&k->clock->turn, __ATOMIC_RELAXED);
	k->is_timekeeper = __atomic_load_n(&k->clock->turn, __ATOMIC_RELAXED) == k->clock_turn;
}
