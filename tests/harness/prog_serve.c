// SPDX-License-Identifier: GPL-2.0
/* The dataplane as the supervisor uses it, and sockets on both sides of it. */
#include "harness/prog_serve.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/dataplane_priv.h"
#include "route/route.h"

#define GENERATION 0xabcd00u

struct serve serve;

static struct weir_conf_listen listens[SERVE__MAX];
static struct weir_conf_prefix prefixes[3];
static char *interfaces[] = { "lo" };

static struct weir_conf_pool pools[] = {
	{ .name = "a", .id = POOL_A, .slots = 1, .first_slot = 0, .kernel_cache = true, .entries = { 64, 64, 64 } },
	{ .name = "b", .id = POOL_B, .slots = 1, .first_slot = 1, .kernel_cache = true, .entries = { 64, 64, 64 } },
};

static void make_config(void)
{
	static const char *const addresses[] = { "127.0.0.1:8080", "[::1]:8080" };
	static const char *const urls[] = { "http://*:8080/", "http://*:8080/a/", "http://*:8080/b/" };
	struct weir_config *c = &serve.config;
	struct weir_conf_listen found[2];
	const char *why;
	uint32_t i;

	for (i = 0; i < SERVE__MAX; i++) {
		cr_assert_eq(weir_conf_listen_parse(addresses[i], found, &why), 1);
		listens[i] = found[0];
		listens[i].id = SERVE_ENDPOINT(i);
	}
	for (i = 0; i < 3; i++) {
		cr_assert_eq(weir_conf_prefix_parse(urls[i], &prefixes[i], &why), 0);
		prefixes[i].id = i;
		prefixes[i].pool = i == 2 ? POOL_B : POOL_A;
	}
	*c = (struct weir_config){
		.listens = listens,
		.listens_count = SERVE__MAX,
		.pools = pools,
		.pools_count = 2,
		.prefixes = prefixes,
		.prefixes_count = 3,
		.interfaces = interfaces,
		.interfaces_count = 1,
		.attach = WEIR_ATTACH_GENERIC,
		.flows = 4096,
		.name = "sock_test",
	};
}

static int listen_on(enum serve_endpoint e, int backlog)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(SERVE_PORT) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(SERVE_PORT),
				   .sin6_addr = in6addr_loopback };
	int fd = socket(e == SERVE_V6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
		  !setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	cr_assert(!(e == SERVE_V6 ? bind(fd, (struct sockaddr *)&v6, sizeof(v6))
				  : bind(fd, (struct sockaddr *)&v4, sizeof(v4))),
		  "bind: %s", strerror(errno));
	cr_assert(!listen(fd, backlog));
	return fd;
}

static void open_pool(uint16_t pool, int backlog)
{
	int tickets, queue;
	uint32_t e;

	weir_dataplane_pool_fds(serve.dp, pool, prog.cache[pool], &tickets, &queue);
	serve.tickets[pool] =
		mmap(NULL, WEIR_TICKETS * sizeof(struct weir_ticket), PROT_READ | PROT_WRITE, MAP_SHARED, tickets, 0);
	cr_assert_neq(serve.tickets[pool], MAP_FAILED);
	for (e = 0; e < SERVE__MAX; e++) {
		serve.listeners[pool][e] = listen_on(e, backlog);
		cr_assert_eq(weir_dataplane_add_socket(serve.dp, listens[e].id, pool - 1u, serve.listeners[pool][e]),
			     0);
	}
}

/* Nobody ticks here: the date stays, and counts as current for as long as a test takes. */
static void stop_clock(void)
{
	int i;

	weir_dataplane_tick(serve.dp);
	for (i = 0; i < 2; i++)
		serve.dp->clock->dates[i].written_ns = UINT64_MAX / 2;
}

