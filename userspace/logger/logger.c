/* SPDX-License-Identifier: GPL-2.0 */
/* The log's process: the loop, and how a record becomes an entry. It polls its rings, because waking it would cost those
 * who serve more than it costs to look. */
#include "logger/log_priv.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/fds.h"
#include "common/log.h"
#include "common/macro.h"
#include "dataplane/dataplane.h"

#define BATCH 4096     /* records of one ring in a turn */
#define BUSY_MS 2      /* between two looks while records come */
#define IDLE_MS 25     /* and while none come: the rings hold what comes meanwhile */
#define BEFORE_MS 5000 /* patience with the process that consumed before */
#define ORPHAN_LOOK_MS 200
#define SAY_MS 1000
#define LAST_TURNS 64

static struct {
	const struct log_setup *setup;
	struct weir_events *events; /* NULL: no kernel side */
	struct log_format format;
	struct log_out access, error;
	struct weir_log_reader readers[WEIR_SLOTS_MAX];
	bool was_used[WEIR_SLOTS_MAX];
	bool has_kernel_errors; /* in the access log */
	bool is_over, is_orphan;
	uint64_t now_ms;
	uint64_t real_ns; /* CLOCK_REALTIME less CLOCK_MONOTONIC */
	uint64_t kernel_lost, kernel_drops, drops_said;
	uint64_t lost_said, said_ms, orphan_ms;
} me;

static const char *pool_name(unsigned id)
{
	const struct weir_config *c = me.setup->config;
	size_t i;

	if (id > 0 && id <= c->pools_count && c->pools[id - 1].id == id)
		return c->pools[id - 1].name;
	for (i = 0; i < c->pools_count; i++)
		if (c->pools[i].id == id)
			return c->pools[i].name;
	return "-";
}

static void settle(void)
{
	__atomic_add_fetch(&me.setup->shared->settled, 1, __ATOMIC_RELAXED);
}

/* Lines for an entry; its record is settled by the last of them. */
static void put(struct log_entry *e, bool is_request, bool is_error)
{
	bool to_access = is_request && me.access.fd >= 0, to_error = is_error && me.error.fd >= 0;

	if (!to_access && !to_error) {
		settle();
		return;
	}
	if (e->has_head)
		log_head_parse(e->head, e);
	if (to_access)
		log_out_end(&me.access, log_format_access(&me.format, e, log_out_begin(&me.access)), !to_error,
			    me.now_ms);
	if (to_error)
		log_errors_put(&me.error, e, true, me.now_ms);
}

/* --- the kernel side --- */

static void drop_reason(const struct weir_event *ev, struct log_entry *e)
{
	static const char *const words[] = { "Forbidden", "Connections_Refused", "ConnLimit", "RateLimit" };
	unsigned i = (unsigned)ev->verdict - WEIR_VERDICT_DROP_DENIED;

	e->reason = i < ARRAY_SIZE(words) ? words[i] : "-";
	e->reason_id = LOG_REASON_DROP + MIN(i, (unsigned)ARRAY_SIZE(words));
}

static void on_event(const struct weir_event *ev, const char *segment, void *arg)
{
	struct log_entry e = {
		.time_ns = ev->time_ns + me.real_ns,
		.sent = ev->bytes,
		.received = ev->request_bytes,
		.took_us = ev->took_ns / 1000,
		.key = ev->key,
		.pool = pool_name(ev->pool),
		.by = "kernel",
		.reason = "-",
		.status = ev->status,
		.endpoint = ev->endpoint,
		.has_head = ev->segment_bytes > ev->skip_bytes,
	};

	(void)arg;
	__atomic_add_fetch(&me.setup->shared->taken, 1, __ATOMIC_RELAXED);
	if (e.has_head)
		e.head = (struct weir_str){ segment + ev->skip_bytes, (size_t)(ev->segment_bytes - ev->skip_bytes) };
	switch (ev->kind) {
	case WEIR_EVENT_HIT:
		put(&e, true, false);
		break;
	case WEIR_EVENT_REFUSAL:
		e.reason = weir_refusal_phrase((enum weir_refusal)MIN(ev->refusal, (unsigned)WEIR_REFUSAL__MAX - 1));
		e.reason_id = LOG_REASON_REFUSAL + MIN(ev->refusal, (unsigned)WEIR_REFUSAL__MAX - 1);
		put(&e, me.has_kernel_errors, true);
		break;
	case WEIR_EVENT_DROP:
		drop_reason(ev, &e);
		put(&e, false, true);
		break;
	default:
		settle();
	}
}

/* --- the workers --- */

static struct weir_str cut(const char **at, size_t n)
{
	struct weir_str s = { *at, n };

	*at += n;
	return s;
}

