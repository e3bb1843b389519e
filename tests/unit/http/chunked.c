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

/* Data of a body, cut into pieces of `step`. Returns its bytes, or the error. */
static ptrdiff_t decode(const char *text, size_t step, char *out)
{
	struct weir_chunked c = { 0 };
	size_t n = strlen(text), at = 0, got = 0;
	struct weir_str data;

	while (at < n && !c.is_done) {
		size_t piece = MIN(step, n - at);
		ptrdiff_t r = weir_chunked_next(&c, text + at, piece, &data);

		if (r < 0)
			return r;
		cr_assert(r > 0 && (size_t)r <= piece);
		cr_assert(data.n == 0 || data.p + data.n == text + at + r, "data is the last of what was eaten");
		memcpy(out + got, data.p ? data.p : "", data.n);
		got += data.n;
		at += (size_t)r;
	}
	return c.is_done ? (ptrdiff_t)got : -EAGAIN;
}

Test(chunked, data_is_found_however_it_is_cut)
{
	static const struct {
		const char *text, *data;
	} bodies[] = {
		{ "0\r\n\r\n", "" },
		{ "3\r\nabc\r\n0\r\n\r\nGET /", "abc" },
		{ "A;x=\"y\"\r\n0123456789\r\n3 ; z\r\n\r\n!\r\n00\r\nX: y\r\n\r\n", "0123456789\r\n!" },
		{ "1\r\n0\r\n1\r\n\r\r\n2\r\n\n0\r\n0\r\n\r\n", "0\r\n0" },
	};
	size_t i, step;
	char out[64];

	for (i = 0; i < ARRAY_SIZE(bodies); i++) {
		for (step = 1; step < 64; step++) {
			ptrdiff_t n = decode(bodies[i].text, step, out);

			cr_assert_eq(n, (ptrdiff_t)strlen(bodies[i].data), "body %zu in steps of %zu: %td", i, step, n);
			cr_assert_eq(memcmp(out, bodies[i].data, (size_t)n), 0, "body %zu in steps of %zu", i, step);
		}
	}
	cr_expect_eq(decode("3\r\nabcd\r\n0\r\n\r\n", 64, out), -EBADMSG);
	cr_expect_eq(decode("3\r\nab", 64, out), -EAGAIN);
}
