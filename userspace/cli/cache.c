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

static void print_objects_list(const json_t *reply);

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
	print_objects_list(reply);
	return CMD_OK;
}

enum cmd_exit cmd_cache_purge(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = NULL;

	if (args->is_tag && args->is_prefix) {
		fprintf(stderr, "weir cache purge: --prefix is for URLs, --tag for tags\n");
		return CMD_USAGE;
	}
	reply = cmd_call(args, json_pack("{s:s, s:s, s:b}", "command", "cache_purge", args->is_tag ? "tag" : "url",
					 args->words[0], "is_prefix", args->is_prefix));
	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	printf("%s removed\n", cmd_number(cmd_int(reply, "removed")));
	return CMD_OK;
}

static const char *fresh_for(const json_t *o)
{
	if (json_is_null(json_object_get(o, "fresh_for")))
		return "until purged";
	return cmd_int(o, "fresh_for") > 0 ? cmd_duration(cmd_int(o, "fresh_for") * 1000) : "stale";
}

void cmd_print_objects(const json_t *objects)
{
	json_int_t now = (json_int_t)time(NULL);
	const json_t *o;
	size_t i;

	json_array_foreach(objects, i, o) {
		printf("stored     %s, port %lld, pool %s: %lld, %s, generation %lld\n", cmd_get(o, "key"),
		       (long long)cmd_int(o, "port"), cmd_get(o, "pool"), (long long)cmd_int(o, "status"),
		       cmd_bytes(cmd_int(o, "size")), (long long)cmd_int(o, "generation"));
		printf("  since    %s, age %s\n", cmd_duration((now - cmd_int(o, "created")) * 1000),
		       cmd_duration(cmd_int(o, "age") * 1000));
		printf("  fresh    %s (from %s)", fresh_for(o), cmd_get(o, "lifetime_from"));
		if (json_is_true(json_object_get(o, "no_cache")))
			printf(", validated before each use");
		if (json_is_true(json_object_get(o, "must_revalidate")))
			printf(", never used stale");
		if (cmd_int(o, "stale_while_revalidate"))
			printf(", stale while revalidating %s", cmd_duration(cmd_int(o, "stale_while_revalidate") * 1000));
		if (cmd_int(o, "stale_if_error"))
			printf(", stale on errors %s", cmd_duration(cmd_int(o, "stale_if_error") * 1000));
		printf("\n  hits     %s from memory, %s in the kernel (%lld keys)\n", cmd_number(cmd_int(o, "hits")),
		       cmd_number(cmd_int(o, "kernel_hits")), (long long)cmd_int(o, "kernel_keys"));
		if (*cmd_get(o, "vary"))
			printf("  vary     %s\n", cmd_get(o, "vary"));
		if (*cmd_get(o, "tags"))
			printf("  tags     %s\n", cmd_get(o, "tags"));
	}
}

enum cmd_exit cmd_cache_show(const struct cmd_args *args)
{
	json_t *request = list_request(args, "cache_show");
	_cleanup_json_ json_t *reply = NULL;

	json_object_set_new(request, "url", json_string(args->words[0]));
	reply = cmd_call(args, request);
	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	if (!json_array_size(json_object_get(reply, "objects")))
		printf("nothing is stored; `weir why %s` says why\n", args->words[0]);
	cmd_print_objects(json_object_get(reply, "objects"));
	return CMD_OK;
}

static void print_objects_list(const json_t *reply)
{
	const json_t *rows = json_object_get(reply, "objects"), *o;
	struct cmd_text *t;
	size_t i;

	if (!json_array_size(rows))
		return;
	t = cmd_text_new(7);
	cmd_text_row(t, "IN MEMORY", "POOL", ">STATUS", ">SIZE", ">HITS", ">AGE", ">FRESH FOR");
	json_array_foreach(rows, i, o) {
		char status[16];

		snprintf(status, sizeof(status), "%d", (int)cmd_int(o, "status"));
		cmd_text_row(t, cmd_get(o, "key"), cmd_get(o, "pool"), status, cmd_bytes(cmd_int(o, "size")),
			     cmd_number(cmd_int(o, "hits")), cmd_duration(cmd_int(o, "age") * 1000), fresh_for(o));
	}
	printf("\n");
	cmd_text_print(t, "");
	if ((json_int_t)json_array_size(rows) < cmd_int(reply, "objects_total"))
		printf("%zu of %s objects; --limit N shows more\n", json_array_size(rows),
		       cmd_number(cmd_int(reply, "objects_total")));
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
