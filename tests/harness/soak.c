// SPDX-License-Identifier: GPL-2.0
/* A client that trusts nobody: many keep-alive connections, one request at a time on each, every response checked to the
 * last byte against the generator of content.h.
 *
 *   soak ADDR PORT [--requests N] [--connections N] [--per-connection N] [--hit-share PERCENT] [--cut BYTES] [--mss N]
 *                  [--seed N] [--gentle-start]
 *   soak --write ROOT		puts the files that it asks for below ROOT/hit and ROOT/miss
 *
 * --cut sends a request in pieces of so many bytes, each a segment of its own (TCP_NODELAY, MSG_EOR). With --gentle-start
 * a new connection sends one segment and goes on when that is acknowledged: a SYN cookie can be found only in a segment
 * that starts at ISN + 1 (net/ipv4/syncookies.c, cookie_v4_check), so when the handshake's ACK is lost and the second
 * segment overtakes the first, Linux's own answer is a reset. Prints one line of JSON; exit code 1 if anything
 * at all was wrong, with the first errors on stderr. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "content.h"

#define HEAD_MAX 4096
#define STALL_MS 20000	/* a connection without a byte for so long is an error */
#define ERRORS_SHOWN 10
#define FIRST_SEGMENT 16 /* bytes, with --gentle-start */

/* What is asked for. Most hits fit one segment of an Ethernet MTU, some do not; misses have every size. */
static const unsigned hit_sizes[] = {1, 100, 300, 700, 1000, 90, 250, 1100, 40, 5000};
static const unsigned miss_sizes[] = {0, 50, 900, 1448, 3000, 20000};
#define HITS 40
#define MISSES 24

struct file {
	char path[64];
	char *body;
	size_t bytes;
};
static struct file files[HITS + MISSES];

struct conn {
	int fd;
	bool is_connected;
	bool is_fresh; /* --gentle-start: the first segment is not acknowledged yet */
	unsigned left; /* requests before this connection is closed */
	const struct file *file;
	char request[256];
	size_t request_bytes, request_sent;
	char head[HEAD_MAX];
	size_t head_bytes;
	bool in_body;
	size_t body_bytes;
	long long moved_ms;
};

static struct {
	struct sockaddr_storage addr;
	socklen_t addr_bytes;
	unsigned requests, connections, per_connection, hit_share, cut, mss;
	bool gentle_start;
} opt = {.requests = 1000, .connections = 64, .per_connection = 100, .hit_share = 80};

static unsigned started, finished, opened, errors;
static int epfd;

__attribute__((format(printf, 2, 3))) static void fail(const struct conn *c, const char *fmt, ...)
{
	va_list ap;
	struct sockaddr_in6 me = {0};
	socklen_t len = sizeof(me);

	if (errors++ >= ERRORS_SHOWN)
		return;
	(void)getsockname(c->fd, (struct sockaddr *)&me, &len);
	fprintf(stderr, "port %u, %s, byte %zu of %zu: ", ntohs(me.sin6_port), c->file ? c->file->path : "-",
		c->body_bytes, c->file ? c->file->bytes : 0);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void make_files(void)
{
	for (unsigned i = 0; i < HITS + MISSES; i++) {
		struct file *f = &files[i];
		bool is_hit = i < HITS;
		const char *name;
		size_t name_bytes;

		f->bytes = is_hit ? hit_sizes[i % 10] : miss_sizes[i % 6];
		snprintf(f->path, sizeof(f->path), "/%s/f%03u-%zu.txt", is_hit ? "hit" : "miss", i, f->bytes);
		f->body = malloc(f->bytes + 1);
		if (!f->body)
			abort();
		name = content_name(f->path, strlen(f->path), &name_bytes);
		content_fill(content_seed(name, name_bytes), f->body, f->bytes);
	}
}

static int write_files(const char *root)
{
	char path[512];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%.400s/%s", root, i ? "miss" : "hit");
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	for (unsigned i = 0; i < HITS + MISSES; i++) {
		int fd;

		snprintf(path, sizeof(path), "%.400s%.63s", root, files[i].path);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, files[i].body, files[i].bytes) != (ssize_t)files[i].bytes)
			return -errno;
		close(fd);
	}
	return 0;
}

static void next_request(struct conn *c)
{
	unsigned hit = (unsigned)rand() % 100 < opt.hit_share;

	c->file = &files[hit ? (unsigned)rand() % HITS : HITS + (unsigned)rand() % MISSES];
	c->request_bytes = (size_t)snprintf(c->request, sizeof(c->request),
					    "GET %s HTTP/1.1\r\nHost: weir.test\r\nUser-Agent: soak\r\nAccept: */*\r\n\r\n",
					    c->file->path);
	c->request_sent = c->head_bytes = c->body_bytes = 0;
	c->in_body = false;
	started++;
	c->left--;
}

