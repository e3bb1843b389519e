// SPDX-License-Identifier: GPL-2.0
/* When a new log file is due, and which file has which name afterwards. The clock is the test's. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/log.h"

#define MONDAY 1764547200 /* 2025-12-01 00:00:00 UTC, a Monday */
#define DAY 86400

static char folder[] = "/tmp/weir_rotate_XXXXXX", path[64];
static struct sup_log_file file = { .path = path, .fd = -1 };

static void init(void)
{
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
	cr_assert_eq(sup_log_file_open(&file, WEIR_LOG_PERIOD_OFF), 0);
}

static void fini(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -r %s", folder);
	cr_assert_eq(system(command), 0);
}

TestSuite(rotate, .init = init, .fini = fini, .timeout = 30);

static void put(const char *text)
{
	cr_assert_eq(write(file.fd, text, strlen(text)), (ssize_t)strlen(text));
}

static bool holds(const char *suffix, const char *text)
{
	char name[80], got[80] = "";
	int fd;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	fd = open(name, O_RDONLY);
	if (fd < 0)
		return !text;
	cr_assert_geq(read(fd, got, sizeof(got) - 1), 0);
	close(fd);
	return text && !strcmp(got, text);
}

Test(rotate, periods_begin_in_utc)
{
	int64_t wednesday = MONDAY + 2 * DAY + 3 * 3600 + 61;

	cr_expect_eq(sup_log_period(WEIR_LOG_HOURLY, wednesday), MONDAY + 2 * DAY + 3 * 3600);
	cr_expect_eq(sup_log_period(WEIR_LOG_DAILY, wednesday), MONDAY + 2 * DAY);
	cr_expect_eq(sup_log_period(WEIR_LOG_WEEKLY, wednesday), MONDAY);
	cr_expect_eq(sup_log_period(WEIR_LOG_WEEKLY, MONDAY), MONDAY);
	cr_expect_eq(sup_log_period(WEIR_LOG_WEEKLY, MONDAY - 1), MONDAY - 7 * DAY);
	cr_expect_eq(sup_log_period(WEIR_LOG_MONTHLY, wednesday), MONDAY);
	cr_expect_eq(sup_log_period(WEIR_LOG_MONTHLY, MONDAY - 1), MONDAY - 30 * DAY);
	cr_expect_eq(sup_log_period(WEIR_LOG_PERIOD_OFF, wednesday), 0);
}

Test(rotate, time_and_size_make_it_due)
{
	file.period = sup_log_period(WEIR_LOG_DAILY, MONDAY);
	cr_expect_not(sup_log_file_is_due(&file, WEIR_LOG_DAILY, 0, MONDAY + DAY), "an empty file is new");
	put("0123456789");
	cr_expect_not(sup_log_file_is_due(&file, WEIR_LOG_DAILY, 0, MONDAY + DAY - 1));
	cr_expect(sup_log_file_is_due(&file, WEIR_LOG_DAILY, 0, MONDAY + DAY));
	cr_expect_not(sup_log_file_is_due(&file, WEIR_LOG_DAILY, 0, MONDAY - DAY), "a clock that is set back");
	cr_expect_not(sup_log_file_is_due(&file, WEIR_LOG_PERIOD_OFF, 11, MONDAY + DAY));
	cr_expect(sup_log_file_is_due(&file, WEIR_LOG_PERIOD_OFF, 10, MONDAY));
}

Test(rotate, so_many_old_files_are_kept)
{
	static const char *const texts[] = { "a", "b", "c", "d" };
	size_t i;

	for (i = 0; i < 4; i++) {
		put(texts[i]);
		cr_assert_eq(sup_log_file_rotate(&file, WEIR_LOG_PERIOD_OFF, 2), 0);
	}
	cr_expect(holds("", "") && holds(".1", "d") && holds(".2", "c") && holds(".3", NULL));
}

Test(rotate, none_are_kept)
{
	put("a");
	cr_assert_eq(sup_log_file_rotate(&file, WEIR_LOG_PERIOD_OFF, 0), 0);
	cr_expect(holds("", "") && holds(".1", NULL));
}

Test(rotate, file_that_was_renamed_is_noticed)
{
	char other[80];

	snprintf(other, sizeof(other), "%s.other", path);
	cr_expect_not(sup_log_file_is_moved(&file));
	cr_assert_eq(rename(path, other), 0);
	cr_expect(sup_log_file_is_moved(&file));
	cr_assert_eq(sup_log_file_open(&file, WEIR_LOG_PERIOD_OFF), 0);
	cr_expect_not(sup_log_file_is_moved(&file));
	cr_expect_not(file.is_sent);
}

Test(rotate, only_a_file_is_written)
{
	char pipe[80], link[80];
	struct sup_log_file other = { .path = pipe, .fd = -1 };

	snprintf(pipe, sizeof(pipe), "%s.pipe", path);
	snprintf(link, sizeof(link), "%s.link", path);
	cr_assert_eq(mkfifo(pipe, 0600), 0);
	cr_expect_lt(sup_log_file_open(&other, 0), 0);
	cr_assert_eq(symlink(path, link), 0);
	other.path = link;
	cr_expect_eq(sup_log_file_open(&other, 0), -ELOOP);
	cr_expect_eq(other.fd, -1);
}
