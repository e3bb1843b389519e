// SPDX-License-Identifier: GPL-2.0
/* What the command line asks about the memory level of the cache: which objects there are, what they would answer, and
 * each rule that kept one out. */
#include "supervisor/supervisor_priv.h"

#include <string.h>

#include "common/clock.h"

static json_t *text(struct weir_str s)
{
	return json_stringn(s.p, s.n);
}

/* Hits that the kernel has answered for an object. */
static json_int_t kernel_hits(const struct sup *s, uint16_t pool, const struct weir_hold *h)
{
	struct weir_cache_key keys[WEIR_STORE_KERNEL_KEYS];
	_cleanup_free_ struct weir_entry *e = calloc(1, sizeof(*e));
	unsigned i, n = weir_hold_kernel_keys(h, keys);
	json_int_t hits = 0;
	enum weir_class c;

	for (i = 0; e && s->dp && i < n; i++)
		if (weir_dataplane_cache_get(s->dp, pool, &keys[i], e, &c) == 0)
			hits += (json_int_t)e->hits;
	return hits;
}

static json_t *describe(const struct sup *s, const struct weir_conf_pool *p, const struct weir_hold *h)
{
	struct weir_cache_key keys[WEIR_STORE_KERNEL_KEYS];
	uint64_t now = weir_now_ms();
	struct weir_object_view v;
	const struct weir_policy_stored *st = &v.stored;
	bool is_endless;

	weir_hold_view(h, &v);
	is_endless = st->lifetime_s >= WEIR_POLICY_FOREVER;
	return json_pack("{s:s, s:o, s:i, s:i, s:I, s:I, s:I, s:o, s:s, s:I, s:I, s:I, s:o, s:o, s:I, s:b, s:b, s:i, s:I}",
			 "pool", p->name, "key", text(v.key), "port", (int)v.port, "status", (int)st->status, "size",
			 (json_int_t)(v.head.n + v.body_bytes), "created", (json_int_t)v.created_s, "age",
			 (json_int_t)(int64_t)(now - st->born_ms) / 1000, "fresh_for",
			 is_endless ? json_null() : json_integer((json_int_t)(int64_t)(st->fresh_ms - now) / 1000),
			 "lifetime_from", st->why < WEIR_LIFETIME__MAX ? weir_lifetime_name(st->why) : "?",
			 "stale_while_revalidate", (json_int_t)st->swr_s, "stale_if_error", (json_int_t)st->sie_s, "hits",
			 (json_int_t)v.hits, "vary", text(v.vary), "tags", text(v.tags), "generation",
			 (json_int_t)v.generation, "no_cache", (st->flags & WEIR_STORED_NO_CACHE) != 0, "must_revalidate",
			 (st->flags & WEIR_STORED_MUST_REVALIDATE) != 0, "kernel_keys",
			 (int)weir_hold_kernel_keys(h, keys), "kernel_hits", kernel_hits(s, p->id, h));
}

struct rows {
	const struct sup *s;
	const struct weir_conf_pool *pool;
	const struct sup_url *url; /* NULL: all */
	json_t *rows;
	size_t total;
	size_t limit;
};

/* Whether a key is of this URL; without a host, of any. */
static bool is_of(const struct weir_object_view *v, const struct weir_pool_cache *pc, const struct sup_url *u)
{
	static struct weir_store_key key; /* one thread */
	const struct weir_str target = { u->target, strlen(u->target) };
	const char *slash = v->key.n > 0 ? memchr(v->key.p, '/', v->key.n) : NULL;
	size_t skip = !u->host_bytes && slash ? (size_t)(slash - v->key.p) : 0;

	return weir_pool_cache_key(pc, (struct weir_str){ u->host, u->host_bytes }, target, v->port, &key) == 0 &&
	       weir_str_eq((struct weir_str){ v->key.p + skip, v->key.n - skip }, (struct weir_str){ key.text, key.bytes });
}

static void add_row(const struct weir_hold *h, void *arg)
{
	struct rows *r = arg;
	struct weir_object_view v;

	weir_hold_view(h, &v);
	if (r->url && !is_of(&v, sup_store_of((struct sup *)r->s, r->pool), r->url))
		return;
	if (r->total++ < r->limit)
		json_array_append_new(r->rows, describe(r->s, r->pool, h));
}

size_t sup_memory_list(struct sup *s, const struct sup_url *url, size_t limit, json_t *rows)
{
	struct rows r = { .s = s, .url = url, .rows = rows, .limit = limit };
	struct weir_pool_cache *pc;
	size_t i;

	for (i = 0; i < s->config->pools_count; i++) {
		r.pool = &s->config->pools[i];
		pc = sup_store_of(s, r.pool);
		if (pc)
			weir_store_each(pc->store, add_row, &r);
	}
	return r.total;
}

json_t *sup_memory_stats(struct sup *s, const struct weir_conf_pool *p)
{
	struct weir_pool_cache *pc = sup_store_of(s, p);
	struct weir_store_stats st;
	json_t *j;

	if (!pc)
		return json_null();
	weir_store_stats(pc->store, &st);
	j = json_pack("{s:I, s:I, s:I, s:I, s:I}", "bytes_budget", (json_int_t)st.bytes_budget, "bytes_used",
		      (json_int_t)st.bytes_used, "objects", (json_int_t)st.objects, "objects_max",
		      (json_int_t)st.objects_max, "fills", (json_int_t)st.fills);
#define WEIR_ROW(name, help) json_object_set_new(j, #name, json_integer((json_int_t)st.name));
#include "cache/store_counters.def"
#undef WEIR_ROW
	return j;
}

