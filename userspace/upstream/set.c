/* SPDX-License-Identifier: GPL-2.0 */
/* The set of servers, and which of them rest after failures. */
#include "upstream/upstream_priv.h"

#include <errno.h>
#include <string.h>

int weir_up_set_new(const struct weir_conf_proxy *conf, struct weir_up_shared *shared, struct weir_up_set **ret)
{
	struct weir_up_set *s = calloc(1, sizeof(*s));
	size_t i;

	if (!s)
		return -ENOMEM;
	s->conf = conf;
	s->count = conf->servers_count;
	s->servers = calloc(s->count + 1, sizeof(*s->servers));
	if (!shared)
		shared = s->own = calloc(s->count + 1, sizeof(*s->own));
	if (!s->servers || !shared) {
		(void)weir_up_set_free(s);
		return -ENOMEM;
	}
	pthread_mutex_init(&s->lock, NULL);
	for (i = 0; i < s->count; i++) {
		const struct weir_conf_upstream *u = &conf->servers[i];

		s->servers[i].conf = u;
		s->servers[i].index = (unsigned)i;
		s->servers[i].name_hash = weir_up_hash((struct weir_str){ u->text, strlen(u->text) });
		s->servers[i].shared = &shared[i];
	}
	*ret = s;
	return 0;
}

struct weir_up_set *weir_up_set_free(struct weir_up_set *s)
{
	struct weir_up_conn *c, *next;

	if (!s)
		return NULL;
	if (s->servers) {
		weir_up_check_end(s);
		weir_up_expire(s, 0, true);
	}
	for (c = s->spare; c; c = next) {
		next = c->next;
		free(c);
	}
	free(s->servers);
	free(s->own);
	free(s);
	return NULL;
}

const char *weir_up_state_name(enum weir_up_state s)
{
	static const char *const names[] = { "ready", "resting", "down" };

	return names[s];
}

enum weir_up_state weir_up_shared_state(const struct weir_up_shared *s, uint64_t now_ms)
{
	if (__atomic_load_n(&s->is_down, __ATOMIC_RELAXED))
		return WEIR_UP_DOWN;
	return now_ms < __atomic_load_n(&s->rests_until_ms, __ATOMIC_RELAXED) ? WEIR_UP_RESTING : WEIR_UP_READY;
}

/* Counts failures within fail_timeout; with the last one that is allowed the server rests. Two
 * workers that fail at the same moment may count one too few: it is an estimate anyway. */
static bool note_failure(const struct weir_conf_proxy *conf, struct weir_up_shared *s, uint64_t now_ms)
{
	uint64_t since = __atomic_load_n(&s->fails_since_ms, __ATOMIC_RELAXED);

	__atomic_add_fetch(&s->failures, 1, __ATOMIC_RELAXED);
	if (conf->max_fails == 0)
		return false;
	if (now_ms >= since + conf->fail_ms) {
		__atomic_store_n(&s->fails_since_ms, now_ms, __ATOMIC_RELAXED);
		__atomic_store_n(&s->fails, 0, __ATOMIC_RELAXED);
	}
	if (__atomic_add_fetch(&s->fails, 1, __ATOMIC_RELAXED) < conf->max_fails)
		return false;
	__atomic_store_n(&s->rests_until_ms, now_ms + conf->fail_ms, __ATOMIC_RELAXED);
	__atomic_store_n(&s->fails, 0, __ATOMIC_RELAXED);
	return true;
}

bool weir_up_done(struct weir_up_set *s, struct weir_up_server *server, bool has_failed, uint64_t now_ms)
{
	pthread_mutex_lock(&s->lock);
	server->active--;
	pthread_mutex_unlock(&s->lock);
	return has_failed && note_failure(s->conf, server->shared, now_ms);
}
