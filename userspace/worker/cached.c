// SPDX-License-Identifier: GPL-2.0
/* Which requests the pool's memory answers, which go to the origin, which wait for one that has gone there; and what the
 * relay tells of the responses. Serving threads and relay threads; see cached.h. */
#include "worker/relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "common/clock.h"
#include "common/macro.h"
#include "handlers/cached.h"

#define WAITERS (WRK_THREADS_MAX + 5) /* as the index of a thread */
#define REFRESH_MS 30000	       /* until another may refresh what one did not */

int wrk_cached_init(struct wrk_worker *w)
{
	struct wrk_cached *k = &w->cached;
	const struct wrk_setup *s = w->setup;
	int r;

	pthread_mutex_init(&k->lock, NULL);
	k->number = wrk_thread_number(w->base, WAITERS);
	if (!w->relay.codec || s->store_fd < 0)
		return 0;
	r = weir_pool_cache_init(&k->pc, s->pool, s->store_fd, &w->cache);
	if (r < 0 || !k->pc.store)
		return r;
	/* More workers live than a region was made for: this one does without. */
	if (weir_store_enter(k->pc.store, wrk_reader(s->slot, w->base->generation)) < 0)
		weir_pool_cache_fini(&k->pc);
	return 0;
}

void wrk_cached_fini(struct wrk_worker *w)
{
	/* the keeper buries the reader: this thread must not take the store's lock */
	weir_pool_cache_fini(&w->cached.pc);
}

/* --- those who wait --- */

/* Serving threads find it like a connection whose next request has come already. */
static void let_go(struct wrk_worker *w, struct wrk_conn *c)
{
	__atomic_store_n(&c->deadline_ms, weir_now_ms() + w->setup->pool->header_ms, __ATOMIC_RELAXED);
	wrk_conn_give_back(w, c, w->cached.number);
}

static void let_all_go(struct wrk_worker *w, struct wrk_waiter *list)
{
	struct wrk_waiter *next;

	for (; list; list = next) {
		next = list->next;
		__atomic_sub_fetch(&w->cached.waiting, 1, __ATOMIC_RELEASE);
		let_go(w, list->conn);
		free(list);
	}
}

/* Those that `picks` picks, out of the list. */
static struct wrk_waiter *take_waiters(struct wrk_worker *w, bool (*picks)(const struct wrk_waiter *, void *), void *arg)
{
	struct wrk_waiter **at, *one, *taken = NULL;

	pthread_mutex_lock(&w->cached.lock);
	for (at = &w->cached.first; (one = *at);) {
		if (!picks(one, arg)) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		one->next = taken;
		taken = one;
	}
	pthread_mutex_unlock(&w->cached.lock);
	return taken;
}

static bool has_hash(const struct wrk_waiter *one, void *arg)
{
	const uint64_t *hash = arg;

	return one->hash[0] == hash[0] && one->hash[1] == hash[1];
}

static void wake(struct wrk_worker *w, uint64_t hash[2])
{
	if (__atomic_load_n(&w->cached.waiting, __ATOMIC_ACQUIRE) > 0)
		let_all_go(w, take_waiters(w, has_hash, hash));
}

struct look {
	struct wrk_worker *w;
	uint64_t now_ms;
};

static bool is_over(const struct wrk_waiter *one, void *arg)
{
	struct look *l = arg;
	struct weir_store_key key = { .hash = { one->hash[0], one->hash[1] } };

	return l->now_ms >= one->until_ms || __atomic_load_n(&l->w->is_draining, __ATOMIC_RELAXED) ||
	       !weir_store_is_filling(l->w->cached.pc.store, &key, one->variant);
}

void wrk_cached_sweep(struct wrk_worker *w, uint64_t now_ms)
{
	struct look l = { w, now_ms };

	if (wrk_cached_waiting(w) > 0)
		let_all_go(w, take_waiters(w, is_over, &l));
}

unsigned wrk_cached_waiting(struct wrk_worker *w)
{
	return __atomic_load_n(&w->cached.waiting, __ATOMIC_ACQUIRE);
}

