// SPDX-License-Identifier: GPL-2.0
/* The rings between workers and the log's process: order, a full ring, many producers, one that was killed, and memory
 * that a hostile worker has written. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metrics/log_ring.h"

#define PRODUCERS 4
#define RECORDS 20000

static struct weir_log_ring *ring;
static struct weir_log_reader reader;
static struct weir_log_record got;

static void init(void)
{
	ring = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(ring, MAP_FAILED);
}

TestSuite(log_ring, .init = init, .timeout = 60);

static bool put(uint64_t value)
{
	uint64_t position;
	struct weir_log_record *rec = weir_log_reserve(ring, &position);
	size_t used = 0;

	if (!rec)
		return false;
	memset(rec, 0, sizeof(*rec));
	rec->sent = value;
	rec->target_bytes = weir_log_text(rec, &used, WEIR_STR("/a/b"), 100);
	weir_log_publish(ring, position);
	return true;
}

static enum weir_log_next take(uint64_t now_ms)
{
	return weir_log_take(ring, &reader, now_ms, &got);
}

Test(log_ring, records_come_in_their_order_over_many_laps)
{
	uint64_t i;

	cr_expect_eq(take(0), WEIR_LOG_EMPTY);
	for (i = 0; i < 5 * WEIR_LOG_CELLS; i++) {
		cr_assert(put(i));
		if (i % 3 == 2)
			continue;
		cr_assert_eq(take(0), WEIR_LOG_TAKEN);
		if (i % 3 == 1)
			cr_assert_eq(take(0), i > 1 ? WEIR_LOG_TAKEN : WEIR_LOG_EMPTY);
	}
	cr_expect_eq(got.target_bytes, 4);
	cr_expect_arr_eq(got.text, "/a/b", 4);
	cr_expect_eq(ring->lost, 0);
}

Test(log_ring, full_ring_loses_and_counts)
{
	uint64_t i;

	for (i = 0; i < WEIR_LOG_CELLS; i++)
		cr_assert(put(i));
	cr_expect_not(put(i));
	cr_expect_not(put(i));
	cr_expect_eq(ring->lost, 2);
	for (i = 0; i < WEIR_LOG_CELLS; i++) {
		cr_assert_eq(take(0), WEIR_LOG_TAKEN);
		cr_assert_eq(got.sent, i);
	}
	cr_expect_eq(take(0), WEIR_LOG_EMPTY);
	cr_expect(put(1));
}

static void *produce(void *arg)
{
	uint64_t number = (uint64_t)(uintptr_t)arg, i, lost = 0;

	for (i = 0; i < RECORDS; i++)
		lost += !put(number << 32 | i);
	return (void *)(uintptr_t)lost;
}

Test(log_ring, nothing_comes_twice_and_what_is_missing_is_counted)
{
	uint64_t next[PRODUCERS] = { 0 }, taken = 0, lost = 0, i;
	pthread_t threads[PRODUCERS];
	bool is_over = false;
	void *result;

	for (i = 0; i < PRODUCERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, produce, (void *)(uintptr_t)i), 0);
	while (!is_over || take(0) != WEIR_LOG_EMPTY) {
		if (is_over || take(0) == WEIR_LOG_TAKEN) {
			uint64_t who = got.sent >> 32, n = got.sent & UINT32_MAX;

			cr_assert_lt(who, PRODUCERS);
			cr_assert_geq(n, next[who], "each producer's records keep their order");
			next[who] = n + 1;
			taken++;
		}
		is_over = is_over || taken + __atomic_load_n(&ring->lost, __ATOMIC_RELAXED) == PRODUCERS * RECORDS;
	}
	for (i = 0; i < PRODUCERS; i++) {
		cr_assert_eq(pthread_join(threads[i], &result), 0);
		lost += (uint64_t)(uintptr_t)result;
	}
	cr_expect_eq(lost, ring->lost);
	cr_expect_eq(taken + lost, PRODUCERS * RECORDS);
}

Test(log_ring, killed_producer_is_skipped_after_a_while)
{
	uint64_t position;
	pid_t pid = fork();

	if (pid == 0) {
		(void)weir_log_reserve(ring, &position);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	cr_assert(put(2));
	cr_expect_eq(take(1000), WEIR_LOG_EMPTY);
	cr_expect_eq(take(1000 + WEIR_LOG_STUCK_MS - 1), WEIR_LOG_EMPTY);
	cr_expect_eq(take(1000 + WEIR_LOG_STUCK_MS), WEIR_LOG_SKIPPED);
	cr_assert_eq(take(1000 + WEIR_LOG_STUCK_MS), WEIR_LOG_TAKEN);
	cr_expect_eq(got.sent, 2);
}

Test(log_ring, producer_that_was_only_slow_cannot_publish_into_another_lap)
{
	uint64_t position, i;

	(void)weir_log_reserve(ring, &position);
	(void)take(0);
	cr_assert_eq(take(WEIR_LOG_STUCK_MS), WEIR_LOG_SKIPPED);
	weir_log_publish(ring, position);
	for (i = 0; i < 2 * WEIR_LOG_CELLS; i++) {
		cr_assert(put(i));
		cr_assert_eq(take(WEIR_LOG_STUCK_MS), WEIR_LOG_TAKEN);
		cr_assert_eq(got.sent, i);
	}
}

Test(log_ring, nonsense_in_the_memory_ends_in_an_answer)
{
	uint64_t seed = 88172645463325252ULL, position;
	size_t i, j;

	for (i = 0; i < 2000; i++) {
		uint64_t *words = (uint64_t *)ring;

		for (j = 0; j < 64; j++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			words[seed % (sizeof(*ring) / 8)] = j % 4 ? seed >> 40 : seed;
		}
		ring->tail = seed >> (seed & 63);
		ring->head = seed >> (seed >> 8 & 63);
		(void)weir_log_reserve(ring, &position);
		if (take(i * 1000) == WEIR_LOG_TAKEN)
			cr_assert_leq((size_t)got.method_bytes + got.target_bytes + got.host_bytes + got.referer_bytes +
					      got.agent_bytes,
				      sizeof(got.text));
	}
}
