// SPDX-License-Identifier: GPL-2.0
/* Parameters of a module pool, and the look into its file. */
#include "config/config.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

static char folder[64], file[96], object[96];
static struct weir_conf_report report;
static struct weir_config *config;

static void copy_object(const char *name)
{
	char command[256];

	snprintf(command, sizeof(command), "cp %s/tests/modules/%s.so %s", WEIR_TEST_BUILD, name, object);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(chmod(object, 0755), 0);
}

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/weir_module_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chmod(folder, 0755), 0);
	snprintf(file, sizeof(file), "%s/weir.conf", folder);
	snprintf(object, sizeof(object), "%s/a.so", folder);
}

static void remove_folder(void)
{
	weir_conf_report_fini(&report);
	config = weir_config_free(config);
	(void)unlink(file);
	(void)unlink(object);
	(void)rmdir(folder);
}

TestSuite(module, .init = make_folder, .fini = remove_folder);

/* A file with one pool that has these lines from line 3 on. */
static int load(const char *lines)
{
	const struct weir_conf_options o = { .file = file };
	FILE *f = fopen(file, "w");

	cr_assert_not_null(f);
	fprintf(f, "listen = { \"127.0.0.1:80\" }\npool p { prefixes = { \"http://*:80/\" }\n%s\n}\n", lines);
	fclose(f);
	weir_conf_report_fini(&report);
	config = weir_config_free(config);
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

Test(module, file_is_found_beside_the_configuration)
{
	const struct weir_conf_module *m;

	copy_object("probe");
	cr_assert_eq(load("handler = module\nmodule = \"a.so\"\nmodule_options = { \"a=b\", \"c\" }\nsandbox = strict\n"
			  "request_body_max = 2M"),
		     0);
	m = &config->pools[0].module;
	cr_assert_str_eq(m->file, object);
	cr_assert_eq(m->options.count, 2);
	cr_assert_str_eq(m->options.items[0], "a=b");
	cr_assert_eq(m->sandbox, WEIR_SANDBOX_STRICT);
	cr_assert_eq(m->request_body_max_kb, 2048);
	cr_assert_eq(load("handler = module\nmodule = \"a.so\""), 0);
	cr_assert_eq(config->pools[0].module.sandbox, WEIR_SANDBOX_RELAXED);
	cr_assert_eq(config->pools[0].module.request_body_max_kb, 0);
}

Test(module, file_that_is_no_module_is_found)
{
	copy_object("no_symbol");
	cr_assert_lt(load("handler = module\nmodule = \"a.so\""), 0);
	cr_assert(has_finding(4, "no symbol 'weir_module'"));
	copy_object("other_version");
	cr_assert_lt(load("handler = module\nmodule = \"a.so\""), 0);
	cr_assert(has_finding(4, "compile it again"));
	cr_assert_lt(load("handler = module\nmodule = \"b.so\""), 0);
	cr_assert(has_finding(4, "No such file or directory"));
	cr_assert_lt(load("handler = module\nmodule = \".\""), 0);
	cr_assert(has_finding(4, "no file"));
}

Test(module, every_cut_of_a_file_is_refused_or_whole)
{
	char command[256];
	int bytes;

	for (bytes = 0; bytes < 12000; bytes += bytes < 200 ? 7 : 531) {
		copy_object("other_version");
		snprintf(command, sizeof(command), "truncate -s %d %s", bytes, object);
		cr_assert_eq(system(command), 0);
		cr_assert_lt(load("handler = module\nmodule = \"a.so\""), 0, "%d bytes", bytes);
	}
}

Test(module, module_is_asked_for_and_elsewhere_has_no_effect)
{
	cr_assert_lt(load("handler = module"), 0);
	cr_assert(has_finding(2, "pool 'p' has no module"));
	copy_object("probe");
	cr_assert_lt(load("handler = module\nmodule = \"a.so\"\nmodule_options = { \"=b\" }"), 0);
	cr_assert(has_finding(5, "'=b' has no key"));
	cr_assert_eq(load("handler = debug\nmodule = \"a.so\"\nsandbox = off"), 0);
	cr_assert(has_finding(4, "module has no effect without handler = module"));
	cr_assert(has_finding(5, "sandbox has no effect"));
}
