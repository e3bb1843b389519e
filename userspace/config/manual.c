/* SPDX-License-Identifier: GPL-2.0 */
/* Prints the parameters as the manual has them, from the table that the parser uses. Called by
 * `make manual` and by the test that compares weir.conf(5) with the table. */
#include "config/config_priv.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static const struct {
	enum weir_param_scope scope;
	const char *begin;
} parts[] = {
	{ WEIR_SCOPE_GLOBAL, ".\\\" parameters of the instance, by make manual\n" },
	{ WEIR_SCOPE_POOL, ".\\\" parameters of a pool, by make manual\n" },
};
static const char part_end[] = ".\\\" end of the parameters\n";

static void print_kind(const struct weir_param *p, FILE *out)
{
	size_t count, i;
	const char *const *names = weir_param_choices(p->type, &count);

	for (i = 0; names && i < count; i++)
		fprintf(out, "%s%s", i ? " | " : "", names[i]);
	if (names)
		return;
	switch (p->type) {
	case WEIR_TYPE_COUNT:
		fputs("number", out);
		break;
	case WEIR_TYPE_TIME:
		fputs("time", out);
		break;
	case WEIR_TYPE_FLAG:
		fputs("on | off", out);
		break;
	case WEIR_TYPE_SIZE:
		fputs("size", out);
		break;
	case WEIR_TYPE_PERCENT:
		fputs("percentage", out);
		break;
	case WEIR_TYPE_PATH:
		fputs("path", out);
		break;
	case WEIR_TYPE_LISTENS:
		fputs("{ \"ADDR:PORT\", ... }", out);
		break;
	case WEIR_TYPE_NAMES:
		fputs("{ \"name\", ... }", out);
		break;
	case WEIR_TYPE_PREFIXES:
		fputs("{ \"prefix\", ... }", out);
		break;
	default:
		fputs(p->type > WEIR_TYPE_LISTENS ? "{ \"text\", ... }" : "text", out);
	}
}

/* Text of ours in a page: a backslash is a character of its own. */
static void print_text(const char *text, FILE *out)
{
	for (; *text; text++)
		fputs(*text == '\\' ? "\\e" : (char[]){ *text, '\0' }, out);
}

static void print_param(const struct weir_param *p, FILE *out)
{
	fprintf(out, ".It Ic %s No = Ar ", p->name);
	print_kind(p, out);
	fprintf(out, "\n%c", toupper((unsigned char)p->help[0]));
	print_text(p->help + 1, out);
	fputs(".\n", out);
	if (p->type == WEIR_TYPE_COUNT)
		fprintf(out, "From %ld to %ld, default %s.\n", p->min, p->max, p->def);
	else if (*p->def) {
		fputs("Default: ", out);
		print_text(p->def, out);
		fputs(".\n", out);
	}
}

int weir_conf_manual(const char *page, FILE *out)
{
	size_t n, i;

	for (n = 0; n < ARRAY_SIZE(parts); n++) {
		const char *begin = strstr(page, parts[n].begin), *end;

		end = begin ? strstr(begin, part_end) : NULL;
		if (!end)
			return -ENOENT;
		fwrite(page, 1, (size_t)(begin - page) + strlen(parts[n].begin), out);
		for (i = 0; i < WEIR_PARAM__MAX; i++)
			if (weir_params[i].scope == parts[n].scope)
				print_param(&weir_params[i], out);
		page = end;
	}
	fputs(page, out);
	return ferror(out) ? -EIO : 0;
}
