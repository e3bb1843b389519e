// SPDX-License-Identifier: GPL-2.0
/* Request sizes: one row a limit, at the limit and one beyond. */
#include "http/http.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/macro.h"

static const struct weir_http_limits wide = { 16384, 16384, 260, 255 };

static unsigned over(const char *text, const struct weir_http_limits *l, const char **ret_why)
{
	static struct weir_request r;
	size_t scanned = 0;

	*ret_why = NULL;
	cr_assert_eq(weir_request_parse(text, strlen(text), &scanned, &r), 0, "%s", text);
	return weir_request_over(&r, (struct weir_str){ text, r.head_bytes }, l, ret_why);
}

Test(limits, a_plain_request_is_within_the_defaults)
{
	const char *why;

	cr_expect_eq(over("GET /a/b/c?d=e HTTP/1.1\r\nHost: x\r\n\r\n", &wide, &why), 0);
	cr_expect_null(why);
}

Test(limits, each_limit_holds_exactly)
{
	static const char text[] = "GET /abc/de HTTP/1.1\r\nHost: x\r\nField: 123456\r\n\r\n";
	static const struct {
		struct weir_http_limits limits;
		unsigned status;
		const char *why;
	} rows[] = {
		{ { sizeof(text) - 1, 16384, 260, 255 }, 0, NULL },
		{ { sizeof(text) - 2, 16384, 260, 255 }, 431, "RequestLength" },
		{ { 16384, 14, 260, 255 }, 0, NULL },
		{ { 16384, 13, 260, 255 }, 431, "FieldLength" },
		{ { 16384, 16384, 3, 255 }, 0, NULL },
		{ { 16384, 16384, 2, 255 }, 400, "URL" },
		{ { 16384, 16384, 260, 2 }, 0, NULL },
		{ { 16384, 16384, 260, 1 }, 400, "URL" },
	};
	const char *why;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_expect_eq(over(text, &rows[i].limits, &why), rows[i].status, "row %zu", i);
		cr_expect(rows[i].why ? why && !strcmp(why, rows[i].why) : !why, "row %zu: %s", i, why ? why : "-");
	}
}

Test(limits, a_query_has_no_segments)
{
	const struct weir_http_limits narrow = { 16384, 16384, 3, 1 };
	const char *why;

	cr_expect_eq(over("GET /abc?d/e/f/ghijkl HTTP/1.1\r\nHost: x\r\n\r\n", &narrow, &why), 0);
}
