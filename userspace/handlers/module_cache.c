/* SPDX-License-Identifier: GPL-2.0 */
/* What modules have in the kernel cache: a table of URLs with their tags, so that a purge finds what this worker has
 * published. What other workers of the pool have published is in no table here: while there are any, a purge takes
 * everything that the pool has. The kernel's side is weir_cache_publish() and weir_cache_withdraw(), nothing else. */
#include "handlers/module_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bpf_map.h"
#include "common/clock.h"

/* --- what the response allows --- */

static bool has_word(struct weir_str list, struct weir_str word)
{
	struct weir_str item;

	while (weir_str_next(&list, ',', &item)) {
		item = weir_str_trim(item);
		/* private="field" too */
		if (item.n > word.n && item.p[word.n] == '=')
			item.n = word.n;
		if (weir_str_caseeq(item, word))
			return true;
	}
	return false;
}

void module_cache_field(struct weir_exchange *x, struct weir_str name, struct weir_str value)
{
	if (weir_str_caseeq(name, WEIR_STR("set-cookie")))
		x->is_private = true;
	else if (weir_str_caseeq(name, WEIR_STR("vary")))
		x->is_private |= !weir_str_caseeq(value, WEIR_STR("accept-encoding"));
	else if (weir_str_caseeq(name, WEIR_STR("cache-control")))
		x->is_private |= has_word(value, WEIR_STR("no-store")) || has_word(value, WEIR_STR("no-cache")) ||
				 has_word(value, WEIR_STR("private"));
}

int module_cache(struct weir_exchange *x, int policy, unsigned seconds)
{
	if (x->is_misused)
		return -EINVAL;
	if (policy < WEIR_MODULE_CACHE_NONE || policy > WEIR_MODULE_CACHE_TTL)
		return module_misuse(x, "cache(): there is no policy %d", policy);
	if (policy == WEIR_MODULE_CACHE_TTL && (seconds < 1 || seconds > MODULE_TTL_MAX))
		return module_misuse(x, "cache(): %u seconds, from 1 to %d are possible", seconds, MODULE_TTL_MAX);
	x->policy = policy;
	x->seconds = seconds;
	return 0;
}

int module_tag(struct weir_exchange *x, const char *tag)
{
	size_t n = tag ? strlen(tag) : 0;

	if (x->is_misused)
		return -EINVAL;
	if (n == 0 || n > MODULE_TAG_BYTES)
		return module_misuse(x, "tag(): a tag has 1 to %d bytes", MODULE_TAG_BYTES);
	if (x->tags_count == MODULE_TAGS_MAX)
		return -E2BIG;
	memcpy(x->tags[x->tags_count++], tag, n + 1);
	x->tags_bytes += n;
	return 0;
}

/* --- the table --- */

void module_urls_init(struct module_urls *u, struct weir_cache *cache, const struct weir_module_conf *conf)
{
	u->cache = cache;
	u->conf = conf;
	pthread_mutex_init(&u->lock, NULL);
}

static uint32_t hash_of(struct weir_str host, struct weir_str target)
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < host.n; i++)
		h = (h ^ (uint8_t)host.p[i]) * 16777619u;
	for (i = 0; i < target.n; i++)
		h = (h ^ (uint8_t)target.p[i]) * 16777619u;
	return h ^ h >> 15;
}

