// SPDX-License-Identifier: GPL-2.0
/* The supervisor's end of the fleet: starts the process that talks to the server (fleet/fleet.h), does what other hosts
 * have purged, has what is purged here published, and keeps what became of that for the command that asks. Never waits. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"

#define RETRY_MS 1000
#define TOLD_MAX 64 /* publications whose end is remembered */
#define SAY_IGNORED_MS 10000
#define END_MS 500

struct told {
	uint32_t number; /* 0: free */
	bool is_done, is_good;
	bool is_ours; /* nobody asks what became of it */
	unsigned hosts;
	char why[256];
};

struct sup_fleet {
	pid_t pid;   /* 0: none */
	int channel; /* -1: none */
	uint64_t retry_ms;
	bool is_connected;
	unsigned hosts; /* others */
	char why[256];	/* not connected: why */
	uint64_t published, failed, applied, ignored, flushes;
	uint64_t ignored_ms; /* when that was last said */
	uint32_t number;
	struct told told[TOLD_MAX]; /* by number */
};

int sup_fleet_new(struct sup *s)
{
	if (!s->config->fleet.redis)
		return 0;
	s->fleet = calloc(1, sizeof(*s->fleet));
	if (!s->fleet)
		return -ENOMEM;
	s->fleet->channel = -1;
	snprintf(s->fleet->why, sizeof(s->fleet->why), "not connected yet");
	return 0;
}

int sup_fleet_fd(const struct sup *s)
{
	return s->fleet ? s->fleet->channel : -1;
}

/* Beside the control socket, and it stays there: the next instance goes on from it. */
static int open_position(const struct sup *s)
{
	size_t bytes = strlen(s->config->control);
	char path[256];

	if (bytes > 5 && !strcmp(s->config->control + bytes - 5, ".sock"))
		bytes -= 5;
	snprintf(path, sizeof(path), "%.*s.fleet", (int)bytes, s->config->control);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void run_child(struct sup *s, int channel, int position)
{
	const struct weir_conf_pool *account = &s->config->pools[0]; /* that of a worker: one that owns nothing */
	struct flt_setup setup = { .conf = &s->config->fleet,
				   .channel = channel,
				   .position = position,
				   .uid = account->uid,
				   .gid = account->gid };
	static char password[WEIR_FLEET_PASSWORD_MAX];
	const char *why;

	(void)sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
	if (s->config->fleet.password_file) {
		if (weir_fleet_password_read(s->config->fleet.password_file, password, &setup.account, &why) < 0)
			weir_warn("fleet_password_file '%s': %s; going on without it", s->config->fleet.password_file,
				  why);
		else
			setup.password = password;
	}
	flt_main(&setup);
}

static int start(struct sup *s)
{
	_cleanup_close_ int position = open_position(s), ours = -1, theirs = -1;
	struct epoll_event e = { .events = EPOLLIN };
	int pair[2];
	pid_t pid;

	if (position < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	e.data.fd = ours;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, ours, &e) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		run_child(s, theirs, position);
	if (pid < 0)
		return -errno;
	s->fleet->pid = pid;
	s->fleet->channel = TAKE_FD(ours);
	return 0;
}

void sup_fleet_start(struct sup *s)
{
	struct sup_fleet *f = s->fleet;
	int r;

	if (!f || f->pid || s->is_stopping || weir_now_ms() < f->retry_ms)
		return;
	f->retry_ms = weir_now_ms() + RETRY_MS;
	r = start(s);
	if (r < 0)
		weir_err(r, "fleet: its process cannot be started, so purges stay on this host");
}

static void fail_told(struct sup_fleet *f, struct told *t, const char *why)
{
	t->is_done = true;
	f->failed++;
	snprintf(t->why, sizeof(t->why), "%.255s", why);
	if (t->is_ours)
		weir_warn("fleet: a PURGE of a client was done here, but the other hosts were not told (%.200s)", why);
}

/* What was under way is lost: those who wait for it are told. */
static void lose(struct sup *s, const char *why)
{
	struct sup_fleet *f = s->fleet;
	size_t i;

	if (f->channel >= 0) {
		(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, f->channel, NULL);
		close(TAKE_FD(f->channel));
	}
	f->is_connected = false;
	f->hosts = 0;
	snprintf(f->why, sizeof(f->why), "%s", why);
	for (i = 0; i < TOLD_MAX; i++) {
		struct told *t = &f->told[i];

		if (!t->number || t->is_done)
			continue;
		fail_told(f, t, why);
	}
}

void sup_fleet_died(struct sup *s, pid_t pid)
{
	if (!s->fleet || pid != s->fleet->pid)
		return;
	s->fleet->pid = 0;
	lose(s, "its process has ended");
	if (!s->is_stopping)
		weir_warn("the fleet process has ended; it is started again");
}

void sup_fleet_free(struct sup *s)
{
	uint64_t until_ms = weir_now_ms() + END_MS;
	const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
	pid_t pid;

	if (!s->fleet)
		return;
	pid = s->fleet->pid;
	lose(s, "the instance ends"); /* with the channel's end the process signs off and ends */
	while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0) {
		if (weir_now_ms() > until_ms)
			(void)kill(pid, SIGKILL);
		(void)nanosleep(&pause, NULL);
	}
	free(s->fleet);
	s->fleet = NULL;
}

