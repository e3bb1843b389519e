/* SPDX-License-Identifier: GPL-2.0 */
/* Answers to the command line: which function has which command, and the two that concern the whole instance. */
#include "supervisor/state.h"

#include <string.h>

#include "common/clock.h"

#define ROWS_DEFAULT 1000

static json_t *control_stop(struct sup *s, const json_t *request)
{
	(void)request;
	sup_stop(s);
	return weir_ipc_ok();
}

static const struct {
	const char *name;
	json_t *(*answer)(struct sup *s, const json_t *request);
} commands[] = {
	{ "stats", sup_control_stats },
	{ "status", sup_control_status },
	{ "cache_list", sup_control_cache_list },
	{ "busiest", sup_control_busiest },
	{ "cache_purge", sup_control_cache_purge },
	{ "cache_flush", sup_control_cache_flush },
	{ "pool_list", sup_control_pool_list },
	{ "pool_show", sup_control_pool_show },
	{ "pool_do", sup_control_pool_do },
	{ "queue", sup_control_queue },
	{ "limit_show", sup_control_limit_show },
	{ "limit_set", sup_control_limit_set },
	{ "acl_list", sup_control_acl_list },
	{ "acl_do", sup_control_acl_do },
	{ "conn_list", sup_control_conn_list },
	{ "route", sup_control_route },
	{ "why", sup_control_why },
	{ "reload", sup_control_reload },
	{ "upgrade", sup_control_upgrade },
	{ "stop", control_stop },
};

json_t *sup_control(const char *command, const json_t *request, void *sup)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, command))
			return commands[i].answer(sup, request);
	return weir_ipc_error("this instance (version " WEIR_VERSION ") does not know the command '%s'", command);
}

size_t sup_control_limit(const json_t *request)
{
	json_int_t limit = json_integer_value(json_object_get(request, "limit"));

	return limit > 0 ? (size_t)limit : ROWS_DEFAULT;
}

/* --- status --- */

static json_t *kernel_status(const struct sup *s)
{
	json_t *ifaces = json_array();
	const struct weir_dataplane_iface *rows = NULL;
	size_t i, n = s->dp ? weir_dataplane_ifaces(s->dp, &rows) : 0;

	for (i = 0; i < n; i++)
		json_array_append_new(ifaces, json_pack("{s:s, s:s, s:i}", "name", rows[i].name, "mode",
							rows[i].is_native ? "native" : "generic", "mtu",
							(int)rows[i].mtu));
	return json_pack("{s:b, s:s, s:s, s:o}", "attached", s->dp != NULL, "asked_for",
			 weir_attach_name(s->config->attach), "why_not", s->dp ? "" : s->no_dp, "interfaces", ifaces);
}

json_t *sup_control_status(struct sup *s, const json_t *request)
{
	const struct weir_config *c = s->config;
	json_t *listens = json_array(), *pools = json_object();
	size_t i;

	(void)request;
	for (i = 0; i < c->listens_count; i++)
		json_array_append_new(listens, json_string(c->listens[i].text));
	for (i = 0; i < c->pools_count; i++)
		json_object_set_new(pools, c->pools[i].name, sup_pool_json(s, &s->pools[i]));
	return json_pack("{s:b, s:s, s:I, s:s, s:s, s:i, s:I, s:I, s:I, s:s, s:s, s:o, s:o, s:o}", "ok", 1, "version",
			 WEIR_VERSION, "reloads", (json_int_t)s->state->reloads, "reloaded", s->state->reloaded,
			 "instance", c->name, "pid", (int)getpid(), "started_at", (json_int_t)s->started_at, "loaded_ms",
			 (json_int_t)s->loaded_ms, "now",
			 (json_int_t)weir_realtime_s(), "config", c->file ? c->file : "", "control", c->control,
			 "kernel", kernel_status(s), "listens", listens, "pools", pools);
}
