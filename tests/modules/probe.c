// SPDX-License-Identifier: GPL-2.0
/* A module that does, by the last segments of the path, whatever the tests want to see handled: tests/e2e/65_module. */
#include "weir_module.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
	const struct weir_api *api;
	struct weir_worker *w;
	unsigned requests; /* atomic */
};

struct thread {
	unsigned requests;
	char buf[65536];
};

/* fixed after init */
static const struct weir_api *api;

static int init(const struct weir_api *server, struct weir_worker *w, void **ret)
{
	struct worker *me = calloc(1, sizeof(*me));

	api = server;
	if (!me)
		return -ENOMEM;
	me->api = server;
	me->w = w;
	*ret = me;
	api->log(w, WEIR_MODULE_INFO, "worker_init in %d of pool %s, first option '%s'", getpid(), api->pool(w),
		 api->option_at(w, 0) ? api->option_at(w, 0) : "");
	if (api->option(w, "refuse"))
		return -EPERM;
	if (api->option(w, "crash"))
		abort();
	return 0;
}

static void fini(void *state)
{
	struct worker *me = state;

	api->log(me->w, WEIR_MODULE_INFO, "worker_fini in %d after %u requests", getpid(), me->requests);
	free(me);
}

static int init_thread(void *state, void **ret)
{
	struct worker *me = state;

	*ret = calloc(1, sizeof(struct thread));
	api->log(me->w, WEIR_MODULE_INFO, "thread_init in %d", getpid());
	return *ret ? 0 : -ENOMEM;
}

static void fini_thread(void *state, void *thread)
{
	struct worker *me = state;

	api->log(me->w, WEIR_MODULE_INFO, "thread_fini in %d after %u requests", getpid(),
		 ((struct thread *)thread)->requests);
	free(thread);
}

static int text(struct weir_exchange *x, unsigned status, const char *what)
{
	(void)api->begin(x, status);
	(void)api->add_field(x, "Content-Type", "text/plain", 10);
	(void)api->write(x, what, strlen(what));
	return api->end(x);
}

/* --- bodies --- */

/* Sends the body back as it comes. */
static int echo(struct weir_exchange *x, struct thread *t, unsigned long piece)
{
	ptrdiff_t n;

	(void)api->begin(x, 200);
	if (api->body_bytes(x) != WEIR_MODULE_BODY_UNKNOWN) {
		char length[24];
		int bytes = snprintf(length, sizeof(length), "%llu", (unsigned long long)api->body_bytes(x));

		(void)api->add_field(x, "Content-Length", length, (size_t)bytes);
	}
	while ((n = api->read(x, t->buf, piece && piece < sizeof(t->buf) ? piece : sizeof(t->buf))) > 0)
		if (api->write(x, t->buf, (size_t)n) < 0)
			return 0;
	return n < 0 ? (int)n : api->end(x);
}

/* Counts the body, byte by byte if asked to. */
static int count(struct weir_exchange *x, struct thread *t, unsigned long piece)
{
	unsigned long long bytes = 0, sum = 0;
	char line[96];
	ptrdiff_t n, i;

	while ((n = api->read(x, t->buf, piece ? piece : sizeof(t->buf))) > 0)
		for (i = 0, bytes += (unsigned long long)n; i < n; i++)
			sum = sum * 31 + (unsigned char)t->buf[i];
	if (n < 0)
		return 0;
	(void)snprintf(line, sizeof(line), "%llu %llu\n", bytes, sum);
	return text(x, 200, line);
}

static void fill(char *buf, size_t bytes, unsigned long long from)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		buf[i] = (char)('a' + (from + i) % 23);
}

/* So many bytes, with or without a length. */
static int bytes(struct weir_exchange *x, struct thread *t, unsigned long long all, int has_length, size_t piece)
{
	unsigned long long at = 0;
	char length[24];

	(void)api->begin(x, 200);
	if (has_length)
		(void)api->add_field(x, "Content-Length", length,
				     (size_t)snprintf(length, sizeof(length), "%llu", all));
	while (at < all) {
		size_t n = all - at < piece ? (size_t)(all - at) : piece;

		fill(t->buf, n, at);
		if (api->write(x, t->buf, n) < 0)
			return 0;
		at += n;
	}
	return api->end(x);
}

/* Says "first", and "second" when the client has sent a body. */
static int talk(struct weir_exchange *x, struct thread *t)
{
	(void)api->begin(x, 200);
	(void)api->write(x, "first\n", 6);
	(void)api->flush(x);
	if (api->read(x, t->buf, sizeof(t->buf)) <= 0)
		return -EIO;
	(void)api->write(x, "second\n", 7);
	return api->end(x);
}