/* --- what other hosts do --- */

static int flush_all(struct sup *s)
{
	size_t i;
	int r = 0, one;

	for (i = 0; i < s->config->pools_count; i++) {
		one = sup_cache_flush(s, &s->config->pools[i]);
		r = one < 0 ? one : r;
	}
	return r;
}

static void answer(struct sup *s, uint32_t number, bool is_good)
{
	struct flt_message m = { .kind = FLT_APPLIED, .number = number, .is_good = is_good };

	/* a process that does not read is of no use: its end shows as a closed channel */
	if (flt_send(s->fleet->channel, &m, "", MSG_DONTWAIT) < 0)
		(void)kill(s->fleet->pid, SIGKILL);
}

static void ignored(struct sup_fleet *f, const char *why)
{
	uint64_t now = weir_now_ms();

	f->ignored++;
	if (f->ignored_ms && now - f->ignored_ms < SAY_IGNORED_MS)
		return;
	f->ignored_ms = now;
	weir_warn("fleet: ignored: %s", why);
}

static void on_purge(struct sup *s, const struct flt_message *m)
{
	const char *why = "";
	int n = sup_cache_purge(s, (enum flt_what)m->what, m->text, &why);

	if (n == -EINVAL)
		ignored(s->fleet, why);
	else if (n >= 0)
		s->fleet->applied++;
	answer(s, m->number, n >= 0 || n == -EINVAL);
}

static void on_flush(struct sup *s, const struct flt_message *m)
{
	int r = flush_all(s);

	if (r == 0) {
		s->fleet->flushes++;
		weir_info("fleet: emptied the caches of all pools, %s", m->text);
	}
	answer(s, m->number, r == 0);
}

static void on_done(struct sup_fleet *f, const struct flt_message *m)
{
	struct told *t = &f->told[m->number % TOLD_MAX];

	if (t->number != m->number || t->is_done)
		return;
	if (!m->is_good) {
		fail_told(f, t, m->text);
		return;
	}
	t->is_done = t->is_good = true;
	t->hosts = m->hosts;
	f->published++;
}

static void on_state(struct sup *s, const struct flt_message *m)
{
	struct sup_fleet *f = s->fleet;
	const char *server = s->config->fleet.redis;

	f->hosts = m->hosts;
	if (m->is_good && !f->is_connected)
		weir_info("fleet: connected to %s, %u other host%s", server, m->hosts, m->hosts == 1 ? "" : "s");
	else if (!m->is_good && strcmp(f->why, m->text))
		weir_warn("fleet: no connection to %s (%.200s); purges stay on this host until there is one", server,
			  m->text);
	f->is_connected = m->is_good;
	snprintf(f->why, sizeof(f->why), "%.255s", m->text);
}

