/* SPDX-License-Identifier: GPL-2.0 */
/* Limits of CPU time and memory: cgroups where version 2 can be written, else what the keeper sets on itself. CPU
 * time is also measured here, for cpu_action no_action and kill. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/log.h"

#define PERIOD_US 100000 /* of cpu.max */

/* --- cgroups --- */

static int write_file(const char *dir, const char *name, const char *text)
{
	_cleanup_close_ int fd = -1;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static const char *base_dir(const struct sup *s)
{
	static char path[256];
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;

	path[0] = '\0';
	while (f && !path[0] && (m = getmntent(f)))
		if (!strcmp(m->mnt_type, "cgroup2"))
			snprintf(path, sizeof(path), "%.180s/weir-%.60s", m->mnt_dir, s->config->name);
	if (f)
		endmntent(f);
	return path[0] ? path : NULL;
}

static bool is_wanted(const struct weir_conf_pool *conf)
{
	return conf->memory_limit_kb || (conf->cpu_limit && conf->cpu_action == WEIR_CPU_THROTTLE);
}

static int set_limits(const char *dir, const struct weir_conf_pool *conf)
{
	char text[64];
	int r = 0;

	if (conf->memory_limit_kb) {
		snprintf(text, sizeof(text), "%lluK", (unsigned long long)conf->memory_limit_kb);
		r = write_file(dir, "memory.max", text);
		(void)write_file(dir, "memory.swap.max", "0");
	}
	if (r == 0 && conf->cpu_limit && conf->cpu_action == WEIR_CPU_THROTTLE) {
		snprintf(text, sizeof(text), "%llu %d", (unsigned long long)conf->cpu_limit * PERIOD_US / 100000,
			 PERIOD_US);
		r = write_file(dir, "cpu.max", text);
	}
	return r;
}

const char *sup_cgroup_make(const struct sup *s, const struct weir_conf_pool *conf, uint32_t number)
{
	static char path[320];
	const char *base;
	char up[256], *slash;
	int r;

	if (!is_wanted(conf))
		return NULL;
	base = base_dir(s);
	if (!base) {
		weir_info("pool '%s': no cgroup v2 is mounted; limits are set with setrlimit() and nice instead",
			  conf->name);
		return NULL;
	}
	snprintf(up, sizeof(up), "%s", base);
	slash = strrchr(up, '/');
	*slash = '\0';
	(void)write_file(up, "cgroup.subtree_control", "+cpu +memory");
	(void)mkdir(base, 0755);
	(void)write_file(base, "cgroup.subtree_control", "+cpu +memory");
	snprintf(path, sizeof(path), "%s/slot%u", base, number);
	(void)mkdir(path, 0755);
	r = set_limits(path, conf);
	if (r == 0)
		return path;
	(void)rmdir(path);
	(void)rmdir(base);
	weir_info("pool '%s': cgroup '%s' cannot be limited (%s); limits are set with setrlimit() and nice instead",
		  conf->name, path, strerror(-r));
	return NULL;
}

void sup_cgroup_remove(const struct sup *s)
{
	const char *base = NULL;
	char path[320];
	size_t i;

	for (i = 0; i < s->slots_count; i++) {
		if (!s->slots[i].pool || !is_wanted(s->slots[i].pool))
			continue;
		base = base ? base : base_dir(s);
		if (!base)
			return;
		snprintf(path, sizeof(path), "%s/slot%zu", base, i);
		(void)rmdir(path);
	}
	if (base)
		(void)rmdir(base);
}

/* --- CPU time --- */

static uint64_t cpu_ticks(uint64_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long user = 0, system = 0;
	char path[48], line[1024];
	const char *after;

	snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return 0;
	after = strrchr(line, ')');
	if (!after || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		return 0;
	return user + system;
}

/* Thousandths of a percent of one CPU over the interval that `slot` has used so far. */
static uint64_t usage(struct sup *s, struct sup_slot *slot, bool is_new)
{
	uint64_t pid = weir_metrics_get(&s->metrics[sup_slot_number(s, slot)], worker_pid), now;

	if (!pid)
		return 0;
	now = cpu_ticks(pid);
	if (is_new || slot->cpu_pid != pid) {
		slot->cpu_ticks = is_new ? now : 0;
		slot->cpu_pid = pid;
	}
	if (now < slot->cpu_ticks)
		return 0;
	return (now - slot->cpu_ticks) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK) * 100000 / slot->pool->cpu_reset_ms;
}

static void over_limit(struct sup *s, struct sup_pool *p)
{
	bool is_kill = p->conf->cpu_action == WEIR_CPU_KILL;

	if (!p->is_cpu_said)
		weir_warn("pool '%s' has used its CPU time (cpu_limit) of this interval%s", p->conf->name,
			  is_kill ? ": its workers are ended, its requests refused (AppShutdown) until the next" : "");
	p->is_cpu_said = true;
	if (is_kill)
		sup_pool_want(s, p, SUP_WANT_PAUSED);
}

void sup_cpu_tick(struct sup *s, struct sup_pool *p)
{
	bool is_new = weir_now_ms() - p->cpu_ms >= p->conf->cpu_reset_ms;
	unsigned i;

	if (!p->conf->cpu_limit)
		return;
	if (is_new) {
		p->cpu_ms = weir_now_ms();
		p->is_cpu_said = false;
		if (p->want == SUP_WANT_PAUSED) {
			weir_info("pool '%s' has CPU time again", p->conf->name);
			sup_pool_want(s, p, SUP_WANT_RUN);
		}
	}
	if (p->want != SUP_WANT_RUN || p->conf->cpu_action == WEIR_CPU_THROTTLE)
		return;
	for (i = 0; i < p->conf->slots; i++) {
		if (usage(s, &p->slots[i], is_new) <= p->conf->cpu_limit)
			continue;
		over_limit(s, p);
		return;
	}
}