static void put(struct module_url *url)
{
	if (__atomic_sub_fetch(&url->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	weir_cache_item_fini(&url->item);
	free(url);
}

/* Out of the table, to the list of the dead. Under lock. */
static void detach(struct module_urls *u, struct module_url *url, struct module_url **dead)
{
	struct module_url **at = &u->buckets[url->hash & (MODULE_BUCKETS - 1)];

	while (*at != url)
		at = &(*at)->next;
	*at = url->next;
	*(url->newer ? &url->newer->older : &u->newest) = url->older;
	*(url->older ? &url->older->newer : &u->oldest) = url->newer;
	u->count--;
	url->next = *dead;
	*dead = url;
}

/* Not under lock. Returns how many. */
static int bury(struct module_urls *u, struct module_url *dead)
{
	struct module_url *next;
	int n = 0;

	for (; dead; dead = next, n++) {
		next = dead->next;
		weir_cache_withdraw(u->cache, &dead->item);
		put(dead);
	}
	return n;
}

static void list(struct module_urls *u, struct module_url *url)
{
	struct module_url **bucket = &u->buckets[url->hash & (MODULE_BUCKETS - 1)];

	url->next = *bucket;
	*bucket = url;
	url->older = u->newest;
	*(u->newest ? &u->newest->newer : &u->oldest) = url;
	u->newest = url;
	u->count++;
}

static struct weir_str copy_of(char **at, struct weir_str s)
{
	struct weir_str copy = { *at, s.n };

	memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static struct module_url *new_url(const struct weir_exchange *x, uint32_t hash)
{
	const struct weir_request *req = x->call->req;
	struct module_url *url = calloc(1, sizeof(*url) + req->host.n + req->target.n + x->tags_bytes);
	char *at;

	if (!url)
		return NULL;
	at = url->text;
	url->hash = hash;
	url->refs = 2; /* the table's and the caller's */
	weir_cache_item_init(&url->item);
	url->host = copy_of(&at, req->host);
	url->target = copy_of(&at, req->target);
	for (; url->tags_count < x->tags_count; url->tags_count++) {
		const char *tag = x->tags[url->tags_count];

		url->tags[url->tags_count] = copy_of(&at, (struct weir_str){ tag, strlen(tag) });
	}
	if (x->policy == WEIR_MODULE_CACHE_TTL)
		url->expires_ns = weir_now_ns() + x->seconds * 1000000000ull;
	return url;
}

/* Whether what is cached under the URL goes on, and this response may be put beside it, for clients with other codings. */
static bool is_same(const struct module_url *url, const struct weir_exchange *x)
{
	unsigned i;

	if ((url->expires_ns != 0) != (x->policy == WEIR_MODULE_CACHE_TTL) || url->tags_count != x->tags_count ||
	    (url->expires_ns && url->expires_ns <= weir_now_ns()))
		return false;
	for (i = 0; i < x->tags_count; i++)
		if (!weir_str_eq(url->tags[i], (struct weir_str){ x->tags[i], strlen(x->tags[i]) }))
			return false;
	return true;
}

/* The URL's place in the table, with a reference. NULL: a purge came meanwhile, or no memory. */
static struct module_url *get_url(struct module_urls *u, const struct weir_exchange *x)
{
	const struct weir_request *req = x->call->req;
	uint32_t hash = hash_of(req->host, req->target);
	struct module_url *url, *dead = NULL;

	pthread_mutex_lock(&u->lock);
	for (url = u->buckets[hash & (MODULE_BUCKETS - 1)]; url; url = url->next)
		if (url->hash == hash && weir_str_eq(url->target, req->target) && weir_str_eq(url->host, req->host))
			break;
	if (x->purges != u->purges) {
		url = NULL;
	} else if (url && is_same(url, x)) {
		__atomic_add_fetch(&url->refs, 1, __ATOMIC_RELAXED);
	} else {
		if (url)
			detach(u, url, &dead);
		url = new_url(x, hash);
		if (url)
			list(u, url);
		while (u->count > MAX(u->conf->urls_max, (size_t)1))
			detach(u, u->oldest, &dead);
	}
	pthread_mutex_unlock(&u->lock);
	(void)bury(u, dead);
	return url;
}

void module_cache_publish(struct weir_exchange *x)
{
	struct module_urls *u = &x->w->urls;
	const struct weir_response *resp = x->resp;
	const struct weir_part *body = resp->parts_count > 0 ? resp->parts : NULL;
	struct weir_cache_image image = {
		.head = { resp->head, resp->head_bytes, resp->date_off, resp->conn_off, 0 },
		.body = body ? body->mem : "",
		.body_bytes = body ? body->bytes : 0,
		.flags = WEIR_ENTRY_IGNORE_REQUEST,
	};
	struct module_url *url;
	uint8_t encodings;

	/* After a worker that leaves nobody would purge. */
	if (x->policy == WEIR_MODULE_CACHE_NONE || x->is_private || resp->status != 200 || resp->must_close ||
	    !weir_cache_is_on(u->cache) || weir_response_bytes(resp) > WEIR_BYTES_L ||
	    x->call->req->host.n + x->call->req->target.n > WEIR_URL_MAX ||
	    !weir_cache_is_plain(x->call->req, &encodings) || u->conf->company(u->conf->arg) == WEIR_MODULE_LEAVING)
		return;
	url = get_url(u, x);
	if (!url)
		return;
	image.expires_ns = url->expires_ns;
	(void)weir_cache_publish(u->cache, &url->item, x->call->req, x->call->endpoint, &image);
	put(url);
}

/* --- purge --- */

struct wanted {
	bool is_all;
	bool has_host;
	struct weir_str host, target;
	struct weir_str tag; /* p is NULL: by URL */
};

static bool is_wanted(const struct module_url *url, const struct wanted *what)
{
	unsigned i;

	if (what->is_all)
		return true;
	for (i = 0; what->tag.p && i < url->tags_count; i++)
		if (weir_str_eq(url->tags[i], what->tag))
			return true;
	return !what->tag.p && weir_str_eq(url->target, what->target) &&
	       (!what->has_host || weir_str_eq(url->host, what->host));
}

static int purge(struct module_urls *u, struct wanted what)
{
	bool has_siblings = u->conf->company(u->conf->arg) != WEIR_MODULE_ALONE;
	struct module_url *url, *older, *dead = NULL;
	int class, n;

	what.is_all |= has_siblings;
	pthread_mutex_lock(&u->lock);
	/* release: pairs with the acquire in weir_module_serve() */
	__atomic_add_fetch(&u->purges, 1, __ATOMIC_RELEASE);
	for (url = u->newest; url; url = older) {
		older = url->older;
		if (is_wanted(url, &what))
			detach(u, url, &dead);
	}
	pthread_mutex_unlock(&u->lock);
	n = bury(u, dead);
	for (class = 0; has_siblings && weir_cache_is_on(u->cache) && class < WEIR_CLASS__MAX; class ++)
		(void)weir_bpf_map_clear(u->cache->fds[class], sizeof(struct weir_cache_key));
	return n;
}

int module_purge_tag(struct weir_worker *w, const char *tag)
{
	return purge(&w->urls, (struct wanted){ .is_all = !tag, .tag = { tag, tag ? strlen(tag) : 0 } });
}

int module_purge_url(struct weir_worker *w, const char *url)
{
	static const struct weir_str schemes[] = { { "http://", 7 }, { "https://", 8 } };
	struct weir_str rest = { url, url ? strlen(url) : 0 }, authority;
	struct wanted what = { 0 };
	char host[WEIR_HTTP_HOST_MAX + 1];
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (rest.n < schemes[i].n || !weir_str_caseeq((struct weir_str){ rest.p, schemes[i].n }, schemes[i]))
			continue;
		authority = (struct weir_str){ rest.p + schemes[i].n, rest.n - schemes[i].n };
		n = strcspn(authority.p, "/?");
		rest = (struct weir_str){ authority.p + n, authority.n - n };
		authority.n = n;
		what.has_host = true;
		what.host.p = host;
		if (n == 0 || weir_host_normalize(authority, host, &what.host.n) < 0)
			return -EINVAL;
		break;
	}
	if (rest.n == 0 || rest.p[0] != '/')
		return -EINVAL;
	what.target = rest;
	return purge(&w->urls, what);
}

void module_urls_fini(struct module_urls *u)
{
	struct module_url *dead = NULL;

	while (u->newest)
		detach(u, u->newest, &dead);
	(void)bury(u, dead);
	pthread_mutex_destroy(&u->lock);
}
