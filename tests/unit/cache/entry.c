/* SPDX-License-Identifier: GPL-2.0 */
/* The layout of kernel cache entries. */
#include <criterion/criterion.h>

#include <errno.h>

#include "cache/cache.h"

static const struct {
	const char *bytes;
	size_t count;
	uint16_t sum;
} sums[] = {
	{ "", 0, 0 },
	{ "\x01", 1, 0x0100 },
	{ "\x01\x02", 2, 0x0102 },
	{ "\x01\x02\x03", 3, 0x0402 },
	{ "\xff\xff\x00\x01", 4, 0x0001 },
	{ "\x80\x00\x80\x00", 4, 0x0001 },
};

Test(entry, sums_are_big_endian_and_folded)
{
	size_t i;

	for (i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		cr_expect_eq(weir_cache_sum(sums[i].bytes, sums[i].count), sums[i].sum, "case %zu", i);
}

static struct weir_cache_image image_of(const char *head, const void *body, uint32_t bytes)
{
	return (struct weir_cache_image){ .head = { head, (uint16_t)strlen(head), 3, 7, 0 }, .body = body,
					  .body_bytes = bytes };
}

static const struct weir_cache_key key = { { 1, 2 } };

Test(entry, class_is_the_smallest_and_the_end_is_marked)
{
	static const struct {
		uint32_t body;
		int class;
		size_t end;
	} cases[] = {
		{ 0, WEIR_CLASS_S, offsetof(struct weir_entry_s, generation_end) },
		{ WEIR_BYTES_S - 4, WEIR_CLASS_S, offsetof(struct weir_entry_s, generation_end) },
		{ WEIR_BYTES_S - 3, WEIR_CLASS_M, offsetof(struct weir_entry_m, generation_end) },
		{ WEIR_BYTES_M - 4, WEIR_CLASS_M, offsetof(struct weir_entry_m, generation_end) },
		{ WEIR_BYTES_M - 3, WEIR_CLASS_L, offsetof(struct weir_entry_l, generation_end) },
		{ WEIR_BYTES_L - 4, WEIR_CLASS_L, offsetof(struct weir_entry_l, generation_end) },
		{ WEIR_BYTES_L - 3, -E2BIG, 0 },
	};
	static char body[WEIR_BYTES_L];
	static struct weir_entry_l e;
	size_t i;

	memset(body, 'b', sizeof(body));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weir_cache_image image = image_of("head", body, cases[i].body);
		uint64_t end;
		size_t at;

		memset(&e, 0xaa, sizeof(e));
		cr_assert_eq(weir_cache_build(&image, NULL, &key, WEIR_STR("h"), WEIR_STR("/t"), 77, 5, &e), cases[i].class);
		if (cases[i].class < 0)
			continue;
		memcpy(&end, (char *)&e + cases[i].end, sizeof(end));
		cr_expect_eq(end, 77);
		cr_expect_eq(e.head.generation, 77);
		cr_expect_eq(e.head.created_ns, 5);
		cr_expect_eq(e.head.expires_ns, UINT64_MAX);
		cr_expect_eq(e.head.hits, 0);
		cr_expect_eq(e.head.digest[1], 2);
		cr_expect_eq(e.head.url_bytes, 3);
		cr_expect_eq(memcmp(e.bytes, "head", 4), 0);
		cr_expect_eq(e.head.body_sum, weir_cache_sum(body, cases[i].body));
		for (at = offsetof(struct weir_entry_l, bytes) + 4 + cases[i].body; at < cases[i].end; at++)
			cr_assert_eq(((char *)&e)[at], 0, "nothing of the stack goes along");
	}
}

Test(entry, long_url_is_not_cached)
{
	static struct weir_entry_l e;
	static char target[WEIR_URL_MAX + 1];
	struct weir_cache_image image = image_of("head", "", 0);

	cr_expect_eq(weir_cache_build(&image, NULL, &key, WEIR_STR("h"), (struct weir_str){ target, WEIR_URL_MAX - 1 }, 1, 1,
				      &e), WEIR_CLASS_S);
	cr_expect_eq(weir_cache_build(&image, NULL, &key, WEIR_STR("h"), (struct weir_str){ target, WEIR_URL_MAX }, 1, 1,
				      &e), -E2BIG);
}
