// SPDX-License-Identifier: GPL-2.0
/* What modules offer to the kernel cache, and what they purge. Needs root, for the maps. */
#include "module_unit.h"

#include <linux/bpf.h>
#include <sys/syscall.h>

#include "common/bpf_map.h"
#include "common/clock.h"

static int make_map(size_t value_bytes)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_LRU_HASH, .key_size = 16, .max_entries = 64 };

	attr.value_size = (uint32_t)value_bytes;
	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static void init_cache(void)
{
	cache.encodings = WEIR_ENCODING__COUNT - 1;
	cache.fds[WEIR_CLASS_S] = make_map(sizeof(struct weir_entry_s));
	cache.fds[WEIR_CLASS_M] = make_map(sizeof(struct weir_entry_m));
	cache.fds[WEIR_CLASS_L] = make_map(sizeof(struct weir_entry_l));
	if (cache.fds[WEIR_CLASS_S] < 0)
		cr_skip("maps can be made by root only");
	init();
}

TestSuite(module_cache, .init = init_cache, .fini = fini, .timeout = 20);

/* Entries in the kernel cache; the last one's expiry. */
static unsigned count_entries(uint64_t *ret_expires_ns)
{
	static struct weir_entry_s entry;
	struct weir_cache_key key;
	unsigned n = 0;
	int r = weir_bpf_map_next_key(cache.fds[WEIR_CLASS_S], NULL, &key);

	for (; r == 0; r = weir_bpf_map_next_key(cache.fds[WEIR_CLASS_S], &key, &key), n++)
		if (weir_bpf_map_lookup(cache.fds[WEIR_CLASS_S], &key, &entry) == 0 && ret_expires_ns)
			*ret_expires_ns = entry.head.expires_ns;
	return n;
}

static int policy;
static const char *field, *tag;
static bool purges;

static int say_cached(struct weir_exchange *x)
{
	(void)api->begin(x, 200);
	(void)api->cache(x, policy, 60);
	if (tag)
		(void)api->tag(x, tag);
	if (field)
		(void)api->add_field(x, "Cache-Control", field, strlen(field));
	(void)api->write(x, "ok\n", 3);
	if (purges)
		(void)api->purge_tag(worker, "none");
	return api->end(x);
}

Test(module_cache, policy_decides)
{
	uint64_t expires_ns = 0, now = weir_now_ns();

	policy = WEIR_MODULE_CACHE_NONE;
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(NULL), 0);
	policy = WEIR_MODULE_CACHE_TTL;
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(&expires_ns), 1);
	cr_assert(expires_ns >= now + 59000000000 && expires_ns <= weir_now_ns() + 60000000000);
	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(&expires_ns), 1, "another policy takes the place of the old one");
	cr_assert_eq(expires_ns, UINT64_MAX);
	policy = 7;
	(void)ask(GET, say_cached);
	cr_assert_eq(resp.status, 500);
}

Test(module_cache, fields_that_forbid_it_win)
{
	static const char *const values[] = { "private", "max-age=1, No-Store", "no-cache=\"x\"" };
	size_t i;

	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		field = values[i];
		(void)ask(GET, say_cached);
		cr_assert_eq(resp.status, 200);
		cr_assert_eq(count_entries(NULL), 0, "%s", field);
	}
	field = "max-age=5";
	(void)ask("GET /a HTTP/1.1\r\nHost: a.test\r\nAuthorization: x\r\n\r\n", say_cached);
	(void)ask("GET /a HTTP/1.1\r\nHost: a.test\r\nRange: bytes=0-1\r\n\r\n", say_cached);
	(void)ask("HEAD /a HTTP/1.1\r\nHost: a.test\r\n\r\n", say_cached);
	cr_assert_eq(count_entries(NULL), 0);
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(NULL), 1);
}

Test(module_cache, purge_takes_what_is_named)
{
	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	tag = "x";
	(void)ask(GET, say_cached);
	(void)ask("GET /a HTTP/1.1\r\nHost: b.test\r\n\r\n", say_cached);
	tag = "y";
	(void)ask("GET /b HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n", say_cached);
	(void)ask("GET /b HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: br\r\n\r\n", say_cached);
	cr_assert_eq(count_entries(NULL), 4);
	cr_assert_eq(api->purge_url(worker, "http://B.test:8080/a"), 1);
	cr_assert_eq(count_entries(NULL), 3);
	cr_assert_eq(api->purge_tag(worker, "y"), 1);
	cr_assert_eq(count_entries(NULL), 1);
	cr_assert_eq(api->purge_url(worker, "/c"), 0);
	cr_assert_eq(api->purge_url(worker, "http://"), -EINVAL);
	cr_assert_eq(api->purge_url(worker, "x"), -EINVAL);
	cr_assert_eq(api->purge_url(worker, NULL), -EINVAL);
	cr_assert_eq(api->purge_tag(worker, NULL), 1);
	cr_assert_eq(count_entries(NULL), 0);
}

Test(module_cache, response_that_began_before_a_purge_is_not_kept)
{
	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	purges = true;
	(void)ask(GET, say_cached);
	cr_assert_eq(resp.status, 200);
	cr_assert_eq(count_entries(NULL), 0);
	purges = false;
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(NULL), 1);
}

Test(module_cache, purge_beside_other_workers_takes_everything)
{
	struct weir_cache_key key = { { 1, 2 } };
	static struct weir_entry_s entry;

	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	cr_assert_eq(weir_bpf_map_insert(cache.fds[WEIR_CLASS_S], &key, &entry), 0); /* another worker's */
	(void)ask(GET, say_cached);
	cr_assert_eq(api->purge_tag(worker, "other"), 0);
	cr_assert_eq(count_entries(NULL), 2);
	company = WEIR_MODULE_SIBLINGS;
	cr_assert_eq(api->purge_tag(worker, "other"), 1);
	cr_assert_eq(count_entries(NULL), 0);
	company = WEIR_MODULE_LEAVING;
	(void)ask(GET, say_cached);
	cr_assert_eq(count_entries(NULL), 0, "nobody would purge it");
}

Test(module_cache, table_is_bounded_and_its_end_withdraws)
{
	char text[64];
	int i;

	policy = WEIR_MODULE_CACHE_UNTIL_PURGED;
	for (i = 0; i < 9; i++) {
		snprintf(text, sizeof(text), "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
		(void)ask(text, say_cached);
	}
	cr_assert_eq(count_entries(NULL), 4);
	fini();
	cr_assert_eq(count_entries(NULL), 0);
}
