/* SPDX-License-Identifier: GPL-2.0 */
/* The workers' lives: started, found ready, replaced without a gap (the next one serves before the old one
 * drains), ended, and started again when they die. */
#include "worker/keeper.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/bpf_map.h"
#include "common/clock.h"
#include "common/log.h"

#define BACKOFF_MIN_MS 20   /* before a worker that did nothing but die is started again; doubled each time */
#define BACKOFF_MAX_MS 1000
#define YOUNG_MS 1000	    /* older, or with a request answered, it did something */

static void wake_supervisor(const struct keeper *k)
{
	const uint64_t one = 1;

	if (k->base.setup->wake_fd > 0)
		(void)!write(k->base.setup->wake_fd, &one, sizeof(one));
}

void keeper_state(struct keeper *k, enum weir_slot_state state)
{
	struct weir_metrics_slot *m = k->base.setup->metrics;

	if (weir_metrics_get(m, slot_state) == (uint64_t)state)
		return;
	weir_metrics_set(m, state_ms, weir_now_ms());
	weir_metrics_set(m, slot_state, state);
	wake_supervisor(k);
}

bool keeper_has_worker(const struct keeper *k)
{
	return k->serving.pid || k->next.pid || k->old.pid;
}

static void publish(const struct keeper *k)
{
	struct weir_metrics_slot *m = k->base.setup->metrics;

	weir_metrics_set(m, worker_pid, k->serving.pid);
	weir_metrics_set(m, old_pid, k->old.pid);
	if (!k->serving.pid) {
		weir_metrics_set(m, threads, 0);
		weir_metrics_set(m, threads_busy, 0);
		return;
	}
	weir_metrics_set(m, born_ms, k->serving.born_ms);
	weir_metrics_set(m, requests_at_start, k->serving.requests);
}

/* The raw call, because fork() cannot share the file table. The child goes on like after fork(): a copy of this
 * single-threaded process. */
static int start(struct keeper *k, struct keeper_worker *w)
{
	struct weir_metrics_slot *m = k->base.setup->metrics;
	int drain_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	long pid;

	if (drain_fd < 0)
		return -errno;
	k->base.drain_fd = drain_fd;
	k->base.has_elder = keeper_has_worker(k);
	k->base.generation++;
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		wrk_worker_main(&k->base);
	if (pid < 0) {
		int r = -errno;

		close(drain_fd);
		return weir_err(r, "cannot start a worker of pool '%s'", k->base.setup->pool->name);
	}
	*w = (struct keeper_worker){
		.pid = (pid_t)pid,
		.generation = k->base.generation,
		.drain_fd = drain_fd,
		.born_ms = weir_now_ms(),
		.requests = weir_metrics_get(m, requests),
	};
	return 0;
}

void keeper_kill(struct keeper *k, struct keeper_worker *w, const char *why)
{
	if (w->killed_for)
		return;
	if (k->base.setup->pool->orphan && !k->is_ending) {
		keeper_orphan(k, w, why);
		return;
	}
	w->killed_for = why;
	(void)kill(w->pid, SIGKILL);
}

static void drain(struct keeper_worker *w, enum wrk_drain mode, uint16_t move_to)
{
	const uint64_t value = (uint64_t)mode | (uint64_t)move_to << 8;

	if (!w->pid || w->drain_ms)
		return;
	w->drain_ms = weir_now_ms();
	(void)!write(w->drain_fd, &value, sizeof(value));
}

/* --- death --- */

/* The dead worker's watches died with it: nobody would notice a change of what it has published. */
static void flush_cache(const struct wrk_setup *s)
{
	size_t i;

	for (i = 0; i < WEIR_CLASS__MAX; i++)
		if (s->cache_fds[i] >= 0)
			(void)weir_bpf_map_clear(s->cache_fds[i], sizeof(struct weir_cache_key));
}

static void count_crash(struct keeper *k, const struct keeper_worker *w)
{
	struct weir_metrics_slot *m = k->base.setup->metrics;

	if (weir_now_ms() - w->born_ms > YOUNG_MS || weir_metrics_get(m, requests) != w->requests)
		k->backoff_ms = 0;
	else
		k->backoff_ms = k->backoff_ms ? MIN(k->backoff_ms * 2, BACKOFF_MAX_MS) : BACKOFF_MIN_MS;
	weir_metrics_add(m, crashes, 1);
}

static void bury(struct keeper *k, struct keeper_worker *w, int status)
{
	struct keeper_worker dead = *w;
	bool is_clean = dead.drain_ms && WIFEXITED(status) && WEXITSTATUS(status) == 0;

	w->pid = 0;
	publish(k);
	if (!is_clean && !k->is_ending)
		keeper_report_death(k, &dead, status);
	if (!is_clean && !dead.drain_ms)
		count_crash(k, &dead);
	close(dead.drain_fd);
	flush_cache(k->base.setup);
	if (!is_clean && keeper_has_worker(k))
		wrk_recover_dead(&k->rescue, dead.generation);
	if (!is_clean || !keeper_has_worker(k))
		keeper_find_strays(k, dead.generation);
	if (w == &k->next)
		weir_metrics_add(k->base.setup->metrics, recycle_failures, 1);
	if (w == &k->serving) {
		k->is_pinged = false;
		/* Also without a pause the next one starts at once; the supervisor must see every crash. */
		k->retry_ms = weir_now_ms() + k->backoff_ms;
		k->serving = k->next;
		k->next = (struct keeper_worker){};
		if (!k->is_ending && !dead.drain_ms)
			weir_metrics_add(k->base.setup->metrics, restarts, 1);
	}
	publish(k);
	wake_supervisor(k);
}

