// SPDX-License-Identifier: GPL-2.0
/* The oracle: a plain Linux listener that serves generated bodies (content.h) over keep-alive HTTP/1.1.
 *
 *   listener PORT
 *
 * Listens on every IPv4 and IPv6 address. One thread, one epoll set. Closes when the client closes (after what it
 * asked for is sent), and after the response to `Connection: close` or HTTP/1.0. It knows nothing of Weir: the kernel's
 * TCP under it says what the right reaction to a packet is. Prints "ready" when it listens. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "content.h"

#define IN_MAX 16384
#define BODY_MAX (1 << 20)

struct conn {
	int fd;
	bool is_eof, is_closing;
	size_t in_bytes;
	char in[IN_MAX + 1];
	char *out; /* what is still to be sent: out[out_sent..out_bytes) */
	size_t out_bytes, out_sent;
};

static void close_conn(struct conn *c)
{
	close(c->fd);
	free(c->out);
	free(c);
}

/* Appends the response to one request head. */
static int respond(struct conn *c, const char *head, size_t head_bytes)
{
	char date[40], line[512], method[8], target[1024], version[16];
	time_t now = time(NULL);
	const char *name;
	size_t name_bytes;
	long size;
	int n;
	char *out;

	if (sscanf(head, "%7s %1023s %15s", method, target, version) != 3)
		return -EINVAL;
	name = content_name(target, strlen(target), &name_bytes);
	size = content_size(name, name_bytes);
	if (size > BODY_MAX)
		return -EINVAL;
	if (strcmp(version, "HTTP/1.0") == 0 || memmem(head, head_bytes, "Connection: close", 17))
		c->is_closing = true;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
	n = snprintf(line, sizeof(line), "HTTP/1.1 %s\r\nDate: %s\r\nContent-Length: %ld\r\nConnection: %s\r\n\r\n",
		     size < 0 ? "404 Not Found" : "200 OK", date, size < 0 ? 0 : size,
		     c->is_closing ? "close" : "keep-alive");
	size = size < 0 || strcmp(method, "HEAD") == 0 ? 0 : size;

	out = realloc(c->out, c->out_bytes + (size_t)n + (size_t)size);
	if (!out)
		return -ENOMEM;
	c->out = out;
	memcpy(out + c->out_bytes, line, (size_t)n);
	content_fill(content_seed(name, name_bytes), out + c->out_bytes + n, (size_t)size);
	c->out_bytes += (size_t)n + (size_t)size;
	return 0;
}

/* Answers every whole request in c->in; keeps the rest. */
static int answer_all(struct conn *c)
{
	char *end;

	while (!c->is_closing && (end = memmem(c->in, c->in_bytes, "\r\n\r\n", 4))) {
		size_t used = (size_t)(end - c->in) + 4;
		char keep = c->in[used];
		int r;

		c->in[used] = '\0';
		r = respond(c, c->in, used);
		c->in[used] = keep;
		if (r < 0)
			return r;
		memmove(c->in, c->in + used, c->in_bytes - used);
		c->in_bytes -= used;
	}
	return 0;
}

/* Sends what can be sent. 1: all of it. */
static int flush(struct conn *c)
{
	while (c->out_sent < c->out_bytes) {
		ssize_t n = send(c->fd, c->out + c->out_sent, c->out_bytes - c->out_sent, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		c->out_sent += (size_t)n;
	}
	c->out_sent = c->out_bytes = 0;
	return 1;
}

/* False: the connection is finished. */
static bool serve(struct conn *c, int epfd)
{
	int r;

	while (!c->is_eof && !c->is_closing) {
		ssize_t n = recv(c->fd, c->in + c->in_bytes, IN_MAX - c->in_bytes, 0);

		if (n == 0) {
			c->is_eof = true;
		} else if (n < 0) {
			if (errno != EAGAIN)
				return false;
			break;
		} else {
			c->in_bytes += (size_t)n;
			if (answer_all(c) < 0 || c->in_bytes == IN_MAX)
				return false;
		}
	}
	r = flush(c);
	if (r < 0 || (r == 1 && (c->is_eof || c->is_closing)))
		return false;
	(void)epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd,
			&(struct epoll_event){.events = r ? EPOLLIN : EPOLLOUT, .data.ptr = c});
	return true;
}

static void accept_all(int lfd, int epfd)
{
	for (;;) {
		int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct conn *c;

		if (fd < 0)
			return;
		c = calloc(1, sizeof(*c));
		if (!c) {
			close(fd);
			return;
		}
		c->fd = fd;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		(void)epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	int lfd, epfd;

	if (argc != 2) {
		fprintf(stderr, "usage: listener PORT\n");
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	any.sin6_port = htons((uint16_t)atoi(argv[1]));
	lfd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (lfd < 0 || epfd < 0 || setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
	    bind(lfd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(lfd, 4096) < 0) {
		perror("listener");
		return 1;
	}
	(void)epoll_ctl(epfd, EPOLL_CTL_ADD, lfd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
	printf("ready\n");
	fflush(stdout);

	for (;;) {
		struct epoll_event ev[64];
		int n = epoll_wait(epfd, ev, 64, -1);

		for (int i = 0; i < n; i++) {
			if (!ev[i].data.ptr)
				accept_all(lfd, epfd);
			else if (!serve(ev[i].data.ptr, epfd))
				close_conn(ev[i].data.ptr);
		}
	}
}
