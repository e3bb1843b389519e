// SPDX-License-Identifier: GPL-2.0
/* A fetch: its head decides whether the body is kept, its end whether the object is found. What the client of the fetch
 * gets is the relay's business; nothing here ever stops that. */
#include "cache/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bpf_map.h"
#include "common/clock.h"
#include "common/macro.h"

struct weir_fetch {
	struct weir_pool_cache *pc;
	struct weir_fill fill; /* .store NULL: nothing is kept, or no more */
	struct weir_hold stale;
	struct weir_policy_store policy;
	enum weir_fetch_end outcome;
	bool is_fill;
	bool has_query;
	uint16_t port;
	uint64_t sent_ms;
	struct weir_store_key key;
	struct weir_str method, fields, host; /* in text */
	char text[];
};

/* --- the pool's cache --- */

static void drop_from_kernel(void *arg, const struct weir_cache_key *key)
{
	struct weir_pool_cache *pc = arg;

	if (weir_cache_drop(pc->kernel, key))
		weir_metrics_add(pc->kernel->metrics, withdrawn, 1);
}

static uint64_t hits_in_kernel(void *arg, const struct weir_cache_key *key)
{
	struct weir_pool_cache *pc = arg;
	struct weir_entry_l entry;
	int class;

	for (class = 0; class < WEIR_CLASS__MAX; class ++)
		if (weir_bpf_map_lookup(pc->kernel->fds[class], key, &entry) == 0)
			return entry.head.hits;
	return 0;
}

/* The words, separated by spaces. NULL: no memory. */
static char *join(const struct weir_conf_words *words)
{
	size_t i, bytes = 1;
	char *text, *at;

	for (i = 0; i < words->count; i++)
		bytes += strlen(words->items[i]) + 1;
	text = at = malloc(bytes);
	if (!text)
		return NULL;
	*at = '\0';
	for (i = 0; i < words->count; i++)
		at += sprintf(at, "%s%s", i ? " " : "", words->items[i]);
	return text;
}

int weir_pool_cache_init(struct weir_pool_cache *pc, const struct weir_conf_pool *pool, int fd,
			 struct weir_cache *kernel)
{
	const struct weir_store_kernel level = { .drop = drop_from_kernel, .hits = hits_in_kernel, .arg = pc };

	*pc = (struct weir_pool_cache){ .pool = pool, .kernel = kernel };
	if (fd < 0 || pool->cache.mode == WEIR_CACHE_OFF)
		return 0;
	pc->params = join(&pool->cache_key_params);
	pc->cookies = join(&pool->cache_bypass_cookies);
	if (!pc->params || !pc->cookies)
		return -ENOMEM;
	pc->policy = (struct weir_policy_conf){
		.mode = pool->cache.mode,
		.ttl_s = pool->cache.ttl_ms / 1000,
		.ignore_request_directives = pool->cache.ignore_request_directives,
		.max_object = (uint64_t)pool->cache.max_object_kb << 10,
		.bypass_cookies = { pc->cookies, strlen(pc->cookies) },
	};
	return weir_store_open(fd, kernel && weir_cache_is_on(kernel) ? &level : NULL, &pc->store);
}

void weir_pool_cache_fini(struct weir_pool_cache *pc)
{
	pc->store = weir_store_free(pc->store);
	free(pc->params);
	free(pc->cookies);
	pc->params = pc->cookies = NULL;
}

int weir_pool_cache_key(const struct weir_pool_cache *pc, struct weir_str host, struct weir_str target, uint16_t port,
			struct weir_store_key *ret)
{
	const struct weir_str names = { pc->params, strlen(pc->params) };
	struct weir_buf b = { .p = ret->text, .cap = sizeof(ret->text) };

	weir_policy_key(pc->pool->cache.query, names, host, target, &b);
	if (b.is_full)
		return -E2BIG;
	ret->bytes = (uint16_t)b.n;
	weir_store_key_hash(pc->store, port, ret);
	return 0;
}

/* --- beginning --- */

