// SPDX-License-Identifier: GPL-2.0
/* The table that processes share: whoever asks finds the old one or the new one, whole, while new ones are posted. */
#include "route/route.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct weir_addr local = { { 0, 0, 0, 0 } };

static struct weir_route_table *table_of(const char *const *texts, size_t count, uint16_t pool)
{
	struct weir_conf_prefix *prefixes = calloc(count, sizeof(*prefixes));
	struct weir_config c = { .prefixes = prefixes, .prefixes_count = count };
	struct weir_route_table *t = NULL;
	const char *why;
	size_t i;

	for (i = 0; i < count; i++) {
		cr_assert_eq(weir_conf_prefix_parse(texts[i], &prefixes[i], &why), 0, "%s", texts[i]);
		prefixes[i].id = (uint32_t)i;
		prefixes[i].pool = pool;
	}
	cr_assert_eq(weir_route_build(&c, &t), 0);
	for (i = 0; i < count; i++)
		weir_conf_prefix_fini(&prefixes[i]);
	free(prefixes);
	return t;
}

static bool ask(const struct weir_route_board *b, const char *host, const char *path, struct weir_route_found *ret)
{
	return weir_route_ask(b, 80, &local, host, strlen(host), path, strlen(path), ret);
}

static const char *const one[] = { "http://*:80/a/" };
static const char *const two[] = { "http://*:80/b/", "http://+:80/c/" };

Test(board, last_post_holds)
{
	struct weir_route_table *first = table_of(one, 1, 1), *second = table_of(two, 2, 2);
	struct weir_route_board *b;
	struct weir_route_found f;
	int i;

	cr_assert_eq(weir_route_board_new(&b), 0);
	cr_expect_not(ask(b, "h", "/a", &f), "nothing was posted");
	for (i = 0; i < 5; i++) {
		cr_assert_eq(weir_route_post(b, first), 0);
		cr_assert(ask(b, "h", "/a/x", &f));
		cr_expect_eq(f.pool, 1);
		cr_expect_str_eq(f.path, "/a/");
		cr_expect_not(ask(b, "h", "/b/x", &f));
		cr_assert_eq(weir_route_post(b, second), 0);
		cr_expect_not(ask(b, "h", "/a/x", &f));
		cr_assert(ask(b, "h", "/c", &f));
		cr_expect_eq(f.id, 1);
	}
	weir_route_board_close(b, b);
	weir_route_free(first);
	weir_route_free(second);
}

/* Both tables have the prefix, each with its own pool and a path that says which. */
static const char *const mixed[2][3] = {
	{ "http://*:80/", "http://h.example:80/one/one/one/", "http://*:80/both/one/" },
	{ "http://+:80/both/two-two-two/", "http://*:80/", "http://h.example:80/two/" },
};
static struct weir_route_board *shared;
static bool is_over;

static void *read_all(void *count)
{
	struct weir_route_found f;

	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		cr_assert(ask(shared, "x", "/anything", &f), "both tables have it");
		cr_assert(f.pool == 1 || f.pool == 2);
		cr_assert_str_eq(f.path, "/");
		if (ask(shared, "x", "/both/one/x", &f))
			cr_assert(strcmp(f.path, f.pool == 1 ? "/both/one/" : "/") == 0, "%s of %u", f.path, f.pool);
		++*(size_t *)count;
	}
	return NULL;
}

Test(board, readers_never_see_half_a_table, .timeout = 30)
{
	struct weir_route_table *tables[] = { table_of(mixed[0], 3, 1), table_of(mixed[1], 3, 2) };
	size_t counts[2] = { 0 };
	pthread_t threads[2];
	unsigned i;

	cr_assert_eq(weir_route_board_new(&shared), 0);
	cr_assert_eq(weir_route_post(shared, tables[0]), 0);
	for (i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, read_all, &counts[i]), 0);
	for (i = 0; i < 100000 || !counts[0] || !counts[1]; i++)
		cr_assert_eq(weir_route_post(shared, tables[i & 1]), 0);
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
	cr_expect_gt(counts[0] + counts[1], 100);
}

Test(board, file_goes_on_and_is_not_writable_for_readers)
{
	struct weir_route_table *first = table_of(one, 1, 1);
	const struct weir_route_board *reader, *again;
	struct weir_route_board *writer, *second;
	struct weir_route_found f;
	char path[64];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "/tmp/weir_board_%d", getpid());
	cr_assert_eq(weir_route_board_open(path, false, &writer, &reader), -ENOENT);
	cr_assert_eq(weir_route_board_open(path, true, &writer, &reader), 0);
	cr_assert_eq(weir_route_post(writer, first), 0);
	cr_expect(ask(reader, "h", "/a", &f));
	pid = fork();
	if (pid == 0)
		_exit(mprotect((void *)(uintptr_t)reader, 4096, PROT_READ | PROT_WRITE) < 0 && ask(reader, "h", "/a", &f) ?
			      42 :
			      1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	/* the next supervisor */
	cr_assert_eq(weir_route_board_open(path, false, &second, &again), 0);
	cr_expect(ask(again, "h", "/a", &f));
	weir_route_free(first);
	first = table_of(two, 2, 7);
	cr_assert_eq(weir_route_post(second, first), 0);
	cr_expect(ask(reader, "h", "/c", &f), "those who had it before see the new table");
	cr_expect_eq(f.pool, 7);
	cr_assert_eq(chmod(path, 0644), 0);
	weir_route_board_close(second, again);
	cr_expect_eq(weir_route_board_open(path, false, &second, &again), -EBADMSG);
	weir_route_board_close(writer, reader);
	cr_assert_eq(unlink(path), 0);
	weir_route_free(first);
}