/* The request goes back to where it came from, and waits. False: no memory. */
static bool park(struct wrk_thread *t, struct wrk_conn *c, struct weir_str rest, const struct weir_store_key *key,
		 const uint64_t variant[2])
{
	struct wrk_worker *w = t->w;
	struct wrk_waiter *one = malloc(sizeof(*one));
	char *slot = wrk_conn_slot(&w->base->table, c);
	uint64_t now = weir_now_ms(), hash[2] = { key->hash[0], key->hash[1] };
	bool goes_on;

	if (!one)
		return false;
	if (!c->wait_ms)
		c->wait_ms = now;
	*one = (struct wrk_waiter){
		.conn = c,
		.hash = { hash[0], hash[1] },
		.variant = { variant[0], variant[1] },
		.until_ms = c->wait_ms + w->setup->pool->cache.wait_ms,
	};
	if (slot != rest.p)
		memmove(slot, rest.p, rest.n);
	c->was_used = c->has_input = true;
	c->in_bytes = (uint32_t)rest.n;
	c->scanned = 0;
	/* should we die now, the next worker finds the whole request */
	__atomic_store_n(&c->step, WRK_STEP_NONE, __ATOMIC_RELEASE);
	wrk_conn_hand(c, t->number, w->cached.number);
	__atomic_add_fetch(&w->cached.waiting, 1, __ATOMIC_ACQ_REL);
	pthread_mutex_lock(&w->cached.lock);
	one->next = w->cached.first;
	w->cached.first = one;
	pthread_mutex_unlock(&w->cached.lock);
	/* it may have ended before we were in the list */
	goes_on = weir_store_is_filling(w->cached.pc.store, key, variant);
	if (!goes_on)
		wake(w, hash);
	return true;
}

/* --- fetches --- */

/* One request and what is known about it. */
struct ask {
	struct wrk_thread *t;
	struct wrk_conn *c;
	const struct weir_conf_prefix *prefix;
	struct weir_str rest;
	struct weir_policy_request policy;
	struct weir_fetch_request fetch;
	struct weir_store_key key;
	uint64_t variant[2];
};

/* Starts a fetch that no client gets. Takes `f` over. */
static bool start_alone(struct ask *a, struct weir_fetch *f, const struct weir_object_view *about)
{
	if (wrk_relay_fetch(a->t, a->c, a->prefix, a->rest, about, f) == 0)
		return true;
	(void)weir_fetch_end(f, false, false);
	return false;
}

/* Refreshes what is served stale meanwhile: RFC 5861 3. */
static void refresh(struct ask *a, struct weir_hold *h)
{
	struct weir_object_view v;
	struct weir_hold again;
	struct weir_fetch *f;

	if (!weir_hold_claim_refresh(h, weir_now_ms(), REFRESH_MS) ||
	    weir_store_find(h->store, &a->key, a->policy.fields, &again, NULL) < 0)
		return;
	weir_hold_view(&again, &v);
	a->fetch.stale = &again;
	if (weir_fetch_new(&a->t->w->cached.pc, &a->fetch, &f) < 0)
		weir_hold_put(&again);
	else
		(void)start_alone(a, f, &v);
	a->fetch.stale = NULL;
}

static bool is_plain(const struct weir_request *req)
{
	return req->method == WEIR_METHOD_GET && !weir_request_has(req, WEIR_FIELD_RANGE) &&
	       !weir_request_has(req, WEIR_FIELD_IF_NONE_MATCH) && !weir_request_has(req, WEIR_FIELD_IF_MODIFIED_SINCE);
}

static enum wrk_cached_step wait_for(struct ask *a)
{
	struct wrk_worker *w = a->t->w;
	unsigned limit = w->setup->pool->cache.wait_ms;

	if (limit == 0 || (a->c->wait_ms && weir_now_ms() >= a->c->wait_ms + limit) ||
	    __atomic_load_n(&w->is_draining, __ATOMIC_RELAXED))
		return WRK_CACHED_PASS;
	if (!a->c->wait_ms)
		weir_store_count(w->cached.pc.store, WEIR_STORE_COUNT_collapsed, 1);
	return park(a->t, a->c, a->rest, &a->key, a->variant) ? WRK_CACHED_WAITS : WRK_CACHED_PASS;
}

/* Nothing usable is stored; `h`, where it holds something, is what the origin is asked about. */
static enum wrk_cached_step fetch(struct ask *a, struct weir_hold *h)
{
	struct weir_pool_cache *pc = &a->t->w->cached.pc;
	const struct weir_conf_cache *conf = &pc->pool->cache;
	uint64_t now = weir_now_ms();
	bool is_passed = weir_store_is_passed(pc->store, &a->key, now), is_alone;
	struct weir_object_view v;
	struct weir_fetch *f;
	int r;

