// SPDX-License-Identifier: GPL-2.0
/* Keys that are noted for other hosts: userspace/cache/store_told.c. */
#include "cache/store_priv.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/macro.h"

static struct weir_store *store;
static int fd = -1;
static char got[8192];
static unsigned cut;

static void begin(void)
{
	cr_assert_eq(weir_store_create(WEIR_STORE_BYTES_MIN, 2, &fd), 0);
	cr_assert_eq(weir_store_open(fd, NULL, &store), 0);
	cr_assert_eq(weir_store_enter(store, 1), 0);
}

static void end(void)
{
	weir_store_free(store);
	close(fd);
}

TestSuite(told, .init = begin, .fini = end);

static void found(struct weir_str key, bool is_cut, void *arg)
{
	size_t n = strlen(got);

	(void)arg;
	cut += is_cut;
	snprintf(got + n, sizeof(got) - n, "%.*s ", (int)key.n, key.p);
}

static bool collect(void)
{
	got[0] = '\0';
	cut = 0;
	return weir_store_told(store, found, NULL);
}

static void tell(const char *key)
{
	weir_store_tell(store, (struct weir_str){ key, strlen(key) });
}

Test(told, keys_come_once_and_in_order)
{
	cr_assert(collect());
	cr_assert_str_eq(got, "");
	tell("a/1");
	tell("a/2");
	cr_assert(collect());
	cr_assert_str_eq(got, "a/1 a/2 ");
	tell("a/3");
	cr_assert(collect());
	cr_assert_str_eq(got, "a/3 ");
	cr_assert(collect());
	cr_assert_str_eq(got, "");
}

Test(told, as_many_as_there_are_rows_and_then_some_are_lost)
{
	char key[16];
	unsigned i;

	for (i = 0; i < TOLD_ROWS; i++) {
		snprintf(key, sizeof(key), "a/%u", i);
		tell(key);
	}
	cr_assert(collect());
	cr_assert(strstr(got, "a/31 "));
	for (i = 0; i < TOLD_ROWS + 1; i++)
		tell("b/");
	cr_assert(!collect());
	tell("c/");
	cr_assert(collect());
	cr_assert_str_eq(got, "c/ ");
}

Test(told, a_long_key_is_cut_and_says_so)
{
	char key[TOLD_TEXT + 2];

	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	tell(key);
	key[TOLD_TEXT] = '\0';
	tell(key);
	cr_assert(collect());
	cr_assert_eq(cut, 1);
	cr_assert_eq(strlen(got), 2 * (TOLD_TEXT + 1));
}

Test(told, what_a_worker_wrote_there_is_not_believed)
{
	struct region *r = store->r;

	tell("a/1");
	r->told[1].bytes = UINT32_MAX;
	cr_assert(!collect());
	tell("a/2");
	r->told[2].number = 77;
	cr_assert(!collect());
	r->told_count = UINT64_MAX - 1;
	cr_assert(!collect());
	r->told_count = 5;
	r->told_seen = 9;
	cr_assert(!collect());
	tell("a/3");
	cr_assert(collect());
	cr_assert_str_eq(got, "a/3 ");
}
