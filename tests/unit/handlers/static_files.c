/* SPDX-License-Identifier: GPL-2.0 */
/* The table of remembered files: bounded, and nothing is left behind by what goes. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "handlers/static_priv.h"

static char root[64];
static struct weir_cache cache = { .fds = { -1, -1, -1 } };

static void in_root(const char *commands)
{
	char text[512];

	snprintf(text, sizeof(text), "cd %s && { %s; }", root, commands);
	cr_assert_eq(system(text), 0, "%s", commands);
}

static struct weir_static *open_files(size_t files_max)
{
	struct weir_static_conf conf = { .root = root, .files_max = files_max };
	struct weir_static *s;

	strcpy(root, "/tmp/weir-files-XXXXXX");
	cr_assert(mkdtemp(root));
	in_root("mkdir -p a/b; for i in 0 1 2 3 4 5 6 7 8 9; do echo $i > a/b/$i; done; ln -s a link");
	cr_assert_eq(weir_static_new(&conf, &cache, &s), 0);
	return s;
}

static void close_files(struct weir_static *s)
{
	weir_static_free(s);
	in_root("cd / && rm -rf \"$OLDPWD\"");
}

static void get(struct weir_static *s, const char *path)
{
	struct static_file *f;

	cr_assert_eq(weir_static_get(s, (struct weir_str){ path, strlen(path) }, &f), 0, "%s", path);
	weir_static_file_put(f);
}

static bool is_kept(struct weir_static *s, const char *path)
{
	struct static_file *f = weir_static_find(s, (struct weir_str){ path, strlen(path) });

	if (f)
		weir_static_file_put(f);
	return f;
}

static size_t watches(const struct weir_static *s)
{
	const struct static_wd *w;
	size_t i, n = 0;

	for (i = 0; i < STATIC_BUCKETS; i++)
		for (w = s->wds[i]; w; w = w->next)
			n++;
	return n;
}

Test(static_files, oldest_goes_first)
{
	struct weir_static *s = open_files(3);
	char path[16];
	int i;

	for (i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "a/b/%d", i);
		get(s, path);
		get(s, "a/b/0");
		cr_assert_leq(s->files, 3);
		cr_assert_leq(watches(s), 3 + 3, "root, a, a/b and the files");
	}
	cr_assert_eq(s->memory, 6);
	cr_assert(is_kept(s, "a/b/0"), "what is used stays");
	cr_assert(is_kept(s, "a/b/9"));
	cr_assert_not(is_kept(s, "a/b/1"));
	close_files(s);
}

Test(static_files, change_leaves_no_watch_behind)
{
	struct weir_static *s = open_files(100);

	get(s, "a/b/1");
	get(s, "a/b/2");
	cr_assert_eq(s->files, 2);
	in_root("echo x > a/b/1");
	weir_static_watch(s);
	cr_assert_eq(s->files, 1);
	in_root("mv a c");
	weir_static_watch(s);
	cr_assert_eq(s->files, 0);
	cr_assert_eq(watches(s), 0);
	cr_assert_eq(s->memory, 0);
	cr_assert_null(s->newest);
	close_files(s);
}

Test(static_files, what_cannot_be_watched_is_not_kept)
{
	struct weir_static *s = open_files(100);

	get(s, "link/b/1");
	get(s, "a//b/1");
	cr_assert_eq(s->files, 0);
	cr_assert_eq(watches(s), 0);
	close_files(s);
}