	weir_store_count(pc->store, WEIR_STORE_COUNT_misses, 1);
	if (!h->store && !weir_store_admits(pc->store, &a->key, conf->min_hits, conf->min_hits_ms, now)) {
		weir_store_pass(pc->store, &a->key, 0, WEIR_RULE_BIT(WEIR_RULE_MIN_HITS));
		return WRK_CACHED_PASS;
	}
	is_alone = h->store || (!is_plain(&a->t->req) && !is_passed);
	/* What could not be stored, or did not come, just now: each for itself. */
	if (is_passed && !is_plain(&a->t->req))
		return WRK_CACHED_PASS;
	if (h->store && !is_passed) {
		weir_hold_view(h, &v);
		a->fetch.stale = h;
	}
	r = weir_fetch_new(pc, &a->fetch, &f);
	a->fetch.stale = NULL;
	if (r == -EBUSY && !is_passed)
		return wait_for(a);
	if (r < 0)
		return WRK_CACHED_PASS;
	if (!is_alone || is_passed) {
		a->t->fetch = f;
		return WRK_CACHED_PASS;
	}
	/* the relay has it from here on, and perhaps to its end already */
	is_alone = h->store != NULL;
	h->store = NULL;
	if (!start_alone(a, f, is_alone ? &v : NULL))
		return WRK_CACHED_PASS;
	return wait_for(a);
}

/* --- answers --- */

static bool answer(struct ask *a, struct weir_hold *h, const struct weir_policy_reuse *reuse)
{
	struct weir_pool_cache *pc = &a->t->w->cached.pc;
	enum weir_store_counter counter =
		reuse->what == WEIR_REUSE_FRESH ? WEIR_STORE_COUNT_hits : WEIR_STORE_COUNT_stale_hits;

	weir_hold_used(h);
	if (reuse->what == WEIR_REUSE_FRESH)
		weir_cached_publish(pc, h, &a->t->req, a->c->endpoint);
	if (reuse->what == WEIR_REUSE_WHILE_REVALIDATE)
		refresh(a, h);
	if (weir_cached_answer(pc, h, &a->t->req, reuse, &a->t->resp) < 0)
		return false;
	weir_store_count(pc->store, counter, 1);
	return true;
}

static void refuse(struct ask *a)
{
	static const struct weir_str none = { NULL, 0 };

	weir_response_error(&a->t->resp, &a->t->req, 504, "The request has only-if-cached, and nothing usable is stored.",
			    NULL, none);
}

/* stale-if-error: the last fetch failed, and not long ago. */
static bool has_failed(struct ask *a, uint64_t now_ms)
{
	struct weir_store *s = a->t->w->cached.pc.store;

	return weir_store_is_passed(s, &a->key, now_ms) &&
	       (weir_store_refusal(s, &a->key) & WEIR_RULE_BIT(WEIR_RULE_INCOMPLETE));
}

static enum wrk_cached_step look_up(struct ask *a)
{
	struct weir_pool_cache *pc = &a->t->w->cached.pc;
	struct weir_policy_reuse reuse;
	struct weir_object_view v;
	struct weir_hold h;
	uint64_t now = weir_now_ms();
	enum wrk_cached_step step = WRK_CACHED_PASS;
	bool is_found;

	is_found = weir_store_find(pc->store, &a->key, a->policy.fields, &h, a->variant) == 0;
	if (is_found)
		weir_hold_view(&h, &v);
	weir_policy_reuse(&pc->policy, &a->policy, is_found ? &v.stored : NULL, now, &reuse);
	/* What came while the request waited for it is as good as what it would get for itself. */
	if (reuse.what == WEIR_REUSE_REVALIDATE && is_found && a->c->wait_ms && v.stored_ms >= a->c->wait_ms)
		reuse.what = WEIR_REUSE_FRESH;
	if (reuse.what == WEIR_REUSE_REVALIDATE && reuse.may_on_error && has_failed(a, now))
		reuse.what = WEIR_REUSE_STALE;
	switch (reuse.what) {
	case WEIR_REUSE_FRESH:
	case WEIR_REUSE_STALE:
	case WEIR_REUSE_WHILE_REVALIDATE:
		if (answer(a, &h, &reuse))
			step = WRK_CACHED_ANSWERED;
		break;
	case WEIR_REUSE_REFUSE:
		refuse(a);
		step = WRK_CACHED_ANSWERED;
		break;
	case WEIR_REUSE_REVALIDATE:
		/* A HEAD is not worth a fetch of the whole. */
		if (is_found || a->t->req.method == WEIR_METHOD_GET)
			step = fetch(a, &h);
		break;
	}
	weir_hold_put(&h);
	return step;
}

