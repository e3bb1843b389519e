/* SPDX-License-Identifier: GPL-2.0 */
/* Responses that must not get into the kernel cache, whatever their handler thinks. */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

#include "cache/cache.h"
#include "common/macro.h"

/* '0' stands for a zero byte. */
#define DATE "Date: 00000000000000000000000000000\r\n"
#define AGE "Age: 0000000000\r\n"
#define CONN "Connection: keep-alive\r\n"

static const struct {
	const char *fields; /* behind the status line */
	uint8_t encodings;
	int result;
} cases[] = {
	{ DATE AGE CONN "\r\n", 0, 0 },
	{ CONN "\r\n", 0, 0 },
	{ CONN "Vary: Accept-Encoding\r\n\r\n", 0, 0 },
	{ CONN "Vary: , accept-encoding ,\r\n\r\n", 0, 0 },
	{ CONN "Content-Encoding: gzip\r\n\r\n", WEIR_ENCODING_GZIP, 0 },
	{ CONN "Content-Encoding: identity\r\n\r\n", 0, 0 },
	{ CONN "X-Set-Cookie: a\r\n\r\n", 0, 0 },
	{ CONN "set-cookie: a=b\r\n\r\n", 0, -EPERM },
	{ "Set-Cookie:\r\n" CONN "\r\n", 0, -EPERM },
	{ CONN "Vary: *\r\n\r\n", 0, -EPERM },
	{ CONN "Vary: Accept-Encoding, Cookie\r\n\r\n", 0, -EPERM },
	{ CONN "Vary: Accept-Encoding\r\nVary: Accept\r\n\r\n", 0, -EPERM },
	{ CONN "Content-Encoding: gzip\r\n\r\n", 0, -EPERM },
	{ CONN "Content-Encoding: br\r\n\r\n", WEIR_ENCODING_GZIP, -EPERM },
	{ CONN "Content-Encoding: gzip, br\r\n\r\n", WEIR_ENCODING_GZIP, -EPERM },
	{ CONN "Content-Encoding: compress\r\n\r\n", 15, -EPERM },
	{ CONN, 0, -EINVAL },
	{ CONN "\n", 0, -EINVAL },
	{ CONN "\r\n\r\n", 0, -EINVAL },
	{ CONN "no colon\r\n\r\n", 0, -EINVAL },
	{ CONN "bare: lf\nx: y\r\n\r\n", 0, -EINVAL },
	{ "Connection: keep-aliv\r\n\r\n", 0, -EINVAL },
	{ "X: y\r\n\r\n", 0, -EINVAL },
	{ "Date: 0000000000000000000000000000x\r\n" CONN "\r\n", 0, -EINVAL },
	{ "Age: 000000000x\r\n" CONN "\r\n", 0, -EINVAL },
};

static uint16_t find(const char *text, size_t bytes, const char *name)
{
	const char *at = memmem(text, bytes, name, strlen(name));

	return at ? (uint16_t)(at - text + (ptrdiff_t)strlen(name)) : 0;
}

static struct weir_cache_head head_of(const char *fields, char *text)
{
	size_t n = (size_t)sprintf(text, "HTTP/1.1 2## OK\r\n%s", fields), i;

	for (i = 0; i < n; i++)
		if (text[i] == '0')
			text[i] = '\0';
	return (struct weir_cache_head){
		.p = text,
		.bytes = (uint16_t)n,
		.date_off = find(text, n, "Date: "),
		.conn_off = find(text, n, "Connection: "),
		.age_off = find(text, n, "Age: "),
	};
}

Test(check, only_what_is_for_everybody_gets_in)
{
	char text[512], good[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct weir_cache_image image = { .head = head_of(cases[i].fields, text) };

		cr_expect_eq(weir_cache_check(&image, cases[i].encodings), cases[i].result, "%s", cases[i].fields);
		image.not_modified = image.head;
		image.head = head_of(CONN "\r\n", good);
		cr_expect_eq(weir_cache_check(&image, cases[i].encodings), cases[i].result, "304: %s", cases[i].fields);
	}
}

Test(check, values_lie_inside_of_the_head)
{
	char text[512];
	struct weir_cache_image image = { .head = head_of(CONN "\r\n", text) };

	cr_expect_eq(weir_cache_check(&image, 0), 0);
	image.head.date_off = image.head.bytes;
	cr_expect_eq(weir_cache_check(&image, 0), -EINVAL);
	image.head.date_off = 0;
	image.head.age_off = 0xffff;
	cr_expect_eq(weir_cache_check(&image, 0), -EINVAL);
	image.head.age_off = 0;
	image.head.conn_off = 0;
	cr_expect_eq(weir_cache_check(&image, 0), -EINVAL);
	image.head.bytes = 0;
	cr_expect_eq(weir_cache_check(&image, 0), -EINVAL);
}
