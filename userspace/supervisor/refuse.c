/* SPDX-License-Identifier: GPL-2.0 */
/* A pool that is stopped, disabled or offline has listening sockets but no workers. A connection
 * that still reaches one may be for any pool: it goes, unread, to the workers of one that runs, and
 * comes back over this pool's own socket if it was for this pool after all. Then, or when no pool
 * runs, it gets a fixed 503 and is closed. Not a byte is looked at. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/clock.h"

#define ROUND_MAX 64   /* connections accepted in one go */
#define LINGER_MAX 256 /* connections that read our answer */
#define LINGER_MS 1000

struct sup_refuser {
	int epoll_fd;
	struct {
		int fd; /* -1: free */
		uint64_t until_ms;
	} lingering[LINGER_MAX];
	size_t next;
};

int sup_refuser_new(struct sup *s)
{
	struct sup_refuser *r = calloc(1, sizeof(*r));
	size_t i;

	if (!r)
		return -ENOMEM;
	for (i = 0; i < LINGER_MAX; i++)
		r->lingering[i].fd = -1;
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->refuser = r;
	return r->epoll_fd < 0 ? -errno : 0;
}

void sup_refuser_free(struct sup *s)
{
	struct sup_refuser *r = s->refuser;
	size_t i;

	if (!r)
		return;
	for (i = 0; i < LINGER_MAX; i++)
		if (r->lingering[i].fd >= 0)
			close(r->lingering[i].fd);
	if (r->epoll_fd >= 0)
		close(r->epoll_fd);
	free(r);
	s->refuser = NULL;
}

int sup_refuser_fd(const struct sup *s)
{
	return s->refuser->epoll_fd;
}

/* What an event is about: pool id, endpoint id or none, descriptor. */
#define NO_ENDPOINT 0xffff
#define NO_POOL 0 /* the socket is the service manager's */

static uint64_t tag(uint16_t pool, uint16_t endpoint, int fd)
{
	return (uint64_t)pool << 48 | (uint64_t)endpoint << 32 | (uint32_t)fd;
}

static void watch(struct sup *s, int fd, uint64_t data, bool is_on)
{
	/* what came to the service manager's socket may have to wait until a pool runs */
	struct epoll_event e = { .events = data >> 48 == NO_POOL ? EPOLLIN | EPOLLET : EPOLLIN, .data.u64 = data };

	if (fd >= 0)
		(void)epoll_ctl(s->refuser->epoll_fd, is_on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &e);
}

void sup_refuser_watch(struct sup *s, struct sup_pool *p, bool is_on)
{
	uint16_t id = p->conf->id;
	size_t i, j;

	if (is_on == p->is_refused_here)
		return;
	p->is_refused_here = is_on;
	for (i = 0; i < p->conf->slots; i++)
		for (j = 0; j < s->config->listens_count; j++)
			watch(s, p->slots[i].listeners[j].fd,
			      tag(id, p->slots[i].listeners[j].endpoint, p->slots[i].listeners[j].fd), is_on);
	watch(s, s->pass_rx[id], tag(id, NO_ENDPOINT, s->pass_rx[id]), is_on);
}

void sup_refuser_watch_activated(struct sup *s, bool is_on)
{
	uint16_t i;

	for (i = 0; s->refuser && i < WEIR_ENDPOINTS_MAX; i++) {
		if (s->activated[i] < 0)
			continue;
		watch(s, s->activated[i], tag(NO_POOL, i, s->activated[i]), is_on);
		if (!is_on)
			close(TAKE_FD(s->activated[i]));
	}
}

/* Throws away what came, so that closing does not reset the answer away. False: the client has
 * closed. */
static bool discard(int fd)
{
	char waste[4096];
	ssize_t n;

	do {
		n = recv(fd, waste, sizeof(waste), MSG_DONTWAIT | MSG_TRUNC);
	} while (n > 0);
	return n < 0 && errno == EAGAIN;
}

static void linger(struct sup_refuser *r, int fd)
{
	size_t i = r->next++ % LINGER_MAX;

	if (r->lingering[i].fd >= 0)
		close(r->lingering[i].fd);
	r->lingering[i].fd = fd;
	r->lingering[i].until_ms = weir_now_ms() + LINGER_MS;
}