/* PURGE URL. False: it is a method like any other here. */
static bool purge(struct ask *a)
{
	static const struct weir_str none = { NULL, 0 };
	const struct weir_conf_words *from = &a->t->w->setup->pool->cache_purge_from;
	char why[64];
	size_t i;
	int n;

	if (from->count == 0 || !weir_str_eq(a->t->req.method_text, WEIR_STR("PURGE")))
		return false;
	for (i = 0; i < from->count; i++)
		if (weir_conf_net_has(from->items[i], &a->c->key.client))
			break;
	if (i == from->count) {
		weir_response_error(&a->t->resp, &a->t->req, 403, "PURGE is not allowed from your address.", NULL, none);
		return true;
	}
	n = weir_store_purge(a->t->w->cached.pc.store, WEIR_PURGE_KEY, (struct weir_str){ a->key.text, a->key.bytes });
	if (n < 0) {
		weir_response_error(&a->t->resp, &a->t->req, 503, "The cache is busy.", "Retry-After", WEIR_STR("1"));
		return true;
	}
	snprintf(why, sizeof(why), "%d removed", n);
	weir_response_error(&a->t->resp, &a->t->req, 200, why, NULL, none);
	return true;
}

static void watch(struct ask *a)
{
	if (weir_fetch_watch(&a->t->w->cached.pc, &a->fetch, &a->t->fetch) < 0)
		a->t->fetch = NULL;
}

enum wrk_cached_step wrk_cached_serve(struct wrk_thread *t, struct wrk_conn *c, const struct weir_conf_prefix *prefix,
				      struct weir_str rest)
{
	struct weir_pool_cache *pc = &t->w->cached.pc;
	const struct weir_request *req = &t->req;
	struct ask a = { .t = t, .c = c, .prefix = prefix, .rest = rest };
	enum wrk_cached_step step = WRK_CACHED_PASS;

	t->fetch = NULL;
	/* the main thread serves what is left at the end: the store's lock is not for it */
	if (__atomic_load_n(&t->w->is_draining, __ATOMIC_RELAXED) && gettid() == getpid())
		return WRK_CACHED_PASS;
	if (!pc->store || req->form != WEIR_TARGET_ORIGIN ||
	    weir_pool_cache_key(pc, req->host, req->target, ntohs(c->key.server_port), &a.key) < 0)
		return WRK_CACHED_PASS;
	a.policy = (struct weir_policy_request){
		.method = req->method_text,
		.fields = weir_fields_of((struct weir_str){ rest.p, req->head_bytes }),
		.has_query = req->query.p != NULL,
	};
	a.fetch = (struct weir_fetch_request){
		.method = req->method_text,
		.fields = a.policy.fields,
		.host = req->host,
		.has_query = a.policy.has_query,
		.port = ntohs(c->key.server_port),
		.key = &a.key,
		.variant = a.variant,
	};
	if (!weir_method_is_safe(req->method_text)) {
		if (purge(&a))
			step = WRK_CACHED_ANSWERED;
		else
			watch(&a);
	} else if (weir_cached_is_for(req) && weir_policy_bypass(&pc->policy, &a.policy) == 0) {
		step = look_up(&a);
		if (step == WRK_CACHED_PASS && !t->fetch && req->method == WEIR_METHOD_HEAD)
			watch(&a);
	}
	if (step != WRK_CACHED_WAITS)
		c->wait_ms = 0;
	return step;
}

void wrk_cached_drop(struct wrk_thread *t)
{
	struct weir_fetch *f = TAKE_PTR(t->fetch);
	uint64_t hash[2];

	if (!f)
		return;
	memcpy(hash, weir_fetch_hash(f), sizeof(hash));
	(void)weir_fetch_end(f, false, false);
	wake(t->w, hash);
}

/* --- what the relay hears --- */

static bool on_head(struct wrk_worker *w, void *arg, const struct weir_reply *reply, uint64_t length,
		    struct weir_buf *head, size_t start)
{
	struct weir_fetch *f = arg;
	const struct weir_str shown = { head->p + start, head->n - start };
	uint64_t rules = weir_fetch_head(f, reply->status, reply->fields, shown, length);

	if (w->setup->pool->cache_status && !head->is_full && head->n >= start + 2) {
		head->n -= 2;
		weir_cached_put_forwarded(head, weir_fetch_is_fill(f) ? "miss" : "method", rules == 0, false);
		weir_buf_puts(head, "\r\n");
	}
	return rules == 0;
}

static bool on_body(struct wrk_worker *w, void *arg, struct weir_str data)
{
	(void)w;
	return weir_fetch_body(arg, data);
}

static void on_end(struct wrk_worker *w, void *arg, enum wrk_tap_end how)
{
	struct weir_fetch *f = arg;
	uint64_t hash[2];

	memcpy(hash, weir_fetch_hash(f), sizeof(hash));
	(void)weir_fetch_end(f, how == WRK_TAP_COMPLETE, how == WRK_TAP_FAILED);
	wake(w, hash);
}

const struct wrk_tap wrk_cached_tap = { .head = on_head, .body = on_body, .end = on_end };
