/* SPDX-License-Identifier: GPL-2.0 */
/* `weir reload`: asks the instance to take its configuration as it is now, and waits until it has. */
#include "cli/cli.h"

#include <time.h>

#include "common/log.h"
#include "ipc/ipc.h"

#define RELOAD_LIMIT_MS 60000
#define PAUSE_MS 10
#define CALL_LIMIT_MS 30000

static void print_findings(const json_t *reply)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(reply, "findings"), i, row)
		fprintf(stderr, "%s\n", json_string_value(row));
}

/* The instance's status once it has reloaded more often than `before`. NULL: it has not in time. */
static json_t *wait_reloaded(const struct cmd_args *args, json_int_t before)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000 };
	_cleanup_json_ json_t *request = json_pack("{s:s}", "command", "status");
	unsigned i;

	for (i = 0; request && i < RELOAD_LIMIT_MS / PAUSE_MS; i++) {
		json_t *status = NULL;

		/* its socket is away for a moment */
		if (weir_ipc_call(args->control, request, CALL_LIMIT_MS, &status) == 0 &&
		    cmd_int(status, "reloads") > before)
			return status;
		json_decref(status);
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

enum cmd_exit cmd_reload(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s}", "command", "reload"));
	_cleanup_json_ json_t *status = NULL;

	if (!reply)
		return CMD_FAILED;
	print_findings(reply);
	if (!json_is_true(json_object_get(reply, "accepted"))) {
		weir_err(0, "not reloaded: nothing has changed");
		return CMD_FAILED;
	}
	status = wait_reloaded(args, cmd_int(reply, "reloads"));
	if (!status) {
		weir_err(0, "the instance does not answer after the reload: see its log");
		return CMD_FAILED;
	}
	printf("reloaded; %s\n", cmd_get(status, "reloaded"));
	return CMD_OK;
}
