// SPDX-License-Identifier: GPL-2.0
/* A client that notes how every request ended and what became of every idle connection.
 *
 *   pool_client ADDR PORT
 *
 * One command a line on standard input:
 *
 *   open N             N more connections, made with their first request; or now, with `open N now`
 *   go COUNT THINK_MS MODE PATH
 *                      each connection asks COUNT times (0: until `halt`), THINK_MS apart, not all at once
 *                      MODE keep: the same connection; close: `Connection: close`, anew for each; drop: the client closes
 *   halt               no new requests
 *   report             one line of JSON: what happened since the last report
 *   wait MS            the same when every request has ended, or after MS
 *
 * Names of what happened: ok (200 and all of its body), status_NNN; reset_before, eof_before: the connection ended before
 * the first byte of the response; reset_inside, eof_inside: within it; reset_after: instead of an end, after it;
 * reset_idle, eof_idle: while nothing was asked for; refused: no connection; stall: nothing for STALL_MS. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX 4096
#define HEAD_MAX 4096
#define STALL_MS 30000
#define STATUS_MAX 600
#define PHRASES_MAX 8
#define SHOWN_MAX 20

enum mode { MODE_KEEP, MODE_CLOSE, MODE_DROP };
enum state { CLOSED, CONNECTING, IDLE, ASKED, IN_BODY, ENDING };
enum event { OK, RESET_BEFORE, EOF_BEFORE, RESET_INSIDE, EOF_INSIDE, RESET_AFTER, RESET_IDLE, EOF_IDLE, REFUSED, STALL,
	     BAD, OPENED, RETRY_AFTER, EVENTS };
static const char *const event_names[EVENTS] = {"ok", "reset_before", "eof_before", "reset_inside", "eof_inside",
	"reset_after", "reset_idle", "eof_idle", "refused", "stall", "bad", "opened", "retry_after"};

struct conn {
	int fd;
	enum state state;
	bool has_to_ask, must_close;
	unsigned left;
	long long next_ms, moved_us, asked_us;
	int status;
	long body_left;
	char head[HEAD_MAX + 1];
	size_t head_bytes;
};

struct times {
	unsigned *us;
	size_t count, room;
};

static struct sockaddr_storage addr;
static socklen_t addr_bytes;
static struct conn conns[CONNS_MAX];
static unsigned conns_count;
static int epfd;

static enum mode mode;
static bool is_going, is_endless;
static unsigned think_ms;
static char request[2048];

static unsigned long long events[EVENTS], statuses[STATUS_MAX];
static struct times ok_times, refused_times;
static struct {
	char text[64];
	unsigned long long count;
} phrases[PHRASES_MAX];
static unsigned shown;
static long long wait_until; /* 0: nobody waits */

static long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static void note_time(struct times *t, long long us)
{
	if (t->count == t->room) {
		t->room = t->room ? 2 * t->room : 1024;
		t->us = realloc(t->us, t->room * sizeof(*t->us));
		if (!t->us)
			abort();
	}
	t->us[t->count++] = (unsigned)us;
}

static void note(const struct conn *c, enum event e)
{
	struct sockaddr_in6 me = {0};
	socklen_t n = sizeof(me);

	events[e]++;
	if (e == OK || e == OPENED || e == RETRY_AFTER || shown++ >= SHOWN_MAX)
		return;
	(void)getsockname(c->fd, (struct sockaddr *)&me, &n);
	fprintf(stderr, "%lld.%06lld port %u, %.*s: %s, %lld us after the request\n", now_us() / 1000000,
		now_us() % 1000000, ntohs(me.sin6_port), (int)strcspn(request, "\r"), request, event_names[e],
		c->asked_us ? now_us() - c->asked_us : -1);
}

static void note_phrase(const char *head)
{
	const char *at = strchr(head, ' ');
	size_t n;

	if (!at)
		return;
	n = strcspn(++at, "\r\n");
	for (unsigned i = 0; i < PHRASES_MAX; i++) {
		if (!phrases[i].text[0])
			snprintf(phrases[i].text, sizeof(phrases[i].text), "%.*s", (int)n, at);
		if (strlen(phrases[i].text) == n && memcmp(phrases[i].text, at, n) == 0) {
			phrases[i].count++;
			return;
		}
	}
}

static void drop(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = CLOSED;
}

/* The request is over, one way or another. */
static void finish(struct conn *c)
{
	c->has_to_ask = false;
	c->asked_us = 0;
	if (!is_endless && c->left)
		c->left--;
	c->next_ms = now_us() / 1000 + think_ms;
}

static void fail(struct conn *c, enum event e)
{
	note(c, e);
	drop(c);
	finish(c);
}

static bool begin_connect(struct conn *c)
{
	c->fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		abort();
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	c->moved_us = now_us();
	if (connect(c->fd, (struct sockaddr *)&addr, addr_bytes) < 0 && errno != EINPROGRESS) {
		fail(c, REFUSED);
		return false;
	}
	c->state = CONNECTING;
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd,
		      &(struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c}) < 0)
		abort();
	return true;
}

