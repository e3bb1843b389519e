/* SPDX-License-Identifier: GPL-2.0 */
/* A pool slot for tests: configuration, listening socket and metrics made by hand, a keeper forked as the supervisor
 * would, and a raw HTTP client. Everything is on 127.0.0.1 with ports that the kernel chooses. */
#ifndef TEST_SLOT_H
#define TEST_SLOT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weir/flow.h"
#include "weir/pool.h"

#include "common/clock.h"
#include "worker/worker.h"

#define WAIT_MS 5000

struct test_slot {
	char root[64];
	struct weir_conf_listen listen;
	struct weir_conf_pool pools[2];
	struct weir_conf_prefix prefixes[2];
	struct weir_config config;
	struct weir_route_board *routes;
	struct wrk_listener listener;
	int pass_tx[WEIR_POOLS_MAX];
	struct wrk_setup setup;
	pid_t keeper;
	uint16_t port;
	struct weir_ticket *tickets; /* both: what the kernel side would see */
	struct weir_queue *queue;
};

/* The ticket with this key; the first of its bucket when there is none. */
static inline struct weir_ticket *slot_ticket(const struct test_slot *s, const struct weir_flow_key *key)
{
	struct weir_ticket *ways = &s->tickets[weir_ticket_bucket(key) * WEIR_TICKET_WAYS];
	unsigned i;

	for (i = 0; i < WEIR_TICKET_WAYS; i++)
		if (memcmp(&ways[i].key, key, sizeof(*key)) == 0)
			return &ways[i];
	return ways;
}

/* A temporary root with a file "hello.txt"; port and threads; nothing runs yet. */
static inline void slot_init(struct test_slot *s, unsigned threads)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int on = 1, i;

	memset(s, 0, sizeof(*s));
	strcpy(s->root, "/tmp/weir-slot-XXXXXX");
	if (!mkdtemp(s->root) || chmod(s->root, 0755) < 0)
		abort();
	s->listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)setsockopt(s->listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(s->listener.fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s->listener.fd, 512) < 0 ||
	    getsockname(s->listener.fd, (struct sockaddr *)&a, &n) < 0)
		abort();
	s->port = s->listener.port = ntohs(a.sin_port);
	s->pools[0] = (struct weir_conf_pool){
		.name = "test", .id = 1, .root = s->root, .index = (char *)"index.html", .uid = getuid() ? getuid() : 65534,
		.gid = getgid() ? getgid() : 65534, .slots = 1, .kernel_cache = true,
		.threads_min = threads, .threads_max = threads, .threads_idle_ms = 60000,
		.keepalive_ms = 60000, .header_ms = 60000, .body_ms = 60000, .queue_timeout_ms = 60000,
		.startup_ms = 10000, .shutdown_ms = 4000,
	};
	s->prefixes[0] = (struct weir_conf_prefix){
		.text = (char *)"*", .bucket = WEIR_BUCKET_WEAK, .port = s->port, .path = (char *)"/", .pool = 1,
	};
	s->config = (struct weir_config){
		.max_request_bytes = 16384,
		.max_field_length = 16384,
		.url_segment_max_length = 260,
		.url_segment_max_count = 255,
		.listens = &s->listen, .listens_count = 1, .pools = s->pools, .pools_count = 1,
		.prefixes = s->prefixes, .prefixes_count = 1,
	};
	for (i = 0; i < WEIR_POOLS_MAX; i++)
		s->pass_tx[i] = -1;
	s->setup = (struct wrk_setup){
		.config = &s->config, .pool = &s->pools[0], .listeners = &s->listener, .listeners_count = 1,
		.pass_rx = -1, .pass_tx = s->pass_tx, .cache_fds = { -1, -1, -1 }, .tickets_fd = -1,
		.queue_fd = -1, .wake_fd = -1, .clock_fd = -1, .order_rx = -1, .order_tx = -1,
		.cache_secret = { 1, 2 },
	};
	s->setup.metrics = mmap(NULL, sizeof(struct weir_metrics_slot), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->setup.metrics == MAP_FAILED)
		abort();
}

/* Ticket table and queue as memory that is no BPF map: the test plays the programs. */
static inline void slot_share(struct test_slot *s)
{
	size_t bytes = WEIR_TICKETS * sizeof(struct weir_ticket);

	s->setup.tickets_fd = memfd_create("tickets", MFD_CLOEXEC);
	s->setup.queue_fd = memfd_create("queue", MFD_CLOEXEC);
	if (ftruncate(s->setup.tickets_fd, (off_t)bytes) < 0 || ftruncate(s->setup.queue_fd, 4096) < 0)
		abort();
	s->tickets = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->setup.tickets_fd, 0);
	s->queue = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, s->setup.queue_fd, 0);
	if (s->tickets == MAP_FAILED || s->queue == MAP_FAILED)
		abort();
}

