/* SPDX-License-Identifier: GPL-2.0 */
/* The table of files and aliases in memory: by path, and in order of use. One lock, held for a few hundred nanoseconds a
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
	f->refs = 1;
	weir_cache_item_init(&f->item);
	return f;
}

struct static_rep *weir_static_rep_free(struct static_rep *r)
{
	if (!r)
		return NULL;
	if (r->fd >= 0)
		close(r->fd);
	free(r->body);
	free(r->head);
	free(r->cond_head);
	free(r);
	return NULL;
}

void weir_static_file_put(struct static_file *f)
{
	struct static_file *target = f->target;
	unsigned c;

	/* acq_rel: whoever frees sees what the others did with it */
	if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	weir_cache_item_fini(&f->item);
	for (c = 0; c < WEIR_CODING__MAX; c++)
		weir_static_rep_free(f->reps[c]);
	free(f->names);
	free(f->extra);
	free(f->path);
	free(f);
	if (target)
		weir_static_file_put(target);
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

static void touch(struct weir_static *s, struct static_file *f)
{
	if (s->newest == f)
		return;
	unlist(s, f);
	weir_static_list(s, f);
}

struct static_file *weir_static_find(struct weir_static *s, struct weir_str path)
{
	uint32_t hash = weir_static_hash(path.p, path.n);
	struct static_file *f;

	pthread_mutex_lock(&s->lock);
	f = *find_place(s, path, hash);
	if (f) {
		__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
		touch(s, f);
		if (f->target)
			touch(s, f->target);
	}
	pthread_mutex_unlock(&s->lock);
	return f;
}

/* An alias that is found is among its target's. */
static void leave_target(struct static_file *f)
{
	struct static_file **p = &f->target->aliases;

	while (*p != f)
		p = &(*p)->next_alias;
	*p = f->next_alias;
	f->target->aliases_count--;
}

void weir_static_detach(struct weir_static *s, struct static_file *f, struct static_file **dead)
{
	unsigned i;

	while (f->aliases)
		weir_static_detach(s, f->aliases, dead);
	if (f->is_found) {
		if (f->target)
			leave_target(f);
		struct static_file **p = find_place(s, (struct weir_str){ f->path, f->path_bytes }, f->hash);

		*p = f->next;
		s->files--;
		s->memory -= f->memory;
		s->open -= f->open;
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

static void trim(struct weir_static *s, const struct static_file *keep, struct static_file **dead)
{
	while (s->oldest && s->oldest != keep && s->oldest != keep->target &&
	       (s->files > s->files_max || s->memory > STATIC_MEMORY_MAX || s->open > STATIC_OPEN_MAX))
		weir_static_detach(s, s->oldest, dead);
}

/* Whoever invents paths for one file pushes out no more than others of the same file. */
static void join_target(struct weir_static *s, struct static_file *f, struct static_file **dead)
{
	struct static_file *last = f->target->aliases;

	f->next_alias = last;
	f->target->aliases = f;
	if (++f->target->aliases_count <= STATIC_ALIASES_MAX)
		return;
	while (last->next_alias)
		last = last->next_alias;
	weir_static_detach(s, last, dead);
}

void weir_static_commit(struct weir_static *s, struct static_file *f)
{
	struct static_file *dead = NULL, **place;

	pthread_mutex_lock(&s->lock);
	place = find_place(s, (struct weir_str){ f->path, f->path_bytes }, f->hash);
	if (!f->is_listed) {
		/* changed while it was read: good for this one response, no more */
	} else if (*place || (f->target && !f->target->is_found)) {
		weir_static_detach(s, f, &dead);
	} else {
		f->next = NULL;
		*place = f;
		f->is_found = true;
		s->files++;
		s->memory += f->memory;
		s->open += f->open;
		if (f->target)
			join_target(s, f, &dead);
	}
	trim(s, f, &dead);
	pthread_mutex_unlock(&s->lock);
	weir_static_bury(s, dead);
}

void weir_static_abandon(struct weir_static *s, struct static_file *f)
{
	struct static_file *dead = NULL;

	pthread_mutex_lock(&s->lock);
	if (f->is_listed)
		weir_static_detach(s, f, &dead);
	pthread_mutex_unlock(&s->lock);
	weir_static_bury(s, dead);
	weir_static_file_put(f);
}

void weir_static_add_rep(struct weir_static *s, struct static_file *f, struct static_rep *r)
{
	struct static_file *dead = NULL;
	size_t memory = r->body ? r->bytes : 0;

	pthread_mutex_lock(&s->lock);
	f->reps[r->coding] = r;
	/* release: who reads READY reads the representation too */
	__atomic_store_n(&f->states[r->coding], STATIC_READY, __ATOMIC_RELEASE);
	f->memory += memory;
	f->open += r->fd >= 0;
	if (f->is_found) {
		s->memory += memory;
		s->open += r->fd >= 0;
		trim(s, f, &dead);
	}
	pthread_mutex_unlock(&s->lock);
	weir_static_bury(s, dead);
}