static void send_request(struct conn *c)
{
	size_t n = strlen(request);

	c->asked_us = c->moved_us = now_us();
	c->head_bytes = 0;
	c->state = ASKED;
	if (send(c->fd, request, n, MSG_NOSIGNAL) != (ssize_t)n)
		fail(c, RESET_BEFORE);
}

/* 0: the head is not complete yet; 1: it is; -1: it is nonsense. Leaves the rest in the buffer. */
static int parse_head(struct conn *c, size_t *ret_used)
{
	const char *end, *length;

	c->head[c->head_bytes] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (!end)
		return c->head_bytes == HEAD_MAX ? -1 : 0;
	length = strcasestr(c->head, "\r\nContent-Length:");
	if (sscanf(c->head, "HTTP/1.1 %d", &c->status) != 1 || c->status < 100 || c->status >= STATUS_MAX || !length ||
	    length > end)
		return -1;
	c->body_left = atol(length + 17);
	*ret_used = (size_t)(end - c->head) + 4;
	c->head[*ret_used - 1] = '\0';
	c->must_close = strcasestr(c->head, "\r\nConnection: close") != NULL;
	if (strcasestr(c->head, "\r\nRetry-After:"))
		note(c, RETRY_AFTER);
	note_phrase(c->head);
	return 1;
}

static void response_done(struct conn *c)
{
	note_time(c->status == 200 ? &ok_times : &refused_times, now_us() - c->asked_us);
	statuses[c->status]++;
	if (c->status == 200)
		note(c, OK);
	if (c->must_close) {
		c->state = ENDING;
	} else {
		if (mode == MODE_DROP)
			drop(c);
		else
			c->state = IDLE;
		finish(c);
	}
}

static void take_bytes(struct conn *c, const char *bytes, size_t n)
{
	if (c->state == IDLE || c->state == ENDING || c->state == CONNECTING) {
		fail(c, BAD);
		return;
	}
	if (c->state == ASKED) {
		size_t before = c->head_bytes, copied = n < HEAD_MAX - before ? n : HEAD_MAX - before, used;
		int r;

		memcpy(c->head + before, bytes, copied);
		c->head_bytes += copied;
		r = parse_head(c, &used);
		if (r < 0)
			fail(c, BAD);
		if (r <= 0)
			return;
		bytes += used - before;
		n -= used - before;
		c->state = IN_BODY;
	}
	if ((long)n > c->body_left) {
		fail(c, BAD);
		return;
	}
	c->body_left -= (long)n;
	if (c->body_left == 0)
		response_done(c);
}

static void ended(struct conn *c, bool is_reset)
{
	switch (c->state) {
	case CONNECTING:
		fail(c, REFUSED);
		break;
	case IDLE:
		note(c, is_reset ? RESET_IDLE : EOF_IDLE);
		drop(c);
		break;
	case ASKED:
		fail(c, c->head_bytes ? is_reset ? RESET_INSIDE : EOF_INSIDE : is_reset ? RESET_BEFORE : EOF_BEFORE);
		break;
	case IN_BODY:
		fail(c, is_reset ? RESET_INSIDE : EOF_INSIDE);
		break;
	case ENDING:
		if (is_reset)
			note(c, RESET_AFTER);
		drop(c);
		finish(c);
		break;
	case CLOSED:
		break;
	}
}

static void handle(struct conn *c, unsigned what)
{
	static char buf[65536];

	if (c->state == CONNECTING && (what & EPOLLOUT) && !(what & (EPOLLERR | EPOLLHUP))) {
		events[OPENED]++;
		c->state = IDLE;
		if (c->has_to_ask)
			send_request(c);
	}
	while (c->state != CLOSED) {
		ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

		if (n > 0) {
			c->moved_us = now_us();
			take_bytes(c, buf, (size_t)n);
		} else if (n == 0 || errno != EAGAIN) {
			ended(c, n < 0);
		} else {
			return;
		}
	}
}

static void begin(struct conn *c)
{
	c->has_to_ask = true;
	if (c->state == IDLE)
		send_request(c);
	else if (c->state == CLOSED)
		(void)begin_connect(c);
}

static bool is_busy(const struct conn *c)
{
	return c->has_to_ask || c->state == ASKED || c->state == IN_BODY || c->state == CONNECTING ||
	       c->state == ENDING || (is_going && !is_endless && c->left);
}

/* Starts what is due. Returns how many connections have something under way. */
static unsigned look(void)
{
	long long us = now_us();
	unsigned busy = 0;

	for (unsigned i = 0; i < conns_count; i++) {
		struct conn *c = &conns[i];
		bool is_free = !c->has_to_ask && (c->state == IDLE || c->state == CLOSED);

		if (is_going && is_free && (is_endless || c->left) && c->next_ms <= us / 1000)
			begin(c);
		else if (c->state != IDLE && c->state != CLOSED && us - c->moved_us > STALL_MS * 1000LL)
			fail(c, STALL);
		busy += is_busy(c);
	}
	return busy;
}

