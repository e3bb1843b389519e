/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include <errno.h>
#include <time.h>

#include "common/macro.h"
#include "http/http.h"

#define NOW 1700000000 /* 2023-11-14 */

static const struct {
	const char *text;
	int64_t seconds; /* -1: refused */
} dates[] = {
	{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
	{ "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
	{ "Sun Nov  6 08:49:37 1994", 784111777 },
	{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
	{ "Thu, 29 Feb 2024 12:00:00 GMT", 1709208000 },
	{ "Tuesday, 19-Jan-38 03:14:07 GMT", 2147483647 },
	{ "Wednesday, 01-Jan-75 00:00:00 GMT", 157766400 }, /* more than 50 years ahead: 1975 */
	{ "", -1 },
	{ "Sun, 06 Nov 1994 08:49:37", -1 },
	{ "Sun, 06 Nov 1994 08:49:37 UTC", -1 },
	{ "Sun, 06 Nov 1994 08:49:37 GMT ", -1 },
	{ "Sun, 32 Nov 1994 08:49:37 GMT", -1 },
	{ "Sun, 06 Foo 1994 08:49:37 GMT", -1 },
	{ "Sun, 06 Nov 1994 24:00:00 GMT", -1 },
	{ "1994-11-06T08:49:37Z", -1 },
	{ "784111777", -1 },
};

Test(date, all_three_forms_are_read)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dates); i++) {
		int64_t s = -2;
		int r = weir_date_parse((struct weir_str){ dates[i].text, strlen(dates[i].text) }, NOW, &s);

		cr_expect_eq(r, dates[i].seconds == -1 ? -EINVAL : 0, "%s", dates[i].text);
		cr_expect_eq(s, dates[i].seconds == -1 ? -2 : dates[i].seconds, "%s: %lld", dates[i].text,
			     (long long)s);
	}
}

Test(date, what_is_written_is_what_libc_writes_and_reads_back)
{
	int64_t s, back;
	char ours[WEIR_HTTP_DATE_BYTES + 1] = { 0 }, theirs[64];

	for (s = 0; s < 4102444800; s += 86400 * 13 + 4567) {
		time_t t = (time_t)s;
		struct tm tm;

		weir_date_format(s, ours);
		strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
		cr_assert_str_eq(ours, theirs);
		cr_assert_eq(weir_date_parse((struct weir_str){ ours, WEIR_HTTP_DATE_BYTES }, NOW, &back), 0);
		cr_assert_eq(back, s);
	}
}
