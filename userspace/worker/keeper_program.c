/* SPDX-License-Identifier: GPL-2.0 */
/* A program's life: as long as the slot has, or may soon have, a worker. A crash counts as one of
 * the slot's, so that rapid-fail protection covers both. */
#include "worker/keeper.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"

#define BACKOFF_MIN_MS 20 /* as for workers, see keeper_worker.c */
#define BACKOFF_MAX_MS 1000
#define YOUNG_MS 1000

static bool is_on(const struct keeper *k)
{
	return k->program.listen_fd >= 0;
}

/* Workers need it for the requests that they have, also in a drain. */
static bool is_wanted(const struct keeper *k)
{
	return is_on(k) && (keeper_has_worker(k) || (!k->is_ending && !k->is_resting));
}

bool keeper_program_is_there(const struct keeper *k)
{
	const struct keeper_program *p = &k->program;

	return p->serving.pid || p->next.pid || p->old.pid || p->rest.pid;
}

bool keeper_program_is_settled(const struct keeper *k)
{
	const struct keeper_program *p = &k->program;

	return !p->next.pid && !p->old.pid && !p->rest.pid && !p->wants_recycle &&
	       (p->serving.pid != 0) == is_wanted(k);
}

bool keeper_program_is_missing(const struct keeper *k)
{
	return is_wanted(k) && !k->program.serving.pid;
}

static void publish(const struct keeper *k)
{
	struct weir_metrics_slot *m = k->base.setup->metrics;

	weir_metrics_set(m, program_pid, k->program.serving.pid);
	weir_metrics_set(m, program_old_pid, k->program.old.pid);
	weir_metrics_set(m, program_born_ms, k->program.serving.born_ms);
}

static void end(const struct keeper *k, struct keeper_run *run)
{
	if (!run->pid || run->end_ms)
		return;
	run->end_ms = weir_now_ms();
	/* itself alone: what it has started is its own to end */
	(void)kill(run->pid, weir_conf_signal_parse(k->base.setup->pool->exec.stop));
}

void keeper_program_kill(struct keeper *k, struct keeper_run *run, const char *why)
{
	if (!run->pid || run->killed_for)
		return;
	run->killed_for = why;
	if (k->base.setup->pool->orphan && !k->is_ending && !run->end_ms) {
		(void)kill(-run->pid, SIGSTOP);
		weir_warn("program %d of pool '%s' %s: left as an orphan, stopped, for a debugger; "
			  "kill -9 -- -%d "
			  "ends it",
			  run->pid, k->base.setup->pool->name, why, run->pid);
		keeper_orphan_action(k, run->pid);
		weir_metrics_add(k->base.setup->metrics, crashes, 1);
		run->pid = 0;
		return;
	}
	(void)kill(-run->pid, SIGKILL);
}

/* --- death --- */

static void report(const struct keeper *k, const struct keeper_run *run, int status)
{
	unsigned long long lived = weir_now_ms() - run->born_ms;
	const char *pool = k->base.setup->pool->name;
	char how[96];

	if (run->killed_for)
		snprintf(how, sizeof(how), "%s and was killed", run->killed_for);
	else if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "died of signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "ended with status %d", WEXITSTATUS(status));
	if (run->end_ms && !run->killed_for)
		weir_info("program %d of pool '%s' %s after %llu ms, as it was told", run->pid, pool, how, lived);
	else
		weir_warn("program %d of pool '%s' %s after %llu ms%s", run->pid, pool, how, lived,
			  run->end_ms ? "" : "; starting another, requests wait for it");
}

static void count_crash(struct keeper *k, const struct keeper_run *run)
{
	struct keeper_program *p = &k->program;

	if (weir_now_ms() - run->born_ms > YOUNG_MS)
		p->backoff_ms = 0;
	else
		p->backoff_ms = p->backoff_ms ? MIN(p->backoff_ms * 2, BACKOFF_MAX_MS) : BACKOFF_MIN_MS;
	p->retry_ms = weir_now_ms() + p->backoff_ms;
	weir_metrics_add(k->base.setup->metrics, crashes, 1);
}

/* The processes that it has started may finish what they have, if it ended in order; else they would go on accepting. */
static void leave(struct keeper_program *p, const struct keeper_run *dead)
{
	if (!dead->end_ms || dead->killed_for) {
		(void)kill(-dead->pid, SIGKILL);
		return;
	}
	if (p->rest.pid)
		(void)kill(-p->rest.pid, SIGKILL);
	p->rest = *dead;
}