static int compare(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

static void print_times(const char *name, struct times *t)
{
	qsort(t->us, t->count, sizeof(*t->us), compare);
	printf(", \"%s_us\": {\"median\": %u, \"p99\": %u, \"max\": %u}", name, t->count ? t->us[t->count / 2] : 0,
	       t->count ? t->us[t->count * 99 / 100] : 0, t->count ? t->us[t->count - 1] : 0);
	t->count = 0;
}

static void report(unsigned busy)
{
	unsigned open = 0;

	for (unsigned i = 0; i < conns_count; i++)
		open += conns[i].state != CLOSED;
	printf("{\"busy\": %u, \"open\": %u", busy, open);
	for (unsigned i = 0; i < EVENTS; i++)
		printf(", \"%s\": %llu", event_names[i], events[i]);
	for (unsigned i = 0; i < STATUS_MAX; i++)
		if (statuses[i] && i != 200)
			printf(", \"status_%u\": %llu", i, statuses[i]);
	print_times("ok", &ok_times);
	print_times("refused", &refused_times);
	printf(", \"phrases\": {");
	for (unsigned i = 0; i < PHRASES_MAX && phrases[i].text[0]; i++)
		printf("%s\"%s\": %llu", i ? ", " : "", phrases[i].text, phrases[i].count);
	printf("}}\n");
	fflush(stdout);
	memset(events, 0, sizeof(events));
	memset(statuses, 0, sizeof(statuses));
	memset(phrases, 0, sizeof(phrases));
}

static void command(char *line)
{
	char word[8], path[1024];
	unsigned n, think;

	if (sscanf(line, "open %u", &n) == 1) {
		bool is_now = strstr(line, " now") != NULL;

		for (; n && conns_count < CONNS_MAX; n--) {
			struct conn *c = &conns[conns_count++];

			c->fd = -1;
			if (is_now)
				(void)begin_connect(c);
		}
	} else if (sscanf(line, "go %u %u %7s %1023s", &n, &think, word, path) == 4) {
		mode = strcmp(word, "keep") == 0 ? MODE_KEEP : strcmp(word, "close") == 0 ? MODE_CLOSE : MODE_DROP;
		snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: weir.test\r\n%s\r\n", path,
			 mode == MODE_CLOSE ? "Connection: close\r\n" : "");
		think_ms = think;
		is_going = true;
		is_endless = n == 0;
		for (unsigned i = 0; i < conns_count; i++) {
			conns[i].left = n;
			conns[i].next_ms = now_us() / 1000 + i * think / conns_count; /* spread over the pause */
		}
	} else if (strncmp(line, "halt", 4) == 0) {
		is_going = false;
	} else if (strncmp(line, "report", 6) == 0) {
		report(look());
	} else if (sscanf(line, "wait %u", &n) == 1) {
		wait_until = now_us() + n * 1000LL;
	} else {
		fprintf(stderr, "pool_client: what is '%s'?\n", line);
		exit(2);
	}
}

static void read_commands(void)
{
	static char buf[8192];
	static size_t bytes;
	ssize_t n = read(STDIN_FILENO, buf + bytes, sizeof(buf) - 1 - bytes);
	char *end;

	if (n <= 0)
		exit(0);
	bytes += (size_t)n;
	buf[bytes] = '\0';
	while ((end = strchr(buf, '\n'))) {
		*end++ = '\0';
		command(buf);
		bytes -= (size_t)(end - buf);
		memmove(buf, end, bytes + 1);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)&addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;
	struct rlimit files = {CONNS_MAX + 64, CONNS_MAX + 64};

	if (argc != 3) {
		fprintf(stderr, "usage: pool_client ADDR PORT\n");
		return 2;
	}
	if (inet_pton(AF_INET, argv[1], &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons((uint16_t)atoi(argv[2]));
		addr_bytes = sizeof(*in4);
	} else if (inet_pton(AF_INET6, argv[1], &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)atoi(argv[2]));
		addr_bytes = sizeof(*in6);
	} else {
		return 2;
	}
	(void)setrlimit(RLIMIT_NOFILE, &files);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	(void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, STDIN_FILENO, &(struct epoll_event){.events = EPOLLIN}) < 0) {
		perror("pool_client");
		return 1;
	}
	for (;;) {
		struct epoll_event ev[256];
		int n = epoll_wait(epfd, ev, 256, 1);
		unsigned busy;

		for (int i = 0; i < n; i++) {
			if (!ev[i].data.ptr)
				read_commands();
			else
				handle(ev[i].data.ptr, ev[i].events);
		}
		busy = look();
		if (wait_until && (busy == 0 || now_us() > wait_until)) {
			wait_until = 0;
			report(busy);
		}
	}
}
