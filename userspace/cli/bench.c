// SPDX-License-Identifier: GPL-2.0
/* `weir bench URL`: keep-alive connections that ask for one URL as fast as they are answered, for so long; then rate,
 * latencies, and how much of it the kernel answered. Threads share nothing but the flag that ends them. */
#include "cli/cli.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "cli/http.h"
#include "cli/progress.h"
#include "ipc/ipc.h"

#define CONNECTIONS_DEFAULT 32
#define SECONDS_DEFAULT 10
#define THREADS_DEFAULT 2
#define SUB_BITS 5 /* buckets of a factor of two: 32, so a latency is known to 3 % */
#define BUCKETS (40 << SUB_BITS)
#define EVENTS 64
#define CALL_MS 5000

struct counts {
	uint64_t responses, errors, bytes, refused; /* refused: of the responses, 400 and above */
	uint64_t max_us;
	uint64_t buckets[BUCKETS];
	int error; /* the last one; 0: none */
};

struct plan {
	struct sockaddr_storage to;
	socklen_t to_bytes;
	char *request;
	size_t request_bytes;
	bool is_over; /* any thread, atomic */
};

struct conn {
	struct cmd_http http;
	uint64_t begun_ns; /* 0: no request is under way */
	uint64_t rest_ms;  /* when to go on; 0: when epoll says so */
	bool is_used;	   /* it has been good for a response */
};

struct thread {
	pthread_t id;
	struct plan *plan;
	unsigned connections;
	struct counts counts;
	uint64_t done; /* = counts.responses; atomic, for the progress bar */
};

/* Values up to 32 have buckets of their own; above, each factor of two has 32. */
static unsigned bucket_of(uint64_t us)
{
	unsigned bits = us < 1ULL << SUB_BITS ? 0 : 63 - (unsigned)__builtin_clzll(us) - SUB_BITS;
	unsigned i = bits ? ((bits + 1) << SUB_BITS) + (unsigned)((us >> bits) - (1ULL << SUB_BITS)) : (unsigned)us;

	return MIN(i, (unsigned)BUCKETS - 1);
}

static uint64_t bucket_value(unsigned i)
{
	unsigned bits = i >> SUB_BITS ? (i >> SUB_BITS) - 1 : 0;

	return bits ? ((uint64_t)(i & ((1 << SUB_BITS) - 1)) + (1ULL << SUB_BITS)) << bits : i;
}

static uint64_t percentile(const struct counts *c, double share)
{
	uint64_t wanted = (uint64_t)((double)c->responses * share), seen = 0;
	unsigned i;

	for (i = 0; i < BUCKETS; i++) {
		seen += c->buckets[i];
		if (seen > wanted)
			return MIN(bucket_value(i), c->max_us);
	}
	return c->max_us;
}

static void note(struct thread *t, const struct conn *c)
{
	uint64_t us = (weir_now_ns() - c->begun_ns) / 1000;

	t->counts.buckets[bucket_of(us)]++;
	t->counts.max_us = MAX(t->counts.max_us, us);
	t->counts.bytes += c->http.received;
	t->counts.refused += c->http.reply.status >= 400;
	__atomic_store_n(&t->done, ++t->counts.responses, __ATOMIC_RELAXED);
}

static void watch(int epoll_fd, struct conn *c)
{
	struct epoll_event e = { .events = cmd_http_wants(&c->http) == POLLOUT ? EPOLLOUT : EPOLLIN, .data.ptr = c };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->http.fd, &e) < 0)
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->http.fd, &e);
}

