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
	{ "gzip;q=1", -1 },
	{ "*", -1 },
	{ "identity", -1 },
	{ "gzip, x", -1 },
	{ "gzip br", -1 },
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
