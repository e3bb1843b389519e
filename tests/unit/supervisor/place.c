// SPDX-License-Identifier: GPL-2.0
/* A changed configuration beside an instance that runs: what keeps its ids and slots, and what gets new ones. */
#include <criterion/criterion.h>

#include <errno.h>

#include "pools.h"

TestSuite(place, .init = pools_init, .fini = pools_fini, .timeout = 30);

static struct weir_conf_prefix prefixes[4];
static struct sup_place place;
static const char *why;

/* The two pools run: 1 in slots 0 and 1, 2 in slot 2. `changed` is loaded as the file would be. */
static struct weir_config changed;
static struct weir_conf_pool pools[4];
static struct weir_conf_listen two[2];

static void run_and_change(size_t pools_count, const char *const *names)
{
	size_t i;

	prefixes[0] = (struct weir_conf_prefix){ .text = (char *)"http://*:1/a/", .port = 1, .pool = 1 };
	prefixes[1] = (struct weir_conf_prefix){ .text = (char *)"http://*:1/b/", .port = 1, .pool = 2 };
	config.prefixes = prefixes;
	config.prefixes_count = 2;
	sup.listens_of[1] = sup.listens_of[2] = 1;
	sup.last_pool = 2;
	sup_state_commit(&sup);
	for (i = 0; i < SLOTS; i++)
		sup_state_note_slot(&sup, (uint32_t)i);
	two[0] = listens[0];
	two[1] = (struct weir_conf_listen){ .port = 2, .text = "127.0.0.1:2", .id = 1 };
	changed = config;
	changed.listens = two;
	changed.pools = pools;
	changed.pools_count = pools_count;
	for (i = 0; i < pools_count; i++) {
		pools[i] = strcmp(names[i], "b") ? confs[0] : confs[1];
		strcpy(pools[i].name, names[i]);
		pools[i].id = (uint16_t)(i + 1);
	}
}

static int find(void)
{
	return sup_place_find(&changed, sup.state, true, &place, &why);
}

Test(place, without_an_instance_numbers_follow_the_file)
{
	run_and_change(2, (const char *const[]){ "a", "b" });
	cr_assert_eq(sup_place_find(&changed, NULL, true, &place, &why), 0);
	cr_expect_eq(place.pool_ids[0], 1);
	cr_expect_eq(place.pool_ids[1], 2);
	cr_expect_eq(place.first_slots[1], 2);
	cr_expect(place.is_new_endpoint[0]);
	cr_expect_not(place.is_kept[0]);
}

Test(place, same_pools_are_kept_in_any_order)
{
	run_and_change(2, (const char *const[]){ "b", "a" });
	prefixes[0].pool = 2;
	prefixes[1].pool = 1;
	cr_assert_eq(find(), 0);
	cr_expect(place.is_kept[0] && place.is_kept[1]);
	cr_expect_eq(place.pool_ids[0], 2);
	cr_expect_eq(place.first_slots[0], 2);
	cr_expect_eq(place.pool_ids[1], 1);
	cr_expect_not(place.is_new_endpoint[0]);
	sup_place_apply(&changed, &place);
	cr_expect_eq(prefixes[0].pool, 1);
	cr_expect_eq(prefixes[1].pool, 2);
	cr_expect_eq(pools[0].id, 2);
}

Test(place, changed_and_new_pools_get_numbers_of_their_own)
{
	run_and_change(3, (const char *const[]){ "a", "b", "c" });
	pools[0].ping_interval_ms++;
	prefixes[2] = (struct weir_conf_prefix){ .text = (char *)"http://*:2/", .port = 2, .pool = 3 };
	changed.prefixes_count = 3;
	changed.listens_count = 2;
	cr_assert_eq(find(), 0);
	cr_expect_not(place.is_kept[0]);
	cr_expect_eq(place.pool_ids[0], 3, "not that of the pool that drains");
	cr_expect_eq(place.first_slots[0], 3);
	cr_expect(place.is_kept[1]);
	cr_expect_eq(place.first_slots[1], 2);
	cr_expect_eq(place.pool_ids[2], 4);
	cr_expect_eq(place.first_slots[2], 5);
	cr_expect_eq(place.listens[0], 1);
	cr_expect_eq(place.listens[2], 2);
	cr_expect(place.is_new_endpoint[1]);
	cr_expect_eq(place.endpoint_ids[1], 1);
}

Test(place, changed_prefix_changes_its_pool_alone)
{
	run_and_change(2, (const char *const[]){ "a", "b" });
	prefixes[1].text = (char *)"http://*:1/other/";
	cr_assert_eq(find(), 0);
	cr_expect(place.is_kept[0]);
	cr_expect_not(place.is_kept[1]);
}

Test(place, removed_endpoint_leaves_its_id_alone)
{
	run_and_change(2, (const char *const[]){ "a", "b" });
	changed.listens = &two[1];
	cr_assert_eq(find(), 0);
	cr_expect_eq(place.endpoint_ids[0], 1, "flows and cache keys know the other by 0");
	cr_expect_not(place.is_kept[0]);
}

Test(place, pool_without_a_living_keeper_is_none_to_keep)
{
	run_and_change(2, (const char *const[]){ "a", "b" });
	kill(sup.slots[2].keeper, SIGKILL);
	wait_ended(2);
	cr_assert_eq(find(), 0);
	cr_expect(place.is_kept[0]);
	cr_expect_not(place.is_kept[1]);
}

Test(place, too_many_slots_at_a_time_are_refused)
{
	run_and_change(2, (const char *const[]){ "a", "b" });
	pools[0].slots = WEIR_SLOTS_MAX - 2;
	cr_expect_eq(find(), -ENOSPC);
	cr_expect_str_eq(why, "pool slots");
}

Test(place, ids_go_round)
{
	run_and_change(3, (const char *const[]){ "a", "b", "c" });
	sup.state->last_pool = WEIR_POOLS_MAX - 1;
	cr_assert_eq(find(), 0);
	cr_expect_eq(place.pool_ids[2], 3);
}

Test(place, what_is_not_the_pools_own_decides_first)
{
	run_and_change(2, (const char *const[]){ "a", "b" });
	cr_expect(sup_place_may_keep(&changed, sup.state));
	changed.attach = WEIR_ATTACH_NONE;
	cr_expect_not(sup_place_may_keep(&changed, sup.state));
	changed.attach = WEIR_ATTACH_GENERIC;
	cr_expect_not(sup_place_may_keep(&changed, sup.state), "workers without a kernel side");
	sup.state->is_attached = 1;
	cr_expect(sup_place_may_keep(&changed, sup.state));
}
