// SPDX-License-Identifier: GPL-2.0
/* The memory level: what is stored is found, as it was; budget, eviction, removal. One process;
 * store_crash.c has more. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/store_priv.h"
#include "common/clock.h"

static const struct weir_str none = { "", 0 };

static struct weir_store *new_store(uint64_t bytes, const struct weir_store_kernel *kernel)
{
	struct weir_store *s;
	int fd;

	cr_assert_eq(weir_store_create(bytes, 4, &fd), 0);
	cr_assert_eq(weir_store_open(fd, kernel, &s), 0);
	close(fd);
	cr_assert_eq(weir_store_enter(s, 1), 0);
	return s;
}

static struct weir_store_key *key_of(struct weir_store *s, const char *text)
{
	static struct weir_store_key key;

	key.bytes = (uint16_t)strlen(text);
	memcpy(key.text, text, key.bytes);
	weir_store_key_hash(s, 80, &key);
	return &key;
}

static struct weir_policy_store policy_of(const char *vary)
{
	struct weir_policy_store p = { .is_storable = true,
				       .stored = { .lifetime_s = 60,
						   .status = 200,
						   .fresh_ms = weir_now_ms() + 60000,
						   .born_ms = weir_now_ms(),
						   .modified_s = -1 } };

	snprintf(p.vary, sizeof(p.vary), "%s", vary);
	return p;
}

/* The byte at `i` of a body that is told from others by `seed`. */
static char byte_at(uint64_t seed, uint64_t i)
{
	return (char)((seed * 2654435761u + i * 40503u + i / 4096) >> 3);
}

struct object_text {
	const char *vary, *request, *tags;
	bool has_length;
};

static int put(struct weir_store *s, const char *url, uint64_t bytes, uint64_t seed, struct object_text t,
	       struct weir_hold *ret)
{
	struct weir_policy_store p = policy_of(t.vary ? t.vary : "");
	uint64_t variant[2] = {}, off;
	struct weir_fill f;
	char piece[5000];
	int r;

	r = weir_store_begin(s, key_of(s, url), 80, variant, UINT64_MAX, &f);
	if (r < 0)
		return r;
	r = weir_fill_head(&f, &p, (struct weir_str){ t.request, t.request ? strlen(t.request) : 0 },
			   WEIR_STR("HTTP/1.1 200 OK\r\nX: y\r\n"),
			   (struct weir_str){ t.tags, t.tags ? strlen(t.tags) : 0 }, t.has_length ? bytes : UINT64_MAX,
			   1);
	for (off = 0; r == 0 && off < bytes; off += sizeof(piece)) {
		size_t n = bytes - off < sizeof(piece) ? bytes - off : sizeof(piece), i;

		for (i = 0; i < n; i++)
			piece[i] = byte_at(seed, off + i);
		r = weir_fill_body(&f, piece, n);
	}
	if (r < 0) {
		weir_fill_abort(&f);
		return r;
	}
	return weir_fill_commit(&f, ret);
}

static bool is_body(const struct weir_hold *h, uint64_t seed, uint64_t bytes)
{
	struct weir_str parts[WEIR_STORE_EXTENTS];
	struct weir_object_view v;
	uint64_t at = 0;
	unsigned i, n;
	size_t j;

	weir_hold_view(h, &v);
	if (v.body_bytes != bytes)
		return false;
	n = weir_hold_body(h, 0, bytes, parts);
	for (i = 0; i < n; i++)
		for (j = 0; j < parts[i].n; j++)
			if (parts[i].p[j] != byte_at(seed, at++))
				return false;
	return at == bytes;
}

static bool has(struct weir_store *s, const char *url, const char *fields)
{
	struct weir_hold h;

	if (weir_store_find(s, key_of(s, url), (struct weir_str){ fields, strlen(fields) }, &h, NULL) < 0)
		return false;
	weir_hold_put(&h);
	return true;
}

