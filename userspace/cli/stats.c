/* SPDX-License-Identifier: GPL-2.0 */
/* `weir stats`: counters. For people only those that moved, with what they mean. */
#include "cli/cli.h"

#include <string.h>

#include "ipc/ipc.h"
#include "dataplane/dataplane.h"

static const char *verdict_help(const char *name)
{
	int v;

	for (v = WEIR_VERDICT_MORE + 1; v < WEIR_VERDICT__MAX; v++)
		if (!strcasecmp(weir_verdict_name((enum weir_verdict)v), name))
			return weir_verdict_help((enum weir_verdict)v);
	return "";
}

static const char *reason_help(const char *name)
{
	int m;

	for (m = WEIR_MISS_NONE + 1; m < WEIR_MISS__MAX; m++)
		if (!strcasecmp(weir_miss_name((enum weir_miss)m), name))
			return weir_miss_help((enum weir_miss)m);
	return "";
}

static void print_kernel(const json_t *k)
{
	struct cmd_text *t = cmd_text_new(2);
	json_int_t hits = cmd_int(k, "hits"), misses = cmd_int(k, "misses");
	char ratio[32] = "-";

	if (hits + misses)
		snprintf(ratio, sizeof(ratio), "%.1f %%", 100.0 * (double)hits / (double)(hits + misses));
	cmd_text_row(t, "KERNEL", ">");
	cmd_text_row(t, "hits", cmd_number(hits));
	cmd_text_row(t, "misses", cmd_number(misses));
	cmd_text_row(t, "hit ratio", ratio);
	cmd_text_row(t, "hits, 304 of them", cmd_number(cmd_int(k, "not_modified")));
	cmd_text_row(t, "hits, stale of them", cmd_number(cmd_int(k, "stale")));
	cmd_text_row(t, "bytes of hits", cmd_bytes(cmd_int(k, "hit_bytes")));
	cmd_text_row(t, "hand-overs to workers", cmd_number(cmd_int(k, "handovers")));
	cmd_text_row(t, "hand-overs tried again", cmd_number(cmd_int(k, "handover_retries")));
	cmd_text_row(t, "connections taken back", cmd_number(cmd_int(k, "seizes")));
	cmd_text_row(t, "SYN cookies sent", cmd_number(cmd_int(k, "syn_cookies_sent")));
	cmd_text_row(t, "connections, owned by XDP", cmd_number(cmd_int(k, "flows_xdp")));
	cmd_text_row(t, "connections, lent to workers", cmd_number(cmd_int(k, "flows_kernel")));
	cmd_text_row(t, "connections, room for", cmd_number(cmd_int(k, "flows_capacity")));
	cmd_text_row(t, "cache entries", cmd_number(cmd_int(k, "cache_entries")));
	cmd_text_row(t, "cache bytes used", cmd_bytes(cmd_int(k, "cache_bytes")));
	cmd_text_row(t, "cache bytes reserved", cmd_bytes(cmd_int(k, "cache_reserved")));
	cmd_text_print(t, "");
}

static void print_moved(const char *title, const json_t *rows, const char *(*help)(const char *))
{
	struct cmd_text *t = cmd_text_new(3);
	const json_t *value;
	const char *name;

	cmd_text_row(t, title, ">", "");
	json_object_foreach((json_t *)rows, name, value)
		if (json_integer_value(value))
			cmd_text_row(t, name, cmd_number(json_integer_value(value)), help(name));
	printf("\n");
	cmd_text_print(t, "");
}

static void print_pools(const json_t *pools)
{
	struct cmd_text *t = cmd_text_new(11);
	const json_t *p;
	const char *name;

	cmd_text_row(t, "POOL", ">HITS", ">MISSES", ">REQUESTS", ">2xx", ">3xx", ">4xx", ">5xx", ">ACTIVE", ">QUEUE",
		     ">PUBLISHED");
	json_object_foreach((json_t *)pools, name, p)
		cmd_text_row(t, name, cmd_number(cmd_int(p, "hits")), cmd_number(cmd_int(p, "misses")),
			     cmd_number(cmd_int(p, "requests")), cmd_number(cmd_int(p, "responses_2xx")),
			     cmd_number(cmd_int(p, "responses_3xx")), cmd_number(cmd_int(p, "responses_4xx")),
			     cmd_number(cmd_int(p, "responses_5xx")), cmd_number(cmd_int(p, "active")),
			     cmd_number(cmd_int(p, "queue_depth")), cmd_number(cmd_int(p, "published")));
	cmd_text_print(t, "");
}

enum cmd_exit cmd_stats(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s}", "command", "stats"));
	const json_t *kernel;

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	kernel = json_object_get(reply, "kernel");
	print_pools(json_object_get(reply, "pools"));
	printf("\n");
	if (!json_is_true(json_object_get(reply, "attached"))) {
		printf("XDP is not attached: there is no kernel side to count\n");
		return CMD_OK;
	}
	print_kernel(kernel);
	print_moved("PACKETS", json_object_get(kernel, "verdicts"), verdict_help);
	print_moved("NOT ANSWERED FROM THE CACHE", json_object_get(kernel, "reasons"), reason_help);
	return CMD_OK;
}
