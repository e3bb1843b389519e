/* SPDX-License-Identifier: GPL-2.0 */
/* From a path to a script. A path is divided at each place where a script's name could end, and only a regular file
 * below the root makes it one: "/x.jpg/evil.php" is no script however an application would read it, because there is
 * no such file. Names decide what is never sent as text. */
#include "handlers/fastcgi.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "http/fcgi.h"

struct weir_fastcgi {
	const struct weir_conf_pool *conf;
	struct weir_str extension;
	char *static_index;
	int root_fd; /* -1: takes_all without a root */
};

int weir_fastcgi_static_index(const struct weir_conf_pool *conf, char **ret)
{
	struct weir_str extension = { conf->fastcgi.extension, strlen(conf->fastcgi.extension) };
	_cleanup_free_ char *names = strdup(conf->index), *kept = calloc(1, strlen(conf->index) + 2);
	char *name, *save;

	if (!names || !kept)
		return -ENOMEM;
	for (name = strtok_r(names, " \t", &save); name; name = strtok_r(NULL, " \t", &save)) {
		if (weir_cgi_is_script((struct weir_str){ name, strlen(name) }, extension))
			continue;
		if (*kept)
			strcat(kept, " ");
		strcat(kept, name);
	}
	*ret = TAKE_PTR(kept);
	return 0;
}

int weir_fastcgi_new(const struct weir_conf_pool *conf, struct weir_fastcgi **ret)
{
	_cleanup_(weir_fastcgi_freep) struct weir_fastcgi *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->conf = conf;
	f->extension = (struct weir_str){ conf->fastcgi.extension, strlen(conf->fastcgi.extension) };
	f->root_fd = -1;
	r = weir_fastcgi_static_index(conf, &f->static_index);
	if (r < 0)
		return r;
	if (conf->root) {
		f->root_fd = open(conf->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (f->root_fd < 0)
			return -errno;
	}
	*ret = TAKE_PTR(f);
	return 0;
}

struct weir_fastcgi *weir_fastcgi_free(struct weir_fastcgi *f)
{
	if (!f)
		return NULL;
	if (f->root_fd >= 0)
		close(f->root_fd);
	free(f->static_index);
	free(f);
	return NULL;
}

enum kind {
	KIND_NONE,
	KIND_FILE,
	KIND_DIRECTORY,
	KIND_CLOSED, /* it may not be looked at */
};

/* What a path below the root is; links may not lead out of it. */
static enum kind look(const struct weir_fastcgi *f, struct weir_str path, struct weir_str more)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_close_ int fd = -1;
	char name[PATH_MAX];
	struct stat st;
	int tries = 8;

	if (path.n + more.n + 1 > sizeof(name))
		return KIND_NONE;
	memcpy(name, path.p, path.n);
	memcpy(name + path.n, more.p ? more.p : "", more.n);
	name[path.n + more.n] = '\0';
	do {
		fd = (int)syscall(SYS_openat2, f->root_fd, *name ? name : ".", &how, sizeof(how));
		/* EAGAIN: something was renamed while ".." of a link was looked at */
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR) && --tries > 0);
	if (fd < 0)
		return errno == EACCES || errno == EXDEV || errno == ELOOP ? KIND_CLOSED : KIND_NONE;
	if (fstat(fd, &st) < 0)
		return KIND_NONE;
	return S_ISREG(st.st_mode) ? KIND_FILE : S_ISDIR(st.st_mode) ? KIND_DIRECTORY : KIND_CLOSED;
}

/* ".git/config", "a/.env": never part of a site, but for ".well-known" (RFC 8615). */
static bool is_hidden(struct weir_str path)
{
	bool is_first = true;
	struct weir_str part;

	while (weir_str_next(&path, '/', &part)) {
		if (part.n > 0 && part.p[0] == '.' && !(is_first && weir_str_eq(part, WEIR_STR(".well-known"))))
			return true;
		is_first = false;
	}
	return false;
}

/* The script that a path names. False: none. */
static bool find_script(const struct weir_fastcgi *f, struct weir_str path, struct weir_script *ret)
{
	const struct weir_str nothing = { NULL, 0 };
	size_t end = 0;

	while ((end = weir_cgi_split(path, f->extension, end)) > 0) {
		struct weir_str script = { path.p, end };

		if (look(f, script, nothing) != KIND_FILE)
			continue;
		*ret = (struct weir_script){
			.file = script,
			.path_info = { path.p + end, path.n - end },
		};
		return true;
	}
	return false;
}

static enum weir_fastcgi_target find_front(const struct weir_fastcgi *f, struct weir_script *ret)
{
	const char *front = f->conf->fastcgi.front;

	/* not the static handler's: a script may come into being before it looks */
	if (!front)
		return WEIR_FASTCGI_NONE;
	*ret = (struct weir_script){ .file = { front + 1, strlen(front + 1) } };
	return WEIR_FASTCGI_SCRIPT;
}

/* A directory with its slash. */
static enum weir_fastcgi_target find_index(const struct weir_fastcgi *f, struct weir_str path, struct weir_script *ret)
{
	struct weir_str index = { f->conf->fastcgi.index, strlen(f->conf->fastcgi.index) };
	struct weir_str rest = { f->static_index, strlen(f->static_index) }, name;

	if (look(f, path, index) == KIND_FILE) {
		*ret = (struct weir_script){ .file = path, .index = index };
		return WEIR_FASTCGI_SCRIPT;
	}
	while (weir_str_next(&rest, ' ', &name))
		if (name.n > 0 && look(f, path, name) == KIND_FILE)
			return WEIR_FASTCGI_FILE;
	return find_front(f, ret);
}

static enum weir_fastcgi_target find_file(const struct weir_fastcgi *f, struct weir_str path, struct weir_script *ret)
{
	const struct weir_str nothing = { NULL, 0 };
	bool is_script = weir_cgi_is_script(path, f->extension);

	switch (look(f, path, nothing)) {
	case KIND_DIRECTORY:
		return path.n == 0 || path.p[path.n - 1] == '/' ? find_index(f, path, ret)
		       : is_script				? WEIR_FASTCGI_REFUSE
								: WEIR_FASTCGI_FILE;
	case KIND_FILE:
		/* of another case than scripts have: nobody would run it */
		return is_script ? WEIR_FASTCGI_REFUSE : WEIR_FASTCGI_FILE;
	case KIND_CLOSED:
		return WEIR_FASTCGI_REFUSE;
	case KIND_NONE:
		break;
	}
	return find_front(f, ret);
}

enum weir_fastcgi_target weir_fastcgi_find(const struct weir_fastcgi *f, struct weir_str path, struct weir_str prefix,
					   struct weir_script *ret)
{
	if (f->conf->fastcgi.takes_all) {
		*ret = (struct weir_script){ .path_info = { path.p + MIN(prefix.n - 1, path.n), 0 } };
		ret->path_info.n = (size_t)(path.p + path.n - ret->path_info.p);
		return WEIR_FASTCGI_SCRIPT;
	}
	/* "/app" belongs to the prefix "/app/": the static handler says so */
	if (path.n < prefix.n)
		return WEIR_FASTCGI_FILE;
	path.p += prefix.n;
	path.n -= prefix.n;
	while (path.n > 0 && *path.p == '/') {
		path.p++;
		path.n--;
	}
	if (is_hidden(path))
		return find_front(f, ret);
	return find_script(f, path, ret) ? WEIR_FASTCGI_SCRIPT : find_file(f, path, ret);
}