static void on_record(const struct weir_log_record *r)
{
	const char *at = r->text;
	struct log_entry e = {
		.time_ns = r->ended_ns + me.real_ns,
		.sent = r->sent,
		.received = r->received,
		.took_us = r->begun_ns && r->ended_ns > r->begun_ns ? (r->ended_ns - r->begun_ns) / 1000 : 0,
		.key = r->key,
		.method = cut(&at, r->method_bytes),
		.target = cut(&at, r->target_bytes),
		.host = cut(&at, r->host_bytes),
		.referer = cut(&at, r->referer_bytes),
		.agent = cut(&at, r->agent_bytes),
		.pool = pool_name(r->pool),
		.by = weir_log_by_name(r->by),
		.reason = weir_log_reason_phrase(r->reason),
		.reason_id = r->reason < WEIR_LOG_REASON__MAX ? r->reason : 0,
		.status = r->status <= 999 ? r->status : 0,
		.version = r->version,
		.endpoint = r->endpoint,
	};

	if (r->reason > WEIR_LOG_REASON_REFUSAL && r->reason < WEIR_LOG_REASON_REFUSAL + WEIR_REFUSAL__MAX) {
		e.reason = weir_refusal_phrase((enum weir_refusal)(r->reason - WEIR_LOG_REASON_REFUSAL));
		e.reason_id = r->reason;
	}
	put(&e, r->flags & WEIR_LOG_IS_REQUEST, e.reason_id != 0);
}

/* True: there was something. */
static bool take_slot(uint32_t slot)
{
	struct weir_log_shared *s = me.setup->shared;
	static struct weir_log_record rec;
	bool is_busy = false;
	unsigned i;

	for (i = 0; i < WEIR_LOG_CELLS; i++) {
		enum weir_log_next next;

		__atomic_add_fetch(&s->taken, 1, __ATOMIC_RELAXED);
		next = weir_log_take(&s->rings[slot], &me.readers[slot], me.now_ms, &rec);
		if (next == WEIR_LOG_TAKEN) {
			on_record(&rec);
			is_busy = true;
			continue;
		}
		__atomic_sub_fetch(&s->taken, 1, __ATOMIC_RELAXED);
		if (next == WEIR_LOG_EMPTY)
			break;
		__atomic_add_fetch(&s->lost, 1, __ATOMIC_RELAXED);
	}
	return is_busy;
}

static bool take_all(void)
{
	bool is_busy = false;
	uint32_t i;

	me.now_ms = weir_now_ms();
	if (me.events && weir_events_consume(me.events, BATCH))
		is_busy = true;
	/* a ring that nobody ever used is not touched: it would take memory */
	for (i = 0; i < WEIR_SLOTS_MAX; i++) {
		me.was_used[i] |= weir_metrics_get(&me.setup->metrics[i], keeper_pid) != 0;
		if (me.was_used[i])
			is_busy |= take_slot(i);
	}
	return is_busy;
}

/* --- what is said about the log itself --- */

static uint64_t lost_in_all(void)
{
	struct weir_log_shared *s = me.setup->shared;
	uint64_t sum = __atomic_load_n(&s->lost, __ATOMIC_RELAXED) + me.kernel_lost;
	uint32_t i;

	for (i = 0; i < WEIR_SLOTS_MAX; i++)
		sum += !me.was_used[i] ? 0 : __atomic_load_n(&s->rings[i].lost, __ATOMIC_RELAXED);
	return sum;
}

static void remark(struct log_out *o, const char *text)
{
	if (o->fd >= 0)
		log_out_end(o, log_format_remark(o->format, text, log_out_begin(o)), false, me.now_ms);
}

static void say(bool is_last)
{
	uint64_t lost = lost_in_all();
	char text[120];

	if (!is_last && me.now_ms < me.said_ms + SAY_MS)
		return;
	me.said_ms = me.now_ms;
	log_errors_tick(&me.error, me.now_ms, is_last);
	if (lost > me.lost_said) {
		snprintf(text, sizeof(text), "%llu records were lost", (unsigned long long)(lost - me.lost_said));
		remark(&me.access, text);
		remark(&me.error, text);
		me.lost_said = lost;
		__atomic_store_n(&me.setup->shared->lost_said, lost, __ATOMIC_RELAXED);
	}
	if (me.kernel_drops > me.drops_said) {
		snprintf(text, sizeof(text), "protection dropped %llu more packets",
			 (unsigned long long)(me.kernel_drops - me.drops_said));
		remark(&me.error, text);
		me.drops_said = me.kernel_drops;
	}
}

static void flush_due(bool is_all)
{
	struct log_out *const outs[] = { &me.access, &me.error };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(outs); i++)
		if (outs[i]->n > 0 && (is_all || me.now_ms >= outs[i]->since_ms + LOG_FLUSH_MS))
			log_out_flush(outs[i]);
}