static struct weir_str keep(char **at, struct weir_str s)
{
	struct weir_str copy = { *at, s.n };

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

int weir_fetch_watch(struct weir_pool_cache *pc, const struct weir_fetch_request *r, struct weir_fetch **ret)
{
	struct weir_fetch *f = malloc(sizeof(*f) + r->method.n + r->fields.n + r->host.n);
	char *at;

	if (!f)
		return -ENOMEM;
	*f = (struct weir_fetch){ .pc = pc, .has_query = r->has_query, .port = r->port, .sent_ms = weir_now_ms() };
	at = f->text;
	f->method = keep(&at, r->method);
	f->fields = keep(&at, r->fields);
	f->host = keep(&at, r->host);
	memcpy(f->key.hash, r->key->hash, sizeof(f->key.hash));
	memcpy(f->key.text, r->key->text, r->key->bytes);
	f->key.bytes = r->key->bytes;
	*ret = f;
	return 0;
}

int weir_fetch_new(struct weir_pool_cache *pc, const struct weir_fetch_request *r, struct weir_fetch **ret)
{
	struct weir_fetch *f;
	struct weir_fill fill;
	int e = weir_store_begin(pc->store, r->key, r->port, r->variant, pc->policy.max_object, &fill);

	if (e < 0)
		return e;
	e = weir_fetch_watch(pc, r, &f);
	if (e < 0) {
		weir_fill_abort(&fill);
		return e;
	}
	f->fill = fill;
	f->is_fill = true;
	if (r->stale)
		f->stale = *r->stale;
	*ret = f;
	return 0;
}

const uint64_t *weir_fetch_hash(const struct weir_fetch *f)
{
	return f->key.hash;
}

bool weir_fetch_is_fill(const struct weir_fetch *f)
{
	return f->is_fill;
}

/* --- what a response changes --- */

/* A URL of a Location or Content-Location on the same host, as a target. False: another host, or not understood. */
static bool target_of(struct weir_str value, struct weir_str host, struct weir_str *ret)
{
	struct weir_str scheme = WEIR_STR("http://");
	size_t at = 0, n;

	if (value.n > 0 && value.p[0] == '/' && !(value.n > 1 && value.p[1] == '/')) {
		*ret = value;
	} else {
		if (value.n <= scheme.n || !weir_str_caseeq((struct weir_str){ value.p, scheme.n }, scheme))
			return false;
		for (n = 0;
		     scheme.n + n < value.n && !strchr("/:?#", value.p[scheme.n + n] ? value.p[scheme.n + n] : '#');)
			n++;
		if (!weir_str_caseeq((struct weir_str){ value.p + scheme.n, n }, host))
			return false;
		for (at = scheme.n + n; at < value.n && value.p[at] != '/'; at++)
			;
		*ret = (struct weir_str){ value.p + at, value.n - at };
	}
	for (n = 0; n < ret->n && ret->p[n] != '#'; n++)
		;
	ret->n = n;
	return n > 0;
}

static void forget(struct weir_fetch *f, struct weir_str target)
{
	_cleanup_free_ struct weir_store_key *key = malloc(sizeof(*key));

	if (key && weir_pool_cache_key(f->pc, f->host, target, f->port, key) == 0)
		(void)weir_store_invalidate(f->pc->store, (struct weir_str){ key->text, key->bytes });
}

/* RFC 9111 4.4, before the client hears of it. */
static void invalidate(struct weir_fetch *f, struct weir_str fields)
{
	struct weir_str value, target;

	(void)weir_store_invalidate(f->pc->store, (struct weir_str){ f->key.text, f->key.bytes });
	if (weir_fields_find(fields, WEIR_STR("Location"), &value) && target_of(value, f->host, &target))
		forget(f, target);
	if (weir_fields_find(fields, WEIR_STR("Content-Location"), &value) && target_of(value, f->host, &target))
		forget(f, target);
}

/* RFC 9111 4.3.5 */
static void compare_head(struct weir_fetch *f, struct weir_str fields)
{
	struct weir_object_view v;
	struct weir_hold h;

	if (weir_store_find(f->pc->store, &f->key, f->fields, &h, NULL) < 0)
		return;
	weir_hold_view(&h, &v);
	if (v.stored.status == 200 && weir_policy_head_differs(weir_fields_of(v.head), v.body_bytes, fields))
		weir_hold_remove(&h);
	weir_hold_put(&h);
}

/* --- the head --- */

static bool is_tag_field(struct weir_str name)
{
	return weir_str_caseeq(name, WEIR_STR("Cache-Tag")) || weir_str_caseeq(name, WEIR_STR("Surrogate-Key"));
}

/* Appends what is stored of a head that a client gets. */
static void put_stored(const struct weir_fetch *f, struct weir_str fields, struct weir_buf *out)
{
	static const struct weir_str none = { "", 0 };
	struct weir_str name, value;

	while (weir_fields_next(&fields, &name, &value)) {
		if (weir_policy_is_dropped(&f->policy.cc, none, name) ||
		    weir_str_caseeq(name, WEIR_STR("Content-Length")) ||
		    (is_tag_field(name) && !f->pc->pool->cache.shows_tags))
			continue;
		weir_buf_str(out, name);
		weir_buf_puts(out, ": ");
		weir_buf_str(out, value);
		weir_buf_puts(out, "\r\n");
	}
}

static struct weir_str start_line(struct weir_str head)
{
	struct weir_str fields = weir_fields_of(head);

