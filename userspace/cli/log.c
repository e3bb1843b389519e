/* SPDX-License-Identifier: GPL-2.0 */
/* `weir log`: the end of the access log, or what comes; a new file; what of the kernel side is logged. The files are read
 * by this process: whoever may not, sees why. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "ipc/ipc.h"

#define LINES_DEFAULT 10
#define BLOCK 65536
#define LOOK_NS 100000000 /* between two looks at a file that is followed */

/* Where the last `lines` lines begin. */
static off_t find_end(int fd, off_t size, long lines)
{
	char block[BLOCK];
	off_t at = size;

	while (at > 0) {
		off_t from = at > BLOCK ? at - BLOCK : 0;
		ssize_t n = pread(fd, block, (size_t)(at - from), from);

		if (n <= 0)
			return from;
		while (n-- > 0)
			if (block[n] == '\n' && from + n + 1 < size && lines-- == 1)
				return from + n + 1;
		at = from;
	}
	return 0;
}

/* Prints what is there from *at on. */
static int copy(int fd, off_t *at)
{
	char block[BLOCK];
	ssize_t n;

	while ((n = pread(fd, block, sizeof(block), *at)) > 0) {
		*at += n;
		if (fwrite(block, 1, (size_t)n, stdout) != (size_t)n)
			return -EPIPE;
	}
	return fflush(stdout) ? -EPIPE : 0;
}

/* Whether the path is another file by now; then *fd is that, from its start. What the old one still got is printed first. */
static bool follow(const char *path, int *fd, off_t *at)
{
	struct stat ours, there;
	int next;

	if (fstat(*fd, &ours) < 0 || stat(path, &there) < 0 ||
	    (ours.st_ino == there.st_ino && ours.st_dev == there.st_dev))
		return false;
	next = open(path, O_RDONLY | O_CLOEXEC);
	if (next < 0)
		return false;
	(void)copy(*fd, at);
	close(*fd);
	*fd = next;
	*at = 0;
	return true;
}

enum cmd_exit cmd_log(const struct cmd_args *args)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s}", "command", "log_show"));
	_cleanup_close_ int fd = -1;
	const char *path;
	struct stat sb;
	off_t at;

	if (!reply)
		return CMD_FAILED;
	path = cmd_get(reply, "access_log");
	if (!*path) {
		weir_err(0, "there is no access log: set access_log in the configuration");
		return CMD_FAILED;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &sb) < 0) {
		weir_err(-errno, "cannot read '%s'", path);
		return CMD_FAILED;
	}
	at = find_end(fd, sb.st_size, args->limit ? args->limit : LINES_DEFAULT);
	while (copy(fd, &at) == 0 && args->is_following)
		if (!follow(path, &fd, &at))
			(void)nanosleep(&look, NULL);
	return CMD_OK;
}

enum cmd_exit cmd_log_rotate(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s}", "command", "log_rotate"));

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	printf("new log files have begun\n");
	return CMD_OK;
}

enum cmd_exit cmd_log_set(const struct cmd_args *args)
{
	_cleanup_json_ json_t *reply = cmd_call(args, json_pack("{s:s, s:s, s:s}", "command", "log_set", "name",
								args->words[0], "value", args->words[1]));

	if (!reply)
		return CMD_FAILED;
	if (args->is_json)
		return cmd_print_json(reply);
	printf("%s is %s now, until the next reload; the configuration file keeps it\n", args->words[0], args->words[1]);
	return CMD_OK;
}
