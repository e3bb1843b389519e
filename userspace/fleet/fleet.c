// SPDX-License-Identifier: GPL-2.0
/* The loop of the fleet process: the supervisor's orders, news in the stream, signs of life, and connecting again. */
#include "fleet/flt_priv.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/utsname.h>

#include "common/clock.h"
#include "common/fds.h"
#include "common/log.h"
#include "common/macro.h"
#include "fleet/rights.h"

#define ASK_LIMIT_MS 60000 /* a purge takes the supervisor milliseconds; a lock that a worker holds, seconds */

/* Says what has changed since the last time. */
static void say_state(struct flt *f)
{
	struct flt_message m = { .kind = FLT_STATE, .is_good = f->link != NULL, .hosts = f->hosts };

	snprintf(m.text, sizeof(m.text), "%s", f->link ? "" : f->why);
	if (f->said.kind == FLT_STATE && f->said.is_good == m.is_good && f->said.hosts == m.hosts &&
	    !strcmp(f->said.text, m.text))
		return;
	f->said = m;
	if (flt_send(f->setup->channel, &m, NULL, 0) < 0)
		f->is_over = true;
}

static void connect_now(struct flt *f)
{
	int r = flt_connect(f);

	if (r == 0)
		r = flt_beat(f, false);
	if (r == 0)
		r = flt_follow(f);
	if (r == 0)
		r = flt_wait_begin(f);
	f->backoff_ms = r == 0 ? FLT_BACKOFF_MIN_MS : MIN(f->backoff_ms * 2, (unsigned)FLT_BACKOFF_MAX_MS);
	f->retry_ms = weir_now_ms() + f->backoff_ms;
	say_state(f);
}

static void publish(struct flt *f, const struct flt_message *order)
{
	struct flt_message done = { .kind = FLT_DONE, .number = order->number };
	struct flt_id id;
	int r = -EIO;

	if (f->link)
		r = flt_add(f, flt_what_names[order->what], order->text, &id);
	if (r == 0)
		r = flt_beat(f, false); /* who is there now */
	done.is_good = r == 0;
	done.hosts = f->hosts;
	if (flt_send(f->setup->channel, &done, r == 0 ? "" : f->why, 0) < 0)
		f->is_over = true;
	say_state(f);
}

int flt_ask(struct flt *f, struct flt_message *m, const char *text)
{
	struct pollfd p = { .fd = f->setup->channel, .events = POLLIN };
	uint64_t until_ms = weir_now_ms() + ASK_LIMIT_MS, now;
	struct flt_message answer;
	int r;

	m->number = ++f->asked;
	r = flt_send(f->setup->channel, m, text, 0);
	while (r == 0 && (now = weir_now_ms()) < until_ms) {
		if (poll(&p, 1, (int)(until_ms - now)) <= 0)
			continue;
		r = flt_receive(f->setup->channel, &answer, 0);
		if (r == 0 && answer.kind == FLT_PUBLISH)
			publish(f, &answer);
		if (r == 0 && answer.kind == FLT_APPLIED && answer.number == m->number)
			return answer.is_good ? 0 : -EAGAIN;
	}
	if (r < 0)
		f->is_over = true;
	return r < 0 ? -EPIPE : -EAGAIN;
}

static void on_order(struct flt *f)
{
	struct flt_message m;

	if (flt_receive(f->setup->channel, &m, 0) < 0) {
		f->is_over = true;
		return;
	}
	if (m.kind != FLT_PUBLISH)
		return;
	if (!f->link)
		connect_now(f); /* the server may be back already */
	if (!f->is_over)
		publish(f, &m);
}

static void on_news(struct flt *f)
{
	int r = flt_wait_read(f);

	if (r == 0)
		return;
	if (r > 0)
		r = flt_follow(f);
	if (r == 0)
		r = flt_wait_begin(f);
	say_state(f);
}

static void turn(struct flt *f)
{
	struct pollfd p[2] = { { .fd = f->setup->channel, .events = POLLIN },
			       { .fd = f->wait ? f->wait->fd : -1, .events = POLLIN } };
	uint64_t now = weir_now_ms(), due = f->link ? f->beat_ms : f->retry_ms;

	(void)poll(p, 2, due > now ? (int)MIN(due - now, (uint64_t)60000) : 0);
	if (p[0].revents)
		on_order(f);
	else if (p[1].revents)
		on_news(f);
	else if (weir_now_ms() < due || f->is_over)
		return;
	else if (!f->link)
		connect_now(f);
	else
		(void)flt_beat(f, false);
	if (!f->link && f->retry_ms < weir_now_ms())
		f->retry_ms = weir_now_ms() + f->backoff_ms;
	say_state(f);
}

/* New in each process: a host that is a copy of another must not take its entries for its own. */
static int name_host(struct flt *f)
{
	struct utsname u = {};
	uint64_t number[2];
	char *at;

	if (getrandom(number, sizeof(number), 0) != sizeof(number))
		return -EIO;
	(void)uname(&u);
	for (at = u.nodename; *at; at++)
		if ((unsigned char)*at <= ' ' || *at == 0x7f)
			*at = '_';
	snprintf(f->host, sizeof(f->host), "%.48s-%016llx%016llx", u.nodename, (unsigned long long)number[0],
		 (unsigned long long)number[1]);
	return 0;
}

void flt_main(const struct flt_setup *setup)
{
	static struct flt f = { .backoff_ms = FLT_BACKOFF_MIN_MS };
	int keep[2] = { setup->channel, setup->position }, r;

	f.setup = setup;
	weir_fds_close_except(keep, ARRAY_SIZE(keep));
	(void)prctl(PR_SET_NAME, "weir-fleet", 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	r = name_host(&f);
	if (r == 0)
		r = flt_rights_give_up(setup->uid, setup->gid, FLT_MEMORY);
	if (r < 0) {
		weir_err(r, "fleet: cannot give up rights, so purges stay on this host");
		exit(1);
	}
	flt_position_load(&f);
	while (!f.is_over)
		turn(&f);
	if (f.link)
		(void)flt_beat(&f, true);
	exit(0);
}
