// SPDX-License-Identifier: GPL-2.0
/* A pool that passes requests on, as the configuration writes it: what is taken, and what is said about mistakes. */
#include "config/config.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

static char folder[64], file[96];
static struct weir_conf_report report;
static struct weir_config *config;

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/weir_upstream_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/weir.conf", folder);
}

static void remove_folder(void)
{
	weir_conf_report_fini(&report);
	config = weir_config_free(config);
	(void)unlink(file);
	(void)rmdir(folder);
}

TestSuite(upstream, .init = make_folder, .fini = remove_folder);

/* A pool with handler = proxy that has these lines from line 3 on. */
static int load(const char *lines)
{
	const struct weir_conf_options o = { .file = file };
	FILE *f = fopen(file, "w");

	cr_assert_not_null(f);
	fprintf(f, "listen = { \"127.0.0.1:80\" }\npool p { handler = proxy prefixes = { \"http://*:80/\" }\n%s\n}\n",
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

Test(upstream, pool_is_taken)
{
	const struct weir_conf_proxy *x;

	cr_assert_eq(load("upstreams = { \"127.0.0.1:3000 weight=2 max_conns=9\", \"unix:/run/a.sock\" }\n"
			  "balance = hash_header\nhash_header = \"X-User\"\nconnect_timeout = 300ms\n"
			  "upstream_headers = { \"X-Key: 1\", \"Cookie:\" }"),
		     0);
	x = &config->pools[0].proxy;
	cr_assert_eq(x->servers_count, 2);
	cr_assert_str_eq(x->servers[0].text, "127.0.0.1:3000");
	cr_assert(x->servers[0].weight == 2 && x->servers[0].max_conns == 9 && x->servers[1].weight == 1);
	cr_assert_str_eq(x->servers[1].text, "unix:/run/a.sock");
	cr_assert_eq(x->balance, WEIR_BALANCE_HASH_HEADER);
	cr_assert_eq(x->connect_ms, 300);
	cr_assert_eq(x->upstream_ms, 60000);
	cr_assert_eq(x->request_fields.count, 2);
}

Test(upstream, every_mistake_is_found_in_one_go)
{
	cr_assert_neq(load("upstreams = { \"127.0.0.1\", \"http://a:80\" }\n"
			   "balance = hash_header\n"
			   "health_path = \"nowhere\"\n"
			   "upstream_host = \"a b\"\n"
			   "upstream_headers = { \"no field\", \"Host: x\" }\n"
			   "response_headers = { \"Content-Length: 5\" }"),
		      0);
	cr_expect(has_finding(3, "'127.0.0.1'") && has_finding(3, "'http://a:80'"));
	cr_expect(has_finding(4, "needs hash_header"));
	cr_expect(has_finding(5, "must begin with '/'"));
	cr_expect(has_finding(6, "no host name"));
	cr_expect(has_finding(7, "'no field' is no field") && has_finding(7, "see upstream_host"));
	cr_expect(has_finding(8, "cannot be set here"));
}

Test(upstream, pool_without_upstreams_is_refused)
{
	cr_assert_neq(load(""), 0);
	cr_assert(has_finding(2, "has no upstreams"));
}