/* Everything that there is to know of a request, one a line. */
static int show(struct weir_exchange *x, struct thread *t)
{
	struct weir_text name, value, m = api->method(x), target = api->target(x), path = api->path(x),
				      query = api->query(x), host = api->host(x), prefix = api->prefix(x),
				      agent = api->field(x, "x-TWICE", 1), none = api->field(x, "nothing", 0);
	unsigned i;
	int n;

	n = snprintf(t->buf, sizeof(t->buf),
		     "method %.*s\ntarget %.*s\npath %.*s\nquery %.*s\nhost %.*s\nprefix %.*s\nclient %s %d\n"
		     "minor %u\nsecond %.*s\nnone %d\nrequests %u\n",
		     (int)m.n, m.p, (int)target.n, target.p, (int)path.n, path.p, (int)query.n, query.p ? query.p : "",
		     (int)host.n, host.p, (int)prefix.n, prefix.p, api->client_address(x).p, api->client_port(x) != 0,
		     api->http_minor(x), (int)agent.n, agent.p ? agent.p : "", none.p == NULL, t->requests);
	for (i = 0; api->field_at(x, i, &name, &value) == 0; i++)
		n += snprintf(t->buf + n, sizeof(t->buf) - (size_t)n, "field %.*s=%.*s\n", (int)name.n, name.p,
			      (int)value.n, value.p);
	return text(x, 200, t->buf);
}

/* --- what must not be done --- */

static int misuse(struct weir_exchange *x, struct thread *t, const char *what)
{
	if (!strcmp(what, "nothing"))
		return 0;
	if (!strcmp(what, "failure"))
		return 7;
	if (!strcmp(what, "write_first"))
		(void)api->write(x, "x", 1);
	if (!strcmp(what, "status"))
		(void)api->begin(x, 100);
	(void)api->begin(x, !strcmp(what, "no_content") ? 204 : 200);
	if (!strcmp(what, "two_heads"))
		(void)api->begin(x, 200);
	else if (!strcmp(what, "crlf"))
		(void)api->add_field(x, "X-Bad", "a\r\nSet-Cookie: b", 16);
	else if (!strcmp(what, "name"))
		(void)api->add_field(x, "X Bad", "a", 1);
	else if (!strcmp(what, "framing"))
		(void)api->add_field(x, "Transfer-Encoding", "chunked", 7);
	else if (!strcmp(what, "long"))
		(void)api->add_field(x, "Content-Length", "2", 1);
	else if (!strcmp(what, "short"))
		(void)api->add_field(x, "Content-Length", "99", 2);
	else if (!strcmp(what, "large_head"))
		while (api->add_field(x, "X-Filler", "0123456789012345678901234567890123456789", 40) == 0)
			;
	(void)api->write(x, "body", 4);
	if (!strcmp(what, "late_field") || !strcmp(what, "cut") || !strcmp(what, "cut_failure"))
		(void)api->flush(x);
	if (!strcmp(what, "late_field"))
		(void)api->add_field(x, "X-Late", "a", 1);
	if (!strcmp(what, "cut"))
		(void)api->begin(x, 200);
	if (!strcmp(what, "cut_failure"))
		return -EIO;
	(void)api->end(x);
	if (!strcmp(what, "after_end"))
		(void)api->write(x, "more", 4);
	if (!strcmp(what, "two_ends"))
		(void)api->end(x);
	if (!strcmp(what, "no_room"))
		(void)api->read(x, t->buf, 0);
	return 0;
}

static void crash(const char *how)
{
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "exit"))
		_exit(3);
	(void)raise(SIGSEGV);
}

static int leak(struct weir_exchange *x, unsigned long megabytes)
{
	char *p = malloc(megabytes << 20);
	size_t i;

	for (i = 0; p && i < megabytes << 20; i += 4096)
		((volatile char *)p)[i] = 1;
	return text(x, 200, p ? "leaked\n" : "no memory\n");
}

/* --- the sandbox --- */

static void *run(void *arg)
{
	return arg;
}

/* What the worker may do, one a line: "socket 1" or "fork 0 EPERM". */
static int may(struct weir_exchange *x, struct thread *t)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };
	char name[] = "/tmp/weir_probe_XXXXXX";
	pthread_t id;
	int n = 0, fd;
	pid_t pid;

#define SAY(what, is_possible)                                                                                         \
	(n += snprintf(t->buf + n, sizeof(t->buf) - (size_t)n, "%s %d\n", what, (is_possible) ? 1 : 0))
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SAY("socket", fd >= 0);
	if (fd >= 0)
		close(fd);
	fd = mkstemp(name);
	SAY("file", fd >= 0);
	if (fd >= 0) {
		(void)unlink(name);
		close(fd);
	}
	SAY("thread", pthread_create(&id, NULL, run, NULL) == 0 && pthread_join(id, NULL) == 0);
	pid = fork();
	if (pid == 0)
		_exit(0);
	SAY("fork", pid > 0 && waitpid(pid, NULL, 0) == pid);
	SAY("keeper", kill(getppid(), 0) == 0);
	SAY("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)) >= 0 || errno != EPERM);
#undef SAY
	return text(x, 200, t->buf);
}

