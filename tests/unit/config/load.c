// SPDX-License-Identifier: GPL-2.0
/* From a file and options to a configuration, or to every mistake with its line. */
#define SUITE config
#include "loading.h"

Test(config, file_with_everything_is_read)
{
	const struct weir_conf_pool *p;

	cr_assert_eq(load_text("# a comment, then /* another */\n"
			       "listen = { \"127.0.0.1:80\", # one\n"
			       "           \"[::1]:80\" }\n"
			       "attach = generic\n"
			       "interfaces = { \"lo\" }\n"
			       "flows = 4096\n"
			       "control = \"/tmp/my.site.sock\"\n"
			       "pool a {\n"
			       "\troot = 'site' // relative to the file\n"
			       "\tprefixes = { \"http://*:80/\",\n"
			       "\t             \"http://A.example:80/x/\" }\n"
			       "\tindex = \"index.htm default.htm\"\n"
			       "\tuser = nobody\n"
			       "\tslots = 2 threads = 8 kernel_cache = off\n"
			       "\tentries_small = 10 entries_medium = 20 entries_large = 30\n"
			       "\tkeepalive = 2min header_timeout = 1500ms\n"
			       "}\n" POOL("b", "")),
		     0);
	cr_expect_eq(report.count, 0);
	cr_expect_eq(config->listens_count, 2);
	cr_expect_str_eq(config->listens[1].text, "[::1]:80");
	cr_expect_eq(config->listens[1].id, 1);
	cr_expect_eq(config->attach, WEIR_ATTACH_GENERIC);
	cr_expect_str_eq(config->interfaces[0], "lo");
	cr_expect_eq(config->flows, 4096);
	cr_expect_str_eq(config->name, "my_site");
	cr_assert_eq(config->pools_count, 2);
	p = &config->pools[0];
	cr_expect_str_eq(p->name, "a");
	cr_expect_str_eq(p->root, root);
	cr_expect_str_eq(p->index, "index.htm default.htm");
	cr_expect_eq(p->uid, 65534);
	cr_expect_eq(p->line, 8);
	cr_expect(p->slots == 2 && p->threads == 8 && !p->kernel_cache);
	cr_expect(p->entries[0] == 10 && p->entries[1] == 20 && p->entries[2] == 30);
	cr_expect(p->keepalive_ms == 120000 && p->header_ms == 1500);
	cr_expect_eq(p->lines[WEIR_PARAM_POOL_threads], 14);
	cr_expect(config->pools[1].id == 2 && config->pools[1].first_slot == 2);
	cr_assert_eq(config->prefixes_count, 3);
	cr_expect_eq(config->prefixes[1].line, 11);
	cr_expect_str_eq(config->prefixes[1].host, "a.example");
	cr_expect_eq(config->prefixes[2].pool, 2);
	done();
}

Test(config, defaults_are_those_of_the_manual)
{
	const struct weir_conf_pool *p;

	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\" }\n" POOL("a", "")), 0);
	p = &config->pools[0];
	cr_expect_eq(config->attach, WEIR_ATTACH_AUTO);
	cr_expect_eq(config->flows, 262144);
	cr_expect_str_eq(config->control, "/run/weir.sock");
	cr_expect_str_eq(config->name, "weir");
	cr_expect_str_eq(p->index, "index.html");
	cr_expect(p->slots == 1 && p->threads == 4 && p->kernel_cache);
	cr_expect(p->entries[0] == 4096 && p->entries[1] == 1024 && p->entries[2] == 256);
	cr_expect(p->keepalive_ms == 120000 && p->header_ms == 120000);
	cr_expect_not_null(p->user);
	cr_expect_neq(p->uid, 0);
	cr_expect_eq(p->lines[WEIR_PARAM_POOL_threads], WEIR_LINE_DEFAULT);
	done();
}

