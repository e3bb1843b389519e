/* SPDX-License-Identifier: GPL-2.0 */
/* What tests of the configuration share: a file in a directory of each test's own, loaded, and a look at the findings. The
 * test defines SUITE before. */
#ifndef TEST_CONFIG_LOADING_H
#define TEST_CONFIG_LOADING_H

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "config/config.h"

/* A directory of each test's own, with a configuration file and a root. */
static char folder[64], file[96], root[96];

static inline void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/weir_config_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/weir.conf", folder);
	snprintf(root, sizeof(root), "%s/site", folder);
	cr_assert_eq(mkdir(root, 0755), 0);
	cr_assert_eq(chmod(folder, 0755), 0);
}

static inline void remove_folder(void)
{
	(void)unlink(file);
	(void)rmdir(root);
	(void)rmdir(folder);
}

TestSuite(SUITE, .init = make_folder, .fini = remove_folder);

static struct weir_conf_report report;
static struct weir_config *config;

static inline int load(const struct weir_conf_options *o)
{
	report = (struct weir_conf_report){};
	config = NULL;
	return weir_config_load(o, &report, &config);
}

static inline int load_text(const char *text)
{
	const struct weir_conf_options o = { .file = file };
	FILE *f = fopen(file, "w");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
	return load(&o);
}

static inline void done(void)
{
	weir_conf_report_fini(&report);
	config = weir_config_free(config);
}

/* Whether one finding is in this line and holds this text. */
static inline bool has_finding(int line, const char *part)
{
	size_t i;

	for (i = 0; i < report.count; i++)
		if (report.rows[i].line == line && strstr(report.rows[i].text, part))
			return true;
	return false;
}

#define expect_finding(line, part) cr_expect(has_finding(line, part), "line %d: '%s' is missing", line, part)

#define POOL(name, more) "pool " name " { root = site prefixes = { \"http://*:80/" name "/\" } " more "}\n"

#endif
