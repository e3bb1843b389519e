// SPDX-License-Identifier: GPL-2.0
/* What a pool says about its FastCGI application, and its mistakes. */
#include "config/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static char folder[64], file[96];
static struct weir_conf_report report;
static struct weir_config *config;

static void make_folder(void)
{
	char script[128];
	FILE *f;

	snprintf(folder, sizeof(folder), "/tmp/weir_fcgi_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chmod(folder, 0755), 0);
	snprintf(file, sizeof(file), "%s/weir.conf", folder);
	snprintf(script, sizeof(script), "%s/front.php", folder);
	f = fopen(script, "w");
	cr_assert_not_null(f);
	fclose(f);
}

static void remove_folder(void)
{
	char command[128];

	weir_conf_report_fini(&report);
	config = weir_config_free(config);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	(void)!system(command);
}

TestSuite(fastcgi, .init = make_folder, .fini = remove_folder);

/* A file with one pool that has these lines from line 3 on. */
static int load(const char *lines)
{
	const struct weir_conf_options o = { .file = file };
	FILE *f = fopen(file, "w");

	cr_assert_not_null(f);
	fprintf(f, "listen = { \"127.0.0.1:80\" }\npool p { handler = fastcgi prefixes = { \"http://*:80/\" }\n%s\n}\n",
		lines);
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

Test(fastcgi, defaults_are_those_of_php)
{
	const struct weir_conf_pool *p;

	cr_assert_eq(load("root = \".\" upstreams = { \"unix:/run/php.sock\" }"), 0);
	p = &config->pools[0];
	cr_expect_str_eq(p->fastcgi.extension, ".php");
	cr_expect_str_eq(p->fastcgi.index, "index.php");
	cr_expect(!p->fastcgi.front && !p->fastcgi.takes_all && !p->fastcgi.keep_conn);
	cr_expect_eq(p->proxy.servers_count, 1);
}

Test(fastcgi, everything_is_read)
{
	const struct weir_conf_fastcgi *f;

	cr_assert_eq(load("root = \".\" exec = { \"/bin/sh\" } fastcgi_front = \"/front.php\" fastcgi_keep_conn = on\n"
			  "fastcgi_params = { \"A=1\", \"B=c=d\" } fastcgi_extension = \".py\""),
		     0);
	f = &config->pools[0].fastcgi;
	cr_expect_str_eq(f->front, "/front.php");
	cr_expect(f->keep_conn && f->params.count == 2);
	cr_expect_str_eq(f->params.items[1], "B=c=d");
}

Test(fastcgi, every_mistake_is_found_in_one_go)
{
	cr_assert_eq(load("root = \".\"\nfastcgi_front = \"/none.php\"\nfastcgi_extension = php\n"
			  "fastcgi_index = \"a/b.php\"\nfastcgi_params = { \"=x\", \"y\" }"),
		     -EINVAL);
	cr_expect(has_finding(2, "no FastCGI application"));
	cr_expect(has_finding(4, "there is no file"));
	cr_expect(has_finding(5, "no ending"));
	cr_expect(has_finding(6, "no file's name"));
	cr_expect(has_finding(7, "'=x' is no NAME=VALUE"));
	cr_expect(has_finding(7, "'y' is no NAME=VALUE"));
	cr_expect_eq(report.errors, 6);
}

Test(fastcgi, root_is_needed_unless_the_application_takes_all)
{
	cr_assert_eq(load("upstreams = { \"127.0.0.1:9000\" }"), -EINVAL);
	cr_expect(has_finding(2, "has no root"));
	weir_conf_report_fini(&report);
	cr_assert_eq(load("upstreams = { \"127.0.0.1:9000\" } fastcgi_all = on"), 0);
}

Test(fastcgi, program_or_upstreams)
{
	cr_assert_eq(load("root = \".\" upstreams = { \"127.0.0.1:9000\" }\nexec = { \"/bin/sh\" }"), -EINVAL);
	cr_expect(has_finding(3, "leave out upstreams, or exec"));
}

Test(fastcgi, what_would_not_hold_for_scripts_is_refused)
{
	cr_assert_eq(load("root = \".\" upstreams = { \"127.0.0.1:9000\" } max_age = 60\naccess = { \"deny ::/0\" }\n"
			  "try_files = { \"$uri\" }\nhealth_path = \"/\""),
		     -EINVAL);
	cr_expect(has_finding(4, "handler = static"));
	cr_expect(has_finding(5, "handler = static"));
	cr_expect(has_finding(6, "speaks HTTP"));
	cr_expect_eq(report.errors, 3);
}