static void expect_whole(struct weir_store *s)
{
	uint64_t taken = 0, before, i;

	for (i = 0; i < s->objects_count; i++)
		if (s->objects[i].state != OBJECT_FREE)
			taken += object_blocks(&s->objects[i]);
	cr_expect_eq(taken + s->r->blocks_free, s->blocks_count, "blocks: %lu taken, %lu free, of %u", (long)taken,
		     (long)s->r->blocks_free, s->blocks_count);
	before = s->r->blocks_free;
	store_repair(s);
	cr_expect_eq(s->r->blocks_free, before, "repair changes a sound store");
}

Test(store, what_is_put_is_found_as_it_was)
{
	static const uint64_t sizes[] = { 0, 1, 511, 512, 513, 4096, 5000, 65536, 100000, 1000000, 3333333 };
	struct weir_store *s = new_store(16 << 20, NULL);
	struct weir_object_view v;
	struct weir_hold h;
	char url[32];
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(url, sizeof(url), "a/%zu", i);
		cr_assert_eq(
			put(s, url, sizes[i], i, (struct object_text){ .tags = "t1 t2", .has_length = i & 1 }, NULL),
			0);
	}
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(url, sizeof(url), "a/%zu", i);
		cr_assert_eq(weir_store_find(s, key_of(s, url), none, &h, NULL), 0, "%s", url);
		cr_expect(is_body(&h, i, sizes[i]), "%s", url);
		weir_hold_view(&h, &v);
		cr_expect(weir_str_eq(v.key, (struct weir_str){ url, strlen(url) }));
		cr_expect(weir_str_eq(v.head, WEIR_STR("HTTP/1.1 200 OK\r\nX: y\r\n")));
		cr_expect(weir_str_eq(v.tags, WEIR_STR("t1 t2")));
		weir_hold_put(&h);
	}
	cr_expect_not(has(s, "a/99", ""));
	expect_whole(s);
	weir_store_free(s);
}

Test(store, part_of_a_body)
{
	struct weir_store *s = new_store(4 << 20, NULL);
	struct weir_str parts[WEIR_STORE_EXTENTS];
	struct weir_hold h;
	uint64_t at = 70000;
	unsigned i, n;
	size_t j;

	cr_assert_eq(put(s, "a/", 300000, 7, (struct object_text){ 0 }, &h), 0);
	n = weir_hold_body(&h, at, 50000, parts);
	for (i = 0; i < n; i++)
		for (j = 0; j < parts[i].n; j++)
			cr_assert_eq(parts[i].p[j], byte_at(7, at++));
	cr_expect_eq(at, 120000);
	weir_hold_put(&h);
	weir_store_free(s);
}

Test(store, a_new_response_takes_the_place_of_the_old_one)
{
	struct weir_store *s = new_store(1 << 20, NULL);
	struct weir_hold old, h;

	cr_assert_eq(put(s, "a/", 1000, 1, (struct object_text){ 0 }, &old), 0);
	cr_assert_eq(put(s, "a/", 2000, 2, (struct object_text){ 0 }, NULL), 0);
	cr_assert_eq(weir_store_find(s, key_of(s, "a/"), none, &h, NULL), 0);
	cr_expect(is_body(&h, 2, 2000));
	/* and who still sends the old one goes on */
	cr_expect(is_body(&old, 1, 1000));
	cr_expect_not(weir_hold_is_live(&old));
	weir_hold_put(&h);
	weir_hold_put(&old);
	expect_whole(s);
	weir_store_free(s);
}

