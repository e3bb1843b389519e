/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include <errno.h>

#include "common/macro.h"
#include "http/http.h"

static const struct {
	const char *value;
	uint64_t size;
	int count;
	struct weir_range first;
} ranges[] = {
	{ "bytes=0-0", 10, 1, { 0, 0 } },
	{ "bytes=2-5", 10, 1, { 2, 5 } },
	{ "bytes=2-", 10, 1, { 2, 9 } },
	{ "bytes=-3", 10, 1, { 7, 9 } },
	{ "bytes=-30", 10, 1, { 0, 9 } },
	{ "bytes=5-100", 10, 1, { 5, 9 } },
	{ "BYTES=0-1", 10, 1, { 0, 1 } },
	{ "bytes= 0-1 , 4-5", 10, 2, { 0, 1 } },
	{ "bytes=0-1,,4-5", 10, 2, { 0, 1 } },
	{ "bytes=0-1,50-60", 10, 1, { 0, 1 } },
	{ "bytes=0-99999999999999999999999", 10, 1, { 0, 9 } },
	{ "bytes=0-5,3-8", 10, 2, { 0, 5 } },
	{ "bytes=10-", 10, -ERANGE, { 0, 0 } },
	{ "bytes=99999999999999999999999-", 10, -ERANGE, { 0, 0 } },
	{ "bytes=-0", 10, -ERANGE, { 0, 0 } },
	{ "bytes=0-", 0, -ERANGE, { 0, 0 } },
	{ "bytes=-1", 0, -ERANGE, { 0, 0 } },
	/* malformed, or too much to ask: the field is ignored */
	{ "bytes=", 10, 0, { 0, 0 } },
	{ "bytes=,", 10, 0, { 0, 0 } },
	{ "bytes=a-b", 10, 0, { 0, 0 } },
	{ "bytes=5", 10, 0, { 0, 0 } },
	{ "bytes=5-2", 10, 0, { 0, 0 } },
	{ "bytes=-", 10, 0, { 0, 0 } },
	{ "bytes=0-1,x", 10, 0, { 0, 0 } },
	{ "lines=0-1", 10, 0, { 0, 0 } },
	{ "bytes 0-1", 10, 0, { 0, 0 } },
	{ "bytes=0-,0-,0-", 10, 0, { 0, 0 } },
	{ "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-30,32-32", 99,
	  0, { 0, 0 } },
};

Test(range, every_form)
{
	struct weir_range got[WEIR_HTTP_RANGES_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		int n = weir_range_parse((struct weir_str){ ranges[i].value, strlen(ranges[i].value) },
					 ranges[i].size, got);

		cr_expect_eq(n, ranges[i].count, "%s: %d", ranges[i].value, n);
		if (n > 0)
			cr_expect(got[0].first == ranges[i].first.first && got[0].last == ranges[i].first.last, "%s",
				  ranges[i].value);
	}
}
