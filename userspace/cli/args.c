/* SPDX-License-Identifier: GPL-2.0 */
/* From argv to a command and its options, by the tables cmds.def and opts.def. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "common/log.h"

const struct cmd_opt cmd_opts[] = {
#define WEIR_ROW(letter, name, argument, help) { letter, name, argument, help },
#include "cli/opts.def"
#undef WEIR_ROW
};
const size_t cmd_opts_count = ARRAY_SIZE(cmd_opts);

const struct cmd cmd_table[] = {
#define WEIR_ROW(id, name, arguments, words, options, summary) { name, arguments, words, options, summary, cmd_##id },
#include "cli/cmds.def"
#undef WEIR_ROW
};
const size_t cmd_count = ARRAY_SIZE(cmd_table);

static const struct cmd *find_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < cmd_count; i++)
		if (!strcmp(cmd_table[i].name, name))
			return &cmd_table[i];
	return NULL;
}

/* The commands that begin with a group's name, "cache": for the message. */
static const char *group_members(const char *group)
{
	static char text[160];
	size_t i, n = 0, bytes = strlen(group);

	for (i = 0; i < cmd_count; i++)
		if (!strncmp(cmd_table[i].name, group, bytes) && cmd_table[i].name[bytes] == ' ')
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%sweir %s", n ? ", " : "",
					      cmd_table[i].name);
	return n ? text : NULL;
}

const struct cmd *cmd_find(int argc, char *const argv[], const char **ret_why)
{
	static char why[320];
	const struct cmd *c;
	const char *members;
	char two[64];

	*ret_why = why;
	if (argc < 2) {
		snprintf(why, sizeof(why), "a command is missing; `weir help` lists them");
		return NULL;
	}
	c = find_by_name(argv[1]);
	if (c)
		return c;
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return find_by_name("help");
	if (!strcmp(argv[1], "--version"))
		return find_by_name("version");
	members = group_members(argv[1]);
	if (members && argc > 2) {
		snprintf(two, sizeof(two), "%.30s %.30s", argv[1], argv[2]);
		c = find_by_name(two);
		if (c)
			return c;
	}
	if (members)
		snprintf(why, sizeof(why), "'weir %s' needs one more word: %s", argv[1], members);
	else
		snprintf(why, sizeof(why), "there is no command '%.60s'; `weir help` lists them", argv[1]);
	return NULL;
}

static int append(const char **list, size_t *count, const char *text)
{
	if (*count == CMD_LISTS_MAX)
		return -E2BIG;
	list[(*count)++] = text;
	return 0;
}

static int set_option(struct cmd_args *a, int letter, const char *text)
{
	char *end;

	switch (letter) {
	case 'c':
		a->conf.file = text;
		return 0;
	case 'r':
		a->conf.root = text;
		return 0;
	case 'l':
		return append(a->listens, &a->conf.listens_count, text);
	case 'a':
		a->conf.attach = text;
		return 0;
	case 'i':
		return append(a->interfaces, &a->conf.interfaces_count, text);
	case 't':
		a->conf.threads = text;
		return 0;
	case 's':
		a->control = a->conf.control = text;
		return 0;
	case 'u':
		a->conf.user = text;
		return 0;
	case 'k':
		a->conf.no_kernel_cache = true;
		return 0;
	case 'j':
		a->is_json = true;
		return 0;
	case 'h':
		return append(a->headers, &a->headers_count, text);
	case 'p':
		a->is_prefix = true;
		return 0;
	case 'g':
		a->is_tag = true;
		return 0;
	default: /* 'n' */
		a->limit = strtol(text, &end, 10);
		return *text && !*end && a->limit > 0 ? 0 : -EINVAL;
	}
}

/* Long options that the command accepts; every one of them, so that a strange one gets a good
 * message. */
static void build_options(const struct cmd *c, struct option *ret)
{
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(cmd_opts); i++)
		if (strchr(c->options, cmd_opts[i].letter))
			ret[n++] = (struct option){ cmd_opts[i].name,
						    cmd_opts[i].argument ? required_argument : no_argument, NULL,
						    cmd_opts[i].letter };
	ret[n] = (struct option){};
}

