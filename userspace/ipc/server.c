/* SPDX-License-Identifier: GPL-2.0 */
/* The supervisor's end of the control protocol. Clients hang on an epoll set of the server's own,
 * which the owner polls as one descriptor. A client has at most one reply under way: its next line
 * is looked at when the reply is out, so a client that does not read costs one reply and nothing
 * else. */
#include "ipc/ipc.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/clock.h"

struct client {
	int fd;
	uint64_t seen_ms;
	char *reply; /* NULL: none under way */
	size_t reply_bytes;
	size_t sent;
	bool is_last;		    /* close when the reply is out */
	const char *const *allowed; /* commands; NULL: every one */
	struct weir_ipc_lines lines;
};

struct weir_ipc_server {
	/* fixed after init */
	char *path;
	weir_ipc_handler handler;
	void *arg;
	int listen_fd;
	int epoll_fd;

	/* loop thread only */
	struct client *clients[WEIR_IPC_CLIENTS_MAX];
};

static int watch(const struct weir_ipc_server *s, int op, int fd, uint32_t events, void *ptr)
{
	struct epoll_event e = { .events = events, .data.ptr = ptr };

	return epoll_ctl(s->epoll_fd, op, fd, &e) < 0 ? -errno : 0;
}

static size_t count_clients(const struct weir_ipc_server *s)
{
	size_t i, n = 0;

	for (i = 0; i < WEIR_IPC_CLIENTS_MAX; i++)
		n += s->clients[i] != NULL;
	return n;
}

static void drop(struct weir_ipc_server *s, struct client *c)
{
	size_t i;

	if (count_clients(s) == WEIR_IPC_CLIENTS_MAX)
		(void)watch(s, EPOLL_CTL_MOD, s->listen_fd, EPOLLIN, NULL);
	for (i = 0; i < WEIR_IPC_CLIENTS_MAX; i++)
		if (s->clients[i] == c)
			s->clients[i] = NULL;
	/* A child that was forked a moment ago may have the socket open still: closing ours would
	 * not end its events. */
	(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	close(c->fd);
	free(c->reply);
	free(c);
}

/* False: the client is gone. */
static bool send_reply(struct weir_ipc_server *s, struct client *c)
{
	while (c->reply && c->sent < c->reply_bytes) {
		ssize_t n = send(c->fd, c->reply + c->sent, c->reply_bytes - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return watch(s, EPOLL_CTL_MOD, c->fd, EPOLLOUT, c) == 0;
		if (n < 0)
			return false;
		c->sent += (size_t)n;
		c->seen_ms = weir_now_ms();
	}
	free(c->reply);
	c->reply = NULL;
	return !c->is_last && watch(s, EPOLL_CTL_MOD, c->fd, EPOLLIN, c) == 0;
}

/* False: the client is gone. Takes `reply`, which may be NULL. */
static bool start_reply(struct weir_ipc_server *s, struct client *c, json_t *reply)
{
	size_t bytes;

	c->reply = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
	json_decref(reply);
	if (!c->reply)
		return false;
	bytes = strlen(c->reply);
	if (bytes >= WEIR_IPC_REPLY_MAX)
		return false;
	c->reply[bytes] = '\n'; /* in place of the zero: the length goes with it */
	c->reply_bytes = bytes + 1;
	c->sent = 0;
	return send_reply(s, c);
}

static bool is_allowed(const struct client *c, const char *command)
{
	const char *const *name;

	for (name = c->allowed; name && *name; name++)
		if (!strcmp(*name, command))
			return true;
	return !c->allowed;
}

static bool answer(struct weir_ipc_server *s, struct client *c, const char *line)
{
	_cleanup_json_ json_t *request = NULL;
	const char *why, *command;

	if (weir_ipc_request_parse(line, &request, &why) < 0)
		return start_reply(s, c, weir_ipc_error("bad request: %s", why));
	command = json_string_value(json_object_get(request, "command"));
	if (!is_allowed(c, command))
		return start_reply(s, c, weir_ipc_error("the command '%s' is not for this client", command));
	return start_reply(s, c, s->handler(command, request, s->arg));
}

/* Answers whole lines until one reply does not go out at once. False: the client is gone. */
static bool answer_lines(struct weir_ipc_server *s, struct client *c)
{
	const char *line;

	while (!c->reply && (line = weir_ipc_lines_next(&c->lines)))
		if (!answer(s, c, line))
			return false;
	if (!c->reply && weir_ipc_lines_is_stuck(&c->lines)) {
		c->is_last = true;
		return start_reply(s, c, weir_ipc_error("bad request: longer than %d bytes", WEIR_IPC_REQUEST_MAX));
	}
	return true;
}

static bool receive(struct weir_ipc_server *s, struct client *c)
{
	size_t room;
	char *at = weir_ipc_lines_space(&c->lines, &room);
	ssize_t n;

	n = recv(c->fd, at, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	c->seen_ms = weir_now_ms();
	weir_ipc_lines_fill(&c->lines, (size_t)n);
	return answer_lines(s, c);
}

static bool is_own_user(int fd)
{
	struct ucred cred;
	socklen_t bytes = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &bytes) == 0 && cred.uid == geteuid();
}

/* NULL: there is no room. */
static struct client *add_client(struct weir_ipc_server *s, int fd)
{
	struct client *c;
	size_t i;

	for (i = 0; i < WEIR_IPC_CLIENTS_MAX && s->clients[i]; i++)
		;
	c = i < WEIR_IPC_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c)
		return NULL;
	c->fd = fd;
	c->seen_ms = weir_now_ms();
	if (watch(s, EPOLL_CTL_ADD, fd, EPOLLIN, c) < 0) {
		free(c);
		return NULL;
	}
	s->clients[i] = c;
	if (count_clients(s) == WEIR_IPC_CLIENTS_MAX)
		(void)watch(s, EPOLL_CTL_MOD, s->listen_fd, 0, NULL);
	return c;
}

static void accept_client(struct weir_ipc_server *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0 && (!is_own_user(fd) || !add_client(s, fd)))
		close(fd);
}