/* --- the cache --- */

static int cached(struct weir_exchange *x, struct worker *me, const char *what, unsigned long seconds)
{
	char line[64];

	(void)snprintf(line, sizeof(line), "%s %u\n", what, __atomic_load_n(&me->requests, __ATOMIC_RELAXED));
	(void)api->begin(x, 200);
	(void)api->cache(x, seconds ? WEIR_MODULE_CACHE_TTL : WEIR_MODULE_CACHE_UNTIL_PURGED, (unsigned)seconds);
	(void)api->tag(x, what);
	(void)api->tag(x, "all");
	if (!strcmp(what, "cookie"))
		(void)api->add_field(x, "Set-Cookie", "a=b", 3);
	if (!strcmp(what, "private"))
		(void)api->add_field(x, "Cache-Control", "max-age=5, private", 18);
	(void)api->write(x, line, strlen(line));
	return api->end(x);
}

static int purge(struct weir_exchange *x, struct worker *me, const char *what)
{
	struct weir_text url = api->query(x);
	char copy[512], line[32];
	int n;

	(void)snprintf(copy, sizeof(copy), "%.*s", (int)url.n, url.p ? url.p : "");
	n = !strcmp(what, "url") ? api->purge_url(me->w, copy) : api->purge_tag(me->w, url.p ? copy : NULL);
	(void)snprintf(line, sizeof(line), "%d\n", n);
	return text(x, 200, line);
}

/* --- */

/* Cuts the last segment off the terminated path. */
static const char *cut(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash)
		return "";
	*slash = '\0';
	return slash + 1;
}

static int handle(struct weir_exchange *x, void *state, void *thread)
{
	struct weir_text p = api->path(x);
	struct thread *t = thread;
	struct worker *me = state;
	char path[512];
	const char *last, *verb;
	unsigned long number;

	t->requests++;
	__atomic_add_fetch(&me->requests, 1, __ATOMIC_RELAXED);
	(void)snprintf(path, sizeof(path), "%.*s", (int)p.n, p.p);
	last = cut(path);
	verb = cut(path);
	number = strtoul(last, NULL, 10);
	if (!strcmp(last, "show"))
		return show(x, t);
	if (!strcmp(last, "talk"))
		return talk(x, t);
	if (!strcmp(last, "may"))
		return may(x, t);
	if (!strcmp(last, "pid"))
		return text(x, 200, (snprintf(t->buf, sizeof(t->buf), "%d\n", getpid()), t->buf));
	if (!strcmp(last, "root"))
		return text(x, 200, setuid(0) == 0 ? "root\n" : "refused\n");
	if (!strcmp(last, "hang"))
		for (;;)
			pause();
	if (!strcmp(last, "close")) {
		(void)api->begin(x, 200);
		(void)api->add_field(x, "Connection", "close", 5);
		return api->end(x);
	}
	if (!strcmp(verb, "echo"))
		return echo(x, t, number);
	if (!strcmp(verb, "count"))
		return count(x, t, number);
	if (!strcmp(verb, "bytes"))
		return bytes(x, t, number, 0, sizeof(t->buf));
	if (!strcmp(verb, "length"))
		return bytes(x, t, number, 1, 1000);
	if (!strcmp(verb, "status"))
		return number == 204 || number == 304 ? api->begin(x, (unsigned)number) : text(x, (unsigned)number, "");
	if (!strcmp(verb, "sleep"))
		return usleep((useconds_t)number * 1000), text(x, 200, "slept\n");
	if (!strcmp(verb, "leak"))
		return leak(x, number);
	if (!strcmp(verb, "misuse"))
		return misuse(x, t, last);
	if (!strcmp(verb, "crash"))
		crash(last);
	if (!strcmp(verb, "cache"))
		return cached(x, me, last, 0);
	if (!strcmp(verb, "ttl"))
		return cached(x, me, "ttl", number);
	if (!strcmp(verb, "purge"))
		return purge(x, me, last);
	return text(x, 404, "");
}

const struct weir_module weir_module = {
	.abi_version = WEIR_MODULE_ABI,
	.size = sizeof(weir_module),
	.name = "probe",
	.worker_init = init,
	.worker_fini = fini,
	.thread_init = init_thread,
	.thread_fini = fini_thread,
	.handle = handle,
};
