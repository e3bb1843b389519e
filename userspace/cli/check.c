/* SPDX-License-Identifier: GPL-2.0 */
/* `weir check`: the configuration as `weir run` would take it, with what each default became. The output is a
 * configuration file again. */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

static void print_origin(const struct weir_config *c, int line)
{
	const char *file;

	if (line == WEIR_LINE_OPTION)
		printf(" # option\n");
	else if (line == WEIR_LINE_DEFAULT)
		printf(" # default\n");
	else {
		line = weir_conf_line(c, line, &file);
		printf(" # %s:%d\n", file, line);
	}
}

/* Prints the parameters of a scope that are no lists. */
static void print_values(const struct weir_config *c, enum weir_param_scope scope, const void *base, const int *lines,
			 const char *indent)
{
	char value[4200], text[4300];
	size_t i;

	for (i = 0; i < WEIR_PARAM__MAX; i++) {
		const struct weir_param *p = &weir_params[i];

		if (p->scope != scope || p->type >= WEIR_TYPE_LISTENS)
			continue;
		weir_param_format(p, base, value, sizeof(value));
		if (!*value) {
			printf("%s# %s is not set\n", indent, p->name);
			continue;
		}
		snprintf(text, sizeof(text), "%s%s = %s", indent, p->name, value);
		printf("%-44s", text);
		print_origin(c, lines[i]);
	}
}

static void print_item(const char *indent, const char *text, bool is_last)
{
	printf("%s\"%s\"%s\n", indent, text, is_last ? "" : ",");
}

/* The lists of a pool that are not empty. */
static void print_words(const struct weir_conf_pool *pool)
{
	size_t i, j;

	for (i = 0; i < WEIR_PARAM__MAX; i++) {
		const struct weir_conf_words *w;

		if (weir_params[i].type != WEIR_TYPE_WORDS)
			continue;
		w = weir_param_words(&weir_params[i], pool);
		if (!w->count)
			continue;
		printf("\t%s = {\n", weir_params[i].name);
		for (j = 0; j < w->count; j++)
			print_item("\t\t", w->items[j], j + 1 == w->count);
		printf("\t}\n");
	}
}

/* `pool` 0: those that are reserved. */
static void print_prefixes(const struct weir_config *c, uint16_t pool, const char *indent,
			   const char *name)
{
	const struct weir_conf_prefix *last = NULL;
	size_t i;

	for (i = 0; i < c->prefixes_count; i++)
		if (c->prefixes[i].pool == pool)
			last = &c->prefixes[i];
	if (!last && !pool)
		return;
	printf("%s%s = {\n", indent, name);
	for (i = 0; i < c->prefixes_count; i++)
		if (c->prefixes[i].pool == pool)
			print_item(pool ? "\t\t" : "\t", c->prefixes[i].text,
				   &c->prefixes[i] == last);
	printf("%s}\n", indent);
}

static void print_config(const struct weir_config *c)
{
	size_t i;

	printf("listen = {\n");
	for (i = 0; i < c->listens_count; i++)
		print_item("\t", c->listens[i].text, i + 1 == c->listens_count);
	printf("}\n");
	if (c->interfaces_count) {
		printf("interfaces = {\n");
		for (i = 0; i < c->interfaces_count; i++)
			print_item("\t", c->interfaces[i], i + 1 == c->interfaces_count);
		printf("}\n");
	}
	print_prefixes(c, 0, "", "reserve");
	print_values(c, WEIR_SCOPE_GLOBAL, c, c->lines, "");
	for (i = 0; i < c->pools_count; i++) {
		printf("\npool %s {\n", c->pools[i].name);
		print_values(c, WEIR_SCOPE_POOL, &c->pools[i], c->pools[i].lines, "\t");
		print_words(&c->pools[i]);
		print_prefixes(c, c->pools[i].id, "\t", "prefixes");
		printf("}\n");
	}
}

enum cmd_exit cmd_check(const struct cmd_args *args)
{
	_cleanup_(weir_conf_report_fini) struct weir_conf_report report = {};
	_cleanup_(weir_config_freep) struct weir_config *c = NULL;
	int r;

	r = weir_config_load(&args->conf, &report, &c);
	cmd_print_report(&report);
	if (r < 0) {
		if (report.errors)
			fprintf(stderr, "%zu error%s\n", report.errors, report.errors == 1 ? "" : "s");
		else
			weir_err(r, "cannot load the configuration");
		return CMD_FAILED;
	}
	print_config(c);
	return CMD_OK;
}
