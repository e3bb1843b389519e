/* SPDX-License-Identifier: GPL-2.0 */
/* `weir pool ...` and `weir queue`. A command that changes a pool waits until it has changed. */
#include "cli/cli.h"

#include <string.h>
#include <time.h>

#include "common/log.h"
#include "ipc/ipc.h"

#define STEP_MS 20
#define WAIT_MS 300000 /* no limit of a pool is expected to be longer */

enum cmd_exit cmd_pool_list(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s}", "command", "pool_list"));

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	cmd_print_workers(json_object_get(reply, "pools"));
	return CMD_OK;
}

static void print_settings(const json_t *settings)
{
	struct cmd_text *t = cmd_text_new(3);
	const json_t *row, *item;
	const char *name;
	size_t i;

	cmd_text_row(t, "SETTING", "VALUE", "FROM");
	json_object_foreach((json_t *)settings, name, row) {
		const json_t *value = json_object_get(row, "value");
		json_int_t line = cmd_int(row, "line");
		char from[256], text[512];
		size_t n = 0;

		snprintf(from, sizeof(from), line > 0 ? "%s:%d" : line < 0 ? "option" : "default",
			 cmd_get(row, "file"), (int)line);
		snprintf(text, sizeof(text), "%s", json_is_string(value) ? json_string_value(value) : "");
		json_array_foreach(value, i, item)
			if (n < sizeof(text))
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? ", " : "",
						      json_string_value(item));
		cmd_text_row(t, name, text[0] ? text : "-", from);
	}
	cmd_text_print(t, "");
}

static void print_queue(const char *name, const json_t *q)
{
	struct cmd_text *t = cmd_text_new(2);
	const json_t *n;
	const char *phrase;

	cmd_text_row(t, name, ">");
	cmd_text_row(t, "waiting", cmd_number(cmd_int(q, "depth")));
	cmd_text_row(t, "limit", cmd_number(cmd_int(q, "limit")));
	cmd_text_row(t, "oldest", cmd_duration(cmd_int(q, "oldest_ms")));
	cmd_text_row(t, "refusing now", cmd_get(q, "refusing"));
	json_object_foreach((json_t *)json_object_get(q, "refused"), phrase, n)
		if (json_integer_value(n)) {
			char text[64];

			snprintf(text, sizeof(text), "refused, %.40s", phrase);
			cmd_text_row(t, text, cmd_number(json_integer_value(n)));
		}
	cmd_text_print(t, "");
}

static void print_upstreams(const json_t *list)
{
	struct cmd_text *t;
	const json_t *row;
	size_t i;

	if (!json_array_size(list))
		return;
	t = cmd_text_new(5);
	cmd_text_row(t, "UPSTREAM", "STATE", ">WEIGHT", ">REQUESTS", ">FAILURES");
	json_array_foreach(list, i, row)
		cmd_text_row(t, cmd_get(row, "address"), cmd_get(row, "state"), cmd_number(cmd_int(row, "weight")),
			     cmd_number(cmd_int(row, "requests")), cmd_number(cmd_int(row, "failures")));
	cmd_text_print(t, "");
	printf("\n");
}

enum cmd_exit cmd_pool_show(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply =
		cmd_call(args, json_pack("{s:s, s:s}", "command", "pool_show", "pool", args->words[0]));
	_cleanup_json_ json_t *pools = NULL;

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	pools = json_pack("{s:O}", cmd_get(reply, "name"), json_object_get(reply, "pool"));
	cmd_print_workers(pools);
	printf("\n");
	print_queue("QUEUE", json_object_get(json_object_get(reply, "pool"), "queue"));
	printf("\n");
	print_upstreams(json_object_get(json_object_get(reply, "pool"), "upstreams"));
	print_settings(json_object_get(reply, "settings"));
	return CMD_OK;
}

/* Whether a pool is still on its way to where `action` leads. */
static bool is_moving(const json_t *pool, const char *action)
{
	const char *state = cmd_get(pool, "state");

	if (!strcmp(action, "recycle"))
		return json_is_true(json_object_get(pool, "recycling"));
	if (!strcmp(action, "start") || !strcmp(action, "enable"))
		return !strcmp(state, "starting") || !strcmp(state, "stopping");
	return !strcmp(state, "stopping");
}

static enum cmd_exit act(const struct cmd_args *args, const char *action, const char *done)
{
	const struct timespec pause = { .tv_nsec = STEP_MS * 1000 * 1000 };
	_cleanup_json_ json_t *reply = cmd_call(
		args, json_pack("{s:s, s:s, s:s}", "command", "pool_do", "action", action, "pool", args->words[0]));
	unsigned i;

	for (i = 0; reply && i < WAIT_MS / STEP_MS; i++) {
		json_decref(reply);
		reply = cmd_call(args, json_pack("{s:s, s:s}", "command", "pool_show", "pool", args->words[0]));
		if (!reply || !is_moving(json_object_get(reply, "pool"), action))
			break;
		(void)nanosleep(&pause, NULL);
	}
	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	if (i == WAIT_MS / STEP_MS) {
		weir_err(0, "pool '%s' is %s still; `weir pool show %s` says more", args->words[0],
			 cmd_get(json_object_get(reply, "pool"), "state"), args->words[0]);
		return CMD_FAILED;
	}
	printf("pool %s: %s, %s\n", args->words[0], done, cmd_get(json_object_get(reply, "pool"), "state"));
	return CMD_OK;
}

enum cmd_exit cmd_pool_start(const struct cmd_args *args)
{
	return act(args, "start", "started");
}

enum cmd_exit cmd_pool_stop(const struct cmd_args *args)
{
	return act(args, "stop", "stopped");
}

enum cmd_exit cmd_pool_recycle(const struct cmd_args *args)
{
	return act(args, "recycle", "recycled");
}

enum cmd_exit cmd_pool_enable(const struct cmd_args *args)
{
	return act(args, "enable", "enabled");
}

enum cmd_exit cmd_pool_disable(const struct cmd_args *args)
{
	return act(args, "disable", "disabled");
}

enum cmd_exit cmd_queue(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s}", "command", "queue"));
	const json_t *q;
	const char *name;

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	if (!json_is_true(json_object_get(reply, "attached")))
		printf("XDP is not attached (%s): only connections that wait for accept() are counted\n",
		       cmd_get(reply, "why_not"));
	json_object_foreach((json_t *)json_object_get(reply, "pools"), name, q)
		print_queue(name, q);
	return CMD_OK;
}
