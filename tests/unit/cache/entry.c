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
	return (struct weir_cache_image){ .head = { head, (uint16_t)strlen(head), 3, 7, 0 },
					  .body = body,
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
		cr_assert_eq(weir_cache_build(&image, NULL, &key, WEIR_STR("h"), WEIR_STR("/t"), 77, 5, &e),
			     cases[i].class);
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

	cr_expect_eq(weir_cache_build(&image, NULL, &key, WEIR_STR("h"), (struct weir_str){ target, WEIR_URL_MAX - 1 },
				      1, 1, &e),
		     WEIR_CLASS_S);
	cr_expect_eq(weir_cache_build(&image, NULL, &key, WEIR_STR("h"), (struct weir_str){ target, WEIR_URL_MAX }, 1,
				      1, &e),
		     -E2BIG);
}

#define RESPONSE_HEAD "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n"
#define COND_HEAD "HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\n\r\n"
#define MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"

static struct weir_cache_image whole_image(void)
{
	return (struct weir_cache_image){
		.head = { RESPONSE_HEAD, sizeof(RESPONSE_HEAD) - 1, 0, 29, 0 },
		.not_modified = { COND_HEAD, sizeof(COND_HEAD) - 1, 0, 39, 0 },
		.body = "body",
		.body_bytes = 4,
		.etag = WEIR_STR("W/\"tag\""),
		.modified = WEIR_STR(MODIFIED),
		.expires_ns = 100,
		.stale_ns = 200,
		.born_ns = (uint64_t)-5,
	};
}

static int build(const struct weir_cache_image *image, const char *extra, struct weir_entry_l *ret)
{
	return weir_cache_build(image, extra, &key, WEIR_STR("h"), WEIR_STR("/t"), 1, 1, ret);
}

Test(entry, everything_of_the_image_is_there)
{
	struct weir_cache_image image = whole_image();
	static struct weir_entry_l e;

	cr_assert_eq(build(&image, NULL, &e), WEIR_CLASS_S);
	cr_expect_eq(e.head.expires_ns, 100);
	cr_expect_eq(e.head.stale_ns, 200);
	cr_expect_eq(e.head.refresh_ns, 0);
	cr_expect_eq(e.head.refresh_ms, WEIR_CACHE_REFRESH_MS);
	cr_expect_eq(e.head.born_ns, (uint64_t)-5);
	cr_expect_eq(e.head.status, 200);
	cr_expect_eq(e.head.etag_bytes, 5);
	cr_expect_eq(memcmp(e.head.etag, "\"tag\"\0", 6), 0, "without W/: comparison is weak");
	cr_expect_eq(memcmp(e.head.modified, MODIFIED "\0\0\0", 32), 0);
	cr_expect_eq(e.head.cond.bytes, sizeof(COND_HEAD) - 1);
	cr_expect_eq(e.head.cond.conn_off, 39);
	cr_expect_eq(e.head.cond.sum, weir_cache_sum(COND_HEAD, sizeof(COND_HEAD) - 1));
	cr_expect_eq(memcmp(e.head.cond_head, COND_HEAD, sizeof(COND_HEAD) - 1), 0);
	cr_expect_eq(memcmp(e.bytes, RESPONSE_HEAD "body", sizeof(RESPONSE_HEAD) + 3), 0);
}

Test(entry, extra_field_is_the_last_of_both_heads)
{
	struct weir_cache_image image = whole_image();
	static struct weir_entry_l e;
	const char *whole = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nX: y\r\n\r\nbody";
	const char *cond = "HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\nX: y\r\n\r\n";

	cr_assert_eq(build(&image, "X: y\r\n", &e), WEIR_CLASS_S);
	cr_expect_eq(e.head.whole.bytes, strlen(whole) - 4);
	cr_expect_eq(memcmp(e.bytes, whole, strlen(whole)), 0);
	cr_expect_eq(e.head.whole.sum, weir_cache_sum(whole, strlen(whole) - 4));
	cr_expect_eq(e.head.cond.bytes, strlen(cond));
	cr_expect_eq(memcmp(e.head.cond_head, cond, strlen(cond)), 0);
}

Test(entry, head_only_is_small_whatever_the_object)
{
	struct weir_cache_image image = whole_image();
	static struct weir_entry_l e;

	image.body = NULL;
	image.body_bytes = 1ULL << 40;
	image.flags = WEIR_ENTRY_HEAD_ONLY;
	cr_assert_eq(build(&image, NULL, &e), WEIR_CLASS_S);
	cr_expect_eq(e.head.body_bytes, WEIR_BODY_ABSENT);
	cr_expect_eq(e.head.object_bytes, 1ULL << 40);
	cr_expect_neq(e.head.cond.bytes, 0);
}

/* Then a worker answers, never XDP with half of what it should know. */
Test(entry, conditions_that_do_not_fit_are_left_out)
{
	static const char long_tag[] = "\"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\"";
	struct weir_cache_image image = whole_image();
	static struct weir_entry_l e;
	char head[WEIR_COND_BYTES + 1];

	image.etag = WEIR_STR(long_tag);
	cr_assert_eq(build(&image, NULL, &e), WEIR_CLASS_S);
	cr_expect_eq(e.head.cond.bytes, 0);
	image.etag = WEIR_STR("no quotes");
	cr_assert_eq(build(&image, NULL, &e), WEIR_CLASS_S);
	cr_expect_eq(e.head.cond.bytes, 0);

	image = whole_image();
	memset(head, 'x', sizeof(head));
	image.not_modified.p = head;
	image.not_modified.bytes = WEIR_COND_BYTES;
	cr_assert_eq(build(&image, NULL, &e), WEIR_CLASS_S);
	cr_expect_eq(e.head.cond.bytes, WEIR_COND_BYTES);
	cr_assert_eq(build(&image, "X: y\r\n", &e), WEIR_CLASS_S);
	cr_expect_eq(e.head.cond.bytes, 0);
	image.not_modified.bytes++;
	cr_assert_eq(build(&image, NULL, &e), WEIR_CLASS_S);
	cr_expect_eq(e.head.cond.bytes, 0);

	image = whole_image();
	image.status = 404;
	cr_assert_eq(build(&image, NULL, &e), WEIR_CLASS_S);
	cr_expect_eq(e.head.cond.bytes, 0);
	cr_expect_eq(e.head.status, 404);
}