/* Requests on a connection until it must wait. A server that answers at once must not keep the others from their turn. */
static void drive(struct thread *t, int epoll_fd, struct conn *c)
{
	const struct plan *p = t->plan;
	int r, round;

	for (round = 0; round < 4; round++) {
		if (!c->begun_ns) {
			c->begun_ns = weir_now_ns();
			r = cmd_http_begin(&c->http, (const struct sockaddr *)&p->to, p->to_bytes, p->request,
					   p->request_bytes);
		} else {
			r = 0;
		}
		if (r == 0)
			r = cmd_http_step(&c->http);
		if (r == 0)
			break;
		if (r > 0) {
			note(t, c);
			c->is_used = cmd_http_keep(&c->http);
		} else if (r == -EPIPE && c->is_used) {
			c->is_used = false; /* the server may end an idle connection */
			c->rest_ms = 1;
		} else if (!__atomic_load_n(&p->is_over, __ATOMIC_RELAXED)) {
			t->counts.errors++;
			t->counts.error = r;
			c->rest_ms = weir_now_ms() + 10;
		}
		c->begun_ns = 0;
		if (r < 0)
			return;
	}
	if (!c->begun_ns) /* more than its share: it comes again with the others */
		c->rest_ms = 1;
	if (c->http.fd >= 0)
		watch(epoll_fd, c);
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	struct conn *conns = calloc(t->connections, sizeof(*conns));
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC), n;
	struct epoll_event events[EVENTS];
	unsigned i;

	if (!conns || epoll_fd < 0) {
		t->counts.error = -ENOMEM;
		free(conns);
		return NULL;
	}
	for (i = 0; i < t->connections; i++) {
		conns[i].http.fd = -1;
		conns[i].rest_ms = 1;
	}
	while (!__atomic_load_n(&t->plan->is_over, __ATOMIC_RELAXED)) {
		bool is_resting = false;

		for (i = 0; i < t->connections; i++) {
			if (!conns[i].rest_ms)
				continue;
			is_resting = true;
			if (conns[i].rest_ms > weir_now_ms())
				continue;
			conns[i].rest_ms = 0;
			drive(t, epoll_fd, &conns[i]);
		}
		n = epoll_wait(epoll_fd, events, EVENTS, is_resting ? 0 : 50);
		for (n--; n >= 0; n--)
			if (!((struct conn *)events[n].data.ptr)->rest_ms)
				drive(t, epoll_fd, events[n].data.ptr);
	}
	for (i = 0; i < t->connections; i++)
		cmd_http_close(&conns[i].http);
	close(epoll_fd);
	free(conns);
	return NULL;
}

static int resolve(const struct cmd_url *u, struct plan *p)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	char port[16];
	int r;

	snprintf(port, sizeof(port), "%u", u->port ? u->port : 80);
	r = getaddrinfo(u->host, port, &hints, &found);
	if (r != 0)
		return weir_err(0, "cannot find '%s': %s", u->host, gai_strerror(r));
	memcpy(&p->to, found->ai_addr, found->ai_addrlen);
	p->to_bytes = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* Hits of the kernel cache so far; -1: no instance says so. */
static json_int_t kernel_hits(const struct cmd_args *args)
{
	_cleanup_json_ json_t *request = json_pack("{s:s}", "command", "stats"), *reply = NULL;

	if (!request || weir_ipc_call(args->control, request, CALL_MS, &reply) < 0 ||
	    !json_is_true(json_object_get(reply, "attached")))
		return -1;
	return cmd_int(json_object_get(reply, "kernel"), "hits");
}

static void wait_and_show(struct thread *threads, unsigned count, unsigned seconds)
{
	uint64_t begin = weir_now_ms(), now, done;
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct cmd_progress bar;
	char words[80];
	unsigned i;

	cmd_progress_begin(&bar, seconds * 1000ULL);
	while ((now = weir_now_ms()) - begin < seconds * 1000ULL) {
		for (i = 0, done = 0; i < count; i++)
			done += __atomic_load_n(&threads[i].done, __ATOMIC_RELAXED);
		snprintf(words, sizeof(words), "%s responses, %s/s", cmd_number((json_int_t)done),
			 cmd_number((json_int_t)(done * 1000 / MAX(now - begin, (uint64_t)1))));
		cmd_progress_show(&bar, now - begin, words);
		(void)nanosleep(&pause, NULL);
	}
	cmd_progress_end(&bar);
}

static void add(struct counts *sum, const struct counts *c)
{
	unsigned i;

	sum->responses += c->responses;
	sum->errors += c->errors;
	sum->bytes += c->bytes;
	sum->refused += c->refused;
	sum->max_us = MAX(sum->max_us, c->max_us);
	sum->error = c->error ? c->error : sum->error;
	for (i = 0; i < BUCKETS; i++)
		sum->buckets[i] += c->buckets[i];
}

