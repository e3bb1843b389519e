/* SPDX-License-Identifier: GPL-2.0 */
/* `weir pool ...` and `weir queue`. */
#include "supervisor/supervisor_priv.h"

#include <string.h>

#include "common/clock.h"

static json_t *worker_json(const struct sup *s, const struct sup_slot *slot)
{
	static const char *const states[] = {
		[WEIR_SLOT_NONE] = "none",
		[WEIR_SLOT_STARTING] = "starting",
		[WEIR_SLOT_STARTED] = "started",
		[WEIR_SLOT_RECYCLING] = "recycling",
		[WEIR_SLOT_WAITING] = "waiting",
		[WEIR_SLOT_STOPPING] = "stopping",
	};
	const struct weir_metrics_slot *m = &s->metrics[sup_slot_number(s, slot)];
	uint64_t pid = weir_metrics_get(m, worker_pid), now = weir_now_ms(), born = weir_metrics_get(m, born_ms);

	return json_pack("{s:i, s:s, s:I, s:I, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "slot",
			 (int)sup_slot_number(s, slot), "state", states[sup_slot_state(s, slot)], "worker_pid",
			 (json_int_t)pid, "draining_pid", (json_int_t)weir_metrics_get(m, old_pid), "keeper_pid",
			 (int)slot->keeper, "started_at", (json_int_t)(pid ? weir_metrics_get(m, started_at) : 0),
			 "uptime_ms", (json_int_t)(pid && born < now ? now - born : 0), "restarts",
			 (json_int_t)weir_metrics_get(m, restarts), "crashes", (json_int_t)weir_metrics_get(m, crashes),
			 "recycles", (json_int_t)weir_metrics_get(m, recycles), "recycle_failures",
			 (json_int_t)weir_metrics_get(m, recycle_failures), "threads",
			 (json_int_t)weir_metrics_get(m, threads), "threads_busy",
			 (json_int_t)weir_metrics_get(m, threads_busy), "resident_bytes",
			 (json_int_t)(pid ? sup_resident_kb(pid) * 1024 : 0));
}

static json_t *refused_json(const struct sup *s, const struct sup_pool *p)
{
	struct weir_pool_stats st = {};
	json_t *j = json_object();
	int r;

	if (s->dp)
		(void)weir_dataplane_pool_stats(s->dp, p->conf->id, &st);
	for (r = WEIR_REFUSAL_NONE + 1; r < WEIR_REFUSAL__MAX; r++)
		json_object_set_new(j, weir_refusal_phrase((enum weir_refusal)r),
				    json_integer((json_int_t)st.refused[r]));
	return j;
}

static json_t *queue_json(const struct sup *s, const struct sup_pool *p)
{
	const struct weir_queue *q = s->dp ? weir_dataplane_queue(s->dp, p->conf->id) : NULL;
	uint64_t in_sockets = 0;
	unsigned i;

	for (i = 0; i < p->conf->slots; i++)
		in_sockets += sup_sockets_queued(s, &p->slots[i]);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o}", "depth", (json_int_t)sup_queue_depth(s, p),
			 "limit", (json_int_t)p->conf->queue_length, "oldest_ms",
			 (json_int_t)sup_queue_oldest_ms(s, p), "arrived", (json_int_t)(q ? q->arrived : 0), "taken",
			 (json_int_t)(q ? q->taken : 0), "in_sockets", (json_int_t)in_sockets, "refusing",
			 weir_refusal_phrase(p->refusal), "refused", refused_json(s, p));
}

/* What all workers of the pool know of its upstreams. */
static json_t *upstreams_json(const struct sup *s, const struct weir_conf_pool *c)
{
	const struct weir_up_shared *all = sup_state_upstreams(s, c->id);
	json_t *list = json_array();
	uint64_t now = weir_now_ms();
	size_t i;

	for (i = 0; i < c->proxy.servers_count; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:i, s:i, s:I, s:I}", "address", c->proxy.servers[i].text, "state",
					weir_up_state_name(weir_up_shared_state(&all[i], now)), "ready",
					weir_up_shared_state(&all[i], now) == WEIR_UP_READY, "weight",
					(int)c->proxy.servers[i].weight, "requests",
					(json_int_t)__atomic_load_n(&all[i].requests, __ATOMIC_RELAXED), "failures",
					(json_int_t)__atomic_load_n(&all[i].failures, __ATOMIC_RELAXED)));
	return list;
}

json_t *sup_pool_json(const struct sup *s, const struct sup_pool *p)
{
	const struct weir_conf_pool *c = p->conf;
	json_t *workers = json_array(), *prefixes = json_array();
	size_t i;

	for (i = 0; i < c->slots; i++)
		json_array_append_new(workers, worker_json(s, &p->slots[i]));
	for (i = 0; i < s->config->prefixes_count; i++)
		if (s->config->prefixes[i].pool == c->id)
			json_array_append_new(prefixes, json_string(s->config->prefixes[i].text));
	return json_pack("{s:s, s:b, s:I, s:I, s:I, s:s, s:s, s:i, s:b, s:o, s:o, s:o, s:o}", "state",
			 sup_pool_state_name(sup_pool_state(s, p)), "recycling", sup_recycle_is_under_way(p), "restarts",
			 (json_int_t)sup_pool_sum(s, p, restarts), "crashes", (json_int_t)sup_pool_sum(s, p, crashes),
			 "recycles", (json_int_t)sup_pool_sum(s, p, recycles), "root", c->root ? c->root : "", "user",
			 c->user, "threads", (int)c->threads, "kernel_cache", c->kernel_cache && s->dp, "queue",
			 queue_json(s, p), "prefixes", prefixes, "workers", workers, "upstreams", upstreams_json(s, c));
}