void serve_start_with_backlog(int backlog)
{
	struct weir_route_compiled routes;
	char why[256] = "";
	int unused;

	make_config();
	cr_assert_eq(weir_dataplane_clean(&serve.config), 0);
	cr_assert_eq(weir_dataplane_load(&serve.config, NULL, &serve.dp, why), 0, "%s", why);
	prog_cache_secret(weir_dataplane_cache_secret(serve.dp));
	cr_assert_eq(weir_route_compile(&serve.config, weir_dataplane_cache_secret(serve.dp), 0, &routes), 0);
	cr_assert_eq(weir_dataplane_configure(serve.dp, &serve.config, &routes), 0);
	weir_route_compiled_fini(&routes);
	weir_dataplane_pool_fds(serve.dp, 0, prog.cache[0], &unused, &unused);
	open_pool(POOL_A, backlog);
	open_pool(POOL_B, backlog);
	cr_assert_eq(weir_dataplane_attach(serve.dp, &serve.config, why), 0, "%s", why);
	stop_clock();
	serve_mark();
}

void serve_start(void)
{
	serve_start_with_backlog(64);
}

void serve_stop(void)
{
	serve.dp = weir_dataplane_free(serve.dp);
}

static void set_timeout(int fd)
{
	struct timeval wait = { .tv_sec = SERVE_WAIT_MS / 1000 };
	int on = 1;

	cr_assert(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)));
	cr_assert(!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)));
	cr_assert(!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
}

int serve_connect(enum serve_endpoint e)
{
	struct sockaddr_storage to;
	socklen_t bytes = sizeof(to);
	int fd = socket(e == SERVE_V6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	set_timeout(fd);
	cr_assert(!getsockname(serve.listeners[POOL_A][e], (struct sockaddr *)&to, &bytes));
	cr_assert(!connect(fd, (struct sockaddr *)&to, bytes), "connect: %s", strerror(errno));
	return fd;
}

static bool is_readable(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, wait_ms) == 1;
}

int serve_accept(uint16_t pool, enum serve_endpoint e)
{
	int fd;

	cr_assert(is_readable(serve.listeners[pool][e], SERVE_WAIT_MS), "no connection came to pool %u", pool);
	fd = accept4(serve.listeners[pool][e], NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(fd, 0, "accept: %s", strerror(errno));
	set_timeout(fd);
	return fd;
}

bool serve_is_quiet(uint16_t pool)
{
	return !is_readable(serve.listeners[pool][SERVE_V4], 0) && !is_readable(serve.listeners[pool][SERVE_V6], 0);
}

void serve_send(int fd, const char *text)
{
	ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL);

	cr_assert_eq(n, (ssize_t)strlen(text), "send: %s", strerror(errno));
}

static void read_exactly(int fd, char *out, size_t bytes)
{
	size_t n = 0;

	while (n < bytes) {
		ssize_t r = recv(fd, out + n, bytes - n, 0);

		cr_assert_gt(r, 0, "%zu of %zu bytes came: %s\n%.*s", n, bytes, r ? strerror(errno) : "end of stream",
			     (int)n, out);
		n += (size_t)r;
	}
}

void serve_expect(int fd, const char *text)
{
	char got[8192];
	size_t bytes = strlen(text);

	cr_assert_leq(bytes, sizeof(got));
	read_exactly(fd, got, bytes);
	cr_assert_arr_eq(got, text, bytes, "got %.*s", (int)bytes, got);
}

void serve_expect_entry(int fd, const struct prog_entry *e, bool is_head, bool is_close)
{
	static char got[WEIR_BYTES_L + 1024], expected[WEIR_BYTES_L + 1024];
	size_t bytes = prog_response(e, is_head, is_close, expected);
	char *date;

	read_exactly(fd, got, bytes);
	date = memmem(got, bytes, "\r\nDate: ", 8);
	cr_assert_not_null(date);
	cr_assert_arr_eq(date + 8 + 25, " GMT", 4);
	memcpy(date + 8, DATE, WEIR_DATE_BYTES);
	cr_assert_arr_eq(got, expected, bytes, "got:\n%.*s", (int)bytes, got);
}

int serve_end(int fd)
{
	char byte;
	ssize_t r = recv(fd, &byte, 1, 0);

	cr_assert_leq(r, 0, "a byte came instead of the end");
	cr_assert(r == 0 || errno != EAGAIN, "neither a byte nor the end came");
	return r ? errno : 0;
}