static enum cmd_exit report(const struct cmd_args *args, const struct counts *c, double seconds, json_int_t hits)
{
	static const double shares[] = { 0.5, 0.9, 0.99, 0.999 };
	static const char *const names[] = { "p50_us", "p90_us", "p99_us", "p999_us" };
	json_t *latency = json_object(), *reply;
	enum cmd_exit r = c->responses ? CMD_OK : CMD_FAILED;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shares); i++)
		json_object_set_new(latency, names[i], json_integer((json_int_t)percentile(c, shares[i])));
	json_object_set_new(latency, "max_us", json_integer((json_int_t)c->max_us));
	reply = json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:o}", "responses", (json_int_t)c->responses, "refused",
			  (json_int_t)c->refused, "errors", (json_int_t)c->errors, "bytes", (json_int_t)c->bytes,
			  "seconds", seconds, "rate", (double)c->responses / seconds, "latency", latency, "kernel_hits",
			  hits < 0 ? json_null() : json_integer(hits));
	if (args->is_json) {
		(void)cmd_print_json(reply);
	} else {
		printf("responses  %s in %.1f s, %s/s, %s/s\n", cmd_number((json_int_t)c->responses), seconds,
		       cmd_number((json_int_t)((double)c->responses / seconds)),
		       cmd_bytes((json_int_t)((double)c->bytes / seconds)));
		printf("latency    ");
		for (i = 0; i < ARRAY_SIZE(shares); i++)
			printf("%g%% %.3f ms, ", shares[i] * 100, (double)percentile(c, shares[i]) / 1000);
		printf("longest %.3f ms\n", (double)c->max_us / 1000);
		if (hits < 0)
			printf("kernel     no instance with XDP on %s says how much of it the kernel answered\n",
			       args->control);
		else
			printf("kernel     %.1f%% answered from the kernel cache\n",
			       c->responses ? MIN(100.0 * (double)hits / (double)c->responses, 100.0) : 0.0);
		if (c->refused)
			printf("refused    %s responses have status 400 or above\n",
			       cmd_number((json_int_t)c->refused));
	}
	json_decref(reply);
	if (c->errors || c->error)
		weir_err(c->error, "%s connections ended without a response, the last one",
			 cmd_number((json_int_t)c->errors));
	return r;
}

enum cmd_exit cmd_bench(const struct cmd_args *args)
{
	unsigned connections = args->connections ? args->connections : CONNECTIONS_DEFAULT;
	unsigned count = MIN(args->bench_threads ? args->bench_threads : THREADS_DEFAULT, connections), i, running;
	unsigned seconds = args->seconds ? args->seconds : SECONDS_DEFAULT;
	_cleanup_free_ struct thread *threads = calloc(count, sizeof(*threads));
	_cleanup_free_ struct cmd_url *u = calloc(1, sizeof(*u));
	_cleanup_free_ struct counts *sum = calloc(1, sizeof(*sum));
	_cleanup_free_ char *request = NULL;
	struct plan plan = {};
	json_int_t before, after;
	uint64_t begin;

	if (!threads || !u || !sum)
		return CMD_FAILED;
	if (!cmd_url_parse(args->words[0], strlen(args->words[0]), u) || !strncasecmp(args->words[0], "https", 5)) {
		weir_err(0, "'%s' is no URL: write it as http://host:port/path", args->words[0]);
		return CMD_USAGE;
	}
	request = cmd_http_request(args, u);
	if (!request || resolve(u, &plan) < 0)
		return CMD_FAILED;
	plan.request = request;
	plan.request_bytes = strlen(request);
	before = kernel_hits(args);
	begin = weir_now_ns();
	for (running = 0; running < count; running++) {
		struct thread *t = &threads[running];

		t->plan = &plan;
		t->connections = connections / count + (running < connections % count);
		if (pthread_create(&t->id, NULL, run_thread, t) != 0)
			break;
	}
	if (running)
		wait_and_show(threads, running, seconds);
	__atomic_store_n(&plan.is_over, true, __ATOMIC_RELAXED);
	for (i = 0; i < running; i++) {
		(void)pthread_join(threads[i].id, NULL);
		add(sum, &threads[i].counts);
	}
	begin = weir_now_ns() - begin;
	after = kernel_hits(args);
	return report(args, sum, (double)begin / 1e9, before < 0 || after < 0 ? -1 : after - before);
}
