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
	{ "*", 15 << 4 },
	{ "identity", 0 },
	{ "gzip, x", 1 },
	{ "gzip;q=1.0, *;q=0.5", 1 | 14 << 4 },
	{ "gzip;q=1.0,deflate;q=0.6,identity;q=0.3", 9 },
	{ "br ; Q=0. , gzip; q=0.001", 1 },
	{ "gzip;q=0, br", 2 },
	{ "x-gzip, br;q=0, *", 1 | 12 << 4 },
	{ "zstd;q=0.8, br, gzip;q=0.8, deflate;q=0.001, identity;q=0.001", 15 },
	{ "gzip;q=0.5, gzip;q=0.500", 1 },
	{ "gzip;q=0, gzip", -1 },
	{ "gzip, br;q=0.9", -1 },
	{ "deflate, gzip;q=0.999", -1 },
	{ "gzip;q=0.5, identity", -1 },
	{ "gzip;q=0.5, *;q=0.6", -1 },
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

static const struct {
	const char *value;
	uint16_t br, zstd, gzip, identity;
} weights[] = {
	{ "", 0, 0, 0, 1 },
	{ "gzip, deflate, br, zstd", 1000, 1000, 1000, 1 },
	{ "gzip;q=0.5, br;q=0.25", 250, 0, 500, 1 },
	{ "GZIP; Q=0.123 ,X-Gzip;q=1", 0, 0, 123, 1 },
	{ "x-gzip", 0, 0, 1000, 1 },
	{ "*", 1000, 1000, 1000, 1000 },
	{ "*;q=0", 0, 0, 0, 0 },
	{ "*;q=0, gzip", 0, 0, 1000, 0 },
	{ "gzip, *;q=0.1", 100, 100, 1000, 100 },
	{ "identity;q=0", 0, 0, 0, 0 },
	{ "identity;q=0, br", 1000, 0, 0, 0 },
	{ "identity;q=0.5, *;q=0", 0, 0, 0, 500 },
	{ "gzip;q=0", 0, 0, 0, 1 },
	{ "gzip;q=1.000, br;q=0.000", 0, 0, 1000, 1 },
	/* RFC 9110 12.4.2: what is no weight makes no item */
	{ "gzip;q=1.001", 0, 0, 0, 1 },
	{ "gzip;q=2", 0, 0, 0, 1 },
	{ "gzip;q=0.1234", 0, 0, 0, 1 },
	{ "gzip;q=-1", 0, 0, 0, 1 },
	{ "gzip;q=", 0, 0, 0, 1 },
	{ "gzip;q", 0, 0, 0, 1 },
	{ "gzip;level=9", 0, 0, 0, 1 },
	{ "gzip;q=0.5;q=1", 0, 0, 0, 1 },
	{ ",,;,gzip,,", 0, 0, 1000, 1 },
	{ "gzip br", 0, 0, 0, 1 },
	{ "unknown, gzipp", 0, 0, 0, 1 },
	{ "br;q=0.2,br;q=0.9", 200, 0, 0, 1 },
};

Test(encoding, weights_of_codings)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(weights); i++) {
		const char *v = weights[i].value;
		uint16_t w[WEIR_CODING__MAX];

		weir_encoding_weigh((struct weir_str){ v, strlen(v) }, w);
		cr_expect_eq(w[WEIR_CODING_BR], weights[i].br, "'%s': br %u", v, w[WEIR_CODING_BR]);
		cr_expect_eq(w[WEIR_CODING_ZSTD], weights[i].zstd, "'%s': zstd %u", v, w[WEIR_CODING_ZSTD]);
		cr_expect_eq(w[WEIR_CODING_GZIP], weights[i].gzip, "'%s': gzip %u", v, w[WEIR_CODING_GZIP]);
		cr_expect_eq(w[WEIR_CODING_IDENTITY], weights[i].identity, "'%s': identity %u", v,
			     w[WEIR_CODING_IDENTITY]);
	}
}