Test(store, variants_by_vary)
{
	struct weir_store *s = new_store(1 << 20, NULL);
	struct weir_hold h;
	char fields[32];
	int i;

	cr_assert_eq(put(s, "a/", 10, 1, (struct object_text){ .vary = "accept", .request = "Accept: x\r\n" }, NULL),
		     0);
	cr_assert_eq(put(s, "a/", 10, 2, (struct object_text){ .vary = "accept", .request = "Accept: y\r\n" }, NULL),
		     0);
	cr_assert_eq(weir_store_find(s, key_of(s, "a/"), WEIR_STR("Accept: x\r\n"), &h, NULL), 0);
	cr_expect(is_body(&h, 1, 10));
	weir_hold_put(&h);
	cr_assert_eq(weir_store_find(s, key_of(s, "a/"), WEIR_STR("accept:  Y\r\n"), &h, NULL), 0);
	cr_expect(is_body(&h, 2, 10));
	weir_hold_put(&h);
	cr_expect_not(has(s, "a/", "Accept: z\r\n"));
	cr_expect_not(has(s, "a/", ""));
	/* one that does not vary is for all */
	cr_assert_eq(put(s, "a/", 10, 3, (struct object_text){ 0 }, NULL), 0);
	cr_assert_eq(weir_store_find(s, key_of(s, "a/"), WEIR_STR("Accept: x\r\n"), &h, NULL), 0);
	cr_expect(is_body(&h, 3, 10));
	weir_hold_put(&h);
	for (i = 0; i < 3 * VARIANTS_MAX; i++) {
		snprintf(fields, sizeof(fields), "Accept: %d\r\n", i);
		cr_assert_eq(put(s, "a/", 10, 1, (struct object_text){ .vary = "accept", .request = fields }, NULL), 0);
	}
	cr_expect(has(s, "a/", fields));
	cr_expect_not(has(s, "a/", "Accept: 0\r\n"));
	expect_whole(s);
	weir_store_free(s);
}

Test(store, two_do_not_fetch_the_same)
{
	struct weir_store *s = new_store(1 << 20, NULL);
	uint64_t variant[2] = {}, other[2] = { 1, 2 };
	struct weir_fill f, g;

	cr_assert_eq(weir_store_begin(s, key_of(s, "a/"), 80, variant, UINT64_MAX, &f), 0);
	cr_expect_eq(weir_store_begin(s, key_of(s, "a/"), 80, variant, UINT64_MAX, &g), -EBUSY);
	cr_expect_eq(weir_store_begin(s, key_of(s, "a/"), 80, other, UINT64_MAX, &g), 0);
	weir_fill_abort(&g);
	cr_expect(weir_store_is_filling(s, key_of(s, "a/"), variant));
	cr_expect_not(has(s, "a/", ""));
	weir_fill_abort(&f);
	cr_expect_not(weir_store_is_filling(s, key_of(s, "a/"), variant));
	weir_fill_abort(&f);
	expect_whole(s);
	weir_store_free(s);
}

static unsigned dropped;
static struct weir_cache_key last_dropped;

static void on_drop(void *arg, const struct weir_cache_key *key)
{
	(void)arg;
	dropped++;
	last_dropped = *key;
}

static int publish(void *arg)
{
	(*(int *)arg)++;
	return 0;
}

Test(store, removal_reaches_the_kernel_and_publication_does_not_overtake_it)
{
	const struct weir_store_kernel kernel = { .drop = on_drop };
	struct weir_cache_key k = { { 1, 2 } };
	struct weir_store *s = new_store(1 << 20, &kernel);
	struct weir_hold h;
	int puts = 0;

	cr_assert_eq(put(s, "a/", 10, 1, (struct object_text){ 0 }, &h), 0);
	cr_expect_eq(weir_hold_publish(&h, &k, 1000, publish, &puts), 0);
	cr_expect_eq(weir_hold_publish(&h, &k, 1000, publish, &puts), -EALREADY);
	cr_expect_eq(puts, 1);
	cr_expect_eq(weir_store_purge(s, WEIR_PURGE_KEY, WEIR_STR("a/")), 1);
	cr_expect_eq(dropped, 1);
	cr_expect_eq(last_dropped.digest[1], 2);
	cr_expect_eq(weir_hold_publish(&h, &k, 0, publish, &puts), -ESTALE);
	cr_expect_eq(puts, 1);
	weir_hold_put(&h);
	weir_store_free(s);
}