int weir_ipc_server_adopt(struct weir_ipc_server *s, int fd, const char *const *allowed)
{
	struct client *c = add_client(s, fd);

	if (!c)
		return -EBUSY;
	c->allowed = allowed;
	return 0;
}

int weir_ipc_server_fd(const struct weir_ipc_server *s)
{
	return s->epoll_fd;
}

void weir_ipc_server_dispatch(struct weir_ipc_server *s)
{
	struct epoll_event e; /* one at a time: an event of a dropped client must not be in hand */

	while (epoll_wait(s->epoll_fd, &e, 1, 0) == 1) {
		struct client *c = e.data.ptr;
		bool is_alive = true;

		if (!c) {
			accept_client(s);
			continue;
		}
		if (c->reply)
			is_alive = send_reply(s, c) && (c->reply || answer_lines(s, c));
		else
			is_alive = receive(s, c);
		if (!is_alive)
			drop(s, c);
	}
}

void weir_ipc_server_expire(struct weir_ipc_server *s)
{
	uint64_t now = weir_now_ms();
	size_t i;

	for (i = 0; i < WEIR_IPC_CLIENTS_MAX; i++)
		if (s->clients[i] && !s->clients[i]->allowed && now - s->clients[i]->seen_ms > WEIR_IPC_IDLE_MS)
			drop(s, s->clients[i]);
}

static bool is_sending(const struct weir_ipc_server *s)
{
	size_t i;

	for (i = 0; i < WEIR_IPC_CLIENTS_MAX; i++)
		if (s->clients[i] && s->clients[i]->reply)
			return true;
	return false;
}

void weir_ipc_server_flush(struct weir_ipc_server *s, unsigned limit_ms)
{
	uint64_t until_ms = weir_now_ms() + limit_ms;

	while (is_sending(s) && weir_now_ms() < until_ms) {
		struct pollfd p = { .fd = s->epoll_fd, .events = POLLIN };

		(void)poll(&p, 1, 50);
		weir_ipc_server_dispatch(s);
	}
}

static int listen_on(const char *path, int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	struct stat st;
	mode_t mask;
	int r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	if (weir_ipc_is_served(path))
		return -EADDRINUSE;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0)
		return r;
	if (listen(fd, WEIR_IPC_CLIENTS_MAX) < 0) {
		r = -errno;
		(void)unlink(path);
		return r;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int weir_ipc_server_new(const char *path, weir_ipc_handler handler, void *arg, struct weir_ipc_server **ret)
{
	_cleanup_(weir_ipc_server_freep) struct weir_ipc_server *s = NULL;
	int r;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->handler = handler;
	s->arg = arg;
	s->listen_fd = -1;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		return -errno;
	r = listen_on(path, &s->listen_fd);
	if (r < 0)
		return r;
	s->path = strdup(path);
	if (!s->path) {
		(void)unlink(path);
		return -ENOMEM;
	}
	r = watch(s, EPOLL_CTL_ADD, s->listen_fd, EPOLLIN, NULL);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

struct weir_ipc_server *weir_ipc_server_free(struct weir_ipc_server *s)
{
	size_t i;

	if (!s)
		return NULL;
	for (i = 0; i < WEIR_IPC_CLIENTS_MAX; i++)
		if (s->clients[i])
			drop(s, s->clients[i]);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->path)
		(void)unlink(s->path);
	free(s->path);
	free(s);
	return NULL;
}
