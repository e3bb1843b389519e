/* SPDX-License-Identifier: GPL-2.0 */
/* One instance of a name: two of them would clean up each other's pins. The name's lock file is locked as long as
 * the supervisor lives, however it dies; the control socket alone would not tell two directories apart. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/log.h"

/* Locks the file that has the path at that moment: a dying instance may have just removed the one we opened. */
static int lock_file(const char *path, int *ret_fd)
{
	for (;;) {
		_cleanup_close_ int fd = -1;
		struct stat ours, there;

		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &ours) < 0)
			return -errno;
		if (stat(path, &there) == 0 && there.st_ino == ours.st_ino && there.st_dev == ours.st_dev) {
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
	}
}

static int open_control(struct sup *s)
{
	const char *path = s->config->control;
	int r = weir_ipc_server_new(path, sup_control, s, &s->ipc);

	if (r == -EADDRINUSE)
		weir_err(0, "an instance is running with the control socket %s: end it with `weir stop --control %s`, or "
			    "choose another one with --control",
			 path, path);
	else if (r == -EEXIST)
		weir_err(0, "the control path %s is a file, not a socket: choose another one with --control", path);
	else if (r < 0)
		weir_err(r, "cannot open the control socket %s", path);
	return r;
}

int sup_lock(struct sup *s)
{
	int r;

	if (weir_ipc_is_served(s->config->control))
		return open_control(s);
	if (asprintf(&s->lock_path, "/run/weir-%s.lock", s->config->name) < 0)
		return -ENOMEM;
	r = lock_file(s->lock_path, &s->lock_fd);
	if (r == -EWOULDBLOCK) {
		weir_err(0, "an instance named '%s' is running with another control socket; the name is the last part of "
			    "--control: choose another one",
			 s->config->name);
		return -EADDRINUSE;
	}
	if (r < 0)
		return weir_err(r, "cannot lock %s", s->lock_path);
	return open_control(s);
}

void sup_unlock(struct sup *s)
{
	s->ipc = weir_ipc_server_free(s->ipc);
	if (s->lock_fd >= 0) {
		(void)unlink(s->lock_path);
		close(s->lock_fd);
		s->lock_fd = -1;
	}
	free(s->lock_path);
	s->lock_path = NULL;
}
