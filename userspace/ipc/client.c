/* SPDX-License-Identifier: GPL-2.0 */
/* The command line's end of the control protocol: one request, one reply, with a time limit on everything. */
#include "ipc/ipc.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/clock.h"

static int connect_to(const char *path, int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

bool weir_ipc_is_served(const char *path)
{
	_cleanup_close_ int fd = -1;

	return connect_to(path, &fd) == 0;
}

static int wait_for(int fd, short events, uint64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now = weir_now_ms();
	int n;

	if (now >= until_ms)
		return -ETIMEDOUT;
	n = poll(&p, 1, (int)(until_ms - now));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int send_all(int fd, const char *text, size_t bytes, uint64_t until_ms)
{
	while (bytes) {
		ssize_t n = send(fd, text, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
		int r = 0;

		if (n >= 0) {
			text += n;
			bytes -= (size_t)n;
		} else if (errno == EAGAIN || errno == EINTR) {
			r = wait_for(fd, POLLOUT, until_ms);
		} else {
			r = -errno;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* Reads up to and without the line end. */
static int receive_line(int fd, uint64_t until_ms, char **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t filled = 0, room = 0;

	for (;;) {
		ssize_t n;
		int r;

		if (filled + 1 >= room) {
			char *more;

			room = room ? room * 2 : 65536;
			more = room > WEIR_IPC_REPLY_MAX ? NULL : realloc(text, room);
			if (!more)
				return -ENOMEM;
			text = more;
		}
		r = wait_for(fd, POLLIN, until_ms);
		if (r < 0)
			return r;
		n = recv(fd, text + filled, room - filled - 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n ? -errno : -EBADMSG;
		filled += (size_t)n;
		if (text[filled - 1] == '\n') {
			text[filled - 1] = '\0';
			*ret = TAKE_PTR(text);
			return 0;
		}
	}
}

int weir_ipc_call(const char *path, const json_t *request, unsigned limit_ms, json_t **ret_reply)
{
	uint64_t until_ms = weir_now_ms() + limit_ms;
	_cleanup_free_ char *line = NULL, *text = NULL;
	_cleanup_close_ int fd = -1;
	json_t *reply;
	size_t bytes;
	int r;

	line = json_dumps(request, JSON_COMPACT);
	if (!line)
		return -ENOMEM;
	bytes = strlen(line);
	line[bytes++] = '\n'; /* in place of the zero: the length goes with it */
	r = connect_to(path, &fd);
	if (r == 0)
		r = send_all(fd, line, bytes, until_ms);
	if (r == 0)
		r = receive_line(fd, until_ms, &text);
	if (r < 0)
		return r;
	reply = json_loads(text, 0, NULL);
	if (!json_is_object(reply)) {
		json_decref(reply);
		return -EBADMSG;
	}
	*ret_reply = reply;
	return 0;
}
