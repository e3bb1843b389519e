/* SPDX-License-Identifier: GPL-2.0 */
/* From disk to memory. A file is first opened as it is asked for, which decides the answer; then, if it may be
 * kept, it is watched and opened once more without symbolic links, because only then the watched names are all
 * that decides what the path means. What cannot be kept is served from the first descriptor. */
#include "handlers/static_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Links inside the root are followed, those that lead out give EXDEV. */
int weir_static_open(struct weir_static *s, const char *path, uint64_t more, int *ret_fd)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | more,
	};
	int tries = 8;
	long fd;

	do {
		fd = syscall(SYS_openat2, s->root_fd, *path ? path : ".", &how, sizeof(how));
		/* EAGAIN: something was renamed while ".." of a link was looked at */
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR) && --tries > 0);
	if (fd < 0)
		return -errno;
	*ret_fd = (int)fd;
	return 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       weir_static_modified_ns(a) == weir_static_modified_ns(b);
}

int weir_static_read(int fd, uint64_t bytes, void **ret)
{
	char *body = malloc(bytes > 0 ? bytes : 1);
	uint64_t at = 0;

	if (!body)
		return -ENOMEM;
	while (at < bytes) {
		ssize_t n = pread(fd, body + at, bytes - at, (off_t)at);

		if (n <= 0) {
			int error = n < 0 ? -errno : -ESTALE;

			free(body);
			return error;
		}
		at += (uint64_t)n;
	}
	*ret = body;
	return 0;
}

/* A representation out of an open file, which stays the caller's. -ESTALE: it changed while it was read, and that
 * matters. */
static int load_rep(int fd, const struct stat *before, enum weir_coding coding, bool may_change,
		    struct static_rep **ret)
{
	_cleanup_(weir_static_rep_freep) struct static_rep *rep = calloc(1, sizeof(*rep));
	struct stat after;
	int r;

	if (!rep)
		return -ENOMEM;
	rep->coding = coding;
	rep->fd = -1;
	rep->bytes = (uint64_t)before->st_size;
	rep->modified_ns = weir_static_modified_ns(before);
	if (rep->bytes > STATIC_SMALL_MAX) {
		rep->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (rep->fd < 0)
			return -errno;
	} else {
		r = weir_static_read(fd, rep->bytes, &rep->body);
		if (r < 0)
			return r;
		if (fstat(fd, &after) < 0)
			return -errno;
		if (!is_same(before, &after) && !may_change)
			return -ESTALE;
	}
	*ret = TAKE_PTR(rep);
	return 0;
}

static void set_rep(struct static_file *f, struct static_rep *rep)
{
	weir_static_rep_free(f->reps[rep->coding]);
	f->reps[rep->coding] = rep;
	f->states[rep->coding] = STATIC_READY;
}

/* What lies beside the file, unless it is older: then the file was changed and the variant forgotten. Whole seconds,
 * because compressors that copy the time cut it. */
static int load_variants(struct weir_static *s, struct static_file *f)
{
	const char *path = f->names;
	unsigned c;
	int r = 0;

	for (c = 0; c < WEIR_CODING_IDENTITY && r == 0; c++, path += strlen(path) + 1) {
		_cleanup_close_ int fd = -1;
		struct static_rep *rep;
		struct stat st;

		if (weir_static_open(s, path, RESOLVE_NO_SYMLINKS, &fd) < 0 || fstat(fd, &st) < 0)
			continue;
		if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_mtim.tv_sec < f->st.st_mtim.tv_sec)
			continue;
		r = load_rep(fd, &st, (enum weir_coding)c, false, &rep);
		if (r < 0)
			break;
		set_rep(f, rep);
		f->has_variants = true;
	}
	return r;
}

static int describe_all(struct weir_static *s, struct static_file *f, const char *name)
{
	unsigned c;
	int r = weir_static_describe(s, f, name);

	f->memory = 0;
	f->open = 0;
	for (c = 0; r == 0 && c < WEIR_CODING__MAX; c++) {
		struct static_rep *rep = f->reps[c];

		if (!rep)
			continue;
		f->memory += rep->body ? rep->bytes : 0;
		f->open += rep->fd >= 0;
		r = weir_static_describe_rep(f, rep, 0);
	}
	return r;
}