/* --- orders --- */

static void obey(const struct log_order *o, int fd)
{
	switch (o->what) {
	case LOG_ORDER_ACCESS:
		log_out_open(&me.access, fd);
		return;
	case LOG_ORDER_ERROR:
		log_out_open(&me.error, fd);
		return;
	case LOG_ORDER_KERNEL_LOST:
		me.kernel_lost = o->value;
		break;
	case LOG_ORDER_KERNEL_DROPS:
		me.kernel_drops = o->value;
		break;
	case LOG_ORDER_ERRORS:
		me.has_kernel_errors = o->value != 0;
		break;
	case LOG_ORDER_END:
		me.is_over = true;
		break;
	}
	if (fd >= 0)
		close(fd);
}

static void receive(void)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct log_order order;
	struct iovec iov = { &order, sizeof(order) };

	for (;;) {
		struct msghdr m = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control.room,
				    .msg_controllen = sizeof(control.room) };
		ssize_t n = recvmsg(me.setup->channel, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
		int fd = -1;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			me.is_orphan = true;
			return;
		}
		if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		if (n == sizeof(order))
			obey(&order, fd);
		else if (fd >= 0)
			close(fd);
	}
}

static bool is_any_keeper_alive(void)
{
	uint32_t i;

	for (i = 0; i < WEIR_SLOTS_MAX; i++) {
		pid_t pid = (pid_t)weir_metrics_get(&me.setup->metrics[i], keeper_pid);

		if (pid > 1 && (kill(pid, 0) == 0 || errno != ESRCH))
			return true;
	}
	return false;
}

static void look_around(void)
{
	if (__atomic_load_n(&me.setup->shared->consumer, __ATOMIC_ACQUIRE) != me.setup->consumer)
		me.is_over = true;
	if (!me.is_orphan || me.now_ms < me.orphan_ms + ORPHAN_LOOK_MS)
		return;
	me.orphan_ms = me.now_ms;
	if (!is_any_keeper_alive())
		me.is_over = true;
}

static void measure_clocks(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	me.real_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec - weir_now_ns();
}

static void turn(void)
{
	static bool is_busy;
	static uint32_t before;

	weir_log_sleep(me.setup->shared, before, is_busy ? BUSY_MS : IDLE_MS);
	before = weir_log_before_sleep(me.setup->shared);
	if (!me.is_orphan)
		receive();
	look_around();
	measure_clocks();
	is_busy = take_all();
	say(false);
	flush_due(false);
}

/* What an earlier process had taken and not written is lost. */
static void count_predecessors(void)
{
	struct weir_log_shared *s = me.setup->shared;
	uint64_t taken = __atomic_load_n(&s->taken, __ATOMIC_RELAXED);
	uint64_t settled = __atomic_load_n(&s->settled, __ATOMIC_RELAXED);

	if (taken > settled)
		__atomic_add_fetch(&s->lost, taken - settled, __ATOMIC_RELAXED);
	__atomic_store_n(&s->settled, taken, __ATOMIC_RELAXED);
	me.lost_said = __atomic_load_n(&s->lost_said, __ATOMIC_RELAXED);
}

static void wait_before(void)
{
	struct pollfd p = { .fd = me.setup->before, .events = POLLIN };

	if (p.fd >= 0)
		(void)poll(&p, 1, BEFORE_MS);
}

void log_main(const struct log_setup *setup)
{
	const struct weir_conf_log *conf = &setup->config->log;
	int r = 0, turns = LAST_TURNS;
	char wrong[64];

	me.setup = setup;
	me.access = (struct log_out){ .format = &me.format, .shared = setup->shared, .fd = -1 };
	me.error = (struct log_out){ .shared = setup->shared, .fd = -1 };
	(void)weir_conf_log_format(conf->format, &me.format.kind);
	me.format.fields_count = MAX(weir_conf_log_fields(conf->fields, me.format.kind, me.format.fields, wrong), 0);
	weir_fds_close_except((int[]){ setup->channel, setup->before, setup->events_map }, 3);
	(void)prctl(PR_SET_NAME, "weir-log", 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	if (setup->events_map >= 0)
		r = weir_events_open(setup->events_map, on_event, NULL, &me.events);
	if (r == 0)
		r = log_give_up_rights(setup);
	if (r < 0) {
		weir_err(r, "the log's process cannot start, so nothing is logged");
		exit(1);
	}
	wait_before();
	count_predecessors();
	while (!me.is_over)
		turn();
	/* when another process takes over, what is there is for that one */
	if (__atomic_load_n(&setup->shared->consumer, __ATOMIC_ACQUIRE) != setup->consumer)
		turns = 0;
	while (turns-- > 0 && take_all())
		flush_due(false);
	say(true);
	flush_due(true);
	_exit(0);
}
