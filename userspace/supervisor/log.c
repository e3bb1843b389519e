/* SPDX-License-Identifier: GPL-2.0 */
/* Starts the log's process (logger/logger.h), starts it again when it dies, gives it its files, and answers `weir log`.
 * One process consumes the rings at a time: each gets a number, and who has not the last one ends. */
#include "supervisor/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"
#include "logger/logger.h"

#define RETRY_MS 1000
#define END_MS 3000

static unsigned period_of(const struct sup *s)
{
	unsigned period = WEIR_LOG_PERIOD_OFF;

	(void)weir_conf_log_period(s->config->log.rotate_time, &period);
	return period;
}

static bool is_on(const struct sup *s)
{
	return s->log.files[0].path || s->log.files[1].path;
}

/* What the kernel side is to record. */
static void apply_hits(struct sup *s)
{
	const struct sup_log *l = &s->log;
	struct weir_log_conf conf = {
		.hits_every = l->files[0].path ? l->hits.every : 0,
		.refusals = (l->files[0].path && l->hits.has_errors) || l->files[1].path,
	};

	if (s->dp && weir_dataplane_log_set(s->dp, &conf) < 0)
		weir_warn("requests that XDP answers are not logged: the switch cannot be written");
}

/* Memory that the rings use must be there: who runs out of it in the middle of a store gets SIGBUS. */
static int reserve_rings(const struct sup *s)
{
	size_t i;

	if (madvise(s->logs, offsetof(struct weir_log_shared, rings), MADV_POPULATE_WRITE) < 0)
		return -errno;
	for (i = 0; i < s->slots_count; i++)
		if (s->slots[i].pool && madvise(&s->logs->rings[i], sizeof(s->logs->rings[i]), MADV_POPULATE_WRITE) < 0)
			return -errno;
	return 0;
}

int sup_log_open(struct sup *s)
{
	const struct weir_conf_log *c = &s->config->log;
	const char *const paths[2] = { c->access, c->error };
	size_t i;
	int r;

	/* who consumes for an earlier supervisor, and shall not any more, ends */
	if (!(c->access && *c->access) && !(c->error && *c->error))
		__atomic_add_fetch(&s->logs->consumer, 1, __ATOMIC_RELEASE);

	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		if (!paths[i] || !*paths[i])
			continue;
		s->log.files[i].path = paths[i];
		r = sup_log_file_open(&s->log.files[i], period_of(s));
		if (r < 0)
			return weir_err(r, "cannot write the %s log '%s'", i == 0 ? "access" : "error", paths[i]);
	}
	r = is_on(s) ? reserve_rings(s) : 0;
	if (r < 0)
		return weir_err(r, "no memory for the log beside the control socket '%s'", s->config->control);
	(void)weir_conf_log_hits(c->kernel_hits, &s->log.hits);
	apply_hits(s);
	/* release: workers see rings that are there */
	__atomic_store_n(&s->logs->is_on, is_on(s), __ATOMIC_RELEASE);
	return 0;
}

static int send_order(struct sup_log *l, enum log_what what, uint64_t value, int fd)
{
	struct log_order order = { .what = what, .value = value };
	struct iovec iov = { &order, sizeof(order) };
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (l->channel < 0)
		return -ENOTCONN;
	if (fd >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	}
	return sendmsg(l->channel, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* What has not been sent, or could not be. */
static void send_files(struct sup *s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s->log.files); i++) {
		struct sup_log_file *f = &s->log.files[i];

		if (f->fd >= 0 && !f->is_sent)
			f->is_sent = send_order(&s->log, i == 0 ? LOG_ORDER_ACCESS : LOG_ORDER_ERROR, 0, f->fd) == 0;
	}
}

/* A process that an earlier supervisor, or we, started and that still lives: a descriptor of it, else -1. */
static int find_before(const struct sup *s)
{
	const struct sup_state *st = s->state;
	int fd;

	if (st->logger <= 0 || sup_process_start(st->logger) != st->logger_ticks)
		return -1;
	fd = pidfd_open(st->logger, 0);
	if (fd >= 0 && sup_process_start(st->logger) != st->logger_ticks)
		close(TAKE_FD(fd));
	return fd;
}

