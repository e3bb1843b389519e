// SPDX-License-Identifier: GPL-2.0
/* Processes that share a store and die in the middle of anything: the others go on, nothing that is
 * found is wrong, and no memory is lost. */
#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/store_priv.h"
#include "common/clock.h"

#define URLS 300
#define WORKERS 3
#define KILLS 600
#define LIFE_US 5000

static const struct weir_str none = { "", 0 };

static void make_key(struct weir_store *s, unsigned url, struct weir_store_key *key)
{
	key->bytes = (uint16_t)snprintf(key->text, sizeof(key->text), "host/%u", url);
	weir_store_key_hash(s, 80, key);
}

/* Every body says which URL it is of, and its length follows from it and a version that its first
 * bytes tell. */
static uint32_t length_of(unsigned url, uint32_t version)
{
	return 8 + (url * 7919 + version * 104729) % 30000;
}

static void fill_one(struct weir_store *s, unsigned url, uint32_t version)
{
	struct weir_policy_store p = { .stored = { .lifetime_s = 60, .modified_s = -1 } };
	uint32_t bytes = length_of(url, version), i, words[2] = { url, version };
	static _Thread_local char body[40000];
	struct weir_store_key key;
	uint64_t variant[2] = {};
	struct weir_fill f;
	int r;

	make_key(s, url, &key);
	if (weir_store_begin(s, &key, 80, variant, UINT64_MAX, &f) < 0)
		return;
	p.stored.fresh_ms = weir_now_ms() + 60000;
	memcpy(body, words, sizeof(words));
	for (i = sizeof(words); i < bytes; i++)
		body[i] = (char)(url + version + i);
	r = weir_fill_head(&f, &p, none, WEIR_STR("HTTP/1.1 200 OK\r\n"), WEIR_STR("tag"),
			   version & 1 ? bytes : UINT64_MAX, 1);
	for (i = 0; r == 0 && i < bytes; i += 3000)
		r = weir_fill_body(&f, body + i, bytes - i < 3000 ? bytes - i : 3000);
	if (r == 0)
		(void)weir_fill_commit(&f, NULL);
	weir_fill_abort(&f);
}

/* False: what was found is not what anybody stored. */
static bool check_one(struct weir_store *s, unsigned url)
{
	struct weir_str parts[WEIR_STORE_EXTENTS];
	static _Thread_local char body[40000];
	struct weir_object_view v;
	struct weir_store_key key;
	struct weir_hold h;
	uint32_t words[2], i;
	uint64_t at = 0;
	unsigned n, k;
	bool is_right;

	make_key(s, url, &key);
	if (weir_store_find(s, &key, none, &h, NULL) < 0)
		return true;
	weir_hold_view(&h, &v);
	n = weir_hold_body(&h, 0, v.body_bytes, parts);
	for (k = 0; k < n && at + parts[k].n <= sizeof(body); k++) {
		memcpy(body + at, parts[k].p, parts[k].n);
		at += parts[k].n;
	}
	memcpy(words, body, sizeof(words));
	is_right = at == v.body_bytes && words[0] == url && at == length_of(url, words[1]) &&
		   weir_str_eq(v.key, (struct weir_str){ key.text, key.bytes });
	for (i = sizeof(words); is_right && i < at; i++)
		is_right = body[i] == (char)(url + words[1] + i);
	weir_hold_used(&h);
	weir_hold_put(&h);
	return is_right;
}

struct job {
	struct weir_store *s;
	unsigned seed;
	unsigned rounds;
};

static void *work(void *arg)
{
	struct job *j = arg;
	unsigned i;

	for (i = 0; i < j->rounds; i++) {
		unsigned dice = (unsigned)rand_r(&j->seed), url = dice % URLS;

		if (!check_one(j->s, url))
			_exit(66);
		if (dice % 3 == 0)
			fill_one(j->s, url, dice);
		if (dice % 97 == 0) {
			struct weir_store_key key;

			make_key(j->s, url, &key);
			(void)weir_store_purge(j->s, WEIR_PURGE_KEY, (struct weir_str){ key.text, key.bytes });
		}
		if (dice % 1999 == 0)
			(void)weir_store_purge(j->s, WEIR_PURGE_TAG, WEIR_STR("tag"));
	}
	return NULL;
}

static pid_t start(int fd, uint64_t reader, unsigned seed, unsigned rounds)
{
	pid_t pid = fork();
	struct job jobs[2];
	struct weir_store *s;
	pthread_t other;

	cr_assert_geq(pid, 0);
	if (pid > 0)
		return pid;
	if (weir_store_open(fd, NULL, &s) < 0 || weir_store_enter(s, reader) < 0)
		_exit(67);
	jobs[0] = (struct job){ s, seed, rounds };
	jobs[1] = (struct job){ s, seed + 1, rounds };
	if (pthread_create(&other, NULL, work, &jobs[1]))
		_exit(68);
	work(&jobs[0]);
	(void)pthread_join(other, NULL);
	_exit(0);
}

static void expect_whole(struct weir_store *s)
{
	uint64_t taken = 0, i;

	cr_assert_eq(store_lock(s), 0);
	objects_bury(s);
	for (i = 0; i < s->objects_count; i++) {
		cr_expect_neq(s->objects[i].state, OBJECT_FILLING, "a dead process's fetch goes on");
		cr_expect_not(object_is_held(s, &s->objects[i]), "a dead process holds an object");
		if (s->objects[i].state != OBJECT_FREE)
			taken += object_blocks(&s->objects[i]);
	}
	cr_expect_eq(taken + s->r->blocks_free, s->blocks_count, "memory is lost: %lu taken, %lu free, of %u",
		     (long)taken, (long)s->r->blocks_free, s->blocks_count);
	store_unlock(s);
}

