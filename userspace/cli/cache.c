/* SPDX-License-Identifier: GPL-2.0 */
/* `weir cache list|purge|flush` and `weir conn list`: tables from the kernel side. */
#include "cli/cli.h"

#include <time.h>

#include "ipc/ipc.h"

static json_t *list_request(const struct cmd_args *args, const char *command)
{
	json_t *request = json_pack("{s:s}", "command", command);

	if (args->limit)
		json_object_set_new(request, "limit", json_integer(args->limit));
	return request;
}

/* What a list says under its rows. */
static void print_rest(const json_t *reply, size_t shown, const char *what)
{
	json_int_t total = cmd_int(reply, "total");

	if (!json_is_true(json_object_get(reply, "attached")))
		printf("XDP is not attached (%s): there is nothing to list\n", cmd_get(reply, "why_not"));
	else if ((json_int_t)shown < total)
		printf("%zu of %s %s; --limit N shows more\n", shown, cmd_number(total), what);
}

/* How long until a time, which may be null. */
static const char *until(const json_t *e, const char *key, json_int_t now, const char *otherwise)
{
	json_int_t left = cmd_int(e, key) - now;

	if (json_is_null(json_object_get(e, key)))
		return otherwise;
	return left <= 0 ? "past" : cmd_duration(left * 1000);
}

enum cmd_exit cmd_cache_list(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, list_request(args, "cache_list"));
	json_int_t now = (json_int_t)time(NULL);
	const json_t *rows, *e;
	struct cmd_text *t;
	size_t i;

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	t = cmd_text_new(13);
	rows = json_object_get(reply, "entries");
	cmd_text_row(t, "URL", "POOL", "ENDPOINT", "ENCODINGS", ">STATUS", ">SIZE", "CLASS", ">HITS", ">AGE",
		     ">EXPIRES", ">STALE UNTIL", "ETAG", "LAST MODIFIED");
	json_array_foreach(rows, i, e) {
		char status[16], class[16];

		snprintf(status, sizeof(status), "%d", (int)cmd_int(e, "status"));
		snprintf(class, sizeof(class), "%s%s", cmd_get(e, "class"),
			 json_is_true(json_object_get(e, "head_only")) ? " (head)" : "");
		cmd_text_row(t, cmd_get(e, "url"), cmd_get(e, "pool"), cmd_get(e, "endpoint"), cmd_get(e, "encodings"),
			     status, cmd_bytes(cmd_int(e, "size")), class, cmd_number(cmd_int(e, "hits")),
			     cmd_duration((now - cmd_int(e, "created")) * 1000), until(e, "expires", now, "on change"),
			     until(e, "stale_until", now, "-"), *cmd_get(e, "etag") ? cmd_get(e, "etag") : "-",
			     *cmd_get(e, "last_modified") ? cmd_get(e, "last_modified") : "-");
	}
	cmd_text_print(t, "");
	print_rest(reply, json_array_size(rows), "entries");
	return CMD_OK;
}

enum cmd_exit cmd_cache_purge(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply =
		cmd_call(args, json_pack("{s:s, s:s}", "command", "cache_purge", "url", args->words[0]));

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	printf("%s removed\n", cmd_number(cmd_int(reply, "removed")));
	return CMD_OK;
}

enum cmd_exit cmd_cache_flush(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply =
		cmd_call(args, json_pack("{s:s, s:s}", "command", "cache_flush", "pool", args->words[0]));

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	printf("flushed\n");
	return CMD_OK;
}

enum cmd_exit cmd_conn_list(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, list_request(args, "conn_list"));
	const json_t *rows, *c;
	struct cmd_text *t;
	size_t i;

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	t = cmd_text_new(8);
	rows = json_object_get(reply, "connections");
	cmd_text_row(t, "CLIENT", "SERVER", "OWNER", "STATE", "POOL", ">REQUESTS", ">AGE", ">IDLE");
	json_array_foreach(rows, i, c)
		cmd_text_row(t, cmd_get(c, "client"), cmd_get(c, "server"), cmd_get(c, "owner"), cmd_get(c, "state"),
			     cmd_get(c, "pool"), cmd_number(cmd_int(c, "requests")), cmd_duration(cmd_int(c, "age_ms")),
			     cmd_duration(cmd_int(c, "idle_ms")));
	cmd_text_print(t, "");
	print_rest(reply, json_array_size(rows), "connections");
	return CMD_OK;
}
