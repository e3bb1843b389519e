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

/* Never leaves the root: links inside it are followed, those that lead out give EXDEV. */
static int open_below(struct weir_static *s, const char *path, uint64_t more, int *ret_fd)
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

static int64_t modified_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       modified_ns(a) == modified_ns(b);
}

static int read_all(int fd, uint64_t bytes, void **ret)
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

/* The 304 response's head. */
static void describe_unmodified(struct static_file *f)
{
	struct weir_buf head = { .p = f->cond_head, .cap = sizeof(f->cond_head) };

	weir_head_begin(&head, 304, &f->cond_marks);
	weir_head_field(&head, "Last-Modified", (struct weir_str){ f->modified_text, sizeof(f->modified_text) });
	weir_head_field(&head, "ETag", f->etag);
	weir_head_field(&head, "Accept-Ranges", WEIR_STR("bytes"));
	weir_head_end(&head, &f->cond_marks);
	f->cond_bytes = (uint16_t)head.n;
}

/* The 200 response's head, and the values that others need. */
static void describe(struct weir_static *s, struct static_file *f, const struct stat *st, const char *name)
{
	struct weir_buf etag = { .p = f->etag_text, .cap = sizeof(f->etag_text) };
	struct weir_buf head = { .p = f->head, .cap = sizeof(f->head) };

	f->bytes = (uint64_t)st->st_size;
	f->modified = st->st_mtim.tv_sec;
	f->type = weir_mime_find(s->mime, name);
	weir_buf_puts(&etag, "\"");
	weir_buf_hex(&etag, (uint64_t)modified_ns(st));
	weir_buf_puts(&etag, "-");
	weir_buf_hex(&etag, f->bytes);
	weir_buf_puts(&etag, "\"");
	f->etag = (struct weir_str){ etag.p, etag.n };
	weir_date_format(f->modified, f->modified_text);

	weir_head_begin(&head, 200, &f->marks);
	weir_head_field(&head, "Content-Type", (struct weir_str){ f->type, strlen(f->type) });
	weir_head_length(&head, f->bytes);
	weir_head_field(&head, "Last-Modified", (struct weir_str){ f->modified_text, sizeof(f->modified_text) });
	weir_head_field(&head, "ETag", f->etag);
	weir_head_field(&head, "Accept-Ranges", WEIR_STR("bytes"));
	weir_head_end(&head, &f->marks);
	f->head_bytes = (uint16_t)head.n;
	describe_unmodified(f);
}

/* Takes the open file over. -ESTALE: it changed while it was read. */
static int load(struct weir_static *s, struct static_file *f, int fd, const char *name)
{
	struct stat before, after;
	int r;

	if (fstat(fd, &before) < 0)
		return -errno;
	if (!S_ISREG(before.st_mode))
		return -EPERM;
	describe(s, f, &before, name);
	if (f->bytes > STATIC_SMALL_MAX) {
		f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return f->fd < 0 ? -errno : 0;
	}
	free(f->body);
	f->body = NULL;
	r = read_all(fd, f->bytes, &f->body);
	if (r < 0)
		return r;
	return fstat(fd, &after) < 0 ? -errno : is_same(&before, &after) ? 0 : -ESTALE;
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
		r = open_below(s, name, 0, &fd);
		if (r < 0)
			return r;
		close(TAKE_FD(fd));
		r = -EPERM;
	} else {
		r = open_below(s, name, 0, &fd);
	}
	for (i = 0; is_index && i < s->index_count; i++) {
		if (path.n + s->index[i].n >= PATH_MAX)
			return -ENAMETOOLONG;
		memcpy(name + path.n, s->index[i].p, s->index[i].n + 1);
		*ret_tried = i + 1;
		r = open_below(s, name, 0, &fd);
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

/* Watches, opens again, reads, and makes the file known. */
static int fill_watched(struct weir_static *s, struct static_file *f, const char *name, size_t tried)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = weir_static_watch_add(s, f, tried, name);
	if (r < 0)
		return r;
	r = open_below(s, name, RESOLVE_NO_SYMLINKS, &fd);
	if (r == 0)
		r = load(s, f, fd, name);
	if (r == 0)
		weir_static_commit(s, f);
	return r;
}

static void abandon(struct weir_static *s, struct static_file *f)
{
	struct static_file *dead = NULL;

	pthread_mutex_lock(&s->lock);
	if (f->is_listed)
		weir_static_detach(s, f, &dead);
	pthread_mutex_unlock(&s->lock);
	weir_static_bury(s, dead);
	weir_static_file_put(f);
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
		r = load(s, f, fd, name);
	} while (r == -ESTALE && --tries > 0);
	if (r < 0 && !(r == -ESTALE && f->body)) {
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
	abandon(s, f);

	return get_unwatched(s, path, fd, name, ret);
}
