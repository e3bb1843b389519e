/* SPDX-License-Identifier: GPL-2.0 */
/* `weir stats`: every counter there is, as one JSON object. Without a kernel side its counters are
 * there and 0. */
#include "supervisor/supervisor_priv.h"

#include <ctype.h>
#include <string.h>

static void set_count(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void set_lower(json_t *object, const char *name, uint64_t value)
{
	char key[48];
	size_t i;

	for (i = 0; name[i] && i < sizeof(key) - 1; i++)
		key[i] = (char)tolower((unsigned char)name[i]);
	key[i] = '\0';
	set_count(object, key, value);
}

static json_t *verdicts(const struct weir_dataplane_stats *k)
{
	json_t *j = json_object();
	int v;

	for (v = WEIR_VERDICT_MORE + 1; v < WEIR_VERDICT__MAX; v++)
		set_lower(j, weir_verdict_name((enum weir_verdict)v), k->verdicts[v]);
	return j;
}

static json_t *reasons(const struct weir_dataplane_stats *k)
{
	json_t *j = json_object();
	int m;

	for (m = WEIR_MISS_NONE + 1; m < WEIR_MISS__MAX; m++)
		set_lower(j, weir_miss_name((enum weir_miss)m), k->misses[m]);
	return j;
}

static json_t *kernel(const struct weir_dataplane_stats *k, const struct weir_pool_stats *sum)
{
	uint64_t attempts;
	json_t *j = json_object();

	set_count(j, "hits", sum->hits);
	set_count(j, "hit_bytes", sum->hit_bytes);
	set_count(j, "not_modified", sum->not_modified);
	set_count(j, "stale", sum->stale);
	set_count(j, "misses", sum->misses);
	set_count(j, "handovers", sum->handovers);
	attempts = k->verdicts[WEIR_VERDICT_TC_ASSIGNED] + k->verdicts[WEIR_VERDICT_TC_WAIT] +
		   k->verdicts[WEIR_VERDICT_TC_NO_LISTENER] + k->verdicts[WEIR_VERDICT_TC_ASSIGN_FAILED];
	set_count(j, "handover_retries", attempts > sum->handovers ? attempts - sum->handovers : 0);
	set_count(j, "seizes", sum->seizes);
	set_count(j, "syn_cookies_sent", k->verdicts[WEIR_VERDICT_SYN_COOKIE]);
	set_count(j, "flows", k->flows_xdp + k->flows_kernel);
	set_count(j, "flows_xdp", k->flows_xdp);
	set_count(j, "flows_kernel", k->flows_kernel);
	set_count(j, "flows_capacity", k->flows_capacity);
	set_count(j, "cache_entries", k->cache_entries);
	set_count(j, "cache_bytes", k->cache_bytes);
	set_count(j, "cache_reserved", k->cache_reserved);
	json_object_set_new(j, "verdicts", verdicts(k));
	json_object_set_new(j, "reasons", reasons(k));
	return j;
}

/* Adds up the counters of a pool's slots. */
static struct weir_metrics_slot sum_slots(const struct sup *s, const struct weir_conf_pool *p)
{
	struct weir_metrics_slot sum = {};
	unsigned i;

	for (i = p->first_slot; i < p->first_slot + p->slots; i++) {
		const struct weir_metrics_slot *m = &s->metrics[i];

#define WEIR_ROW(name, help) sum.name += weir_metrics_get(m, name);
#include "metrics/counters.def"
#undef WEIR_ROW
		sum.restarts += weir_metrics_get(m, restarts);
	}
	return sum;
}

static json_t *latency(const struct sup *s, const struct weir_conf_pool *p, uint64_t *ret_sum_us)
{
	json_t *j = json_array();
	unsigned slot;
	size_t i;

	*ret_sum_us = 0;
	for (slot = p->first_slot; slot < p->first_slot + p->slots; slot++)
		*ret_sum_us += __atomic_load_n(&s->metrics[slot].latency.sum_us, __ATOMIC_RELAXED);
	for (i = 0; i < WEIR_LATENCY_BUCKETS; i++) {
		uint64_t count = 0;

		for (slot = p->first_slot; slot < p->first_slot + p->slots; slot++)
			count += __atomic_load_n(&s->metrics[slot].latency.counts[i], __ATOMIC_RELAXED);
		json_array_append_new(j, json_pack("{s:I, s:I}", "le_us",
						   (json_int_t)(i < WEIR_LATENCY_BUCKETS - 1 ? weir_latency_us[i] : 0),
						   "count", (json_int_t)count));
	}
	return j;
}

static json_t *pool(const struct sup *s, const struct weir_conf_pool *p, const struct weir_pool_stats *k)
{
	struct weir_metrics_slot sum = sum_slots(s, p);
	uint64_t gained = sum.accepted + sum.received, lost = sum.closed + sum.recalled + sum.passed_on;
	const struct sup_pool *sp = sup_pool_by_id(s, p->id);
	uint64_t sum_us;
	json_t *j = json_object();
	int r;

#define WEIR_ROW(name, help) set_count(j, #name, sum.name);
#include "metrics/counters.def"
#undef WEIR_ROW
	json_object_set_new(j, "latency", latency(s, p, &sum_us));
	set_count(j, "latency_sum_us", sum_us);
	set_count(j, "restarts", sum.restarts);
	set_count(j, "active", gained > lost ? gained - lost : 0);
	set_count(j, "crashes", sup_pool_sum(s, sp, crashes));
	set_count(j, "recycles", sup_pool_sum(s, sp, recycles));
	set_count(j, "threads", sup_pool_sum(s, sp, threads));
	set_count(j, "threads_busy", sup_pool_sum(s, sp, threads_busy));
	set_count(j, "queue_depth", sup_queue_depth(s, sp));
	set_count(j, "queue_limit", p->queue_length);
	set_count(j, "queue_oldest_ms", sup_queue_oldest_ms(s, sp));
	for (r = WEIR_REFUSAL_NONE + 1; r < WEIR_REFUSAL__MAX; r++) {
		char key[48];

		snprintf(key, sizeof(key), "refused_%s", weir_refusal_phrase((enum weir_refusal)r));
		set_count(j, key, k->refused[r]);
	}
	set_count(j, "hits", k->hits);
	set_count(j, "hit_bytes", k->hit_bytes);
	set_count(j, "not_modified", k->not_modified);
	set_count(j, "stale", k->stale);
	set_count(j, "misses", k->misses);
	set_count(j, "handovers", k->handovers);
	set_count(j, "seizes", k->seizes);
	return j;
}

json_t *sup_control_stats(struct sup *s, const json_t *request)
{
	_cleanup_free_ struct weir_dataplane_stats *k = calloc(1, sizeof(*k));
	struct weir_pool_stats sum = {};
	json_t *pools = json_object();
	json_int_t max_age_ms;
	size_t i;

	max_age_ms = json_integer_value(json_object_get(request, "max_age_ms"));
	if (!k || (s->dp && weir_dataplane_stats(s->dp, (uint64_t)MAX(max_age_ms, 0), k) < 0)) {
		json_decref(pools);
		return weir_ipc_error("the counters cannot be read");
	}
	for (i = 0; i < s->config->pools_count; i++) {
		const struct weir_conf_pool *p = &s->config->pools[i];
		struct weir_pool_stats one = {};

		if (s->dp)
			(void)weir_dataplane_pool_stats(s->dp, p->id, &one);
		sum.hits += one.hits;
		sum.hit_bytes += one.hit_bytes;
		sum.misses += one.misses;
		sum.handovers += one.handovers;
		sum.seizes += one.seizes;
		sum.not_modified += one.not_modified;
		sum.stale += one.stale;
		json_object_set_new(pools, p->name, pool(s, p, &one));
	}
	return json_pack("{s:b, s:s, s:b, s:o, s:o}", "ok", 1, "instance", s->config->name, "attached", s->dp != NULL,
			 "kernel", kernel(k, &sum), "pools", pools);
}