Test(store, purge_by_key_prefix_tag_and_all)
{
	struct weir_store *s = new_store(4 << 20, NULL);

	cr_assert_eq(put(s, "a/x/1", 10, 1, (struct object_text){ .tags = "news sport" }, NULL), 0);
	cr_assert_eq(put(s, "a/x/2", 10, 1, (struct object_text){ .tags = "news" }, NULL), 0);
	cr_assert_eq(put(s, "a/y", 10, 1, (struct object_text){ .tags = "sports" }, NULL), 0);
	cr_expect_eq(weir_store_purge(s, WEIR_PURGE_TAG, WEIR_STR("sport")), 1);
	cr_expect_not(has(s, "a/x/1", ""));
	cr_expect_eq(weir_store_purge(s, WEIR_PURGE_PREFIX, WEIR_STR("a/x/")), 1);
	cr_expect_not(has(s, "a/x/2", ""));
	cr_expect_eq(weir_store_purge(s, WEIR_PURGE_KEY, WEIR_STR("a/")), 0);
	cr_expect_eq(weir_store_purge(s, WEIR_PURGE_ALL, none), 1);
	cr_expect_not(has(s, "a/y", ""));
	expect_whole(s);
	weir_store_free(s);
}

/* What was asked for before the purge may be what the purge is about. */
Test(store, a_purge_during_a_fetch_keeps_its_response_out)
{
	static const struct {
		enum weir_purge what;
		const char *text;
		bool before_head, is_kept;
	} rows[] = {
		{ WEIR_PURGE_KEY, "a/b", true, false },	  { WEIR_PURGE_KEY, "a/b", false, false },
		{ WEIR_PURGE_KEY, "a/", true, true },	  { WEIR_PURGE_PREFIX, "a/", true, false },
		{ WEIR_PURGE_PREFIX, "b/", false, true }, { WEIR_PURGE_TAG, "t", true, false },
		{ WEIR_PURGE_TAG, "u", true, false },	  { WEIR_PURGE_TAG, "t", false, false },
		{ WEIR_PURGE_TAG, "u", false, true },	  { WEIR_PURGE_ALL, "", false, false },
	};
	struct weir_store *s = new_store(1 << 20, NULL);
	uint64_t variant[2] = {};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct weir_str text = { rows[i].text, strlen(rows[i].text) };
		struct weir_policy_store p = policy_of("");
		struct weir_fill f, again;
		int r;

		cr_assert_eq(weir_store_begin(s, key_of(s, "a/b"), 80, variant, UINT64_MAX, &f), 0);
		if (rows[i].before_head)
			cr_expect_eq(weir_store_purge(s, rows[i].what, text), 0);
		r = weir_fill_head(&f, &p, none, WEIR_STR("H"), WEIR_STR("t"), 4, 1);
		if (!rows[i].before_head)
			cr_expect_eq(weir_store_purge(s, rows[i].what, text), 0);
		/* and who comes after the purge does not wait for it */
		r = r ? r : weir_fill_body(&f, "1234", 4);
		cr_expect_eq(weir_store_begin(s, key_of(s, "a/b"), 80, variant, UINT64_MAX, &again),
			     rows[i].is_kept ? -EBUSY : 0, "row %zu", i);
		weir_fill_abort(&again);
		r = r ? r : weir_fill_commit(&f, NULL);
		cr_expect_eq(r, rows[i].is_kept ? 0 : -ESTALE, "row %zu: %d", i, r);
		weir_fill_abort(&f);
		cr_expect_eq(has(s, "a/b", ""), rows[i].is_kept, "row %zu", i);
		weir_store_purge(s, WEIR_PURGE_ALL, none);
	}
	expect_whole(s);
	weir_store_free(s);
}

