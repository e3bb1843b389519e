/* SPDX-License-Identifier: GPL-2.0 */
/* `weir cache list|purge|flush`: what is in the kernel cache, and out with it. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <string.h>

#include "weir/key.h"

#include "common/clock.h"

#define PURGE_MAX 65536 /* entries with one host and target: codings times endpoints, far below */

struct list {
	const struct sup *s;
	const struct weir_conf_pool *pool;
	json_t *rows;
	uint64_t now_ns;
	int64_t now_s;
	size_t total;
	size_t limit;
};

/* Which codings and which endpoint an entry is for: no field says it, so its key is made again from its URL. */
static void find_variant(const struct sup *s, const struct weir_entry *e, char *codings, size_t bytes,
			 const char **ret_endpoint)
{
	static const char *const names[] = { "gzip", "br", "zstd", "deflate" };
	const __u64 *secret = (const __u64 *)weir_dataplane_cache_secret(s->dp);
	uint16_t url_bytes = MIN(e->url_bytes, WEIR_URL_MAX), host_bytes;
	const char *slash = memchr(e->url, '/', url_bytes);
	size_t i, b, n = 0;
	unsigned set;

	snprintf(codings, bytes, "?");
	*ret_endpoint = "?";
	if (!slash)
		return;
	host_bytes = (uint16_t)(slash - e->url);
	for (i = 0; i < s->config->listens_count; i++) {
		for (set = 0; set < WEIR_ENCODING__COUNT; set++) {
			struct weir_cache_key key;

			weir_key_make(secret, s->config->listens[i].id, (__u8)set, e->url, host_bytes, slash,
				      (uint16_t)(url_bytes - host_bytes), &key);
			if (memcmp(key.digest, e->digest, sizeof(key.digest)))
				continue;
			*ret_endpoint = s->config->listens[i].text;
			snprintf(codings, bytes, "%s", set ? "" : "none");
			for (b = 0; b < ARRAY_SIZE(names); b++)
				if (set & 1U << b)
					n += (size_t)snprintf(codings + n, bytes - n, n ? ",%s" : "%s", names[b]);
			return;
		}
	}
}

/* Whole seconds from `now_ns` to `then_ns`, negative when that was before. */
static json_int_t since_s(uint64_t then_ns, uint64_t now_ns)
{
	json_int_t ns = (json_int_t)(then_ns - now_ns);

	return ns / 1000000000 - (ns % 1000000000 < 0);
}

/* Seconds since 1970 of a time of the kernel's, or null. */
static json_t *at(const struct list *l, uint64_t then_ns, bool is_null)
{
	return is_null ? json_null() : json_integer(l->now_s + since_s(then_ns, l->now_ns));
}

static int list_entry(const struct weir_entry *e, enum weir_class c, void *arg)
{
	static const char *const classes[] = { "S", "M", "L" };
	struct list *l = arg;
	char codings[40];
	const char *endpoint;
	json_int_t created = l->now_s + since_s(e->created_ns, l->now_ns);

	if (l->total++ >= l->limit)
		return 0;
	find_variant(l->s, e, codings, sizeof(codings), &endpoint);
	json_array_append_new(
		l->rows,
		json_pack("{s:s%, s:s, s:s, s:s, s:i, s:I, s:s, s:I, s:I, s:o, s:o, s:o, s:s%, s:s%, s:b, s:b}", "url",
			  e->url, (size_t)MIN(e->url_bytes, WEIR_URL_MAX), "pool", l->pool->name, "endpoint", endpoint,
			  "encodings", codings, "status", (int)e->status, "size",
			  (json_int_t)(e->whole.bytes + e->object_bytes), "class", classes[c], "hits",
			  (json_int_t)e->hits, "created", created, "expires",
			  at(l, e->expires_ns, e->expires_ns == UINT64_MAX), "stale_until",
			  at(l, e->stale_ns, e->stale_ns <= e->expires_ns), "age",
			  e->whole.age_off ? json_integer(since_s(l->now_ns, e->born_ns)) : json_null(), "etag",
			  e->etag, (size_t)MIN(e->etag_bytes, WEIR_ETAG_BYTES), "last_modified", e->modified,
			  e->modified[0] ? (size_t)WEIR_DATE_BYTES : (size_t)0, "head_only",
			  (e->flags & WEIR_ENTRY_HEAD_ONLY) != 0, "conditional", e->cond.bytes != 0));
	return 0;
}