static void watch_rest(struct keeper *k)
{
	struct keeper_run *rest = &k->program.rest;
	unsigned limit = k->base.setup->pool->shutdown_ms;

	if (!rest->pid)
		return;
	if (limit && weir_now_ms() - rest->end_ms > limit)
		(void)kill(-rest->pid, SIGKILL);
	if (kill(-rest->pid, 0) < 0)
		rest->pid = 0;
}

bool keeper_program_bury(struct keeper *k, pid_t pid, int status)
{
	struct keeper_program *p = &k->program;
	struct keeper_run *const all[] = { &p->old, &p->serving, &p->next };
	struct keeper_run dead;
	size_t i = 0;

	while (i < ARRAY_SIZE(all) && all[i]->pid != pid)
		i++;
	if (i == ARRAY_SIZE(all))
		return false;
	dead = *all[i];
	all[i]->pid = 0;
	leave(p, &dead);
	keeper_program_log(k);
	report(k, &dead, status);
	if (!dead.end_ms)
		count_crash(k, &dead);
	if (all[i] == &p->next)
		weir_metrics_add(k->base.setup->metrics, recycle_failures, 1);
	if (all[i] == &p->serving) {
		p->is_new = dead.end_ms != 0;
		p->serving = p->next;
		p->next = (struct keeper_run){};
		p->ping.since_ms = weir_now_ms();
	}
	publish(k);
	keeper_wake_supervisor(k);
	return true;
}

/* --- steps --- */

static void start_first(struct keeper *k)
{
	struct keeper_program *p = &k->program;
	int r;

	if (weir_now_ms() < p->retry_ms)
		return;
	r = keeper_program_start(k, &p->serving);
	if (r < 0) {
		(void)weir_err(r, "cannot start the program of pool '%s'", k->base.setup->pool->name);
		p->retry_ms = weir_now_ms() + BACKOFF_MAX_MS;
		return;
	}
	if (!p->is_new)
		weir_metrics_add(k->base.setup->metrics, program_restarts, 1);
	p->is_new = false;
	p->ping.since_ms = weir_now_ms();
	weir_info("program %d of pool '%s' runs: %s", p->serving.pid, k->base.setup->pool->name,
		  k->base.setup->pool->exec.command.items[0]);
	publish(k);
}

void keeper_program_recycle(struct keeper *k)
{
	k->program.wants_recycle = is_on(k) && k->program.serving.pid;
}

/* Both accept from the same socket for a while; or one after the other, while requests wait. */
static void begin_recycle(struct keeper *k)
{
	struct keeper_program *p = &k->program;

	if (p->next.pid || p->old.pid)
		return;
	p->wants_recycle = false;
	if (k->base.setup->pool->exec.overlap_ms == 0)
		end(k, &p->serving);
	else if (keeper_program_start(k, &p->next) < 0)
		weir_metrics_add(k->base.setup->metrics, recycle_failures, 1);
}

static void hand_over(struct keeper *k)
{
	struct keeper_program *p = &k->program;

	p->old = p->serving;
	p->serving = p->next;
	p->next = (struct keeper_run){};
	weir_info("program %d of pool '%s' is replaced by %d", p->old.pid, k->base.setup->pool->name, p->serving.pid);
	end(k, &p->old);
	publish(k);
	keeper_wake_supervisor(k);
}

static void enforce(struct keeper *k, struct keeper_run *run)
{
	unsigned limit = k->base.setup->pool->shutdown_ms;

	if (run->pid && run->end_ms && limit && weir_now_ms() - run->end_ms > limit)
		keeper_program_kill(k, run, "did not end within shutdown_time_limit");
}

void keeper_program_step(struct keeper *k)
{
	struct keeper_program *p = &k->program;

	if (!is_on(k))
		return;
	if (!is_wanted(k)) {
		p->wants_recycle = false;
		end(k, &p->serving);
		end(k, &p->next);
	} else if (!p->serving.pid) {
		start_first(k);
	} else if (p->wants_recycle) {
		begin_recycle(k);
	} else if (p->next.pid && weir_now_ms() - p->next.born_ms >= k->base.setup->pool->exec.overlap_ms) {
		hand_over(k);
	}
	enforce(k, &p->serving);
	enforce(k, &p->next);
	enforce(k, &p->old);
	watch_rest(k);
}
