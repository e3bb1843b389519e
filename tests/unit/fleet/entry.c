// SPDX-License-Identifier: GPL-2.0
/* Entries of the stream, positions, and when a host must flush: userspace/fleet/entry.c, message.c. */
#include "fleet/flt_priv.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/macro.h"

#define HOST "here-1"

/* A reply of the server, written as it sends it. */
static redisReply *reply(const char *text)
{
	redisReader *reader = redisReaderCreate();
	redisReply *r = NULL;

	redisReaderFeed(reader, text, strlen(text));
	cr_assert_eq(redisReaderGetReply(reader, (void **)&r), REDIS_OK);
	cr_assert_not_null(r, "%s", text);
	redisReaderFree(reader);
	return r;
}

#define HEAD "*2\r\n$3\r\n7-1\r\n*8\r\n"
#define FIELD_V "$1\r\nv\r\n$1\r\n1\r\n"
#define FIELD_FROM "$4\r\nfrom\r\n$2\r\nxy\r\n"
#define FIELD_WHAT "$4\r\nwhat\r\n$3\r\ntag\r\n"
#define FIELD_TEXT "$4\r\ntext\r\n$4\r\nnews\r\n"

static int decode(const char *text, struct flt_message *ret)
{
	redisReply *r = reply(text);
	struct flt_id id = {};
	const char *why = "";
	int result = flt_entry_decode(r, HOST, &id, ret, &why);

	if (result == -EBADMSG)
		cr_assert(*why);
	if (result != -EPROTO)
		cr_assert(id.ms == 7 && id.number == 1);
	freeReplyObject(r);
	return result;
}

Test(entry, fields_may_come_in_any_order)
{
	struct flt_message m = {};

	cr_assert_eq(decode(HEAD FIELD_V FIELD_FROM FIELD_WHAT FIELD_TEXT, &m), 0);
	cr_assert_eq(m.what, FLT_TAG);
	cr_assert_str_eq(m.text, "news");
	cr_assert_eq(decode(HEAD FIELD_TEXT FIELD_WHAT FIELD_FROM FIELD_V, &m), 0);
}

Test(entry, own_entries_and_marks_are_nothing_to_do)
{
	struct flt_message m = {};

	cr_assert_eq(decode(HEAD FIELD_V "$4\r\nfrom\r\n$6\r\n" HOST "\r\n" FIELD_WHAT FIELD_TEXT, &m), -EALREADY);
	cr_assert_eq(decode(HEAD FIELD_V FIELD_FROM "$4\r\nwhat\r\n$4\r\nmark\r\n" FIELD_TEXT, &m), -EALREADY);
}

Test(entry, anything_else_is_refused)
{
	static const char *const bad[] = {
		"*2\r\n$3\r\n7-1\r\n*0\r\n",
		"*2\r\n$3\r\n7-1\r\n*-1\r\n",
		"*2\r\n$3\r\n7-1\r\n$1\r\nx\r\n",
		HEAD FIELD_V FIELD_V FIELD_WHAT FIELD_TEXT,
		HEAD FIELD_V FIELD_FROM FIELD_WHAT "$4\r\nmore\r\n$1\r\nx\r\n",
		HEAD "$1\r\nv\r\n$1\r\n2\r\n" FIELD_FROM FIELD_WHAT FIELD_TEXT,
		HEAD "$1\r\nv\r\n:1\r\n" FIELD_FROM FIELD_WHAT FIELD_TEXT,
		HEAD FIELD_V FIELD_FROM "$4\r\nwhat\r\n$3\r\nall\r\n" FIELD_TEXT,
		HEAD FIELD_V FIELD_FROM FIELD_WHAT "$4\r\ntext\r\n$0\r\n\r\n",
		HEAD FIELD_V FIELD_FROM FIELD_WHAT "$4\r\ntext\r\n$3\r\na b\r\n",
		HEAD FIELD_V FIELD_FROM FIELD_WHAT "$4\r\ntext\r\n$3\r\na\nb\r\n",
	};
	static const char *const no_entry[] = {
		"$1\r\nx\r\n", "*1\r\n$3\r\n7-1\r\n", "*2\r\n$1\r\n7\r\n*0\r\n", "*2\r\n:7\r\n*0\r\n", "*-1\r\n",
	};
	struct flt_message m = {};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_eq(decode(bad[i], &m), -EBADMSG, "%s", bad[i]);
	for (i = 0; i < ARRAY_SIZE(no_entry); i++)
		cr_expect_eq(decode(no_entry[i], &m), -EPROTO, "%s", no_entry[i]);
}