void sup_fleet_dispatch(struct sup *s)
{
	struct flt_message m;
	int r;

	while (s->fleet->channel >= 0 && (r = flt_receive(s->fleet->channel, &m, MSG_DONTWAIT)) != -EAGAIN) {
		if (r < 0) {
			/* it is reaped when it is gone */
			(void)(s->fleet->pid > 0 && kill(s->fleet->pid, SIGKILL));
			lose(s, "its process has ended");
			return;
		}
		if (m.kind == FLT_PURGE)
			on_purge(s, &m);
		else if (m.kind == FLT_FLUSH)
			on_flush(s, &m);
		else if (m.kind == FLT_DONE)
			on_done(s->fleet, &m);
		else if (m.kind == FLT_STATE)
			on_state(s, &m);
		else if (m.kind == FLT_IGNORED)
			ignored(s->fleet, m.text);
	}
}

/* --- what is done here --- */

/* Returns its number. */
static uint32_t publish(struct sup *s, enum flt_what what, const char *text, bool is_ours)
{
	struct flt_message m = { .kind = FLT_PUBLISH, .what = what };
	struct sup_fleet *f = s->fleet;
	struct told *t;
	int r;

	if (!++f->number)
		f->number = 1;
	m.number = f->number;
	t = &f->told[f->number % TOLD_MAX];
	*t = (struct told){ .number = f->number, .is_ours = is_ours };
	r = f->channel >= 0 ? flt_send(f->channel, &m, text, MSG_DONTWAIT) : -ENOTCONN;
	if (r < 0)
		fail_told(f, t,
			  r == -EMSGSIZE ? "the text is too long"
			  : r == -EAGAIN ? "too many purges wait to be told already"
					 : f->why);
	return f->number;
}

void sup_fleet_publish(struct sup *s, enum flt_what what, const char *text, json_t *reply)
{
	if (s->fleet)
		json_object_set_new(reply, "fleet", json_integer((json_int_t)publish(s, what, text, false)));
}

struct collect {
	struct sup *s;
	const struct weir_conf_pool *pool;
};

/* A key, "host/target", is a URL; of one that was cut all are meant that begin so. */
static void publish_key(struct weir_str key, bool is_cut, void *arg)
{
	const struct collect *c = arg;
	char text[FLT_TEXT_MAX];

	if (key.n >= sizeof(text))
		return;
	memcpy(text, key.p, key.n);
	text[key.n] = '\0';
	publish(c->s, is_cut ? FLT_PREFIX : FLT_URL, text, true);
}

/* What clients had purged with PURGE. While there is no connection it waits in the stores; of what does not fit there
 * the pool is left. */
void sup_fleet_collect(struct sup *s)
{
	struct collect c = { .s = s };
	struct weir_pool_cache *pc;
	size_t i;

	if (!s->fleet || !s->fleet->is_connected)
		return;
	for (i = 0; i < s->config->pools_count; i++) {
		c.pool = &s->config->pools[i];
		pc = sup_store_of(s, c.pool);
		if (pc && !weir_store_told(pc->store, publish_key, &c))
			publish(s, FLT_POOL, c.pool->name, true);
	}
}

json_t *sup_control_fleet_told(struct sup *s, const json_t *request)
{
	uint32_t number = (uint32_t)json_integer_value(json_object_get(request, "number"));
	const struct told *t = s->fleet && number ? &s->fleet->told[number % TOLD_MAX] : NULL;

	if (!t || t->number != number)
		return weir_ipc_error("nothing is known of that any more");
	return json_pack("{s:b, s:b, s:b, s:i, s:s}", "ok", 1, "is_done", t->is_done, "is_good", t->is_good, "hosts",
			 (int)t->hosts, "why", t->why);
}

json_t *sup_fleet_json(const struct sup *s)
{
	const struct sup_fleet *f = s->fleet;

	if (!f)
		return json_null();
	return json_pack("{s:s, s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "server", s->config->fleet.redis,
			 "stream", s->config->fleet.stream, "connected", f->is_connected, "why_not",
			 f->is_connected ? "" : f->why, "hosts", (json_int_t)f->hosts, "published",
			 (json_int_t)f->published, "publish_failures", (json_int_t)f->failed, "applied",
			 (json_int_t)f->applied, "ignored", (json_int_t)f->ignored, "flushes", (json_int_t)f->flushes);
}
