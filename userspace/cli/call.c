/* SPDX-License-Identifier: GPL-2.0 */
/* What the commands share: asking the instance, and the commands that only ask and print a word. */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "ipc/ipc.h"

#define CALL_LIMIT_MS 30000
#define STOP_LIMIT_MS 10000

json_t *cmd_call(const struct cmd_args *args, json_t *request)
{
	json_t *reply = NULL;
	int r;

	r = request ? weir_ipc_call(args->control, request, CALL_LIMIT_MS, &reply) : -ENOMEM;
	json_decref(request);
	if (r == -ENOENT || r == -ECONNREFUSED) {
		weir_err(0,
			 "no instance runs with the control socket %s: start one with `weir run`, "
			 "or name its socket "
			 "with --control",
			 args->control);
		return NULL;
	}
	if (r == -EACCES || r == -EPERM || r == -EBADMSG) {
		weir_err(0,
			 "the instance with the control socket %s does not talk to this user: try "
			 "as root",
			 args->control);
		return NULL;
	}
	if (r < 0) {
		weir_err(r, "cannot ask the instance with the control socket %s", args->control);
		return NULL;
	}
	if (json_is_true(json_object_get(reply, "ok")))
		return reply;
	weir_err(0, "%s", cmd_get(reply, "error"));
	json_decref(reply);
	return NULL;
}

enum cmd_exit cmd_print_json(const json_t *reply)
{
	int r = json_dumpf(reply, stdout, JSON_INDENT(2));

	putchar('\n');
	return r == 0 ? CMD_OK : CMD_FAILED;
}

void cmd_print_report(const struct weir_conf_report *report)
{
	char text[640];
	size_t i;

	for (i = 0; i < report->count; i++) {
		weir_conf_diag_format(&report->rows[i], text, sizeof(text));
		fprintf(stderr, "%s\n", text);
	}
}

/* What tells one life of the supervisor from the next: 0 while nobody answers. */
static json_int_t loaded_ms(const struct cmd_args *args, char version[32])
{
	_cleanup_json_ json_t *request = json_pack("{s:s}", "command", "status"), *reply = NULL;

	if (!request || weir_ipc_call(args->control, request, STOP_LIMIT_MS, &reply) < 0)
		return 0;
	snprintf(version, 32, "%s", cmd_get(reply, "version"));
	return cmd_int(reply, "loaded_ms");
}

enum cmd_exit cmd_upgrade(const struct cmd_args *args)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	_cleanup_json_ json_t *reply = NULL;
	char before[32] = "", after[32] = "";
	json_int_t was = loaded_ms(args, before), is;
	unsigned i;

	reply = cmd_call(args, json_pack("{s:s}", "command", "upgrade"));
	if (!reply)
		return CMD_FAILED;
	for (i = 0; i < STOP_LIMIT_MS / 20; i++) {
		is = loaded_ms(args, after);
		if (is && is != was) {
			printf("upgraded: version %s runs in place of %s\n", after, before);
			return CMD_OK;
		}
		(void)nanosleep(&pause, NULL);
	}
	weir_err(0, "the new program does not answer: see the log of the instance");
	return CMD_FAILED;
}

enum cmd_exit cmd_stop(const struct cmd_args *args)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	_cleanup_json_ json_t *reply = NULL;
	unsigned i;

	if (!weir_ipc_is_served(args->control) && cmd_end_orphans(args))
		return CMD_OK;
	reply = cmd_call(args, json_pack("{s:s}", "command", "stop"));
	if (!reply)
		return CMD_FAILED;
	for (i = 0; i < STOP_LIMIT_MS / 20; i++) {
		if (!weir_ipc_is_served(args->control)) {
			printf("stopped\n");
			return CMD_OK;
		}
		(void)nanosleep(&pause, NULL);
	}
	weir_err(0, "the instance has been told to stop but has not ended yet; `weir status` shows "
		    "what it waits for");
	return CMD_FAILED;
}