/* Every parameter, as a file would have it; where it was set: file and line, 0 default, -1 option.
 */
static json_t *settings_json(const struct sup *s, const struct weir_conf_pool *c)
{
	json_t *j = json_object(), *value, *row;
	char text[4200];
	const char *file;
	size_t i, k;
	int line;

	for (i = 0; i < WEIR_PARAM__MAX; i++) {
		const struct weir_param *p = &weir_params[i];

		if (p->scope != WEIR_SCOPE_POOL || p->type == WEIR_TYPE_PREFIXES)
			continue;
		if (p->type == WEIR_TYPE_WORDS) {
			const struct weir_conf_words *w = weir_param_words(p, c);

			value = json_array();
			for (k = 0; k < w->count; k++)
				json_array_append_new(value, json_string(w->items[k]));
		} else {
			weir_param_format(p, c, text, sizeof(text));
			value = json_string(text);
		}
		line = weir_conf_line(s->config, c->lines[i], &file);
		row = json_pack("{s:o, s:i}", "value", value, "line", line);
		if (line > 0 && file)
			json_object_set_new(row, "file", json_string(file));
		json_object_set_new(j, p->name, row);
	}
	return j;
}

json_t *sup_control_pool_list(struct sup *s, const json_t *request)
{
	json_t *pools = json_object();
	size_t i;

	(void)request;
	for (i = 0; i < s->config->pools_count; i++)
		json_object_set_new(pools, s->config->pools[i].name, sup_pool_json(s, &s->pools[i]));
	return json_pack("{s:b, s:I, s:o}", "ok", 1, "now", (json_int_t)weir_realtime_s(), "pools", pools);
}

static struct sup_pool *named_pool(struct sup *s, const json_t *request, json_t **ret_error)
{
	const char *name = json_string_value(json_object_get(request, "pool"));
	struct sup_pool *p = name ? sup_pool_find(s, name) : NULL;

	if (!name)
		*ret_error = weir_ipc_error("this command needs \"pool\"");
	else if (!p)
		*ret_error = weir_ipc_error("there is no pool '%s'; `weir pool list` lists them", name);
	return p;
}

json_t *sup_control_pool_show(struct sup *s, const json_t *request)
{
	json_t *error = NULL;
	struct sup_pool *p = named_pool(s, request, &error);

	if (!p)
		return error;
	return json_pack("{s:b, s:s, s:I, s:o, s:o}", "ok", 1, "name", p->conf->name, "now",
			 (json_int_t)weir_realtime_s(), "pool", sup_pool_json(s, p), "settings",
			 settings_json(s, p->conf));
}

static json_t *recycle(struct sup *s, struct sup_pool *p)
{
	if (p->want != SUP_WANT_RUN)
		return weir_ipc_error("pool '%s' is %s: there is no worker to recycle", p->conf->name,
				      sup_pool_state_name(sup_pool_state(s, p)));
	sup_recycle(p, WRK_REASON_ON_DEMAND);
	sup_recycle_step(s, p);
	return NULL;
}

static json_t *start_or_stop(struct sup *s, struct sup_pool *p, enum sup_want want)
{
	if (p->want == SUP_WANT_DISABLED && (want == SUP_WANT_RUN || want == SUP_WANT_STOPPED))
		return weir_ipc_error("pool '%s' is disabled: `weir pool enable %s` brings it back", p->conf->name,
				      p->conf->name);
	if (p->want != want)
		sup_pool_want(s, p, want);
	return NULL;
}

json_t *sup_control_pool_do(struct sup *s, const json_t *request)
{
	const char *action = json_string_value(json_object_get(request, "action"));
	json_t *error = NULL;
	struct sup_pool *p = named_pool(s, request, &error);

	if (!p)
		return error;
	if (!action)
		return weir_ipc_error("this command needs \"action\"");
	if (s->is_stopping)
		return weir_ipc_error("the instance is stopping");
	if (!strcmp(action, "recycle"))
		error = recycle(s, p);
	else if (!strcmp(action, "start"))
		error = start_or_stop(s, p, SUP_WANT_RUN);
	else if (!strcmp(action, "stop"))
		error = start_or_stop(s, p, SUP_WANT_STOPPED);
	else if (!strcmp(action, "disable"))
		sup_pool_want(s, p, SUP_WANT_DISABLED);
	else if (!strcmp(action, "enable") && p->want == SUP_WANT_DISABLED)
		sup_pool_want(s, p, SUP_WANT_RUN);
	else if (strcmp(action, "enable") != 0)
		error = weir_ipc_error("a pool cannot be told to '%s'", action);
	return error ? error :
		       json_pack("{s:b, s:s, s:s}", "ok", 1, "name", p->conf->name, "state",
				 sup_pool_state_name(sup_pool_state(s, p)));
}

json_t *sup_control_queue(struct sup *s, const json_t *request)
{
	json_t *pools = json_object();
	size_t i;

	(void)request;
	for (i = 0; i < s->config->pools_count; i++)
		json_object_set_new(pools, s->config->pools[i].name, queue_json(s, &s->pools[i]));
	return json_pack("{s:b, s:b, s:s, s:o}", "ok", 1, "attached", s->dp != NULL, "why_not", s->dp ? "" : s->no_dp,
			 "pools", pools);
}
