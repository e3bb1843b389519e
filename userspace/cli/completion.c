/* SPDX-License-Identifier: GPL-2.0 */
/* `weir completion SHELL`: a completion script for bash, zsh or fish, printed from cmds.def and
 * opts.def, so that it never knows other commands than the program. `make install` puts it where
 * the shells look. */
#include "cli/cli.h"

#include <string.h>

#include "common/log.h"

/* What a shell completes after a word that takes a value. */
static bool is_path(const struct cmd_opt *o)
{
	return !strcmp(o->argument, "FILE") || !strcmp(o->argument, "DIR") || !strcmp(o->argument, "SOCKET");
}

/* The first words of all commands, each once. */
static void print_first_words(const char *before, const char *after)
{
	const char *last = "";
	size_t i, n = 0;

	for (i = 0; i < cmd_count; i++) {
		size_t bytes = strcspn(cmd_table[i].name, " ");

		if (n == bytes && !strncmp(last, cmd_table[i].name, n))
			continue;
		last = cmd_table[i].name;
		n = bytes;
		printf("%s%.*s%s", before, (int)n, last, after);
	}
}

/* The second words of a group of commands. */
static void print_second_words(const char *group, size_t bytes)
{
	size_t i;

	for (i = 0; i < cmd_count; i++)
		if (!strncmp(cmd_table[i].name, group, bytes) && cmd_table[i].name[bytes] == ' ')
			printf("%s ", cmd_table[i].name + bytes + 1);
}

static void print_options(const struct cmd *c)
{
	size_t i;

	for (i = 0; i < cmd_opts_count; i++)
		if (strchr(c->options, cmd_opts[i].letter))
			printf("--%s ", cmd_opts[i].name);
}

/* Calls `print` for the first command of each group. */
static void each_group(void (*print)(const char *group, size_t bytes))
{
	const char *last = "";
	size_t i, n = 0;

	for (i = 0; i < cmd_count; i++) {
		size_t bytes = strcspn(cmd_table[i].name, " ");

		if (!cmd_table[i].name[bytes] || (n == bytes && !strncmp(last, cmd_table[i].name, n)))
			continue;
		last = cmd_table[i].name;
		n = bytes;
		print(last, n);
	}
}

static void bash_group(const char *group, size_t bytes)
{
	printf("\t\t%.*s) words='", (int)bytes, group);
	print_second_words(group, bytes);
	printf("' ;;\n");
}

static void print_bash(void)
{
	size_t i;

	printf("# bash completion of weir, printed by `weir completion bash`\n_weir() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
	       "\tlocal command=${COMP_WORDS[1]}\n\tCOMPREPLY=()\n\tcase $prev in\n\t-c");
	for (i = 0; i < cmd_opts_count; i++)
		if (cmd_opts[i].argument && is_path(&cmd_opts[i]))
			printf("|--%s", cmd_opts[i].name);
	printf(") mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n\tesac\n"
	       "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords='");
	print_first_words("", " ");
	printf("'\n\telif [ \"$COMP_CWORD\" = 2 ] && [[ $cur != -* ]]; then\n\t\tcase $command in\n");
	each_group(bash_group);
	printf("\t\tesac\n\tfi\n\tif [ \"$command\" = pool ] && [ \"$COMP_CWORD\" = 3 ]; then\n"
	       "\t\twords=$(weir pool list --json 2>/dev/null | grep -o '\"name\": *\"[^\"]*\"' | "
	       "cut -d'\"' -f4)\n\tfi\n"
	       "\tif [[ $cur == -* ]]; then\n\t\tcase \"$command ${COMP_WORDS[2]}\" in\n");
	for (i = 0; i < cmd_count; i++) {
		printf("\t\t'%s'%s) words='", cmd_table[i].name, strchr(cmd_table[i].name, ' ') ? "" : "' '*");
		print_options(&cmd_table[i]);
		printf("' ;;\n");
	}
	printf("\t\tesac\n\tfi\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
	       "\"$cur\")\n}\ncomplete -F _weir weir\n");
}

/* A text in single quotes, for zsh and fish. */
static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'')
			printf("'\\''");
		else
			putchar(*text);
	}
	putchar('\'');
}

static void zsh_group(const char *group, size_t bytes)
{
	printf("\t%.*s) (( CURRENT == 3 )) && compadd -- ", (int)bytes, group);
	print_second_words(group, bytes);
	printf("&& return ;;\n");
}

static void print_zsh(void)
{
	size_t i;

	printf("#compdef weir\n# zsh completion of weir, printed by `weir completion zsh`\n"
	       "if (( CURRENT == 2 )); then\n\tcompadd -- ");
	print_first_words("", " ");
	printf("\n\treturn\nfi\ncase ${words[2]} in\n");
	each_group(zsh_group);
	printf("esac\ncase ${words[CURRENT-1]} in\n\t-c");
	for (i = 0; i < cmd_opts_count; i++)
		if (cmd_opts[i].argument && is_path(&cmd_opts[i]))
			printf("|--%s", cmd_opts[i].name);
	printf(") _files && return ;;\nesac\ncase \"${words[2]} ${words[3]}\" in\n");
	for (i = 0; i < cmd_count; i++) {
		printf("\t'%s'%s) compadd -- ", cmd_table[i].name, strchr(cmd_table[i].name, ' ') ? "" : "' '*");
		print_options(&cmd_table[i]);
		printf(";;\n");
	}
	printf("esac\n");
}

static void print_fish(void)
{
	size_t i, j;

	printf("# fish completion of weir, printed by `weir completion fish`\ncomplete -c weir -f\n");
	for (i = 0; i < cmd_count; i++) {
		const char *name = cmd_table[i].name, *space = strchr(name, ' ');

		if (space)
			printf("complete -c weir -n '__fish_use_subcommand' -a %.*s\n"
			       "complete -c weir -n '__fish_seen_subcommand_from %.*s; and test "
			       "(count (commandline -opc)) = 2' -a %s -d ",
			       (int)(space - name), name, (int)(space - name), name, space + 1);
		else
			printf("complete -c weir -n '__fish_use_subcommand' -a %s -d ", name);
		print_quoted(cmd_table[i].summary);
		printf("\n");
		for (j = 0; j < cmd_opts_count; j++) {
			if (!strchr(cmd_table[i].options, cmd_opts[j].letter))
				continue;
			printf("complete -c weir -n '__fish_seen_subcommand_from %s' -l %s%s -d ",
			       space ? space + 1 : name, cmd_opts[j].name,
			       !cmd_opts[j].argument   ? ""
			       : is_path(&cmd_opts[j]) ? " -r -F"
						       : " -x");
			print_quoted(cmd_opts[j].help);
			printf("\n");
		}
	}
}

enum cmd_exit cmd_completion(const struct cmd_args *args)
{
	static const struct {
		const char *shell;
		void (*print)(void);
	} shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shells); i++) {
		if (strcmp(shells[i].shell, args->words[0]))
			continue;
		shells[i].print();
		return CMD_OK;
	}
	weir_err(0, "there is no completion for '%s': bash, zsh or fish", args->words[0]);
	return CMD_USAGE;
}
