// SPDX-License-Identifier: GPL-2.0
/* Several files as one text, and environment variables in it: values arrive, and mistakes have their file and line. */
#define SUITE source
#include "loading.h"

static void write_beside(const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void remove_beside(const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void)unlink(path);
}

static bool has_finding_in(const char *name, int line, const char *part)
{
	size_t i;

	for (i = 0; i < report.count; i++)
		if (report.rows[i].line == line && strstr(report.rows[i].where, name) &&
		    strstr(report.rows[i].text, part))
			return true;
	return false;
}

Test(source, included_files_keep_their_names_and_lines)
{
	const char *in;

	write_beside("a.inc", "# first\n" POOL("one", ""));
	write_beside("b.inc", "\n\n" POOL("two", "threads = 9\n"));
	cr_assert_eq(load_text("listen = { \"127.0.0.1:80\" }\ninclude(\"*.inc\")\nflows = 5000\n"),
		     0);
	cr_assert_eq(config->pools_count, 2);
	cr_expect_eq(weir_conf_line(config, config->pools[0].line, &in), 2);
	cr_expect_not_null(strstr(in, "a.inc"));
	cr_expect_eq(weir_conf_line(config, config->pools[1].lines[WEIR_PARAM_POOL_threads], &in),
		     3);
	cr_expect_not_null(strstr(in, "b.inc"));
	cr_expect_eq(weir_conf_line(config, config->lines[WEIR_PARAM_GLOBAL_flows], &in), 3);
	cr_expect_str_eq(in, file);
	done();
	remove_beside("a.inc");
	remove_beside("b.inc");
}

Test(source, mistakes_in_included_files_are_found_there)
{
	write_beside(
	    "a.inc",
	    "pool one {\n root = site\n theads = 3\n prefixes = { \"http://*:80/\" }\n}\n");
	write_beside(
	    "b.inc",
	    "pool two {\n root = site\n prefixes = { \"http://*:80/\" }\n}\nflows = many\n");
	cr_expect_eq(
	    load_text(
		"listen = { \"127.0.0.1:80\" }\ninclude(\"a.inc\")\ninclude('b.inc')\n"
		"include(\"none.inc\")\ninclude(\"none*.inc\")\ninclude(x)\nattach = sideways\n"),
	    -EINVAL);
	cr_expect(has_finding_in("a.inc", 3, "did you mean 'threads'?"));
	cr_expect(has_finding_in("b.inc", 3, "a.inc:4"));
	cr_expect(has_finding_in("b.inc", 5, "flows"));
	cr_expect(has_finding_in("weir.conf", 4, "none.inc"));
	cr_expect(has_finding_in("weir.conf", 6, "include is written"));
	cr_expect(has_finding_in("weir.conf", 7, "attach"));
	cr_expect_eq(report.errors, 6, "%zu", report.errors);
	done();
	remove_beside("a.inc");
	remove_beside("b.inc");
}

Test(source, file_that_includes_itself_is_refused)
{
	cr_expect_eq(load_text("include(\"weir.conf\")\n"), -EINVAL);
	cr_expect(has_finding_in("weir.conf", 1, "include itself"));
	done();
}

Test(source, comments_and_strings_include_nothing)
{
	cr_expect_eq(load_text("# include(\"x\")\n/* include(\"x\")\n*/ listen = { "
			       "\"127.0.0.1:80\" } // include(\"x\")\n"
			       "pool include { root = site index = \"include(x)\" prefixes = { "
			       "\"http://*:80/\" } }\n"),
		     0);
	cr_expect_str_eq(config->pools[0].name, "include");
	done();
	cr_expect_eq(load_text("include = \"x\"\n"), -EINVAL);
	expect_finding(1, "include is written");
	done();
}

Test(source, variables_are_filled_in)
{
	setenv("WEIR_TEST_PORT", "81", 1);
	setenv("WEIR_TEST_QUOTED", "a \"b\" ${WEIR_TEST_PORT}\\", 1);
	setenv("WEIR_TEST_EMPTY", "", 1);
	cr_assert_eq(
	    load_text(
		"listen = { \"127.0.0.1:${WEIR_TEST_PORT}\" }\nflows = ${WEIR_TEST_FLOWS:-5000}\n"
		"pool one { root = site prefixes = { \"http://*:${WEIR_TEST_PORT}/\" }\n"
		"index = \"${WEIR_TEST_QUOTED}\" threads = ${WEIR_TEST_EMPTY:-7}\n"
		"environment = { 'A=${WEIR_TEST_PORT}', \"B=\\${WEIR_TEST_PORT}\" } }\n"),
	    0);
	cr_expect_str_eq(config->listens[0].text, "127.0.0.1:81");
	cr_expect_eq(config->flows, 5000);
	cr_expect_eq(config->pools[0].threads, 7);
	cr_expect_str_eq(config->pools[0].index, "a \"b\" ${WEIR_TEST_PORT}\\");
	cr_expect_str_eq(config->pools[0].environment.items[0], "A=${WEIR_TEST_PORT}");
	cr_expect_str_eq(config->pools[0].environment.items[1], "B=${WEIR_TEST_PORT}");
	done();
}

Test(source, bad_variables_are_found_with_their_lines)
{
	setenv("WEIR_TEST_LINES", "a\nb", 1);
	setenv("WEIR_TEST_SPACE", "a b", 1);
	cr_expect_eq(load_text("listen = { \"127.0.0.1:80\" }\nattach = "
			       "\"${WEIR_TEST_NONE}\"\ncontrol = \"${WEIR_TEST_LINES}\"\n"
			       "flows = ${WEIR_TEST_SPACE}\ninterfaces = { \"${1}\" }\ninterfaces "
			       "= { \"${A\" }\n"),
		     -EINVAL);
	expect_finding(2, "WEIR_TEST_NONE is not set");
	expect_finding(3, "more than one line");
	expect_finding(4, "in quotes");
	expect_finding(5, "is written ${NAME}");
	expect_finding(6, "is written ${NAME}");
	done();
}