	return (struct weir_str){ head.p, head.n - fields.n };
}

/* Cache-Tag is a list with commas, Surrogate-Key one with spaces. */
static void put_tags(struct weir_str fields, struct weir_buf *out)
{
	struct weir_str name, value;
	size_t i, start;

	while (weir_fields_next(&fields, &name, &value)) {
		if (!is_tag_field(name))
			continue;
		for (i = 0; i < value.n; i = start + 1) {
			for (start = i; start < value.n && !strchr(" ,\t", value.p[start] ? value.p[start] : 1);)
				start++;
			if (start == i)
				continue;
			if (out->n > 0)
				weir_buf_puts(out, " ");
			weir_buf_put(out, value.p + i, start - i);
		}
	}
}

static void decide(struct weir_fetch *f, unsigned status, struct weir_str fields)
{
	const struct weir_policy_request req = { f->method, f->fields, f->has_query };
	const struct weir_policy_response resp = { status, fields, f->sent_ms, weir_now_ms(), weir_realtime_s() };

	weir_policy_store(&f->pc->policy, &req, &resp, &f->policy);
}

static uint64_t rule_of(int error)
{
	switch (error) {
	case 0:
		return 0;
	case -EFBIG:
		return WEIR_RULE_BIT(WEIR_RULE_TOO_LARGE);
	case -ESTALE:
		return WEIR_RULE_BIT(WEIR_RULE_PURGED);
	default:
		return WEIR_RULE_BIT(WEIR_RULE_NO_ROOM);
	}
}

/* It will not be stored. */
static void give_up(struct weir_fetch *f, uint64_t rules)
{
	uint64_t pass = rules & (WEIR_RULE_BIT(WEIR_RULE_PURGED) | WEIR_RULE_BIT(WEIR_RULE_NO_ROOM))
				? 0
				: weir_now_ms() + WEIR_FETCH_PASS_MS;

	/* before those who wait see that it has ended */
	weir_store_pass(f->pc->store, &f->key, pass, rules);
	weir_store_count(f->pc->store, WEIR_STORE_COUNT_refused, 1);
	weir_fill_abort(&f->fill);
	f->outcome = WEIR_FETCH_PASSED;
}

static uint64_t keep_head(struct weir_fetch *f, struct weir_str head, struct weir_str tagged, uint64_t length)
{
	char tags[WEIR_STORE_TAGS_BYTES];
	struct weir_buf b = { .p = tags, .cap = sizeof(tags) };
	int e;

	put_tags(tagged, &b);
	e = b.is_full ? -EFBIG
		      : weir_fill_head(&f->fill, &f->policy, f->fields, head, (struct weir_str){ tags, b.n }, length,
				       weir_realtime_s());
	return e == -EFBIG && head.n > WEIR_STORE_HEAD_BYTES ? WEIR_RULE_BIT(WEIR_RULE_HEAD_LONG) : rule_of(e);
}

/* The stored body again, under the new head. */
static int copy_body(struct weir_fetch *f, uint64_t bytes)
{
	struct weir_str parts[WEIR_STORE_EXTENTS];
	unsigned i, n = weir_hold_body(&f->stale, 0, bytes, parts);
	int e = 0;

	for (i = 0; i < n && e == 0; i++)
		e = weir_fill_body(&f->fill, parts[i].p, parts[i].n);
	return e;
}

/* 304: RFC 9111 4.3.4. */
static uint64_t confirm(struct weir_fetch *f, struct weir_str fields, struct weir_str shown)
{
	char fresh[WEIR_STORE_HEAD_BYTES], whole[2 * WEIR_STORE_HEAD_BYTES + 64];
	struct weir_buf b = { .p = fresh, .cap = sizeof(fresh) }, head = { .p = whole, .cap = sizeof(whole) };
	struct weir_object_view v;
	struct weir_str age, old;
	uint64_t rules;
	size_t n, line;
	int e;

	weir_hold_view(&f->stale, &v);
	old = weir_fields_of(v.head);
	if (!weir_policy_is_same(old, fields)) {
		weir_hold_remove(&f->stale);
		return WEIR_RULE_BIT(WEIR_RULE_STATUS);
	}
	put_stored(f, weir_fields_of(shown), &b);
	weir_buf_str(&head, start_line(v.head));
	line = head.n;
	weir_policy_merge(old, (struct weir_str){ fresh, b.n }, &head);
	n = head.n;
	if (weir_fields_find(fields, WEIR_STR("Age"), &age)) {
		weir_buf_puts(&head, "Age: ");
		weir_buf_str(&head, age);
		weir_buf_puts(&head, "\r\n");
	}
	if (b.is_full || head.is_full)
		return WEIR_RULE_BIT(WEIR_RULE_HEAD_LONG);
	decide(f, v.stored.status, (struct weir_str){ whole + line, head.n - line });
	if (!f->policy.is_storable) {
		weir_hold_remove(&f->stale);
		return f->policy.rules;
	}
	e = weir_fill_head(&f->fill, &f->policy, f->fields, (struct weir_str){ whole, n }, v.tags, v.body_bytes,
			   weir_realtime_s());
	rules = rule_of(e ? e : copy_body(f, v.body_bytes));
	if (!rules)
		f->outcome = WEIR_FETCH_CONFIRMED;
	return rules;
}

static uint64_t store_head(struct weir_fetch *f, unsigned status, struct weir_str fields, struct weir_str shown,
			   uint64_t length)
{
	char text[WEIR_STORE_HEAD_BYTES + 1024];
	struct weir_buf head = { .p = text, .cap = sizeof(text) };

	decide(f, status, fields);
	if (!f->policy.is_storable)
		return f->policy.rules;
	weir_buf_str(&head, start_line(shown));
	put_stored(f, weir_fields_of(shown), &head);
	if (head.is_full)
		return WEIR_RULE_BIT(WEIR_RULE_HEAD_LONG);
	return keep_head(f, (struct weir_str){ text, head.n }, fields, length);
}

uint64_t weir_fetch_head(struct weir_fetch *f, unsigned status, struct weir_str fields, struct weir_str shown,
			 uint64_t length)
{
	uint64_t rules;

	if (!f->is_fill) {
		if (weir_policy_invalidates(f->method, status))
			invalidate(f, fields);
		else if (status == 200 && weir_str_eq(f->method, WEIR_STR("HEAD")))
			compare_head(f, fields);
		return WEIR_RULE_BIT(WEIR_RULE_METHOD);
	}
	if (f->stale.store && weir_policy_is_error(status)) {
		f->outcome = WEIR_FETCH_FAILED;
		weir_store_pass(f->pc->store, &f->key, weir_now_ms() + WEIR_FETCH_FAILED_MS,
				WEIR_RULE_BIT(WEIR_RULE_INCOMPLETE));
		weir_fill_abort(&f->fill);
		return WEIR_RULE_BIT(WEIR_RULE_STATUS);
	}
	if (f->stale.store && status == 304) {
		rules = confirm(f, fields, shown);
	} else {
		rules = store_head(f, status, fields, shown, length);
		/* the origin has spoken: what it said before is not to be heard again */
		if (rules && f->stale.store)
			weir_hold_remove(&f->stale);
	}
	if (rules)
		give_up(f, rules);
	return rules;
}

bool weir_fetch_body(struct weir_fetch *f, struct weir_str data)
{
	int e;

	if (!f->fill.store)
		return false;
	/* to 304 there is none */
	if (f->outcome == WEIR_FETCH_CONFIRMED)
		return true;
	e = weir_fill_body(&f->fill, data.p, data.n);
	if (e < 0)
		give_up(f, rule_of(e));
	return e == 0;
}

static void finish(struct weir_fetch *f)
{
	if (weir_fill_commit(&f->fill, NULL) < 0) {
		f->outcome = WEIR_FETCH_PASSED;
		return;
	}
	weir_store_pass(f->pc->store, &f->key, 0, 0);
	if (f->outcome == WEIR_FETCH_CONFIRMED)
		weir_store_count(f->pc->store, WEIR_STORE_COUNT_revalidated, 1);
	else
		f->outcome = WEIR_FETCH_STORED;
}

enum weir_fetch_end weir_fetch_end(struct weir_fetch *f, bool is_complete, bool has_failed)
{
	enum weir_fetch_end outcome;

	if (f->fill.store && is_complete) {
		finish(f);
	} else if (f->fill.store) {
		f->outcome = WEIR_FETCH_FAILED;
	}
	/* before those who wait see that it has ended */
	if (f->is_fill && f->outcome == WEIR_FETCH_FAILED && (has_failed || is_complete))
		weir_store_pass(f->pc->store, &f->key, weir_now_ms() + WEIR_FETCH_FAILED_MS,
				WEIR_RULE_BIT(WEIR_RULE_INCOMPLETE));
	weir_fill_abort(&f->fill);
	outcome = f->outcome == WEIR_FETCH_GOES_ON ? WEIR_FETCH_FAILED : f->outcome;
	if (f->stale.store)
		weir_hold_put(&f->stale);
	free(f);
	return outcome;
}
