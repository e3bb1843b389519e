// SPDX-License-Identifier: GPL-2.0
/* Parameters of a pool's life: sizes, percentages, choices and lists, with their grammar and their mistakes. */
#include "config/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static char folder[64], file[96], root[96];
static struct weir_conf_report report;
static struct weir_config *config;

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/weir_life_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/weir.conf", folder);
	snprintf(root, sizeof(root), "%s/site", folder);
	cr_assert_eq(mkdir(root, 0755), 0);
	cr_assert_eq(chmod(folder, 0755), 0);
}

static void remove_folder(void)
{
	weir_conf_report_fini(&report);
	config = weir_config_free(config);
	(void)unlink(file);
	(void)rmdir(root);
	(void)rmdir(folder);
}

TestSuite(life, .init = make_folder, .fini = remove_folder);

/* A file with one pool that has these lines from line 3 on. */
static int load(const char *lines)
{
	const struct weir_conf_options o = { .file = file };
	FILE *f = fopen(file, "w");

	cr_assert_not_null(f);
	fprintf(f, "listen = { \"127.0.0.1:80\" }\npool p { root = site prefixes = { \"http://*:80/\" }\n%s\n}\n", lines);
	fclose(f);
	return weir_config_load(&o, &report, &config);
}

static bool has_finding(int line, const char *part)
{
	size_t i;

	for (i = 0; i < report.count; i++)
		if (report.rows[i].line == line && strstr(report.rows[i].text, part))
			return true;
	return false;
}

Test(life, defaults_are_those_of_iis)
{
	const struct weir_conf_pool *p;

	cr_assert_eq(load(""), 0);
	p = &config->pools[0];
	cr_expect_eq(p->queue_length, 1000);
	cr_expect_eq(p->queue_timeout_ms, 120000);
	cr_expect_eq(p->verbosity, WEIR_VERBOSITY_LIMITED);
	cr_expect_eq(p->start_mode, WEIR_START_ALWAYS);
	cr_expect_eq(p->idle_timeout_ms, 20 * 60000);
	cr_expect(p->startup_ms == 90000 && p->shutdown_ms == 90000);
	cr_expect(p->ping_enabled && p->ping_interval_ms == 30000 && p->ping_response_ms == 90000);
	cr_expect_eq(p->restart_ms, 1740u * 60000);
	cr_expect(!p->restart_requests && !p->restart_kb && !p->restart_schedule.count && !p->restart_files.count);
	cr_expect(p->rapid_fail && p->rapid_fail_crashes == 5 && p->rapid_fail_ms == 300000);
	cr_expect(!p->orphan && !p->cpu_limit && p->cpu_reset_ms == 300000 && !p->memory_limit_kb);
}

Test(life, every_kind_of_value_is_read)
{
	const struct weir_conf_pool *p;

	cr_assert_eq(load("http_503_verbosity = full start_mode = on_demand idle_timeout = 300ms\n"
			  "periodic_restart_memory = 512M memory_limit = 2G cpu_limit = \"12.5%\" cpu_action = throttle\n"
			  "periodic_restart_schedule = { \"03:30\", \"23:59\" }\n"
			  "periodic_restart_files = { \"/etc/hosts\" }\n"
			  "environment = { \"A=1\", \"B_2=x=y\" } smp_affinity = \"0-2,5\" nofile = 4096\n"
			  "auto_shutdown_exe = \"/bin/true -x\""),
		     0);
	p = &config->pools[0];
	cr_expect_eq(p->verbosity, WEIR_VERBOSITY_FULL);
	cr_expect(p->start_mode == WEIR_START_ON_DEMAND && p->idle_timeout_ms == 300);
	cr_expect(p->restart_kb == 512 * 1024 && p->memory_limit_kb == 2 * 1024 * 1024);
	cr_expect(p->cpu_limit == 12500 && p->cpu_action == WEIR_CPU_THROTTLE);
	cr_assert_eq(p->restart_schedule.count, 2);
	cr_expect_str_eq(p->restart_schedule.items[1], "23:59");
	cr_expect_str_eq(p->restart_files.items[0], "/etc/hosts");
	cr_assert_eq(p->environment.count, 2);
	cr_expect_str_eq(p->environment.items[1], "B_2=x=y");
	cr_expect_str_eq(p->smp_affinity, "0-2,5");
}

Test(life, every_mistake_has_its_line)
{
	cr_assert_eq(load("http_503_verbosity = loud\n"
			  "periodic_restart_memory = 5T\n"
			  "cpu_limit = \"120\"\n"
			  "cpu_limit = \"x%\"\n"
			  "queue_length = 9\n"
			  "periodic_restart_schedule = { \"24:00\" }\n"
			  "environment = { \"NO VALUE\" }\n"
			  "smp_affinity = \"3-1\"\n"
			  "auto_shutdown_exe = \"true\"\n"
			  "startup_time_limit = 1ms\n"),
		     -EINVAL);
	cr_expect(has_finding(3, "basic, limited or full"));
	cr_expect(has_finding(4, "a size from 0K"));
	cr_expect(has_finding(6, "a percentage"));
	cr_expect(has_finding(7, "from 10 to 65535"));
	cr_expect(has_finding(8, "no time of day"));
	cr_expect(has_finding(9, "no assignment"));
	cr_expect(has_finding(10, "no list of CPUs"));
	cr_expect(has_finding(11, "absolute path"));
	cr_expect(has_finding(12, "a time from 50ms"));
}

Test(life, what_is_printed_can_be_read_again)
{
	char text[64];

	cr_assert_eq(load("cpu_limit = \"0.5%\" memory_limit = 1500 periodic_restart_memory = 3M"), 0);
	weir_param_format(&weir_params[WEIR_PARAM_POOL_cpu_limit], &config->pools[0], text, sizeof(text));
	cr_expect_str_eq(text, "0.500%");
	weir_param_format(&weir_params[WEIR_PARAM_POOL_memory_limit], &config->pools[0], text, sizeof(text));
	cr_expect_str_eq(text, "1500K");
	weir_param_format(&weir_params[WEIR_PARAM_POOL_periodic_restart_memory], &config->pools[0], text, sizeof(text));
	cr_expect_str_eq(text, "3M");
}

Test(life, times_of_day_are_minutes)
{
	cr_expect_eq(weir_conf_minute_parse("00:00"), 0);
	cr_expect_eq(weir_conf_minute_parse("3:05"), 185);
	cr_expect_eq(weir_conf_minute_parse("23:59"), 1439);
	cr_expect_eq(weir_conf_minute_parse("23:60"), -EINVAL);
	cr_expect_eq(weir_conf_minute_parse("-1:00"), -EINVAL);
	cr_expect_eq(weir_conf_minute_parse("12:00x"), -EINVAL);
	cr_expect_eq(weir_conf_minute_parse(""), -EINVAL);
}

Test(life, cpu_lists_name_cpus)
{
	bool cpus[8];

	cr_expect_eq(weir_conf_cpus_parse("0-2,5,1", cpus, 8), 4);
	cr_expect(cpus[0] && cpus[1] && cpus[2] && !cpus[3] && cpus[5]);
	cr_expect_eq(weir_conf_cpus_parse("8", cpus, 8), -EINVAL);
	cr_expect_eq(weir_conf_cpus_parse("1,", cpus, 8), -EINVAL);
	cr_expect_eq(weir_conf_cpus_parse("2-1", cpus, 8), -EINVAL);
	cr_expect_eq(weir_conf_cpus_parse("", cpus, 8), -EINVAL);
}