void keeper_reap(struct keeper *k)
{
	struct keeper_worker *const all[] = { &k->old, &k->serving, &k->next };
	int status;
	pid_t pid;
	size_t i;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < ARRAY_SIZE(all); i++) {
			if (all[i]->pid != pid)
				continue;
			bury(k, all[i], status);
			break;
		}
	}
}

/* --- steps --- */

static void look_ready(struct keeper *k, struct keeper_worker *w)
{
	unsigned limit = k->base.setup->pool->startup_ms;

	if (!w->pid || w->is_ready)
		return;
	if (weir_metrics_get(k->base.setup->metrics, ready_pid) == (uint64_t)w->pid)
		w->is_ready = true;
	else if (limit && weir_now_ms() - w->born_ms > limit)
		keeper_kill(k, w, "was not ready within startup_time_limit");
}

/* The next one serves: the old one finishes what its threads hold. */
static void hand_over(struct keeper *k)
{
	struct weir_metrics_slot *m = k->base.setup->metrics;

	k->old = k->serving;
	k->serving = k->next;
	k->next = (struct keeper_worker){};
	k->is_pinged = false;
	publish(k);
	weir_metrics_set(m, started_at, weir_realtime_s());
	weir_metrics_add(m, recycles, 1);
	drain(&k->old, WRK_DRAIN_HAND_OVER, 0);
	weir_info("worker %d of pool '%s' is replaced by %d: %s", k->old.pid, k->base.setup->pool->name,
		  k->serving.pid, wrk_reason_name(k->reason));
	wake_supervisor(k);
}

static void follow_order(struct keeper *k)
{
	if (!k->serving.pid || !k->serving.is_ready) {
		/* a worker that starts anyway is as new as it can be */
		k->has_order = false;
		return;
	}
	if (k->next.pid || k->old.pid)
		return;
	k->has_order = false;
	if (k->reason != WRK_REASON_IDLE) {
		if (start(k, &k->next) < 0)
			weir_metrics_add(k->base.setup->metrics, recycle_failures, 1);
		return;
	}
	weir_info("worker %d of pool '%s' is idle: ended until the next request", k->serving.pid,
		  k->base.setup->pool->name);
	k->old = k->serving;
	k->serving = (struct keeper_worker){};
	k->is_resting = true;
	publish(k);
	(void)keeper_watch_sources(k);
	drain(&k->old, WRK_DRAIN_HAND_OVER, 0);
}

static void end_all(struct keeper *k)
{
	struct keeper_worker *const all[] = { &k->serving, &k->next, &k->old };
	unsigned limit = k->base.setup->pool->shutdown_ms;
	size_t i;

	keeper_state(k, WEIR_SLOT_STOPPING);
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		/* one that is not ready has nothing yet; of two, the one that serves has the connections */
		if (k->is_moving && all[i] == &k->serving)
			drain(all[i], WRK_DRAIN_MOVE, k->move_to);
		else
			drain(all[i], WRK_DRAIN_FINAL, 0);
		if (all[i]->pid && limit && weir_now_ms() - all[i]->drain_ms > limit)
			keeper_kill(k, all[i], "did not end within shutdown_time_limit");
	}
}

static void say_state(struct keeper *k)
{
	if (k->serving.pid && k->serving.is_ready)
		keeper_state(k, k->next.pid || k->old.pid ? WEIR_SLOT_RECYCLING : WEIR_SLOT_STARTED);
	else
		keeper_state(k, k->is_resting ? WEIR_SLOT_WAITING : WEIR_SLOT_STARTING);
}

void keeper_step(struct keeper *k)
{
	unsigned limit = k->base.setup->pool->shutdown_ms;

	if (k->is_ending) {
		end_all(k);
		return;
	}
	if (!k->serving.pid && !k->is_resting && weir_now_ms() >= k->retry_ms) {
		if (start(k, &k->serving) < 0)
			k->retry_ms = weir_now_ms() + BACKOFF_MAX_MS;
		else
			weir_metrics_set(k->base.setup->metrics, started_at, weir_realtime_s());
		publish(k);
	}
	keeper_look_again(k);
	look_ready(k, &k->serving);
	look_ready(k, &k->next);
	if (k->next.pid && k->next.is_ready && !k->next.killed_for)
		hand_over(k);
	if (k->old.pid && limit && weir_now_ms() - k->old.drain_ms > limit)
		keeper_kill(k, &k->old, "did not finish within shutdown_time_limit");
	if (k->has_order)
		follow_order(k);
	say_state(k);
}