static enum cmd_exit usage(const struct cmd *c, const char *what, const char *which)
{
	weir_err(0, "%s%s%s; see `weir help %s`", what, which ? " " : "", which ? which : "", c->name);
	return CMD_USAGE;
}

enum cmd_exit cmd_parse(const struct cmd *c, int argc, char *const argv[], struct cmd_args *ret)
{
	struct option options[ARRAY_SIZE(cmd_opts) + 1];
	int skipped = strchr(c->name, ' ') ? 2 : 1, letter;

	*ret = (struct cmd_args){ .control = CMD_CONTROL_DEFAULT };
	build_options(c, options);
	argc -= skipped;
	argv += skipped;
	optind = 0;
	opterr = 0;
	while ((letter = getopt_long(argc, argv, strchr(c->options, 'c') ? ":c:" : ":", options, NULL)) != -1) {
		if (letter == ':')
			return usage(c, "a value is missing after", argv[optind - 1]);
		if (letter == '?')
			return usage(c, "unknown or ambiguous option", argv[optind - 1]);
		if (set_option(ret, letter, optarg) < 0)
			return usage(c, "that value is not possible:", optarg);
	}
	while (optind < argc && ret->words_count < c->words)
		ret->words[ret->words_count++] = argv[optind++];
	if (optind < argc)
		return usage(c, "one word too many:", argv[optind]);
	if (ret->words_count < c->words && c->arguments[0] != '[')
		return usage(c, "missing:", c->arguments);
	ret->conf.listens = ret->listens;
	ret->conf.interfaces = ret->interfaces;
	return CMD_OK;
}

enum cmd_exit cmd_main(int argc, char *const argv[])
{
	struct cmd_args args;
	const struct cmd *c;
	const char *why;
	enum cmd_exit r;

	c = cmd_find(argc, argv, &why);
	if (!c) {
		weir_err(0, "%s", why);
		return CMD_USAGE;
	}
	if (argv[1][0] == '-') /* weir --help */
		argc = 2;
	r = cmd_parse(c, argc, argv, &args);
	return r == CMD_OK ? c->run(&args) : r;
}

/* --- help: here, where the tables are --- */

static enum cmd_exit help_for(const struct cmd *c)
{
	size_t i;

	printf("weir %s%s%s%s\n  %s\n", c->name, *c->arguments ? " " : "", c->arguments,
	       *c->options ? " [options]" : "", c->summary);
	for (i = 0; i < ARRAY_SIZE(cmd_opts); i++) {
		char left[48];

		if (!strchr(c->options, cmd_opts[i].letter))
			continue;
		snprintf(left, sizeof(left), "%s--%s %s", cmd_opts[i].letter == 'c' ? "-c, " : "    ", cmd_opts[i].name,
			 cmd_opts[i].argument ? cmd_opts[i].argument : "");
		printf("  %-28s %s\n", left, cmd_opts[i].help);
	}
	return CMD_OK;
}

enum cmd_exit cmd_help(const struct cmd_args *args)
{
	size_t i, j;

	for (i = 0; args->words_count && i < cmd_count; i++) {
		char two[64];

		snprintf(two, sizeof(two), "%.30s%s%.30s", args->words[0], args->words_count > 1 ? " " : "",
			 args->words_count > 1 ? args->words[1] : "");
		if (!strcmp(cmd_table[i].name, two))
			return help_for(&cmd_table[i]);
	}
	for (j = 0; j < args->words_count && j == 0; j++)
		if (!group_members(args->words[0])) {
			weir_err(0, "there is no command '%s'; `weir help` lists them", args->words[0]);
			return CMD_USAGE;
		}
	printf("weir: HTTP.sys for Linux\n\n");
	for (i = 0; i < cmd_count; i++) {
		char left[48];

		snprintf(left, sizeof(left), "%s %s", cmd_table[i].name, cmd_table[i].arguments);
		printf("  weir %-20s %s\n", left, cmd_table[i].summary);
	}
	printf("\nOptions of a command: weir help COMMAND. Try: weir run --root . --listen "
	       "127.0.0.1:8080\n");
	return CMD_OK;
}

enum cmd_exit cmd_version(const struct cmd_args *args)
{
	(void)args;
	printf("weir " WEIR_VERSION "\n");
	return CMD_OK;
}
