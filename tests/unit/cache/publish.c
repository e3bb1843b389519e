/* SPDX-License-Identifier: GPL-2.0 */
/* What a store asks of the kernel cache: names, putting in the place of what is there, dropping. Needs root to make maps. */
#include <criterion/criterion.h>

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "weir/key.h"

#include "cache/cache.h"
#include "common/bpf_map.h"
#include "common/macro.h"

#define HEAD "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n"

static struct weir_metrics_slot metrics;
static struct weir_cache cache = { .fds = { -1, -1, -1 }, .secret = { 3, 4 }, .metrics = &metrics, .encodings = 15 };
static struct weir_request req;
static struct weir_cache_name name;
static char body[WEIR_BYTES_L];
static struct weir_entry_l entry;

static int make_map(uint32_t value_bytes)
{
	union bpf_attr attr = { 0 };

	attr.map_type = BPF_MAP_TYPE_HASH;
	attr.key_size = sizeof(struct weir_cache_key);
	attr.value_size = value_bytes;
	attr.max_entries = 16;
	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static void ask(const char *text)
{
	size_t scanned = 0;

	cr_assert_eq(weir_request_parse(text, strlen(text), &scanned, &req), 0);
}

static void init(void)
{
	cache.fds[WEIR_CLASS_S] = make_map(sizeof(struct weir_entry_s));
	cache.fds[WEIR_CLASS_M] = make_map(sizeof(struct weir_entry_m));
	cache.fds[WEIR_CLASS_L] = make_map(sizeof(struct weir_entry_l));
	if (cache.fds[WEIR_CLASS_S] < 0)
		cr_skip("maps can be made by root only");
	ask("GET /a?b HTTP/1.1\r\nHost: Example:80\r\nAccept-Encoding: gzip\r\n\r\n");
	cr_assert_eq(weir_cache_name(&cache, &req, 7, &name), 0);
}

TestSuite(publish, .init = init);

static struct weir_cache_image image_of(char fill, size_t bytes)
{
	memset(body, fill, bytes);
	return (struct weir_cache_image){ .head = { HEAD, sizeof(HEAD) - 1, 0, 29, 0 },
					  .body = body,
					  .body_bytes = bytes };
}

/* The first byte of the body that is there; 0: none. Asserts that it is in one class at most. */
static char cached(void)
{
	char found = 0;
	int class;

	for (class = 0; class < WEIR_CLASS__MAX; class ++) {
		if (weir_bpf_map_lookup(cache.fds[class], &name.key, &entry) < 0)
			continue;
		cr_assert_eq(found, 0, "in one class only");
		found = (char)entry.bytes[entry.head.whole.bytes];
	}
	return found;
}

Test(publish, name_is_the_kernels_key_and_the_url)
{
	struct weir_cache_key key;

	weir_key_make((const __u64 *)cache.secret, 7, WEIR_ENCODING_GZIP, "example", 7, "/a?b", 4, &key);
	cr_expect_eq(memcmp(&key, &name.key, sizeof(key)), 0);
	cr_expect_eq(name.encodings, WEIR_ENCODING_GZIP);
	cr_expect(weir_str_eq(name.host, WEIR_STR("example")) && weir_str_eq(name.target, WEIR_STR("/a?b")));
}

Test(publish, codings_that_the_pool_does_not_offer_are_no_part_of_the_name)
{
	struct weir_cache_name other;

	cache.encodings = WEIR_ENCODING_BR;
	cr_assert_eq(weir_cache_name(&cache, &req, 7, &other), 0);
	cr_expect_eq(other.encodings, 0);
	ask("GET /a?b HTTP/1.1\r\nHost: example\r\n\r\n");
	cr_assert_eq(weir_cache_name(&cache, &req, 7, &name), 0);
	cr_expect_eq(memcmp(&other.key, &name.key, sizeof(name.key)), 0);
	ask("GET /a?b HTTP/1.1\r\nHost: example\r\nAccept-Encoding: br, *;q=0.5\r\n\r\n");
	cr_expect_eq(weir_cache_name(&cache, &req, 7, &name), 0);
	ask("GET /a?b HTTP/1.1\r\nHost: example\r\nAccept-Encoding: gzip, *;q=0.5\r\n\r\n");
	cr_expect_eq(weir_cache_name(&cache, &req, 7, &name), -EINVAL, "it may prefer what the pool offers");
	cache.encodings = 15;
}

Test(publish, request_that_the_kernel_never_looks_up_has_no_name)
{
	ask("GET /a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\n\r\n");
	cr_expect_eq(weir_cache_name(&cache, &req, 7, &name), -EINVAL);
}

Test(publish, what_is_there_stays_or_is_replaced)
{
	struct weir_cache_image image = image_of('a', 100);
	uint64_t generation;

	cr_assert_eq(weir_cache_put(&cache, &name, &image, false), 0);
	cr_expect_eq(cached(), 'a');
	generation = entry.head.generation;
	image = image_of('b', 100);
	cr_assert_eq(weir_cache_put(&cache, &name, &image, false), 0);
	cr_expect_eq(cached(), 'a');
	cr_expect_eq(entry.head.generation, generation);
	cr_assert_eq(weir_cache_put(&cache, &name, &image, true), 0);
	cr_expect_eq(cached(), 'b');
	cr_expect_gt(entry.head.generation, generation);
	image.expires_ns = 1;
	cr_assert_eq(weir_cache_put(&cache, &name, &image, true), 0);
	image = image_of('c', 100);
	cr_assert_eq(weir_cache_put(&cache, &name, &image, false), 0);
	cr_expect_eq(cached(), 'c', "one that has expired gives way");
	cr_expect(weir_cache_drop(&cache, &name.key));
	cr_expect_eq(cached(), 0);
	cr_expect_not(weir_cache_drop(&cache, &name.key));
}

Test(publish, replacement_of_another_size_leaves_nothing_of_the_old_one)
{
	static const size_t sizes[] = { 10, 3000, 10000, 20, 10000, 3000, 10 };
	struct weir_cache_image image;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		image = image_of((char)('a' + i), sizes[i]);
		cr_assert_eq(weir_cache_put(&cache, &name, &image, true), 0);
		cr_expect_eq(cached(), 'a' + (int)i);
	}
}

Test(publish, what_must_not_be_there_is_refused)
{
	struct weir_cache_image image = image_of('a', 100);
	static const char cookie[] = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nSet-Cookie: a=b\r\n\r\n";

	image.head.p = cookie;
	image.head.bytes = sizeof(cookie) - 1;
	cr_expect_eq(weir_cache_put(&cache, &name, &image, true), -EPERM);
	image = image_of('a', WEIR_BYTES_L);
	cr_expect_eq(weir_cache_put(&cache, &name, &image, true), -E2BIG);
	image.flags = WEIR_ENTRY_HEAD_ONLY;
	cr_expect_eq(weir_cache_put(&cache, &name, &image, true), 0);
	cache.fds[WEIR_CLASS_S] = -1;
	cr_expect_eq(weir_cache_put(&cache, &name, &image, true), -EOPNOTSUPP);
	cr_expect_not(weir_cache_drop(&cache, &name.key));
}