Test(config, every_mistake_is_found_in_one_go_with_its_line)
{
	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\", \"somewhere:80\",\n"
			       "  \"[::1]\", \"127.0.0.1:80\" }\n"
			       "flows = 12\n"
			       "atach = native\n"
			       "root = \"/x\"\n"
			       "interfaces = { \"nosuch0\" }\n"
			       "attach = sideways\n"
			       "pool a {\n"
			       "  root = \"nowhere\"\n"
			       "  threads = many\n"
			       "  keepalive = 5d\n"
			       "  prefixes = { \"http://*:80/x\", \"http://*:80/\", \"https://h:1/\",\n"
			       "    \"http://*:9/\" }\n"
			       "  user = nosuchuser\n"
			       "  kernel_cache = perhaps\n"
			       "  listen = \"x\"\n"
			       "  threads = 3\n"
			       "}\n"
			       "pool a { root = site prefixes = { \"http://*:80/\" } }\n"
			       "pool \"b b\" { user = root root = weir.conf }\n"),
		     -EINVAL);
	expect_finding(1, "'somewhere:80': not an IP address");
	expect_finding(2, "'[::1]': it must end in a port");
	expect_finding(2, "'127.0.0.1:80': 127.0.0.1:80 is in the list already");
	expect_finding(3, "'flows' is '12' but must be a whole number from 1024");
	expect_finding(4, "unknown name 'atach', did you mean 'attach'?");
	expect_finding(5, "'root' belongs inside of pool");
	expect_finding(6, "no interface 'nosuch0'");
	expect_finding(7, "'attach' is 'sideways' but must be auto");
	expect_finding(9, "nowhere': No such file");
	expect_finding(10, "'threads' is 'many'");
	expect_finding(11, "'keepalive' is '5d' but must be a time");
	expect_finding(12, "'http://*:80/x': the path must end in '/'");
	expect_finding(12, "'https://h:1/': https needs TLS");
	expect_finding(13, "nothing listens on port 9");
	expect_finding(14, "no user 'nosuchuser'");
	expect_finding(15, "'kernel_cache' is 'perhaps' but must be on or off");
	expect_finding(16, "'listen' belongs outside");
	expect_finding(17, "'threads' is given twice, first in line 10");
	expect_finding(19, "pool 'a' exists already, in line 8");
	expect_finding(19, "'http://*:80/' is the same as 'http://*:80/' in line 12");
	expect_finding(20, "a pool's name");
	expect_finding(20, "must not run as root");
	expect_finding(20, "is no directory");
	cr_expect_null(config);
	done();
}

Test(config, findings_come_in_the_order_of_the_file)
{
	size_t i;

	cr_assert_eq(load_text("flows = 1\nlisten = { \"x\" }\n"
			       "pool a { slots = 0 root = site\n prefixes = { \"y\" } }\n"),
		     -EINVAL);
	for (i = 1; i < report.count; i++)
		cr_expect_leq(report.rows[i - 1].line, report.rows[i].line);
	done();
}

Test(config, finding_is_printed_with_file_and_line)
{
	char text[200], expected[200];

	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\" }\nflows = x\n" POOL("a", "")), -EINVAL);
	cr_assert_eq(report.count, 1);
	weir_conf_diag_format(&report.rows[0], text, sizeof(text));
	snprintf(expected, sizeof(expected), "%s:2: 'flows' is 'x' but must be a whole number from 1024 to 16777216",
		 file);
	cr_expect_str_eq(text, expected);
	done();
}

Test(config, syntax_error_has_its_line_and_no_follow_up)
{
	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\"\npool a {\n"), -EINVAL);
	cr_expect_eq(report.count, 1);
	expect_finding(2, "unexpected token 'pool'");
	done();
	cr_assert_eq(load_text("listen = { \"127.0.0.1:80 }\n"), -EINVAL);
	cr_expect_eq(report.count, 1);
	cr_expect(strstr(report.rows[0].text, "left open"));
	done();
	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\" }\n" POOL("a", "")), 0, "the parser starts afresh");
	done();
}

Test(config, unknown_name_hides_no_other_mistake)
{
	cr_assert_eq(load_text("one = 1\ntwo = 2\nflows = 3\npool a {\n three = 3\n threads = 0\n}\n"), -EINVAL);
	expect_finding(1, "unknown name 'one'");
	expect_finding(2, "unknown name 'two'");
	expect_finding(3, "'flows' is '3'");
	expect_finding(5, "unknown name 'three'");
	expect_finding(6, "'threads' is '0'");
	done();
}

Test(config, empty_file_says_what_is_missing)
{
	cr_assert_eq(load_text(""), -EINVAL);
	expect_finding(0, "nothing to listen on");
	expect_finding(0, "no pool");
	done();
}

Test(config, missing_file_is_named)
{
	const struct weir_conf_options o = { .file = "/nowhere/weir.conf" };

	cr_assert_eq(load(&o), -ENOENT);
	cr_assert_eq(report.errors, 1);
	cr_expect_str_eq(report.rows[0].where, "/nowhere/weir.conf");
	done();
}

