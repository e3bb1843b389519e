// SPDX-License-Identifier: GPL-2.0
/* The program of a pool in the configuration, and its mistakes. */
#include "config/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

static char folder[64], file[96];
static const char *handler = "exec";
static struct weir_conf_report report;
static struct weir_config *config;

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/weir_exec_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/weir.conf", folder);
	cr_assert_eq(chmod(folder, 0755), 0);
}

static void remove_folder(void)
{
	weir_conf_report_fini(&report);
	config = weir_config_free(config);
	(void)unlink(file);
	(void)rmdir(folder);
}

TestSuite(exec, .init = make_folder, .fini = remove_folder);

/* A file with one pool that has these lines from line 3 on. */
static int load(const char *lines, const char *control)
{
	const struct weir_conf_options o = { .file = file, .control = control };
	FILE *f = fopen(file, "w");

	cr_assert_not_null(f);
	fprintf(f,
		"listen = { \"127.0.0.1:80\" }\npool p { handler = %s root = \"/\" prefixes = { "
		"\"http://*:80/\" }\n%s\n}\n",
		handler, lines);
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

Test(exec, program_is_read)
{
	const struct weir_conf_exec *e;
	char path[256], expected[256];

	cr_assert_eq(load("exec = { \"/bin/sh\", \"-c\", \"exit 1\" }\nexec_directory = \".\" "
			  "exec_socket = tcp\n"
			  "exec_overlap = 0 exec_ping = \"/health?x\"",
			  "/tmp/x.sock"),
		     0);
	e = &config->pools[0].exec;
	cr_expect_eq(e->command.count, 3);
	cr_expect_str_eq(e->command.items[2], "exit 1");
	cr_expect_str_eq(e->directory, folder);
	cr_expect(e->socket == WEIR_EXEC_TCP && e->overlap_ms == 0);
	cr_expect_str_eq(e->ping, "/health?x");
	weir_conf_exec_path(config, &config->pools[0], 2, path, sizeof(path));
	snprintf(expected, sizeof(expected), "%s", "/tmp/x.sock.exec/p.2");
	cr_expect_str_eq(path, expected);
}

Test(exec, defaults)
{
	cr_assert_eq(load("exec = { \"/bin/sh\" }", NULL), 0);
	cr_expect(config->pools[0].exec.socket == WEIR_EXEC_UNIX && config->pools[0].exec.overlap_ms == 2000);
	cr_expect(!config->pools[0].exec.directory && !config->pools[0].exec.ping);
}

Test(exec, every_mistake_is_found_in_one_go)
{
	cr_assert_eq(load("exec = { \"sh\" }\nexec_directory = nowhere\nexec_socket = "
			  "udp\nexec_ping = health",
			  NULL),
		     -EINVAL);
	cr_expect(has_finding(3, "absolute path"));
	cr_expect(has_finding(4, "'nowhere'"));
	cr_expect(has_finding(5, "unix or tcp"));
	cr_expect(has_finding(6, "no path of a URL"));
	cr_expect_eq(report.errors, 4);
}

Test(exec, program_must_be_there_and_be_one)
{
	cr_assert_eq(load("exec = { \"/nonexistent/x\" }", NULL), -EINVAL);
	cr_expect(has_finding(3, "No such file"));
	weir_conf_report_fini(&report);
	cr_assert_eq(load("exec = { \"/tmp\" }", NULL), -EINVAL);
	cr_expect(has_finding(3, "is no program"));
}

Test(exec, signal_has_a_name)
{
	cr_assert_eq(load("exec = { \"/bin/sh\" }\nexec_stop = SIGKILL", NULL), -EINVAL);
	cr_expect(has_finding(4, "none of the signals"));
	cr_expect(weir_conf_signal_parse("SIGQUIT") == SIGQUIT && weir_conf_signal_parse("") == -EINVAL);
}

Test(exec, ping_cannot_smuggle_a_field)
{
	cr_assert_eq(load("exec = { \"/bin/sh\" }\nexec_ping = \"/a HTTP/1.1\"", NULL), -EINVAL);
	cr_expect(has_finding(4, "no path of a URL"));
}

Test(exec, socket_name_must_fit)
{
	char control[107] = "/tmp/";

	memset(control + 5, 'x', sizeof(control) - 6);
	cr_assert_eq(load("exec = { \"/bin/sh\" }", control), -EINVAL);
	cr_expect(has_finding(3, "too long a name"));
	weir_conf_report_fini(&report);
	cr_assert_eq(load("exec = { \"/bin/sh\" } exec_socket = tcp", control), 0);
}

Test(exec, settings_without_a_program_are_noticed)
{
	cr_assert_eq(load("exec_ping = \"/\"", NULL), -EINVAL);
	cr_expect(has_finding(3, "has no effect"));
	cr_expect(has_finding(2, "has no program"));
}

Test(exec, program_needs_a_handler_and_no_upstreams)
{
	cr_assert_eq(load("exec = { \"/bin/sh\" }\nupstreams = { \"127.0.0.1:1\" }", NULL), -EINVAL);
	cr_expect(has_finding(4, "leave out upstreams"));
	weir_conf_report_fini(&report);
	handler = "static";
	cr_assert_eq(load("exec = { \"/bin/sh\" }", NULL), -EINVAL);
	cr_expect(has_finding(3, "exec needs handler = exec"));
}