Test(store, limits)
{
	struct weir_policy_store p = policy_of("");
	struct weir_store *s = new_store(1 << 20, NULL);
	uint64_t variant[2] = {};
	char big[2000] = {};
	struct weir_fill f;

	cr_assert_eq(weir_store_begin(s, key_of(s, "a/"), 80, variant, 1000, &f), 0);
	cr_expect_eq(weir_fill_head(&f, &p, none, WEIR_STR("H"), none, 1000, 1), -EFBIG);
	cr_expect_eq(weir_fill_head(&f, &p, none, WEIR_STR("H"), none, UINT64_MAX, 1), 0);
	cr_expect_eq(weir_fill_body(&f, big, 900), 0);
	cr_expect_eq(weir_fill_body(&f, big, 101), -EFBIG);
	weir_fill_abort(&f);
	/* larger than the memory itself */
	cr_expect_eq(put(s, "b/", 2 << 20, 1, (struct object_text){ .has_length = true }, NULL), -ENOSPC);
	cr_expect_eq(put(s, "b/", 2 << 20, 1, (struct object_text){ 0 }, NULL), -ENOSPC);
	expect_whole(s);
	weir_store_free(s);
}

Test(store, what_is_held_is_not_pushed_out)
{
	struct weir_store *s = new_store(1 << 20, NULL);
	struct weir_hold h;
	char url[32];
	int i;

	cr_assert_eq(put(s, "a/held", 50000, 5, (struct object_text){ 0 }, &h), 0);
	for (i = 0; i < 500; i++) {
		snprintf(url, sizeof(url), "a/%d", i);
		cr_assert_eq(put(s, url, 20000, (uint64_t)i, (struct object_text){ 0 }, NULL), 0);
	}
	cr_expect(is_body(&h, 5, 50000));
	cr_expect(weir_hold_is_live(&h));
	weir_hold_put(&h);
	expect_whole(s);
	weir_store_free(s);
}

static uint64_t kernel_hits;

static uint64_t on_hits(void *arg, const struct weir_cache_key *key)
{
	(void)arg;
	(void)key;
	return ++kernel_hits;
}

/* XDP answers for it: nobody comes here any more, and that must not push it out. */
Test(store, what_the_kernel_answers_stays)
{
	const struct weir_store_kernel kernel = { .drop = on_drop, .hits = on_hits };
	struct weir_store *s = new_store(1 << 20, &kernel);
	struct weir_cache_key k = { { 1, 2 } };
	struct weir_hold h;
	int puts = 0, i;
	char url[32];

	cr_assert_eq(put(s, "a/hot", 1000, 5, (struct object_text){ 0 }, &h), 0);
	cr_assert_eq(weir_hold_publish(&h, &k, 0, publish, &puts), 0);
	weir_hold_put(&h);
	for (i = 0; i < 3000; i++) {
		snprintf(url, sizeof(url), "a/%d", i);
		cr_assert_eq(put(s, url, 20000, (uint64_t)i, (struct object_text){ 0 }, NULL), 0);
	}
	cr_expect(has(s, "a/hot", ""));
	weir_store_free(s);
}

static bool visit(struct weir_store *s, const char *url, uint64_t bytes)
{
	struct weir_hold h;

	if (weir_store_find(s, key_of(s, url), none, &h, NULL) == 0) {
		weir_hold_used(&h);
		weir_hold_put(&h);
		return true;
	}
	cr_assert_eq(put(s, url, bytes, 1, (struct object_text){ .has_length = true }, NULL), 0);
	return false;
}

Test(store, a_scan_does_not_push_out_what_is_used)
{
	struct weir_store *s = new_store(2 << 20, NULL);
	unsigned hits = 0;
	char url[32];
	int i, round;

	for (round = 0; round < 5; round++)
		for (i = 0; i < 100; i++) {
			snprintf(url, sizeof(url), "hot/%d", i);
			visit(s, url, 8000);
		}
	for (i = 0; i < 2000; i++) {
		snprintf(url, sizeof(url), "scan/%d", i);
		visit(s, url, 8000);
	}
	for (i = 0; i < 100; i++) {
		snprintf(url, sizeof(url), "hot/%d", i);
		hits += has(s, url, "");
	}
	cr_expect_gt(hits, 90, "%u of 100 are left", hits);
	expect_whole(s);
	weir_store_free(s);
}