Test(config, pool_without_prefix_is_a_warning)
{
	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\" }\npool a { root = site }\n"), 0);
	expect_finding(2, "no request will reach it");
	cr_expect_eq(report.errors, 0);
	done();
}

Test(config, closed_root_is_a_warning)
{
	(void)chmod(root, 0700);
	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\" }\n" POOL("a", "")), 0);
	expect_finding(2, "is closed to");
	done();
}

Test(config, too_many_slots_are_refused)
{
	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\" }\n" POOL("a", "slots = 64") POOL("b", "slots = 64")
				       POOL("c", "slots = 64") POOL("d", "slots = 64") POOL("e", "slots = 64")),
		     -EINVAL);
	expect_finding(6, "more than 256 slots");
	done();
}

Test(config, threads_stand_for_both_of_their_limits)
{
	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\" }\n"
			       "pool a { handler = debug prefixes = { \"http://*:80/a/\" } threads = 7 }\n"
			       "pool b { handler = debug prefixes = { \"http://*:80/b/\" } threads = 7 threads_max = 9 }\n"
			       "pool c { handler = debug prefixes = { \"http://*:80/c/\" } threads_min = 100 }\n"
			       "pool d { handler = debug prefixes = { \"http://*:80/d/\" } }\n"),
		     0);
	cr_assert_eq(config->pools[0].threads_min, 7);
	cr_assert_eq(config->pools[0].threads_max, 7);
	cr_assert_eq(config->pools[1].threads_min, 7);
	cr_assert_eq(config->pools[1].threads_max, 9);
	cr_assert_eq(config->pools[2].threads_max, 100);
	cr_assert_eq(config->pools[3].threads_min, 4);
	cr_assert_eq(config->pools[3].threads_max, 64);
	done();
	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\" }\n"
			       "pool a {\n handler = debug\n prefixes = { \"http://*:80/a/\" }\n"
			       "threads_min = 9\n threads_max = 3\n}\n"),
		     -EINVAL);
	cr_assert(has_finding(6, "threads_max is 3, less than threads_min, 9"));
	done();
}

Test(config, root_option_makes_a_pool_for_every_port)
{
	static const char *const listens[] = { "127.0.0.1:8080", "[::1]:8080", "127.0.0.1:9090" };
	const struct weir_conf_options o = { .root = root, .listens = listens, .listens_count = 3, .threads = "7",
					     .control = "/tmp/x", .attach = "none", .no_kernel_cache = true };

	cr_assert_eq(load(&o), 0);
	cr_assert_eq(config->pools_count, 1);
	cr_expect_str_eq(config->pools[0].name, "default");
	cr_expect_eq(config->pools[0].threads, 7);
	cr_expect_eq(config->pools[0].lines[WEIR_PARAM_POOL_threads], WEIR_LINE_OPTION);
	cr_expect_not(config->pools[0].kernel_cache);
	cr_expect_eq(config->attach, WEIR_ATTACH_NONE);
	cr_expect_str_eq(config->name, "x");
	cr_assert_eq(config->prefixes_count, 2);
	cr_expect_str_eq(config->prefixes[0].text, "http://*:8080/");
	cr_expect_str_eq(config->prefixes[1].text, "http://*:9090/");
	done();
}

Test(config, any_address_is_one_endpoint_for_each_family)
{
	static const char *const listens[] = { ":8080" };
	const struct weir_conf_options o = { .root = root, .listens = listens, .listens_count = 1 };

	cr_assert_eq(load(&o), 0);
	cr_assert_eq(config->listens_count, 2);
	cr_expect(config->listens[0].is_any && !config->listens[0].is_v6);
	cr_expect(config->listens[1].is_any && config->listens[1].is_v6);
	cr_expect_eq(config->prefixes_count, 1);
	done();
}

Test(config, option_wins_over_the_file)
{
	static const char *const listens[] = { "127.0.0.1:81" };
	struct weir_conf_options o = { .file = file, .listens = listens, .listens_count = 1, .threads = "9" };

	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\" }\n" POOL("a", "threads = 2 ") POOL("b", "")), 0);
	done();
	cr_assert_eq(load(&o), 0);
	cr_expect_eq(config->listens_count, 1);
	cr_expect_eq(config->listens[0].port, 81);
	cr_expect_eq(config->pools[0].threads, 9);
	cr_expect_eq(config->pools[1].threads, 9);
	done();
}

