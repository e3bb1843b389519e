/* SPDX-License-Identifier: GPL-2.0 */
/* `weir why URL` and `weir route URL`. */
#include "cli/cli.h"

#include "ipc/ipc.h"

static void print_routes(const json_t *routes)
{
	const json_t *r;
	size_t i;

	json_array_foreach(routes, i, r) {
		const char *prefix = cmd_get(r, "prefix");

		printf("endpoint   %s\n", cmd_get(r, "endpoint"));
		if (!*prefix) {
			printf("  prefix   none matches: the answer is 400\n");
			continue;
		}
		printf("  prefix   %s (bucket %s", prefix, cmd_get(r, "bucket"));
		if (cmd_int(r, "line") > 0)
			printf(", %s:%lld", cmd_get(r, "file"), (long long)cmd_int(r, "line"));
		if (*cmd_get(r, "pool"))
			printf(")\n  pool     %s (%s)\n", cmd_get(r, "pool"), cmd_get(r, "state"));
		else
			printf(")\n  pool     none, the prefix is reserved: the answer is 400\n");
	}
}

static void print_cached(const json_t *cached)
{
	const json_t *e, *coding;
	size_t i, j;

	json_array_foreach(cached, i, e) {
		printf("cached     %s, ", cmd_get(e, "endpoint"));
		if (!json_array_size(json_object_get(e, "encodings")))
			printf("for clients without codings");
		json_array_foreach(json_object_get(e, "encodings"), j, coding)
			printf("%s%s", j ? "+" : "for clients with ", json_string_value(coding));
		printf(": %lld, %s, class %s%s, %s hits, since %s", (long long)cmd_int(e, "status"),
		       cmd_bytes(cmd_int(e, "size")), cmd_get(e, "class"),
		       json_is_true(json_object_get(e, "head_only")) ? " (head only)" : "",
		       cmd_number(cmd_int(e, "hits")), cmd_duration(cmd_int(e, "age_ms")));
		if (json_is_null(json_object_get(e, "expires_in_ms")))
			printf(", until its source changes\n");
		else if (cmd_int(e, "expires_in_ms") > 0)
			printf(", expires in %s\n", cmd_duration(cmd_int(e, "expires_in_ms")));
		else if (json_is_true(json_object_get(e, "stale_ok")))
			printf(", stale: one request at a time goes up to refresh it\n");
		else
			printf(", expired\n");
	}
}

enum cmd_exit cmd_route(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply =
		cmd_call(args, json_pack("{s:s, s:s}", "command", "route", "url", args->words[0]));

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	if (!json_array_size(json_object_get(reply, "routes")))
		printf("this instance does not listen there; `weir status` lists its addresses\n");
	print_routes(json_object_get(reply, "routes"));
	return CMD_OK;
}

enum cmd_exit cmd_why(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s, s:s}", "command", "why", "url", args->words[0]));
	const json_t *reason;
	size_t i;

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	print_routes(json_object_get(reply, "routes"));
	print_cached(json_object_get(reply, "cached"));
	json_array_foreach(json_object_get(reply, "reasons"), i, reason)
		printf("%-10s %s\n", i ? "" : "because", json_string_value(reason));
	return CMD_OK;
}
