/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include <errno.h>

#include "weir/cache.h"

#include "common/macro.h"
#include "http/http.h"

static const struct {
	const char *value;
	int set; /* -1: unclassified */
} cases[] = {
	{ "", 0 },
	{ "gzip", 1 },
	{ "GZIP", 1 },
	{ "gzip, deflate, br, zstd", 15 },
	{ "gzip,gzip", 1 },
	{ " br\t,\tgzip ", 3 },
	{ "gzip,,br", 3 },
	{ "gzip;q=1", 1 },
	{ "*", 0 },
	{ "identity", 0 },
	{ "gzip, x", 1 },
	{ "gzip;q=1.0, *;q=0.5", 1 },
	{ "gzip;q=1.0,deflate;q=0.6,identity;q=0.3", 9 },
	{ "br ; Q=0. , gzip; q=0.001", 1 },
	{ "gzip;q=0, gzip", 0 },
	{ "gzip, br, gzip;q=0.0", 2 },
	{ "gzip br", -1 },
	{ "identity;q=0", -1 },
	{ "gzip, *;q=0.000", -1 },
	{ "gzip;q=1.001", -1 },
	{ "gzip;q=0.0001", -1 },
	{ "gzip;q=2", -1 },
	{ "gzip;q=", -1 },
	{ "gzip;", -1 },
	{ "gzip;x=1", -1 },
	{ "gzip;q=1;q=1", -1 },
	{ ";q=1", -1 },
	{ "\"gzip\"", -1 },
};

Test(encoding, sets_are_those_of_the_kernel)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t set = 0xff;
		int r = weir_encoding_classify((struct weir_str){ cases[i].value, strlen(cases[i].value) }, &set);

		cr_expect_eq(r, cases[i].set < 0 ? -EINVAL : 0, "'%s'", cases[i].value);
		cr_expect_eq(set, cases[i].set < 0 ? 0xff : cases[i].set, "'%s': %u", cases[i].value, set);
	}
}
