// SPDX-License-Identifier: GPL-2.0
/* Framing of the control protocol: lines out of bytes, requests out of lines. */
#include "ipc/ipc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct weir_ipc_lines lines;

static void feed(const char *text)
{
	size_t room;
	char *at = weir_ipc_lines_space(&lines, &room);

	cr_assert_leq(strlen(text), room);
	memcpy(at, text, strlen(text));
	weir_ipc_lines_fill(&lines, strlen(text));
}

Test(lines, partial_line_waits_for_its_end)
{
	feed("one");
	cr_expect_null(weir_ipc_lines_next(&lines));
	feed(" line");
	cr_expect_null(weir_ipc_lines_next(&lines));
	feed("\n");
	cr_expect_str_eq(weir_ipc_lines_next(&lines), "one line");
	cr_expect_null(weir_ipc_lines_next(&lines));
}

Test(lines, several_lines_come_one_by_one)
{
	feed("a\nb\n\nc");
	cr_expect_str_eq(weir_ipc_lines_next(&lines), "a");
	cr_expect_str_eq(weir_ipc_lines_next(&lines), "b");
	cr_expect_str_eq(weir_ipc_lines_next(&lines), "");
	cr_expect_null(weir_ipc_lines_next(&lines));
	feed("d\n");
	cr_expect_str_eq(weir_ipc_lines_next(&lines), "cd");
}

Test(lines, line_that_is_too_long_is_noticed)
{
	size_t room;

	memset(weir_ipc_lines_space(&lines, &room), 'x', WEIR_IPC_REQUEST_MAX);
	cr_assert_eq(room, (size_t)WEIR_IPC_REQUEST_MAX);
	weir_ipc_lines_fill(&lines, room - 1);
	cr_expect_not(weir_ipc_lines_is_stuck(&lines));
	weir_ipc_lines_fill(&lines, 1);
	cr_expect(weir_ipc_lines_is_stuck(&lines));
	cr_expect_null(weir_ipc_lines_next(&lines));
}

Test(lines, longest_line_fits)
{
	size_t room;
	char *at = weir_ipc_lines_space(&lines, &room);

	memset(at, 'x', room);
	at[room - 1] = '\n';
	weir_ipc_lines_fill(&lines, room);
	cr_expect_not(weir_ipc_lines_is_stuck(&lines));
	cr_expect_eq(strlen(weir_ipc_lines_next(&lines)), (size_t)WEIR_IPC_REQUEST_MAX - 1);
	(void)weir_ipc_lines_space(&lines, &room);
	cr_expect_eq(room, (size_t)WEIR_IPC_REQUEST_MAX);
}

Test(lines, request_has_a_command)
{
	json_t *j = NULL;
	const char *why;

	cr_assert_eq(weir_ipc_request_parse("{\"command\": \"stats\"}", &j, &why), 0);
	cr_expect_str_eq(json_string_value(json_object_get(j, "command")), "stats");
	json_decref(j);
}

Test(lines, garbage_is_no_request)
{
	static const char *const bad[] = { "", "x", "{", "[]", "{}", "1", "null", "\"stats\"", "{\"command\": 1}",
					   "{\"command\": \"a\"} x", "{\"command\": \"a\", \"command\": \"b\"}",
					   "{\"command\": \"\xff\"}", "{\"command\": \"a\\u0000b\"}" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *j = NULL;
		const char *why = NULL;

		cr_expect_eq(weir_ipc_request_parse(bad[i], &j, &why), -EBADMSG, "%s", bad[i]);
		cr_expect_null(j);
		cr_expect_not_null(why);
	}
}

Test(lines, error_reply_says_why)
{
	json_t *j = weir_ipc_error("no pool '%s'", "x");

	cr_expect(json_is_false(json_object_get(j, "ok")));
	cr_expect_str_eq(json_string_value(json_object_get(j, "error")), "no pool 'x'");
	json_decref(j);
}
