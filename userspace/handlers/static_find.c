/* SPDX-License-Identifier: GPL-2.0 */
/* try_files: the first candidate that exists. When it is not the first of the list, an alias remembers the path, and
 * watches for the candidates before it, so that one that appears takes the alias out of memory and kernel cache. */
#include "handlers/static_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* "There is no such file": the next candidate's turn. */
static bool is_absent(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -EISDIR || r == -EPERM || r == -ENAMETOOLONG || r == -ENXIO;
}

/* A candidate as a path below the root, into `out` (PATH_MAX bytes), terminated. */
static int expand(struct weir_str candidate, struct weir_str path, char *out, struct weir_str *ret)
{
	struct weir_buf b = { .p = out, .cap = PATH_MAX - 1 };
	size_t i = 0, skip = 0;

	while (i < candidate.n) {
		if (candidate.n - i >= 4 && memcmp(candidate.p + i, "$uri", 4) == 0) {
			weir_buf_puts(&b, "/");
			weir_buf_str(&b, path);
			i += 4;
		} else {
			weir_buf_put(&b, candidate.p + i++, 1);
		}
	}
	if (b.is_full)
		return -ENAMETOOLONG;
	if (b.n > 1 && out[b.n - 1] == '/' && out[b.n - 2] == '/')
		b.n--;
	while (skip < b.n && out[skip] == '/')
		skip++;
	out[b.n] = '\0';
	*ret = (struct weir_str){ out + skip, b.n - skip };
	return 0;
}

/* The first `count` candidates, terminated each. */
static char *name_absent(const struct weir_static *s, struct weir_str path, size_t count)
{
	_cleanup_free_ char *text = malloc(PATH_MAX);
	struct weir_str name;
	char *names = NULL, *grown;
	size_t i, n = 0;

	for (i = 0; text && i < count; i++) {
		if (expand(s->options.tries[i].path, path, text, &name) < 0)
			break;
		grown = realloc(names, n + name.n + 1);
		if (!grown)
			break;
		names = grown;
		memcpy(names + n, name.p, name.n + 1);
		n += name.n + 1;
	}
	if (!text || i < count) {
		free(names);
		return NULL;
	}
	return names;
}

static bool are_absent(struct weir_static *s, const char *names, size_t count)
{
	for (; count > 0; count--, names += strlen(names) + 1)
		if (!is_absent(weir_static_probe(s, (struct weir_str){ names, strlen(names) })))
			return false;
	return true;
}

/* Takes the reference of `target` over; `key` is the alias's path. It is good for this response in any case. */
static int make_alias(struct weir_static *s, struct weir_str key, struct weir_str path, size_t count,
		      struct static_file *target, struct static_file **ret)
{
	struct static_file *a = weir_static_file_new(key);

	if (!a) {
		weir_static_file_put(target);
		return -ENOMEM;
	}
	a->target = target;
	a->names = name_absent(s, path, count);
	/* watch first, then look, as with files */
	if (a->names && target->is_watched && weir_static_watch_absent(s, a, count) == 0 &&
	    are_absent(s, a->names, count)) {
		weir_static_commit(s, a);
	} else {
		__atomic_add_fetch(&a->refs, 1, __ATOMIC_RELAXED);
		weir_static_abandon(s, a);
		weir_cache_withdraw(s->cache, &a->item);
	}
	*ret = a;
	return 0;
}

/* What a directory without a slash at the end of its path, or without an index, means to the caller. */
static int judge_directory(const struct weir_static *s, struct weir_str path, struct weir_str name, int r)
{
	bool is_folder = path.n > 0 && name.n == path.n + 1 && name.p[path.n] == '/' && path.p[path.n - 1] != '/' &&
			 memcmp(path.p, name.p, path.n) == 0;

	if (is_folder && (r == 0 || (r == -EPERM && s->options.listing != WEIR_LISTING_OFF)))
		return -EISDIR;
	if (r == -EPERM && s->options.listing != WEIR_LISTING_OFF && weir_str_eq(path, name) &&
	    (path.n == 0 || path.p[path.n - 1] == '/'))
		return -EPERM;
	return 0;
}

int weir_static_look_up(struct weir_static *s, struct weir_str path, struct static_file **ret)
{
	const struct static_options *o = &s->options;
	char key[PATH_MAX], text[PATH_MAX];
	struct static_file *f;
	struct weir_str name;
	size_t i;
	int r;

	if (o->tries_count == 0)
		return weir_static_get(s, path, ret);
	if (path.n + 1 > sizeof(key))
		return -ENAMETOOLONG;
	key[0] = '/';
	memcpy(key + 1, path.p, path.n);
	f = weir_static_find(s, (struct weir_str){ key, path.n + 1 });
	if (f) {
		*ret = f;
		return 0;
	}
	for (i = 0; i < o->tries_count; i++) {
		if (o->tries[i].status > 0)
			return (int)o->tries[i].status;
		if (expand(o->tries[i].path, path, text, &name) < 0)
			continue;
		r = weir_static_get(s, name, &f);
		if (judge_directory(s, path, name, r) < 0) {
			if (r == 0)
				weir_static_file_put(f);
			return judge_directory(s, path, name, r);
		}
		if (r < 0 && is_absent(r))
			continue;
		if (r < 0)
			return r;
		if (i > 0)
			return make_alias(s, (struct weir_str){ key, path.n + 1 }, path, i, f, ret);
		*ret = f;
		return 0;
	}
	return -ENOENT;
}
