// SPDX-License-Identifier: GPL-2.0
/* From argv to a command and its options. */
#include "cli/cli.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/log.h"

static struct cmd_args args;

/* Splits at spaces, finds the command and parses; NULL: no such command. */
static const struct cmd *parse(const char *line, enum cmd_exit *ret)
{
	static char copy[256];
	static char *argv[32];
	const struct cmd *c;
	const char *why = NULL;
	char *rest = copy;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((argv[argc] = strsep(&rest, " ")))
		argc++;
	c = cmd_find(argc, argv, &why);
	if (c)
		*ret = cmd_parse(c, argc, argv, &args);
	else
		cr_expect_not_null(why);
	return c;
}

static void expect(const char *line, const char *name)
{
	enum cmd_exit r = CMD_FAILED;
	const struct cmd *c = parse(line, &r);

	cr_assert(c && !strcmp(c->name, name), "%s", line);
	cr_assert_eq(r, CMD_OK, "%s", line);
}

static void quiet(void)
{
	cr_assert_not_null(freopen("/dev/null", "w", stderr));
}

TestSuite(args, .init = quiet);

Test(args, run_takes_everything)
{
	expect("weir run -c a.conf --root /srv --listen :80 --listen [::1]:81 --attach none --interface lo --interface "
	       "eth0 "
	       "--threads 8 --control /tmp/s --user nobody --no-kernel-cache",
	       "run");
	cr_expect_str_eq(args.conf.file, "a.conf");
	cr_expect_str_eq(args.conf.root, "/srv");
	cr_assert_eq(args.conf.listens_count, 2);
	cr_expect_str_eq(args.conf.listens[1], "[::1]:81");
	cr_expect_str_eq(args.conf.attach, "none");
	cr_assert_eq(args.conf.interfaces_count, 2);
	cr_expect_str_eq(args.conf.interfaces[1], "eth0");
	cr_expect_str_eq(args.conf.threads, "8");
	cr_expect_str_eq(args.conf.control, "/tmp/s");
	cr_expect_str_eq(args.control, "/tmp/s");
	cr_expect_str_eq(args.conf.user, "nobody");
	cr_expect(args.conf.no_kernel_cache);
}

Test(args, control_socket_has_a_default)
{
	expect("weir stats", "stats");
	cr_expect_str_eq(args.control, "/run/weir.sock");
	cr_expect_null(args.conf.control, "the configuration file may name another one");
	cr_expect_not(args.is_json);
}

Test(args, every_command_that_asks_takes_the_control_socket)
{
	static const char *const alone[] = { "help", "version", "completion" };
	size_t i, j;

	for (i = 0; i < cmd_count; i++) {
		for (j = 0; j < ARRAY_SIZE(alone) && strcmp(cmd_table[i].name, alone[j]); j++)
			;
		if (j == ARRAY_SIZE(alone))
			cr_expect(strchr(cmd_table[i].options, 's'), "%s", cmd_table[i].name);
	}
}

Test(args, command_of_two_words_is_found)
{
	expect("weir cache list --json --limit 5", "cache list");
	cr_expect(args.is_json);
	cr_expect_eq(args.limit, 5);
	expect("weir conn list", "conn list");
	expect("weir cache flush site", "cache flush");
	cr_expect_str_eq(args.words[0], "site");
}

Test(args, options_and_words_mix)
{
	expect("weir why http://h/x --json --control /s", "why");
	cr_expect_str_eq(args.words[0], "http://h/x");
	cr_expect_str_eq(args.control, "/s");
	expect("weir why --json http://h/y", "why");
	cr_expect_str_eq(args.words[0], "http://h/y");
}

Test(args, equals_sign_works_too)
{
	expect("weir run --root=/srv --listen=:80", "run");
	cr_expect_str_eq(args.conf.root, "/srv");
	cr_expect_str_eq(args.conf.listens[0], ":80");
}

Test(args, help_and_version_have_their_usual_names)
{
	expect("weir --help", "help");
	expect("weir -h", "help");
	expect("weir --version", "version");
	expect("weir help cache list", "help");
	expect("weir help", "help");
}

Test(args, wrong_lines_are_refused)
{
	static const char *const wrong[] = {
		"weir run --root",
		"weir run --nonsense",
		"weir run -x",
		"weir run word",
		"weir stats --root /",
		"weir stats -c x",
		"weir why",
		"weir why a b",
		"weir cache purge",
		"weir cache flush",
		"weir cache list --limit 0",
		"weir cache list --limit x",
		"weir cache list --limit",
		"weir stop --json",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		enum cmd_exit r = CMD_OK;

		cr_expect_not_null(parse(wrong[i], &r), "%s", wrong[i]);
		cr_expect_eq(r, CMD_USAGE, "%s", wrong[i]);
	}
}

Test(args, unknown_commands_are_refused)
{
	static const char *const wrong[] = { "weir", "weir nonsense", "weir cache", "weir cache nonsense", "weir conn",
					     "weir list", "weir -x" };
	enum cmd_exit r;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_expect_null(parse(wrong[i], &r), "%s", wrong[i]);
}

Test(args, too_many_listens_are_refused)
{
	char *argv[2 + 2 * (CMD_LISTS_MAX + 1)] = { (char *)"weir", (char *)"run" };
	const char *why;
	int i, argc = 2;

	for (i = 0; i <= CMD_LISTS_MAX; i++) {
		argv[argc++] = (char *)"--listen";
		argv[argc++] = (char *)":80";
	}
	cr_expect_eq(cmd_parse(cmd_find(argc, argv, &why), argc, argv, &args), CMD_USAGE);
	cr_expect_eq(cmd_parse(cmd_find(argc, argv, &why), argc - 2, argv, &args), CMD_OK);
}