Test(entry, ids_are_two_numbers)
{
	static const char *const bad[] = {
		"", "1", "-", "1-", "-1", "1-2-3", "a-1", "1-1 ", "18446744073709551616-0", "1--1"
	};
	struct flt_id id, two;
	char text[FLT_ID_BYTES];
	size_t i;

	cr_assert(flt_id_parse("18446744073709551615-7", 22, &id));
	flt_id_format(&id, text);
	cr_assert_str_eq(text, "18446744073709551615-7");
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect(!flt_id_parse(bad[i], strlen(bad[i]), &id), "%s", bad[i]);
	cr_assert(flt_id_parse("5-9", 3, &id) && flt_id_parse("5-10", 4, &two));
	cr_assert_lt(flt_id_compare(&id, &two), 0);
	cr_assert(flt_id_parse("6-0", 3, &id));
	cr_assert_gt(flt_id_compare(&id, &two), 0);
	cr_assert_eq(flt_id_compare(&id, &id), 0);
}

Test(entry, a_gap_is_whatever_may_have_been_missed)
{
	const struct flt_id five = { 5, 0 }, six = { 6, 0 }, nine = { 9, 0 };

	cr_assert_null(flt_gap(&five, &five, &nine));
	cr_assert_null(flt_gap(&six, &five, &nine));
	cr_assert_null(flt_gap(&nine, &five, &nine));
	cr_assert_not_null(flt_gap(NULL, &five, &nine), "no position");
	cr_assert_not_null(flt_gap(&five, NULL, NULL), "no entries");
	cr_assert_not_null(flt_gap(&five, &six, &nine), "trimmed");
	cr_assert_not_null(flt_gap(&nine, &five, &six), "gone back");
}

Test(entry, a_position_is_of_one_stream_on_one_server)
{
	struct weir_conf_fleet conf = { .redis = "unix:/run/r", .stream = "s" },
			       other = { .redis = "h:1", .stream = "s" };
	const struct flt_id id = { 12, 34 };
	char text[FLT_POSITION_BYTES];
	struct flt_id found = {};

	flt_position_format(&id, &conf, text, sizeof(text));
	cr_assert_str_eq(text, "weir-fleet-1 12-34 s unix:/run/r\n");
	cr_assert_eq(flt_position_parse(text, &conf, &found), 0);
	cr_assert_eq(flt_id_compare(&id, &found), 0);
	cr_assert_eq(flt_position_parse(text, &other, &found), -EBADMSG);
	text[strlen(text) - 1] = '\0';
	cr_assert_eq(flt_position_parse(text, &conf, &found), -EBADMSG, "cut short");
	cr_assert_eq(flt_position_parse("", &conf, &found), -EBADMSG);
	cr_assert_eq(flt_position_parse("weir-fleet-2 12-34 s unix:/run/r\n", &conf, &found), -EBADMSG);
}

Test(message, goes_through_and_what_is_no_message_does_not)
{
	struct flt_message m = { .kind = FLT_PURGE, .number = 7, .what = FLT_TAG }, got;
	size_t head = offsetof(struct flt_message, text);
	char text[FLT_TEXT_MAX + 2];
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(flt_receive(pair[1], &got, MSG_DONTWAIT), -EAGAIN);
	cr_assert_eq(flt_send(pair[0], &m, "news", 0), 0);
	cr_assert_eq(flt_receive(pair[1], &got, 0), 0);
	cr_assert(got.kind == FLT_PURGE && got.number == 7 && got.what == FLT_TAG);
	cr_assert_str_eq(got.text, "news");
	memset(text, 'x', sizeof(text));
	text[FLT_TEXT_MAX + 1] = '\0';
	cr_assert_eq(flt_send(pair[0], &m, text, 0), -EMSGSIZE);
	text[FLT_TEXT_MAX] = '\0';
	cr_assert_eq(flt_send(pair[0], &m, text, 0), 0);
	cr_assert_eq(flt_receive(pair[1], &got, 0), 0);
	cr_assert_str_eq(got.text, text);
	m.text_bytes = 5;
	cr_assert_eq(send(pair[0], &m, head + 4, 0), (ssize_t)head + 4);
	cr_assert_eq(flt_receive(pair[1], &got, 0), -EBADMSG, "another length");
	cr_assert_eq(send(pair[0], &m, 3, 0), 3);
	cr_assert_eq(flt_receive(pair[1], &got, 0), -EBADMSG, "too short");
	m = (struct flt_message){ .kind = FLT_KIND__MAX };
	cr_assert_eq(send(pair[0], &m, head, 0), (ssize_t)head);
	cr_assert_eq(flt_receive(pair[1], &got, 0), -EBADMSG, "unknown kind");
	m = (struct flt_message){ .kind = FLT_PURGE, .text_bytes = 2, .text = "a" };
	cr_assert_eq(send(pair[0], &m, head + 2, 0), (ssize_t)head + 2);
	cr_assert_eq(flt_receive(pair[1], &got, 0), -EBADMSG, "a zero inside");
	close(pair[0]);
	cr_assert_eq(flt_receive(pair[1], &got, 0), -EPIPE);
	close(pair[1]);
}