static int load(struct weir_static *s, struct static_file *f, int fd, const char *name, bool may_change)
{
	struct static_rep *rep;
	int r;

	if (fstat(fd, &f->st) < 0)
		return -errno;
	if (!S_ISREG(f->st.st_mode))
		return -EPERM;
	r = load_rep(fd, &f->st, WEIR_CODING_IDENTITY, may_change, &rep);
	if (r < 0)
		return r;
	set_rep(f, rep);
	r = f->names ? load_variants(s, f) : 0;
	return r < 0 ? r : describe_all(s, f, name);
}

/* Opens what a path stands for; `name` (PATH_MAX) receives the path of the file itself. */
static int probe(struct weir_static *s, struct weir_str path, char *name, size_t *ret_tried, int *ret_fd)
{
	bool is_index = path.n == 0 || path.p[path.n - 1] == '/';
	_cleanup_close_ int fd = -1;
	struct stat st;
	size_t i;
	int r = -EPERM;

	if (path.n + 64 > PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(name, path.p, path.n);
	name[path.n] = '\0';
	*ret_tried = 0;
	if (is_index) {
		r = weir_static_open(s, name, 0, &fd);
		if (r < 0)
			return r;
		close(TAKE_FD(fd));
		r = -EPERM;
	} else {
		r = weir_static_open(s, name, 0, &fd);
	}
	for (i = 0; is_index && i < s->index_count; i++) {
		if (path.n + s->index[i].n >= PATH_MAX)
			return -ENAMETOOLONG;
		memcpy(name + path.n, s->index[i].p, s->index[i].n + 1);
		*ret_tried = i + 1;
		r = weir_static_open(s, name, 0, &fd);
		if (r != -ENOENT)
			break;
		r = -EPERM;
	}
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return is_index ? -EPERM : -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EPERM;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The paths of a file's variants, terminated each, in the order of enum weir_coding, and an empty one. */
static char *name_variants(const char *name)
{
	static const char *const suffixes[WEIR_CODING_IDENTITY] = { ".br", ".zst", ".gz" };
	size_t bytes = strlen(name), i;
	char *names = calloc(WEIR_CODING_IDENTITY, bytes + 8), *at = names;

	for (i = 0; names && i < WEIR_CODING_IDENTITY; i++)
		at = stpcpy(stpcpy(at, name), suffixes[i]) + 1;
	return names;
}

/* Watches, opens again, reads, and makes the file known. */
static int fill_watched(struct weir_static *s, struct static_file *f, const char *name, size_t tried)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (s->options.precompressed) {
		f->names = name_variants(name);
		if (!f->names)
			return -ENOMEM;
	}
	f->is_watched = true;
	r = weir_static_watch_add(s, f, tried, name, f->names);
	if (r < 0)
		return r;
	r = weir_static_open(s, name, RESOLVE_NO_SYMLINKS, &fd);
	if (r == 0)
		r = load(s, f, fd, name, false);
	if (r == 0)
		weir_static_commit(s, f);
	return r;
}

/* For this one response. A file that is being written may give bytes of two versions, as with any server, but never
 * fewer than its head says. */
static int get_unwatched(struct weir_static *s, struct weir_str path, int fd, const char *name,
			 struct static_file **ret)
{
	struct static_file *f = weir_static_file_new(path);
	int r, tries = 3;

	if (!f)
		return -ENOMEM;
	f->item.is_withdrawn = true; /* nobody watches it: never publish */
	do {
		r = load(s, f, fd, name, tries == 1);
	} while (r == -ESTALE && --tries > 0);
	if (r < 0) {
		weir_static_file_put(f);
		return r;
	}
	*ret = f;
	return 0;
}

int weir_static_get(struct weir_static *s, struct weir_str path, struct static_file **ret)
{
	_cleanup_close_ int fd = -1;
	struct static_file *f = weir_static_find(s, path);
	char name[PATH_MAX];
	size_t tried;
	int r;

	if (f) {
		*ret = f;
		return 0;
	}
	r = probe(s, path, name, &tried, &fd);
	if (r < 0)
		return r;
	f = weir_static_file_new(path);
	if (!f)
		return -ENOMEM;
	if (fill_watched(s, f, name, tried) == 0) {
		*ret = f;
		return 0;
	}
	weir_static_abandon(s, f);

	return get_unwatched(s, path, fd, name, ret);
}

int weir_static_probe(struct weir_static *s, struct weir_str path)
{
	_cleanup_close_ int fd = -1;
	char name[PATH_MAX];
	size_t tried;

	return probe(s, path, name, &tried, &fd);
}
