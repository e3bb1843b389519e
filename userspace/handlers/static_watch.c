/* SPDX-License-Identifier: GPL-2.0 */
/* Changes, by inotify. Each listed file has a link for every name on its way: (directory, next name), and one for
 * itself, so that an event finds exactly the files that it concerns, also when a directory is known by two names.
 *
 * The order makes it safe: watch first, then open without following symbolic links, then read. An event that comes
 * in between detaches the file before it is ever found; one that comes later withdraws it. */
#include "handlers/static_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>

#define DIR_EVENTS                                                                                                     \
	(IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE |                \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW)
#define FILE_EVENTS (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_DONT_FOLLOW)

static uint32_t link_hash(int wd, struct weir_str name)
{
	return weir_static_hash(name.p, name.n) ^ (uint32_t)wd * 2654435761u;
}

static struct static_wd **find_wd(struct weir_static *s, int wd)
{
	struct static_wd **p = &s->wds[(unsigned)wd & (STATIC_BUCKETS - 1)];

	while (*p && (*p)->wd != wd)
		p = &(*p)->next;
	return p;
}

/* Adds a watch and a link that needs it. Under lock, so that no rm_watch of the same directory comes between. */
static int add_link(struct weir_static *s, struct static_file *f, const char *path, uint32_t events,
		    struct weir_str name)
{
	struct static_link *l = &f->links[f->links_count], **bucket;
	struct static_wd **place;
	int wd;

	if (f->links_count == STATIC_LINKS_MAX)
		return -ENAMETOOLONG;
	wd = inotify_add_watch(s->inotify_fd, path, events);
	if (wd < 0)
		return -errno;
	place = find_wd(s, wd);
	if (!*place) {
		*place = calloc(1, sizeof(**place));
		if (!*place)
			return -ENOMEM;
		(*place)->wd = wd;
	}
	(*place)->refs++;
	f->links_count++;
	*l = (struct static_link){ .file = f, .wd = wd, .hash = link_hash(wd, name), .name = name };
	bucket = &s->links[l->hash & (STATIC_BUCKETS - 1)];
	l->next = *bucket;
	*bucket = l;
	return 0;
}

void weir_static_unwatch(struct weir_static *s, struct static_link *l)
{
	struct static_link **p = &s->links[l->hash & (STATIC_BUCKETS - 1)];
	struct static_wd **place = find_wd(s, l->wd), *w = *place;

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	if (!w || --w->refs > 0)
		return;
	*place = w->next;
	free(w);
	/* fails when the directory is gone, which is as good */
	(void)inotify_rm_watch(s->inotify_fd, l->wd);
}

/* The links for all names of `path`, which is f->path or in f->names: writable, and restored. Under lock. */
static int add_directories(struct weir_static *s, struct static_file *f, char *path, size_t bytes, size_t index_count)
{
	size_t start = 0, i;
	int r = 0;

	while (r == 0) {
		char *slash = memchr(path + start, '/', bytes - start);
		size_t end = slash ? (size_t)(slash - path) : bytes;
		struct weir_str name = { path + start, end - start };
		const char *dir = start == 0 ? "." : path;

		if (start > 0)
			path[start - 1] = '\0';
		if (name.n > 0)
			r = add_link(s, f, dir, DIR_EVENTS, name);
		else if (start == bytes)
			for (i = 0; r == 0 && i < index_count; i++)
				r = add_link(s, f, dir, DIR_EVENTS, s->index[i]);
		else
			r = -EINVAL; /* "a//b": not worth a second name for the same file */
		if (start > 0)
			path[start - 1] = '/';
		if (!slash)
			break;
		start = end + 1;
	}
	return r;
}

/* The variants in f->names: their directory is watched already, for the file itself. Those that exist are watched by
 * themselves too. Under lock. */
static int add_variants(struct weir_static *s, struct static_file *f)
{
	char *path = f->names;
	int r = 0;

	while (r == 0 && *path) {
		char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

		if (slash)
			*slash = '\0';
		r = add_link(s, f, slash ? path : ".", DIR_EVENTS, (struct weir_str){ name, strlen(name) });
		if (slash)
			*slash = '/';
		if (r == 0)
			r = add_link(s, f, path, FILE_EVENTS, (struct weir_str){ "", 0 });
		if (r == -ENOENT)
			r = 0;
		path += strlen(path) + 1;
	}
	return r;
}

