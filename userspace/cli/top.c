/* SPDX-License-Identifier: GPL-2.0 */
/* `weir top`: asks once a second, and does what the keys say. */
#include "cli/top.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "ipc/ipc.h"
#include "metrics/latency.h"

#define STEP_MS 1000

static const char *const sort_names[TOP_SORT__MAX] = { "name", "requests", "hits", "queue" };

const char *top_sort_name(enum top_sort sort)
{
	return sort_names[sort];
}

static double rate(const json_t *now, const json_t *before, const char *key, double seconds)
{
	json_int_t n = cmd_int(now, key) - cmd_int(before, key);

	return seconds > 0 && n > 0 ? (double)n / seconds : 0;
}

struct top_sum top_sum_make(const struct top_look *now, const struct top_look *before)
{
	const json_t *k = json_object_get(now->stats, "kernel"), *o = json_object_get(before->stats, "kernel");
	json_t *pools = json_object_get(now->stats, "pools"), *p;
	double seconds = now->at_s - before->at_s;
	struct top_sum sum = { .ratio = -1 };
	const char *name;

	sum.hits = rate(k, o, "hits", seconds);
	sum.misses = rate(k, o, "misses", seconds);
	sum.handovers = rate(k, o, "handovers", seconds);
	sum.seizes = rate(k, o, "seizes", seconds);
	json_object_foreach (pools, name, p)
		sum.requests +=
			rate(p, json_object_get(json_object_get(before->stats, "pools"), name), "requests", seconds);
	if (sum.hits + sum.requests > 0)
		sum.ratio = 100 * sum.hits / (sum.hits + sum.requests);
	return sum;
}

/* The upper bound of the bucket that the slowest hundredth begins in. */
static double p99(const json_t *now, const json_t *before)
{
	json_int_t counts[WEIR_LATENCY_BUCKETS], total = 0, seen = 0;
	size_t i;

	for (i = 0; i < WEIR_LATENCY_BUCKETS; i++) {
		counts[i] = cmd_int(json_array_get(now, i), "count") - cmd_int(json_array_get(before, i), "count");
		total += counts[i];
	}
	for (i = 0; total > 0 && i < WEIR_LATENCY_BUCKETS; i++) {
		seen += counts[i];
		if ((double)seen >= 0.99 * (double)total)
			return i < WEIR_LATENCY_BUCKETS - 1 ? weir_latency_us[i] / 1000.0 : INFINITY;
	}
	return -1;
}

static json_int_t refused(const json_t *queue)
{
	json_t *reasons = json_object_get(queue, "refused"), *n;
	json_int_t sum = 0;
	const char *name;

	json_object_foreach (reasons, name, n)
		sum += json_integer_value(n);
	return sum;
}

static struct top_pool make_pool(const char *name, const struct top_look *now, const struct top_look *before)
{
	const json_t *p = json_object_get(json_object_get(now->status, "pools"), name);
	const json_t *old = json_object_get(json_object_get(before->status, "pools"), name);
	const json_t *n = json_object_get(json_object_get(now->stats, "pools"), name);
	const json_t *o = json_object_get(json_object_get(before->stats, "pools"), name);
	const json_t *queue = json_object_get(p, "queue"), *w;
	double seconds = now->at_s - before->at_s;
	struct top_pool row = {
		.name = name,
		.state = cmd_get(p, "state"),
		.requests = rate(n, o, "requests", seconds),
		.hits = rate(n, o, "hits", seconds),
		.queue = cmd_int(queue, "depth"),
		.oldest_ms = cmd_int(queue, "oldest_ms"),
		.connections = cmd_int(n, "active"),
		.restarts = cmd_int(p, "restarts"),
		.p99_ms = p99(json_object_get(n, "latency"), json_object_get(o, "latency")),
	};
	json_int_t more = refused(queue) - refused(json_object_get(old, "queue"));
	size_t i;

	row.refused = seconds > 0 && more > 0 ? (double)more / seconds : 0;
	json_array_foreach (json_object_get(p, "workers"), i, w) {
		row.threads += cmd_int(w, "threads");
		row.busy += cmd_int(w, "threads_busy");
		row.resident += cmd_int(w, "resident_bytes");
	}
	return row;
}

static bool comes_before(const struct top_pool *a, const struct top_pool *b, enum top_sort sort)
{
	switch (sort) {
	case TOP_SORT_REQUESTS:
		return a->requests > b->requests;
	case TOP_SORT_HITS:
		return a->hits > b->hits;
	case TOP_SORT_QUEUE:
		return a->queue > b->queue;
	default:
		return strcmp(a->name, b->name) < 0;
	}
}