static struct weir_addr mapped(const struct sockaddr_storage *s, uint16_t *ret_port)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)s;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)s;
	struct weir_addr a = { { 0, 0, htonl(0xffff), 0 } };

	if (s->ss_family == AF_INET6)
		memcpy(&a, &v6->sin6_addr, sizeof(a));
	else
		a.word[3] = v4->sin_addr.s_addr;
	*ret_port = v4->sin_port; /* at the same place in both */
	return a;
}

struct weir_flow_key serve_key(int client)
{
	struct sockaddr_storage here, there;
	socklen_t a = sizeof(here), b = sizeof(there);
	struct weir_flow_key k = {};

	cr_assert(!getsockname(client, (struct sockaddr *)&here, &a) &&
		  !getpeername(client, (struct sockaddr *)&there, &b));
	k.client = mapped(&here, &k.client_port);
	k.server = mapped(&there, &k.server_port);
	return k;
}

struct search {
	struct weir_flow_key key;
	struct weir_flow *ret;
};

static int compare(const struct weir_flow_key *k, const struct weir_flow *f, void *arg)
{
	struct search *s = arg;

	if (memcmp(k, &s->key, sizeof(*k)))
		return 0;
	*s->ret = *f;
	return 1;
}

bool serve_flow_find(const struct weir_flow_key *k, struct weir_flow *ret)
{
	struct search s = { *k, ret };

	return weir_dataplane_flow_each(serve.dp, compare, &s);
}

bool serve_flow(int client, struct weir_flow *ret)
{
	struct weir_flow_key k = serve_key(client);

	return serve_flow_find(&k, ret);
}

bool serve_is_owned_by(int client, enum weir_owner owner)
{
	struct weir_flow f = {};

	(void)serve_flow(client, &f);
	return f.owner == owner;
}

static struct weir_ticket *slot_of(int client, uint16_t pool, struct weir_flow_key *ret_key)
{
	struct weir_ticket *ways;
	unsigned i;

	*ret_key = serve_key(client);
	ways = &serve.tickets[pool][weir_ticket_bucket(ret_key) * WEIR_TICKET_WAYS];
	for (i = 0; i < WEIR_TICKET_WAYS; i++)
		if (!memcmp(&ways[i].key, ret_key, sizeof(*ret_key)))
			return &ways[i];
	for (i = 0; i < WEIR_TICKET_WAYS - 1 && ways[i].state; i++)
		;
	return &ways[i];
}

void serve_offer(int client, uint16_t pool, uint32_t consumed, uint32_t sent)
{
	struct weir_flow_key k;
	struct weir_ticket *t = slot_of(client, pool, &k);

	t->consumed = consumed;
	t->sent = sent;
	t->key = k;
	/* release: pairs with the compare-and-swap of the programs (weir_ticket_move()) */
	__atomic_store_n(&t->state, GENERATION | WEIR_TICKET_OFFERED, __ATOMIC_RELEASE);
}

void serve_withdraw(int client, uint16_t pool)
{
	struct weir_flow_key k;

	__atomic_store_n(&slot_of(client, pool, &k)->state, WEIR_TICKET_EMPTY, __ATOMIC_RELEASE);
}

enum weir_ticket_state serve_ticket(int client, uint16_t pool)
{
	struct weir_flow_key k;

	return __atomic_load_n(&slot_of(client, pool, &k)->state, __ATOMIC_ACQUIRE) & 0xff;
}

static struct weir_dataplane_stats stats(void)
{
	struct weir_dataplane_stats s;

	cr_assert_eq(weir_dataplane_stats(serve.dp, 0, &s), 0);
	return s;
}

void serve_mark(void)
{
	struct weir_dataplane_stats s = stats();

	memcpy(serve.verdicts, s.verdicts, sizeof(serve.verdicts));
}

uint64_t serve_counted(enum weir_verdict v)
{
	return stats().verdicts[v] - serve.verdicts[v];
}

uint64_t serve_missed(enum weir_miss m)
{
	return stats().misses[m];
}

void serve_pause(void)
{
	(void)poll(NULL, 0, 1);
}