/* Under lock. */
static void list(struct weir_static *s, struct static_file *f)
{
	__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
	weir_static_list(s, f);
	f->is_listed = true;
}

int weir_static_watch_add(struct weir_static *s, struct static_file *f, size_t index_count, const char *file_path,
			  bool variants)
{
	struct static_file *dead = NULL;
	int r;

	pthread_mutex_lock(&s->lock);
	list(s, f);
	r = add_directories(s, f, f->path, f->path_bytes, index_count);
	if (r == 0)
		r = add_link(s, f, file_path, FILE_EVENTS, (struct weir_str){ "", 0 });
	if (r == 0 && variants)
		r = add_variants(s, f);
	if (r < 0)
		weir_static_detach(s, f, &dead);
	pthread_mutex_unlock(&s->lock);
	weir_static_bury(s, dead);
	return r;
}

int weir_static_watch_absent(struct weir_static *s, struct static_file *f, size_t count)
{
	struct static_file *dead = NULL;
	char *path = f->names;
	int r = 0;

	pthread_mutex_lock(&s->lock);
	list(s, f);
	while (r == 0 && count-- > 0) {
		/* as far as there are directories: the first name that is missing has its link then */
		r = add_directories(s, f, path, strlen(path), s->index_count);
		if (r == -ENOENT || r == -ENOTDIR)
			r = 0;
		path += strlen(path) + 1;
	}
	if (r < 0)
		weir_static_detach(s, f, &dead);
	pthread_mutex_unlock(&s->lock);
	weir_static_bury(s, dead);
	return r;
}

/* A directory has changed as a whole, or is gone: every file with a link to it. Rare, so it may look at all. */
static void detach_by_wd(struct weir_static *s, int wd, struct static_file **dead)
{
	struct static_file *f, *older;
	unsigned i;

	for (f = s->newest; f; f = older) {
		older = f->older;
		for (i = 0; i < f->links_count; i++)
			if (wd < 0 || f->links[i].wd == wd)
				break;
		if (i == f->links_count)
			continue;
		weir_static_detach(s, f, dead);
		/* it may have been an alias, and gone with its target */
		if (older && !older->is_listed)
			older = s->newest;
	}
}

static void detach_by_name(struct weir_static *s, int wd, struct weir_str name, struct static_file **dead)
{
	uint32_t hash = link_hash(wd, name);
	struct static_link *l;

	/* Detaching unlinks more than one link of the bucket: start over after each. */
	do {
		for (l = s->links[hash & (STATIC_BUCKETS - 1)]; l; l = l->next)
			if (l->hash == hash && l->wd == wd && weir_str_eq(l->name, name))
				break;
		if (l)
			weir_static_detach(s, l->file, dead);
	} while (l);
}

static void handle(struct weir_static *s, const struct inotify_event *e, struct static_file **dead)
{
	struct weir_str name = { e->name, e->len > 0 ? strlen(e->name) : 0 };

	if (e->mask & IN_Q_OVERFLOW) {
		detach_by_wd(s, -1, dead);
		return;
	}
	detach_by_name(s, e->wd, name, dead);
	if (name.n == 0 && *find_wd(s, e->wd))
		detach_by_wd(s, e->wd, dead);
}

void weir_static_watch(struct weir_static *s)
{
	char bytes[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(s->inotify_fd, bytes, sizeof(bytes))) > 0) {
		struct static_file *dead = NULL;
		ssize_t at = 0;

		pthread_mutex_lock(&s->lock);
		while (at < n) {
			const struct inotify_event *e = (const struct inotify_event *)(bytes + at);

			handle(s, e, &dead);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
		pthread_mutex_unlock(&s->lock);
		weir_static_bury(s, dead);
	}
}

int weir_static_watch_fd(const struct weir_static *s)
{
	return s->inotify_fd;
}
