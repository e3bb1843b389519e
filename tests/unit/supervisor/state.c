// SPDX-License-Identifier: GPL-2.0
/* The file that the next supervisor reads: what is in it, and when it is believed. */
#include <criterion/criterion.h>

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "pools.h"

TestSuite(state, .init = pools_init, .fini = pools_fini, .timeout = 30);

static char path[96];

static int map(void)
{
	size_t bytes;
	void *p;
	int r = sup_state_map(control, &p, &bytes);

	if (r == 0)
		(void)munmap(p, bytes);
	return r;
}

static void set_path(void)
{
	snprintf(path, sizeof(path), "%s.state", control);
}

Test(state, keepers_are_found_by_number_and_start)
{
	struct sup_state_slot *st = &sup.state->slots[1];

	sup_state_note_slot(&sup, 1);
	cr_expect_eq(st->keeper, sup.slots[1].keeper);
	cr_expect_str_eq(st->pool, "a");
	cr_expect(sup_state_is_alive(st));
	st->start_ticks++;
	cr_expect_not(sup_state_is_alive(st), "another process with that number");
	st->start_ticks--;
	kill(st->keeper, SIGKILL);
	wait_ended(1);
	cr_expect_not(sup_state_is_alive(st));
	cr_expect_eq(st->keeper, 0, "noted when it ended");
}

Test(state, file_is_read_only_when_it_is_ours)
{
	set_path();
	cr_expect_eq(map(), 0);
	cr_assert_eq(chmod(path, 0644), 0);
	cr_expect_eq(map(), -EBADMSG, "others could have written it");
	cr_assert_eq(chmod(path, 0600), 0);
	sup.state->abi++;
	cr_expect_eq(map(), -EBADMSG);
	sup.state->abi--;
	cr_assert_eq(truncate(path, (off_t)sup_state_bytes() - 1), 0);
	cr_expect_eq(map(), -EBADMSG);
	cr_assert_eq(truncate(path, (off_t)sup_state_bytes()), 0);
	cr_assert_eq(unlink(path), 0);
	cr_expect_eq(map(), -ENOENT);
}

Test(state, digest_follows_the_pool)
{
	struct weir_conf_prefix prefixes[] = {
		{ .text = (char *)"http://*:1/b/", .pool = 2 },
		{ .text = (char *)"http://*:1/c/", .pool = 2 },
		{ .text = (char *)"http://*:1/a/", .pool = 1 },
	};
	struct weir_conf_prefix first = prefixes[0];
	uint64_t before;

	config.prefixes = prefixes;
	config.prefixes_count = 3;
	before = sup_state_digest(&config, &confs[1], 1);
	cr_expect_eq(sup_state_digest(&config, &confs[1], 1), before);
	confs[1].ping_interval_ms++;
	cr_expect_neq(sup_state_digest(&config, &confs[1], 1), before);
	confs[1].ping_interval_ms--;
	confs[1].lines[0] = 7;
	confs[0].ping_interval_ms++;
	prefixes[2].text = (char *)"http://*:1/x/";
	cr_expect_eq(sup_state_digest(&config, &confs[1], 1), before, "lines and other pools do not matter");
	prefixes[0] = prefixes[1];
	prefixes[1] = first;
	cr_expect_eq(sup_state_digest(&config, &confs[1], 1), before, "nor does the order");
	prefixes[1].text = (char *)"http://*:1/d/";
	cr_expect_neq(sup_state_digest(&config, &confs[1], 1), before);
	prefixes[1] = first;
	cr_expect_neq(sup_state_digest(&config, &confs[1], 0), before, "it listens elsewhere");
	strcpy(listens[0].text, "127.0.0.1:2");
	cr_expect_neq(sup_state_digest(&config, &confs[1], 1), before);
}

Test(state, child_sees_the_metrics_only)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		weir_metrics_add(&sup.metrics[0], requests, 1);
		/* write(2) instead of a crash: EFAULT says that nothing is mapped there */
		_exit(write(sup.wake_fd, sup.state, 8) < 0 && errno == EFAULT ? 42 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	cr_expect_eq(weir_metrics_get(&sup.metrics[0], requests), 1);
}
