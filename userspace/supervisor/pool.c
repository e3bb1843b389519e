/* SPDX-License-Identifier: GPL-2.0 */
/* Pools: what an administrator, rapid-fail protection or the CPU limit want of them, what they are, and what the
 * kernel side answers in their place meanwhile. The only place where a pool changes its state. */
#include "supervisor/state.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

int sup_pools_new(struct sup *s)
{
	size_t i;

	s->pools = calloc(s->config->pools_count, sizeof(*s->pools));
	if (!s->pools)
		return -ENOMEM;
	for (i = 0; i < s->config->pools_count; i++) {
		struct sup_pool *p = &s->pools[i];

		p->conf = &s->config->pools[i];
		p->slots = &s->slots[p->conf->first_slot];
		p->minute = -1;
		p->watch_fd = -1;
		p->crashes_seen = sup_pool_sum(s, p, crashes);
		p->cpu_ms = weir_now_ms();
		(void)sup_recycle_watch(p);
	}
	return 0;
}

void sup_pools_free(struct sup *s)
{
	size_t i;

	for (i = 0; s->pools && i < s->config->pools_count; i++)
		if (s->pools[i].watch_fd >= 0)
			close(s->pools[i].watch_fd);
	free(s->pools);
	s->pools = NULL;
}

struct sup_pool *sup_pool_of(const struct sup *s, const struct sup_slot *slot)
{
	return sup_pool_by_id(s, slot->pool->id);
}

struct sup_pool *sup_pool_by_id(const struct sup *s, uint16_t id)
{
	size_t i;

	for (i = 0; i < s->config->pools_count; i++)
		if (s->config->pools[i].id == id)
			return &s->pools[i];
	return NULL;
}

struct sup_pool *sup_pool_find(const struct sup *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->config->pools_count; i++)
		if (!strcmp(s->config->pools[i].name, name))
			return &s->pools[i];
	return NULL;
}

uint32_t sup_slot_number(const struct sup *s, const struct sup_slot *slot)
{
	return (uint32_t)(slot - s->slots);
}

/* --- state --- */

static bool has_keeper(const struct sup_pool *p)
{
	unsigned i;

	for (i = 0; i < p->conf->slots; i++)
		if (p->slots[i].keeper)
			return true;
	return false;
}

static bool has_slot_in(const struct sup *s, const struct sup_pool *p, enum weir_slot_state state)
{
	unsigned i;

	for (i = 0; i < p->conf->slots; i++)
		if (sup_slot_state(s, &p->slots[i]) == state)
			return true;
	return false;
}

enum sup_pool_state sup_pool_state(const struct sup *s, const struct sup_pool *p)
{
	static const enum sup_pool_state at_rest[] = {
		[SUP_WANT_STOPPED] = SUP_POOL_STOPPED,
		[SUP_WANT_DISABLED] = SUP_POOL_DISABLED,
		[SUP_WANT_OFFLINE] = SUP_POOL_OFFLINE,
		[SUP_WANT_PAUSED] = SUP_POOL_PAUSED,
	};

	if (s->is_stopping)
		return SUP_POOL_STOPPING;
	if (p->want != SUP_WANT_RUN)
		return has_keeper(p) ? SUP_POOL_STOPPING : at_rest[p->want];
	if (has_slot_in(s, p, WEIR_SLOT_STARTED) || has_slot_in(s, p, WEIR_SLOT_RECYCLING))
		return SUP_POOL_STARTED;
	return has_slot_in(s, p, WEIR_SLOT_WAITING) ? SUP_POOL_WAITING : SUP_POOL_STARTING;
}

const char *sup_pool_state_name(enum sup_pool_state state)
{
	static const char *const names[] = {
		[SUP_POOL_STARTING] = "starting", [SUP_POOL_STARTED] = "started",   [SUP_POOL_WAITING] = "waiting",
		[SUP_POOL_STOPPING] = "stopping", [SUP_POOL_STOPPED] = "stopped",   [SUP_POOL_DISABLED] = "disabled",
		[SUP_POOL_OFFLINE] = "offline",	  [SUP_POOL_PAUSED] = "paused",
	};

	return names[state];
}

/* --- refusals --- */

static enum weir_refusal refusal_of(const struct sup_pool *p)
{
	unsigned limit = p->conf->startup_ms;

	switch (p->want) {
	case SUP_WANT_RUN:
		/* a start within its limit is waited for, up to the queue's length */
		return p->starting_ms && weir_now_ms() - p->starting_ms > limit ? WEIR_REFUSAL_APP_POOL_TIMER :
										 WEIR_REFUSAL_NONE;
	case SUP_WANT_OFFLINE:
		return WEIR_REFUSAL_APP_OFFLINE;
	case SUP_WANT_PAUSED:
		return WEIR_REFUSAL_APP_SHUTDOWN;
	case SUP_WANT_STOPPED:
	case SUP_WANT_DISABLED:
		break;
	}
	return WEIR_REFUSAL_DISABLED;
}

