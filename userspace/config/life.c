/* SPDX-License-Identifier: GPL-2.0 */
/* Values of a pool that have a grammar of their own: times of day, CPUs, environment, programs. Called by the
 * check of the whole configuration, and by those who use the values. Pure, but for the look at files that are
 * named. */
#include "config/config_priv.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

int weir_conf_minute_parse(const char *text)
{
	unsigned hour, minute;
	int used = 0;

	if (sscanf(text, "%2u:%2u%n", &hour, &minute, &used) != 2 || text[used] || hour > 23 || minute > 59 ||
	    !isdigit((unsigned char)*text))
		return -EINVAL;
	return (int)(hour * 60 + minute);
}

int weir_conf_cpus_parse(const char *text, bool *ret, int max)
{
	int count = 0;

	memset(ret, 0, sizeof(*ret) * (size_t)max);
	for (;;) {
		int first, last, used = 0;

		if (!isdigit((unsigned char)*text) || sscanf(text, "%5d%n", &first, &used) != 1)
			return -EINVAL;
		text += used;
		last = first;
		if (*text == '-') {
			if (!isdigit((unsigned char)text[1]) || sscanf(text, "-%5d%n", &last, &used) != 1)
				return -EINVAL;
			text += used;
		}
		if (last < first || last >= max)
			return -EINVAL;
		for (; first <= last; first++) {
			count += !ret[first];
			ret[first] = true;
		}
		if (!*text)
			return count;
		if (*text++ != ',')
			return -EINVAL;
	}
}

static bool is_assignment(const char *text)
{
	const char *equal = strchr(text, '='), *p;

	if (!equal || equal == text || isdigit((unsigned char)*text))
		return false;
	for (p = text; p < equal; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			return false;
	return true;
}

static void check_exe(const struct weir_config *c, const char *path, int line, const char *name,
		      struct weir_conf_report *report)
{
	_cleanup_free_ char *program = path ? strndup(path, strcspn(path, " ")) : NULL;

	if (!program)
		return;
	if (program[0] != '/')
		weir_conf_error(report, c->file, MAX(line, 0), "%s '%s' must begin with an absolute path", name, path);
	else if (access(program, X_OK) < 0)
		weir_conf_error(report, c->file, MAX(line, 0), "%s '%s': %s", name, program, strerror(errno));
}

void weir_conf_check_life(const struct weir_config *c, const struct weir_conf_pool *p, struct weir_conf_report *report)
{
	const int *lines = p->lines;
	bool cpus[1024];
	size_t i;

	for (i = 0; i < p->restart_schedule.count; i++)
		if (weir_conf_minute_parse(p->restart_schedule.items[i]) < 0)
			weir_conf_error(report, c->file, lines[WEIR_PARAM_POOL_periodic_restart_schedule],
					"'%s' is no time of day, as in 03:30", p->restart_schedule.items[i]);
	for (i = 0; i < p->restart_files.count; i++)
		if (p->restart_files.items[i][0] != '/')
			weir_conf_error(report, c->file, lines[WEIR_PARAM_POOL_periodic_restart_files],
					"'%s' must be an absolute path", p->restart_files.items[i]);
	for (i = 0; i < p->environment.count; i++)
		if (!is_assignment(p->environment.items[i]))
			weir_conf_error(report, c->file, lines[WEIR_PARAM_POOL_environment],
					"'%s' is no assignment, as in NAME=VALUE", p->environment.items[i]);
	if (p->smp_affinity && weir_conf_cpus_parse(p->smp_affinity, cpus, ARRAY_SIZE(cpus)) < 0)
		weir_conf_error(report, c->file, lines[WEIR_PARAM_POOL_smp_affinity],
				"'%s' is no list of CPUs, as in 0-3,8", p->smp_affinity);
	check_exe(c, p->auto_shutdown_exe, lines[WEIR_PARAM_POOL_auto_shutdown_exe], "auto_shutdown_exe", report);
	check_exe(c, p->orphan_action_exe, lines[WEIR_PARAM_POOL_orphan_action_exe], "orphan_action_exe", report);
	if (p->nofile && p->nofile < 64)
		weir_conf_error(report, c->file, lines[WEIR_PARAM_POOL_nofile],
				"'nofile' is %u: a worker needs 64 at least", p->nofile);
}