void sup_log_start(struct sup *s)
{
	struct sup_log *l = &s->log;
	struct log_setup setup = {
		.config = s->config,
		.shared = s->logs,
		.metrics = s->metrics,
		.events_map = s->dp ? weir_dataplane_events_fd(s->dp) : -1,
		.uid = s->config->pools[0].uid,
		.gid = s->config->pools[0].gid,
	};
	_cleanup_close_ int before = -1;
	int pair[2];

	if (!is_on(s) || l->pid || s->is_stopping || weir_now_ms() < l->retry_ms)
		return;
	l->retry_ms = weir_now_ms() + RETRY_MS;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		weir_err(-errno, "nothing is logged for now");
		return;
	}
	before = find_before(s);
	/* release: pairs with the acquire of the one that is to end */
	setup.consumer = __atomic_add_fetch(&s->logs->consumer, 1, __ATOMIC_RELEASE);
	setup.channel = pair[1];
	setup.before = before;
	l->pid = fork();
	if (l->pid == 0) {
		(void)sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
		log_main(&setup);
	}
	close(pair[1]);
	if (l->pid < 0) {
		weir_err(-errno, "nothing is logged for now: no process for it");
		close(pair[0]);
		l->pid = 0;
		return;
	}
	l->channel = pair[0];
	s->state->logger = l->pid;
	s->state->logger_ticks = sup_process_start(l->pid);
	l->files[0].is_sent = l->files[1].is_sent = false;
	l->kernel_lost = l->kernel_drops = 0;
	send_files(s);
	(void)send_order(l, LOG_ORDER_ERRORS, l->hits.has_errors, -1);
}

void sup_log_died(struct sup *s, pid_t pid)
{
	if (pid != s->log.pid)
		return;
	s->log.pid = 0;
	close(TAKE_FD(s->log.channel));
	if (!s->is_stopping)
		weir_warn("the log's process has ended; it is started again, and records wait for it");
	sup_log_start(s);
}

static void rotate(struct sup *s, struct sup_log_file *f)
{
	int r = sup_log_file_rotate(f, period_of(s), s->config->log.keep);

	if (r < 0)
		weir_err(r, "cannot begin a new log file '%s', writing the old one on", f->path);
}

void sup_log_rotate(struct sup *s, bool is_forced)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s->log.files); i++) {
		struct sup_log_file *f = &s->log.files[i];
		bool is_moved = f->fd >= 0 && sup_log_file_is_moved(f);
		int r;

		if (f->fd < 0)
			continue;
		if (is_moved && is_forced) { /* logrotate was here */
			r = sup_log_file_open(f, period_of(s));
			if (r < 0)
				weir_err(r, "cannot open the log file '%s', writing the renamed one on", f->path);
		} else if (is_forced ||
			   sup_log_file_is_due(f, period_of(s), (uint64_t)s->config->log.rotate_size_kb * 1024,
					       weir_realtime_s())) {
			rotate(s, f);
		}
	}
	send_files(s);
}

void sup_log_report(struct sup *s)
{
	struct weir_log_stats st;

	if (!is_on(s) || !s->dp || weir_dataplane_log_stats(s->dp, &st) < 0)
		return;
	if (st.lost != s->log.kernel_lost && send_order(&s->log, LOG_ORDER_KERNEL_LOST, st.lost, -1) == 0)
		s->log.kernel_lost = st.lost;
	if (st.drops != s->log.kernel_drops && send_order(&s->log, LOG_ORDER_KERNEL_DROPS, st.drops, -1) == 0)
		s->log.kernel_drops = st.drops;
}

void sup_log_tick(struct sup *s)
{
	if (!is_on(s))
		return;
	sup_log_start(s);
	sup_log_rotate(s, false);
	sup_log_report(s);
}

/* After the last worker and the last packet: it writes what is in the rings and ends. */
void sup_log_close(struct sup *s)
{
	struct sup_log *l = &s->log;
	_cleanup_close_ int pidfd = l->pid > 0 ? pidfd_open(l->pid, 0) : -1;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	size_t i;

	if (l->pid > 0) {
		if (send_order(l, LOG_ORDER_END, 0, -1) < 0 || poll(&p, 1, END_MS) != 1) {
			weir_warn("the log's process does not end: records may be missing");
			(void)kill(l->pid, SIGKILL);
		}
		(void)waitpid(l->pid, NULL, 0);
		l->pid = 0;
	}
	if (l->channel >= 0)
		close(TAKE_FD(l->channel));
	for (i = 0; i < ARRAY_SIZE(l->files); i++)
		if (l->files[i].fd >= 0)
			close(TAKE_FD(l->files[i].fd));
}