static void sweep(struct sup_refuser *r)
{
	uint64_t now = weir_now_ms();
	size_t i;

	for (i = 0; i < LINGER_MAX; i++) {
		if (r->lingering[i].fd < 0 || (discard(r->lingering[i].fd) && now < r->lingering[i].until_ms))
			continue;
		close(r->lingering[i].fd);
		r->lingering[i].fd = -1;
	}
}

static void refuse(struct sup_refuser *r, const struct sup_pool *p, int fd)
{
	const char *phrase = weir_refusal_phrase(p->refusal);
	bool is_full = p->conf->verbosity == WEIR_VERBOSITY_FULL;
	char text[256];
	int n;

	if (p->conf->verbosity == WEIR_VERBOSITY_BASIC) {
		const struct linger now = { .l_onoff = 1 };

		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(fd);
		return;
	}
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 503 Service Unavailable%s%s%s\r\nServer: weir\r\nRetry-After: 30\r\n"
		     "Content-Length: 0\r\nConnection: close\r\n\r\n",
		     is_full ? " (" : "", is_full ? phrase : "", is_full ? ")" : "");
	(void)!send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	if (discard(fd))
		linger(r, fd);
	else
		close(fd);
}

static bool is_starting(const struct sup *s)
{
	size_t i;

	for (i = 0; i < s->config->pools_count; i++)
		if (sup_pool_state(s, &s->pools[i]) == SUP_POOL_STARTING)
			return true;
	return false;
}

/* The socket to the workers of some pool that has some; -1. */
static int running_pool(const struct sup *s)
{
	size_t i;

	for (i = 0; i < s->config->pools_count; i++) {
		enum sup_pool_state state = sup_pool_state(s, &s->pools[i]);

		if ((state == SUP_POOL_STARTED || state == SUP_POOL_WAITING) && s->pass_tx[s->pools[i].conf->id] >= 0)
			return s->pass_tx[s->pools[i].conf->id];
	}
	return -1;
}

/* It does not wait in this pool's queue any more. */
static void leave_queue(struct sup *s, const struct sup_pool *p)
{
	struct weir_queue *q = s->dp ? weir_dataplane_queue(s->dp, p->conf->id) : NULL;

	if (q && __atomic_load_n(&q->taken, __ATOMIC_RELAXED) != __atomic_load_n(&q->arrived, __ATOMIC_RELAXED))
		__atomic_add_fetch(&q->taken, 1, __ATOMIC_RELAXED);
}

/* `p` is NULL when the socket belongs to no pool: then the first one's manners hold. */
static void take_new(struct sup *s, const struct sup_pool *p, int listener, uint16_t endpoint)
{
	int i, fd, to = running_pool(s);

	if (!p && to < 0 && is_starting(s))
		return;
	for (i = 0; i < ROUND_MAX; i++) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		if (p)
			leave_queue(s, p);
		if (to >= 0 && wrk_pass_new(to, fd, endpoint) == 0)
			close(fd);
		else
			refuse(s->refuser, p ? p : &s->pools[0], fd);
	}
}

static void take_passed(struct sup *s, const struct sup_pool *p, int from)
{
	int i, fd;

	for (i = 0; i < ROUND_MAX; i++) {
		fd = wrk_pass_take(from);
		if (fd >= 0)
			refuse(s->refuser, p, fd);
		else if (fd != -1)
			return;
	}
}

void sup_refuser_dispatch(struct sup *s)
{
	struct epoll_event events[16];
	int i, n;

	sweep(s->refuser);
	for (i = 0; i < WEIR_ENDPOINTS_MAX; i++)
		if (s->activated[i] >= 0)
			take_new(s, NULL, s->activated[i], (uint16_t)i);
	n = epoll_wait(s->refuser->epoll_fd, events, ARRAY_SIZE(events), 0);
	for (i = 0; i < n; i++) {
		uint16_t pool = (uint16_t)(events[i].data.u64 >> 48);
		const struct sup_pool *p = pool == NO_POOL ? NULL : sup_pool_by_id(s, pool);
		uint16_t endpoint = (uint16_t)(events[i].data.u64 >> 32);
		int fd = (int)(uint32_t)events[i].data.u64;

		if (!p)
			continue; /* has been looked at above */
		if (endpoint == NO_ENDPOINT)
			take_passed(s, p, fd);
		else
			take_new(s, p, fd, endpoint);
	}
}
