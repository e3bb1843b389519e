/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include <errno.h>

#include "common/macro.h"
#include "http/http.h"

static const struct {
	const char *text;
	int body_bytes; /* -1: refused, -2: not over yet */
} cases[] = {
	{ "0\r\n\r\n", 5 },
	{ "0\r\n\r\nGET", 5 },
	{ "3\r\nabc\r\n0\r\n\r\n", 13 },
	{ "A;x=\"y\"\r\n0123456789\r\n000\r\n\r\n", 28 },
	{ "1 \r\na\r\n0\r\nTrailer: x\r\n\r\n", 24 },
	{ "3\r\nab", -2 },
	{ "0\r\n", -2 },
	{ "\r\n", -1 },
	{ "g\r\n", -1 },
	{ "-1\r\n", -1 },
	{ "3\nabc", -1 },
	{ "3\r\nabcd", -1 },
	{ "0\r\nx\n", -1 },
	{ "0\r\n\n", -1 },
	{ "1000000000000000\r\n", -1 },
};

static void check(size_t i, size_t step)
{
	struct weir_chunked c = { 0 };
	size_t n = strlen(cases[i].text), at = 0;
	ptrdiff_t r = 0;

	while (at < n && !c.is_done && r >= 0) {
		r = weir_chunked_eat(&c, cases[i].text + at, MIN(step, n - at));
		if (r >= 0)
			at += (size_t)r;
	}
	if (cases[i].body_bytes == -1)
		cr_expect_eq(r, -EBADMSG, "case %zu in steps of %zu", i, step);
	else if (cases[i].body_bytes == -2)
		cr_expect(r >= 0 && !c.is_done && at == n, "case %zu in steps of %zu", i, step);
	else
		cr_expect(c.is_done && at == (size_t)cases[i].body_bytes, "case %zu in steps of %zu: %zu", i, step, at);
}

Test(chunked, end_of_body_is_found_however_it_is_cut)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		check(i, 1);
		check(i, 2);
		check(i, 1000);
	}
}

Test(chunked, trailers_are_limited)
{
	static char text[16384];
	struct weir_chunked c = { 0 };

	memset(text, 'x', sizeof(text));
	memcpy(text, "0\r\n", 3);
	cr_expect_eq(weir_chunked_eat(&c, text, sizeof(text)), -EBADMSG);
}