/* Twice as much as there is room for, by Zipf's law: what is asked for most is there, and the
 * region is all there is. */
Test(store, zipf_over_twice_the_budget)
{
	enum { URLS = 4000, REQUESTS = 60000, BYTES = 2000 };
	struct weir_store *s = new_store((uint64_t)URLS * BYTES / 2, NULL);
	struct weir_store_stats st;
	double *sums = malloc(sizeof(*sums) * URLS), sum = 0, at;
	unsigned hits = 0, low, high, mid;
	char url[32];
	int i;

	for (i = 0; i < URLS; i++)
		sums[i] = sum += 1.0 / (i + 1);
	srand48(1);
	for (i = 0; i < REQUESTS; i++) {
		at = drand48() * sum;
		for (low = 0, high = URLS - 1; low < high;) {
			mid = (low + high) / 2;
			if (sums[mid] < at)
				low = mid + 1;
			else
				high = mid;
		}
		snprintf(url, sizeof(url), "z/%u", low);
		hits += visit(s, url, BYTES);
	}
	weir_store_stats(s, &st);
	cr_expect_leq(st.bytes_used, st.bytes_budget);
	cr_expect_gt(hits, REQUESTS * 70 / 100, "%u hits of %d", hits, REQUESTS);
	expect_whole(s);
	free(sums);
	weir_store_free(s);
}

Test(store, admission_counts_within_its_window)
{
	struct weir_store *s = new_store(1 << 20, NULL);

	cr_expect(weir_store_admits(s, key_of(s, "a/"), 1, 10000, 5));
	cr_expect_not(weir_store_admits(s, key_of(s, "a/"), 2, 10000, 100));
	cr_expect_not(weir_store_admits(s, key_of(s, "a/"), 2, 10000, 10101));
	cr_expect(weir_store_admits(s, key_of(s, "a/"), 2, 10000, 10102));
	cr_expect_not(weir_store_is_passed(s, key_of(s, "b/"), 1));
	weir_store_pass(s, key_of(s, "b/"), 10, 5);
	cr_expect_eq(weir_store_refusal(s, key_of(s, "b/")), 5);
	cr_expect_eq(weir_store_refusal(s, key_of(s, "c/")), 0);
	cr_expect(weir_store_is_passed(s, key_of(s, "b/"), 9));
	cr_expect_not(weir_store_is_passed(s, key_of(s, "b/"), 10));
	weir_store_free(s);
}

Test(store, one_refreshes)
{
	struct weir_store *s = new_store(1 << 20, NULL);
	struct weir_hold h;

	cr_assert_eq(put(s, "a/", 10, 1, (struct object_text){ 0 }, &h), 0);
	cr_expect(weir_hold_claim_refresh(&h, 1000, 500));
	cr_expect_not(weir_hold_claim_refresh(&h, 1001, 500));
	cr_expect(weir_hold_claim_refresh(&h, 1500, 500));
	weir_hold_put(&h);
	weir_store_free(s);
}

/* A region that another process has filled with anything. */
Test(store, garbage_is_refused_or_repaired)
{
	struct weir_store *s = new_store(1 << 20, NULL);
	unsigned i;

	for (i = 0; i < 50; i++) {
		char url[16];

		snprintf(url, sizeof(url), "a/%u", i);
		cr_assert_eq(put(s, url, 3000, i, (struct object_text){ 0 }, NULL), 0);
	}
	srand48(2);
	for (i = 0; i < sizeof(struct object) * s->objects_count; i += 3)
		((char *)s->objects)[i] = (char)lrand48();
	cr_expect_geq(weir_store_purge(s, WEIR_PURGE_PREFIX, WEIR_STR("a/")), 0);
	store_repair(s);
	cr_expect_geq(weir_store_purge(s, WEIR_PURGE_TAG, WEIR_STR("a")), 0);
	cr_assert_eq(put(s, "b/", 3000, 1, (struct object_text){ 0 }, NULL), 0);
	cr_expect(has(s, "b/", ""));
	expect_whole(s);
	weir_store_free(s);
}
