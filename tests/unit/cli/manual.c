// SPDX-License-Identifier: GPL-2.0
/* The manual against the tables: no command, option or parameter without its line. Runs at the top of the tree. */
#include "cli/cli.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "admin/admin.h"

static char *read_page(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;

	cr_assert_not_null(f, "%s", path);
	cr_assert_gt(getdelim(&text, &room, '\0', f), 0);
	fclose(f);
	return text;
}

Test(manual, weir_conf_is_printed_from_the_table)
{
	char *page = read_page("docs/weir.conf.5"), *printed = NULL;
	size_t bytes;
	FILE *f = open_memstream(&printed, &bytes);

	cr_assert_eq(weir_conf_manual(page, f), 0);
	fclose(f);
	cr_expect_eq(strcmp(printed, page), 0, "run `make manual`");
	free(printed);
	free(page);
}

Test(manual, page_without_marks_is_refused)
{
	FILE *f = fopen("/dev/null", "we");

	cr_expect_eq(weir_conf_manual(".Sh NAME\n", f), -ENOENT);
	fclose(f);
}

Test(manual, every_parameter_is_in_weir_conf)
{
	char *page = read_page("docs/weir.conf.5"), tag[64];
	size_t i;

	for (i = 0; i < WEIR_PARAM__MAX; i++) {
		const char *at;

		snprintf(tag, sizeof(tag), ".It Ic %s No = ", weir_params[i].name);
		at = strstr(page, tag);
		cr_expect_not_null(at, "%s", weir_params[i].name);
		cr_expect(!at || strcasestr(at, weir_params[i].help), "%s: another help text", weir_params[i].name);
		cr_expect(!at || strstr(at, weir_params[i].def), "%s: another default", weir_params[i].name);
	}
	free(page);
}

Test(manual, every_command_is_in_weir)
{
	char *page = read_page("docs/weir.8"), tag[64];
	size_t i;

	for (i = 0; i < cmd_count; i++) {
		snprintf(tag, sizeof(tag), ".It Nm %s", cmd_table[i].name);
		cr_expect_not_null(strstr(page, tag), "%s", cmd_table[i].name);
	}
	free(page);
}

Test(manual, every_option_is_in_weir)
{
	static const char *const names[] = {
#define WEIR_ROW(letter, name, argument, help) name,
#include "cli/opts.def"
#undef WEIR_ROW
	};
	char *page = read_page("docs/weir.8"), tag[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(tag, sizeof(tag), "Fl -%s", names[i]);
		cr_expect_not_null(strstr(page, tag), "%s", names[i]);
	}
	free(page);
}

Test(manual, every_metric_is_in_weir_metrics)
{
	static const char *const counters[] = {
#define WEIR_ROW(name, help) ".It Ic weir_pool_" #name "_total\n",
#include "metrics/counters.def"
#undef WEIR_ROW
	};
	char *page = read_page("docs/weir-metrics.7"), tag[96];
	size_t i;

	for (i = 0; i < adm_families_count; i++) {
		const struct adm_family *f = &adm_families[i];
		const char *at;

		snprintf(tag, sizeof(tag), ".It Ic %s\n", f->metric);
		at = strstr(page, tag);
		cr_expect_not_null(at, "%s", f->metric);
		cr_expect(!at || strcasestr(at, f->help), "%s: another help text", f->metric);
		cr_expect(!at || strstr(at, f->httpsys), "%s: HTTP.sys's name", f->metric);
	}
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		cr_expect_not_null(strstr(page, counters[i]), "%s", counters[i]);
	free(page);
}