static inline void slot_file(const struct test_slot *s, const char *name, const void *data, size_t bytes)
{
	char path[256], temporary[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", s->root, name);
	snprintf(temporary, sizeof(temporary), "%s/%s.new", s->root, name);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes || close(fd) < 0 || rename(temporary, path) < 0)
		abort();
}

static inline void slot_start(struct test_slot *s)
{
	_cleanup_(weir_route_freep) struct weir_route_table *table = NULL;

	if (!s->routes && (weir_route_build(&s->config, &table) < 0 || weir_route_board_new(&s->routes) < 0 ||
			   weir_route_post(s->routes, table) < 0))
		abort();
	s->setup.routes = s->routes;
	s->keeper = fork();
	if (s->keeper == 0)
		wrk_keeper_main(&s->setup);
}

/* Everything but the keeper. */
static inline void slot_fini(struct test_slot *s)
{
	char command[128];

	close(s->listener.fd);
	weir_route_board_close(s->routes, NULL);
	munmap(s->setup.metrics, sizeof(*s->setup.metrics));
	snprintf(command, sizeof(command), "rm -rf %s", s->root);
	(void)!system(command);
}

/* SIGTERM, then its exit status; -1 when it does not end. */
static inline int slot_stop(struct test_slot *s)
{
	uint64_t until = weir_now_ms() + WAIT_MS;
	int status = -1;

	kill(s->keeper, SIGTERM);
	while (waitpid(s->keeper, &status, WNOHANG) != s->keeper) {
		if (weir_now_ms() > until) {
			kill(s->keeper, SIGKILL);
			waitpid(s->keeper, &status, 0);
			status = -1;
			break;
		}
		(void)poll(NULL, 0, 5);
	}
	slot_fini(s);
	return status < 0 || !WIFEXITED(status) ? -1 : WEXITSTATUS(status);
}

static inline int client_open(const struct test_slot *s)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(s->port),
	};
	struct timeval limit = { .tv_sec = WAIT_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -1 : fd;
}

static inline void client_send(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

struct answer {
	unsigned status;   /* 0: the connection ended first */
	size_t body_bytes;
	char head[4096];
	char body[65536];
};

/* Reads one response by its Content-Length; `has_body` false for HEAD. */
static inline void client_read(int fd, bool has_body, struct answer *a)
{
	const char *length;
	size_t n = 0;
	char *end;

	memset(a, 0, sizeof(*a));
	while (n < sizeof(a->head) - 1 && !strstr(a->head, "\r\n\r\n"))
		if (recv(fd, a->head + n++, 1, 0) != 1)
			return;
	a->status = (unsigned)strtoul(a->head + 9, &end, 10);
	length = strstr(a->head, "Content-Length: ");
	if (!length || !has_body || a->status == 304)
		return;
	length += strlen("Content-Length: ");
	n = strtoul(length, NULL, 10);
	while (a->body_bytes < n && a->body_bytes < sizeof(a->body) - 1) {
		ssize_t got = recv(fd, a->body + a->body_bytes, n - a->body_bytes, 0);

		if (got <= 0)
			break;
		a->body_bytes += (size_t)got;
	}
}

static inline unsigned client_ask(int fd, const char *text, struct answer *a)
{
	client_send(fd, text);
	client_read(fd, strncmp(text, "HEAD", 4) != 0, a);
	return a->status;
}

/* The connection as XDP would name it. */
static inline struct weir_flow_key client_flow(const struct test_slot *s, int fd)
{
	struct weir_flow_key key = { 0 };
	struct sockaddr_in a;
	socklen_t n = sizeof(a);

	(void)getsockname(fd, (struct sockaddr *)&a, &n);
	key.client.word[2] = key.server.word[2] = htonl(0xffff);
	key.client.word[3] = key.server.word[3] = a.sin_addr.s_addr;
	key.client_port = a.sin_port;
	key.server_port = htons(s->port);
	return key;
}

/* Waits until a counter of the slot, or a shared word, is at least `wanted`. */
static inline bool reaches(const uint64_t *counter, uint64_t wanted)
{
	uint64_t until = weir_now_ms() + WAIT_MS;

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < wanted) {
		if (weir_now_ms() > until)
			return false;
		(void)poll(NULL, 0, 2);
	}
	return true;
}

/* 0: the server has closed; 1: bytes; -1: reset or nothing within the limit. */
static inline int client_end(int fd)
{
	char c;

	return (int)recv(fd, &c, 1, 0);
}

#endif
