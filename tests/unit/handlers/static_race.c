/* SPDX-License-Identifier: GPL-2.0 */
/* Threads serve and publish one file while it changes: what is in the kernel cache a moment after a change is never
 * the old version. The lock order of publishing and withdrawing is what is tested; run it with SAN=thread too. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "weir/key.h"

#include "common/bpf_map.h"
#include "common/clock.h"
#include "handlers/static.h"

#define SERVERS 3
#define CHANGES 150

static char root[64];
static struct weir_metrics_slot metrics;
static struct weir_cache cache = { .fds = { -1, -1, -1 }, .secret = { 3, 4 }, .metrics = &metrics, .encodings = 15 };
static struct weir_static *files;
static bool is_over;

static int make_map(uint32_t value_bytes)
{
	union bpf_attr attr = { 0 };

	attr.map_type = BPF_MAP_TYPE_HASH;
	attr.key_size = sizeof(struct weir_cache_key);
	attr.value_size = value_bytes;
	attr.max_entries = 16;
	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static void *serve(void *arg)
{
	static const char text[] = "GET /f HTTP/1.1\r\nHost: a\r\n\r\n";
	struct weir_request *req = calloc(1, sizeof(*req));
	struct weir_response *resp = calloc(1, sizeof(*resp));
	struct weir_call call = { .req = req, .prefix = { "/", 1 } };
	size_t scanned = 0;

	(void)arg;
	cr_assert_eq(weir_request_parse(text, sizeof(text) - 1, &scanned, req), 0);
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		weir_response_reset(resp);
		weir_static_serve(files, &call, resp);
		cr_assert_eq(resp->status, 200);
	}
	weir_response_reset(resp);
	free(resp);
	free(req);
	return NULL;
}

static void *watch(void *arg)
{
	struct pollfd p = { .fd = weir_static_watch_fd(files), .events = POLLIN };

	(void)arg;
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED))
		if (poll(&p, 1, 10) > 0)
			weir_static_watch(files);
	return NULL;
}

static void change(int number)
{
	char path[128], temporary[128], text[32];
	int n = snprintf(text, sizeof(text), "%08d", number), fd;

	snprintf(path, sizeof(path), "%s/f", root);
	snprintf(temporary, sizeof(temporary), "%s/.new", root);
	/* in place and by renaming, in turns */
	fd = open(number & 1 ? temporary : path, O_WRONLY | O_CREAT, 0644);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, (size_t)n), n);
	close(fd);
	if (number & 1)
		cr_assert_eq(rename(temporary, path), 0);
}

/* The version in the kernel cache, or -1. */
static int cached(void)
{
	static struct weir_entry_s e;
	struct weir_cache_key key;

	weir_key_make((const __u64 *)cache.secret, 0, 0, "a", 1, "/f", 2, &key);
	if (weir_bpf_map_lookup(cache.fds[WEIR_CLASS_S], &key, &e) < 0)
		return -1;
	return atoi((const char *)e.bytes + e.head.whole.bytes);
}

Test(static_race, old_version_never_stays, .timeout = 60)
{
	struct weir_static_conf conf = { .root = root };
	pthread_t threads[SERVERS + 1];
	char command[128];
	int i, number, publications = 0;

	strcpy(root, "/tmp/weir-race-XXXXXX");
	cr_assert(mkdtemp(root));
	cache.fds[WEIR_CLASS_S] = make_map(sizeof(struct weir_entry_s));
	if (cache.fds[WEIR_CLASS_S] < 0)
		cr_skip("maps can be made by root only");
	cache.fds[WEIR_CLASS_M] = make_map(sizeof(struct weir_entry_m));
	cache.fds[WEIR_CLASS_L] = make_map(sizeof(struct weir_entry_l));
	change(0);
	cr_assert_eq(weir_static_new(&conf, &cache, &files), 0);
	for (i = 0; i < SERVERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, serve, NULL), 0);
	cr_assert_eq(pthread_create(&threads[SERVERS], NULL, watch, NULL), 0);

	for (number = 1; number <= CHANGES; number++) {
		uint64_t until = weir_now_ms() + 1000;
		int seen;

		change(number);
		/* wait for the new one, then make sure that the old one does not come back */
		do {
			seen = cached();
		} while (seen != number && weir_now_ms() < until);
		cr_assert_eq(seen, number, "%d instead of %d", seen, number);
		(void)poll(NULL, 0, 1);
		seen = cached();
		cr_assert(seen == number || seen == -1, "%d came back after %d", seen, number);
		publications++;
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	for (i = 0; i <= SERVERS; i++)
		pthread_join(threads[i], NULL);
	files = weir_static_free(files);
	cr_assert_eq(cached(), -1);
	cr_assert_eq(publications, CHANGES);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	(void)!system(command);
}