static bool open_conn(struct conn *c)
{
	c->fd = socket(opt.addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	c->is_connected = false;
	c->is_fresh = opt.gentle_start;
	c->file = NULL;
	c->left = opt.per_connection;
	c->moved_ms = now_ms();
	opened++;
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (opt.mss && setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &opt.mss, sizeof(opt.mss)) < 0)
		fail(c, "TCP_MAXSEG %u: %s", opt.mss, strerror(errno));
	if (c->fd < 0 || (connect(c->fd, (struct sockaddr *)&opt.addr, opt.addr_bytes) < 0 && errno != EINPROGRESS)) {
		fail(c, "connect: %s", strerror(errno));
		return false;
	}
	(void)epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLOUT, .data.ptr = c});
	return true;
}

static void close_conn(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
}

/* The next request on this connection or a new one; nothing when all have been started. */
static void go_on(struct conn *c);

static bool send_some(struct conn *c)
{
	while (c->request_sent < c->request_bytes) {
		size_t n = c->request_bytes - c->request_sent;
		int unacknowledged = 0;
		ssize_t r;

		if (c->is_fresh && c->request_sent) {
			(void)ioctl(c->fd, SIOCOUTQ, &unacknowledged);
			if (unacknowledged)
				return true; /* poke() comes back */
			c->is_fresh = false;
		}
		if (c->is_fresh && n > FIRST_SEGMENT)
			n = FIRST_SEGMENT;
		if (opt.cut && n > opt.cut)
			n = opt.cut;
		r = send(c->fd, c->request + c->request_sent, n, MSG_NOSIGNAL | (opt.cut ? MSG_EOR : 0));
		if (r < 0) {
			if (errno == EAGAIN)
				return true;
			fail(c, "send: %s", strerror(errno));
			return false;
		}
		c->request_sent += (size_t)r;
	}
	return true;
}

/* Checks the head when it is complete; returns the bytes of `data` that belong to it, -1 on error. */
static ssize_t take_head(struct conn *c, const char *data, size_t bytes)
{
	size_t had = c->head_bytes, room = HEAD_MAX - 1 - had, n = bytes < room ? bytes : room, used;
	char *end, *field;

	memcpy(c->head + had, data, n);
	c->head_bytes += n;
	c->head[c->head_bytes] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (!end) {
		if (c->head_bytes < HEAD_MAX - 1)
			return (ssize_t)n;
		fail(c, "no end of the head in %d bytes", HEAD_MAX);
		return -1;
	}
	used = (size_t)(end - c->head) + 4;
	end[2] = '\0';
	if (strncmp(c->head, "HTTP/1.1 200 ", 13) != 0) {
		fail(c, "status line: %.80s", c->head);
		return -1;
	}
	field = strcasestr(c->head, "\r\nContent-Length:");
	if (!field || strtoul(field + 17, NULL, 10) != c->file->bytes) {
		fail(c, "Content-Length is not %zu: %s", c->file->bytes, c->head);
		return -1;
	}
	field = strstr(c->head, "\r\nDate: ");
	if (!field || strlen(field) < 39 || memcmp(field + 33, " GMT\r", 5) != 0) {
		fail(c, "no Date: %s", c->head);
		return -1;
	}
	c->in_body = true;
	return (ssize_t)(used - had);
}

/* Takes what came. False: the connection is finished, rightly or not. */
static bool take(struct conn *c, const char *data, size_t bytes)
{
	if (!c->file || c->request_sent < c->request_bytes) {
		fail(c, "%zu bytes that nobody asked for", bytes);
		return false;
	}
	if (!c->in_body) {
		ssize_t n = take_head(c, data, bytes);

		if (n < 0)
			return false;
		data += n;
		bytes -= (size_t)n;
	}
	if (c->in_body) {
		if (bytes > c->file->bytes - c->body_bytes) {
			fail(c, "%zu bytes too many: %.60s", bytes - (c->file->bytes - c->body_bytes),
			     data + (c->file->bytes - c->body_bytes));
			return false;
		}
		for (size_t i = 0; i < bytes; i++) {
			if (data[i] != c->file->body[c->body_bytes + i]) {
				c->body_bytes += i;
				fail(c, "wrong bytes: %.40s, not %.40s", data + i, c->file->body + c->body_bytes);
				return false;
			}
		}
		c->body_bytes += bytes;
		if (c->body_bytes == c->file->bytes) {
			finished++;
			go_on(c);
		}
	}
	return true;
}

