/* SPDX-License-Identifier: GPL-2.0 */
/* `weir limit ...` and `weir acl ...`: protection, live. */
#include "cli/cli.h"

#include "ipc/ipc.h"

enum cmd_exit cmd_limit_show(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s}", "command", "limit_show"));
	json_t *limits, *value;
	struct cmd_text *t;
	const json_t *row;
	const char *name;
	size_t i;

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	limits = json_object_get(reply, "limits");
	t = cmd_text_new(2);
	cmd_text_row(t, "LIMIT", "VALUE");
	json_object_foreach (limits, name, value)
		cmd_text_row(t, name,
			     json_is_string(value)	 ? json_string_value(value)
			     : json_integer_value(value) ? cmd_number(json_integer_value(value))
							 : "none");
	cmd_text_print(t, "");
	t = cmd_text_new(3);
	cmd_text_row(t, "SOURCE", ">REFUSED", ">CONNECTIONS");
	json_array_foreach (json_object_get(reply, "sources"), i, row)
		cmd_text_row(t, cmd_get(row, "source"), cmd_number(cmd_int(row, "refused")),
			     cmd_number(cmd_int(row, "connections")));
	printf("\n");
	cmd_text_print(t, "");
	return CMD_OK;
}

enum cmd_exit cmd_limit_set(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s, s:s, s:s}", "command", "limit_set", "name",
								args->words[0], "value", args->words[1]));

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	printf("%s is %s now, until the next reload; the configuration file keeps it\n", args->words[0],
	       args->words[1]);
	return CMD_OK;
}

enum cmd_exit cmd_acl_list(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s}", "command", "acl_list"));
	struct cmd_text *t;
	const json_t *row;
	size_t i;

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	if (!json_is_true(json_object_get(reply, "attached")))
		printf("XDP is not attached (%s): no access list holds\n", cmd_get(reply, "why_not"));
	t = cmd_text_new(3);
	cmd_text_row(t, "PREFIX", "ACTION", ">PACKETS");
	json_array_foreach (json_object_get(reply, "prefixes"), i, row)
		cmd_text_row(t, cmd_get(row, "prefix"), cmd_get(row, "action"), cmd_number(cmd_int(row, "packets")));
	cmd_text_print(t, "");
	return CMD_OK;
}

static enum cmd_exit act(const struct cmd_args *args, const char *action, const char *done)
{
	_cleanup_json_ json_t *reply = cmd_call(
		args, json_pack("{s:s, s:s, s:s}", "command", "acl_do", "action", action, "prefix", args->words[0]));

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	printf("%s %s, until the next reload; the configuration file keeps it\n", args->words[0], done);
	return CMD_OK;
}

enum cmd_exit cmd_acl_deny(const struct cmd_args *args)
{
	return act(args, "deny", "is denied");
}

enum cmd_exit cmd_acl_allow(const struct cmd_args *args)
{
	return act(args, "allow", "is allowed");
}

enum cmd_exit cmd_acl_remove(const struct cmd_args *args)
{
	return act(args, "remove", "is not in the list any more");
}