json_t *sup_control_cache_list(struct sup *s, const json_t *request)
{
	struct list l = { .s = s, .rows = json_array(), .now_ns = weir_now_ns(), .now_s = weir_realtime_s() };
	size_t i;

	l.limit = sup_control_limit(request);
	for (i = 0; s->dp && i < s->config->pools_count; i++) {
		l.pool = &s->config->pools[i];
		if (l.pool->kernel_cache)
			(void)weir_dataplane_cache_each(s->dp, l.pool->id, list_entry, &l);
	}
	return json_pack("{s:b, s:b, s:s, s:I, s:o}", "ok", 1, "attached", s->dp != NULL, "why_not",
			 s->dp ? "" : s->no_dp, "total", (json_int_t)l.total, "entries", l.rows);
}

/* --- purge --- */

struct purge {
	const struct sup_url *url;
	struct weir_cache_key *keys;
	size_t count;
};

static int collect(const struct weir_entry *e, enum weir_class c, void *arg)
{
	struct purge *p = arg;
	size_t bytes = MIN(e->url_bytes, WEIR_URL_MAX);
	const char *slash = memchr(e->url, '/', bytes);
	size_t host_bytes = slash ? (size_t)(slash - e->url) : bytes, target_bytes = bytes - host_bytes;

	(void)c;
	if (!slash || target_bytes != strlen(p->url->target) || memcmp(slash, p->url->target, target_bytes))
		return 0;
	if (p->url->host_bytes && (host_bytes != p->url->host_bytes || memcmp(e->url, p->url->host, host_bytes)))
		return 0;
	if (p->count == PURGE_MAX)
		return -E2BIG;
	memcpy(p->keys[p->count++].digest, e->digest, sizeof(e->digest));
	return 0;
}

/* Entries of the URL in all pools and encodings, on every port: a purge too many costs one request. */
static int purge(struct sup *s, const struct sup_url *url)
{
	_cleanup_free_ struct weir_cache_key *keys = calloc(PURGE_MAX, sizeof(*keys));
	struct purge p = { .url = url, .keys = keys };
	size_t i, k;
	int n, removed = 0;

	if (!keys)
		return -ENOMEM;
	for (i = 0; s->dp && i < s->config->pools_count; i++) {
		if (!s->config->pools[i].kernel_cache)
			continue;
		p.count = 0;
		(void)weir_dataplane_cache_each(s->dp, s->config->pools[i].id, collect, &p);
		for (k = 0; k < p.count; k++) {
			n = weir_dataplane_cache_purge(s->dp, s->config->pools[i].id, &keys[k]);
			removed += MAX(n, 0);
		}
	}
	return removed;
}

json_t *sup_control_cache_purge(struct sup *s, const json_t *request)
{
	const char *text = json_string_value(json_object_get(request, "url")), *why;
	_cleanup_(sup_url_fini) struct sup_url url = {};
	int removed;

	if (!text)
		return weir_ipc_error("cache_purge needs \"url\"");
	if (sup_url_parse(text, &url, &why) < 0)
		return weir_ipc_error("'%s' is no URL: %s", text, why);
	removed = purge(s, &url);
	if (removed < 0)
		return weir_ipc_error("cannot purge: %s", strerror(-removed));
	return json_pack("{s:b, s:i}", "ok", 1, "removed", removed);
}

static const struct weir_conf_pool *find_pool(const struct sup *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->config->pools_count; i++)
		if (!strcmp(s->config->pools[i].name, name))
			return &s->config->pools[i];
	return NULL;
}

json_t *sup_control_cache_flush(struct sup *s, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "pool"));
	const struct weir_conf_pool *p = name ? find_pool(s, name) : NULL;
	int r;

	if (!name)
		return weir_ipc_error("cache_flush needs \"pool\"");
	if (!p)
		return weir_ipc_error("there is no pool '%s'; `weir status` lists them", name);
	if (!s->dp || !p->kernel_cache)
		return weir_ipc_error("pool '%s' has no kernel cache: %s", name,
				      s->dp ? "kernel_cache is off in its configuration" : s->no_dp);
	r = weir_dataplane_cache_flush(s->dp, p->id);
	return r < 0 ? weir_ipc_error("cannot flush pool '%s': %s", name, strerror(-r)) : weir_ipc_ok();
}