static bool receive(struct conn *c)
{
	static char buf[65537];

	for (;;) {
		ssize_t n = recv(c->fd, buf, sizeof(buf) - 1, 0);

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0) {
			fail(c, "%s", n < 0 ? strerror(errno) : "the server closed");
			return false;
		}
		buf[n] = '\0';
		c->moved_ms = now_ms();
		if (!take(c, buf, (size_t)n))
			return false;
		if (c->fd < 0 || !c->is_connected) /* that was its last request */
			return true;
		if (c->request_sent < c->request_bytes && !send_some(c))
			return false;
	}
}

static void go_on(struct conn *c)
{
	if (started >= opt.requests || c->left == 0) {
		close_conn(c);
		if (started < opt.requests && !open_conn(c))
			close_conn(c);
		return;
	}
	next_request(c);
}

static void serve(struct conn *c, uint32_t events)
{
	if (!c->is_connected) {
		int err = 0;
		socklen_t len = sizeof(err);

		(void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err) {
			fail(c, "connect: %s", strerror(err));
			close_conn(c);
			return;
		}
		c->is_connected = true;
		go_on(c);
		if (c->fd < 0)
			return;
		(void)epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd,
				&(struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c});
	}
	if (!send_some(c) || ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !receive(c)))
		close_conn(c);
}

/* Goes on with fresh connections, ends those that hang. True: every connection is closed. */
static bool poke(struct conn *conns, bool *ret_is_any_fresh)
{
	long long now = now_ms();
	bool is_done = true;

	*ret_is_any_fresh = false;
	for (unsigned i = 0; i < opt.connections; i++) {
		if (conns[i].fd < 0)
			continue;
		is_done = false;
		if (conns[i].is_fresh && conns[i].is_connected) {
			*ret_is_any_fresh = true;
			if (!send_some(&conns[i]))
				close_conn(&conns[i]);
		}
		if (conns[i].fd >= 0 && now - conns[i].moved_ms > STALL_MS) {
			fail(&conns[i], "nothing for %d s", STALL_MS / 1000);
			close_conn(&conns[i]);
		}
	}
	return is_done;
}

static int run(void)
{
	struct conn *conns = calloc(opt.connections, sizeof(*conns));
	long long began = now_ms();
	bool is_any_fresh;

	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (!conns || epfd < 0)
		return 1;
	for (unsigned i = 0; i < opt.connections; i++)
		if (!open_conn(&conns[i]))
			close_conn(&conns[i]);
	while (!poke(conns, &is_any_fresh)) {
		struct epoll_event ev[256];
		int n = epoll_wait(epfd, ev, 256, is_any_fresh ? 2 : 1000);

		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (c->fd >= 0)
				serve(c, ev[i].events);
		}
	}
	printf("{\"requests\": %u, \"answered\": %u, \"errors\": %u, \"connections\": %u, \"ms\": %lld}\n", started, finished,
	       errors, opened, now_ms() - began);
	free(conns);
	return errors || finished < opt.requests;
}

static bool parse_addr(const char *addr, const char *port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&opt.addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&opt.addr;

	if (inet_pton(AF_INET, addr, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)atoi(port));
		opt.addr_bytes = sizeof(*v4);
		return true;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)atoi(port));
	opt.addr_bytes = sizeof(*v6);
	return inet_pton(AF_INET6, addr, &v6->sin6_addr) == 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"requests", required_argument, NULL, 'n'}, {"connections", required_argument, NULL, 'c'},
		{"per-connection", required_argument, NULL, 'k'}, {"hit-share", required_argument, NULL, 'h'},
		{"cut", required_argument, NULL, 'u'}, {"mss", required_argument, NULL, 'm'},
		{"seed", required_argument, NULL, 's'}, {"gentle-start", no_argument, NULL, 'g'},
		{"write", required_argument, NULL, 'w'},
		{0},
	};
	int c, r;

	make_files();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		unsigned value = optarg ? (unsigned)atoi(optarg) : 0;

		switch (c) {
		case 'n': opt.requests = value; break;
		case 'c': opt.connections = value; break;
		case 'k': opt.per_connection = value; break;
		case 'h': opt.hit_share = value; break;
		case 'u': opt.cut = value; break;
		case 'm': opt.mss = value; break;
		case 'g': opt.gentle_start = true; break;
		case 's': srand(value); break;
		case 'w':
			r = write_files(optarg);
			if (r < 0)
				fprintf(stderr, "soak: %s: %s\n", optarg, strerror(-r));
			return r < 0;
		default: return 2;
		}
	}
	if (argc - optind != 2 || !parse_addr(argv[optind], argv[optind + 1])) {
		fprintf(stderr, "usage: soak ADDR PORT [options] | soak --write ROOT\n");
		return 2;
	}
	return run();
}