size_t top_pools_make(const struct top_look *now, const struct top_look *before, enum top_sort sort,
		      struct top_pool *ret, size_t max)
{
	json_t *pools = json_object_get(now->status, "pools"), *p;
	size_t n = 0, i;
	const char *name;

	json_object_foreach (pools, name, p) {
		struct top_pool row = make_pool(name, now, before);

		if (n == max)
			break;
		for (i = n++; i > 0 && comes_before(&row, &ret[i - 1], sort); i--)
			ret[i] = ret[i - 1];
		ret[i] = row;
	}
	return n;
}

static void forget(struct top_look *l)
{
	json_decref(l->stats);
	json_decref(l->status);
	json_decref(l->busiest);
	*l = (struct top_look){};
}

/* A counted walk over flows and cache a few seconds old will do: the screen must not load the instance. */
static int look(const struct cmd_args *args, struct top_look *ret)
{
	struct top_look l = { .at_s = (double)weir_now_ns() / 1e9 };

	l.stats = cmd_call(args, json_pack("{s:s, s:i}", "command", "stats", "max_age_ms", 5000));
	l.status = l.stats ? cmd_call(args, json_pack("{s:s}", "command", "status")) : NULL;
	l.busiest = l.status ? cmd_call(args, json_pack("{s:s}", "command", "busiest")) : NULL;
	if (!l.busiest) {
		forget(&l);
		return -1;
	}
	*ret = l;
	return 0;
}

static const char *chosen_pool(const struct top_screen *t, const struct top_look *now, const struct top_look *before)
{
	struct top_pool rows[64];
	size_t n = top_pools_make(now, before, t->sort, rows, ARRAY_SIZE(rows));

	return t->pool < n ? rows[t->pool].name : NULL;
}

static void act(const struct cmd_args *args, struct top_screen *t, enum top_action action, const struct top_look *now,
		const struct top_look *before)
{
	const json_t *urls = json_object_get(now->busiest, "urls");
	const char *pool = chosen_pool(t, now, before), *url = cmd_get(json_array_get(urls, t->url), "url");
	_cleanup_json_ json_t *request = NULL, *reply = NULL;

	if (action == TOP_RECYCLE && pool)
		request = json_pack("{s:s, s:s, s:s}", "command", "pool_do", "action", "recycle", "pool", pool);
	else if (action == TOP_PURGE && *url)
		request = json_pack("{s:s, s:s}", "command", "cache_purge", "url", url);
	if (!request)
		return;
	if (weir_ipc_call(args->control, request, 2000, &reply) < 0)
		snprintf(t->message, sizeof(t->message), "the instance does not answer");
	else if (!json_is_true(json_object_get(reply, "ok")))
		snprintf(t->message, sizeof(t->message), "%s", cmd_get(reply, "error"));
	else
		snprintf(t->message, sizeof(t->message), "%s: %s", action == TOP_RECYCLE ? "recycling" : "purged",
			 action == TOP_RECYCLE ? pool : url);
}

enum cmd_exit cmd_top(const struct cmd_args *args)
{
	struct top_screen screen = { .sort = TOP_SORT_NAME };
	struct top_look now = {}, before = {};
	enum top_action action = TOP_NONE;
	uint64_t next_ms;
	bool is_lost;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		weir_err(0, "weir top needs a terminal; for a script: weir stats --json, weir status --json");
		return CMD_FAILED;
	}
	if (look(args, &before) < 0)
		return CMD_FAILED;
	top_screen_begin();
	next_ms = weir_now_ms() + STEP_MS / 4;
	for (is_lost = false; action != TOP_QUIT && !is_lost;) {
		uint64_t ms = weir_now_ms();

		action = top_screen_key(&screen, next_ms > ms ? (int)(next_ms - ms) : 0);
		if (action == TOP_RECYCLE || action == TOP_PURGE)
			act(args, &screen, action, now.stats ? &now : &before, &before);
		if (weir_now_ms() >= next_ms) {
			if (now.stats) {
				forget(&before);
				before = now;
				now = (struct top_look){};
			}
			next_ms = weir_now_ms() + STEP_MS;
			is_lost = look(args, &now) < 0;
		}
		if (now.stats)
			top_screen_draw(&screen, &now, &before);
	}
	top_screen_end();
	forget(&now);
	forget(&before);
	if (is_lost)
		weir_err(0, "the instance has ended");
	return is_lost ? CMD_FAILED : CMD_OK;
}