/* --- records of our own --- */

static void note_address(const struct sockaddr_storage *from, struct weir_addr *ret, __be16 *ret_port)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *four = (const struct sockaddr_in *)from;

	if (from->ss_family == AF_INET6) {
		memcpy(ret, &six->sin6_addr, sizeof(*ret));
		*ret_port = six->sin6_port;
	} else if (from->ss_family == AF_INET) {
		ret->word[2] = htonl(0xffff);
		ret->word[3] = four->sin_addr.s_addr;
		*ret_port = four->sin_port;
	}
}

void sup_log_refused(struct sup *s, const struct sup_pool *p, int fd, unsigned status, uint64_t sent)
{
	struct weir_log_ring *ring = &s->logs->rings[p->conf->first_slot];
	struct sockaddr_storage client = {}, server = {};
	socklen_t n = sizeof(client), m = sizeof(server);
	struct weir_log_record *rec;
	uint64_t position;

	if (!is_on(s))
		return;
	(void)getpeername(fd, (struct sockaddr *)&client, &n);
	(void)getsockname(fd, (struct sockaddr *)&server, &m);
	rec = weir_log_reserve(ring, &position);
	if (!rec)
		return;
	memset(rec, 0, offsetof(struct weir_log_record, text));
	note_address(&client, &rec->key.client, &rec->key.client_port);
	note_address(&server, &rec->key.server, &rec->key.server_port);
	rec->ended_ns = weir_now_ns();
	rec->sent = sent;
	rec->status = (uint16_t)status;
	rec->pool = p->conf->id;
	rec->flags = WEIR_LOG_IS_REQUEST;
	rec->reason = (uint8_t)(WEIR_LOG_REASON_REFUSAL + p->refusal);
	if (weir_log_publish(ring, position))
		weir_log_wake(s->logs);
}

/* --- commands --- */

json_t *sup_control_log_show(struct sup *s, const json_t *request)
{
	const struct sup_log *l = &s->log;

	(void)request;
	return json_pack("{s:b, s:s, s:s}", "ok", 1, "access_log", l->files[0].path ? l->files[0].path : "",
			 "error_log", l->files[1].path ? l->files[1].path : "");
}

json_t *sup_control_log_rotate(struct sup *s, const json_t *request)
{
	(void)request;
	if (!is_on(s))
		return weir_ipc_error("there is no log to rotate: set access_log or error_log in the configuration");
	sup_log_rotate(s, true);
	return weir_ipc_ok();
}

json_t *sup_control_log_set(struct sup *s, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "name"));
	const char *value = json_string_value(json_object_get(request, "value"));
	struct weir_log_hits hits;

	if (!name || !value || (strcmp(name, "kernel_hits") && strcmp(name, "log_kernel_hits")))
		return weir_ipc_error("what can be set live is kernel_hits");
	if (weir_conf_log_hits(value, &hits) < 0)
		return weir_ipc_error("kernel_hits is full, errors, off, or a number n for one hit in n, not '%s'",
				      value);
	if (!s->log.files[0].path)
		return weir_ipc_error("there is no access log: set access_log in the configuration");
	s->log.hits = hits;
	apply_hits(s);
	(void)send_order(&s->log, LOG_ORDER_ERRORS, hits.has_errors, -1);
	return weir_ipc_ok();
}

json_t *sup_log_json(struct sup *s)
{
	const struct weir_log_shared *g = s->logs;
	struct weir_log_stats st = {};
	uint64_t ring_lost = 0;
	size_t i;

	if (s->dp)
		(void)weir_dataplane_log_stats(s->dp, &st);
	for (i = 0; i < s->slots_count; i++)
		ring_lost += !s->slots[i].pool ? 0 : __atomic_load_n(&g->rings[i].lost, __ATOMIC_RELAXED);
#define COUNT(member) (json_int_t) __atomic_load_n(&g->member, __ATOMIC_RELAXED)
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "access_lines", COUNT(access_lines),
			 "error_lines", COUNT(error_lines), "bytes", COUNT(bytes), "suppressed", COUNT(suppressed),
			 "write_errors", COUNT(write_errors), "kernel_records", (json_int_t)st.written, "kernel_lost",
			 (json_int_t)st.lost, "worker_lost", (json_int_t)ring_lost, "lost",
			 (json_int_t)(st.lost + ring_lost + __atomic_load_n(&g->lost, __ATOMIC_RELAXED)));
#undef COUNT
}