static void set_refusal(struct sup *s, struct sup_pool *p)
{
	enum sup_pool_state state = sup_pool_state(s, p);
	enum weir_refusal refusal;

	if (state == SUP_POOL_STARTING && !p->starting_ms)
		p->starting_ms = weir_now_ms();
	else if (state != SUP_POOL_STARTING)
		p->starting_ms = 0;
	refusal = refusal_of(p);
	if (refusal != p->refusal && s->dp &&
	    weir_dataplane_set_pool(s->dp, p->conf->id, refusal, p->conf->verbosity, p->conf->queue_length) < 0)
		weir_warn("cannot tell the kernel side about pool '%s'", p->conf->name);
	if (refusal == WEIR_REFUSAL_APP_POOL_TIMER && p->refusal != refusal)
		weir_warn("pool '%s' starts too slowly: its requests are refused (AppPoolTimer) until it is ready",
			  p->conf->name);
	p->refusal = refusal;
	/* what reaches a listening socket without a worker behind it */
	sup_refuser_watch(s, p, !s->is_stopping && p->want != SUP_WANT_RUN && !has_keeper(p));
}

/* --- transitions --- */

void sup_pool_want(struct sup *s, struct sup_pool *p, enum sup_want want)
{
	unsigned i;

	p->want = want;
	s->state->pools[p->conf->id].want = want;
	if (want == SUP_WANT_RUN) {
		memset(p->crash_ms, 0, sizeof(p->crash_ms));
		for (i = 0; i < p->conf->slots; i++) {
			p->slots[i].retry_ms = 0;
			p->slots[i].failures = 0;
		}
		set_refusal(s, p);
		sup_slots_start(s);
		return;
	}
	/* refused first, so that nothing joins the queue of workers that end */
	set_refusal(s, p);
	for (i = 0; i < p->conf->slots; i++)
		sup_slot_end(&p->slots[i]);
}

void sup_pools_resume(struct sup *s)
{
	size_t i;

	for (i = 0; i < s->config->pools_count; i++) {
		enum sup_want want = s->want_before[s->pools[i].conf->id];

		if (want != SUP_WANT_RUN)
			sup_pool_want(s, &s->pools[i], want);
	}
}

static void run_auto_shutdown(const struct sup *s, const struct sup_pool *p)
{
	const char *exe = p->conf->auto_shutdown_exe;
	_cleanup_free_ char *command = NULL;
	posix_spawnattr_t attr;
	pid_t pid;
	int r;

	if (!exe)
		return;
	if (asprintf(&command, "exec %s \"$0\"", exe) < 0)
		return;
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setsigmask(&attr, &s->signals_before);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn(&pid, "/bin/sh", NULL, &attr,
			(char *[]){ (char *)"sh", (char *)"-c", command, (char *)p->conf->name, NULL }, environ);
	(void)posix_spawnattr_destroy(&attr);
	if (r)
		weir_warn("auto_shutdown_exe '%s' of pool '%s' cannot be run (%s)", exe, p->conf->name, strerror(r));
	else
		weir_info("auto_shutdown_exe '%s' of pool '%s' runs as process %d", exe, p->conf->name, pid);
}

/* Rapid-fail protection: too many crashes in too short a time. */
static void count_crashes(struct sup *s, struct sup_pool *p)
{
	uint64_t crashes = sup_pool_sum(s, p, crashes), now = weir_now_ms();
	unsigned i, recent = 0;

	for (; p->crashes_seen < crashes; p->crashes_seen++)
		p->crash_ms[p->crash_next++ % SUP_CRASHES_MAX] = now;
	p->crashes_seen = crashes;
	for (i = 0; i < SUP_CRASHES_MAX; i++)
		recent += p->crash_ms[i] && now - p->crash_ms[i] < p->conf->rapid_fail_ms;
	if (!p->conf->rapid_fail || p->want != SUP_WANT_RUN || recent < p->conf->rapid_fail_crashes)
		return;
	weir_warn("pool '%s' is offline: its workers failed %u times within %u s (rapid-fail protection); "
		  "`weir pool start %s` brings it back",
		  p->conf->name, recent, p->conf->rapid_fail_ms / 1000, p->conf->name);
	sup_pool_want(s, p, SUP_WANT_OFFLINE);
	run_auto_shutdown(s, p);
}

void sup_pools_look(struct sup *s)
{
	size_t i;

	for (i = 0; i < s->config->pools_count && !s->is_stopping; i++) {
		struct sup_pool *p = &s->pools[i];

		count_crashes(s, p);
		set_refusal(s, p);
		sup_recycle_step(s, p);
	}
}
