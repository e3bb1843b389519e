/* SPDX-License-Identifier: GPL-2.0 */
/* One instance of a name: two of them would clean up each other's pins. Each name has a byte of one lock file, which
 * is locked as long as the supervisor lives, however it dies; the control socket alone would not tell the same
 * name in two directories apart. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "weir/key.h"

#include "common/log.h"

#define LOCK_PATH "/run/weir.lock" /* of all instances; empty, and never removed */

static int lock_name(const char *name, int *ret_fd)
{
	static const __u64 key[2] = { 0, 0 }; /* every instance must find the same byte */
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	_cleanup_close_ int fd = -1;

	lock.l_start = (off_t)(weir_host_digest(key, name, (__u32)strlen(name)) >> 2);
	fd = open(LOCK_PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int open_control(struct sup *s)
{
	const char *path = s->config->control;
	int r = weir_ipc_server_new(path, sup_control, s, &s->ipc);

	if (r == -EADDRINUSE)
		weir_err(0,
			 "an instance is running with the control socket %s: end it with `weir stop --control %s`, or "
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
	r = lock_name(s->config->name, &s->lock_fd);
	if (r == -EAGAIN || r == -EACCES) {
		weir_err(0,
			 "an instance named '%s' is running with another control socket; the name is the last part of "
			 "--control: choose another one",
			 s->config->name);
		return -EADDRINUSE;
	}
	if (r < 0)
		return weir_err(r, "cannot lock " LOCK_PATH);
	return open_control(s);
}

void sup_unlock(struct sup *s)
{
	s->ipc = weir_ipc_server_free(s->ipc);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	s->lock_fd = -1;
}