json_t *sup_control_cache_show(struct sup *s, const json_t *request)
{
	const char *url = json_string_value(json_object_get(request, "url")), *why;
	_cleanup_(sup_url_fini) struct sup_url u = {};
	json_t *rows;

	if (!url)
		return weir_ipc_error("cache_show needs \"url\"");
	if (sup_url_parse(url, &u, &why) < 0)
		return weir_ipc_error("'%s' is no URL: %s", url, why);
	rows = json_array();
	(void)sup_memory_list(s, &u, sup_control_limit(request), rows);
	return json_pack("{s:b, s:s, s:o}", "ok", 1, "url", url, "objects", rows);
}

/* --- why --- */

static void add_rules(json_t *reasons, uint64_t rules, const char *what)
{
	char line[320];
	unsigned r;

	for (r = 0; r < WEIR_RULE__MAX; r++) {
		if (!(rules & WEIR_RULE_BIT(r)))
			continue;
		snprintf(line, sizeof(line), "%s: %s (%s)", what, weir_rule_text(r), weir_rule_section(r));
		json_array_append_new(reasons, json_string(line));
	}
}

/* What a GET with these fields would find now. */
static void explain_found(const struct weir_pool_cache *pc, const struct weir_policy_request *req,
			  const struct weir_hold *h, json_t *reasons)
{
	struct weir_policy_reuse reuse;
	struct weir_object_view v;

	weir_hold_view(h, &v);
	weir_policy_reuse(&pc->policy, req, &v.stored, weir_now_ms(), &reuse);
	if (reuse.what == WEIR_REUSE_WHILE_REVALIDATE)
		json_array_append_new(reasons, json_string("memory: stale, and answered while one request refreshes it "
							   "(RFC 5861 3)"));
	else if (reuse.what == WEIR_REUSE_REVALIDATE)
		add_rules(reasons, reuse.rules, "memory: the origin is asked");
}

static void explain_absent(const struct weir_pool_cache *pc, const struct weir_store_key *key, json_t *reasons)
{
	uint64_t rules = weir_store_refusal(pc->store, key);

	if (rules)
		add_rules(reasons, rules, "memory: the last response was not stored");
	else
		json_array_append_new(reasons, json_string("memory: nothing is stored: nobody has asked for it yet, or it was "
							   "purged, replaced or pushed out since"));
}

void sup_memory_why(struct sup *s, const struct weir_conf_pool *p, const struct sup_url *u, uint16_t port,
		    const char *fields, json_t *reasons)
{
	static struct weir_store_key key; /* one thread */
	const struct weir_pool_cache *pc = sup_store_of(s, p);
	const struct weir_str target = { u->target, strlen(u->target) };
	const struct weir_policy_request req = { WEIR_STR("GET"), { fields, strlen(fields) }, strchr(u->target, '?') != NULL };
	uint64_t bypass;
	struct weir_hold h;

	if (!pc) {
		if (p->cache.mode == WEIR_CACHE_OFF)
			add_rules(reasons, WEIR_RULE_BIT(WEIR_RULE_OFF), "memory");
		return;
	}
	if (weir_pool_cache_key(pc, (struct weir_str){ u->host, u->host_bytes }, target, port, &key) < 0) {
		add_rules(reasons, WEIR_RULE_BIT(WEIR_RULE_URL_LONG), "memory");
		return;
	}
	bypass = weir_policy_bypass(&pc->policy, &req);
	add_rules(reasons, bypass, "memory: this request passes it by");
	if (bypass)
		return;
	if (weir_store_find(pc->store, &key, req.fields, &h, NULL) < 0) {
		explain_absent(pc, &key, reasons);
		return;
	}
	explain_found(pc, &req, &h, reasons);
	weir_hold_put(&h);
}

/* --- purge --- */

int sup_memory_purge(struct sup *s, enum weir_purge what, struct weir_str host, struct weir_str rest)
{
	static struct weir_store_key key; /* one thread */
	struct weir_str wanted = rest;
	size_t i;
	int n, removed = 0;

	for (i = 0; i < s->config->pools_count; i++) {
		struct weir_pool_cache *pc = sup_store_of(s, &s->config->pools[i]);

		if (!pc)
			continue;
		if (what == WEIR_PURGE_KEY || what == WEIR_PURGE_PREFIX) {
			struct weir_buf b = { .p = key.text, .cap = sizeof(key.text) };

			if (what == WEIR_PURGE_KEY) {
				if (weir_pool_cache_key(pc, host, rest, 0, &key) < 0)
					continue;
				b.n = key.bytes;
			} else {
				weir_buf_str(&b, host);
				weir_buf_str(&b, rest);
			}
			wanted = (struct weir_str){ b.p, b.n };
		}
		n = weir_store_purge(pc->store, what, wanted);
		if (n < 0)
			return n;
		removed += n;
	}
	return removed;
}