Test(config, bad_option_is_named)
{
	static const char *const listens[] = { "8080x" };
	const struct weir_conf_options o = { .root = "/nowhere", .listens = listens, .listens_count = 1,
					     .threads = "0" };
	size_t i, found = 0;

	cr_assert_eq(load(&o), -EINVAL);
	for (i = 0; i < report.count; i++)
		found += !strcmp(report.rows[i].where, "--listen") || !strcmp(report.rows[i].where, "--threads") ||
			 !strcmp(report.rows[i].where, "--root");
	cr_expect_eq(found, 3);
	done();
}

Test(config, root_and_file_exclude_each_other)
{
	const struct weir_conf_options o = { .root = root, .file = file };

	cr_assert_eq(load(&o), -EINVAL);
	done();
}

Test(config, reserved_prefix_has_no_pool)
{
	cr_assert_eq(
	    load_text("listen = { \"127.0.0.1:80\" }\nreserve = { \"http://+:80/app/\" }\n" POOL(
		"one", "")),
	    0);
	cr_assert_eq(config->prefixes_count, 2);
	cr_expect_eq(config->prefixes[0].pool, 0);
	cr_expect_eq(config->prefixes[1].pool, 1);
	done();
	cr_expect_eq(
	    load_text("listen = { \"127.0.0.1:80\" }\nreserve = { \"http://*:80/one/\" }\n" POOL(
		"one", "")),
	    -EINVAL);
	expect_finding(3, "in line 2");
	done();
}

Test(config, unknown_sections_and_lists_do_not_hide_other_mistakes)
{
	cr_expect_eq(load_text("listen = { \"127.0.0.1:80\" }\n"
			       "pol a {\n  rot = x\n}\n"
			       "site {\n  threads = many\n}\n"
			       "flowz = { \"a\",\n \"b\" }\n"
			       "pool b {\n  prefixs = { \"a\",\n \"b\" }\n  handler = x\n}\nattach = x\n"),
		     -EINVAL);
	expect_finding(2, "did you mean pool NAME");
	expect_finding(3, "did you mean 'root'?");
	expect_finding(5, "unknown section 'site'");
	expect_finding(6, "'threads' is 'many'");
	expect_finding(8, "did you mean 'flows'?");
	expect_finding(11, "did you mean 'prefixes'?");
	expect_finding(13, "must be static");
	expect_finding(15, "must be auto");
	done();
}

Test(config, brace_that_is_missing_is_guessed)
{
	cr_expect_eq(load_text("pool a {\n  root = site\npool b {\n  root = site\n}\n"), -EINVAL);
	expect_finding(3, "closing brace");
	done();
}

Test(config, each_unit_of_time_and_size_is_understood)
{
	static const struct {
		const char *time, *size;
		unsigned ms, kb;
	} cases[] = {
		{ "50ms", "1", 50, 1 },	       { "1s", "1K", 1000, 1 },	    { "2", "2k", 2000, 2 },
		{ "3min", "3M", 180000, 3072 }, { "4h", "1G", 14400000, 1 << 20 }, { "1d", "0", 86400000, 0 },
	};
	char text[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text),
			 "listen = { \"127.0.0.1:80\" }\npool a { root = site prefixes = { \"http://*:80/\" }\n"
			 "queue_timeout = %s memory_limit = %s }\n",
			 cases[i].time, cases[i].size);
		cr_assert_eq(load_text(text), 0, "%s", text);
		cr_expect_eq(config->pools[0].queue_timeout_ms, cases[i].ms, "%s", cases[i].time);
		cr_expect_eq(config->pools[0].memory_limit_kb, cases[i].kb, "%s", cases[i].size);
		done();
	}
}

Test(config, bad_units_are_refused)
{
	static const char *const bad[] = {
		"queue_timeout = 3m", "queue_timeout = 2d", "queue_timeout = -1s", "queue_timeout = 99999999999999999999s",
		"memory_limit = 1T",  "memory_limit = 1KB", "memory_limit = 5000G", "memory_limit = K",
	};
	char text[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text),
			 "listen = { \"127.0.0.1:80\" }\npool a { root = site prefixes = { \"http://*:80/\" }\n%s }\n",
			 bad[i]);
		cr_expect_eq(load_text(text), -EINVAL, "%s", bad[i]);
		expect_finding(3, "must be a ");
		done();
	}
}