Test(store_crash, kill_9_at_any_instruction, .timeout = 60)
{
	uint64_t readers[WORKERS], next = 1;
	pid_t pids[WORKERS];
	struct weir_store_stats st;
	struct weir_store *s;
	unsigned i, kills = 0, seed = 42;
	int fd, status;

	/* so small that memory is short all the time */
	cr_assert_eq(weir_store_create(2 << 20, 8, &fd), 0);
	cr_assert_eq(weir_store_open(fd, NULL, &s), 0);
	cr_assert_eq(weir_store_enter(s, 0), 0);
	for (i = 0; i < WORKERS; i++) {
		readers[i] = next++;
		pids[i] = start(fd, readers[i], seed += 2, UINT32_MAX);
	}
	while (kills < KILLS) {
		i = (unsigned)rand_r(&seed) % WORKERS;
		/* the time of death, not a wait for something */
		usleep((useconds_t)(rand_r(&seed) % LIFE_US));
		cr_assert_eq(kill(pids[i], SIGKILL), 0);
		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a worker ended by itself: %x", status);
		kills++;
		weir_store_bury(s, readers[i]);
		readers[i] = next++;
		pids[i] = start(fd, readers[i], seed += 2, UINT32_MAX);
	}
	for (i = 0; i < WORKERS; i++) {
		cr_assert_eq(kill(pids[i], SIGKILL), 0);
		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		weir_store_bury(s, readers[i]);
	}
	expect_whole(s);
	weir_store_stats(s, &st);
	cr_expect_gt(st.stored, 100);
	cr_expect_gt(st.repaired, 0, "nobody died with the lock: nothing was proved");
	cr_log_info("%lu stored, %lu times repaired", (long)st.stored, (long)st.repaired);
	for (i = 0; i < URLS; i++)
		cr_expect(check_one(s, i));
	weir_store_free(s);
	close(fd);
}

Test(store_crash, death_with_the_lock_is_repaired)
{
	struct weir_store_stats st;
	struct weir_store *s;
	int fd, status;
	pid_t pid;

	cr_assert_eq(weir_store_create(2 << 20, 8, &fd), 0);
	cr_assert_eq(weir_store_open(fd, NULL, &s), 0);
	cr_assert_eq(weir_store_enter(s, 0), 0);
	fill_one(s, 1, 5);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)store_lock(s);
		/* half of everything */
		s->r->pieces[3] = 77;
		s->r->free_object = 0;
		memset(s->buckets, 0, 4ul * s->buckets_count);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	fill_one(s, 2, 5);
	weir_store_stats(s, &st);
	cr_expect_eq(st.repaired, 1);
	cr_expect_eq(st.objects, 2);
	cr_expect(check_one(s, 1));
	cr_expect(check_one(s, 2));
	expect_whole(s);
	weir_store_free(s);
	close(fd);
}

Test(store_crash, what_a_dead_process_held_and_fetched_is_free)
{
	struct weir_store *s, *dead;
	struct weir_store_key key;
	uint64_t variant[2] = {};
	struct weir_fill f;
	struct weir_hold h;
	int fd;

	cr_assert_eq(weir_store_create(2 << 20, 8, &fd), 0);
	cr_assert_eq(weir_store_open(fd, NULL, &s), 0);
	cr_assert_eq(weir_store_enter(s, 0), 0);
	cr_assert_eq(weir_store_open(fd, NULL, &dead), 0);
	cr_assert_eq(weir_store_enter(dead, 1), 0);
	fill_one(s, 1, 5);
	make_key(s, 1, &key);
	cr_assert_eq(weir_store_find(dead, &key, none, &h, NULL), 0);
	make_key(s, 2, &key);
	cr_assert_eq(weir_store_begin(dead, &key, 80, variant, UINT64_MAX, &f), 0);
	cr_expect_eq(weir_store_begin(s, &key, 80, variant, UINT64_MAX, &f), -EBUSY);
	weir_store_bury(s, 1);
	cr_expect_eq(weir_store_begin(s, &key, 80, variant, UINT64_MAX, &f), 0);
	weir_fill_abort(&f);
	cr_expect_eq(weir_store_purge(s, WEIR_PURGE_ALL, none), 1);
	expect_whole(s);
	weir_store_free(dead);
	weir_store_free(s);
	close(fd);
}

Test(store_crash, readers_are_limited_and_their_places_used_again)
{
	struct weir_store *s[3];
	int fd, i;

	cr_assert_eq(weir_store_create(1 << 20, 2, &fd), 0);
	for (i = 0; i < 3; i++)
		cr_assert_eq(weir_store_open(fd, NULL, &s[i]), 0);
	cr_expect_eq(weir_store_enter(s[0], 10), 0);
	cr_expect_eq(weir_store_enter(s[1], 11), 0);
	cr_expect_eq(weir_store_enter(s[2], 12), -EBUSY);
	weir_store_bury(s[0], 11);
	cr_expect_eq(weir_store_enter(s[2], 12), 0);
	for (i = 0; i < 3; i++)
		weir_store_free(s[i]);
	close(fd);
}
