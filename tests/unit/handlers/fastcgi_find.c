/* SPDX-License-Identifier: GPL-2.0 */
/* Which requests run a script, and which script: over a real directory. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "handlers/fastcgi.h"

static char root[64];
static struct weir_conf_pool pool;
static struct weir_fastcgi *f;

static void make(const char *name)
{
	char path[256], *slash;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(path, 0755);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	cr_assert_geq(fd, 0, "%s", path);
	close(fd);
}

static void prepare(void)
{
	static const char *const files[] = { "index.php",	"a.php",	   "style.css",
					     "x.jpg",		"sub/index.html",  "sub/b.php",
					     "both/index.php",	"both/index.html", "dir.php/c.php",
					     ".git/config",	"UPPER.PHP",	   ".well-known/id",
					     "docs/index.php5", "empty/file.txt",  ".env" };
	char link[256];
	size_t i;

	strcpy(root, "/tmp/weir_fcgi_XXXXXX");
	cr_assert_not_null(mkdtemp(root));
	for (i = 0; i < ARRAY_SIZE(files); i++)
		make(files[i]);
	snprintf(link, sizeof(link), "%s/out.php", root);
	cr_assert_eq(symlink("/etc/passwd", link), 0);
	snprintf(link, sizeof(link), "%s/link.php", root);
	cr_assert_eq(symlink("sub/b.php", link), 0);
	pool = (struct weir_conf_pool){
		.root = root,
		.index = (char *)"index.php index.html INDEX.PHP",
		.fastcgi = { .extension = (char *)".php", .index = (char *)"index.php" },
	};
	cr_assert_eq(weir_fastcgi_new(&pool, &f), 0);
}

static void remove_all(void)
{
	char command[128];

	f = weir_fastcgi_free(f);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	(void)!system(command);
}

TestSuite(fastcgi_find, .init = prepare, .fini = remove_all);

/* "script[+index][|path_info]", or what else becomes of it. */
static const char *find_below(const char *path, const char *prefix)
{
	static char text[512];
	struct weir_script s;

	switch (weir_fastcgi_find(f, (struct weir_str){ path, strlen(path) },
				  (struct weir_str){ prefix, strlen(prefix) }, &s)) {
	case WEIR_FASTCGI_FILE:
		return "FILE";
	case WEIR_FASTCGI_NONE:
		return "NONE";
	case WEIR_FASTCGI_REFUSE:
		return "REFUSE";
	case WEIR_FASTCGI_SCRIPT:
		break;
	}
	snprintf(text, sizeof(text), "%.*s%s%.*s%s%.*s", (int)s.file.n, s.file.p ? s.file.p : "", s.index.n ? "+" : "",
		 (int)s.index.n, s.index.p ? s.index.p : "", s.path_info.n ? "|" : "", (int)s.path_info.n,
		 s.path_info.p ? s.path_info.p : "");
	return text;
}

struct path_case {
	const char *path, *expected;
};

static void check(const struct path_case *cases, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		cr_expect_str_eq(find_below(cases[i].path, "/"), cases[i].expected, "%s: %s", cases[i].path,
				 find_below(cases[i].path, "/"));
}

Test(fastcgi_find, scripts_and_files)
{
	static const struct path_case cases[] = {
		{ "/a.php", "a.php" },
		{ "//a.php", "a.php" },
		{ "/a.php/", "a.php|/" },
		{ "/a.php/x/y.php", "a.php|/x/y.php" },
		{ "/sub/b.php", "sub/b.php" },
		{ "/dir.php/c.php/i", "dir.php/c.php|/i" },
		{ "/link.php", "link.php" },
		{ "/", "+index.php" },
		{ "/both/", "both/+index.php" },
		{ "/sub/", "FILE" },
		{ "/sub", "FILE" },
		{ "/style.css", "FILE" },
		{ "/.well-known/id", "FILE" },
		{ "/sub/index.html", "FILE" },
	};

	check(cases, ARRAY_SIZE(cases));
}

Test(fastcgi_find, what_must_neither_be_run_nor_be_seen)
{
	static const struct path_case cases[] = {
		{ "/x.jpg/evil.php", "NONE" },
		{ "/style.css/a.php", "NONE" },
		{ "/missing.php", "NONE" },
		{ "/missing", "NONE" },
		{ "/UPPER.PHP", "REFUSE" },
		{ "/out.php", "REFUSE" },
		{ "/dir.php", "REFUSE" },
		{ "/.git/config", "NONE" },
		{ "/.env", "NONE" },
		{ "/sub/.hidden/a.php", "NONE" },
		{ "/.well-known/../.env", "NONE" },
		{ "/empty/", "NONE" },
		{ "/docs/", "NONE" },
	};

	check(cases, ARRAY_SIZE(cases));
}

Test(fastcgi_find, front_controller_gets_what_is_no_file)
{
	static const struct path_case cases[] = {
		{ "/posts/7", "index.php" }, { "/missing.php", "index.php" }, { "/x.jpg/evil.php", "index.php" },
		{ "/.env", "index.php" },    { "/empty/", "index.php" },      { "/style.css", "FILE" },
		{ "/a.php/x", "a.php|/x" },  { "/UPPER.PHP", "REFUSE" },      { "/sub/", "FILE" },
	};

	pool.fastcgi.front = (char *)"/index.php";
	check(cases, ARRAY_SIZE(cases));
}

Test(fastcgi_find, prefix_is_taken_off)
{
	cr_expect_str_eq(find_below("/app/a.php/i", "/app/"), "a.php|/i");
	cr_expect_str_eq(find_below("/app", "/app/"), "FILE");
	cr_expect_str_eq(find_below("/app/", "/app/"), "+index.php");
}

Test(fastcgi_find, application_may_take_all)
{
	pool.fastcgi.takes_all = true;
	cr_expect_str_eq(find_below("/app/style.css", "/app/"), "|/style.css");
	cr_expect_str_eq(find_below("/app/.env", "/app/"), "|/.env");
	cr_expect_str_eq(find_below("/app/", "/app/"), "|/");
	cr_expect_str_eq(find_below("/app", "/app/"), "");
	cr_expect_str_eq(find_below("/", "/"), "|/");
}

Test(fastcgi_find, scripts_are_no_index_of_the_static_handler)
{
	char *names = NULL;

	cr_assert_eq(weir_fastcgi_static_index(&pool, &names), 0);
	cr_expect_str_eq(names, "index.html");
	free(names);
}
