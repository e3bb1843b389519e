/* SPDX-License-Identifier: GPL-2.0 */
/* When workers are recycled: by age, number of requests, memory, time of day, a file's change, or order. Each
 * slot's keeper does it, without a gap; here the slots of a pool are sent one after the other. Also: workers that
 * rest. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

void sup_recycle(struct sup_pool *p, enum wrk_reason reason)
{
	unsigned i;

	for (i = 0; i < p->conf->slots; i++) {
		if (!p->slots[i].wants_recycle)
			p->slots[i].reason = reason;
		p->slots[i].wants_recycle = true;
	}
}

bool sup_recycle_is_under_way(const struct sup_pool *p)
{
	unsigned i;

	for (i = 0; i < p->conf->slots; i++)
		if (p->slots[i].wants_recycle || p->slots[i].recycle_ms)
			return true;
	return false;
}

static uint64_t ends(const struct sup *s, const struct sup_slot *slot)
{
	const struct weir_metrics_slot *m = &s->metrics[sup_slot_number(s, slot)];

	return weir_metrics_get(m, recycles) + weir_metrics_get(m, recycle_failures) + weir_metrics_get(m, crashes);
}

/* Over when the keeper says so, or when it had every chance to. */
static bool is_over(const struct sup *s, const struct sup_slot *slot)
{
	uint64_t limit = (uint64_t)slot->pool->startup_ms + slot->pool->shutdown_ms + 1000;

	if (!slot->keeper || weir_now_ms() - slot->recycle_ms > limit)
		return true;
	return ends(s, slot) != slot->recycle_ends && sup_slot_state(s, slot) == WEIR_SLOT_STARTED;
}

void sup_recycle_step(struct sup *s, struct sup_pool *p)
{
	unsigned i;

	for (i = 0; i < p->conf->slots; i++)
		if (p->slots[i].recycle_ms && is_over(s, &p->slots[i]))
			p->slots[i].recycle_ms = 0;
	for (i = 0; i < p->conf->slots; i++)
		if (p->slots[i].recycle_ms)
			return;
	for (i = 0; i < p->conf->slots; i++) {
		struct sup_slot *slot = &p->slots[i];

		if (!slot->wants_recycle)
			continue;
		slot->wants_recycle = false;
		/* without a worker there is nothing to replace: the next one is new anyway */
		if (sup_slot_state(s, slot) != WEIR_SLOT_STARTED)
			continue;
		slot->recycle_ends = ends(s, slot);
		slot->recycle_ms = weir_now_ms();
		if (sup_slot_order(slot, WRK_ORDER_RECYCLE, slot->reason) == 0)
			return;
		slot->recycle_ms = 0;
	}
}

/* --- triggers --- */

uint64_t sup_resident_kb(uint64_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long kb, sum = 0;
	char path[48], line[128];

	/* without shared memory: the pool's cache is no worker's own, and outlives it */
	snprintf(path, sizeof(path), "/proc/%llu/status", (unsigned long long)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %llu", &kb) == 1 || sscanf(line, "RssFile: %llu", &kb) == 1)
			sum += kb;
	return sum;
}

static void look_at_slot(struct sup *s, const struct weir_conf_pool *conf, struct sup_slot *slot)
{
	const struct weir_metrics_slot *m = &s->metrics[sup_slot_number(s, slot)];
	uint64_t born = weir_metrics_get(m, born_ms), now = weir_now_ms(), pid = weir_metrics_get(m, worker_pid);
	uint64_t program = weir_metrics_get(m, program_pid);
	uint64_t requests = weir_metrics_get(m, requests) - weir_metrics_get(m, requests_at_start), used;

	if (slot->wants_recycle || slot->recycle_ms || sup_slot_state(s, slot) != WEIR_SLOT_STARTED)
		return;
	used = MAX(born, weir_metrics_get(m, last_request_ms));
	slot->wants_recycle = true;
	if (conf->restart_ms && now - born >= conf->restart_ms)
		slot->reason = WRK_REASON_TIME;
	else if (conf->restart_requests && requests >= conf->restart_requests)
		slot->reason = WRK_REASON_REQUESTS;
	else if (conf->restart_kb && sup_resident_kb(pid) + sup_resident_kb(program) >= conf->restart_kb)
		slot->reason = WRK_REASON_MEMORY;
	else
		slot->wants_recycle = false;
	if (conf->start_mode == WEIR_START_ON_DEMAND && conf->idle_timeout_ms && now > used &&
	    now - used >= conf->idle_timeout_ms && !weir_metrics_get(m, threads_busy)) {
		slot->wants_recycle = false;
		(void)sup_slot_order(slot, WRK_ORDER_REST, WRK_REASON_IDLE);
	}
}

static bool is_scheduled(struct sup_pool *p)
{
	time_t now = time(NULL);
	int before = p->minute;
	struct tm tm;
	size_t i;

	if (!p->conf->restart_schedule.count || !localtime_r(&now, &tm))
		return false;
	p->minute = tm.tm_hour * 60 + tm.tm_min;
	if (before < 0 || before == p->minute)
		return false;
	for (i = 0; i < p->conf->restart_schedule.count; i++)
		if (weir_conf_minute_parse(p->conf->restart_schedule.items[i]) == p->minute)
			return true;
	return false;
}

int sup_recycle_watch(struct sup_pool *p)
{
	const uint32_t events = IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE | IN_CREATE | IN_DELETE | IN_MOVE_SELF |
				IN_DELETE_SELF;
	const struct weir_conf_words *files = &p->conf->restart_files;
	size_t i;

	if (!files->count)
		return 0;
	p->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (p->watch_fd < 0)
		return weir_err(-errno, "cannot watch the files of pool '%s'", p->conf->name);
	for (i = 0; i < files->count; i++)
		if (inotify_add_watch(p->watch_fd, files->items[i], events) < 0)
			weir_warn("cannot watch '%s' for pool '%s' (%s): its change recycles nothing",
				  files->items[i], p->conf->name, strerror(errno));
	return 0;
}

/* A file that was replaced by another has lost its watch: all of them are set again. */
static bool has_file_changed(struct sup_pool *p)
{
	char events[4096] __attribute__((aligned(8)));
	bool is_changed = false;

	if (p->watch_fd < 0)
		return false;
	while (read(p->watch_fd, events, sizeof(events)) > 0)
		is_changed = true;
	if (!is_changed)
		return false;
	close(p->watch_fd);
	p->watch_fd = -1;
	(void)sup_recycle_watch(p);
	return true;
}

void sup_recycle_tick(struct sup *s, struct sup_pool *p)
{
	unsigned i;

	if (is_scheduled(p))
		sup_recycle(p, WRK_REASON_SCHEDULE);
	if (has_file_changed(p))
		sup_recycle(p, WRK_REASON_FILE_CHANGE);
	for (i = 0; i < p->conf->slots; i++)
		look_at_slot(s, p->conf, &p->slots[i]);
}
