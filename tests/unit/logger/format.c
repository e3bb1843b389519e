// SPDX-License-Identifier: GPL-2.0
/* Lines of both logs: fields, escapes, what is missing; and heads of the kernel side's records. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <string.h>

#include "common/macro.h"
#include "logger/log_priv.h"
#include "logger/text.h"

#define STR(text) ((struct weir_str){ text, sizeof(text) - 1 })

static char line[LOG_LINE_MAX];

static struct log_entry entry(void)
{
	struct log_entry e = {
		.time_ns = 1000000000ULL * 1764586745,
		.sent = 255,
		.received = 90,
		.took_us = 12345,
		.method = STR("GET"),
		.target = STR("/a/b?c=d"),
		.host = STR("example.com"),
		.referer = STR("http://r/"),
		.agent = STR("Tester/1.0 (x)"),
		.pool = "site",
		.by = "static",
		.reason = "-",
		.status = 200,
		.version = 11,
		.endpoint = 3,
	};

	e.key.client.word[2] = e.key.server.word[2] = htonl(0xffff);
	e.key.client.word[3] = htonl(0xc6336407);
	e.key.server.word[3] = htonl(0xc0000201);
	e.key.client_port = htons(40001);
	e.key.server_port = htons(80);
	return e;
}

static const char *access_line(enum weir_log_format kind, const char *fields, const struct log_entry *e)
{
	struct log_format f = { .kind = kind };
	char wrong[64];

	f.fields_count = weir_conf_log_fields(fields, kind, f.fields, wrong);
	cr_assert_geq(f.fields_count, 0);
	*log_format_access(&f, e, line) = '\0';
	return line;
}

Test(format, combined)
{
	struct log_entry e = entry();

	cr_expect_str_eq(
		access_line(WEIR_LOG_COMBINED, "", &e),
		"198.51.100.7 - - [01/Dec/2025:10:59:05 +0000] \"GET /a/b?c=d HTTP/1.1\" 200 255 \"http://r/\" "
		"\"Tester/1.0 (x)\"\n");
	cr_expect(strstr(access_line(WEIR_LOG_COMBINED, "s-sitename x-time-us", &e), "(x)\" site 12345\n"));
}

Test(format, w3c_words)
{
	struct log_entry e = entry();

	cr_expect_str_eq(
		access_line(WEIR_LOG_W3C,
			    "date time c-ip c-port s-ip s-port cs-method cs-uri-stem cs-uri-query cs-host cs-version "
			    "sc-status sc-bytes cs-bytes time-taken cs(User-Agent) x-answered-by",
			    &e),
		"2025-12-01 10:59:05 198.51.100.7 40001 192.0.2.1 80 GET /a/b c=d example.com HTTP/1.1 200 255 90 12 "
		"Tester/1.0+(x) static\n");
	e.target = STR("/a");
	e.referer.n = 0;
	cr_expect_str_eq(access_line(WEIR_LOG_W3C, "cs-uri-query cs(Referer)", &e), "- -\n");
}

Test(format, json)
{
	struct log_entry e = entry();

	e.agent = STR("a\"\\\x01\xff");
	cr_expect_str_eq(access_line(WEIR_LOG_JSON, "sc-status cs(User-Agent)", &e),
			 "{\"status\":200,\"user_agent\":\"a\\u0022\\u005C\\u0001\\u00FF\"}\n");
}

Test(format, every_byte_stays_inside_of_its_line)
{
	char raw[259];
	size_t i, n;
	int kind;

	/* at every place of the eight bytes that are looked at together */
	for (n = 0; n < 8; n++)
		for (kind = 0; kind < WEIR_LOG_FORMAT__MAX; kind++) {
			struct log_entry e = entry();
			size_t quotes = 0;

			memset(raw, 'x', n);
			for (i = 0; i < 256 - n; i++)
				raw[n + i] = (char)i;
			e.method = e.target = e.host = e.referer = e.agent = (struct weir_str){ raw, 256 };
			(void)access_line((enum weir_log_format)kind, "", &e);
			cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1);
			cr_assert_lt(strlen(line), LOG_LINE_MAX);
			for (i = 0; line[i + 1]; i++) {
				cr_assert(line[i] >= ' ' && line[i] < 0x7f);
				quotes += line[i] == '"';
			}
			if (kind == WEIR_LOG_COMBINED)
				cr_assert_eq(quotes, 6);
			*log_format_error(&e, line) = '\0';
			cr_assert_eq(strchr(line, '\n'), line + strlen(line) - 1);
			for (i = 0, quotes = 0; line[i]; i++)
				quotes += line[i] == ' ';
			cr_assert_eq(quotes, 12, "httperr has 13 words");
		}
}

Test(format, no_response_has_a_status_all_the_same)
{
	struct log_entry e = entry();

	e.status = 0;
	cr_expect_str_eq(access_line(WEIR_LOG_W3C, "sc-status", &e), "503\n");
	e.reason_id = WEIR_LOG_REASON_CLIENT_RESET;
	cr_expect_str_eq(access_line(WEIR_LOG_W3C, "sc-status", &e), "499\n");
}

Test(format, error_line_is_httperrs)
{
	struct log_entry e = entry();

	e.status = 503;
	e.reason = "QueueFull";
	*log_format_error(&e, line) = '\0';
	cr_expect_str_eq(
		line,
		"2025-12-01 10:59:05 198.51.100.7 40001 192.0.2.1 80 HTTP/1.1 GET /a/b?c=d 503 3 QueueFull site\n");
	e = (struct log_entry){ .reason = "Timer_ConnectionIdle", .pool = "site" };
	*log_format_error(&e, line) = '\0';
	cr_expect(strstr(line, " - - - - 0 Timer_ConnectionIdle site\n"), "%s", line);
}

Test(format, ipv6)
{
	struct log_entry e = entry();

	cr_assert_eq(inet_pton(AF_INET6, "2001:db8::7", &e.key.client), 1);
	cr_expect_str_eq(access_line(WEIR_LOG_W3C, "c-ip s-ip", &e), "2001:db8::7 192.0.2.1\n");
}

Test(format, numbers)
{
	static const uint64_t values[] = { 0, 9, 10, 4294967296ULL, UINT64_MAX };
	char expected[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		*log_put_u64(line, values[i]) = '\0';
		snprintf(expected, sizeof(expected), "%llu", (unsigned long long)values[i]);
		cr_expect_str_eq(line, expected);
	}
}

static bool is(struct weir_str s, const char *text)
{
	return s.n == strlen(text) && (s.n == 0 || memcmp(s.p, text, s.n) == 0);
}

#define REQUEST                                                                                                        \
	"GET /x?y HTTP/1.0\r\nHost:a.example \r\nuser-AGENT:\tq r\r\nReferer: z\r\nRefererx: no\r\n\r\nReferer: body"

Test(head, fields_are_found)
{
	struct log_entry e = {};

	log_head_parse(STR(REQUEST), &e);
	cr_expect(is(e.method, "GET") && is(e.target, "/x?y") && e.version == 10);
	cr_expect(is(e.host, "a.example") && is(e.agent, "q r") && is(e.referer, "z"));
}

Test(head, cut_anywhere_is_read_as_far_as_it_goes)
{
	size_t n;

	for (n = 0; n <= strlen(REQUEST); n++) {
		char *copy = malloc(n + 1); /* its end is where a sanitizer looks */
		struct log_entry e = {};

		memcpy(copy, REQUEST, n);
		log_head_parse((struct weir_str){ copy, n }, &e);
		cr_expect_leq(e.target.n, 4);
		cr_expect_leq(e.agent.n, 3);
		free(copy);
	}
}
