/* SPDX-License-Identifier: GPL-2.0 */
/* Log files: when a new one is due, and the renaming. The process that writes goes on with the old descriptor until it has
 * the new one, so no line is lost. */
#include "supervisor/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/macro.h"

#define DAY 86400

int64_t sup_log_period(unsigned period, int64_t now)
{
	time_t t = (time_t)now;
	struct tm tm;

	switch (period) {
	case WEIR_LOG_HOURLY:
		return now / 3600 * 3600;
	case WEIR_LOG_DAILY:
		return now / DAY * DAY;
	case WEIR_LOG_WEEKLY: /* 1970 began on a Thursday */
		return (now / DAY + 3) / 7 * 7 * DAY - 3 * DAY;
	case WEIR_LOG_MONTHLY:
		(void)gmtime_r(&t, &tm);
		return (now / DAY - (tm.tm_mday - 1)) * DAY;
	default:
		return 0;
	}
}

static int open_file(const char *path, int *ret_fd, struct stat *ret)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);

	if (fd < 0 || fstat(fd, ret) < 0)
		return -errno;
	if (!S_ISREG(ret->st_mode))
		return -EINVAL;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int sup_log_file_open(struct sup_log_file *f, unsigned period)
{
	struct stat sb;
	int fd = -1, r = open_file(f->path, &fd, &sb);

	if (r < 0)
		return r;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = fd;
	f->is_sent = false;
	f->period = sup_log_period(period, sb.st_size > 0 ? (int64_t)sb.st_mtime : weir_realtime_s());
	return 0;
}

static void shift(const char *path, unsigned keep)
{
	char from[4200], to[4200];
	unsigned i;

	for (i = keep; i > 0; i--) {
		snprintf(to, sizeof(to), "%.4096s.%u", path, i);
		if (i > 1)
			snprintf(from, sizeof(from), "%.4096s.%u", path, i - 1);
		else
			snprintf(from, sizeof(from), "%.4096s", path);
		(void)rename(from, to);
	}
}

int sup_log_file_rotate(struct sup_log_file *f, unsigned period, unsigned keep)
{
	if (keep > 0)
		shift(f->path, keep);
	else if (unlink(f->path) < 0 && errno != ENOENT)
		return -errno;
	return sup_log_file_open(f, period);
}

bool sup_log_file_is_due(const struct sup_log_file *f, unsigned period, uint64_t size_max, int64_t now)
{
	struct stat sb;

	if (fstat(f->fd, &sb) < 0 || sb.st_size == 0)
		return false;
	return (size_max > 0 && (uint64_t)sb.st_size >= size_max) || sup_log_period(period, now) > f->period;
}

bool sup_log_file_is_moved(const struct sup_log_file *f)
{
	struct stat ours, there;

	if (fstat(f->fd, &ours) < 0)
		return false;
	return stat(f->path, &there) < 0 || there.st_ino != ours.st_ino || there.st_dev != ours.st_dev;
}
