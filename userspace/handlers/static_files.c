/* SPDX-License-Identifier: GPL-2.0 */
/* The table of files in memory: by path, and in order of use. One lock, held for a few hundred nanoseconds a
 * request; what takes longer (withdrawing, freeing) is done after it with a list of the dead. */
#include "handlers/static_priv.h"

#include <stdlib.h>
#include <string.h>

uint32_t weir_static_hash(const char *p, size_t n)
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (uint8_t)p[i]) * 16777619u;
	return h ^ h >> 15;
}

struct static_file *weir_static_file_new(struct weir_str path)
{
	struct static_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->path = malloc(path.n + 1);
	if (!f->path) {
		free(f);
		return NULL;
	}
	memcpy(f->path, path.p, path.n);
	f->path[path.n] = '\0';
	f->path_bytes = path.n;
	f->hash = weir_static_hash(path.p, path.n);
	f->fd = -1;
	f->refs = 1;
	weir_cache_item_init(&f->item);
	return f;
}

void weir_static_file_put(struct static_file *f)
{
	/* acq_rel: whoever frees sees what the others did with it */
	if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	weir_cache_item_fini(&f->item);
	if (f->fd >= 0)
		close(f->fd);
	free(f->body);
	free(f->path);
	free(f);
}

static void unlist(struct weir_static *s, struct static_file *f)
{
	*(f->newer ? &f->newer->older : &s->newest) = f->older;
	*(f->older ? &f->older->newer : &s->oldest) = f->newer;
	f->newer = f->older = NULL;
}

void weir_static_list(struct weir_static *s, struct static_file *f)
{
	f->newer = NULL;
	f->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = f;
	s->newest = f;
}

static struct static_file **find_place(struct weir_static *s, struct weir_str path, uint32_t hash)
{
	struct static_file **p = &s->paths[hash & (STATIC_BUCKETS - 1)];

	while (*p && ((*p)->hash != hash || (*p)->path_bytes != path.n || memcmp((*p)->path, path.p, path.n) != 0))
		p = &(*p)->next;
	return p;
}

struct static_file *weir_static_find(struct weir_static *s, struct weir_str path)
{
	uint32_t hash = weir_static_hash(path.p, path.n);
	struct static_file *f;

	pthread_mutex_lock(&s->lock);
	f = *find_place(s, path, hash);
	if (f) {
		__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
		if (s->newest != f) {
			unlist(s, f);
			weir_static_list(s, f);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return f;
}

void weir_static_detach(struct weir_static *s, struct static_file *f, struct static_file **dead)
{
	unsigned i;

	if (f->is_found) {
		struct static_file **p = find_place(s, (struct weir_str){ f->path, f->path_bytes }, f->hash);

		*p = f->next;
		s->files--;
		s->memory -= f->body ? f->bytes : 0;
		s->open -= f->fd >= 0;
	}
	unlist(s, f);
	for (i = 0; i < f->links_count; i++)
		weir_static_unwatch(s, &f->links[i]);
	f->links_count = 0;
	f->is_found = f->is_listed = false;
	f->next = *dead;
	*dead = f;
}

void weir_static_bury(struct weir_static *s, struct static_file *dead)
{
	while (dead) {
		struct static_file *f = dead;

		dead = f->next;
		weir_cache_withdraw(s->cache, &f->item);
		weir_static_file_put(f);
	}
}

void weir_static_commit(struct weir_static *s, struct static_file *f)
{
	struct static_file *dead = NULL, **place;

	pthread_mutex_lock(&s->lock);
	place = find_place(s, (struct weir_str){ f->path, f->path_bytes }, f->hash);
	if (!f->is_listed) {
		/* changed while it was read: good for this one response, no more */
	} else if (*place) {
		weir_static_detach(s, f, &dead);
	} else {
		f->next = NULL;
		*place = f;
		f->is_found = true;
		s->files++;
		s->memory += f->body ? f->bytes : 0;
		s->open += f->fd >= 0;
	}
	while (s->oldest && s->oldest != f &&
	       (s->files > s->files_max || s->memory > STATIC_MEMORY_MAX || s->open > STATIC_OPEN_MAX))
		weir_static_detach(s, s->oldest, &dead);
	pthread_mutex_unlock(&s->lock);
	weir_static_bury(s, dead);
}
