/* SPDX-License-Identifier: GPL-2.0 */
/* `weir status`: the instance, its interfaces, pools and workers. */
#include "cli/cli.h"

#include "ipc/ipc.h"

static void print_kernel(const json_t *kernel)
{
	const json_t *ifaces = json_object_get(kernel, "interfaces"), *row;
	size_t i;

	if (!json_is_true(json_object_get(kernel, "attached"))) {
		printf("XDP        not attached: %s\n", cmd_get(kernel, "why_not"));
		return;
	}
	json_array_foreach(ifaces, i, row)
		printf("%-10s %s, %s mode, mtu %lld\n", i ? "" : "XDP", cmd_get(row, "name"), cmd_get(row, "mode"),
		       (long long)cmd_int(row, "mtu"));
}

static void print_list(const char *title, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		printf("%-10s %s\n", i ? "" : title, json_string_value(item));
}

static void print_fleet(const json_t *fleet)
{
	json_int_t hosts = cmd_int(fleet, "hosts");

	if (!json_is_object(fleet))
		return;
	if (json_is_true(json_object_get(fleet, "connected")))
		printf("fleet      connected to %s, %lld other host%s\n", cmd_get(fleet, "server"), (long long)hosts,
		       hosts == 1 ? "" : "s");
	else
		printf("fleet      not connected to %s: %s; purges stay on this host\n", cmd_get(fleet, "server"),
		       cmd_get(fleet, "why_not"));
}

/* Of the pools that have one (exec). */
static void print_programs(const json_t *pools)
{
	const json_t *pool, *worker, *program;
	struct cmd_text *t = NULL;
	const char *name;
	size_t i;

	json_object_foreach((json_t *)pools, name, pool) {
		json_array_foreach(json_object_get(pool, "workers"), i, worker) {
			json_int_t pid;
			char slot[16], number[16];

			program = json_object_get(worker, "program");
			if (!program)
				continue;
			if (!t) {
				t = cmd_text_new(5);
				cmd_text_row(t, "PROGRAM OF", ">SLOT", ">PID", ">UP", ">RESTARTS");
			}
			pid = cmd_int(program, "pid");
			snprintf(slot, sizeof(slot), "%d", (int)cmd_int(worker, "slot"));
			snprintf(number, sizeof(number), "%d", (int)pid);
			cmd_text_row(t, i ? "" : name, slot, pid ? number : "-",
				     pid ? cmd_duration(cmd_int(program, "uptime_ms")) : "-",
				     cmd_number(cmd_int(program, "restarts")));
		}
	}
	if (!t)
		return;
	printf("\n");
	cmd_text_print(t, "");
}

void cmd_print_workers(const json_t *pools)
{
	struct cmd_text *t = cmd_text_new(11);
	const json_t *pool, *worker;
	const char *name;
	size_t i;

	cmd_text_row(t, "POOL", "STATE", ">SLOT", "WORKER", ">PID", ">KEEPER", ">UP", ">RESTARTS", ">RECYCLES", ">QUEUE",
		     "CACHE");
	json_object_foreach((json_t *)pools, name, pool) {
		const json_t *queue = json_object_get(pool, "queue");

		json_array_foreach(json_object_get(pool, "workers"), i, worker) {
			json_int_t pid = cmd_int(worker, "worker_pid");
			char slot[16], number[16], keeper[16];

			snprintf(slot, sizeof(slot), "%d", (int)cmd_int(worker, "slot"));
			snprintf(number, sizeof(number), "%d", (int)pid);
			snprintf(keeper, sizeof(keeper), "%d", (int)cmd_int(worker, "keeper_pid"));
			cmd_text_row(t, i ? "" : name, i ? "" : cmd_get(pool, "state"), slot, cmd_get(worker, "state"),
				     pid ? number : "-", keeper,
				     pid ? cmd_duration(cmd_int(worker, "uptime_ms")) : "-",
				     cmd_number(cmd_int(worker, "restarts")), cmd_number(cmd_int(worker, "recycles")),
				     i ? "" : cmd_number(cmd_int(queue, "depth")),
				     json_is_true(json_object_get(pool, "kernel_cache")) ? "kernel" : "none");
		}
	}
	cmd_text_print(t, "");
	print_programs(pools);
}

enum cmd_exit cmd_status(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s}", "command", "status"));

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	printf("%-10s %s, version %s, pid %lld, up %s\n", "instance", cmd_get(reply, "instance"),
	       cmd_get(reply, "version"), (long long)cmd_int(reply, "pid"),
	       cmd_duration((cmd_int(reply, "now") - cmd_int(reply, "started_at")) * 1000));
	print_kernel(json_object_get(reply, "kernel"));
	print_list("listening", json_object_get(reply, "listens"));
	print_fleet(json_object_get(reply, "fleet"));
	printf("\n");
	cmd_print_workers(json_object_get(reply, "pools"));
	return CMD_OK;
}
