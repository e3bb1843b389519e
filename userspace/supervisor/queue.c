/* SPDX-License-Identifier: GPL-2.0 */
/* Request queues as the kernel side counts them: the canned refusals that it sends, what is refused (logged once a
 * second), how long a queue has not moved, and a count that went wrong put right. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <string.h>

#include "cache/cache.h"
#include "common/clock.h"
#include "common/log.h"

#define RETRY_SOON_S 1
#define RETRY_LATER_S 30 /* an administrator has to do something */

static unsigned retry_after(enum weir_refusal r)
{
	return r == WEIR_REFUSAL_APP_OFFLINE || r == WEIR_REFUSAL_DISABLED || r == WEIR_REFUSAL_APP_SHUTDOWN
		       ? RETRY_LATER_S
		       : RETRY_SOON_S;
}

static int put_refusal(struct sup *s, enum weir_refusal r, enum weir_verbosity v, struct weir_entry_l *value)
{
	const char *phrase = weir_refusal_phrase(r), *at;
	struct weir_cache_key key = { { r, v } };
	struct weir_cache_image image = {};
	char head[512], body[256], date[WEIR_DATE_BYTES + 1];
	unsigned status = r == WEIR_REFUSAL_RATE ? 429 : 503;
	const char *reason = status == 429 ? "Too Many Requests" : "Service Unavailable";
	int n, m;

	memset(date, 'D', WEIR_DATE_BYTES);
	date[WEIR_DATE_BYTES] = '\0';
	m = snprintf(body, sizeof(body),
		     "<!doctype html><title>%s</title><h2>%s</h2><hr>"
		     "<p>HTTP Error %u. %s%s%s.</p>\n",
		     reason, reason, status,
		     status == 429 ? "The client sends too many requests" : "The service is unavailable",
		     v == WEIR_VERBOSITY_FULL ? ": " : "", v == WEIR_VERBOSITY_FULL ? phrase : "");
	n = snprintf(head, sizeof(head),
		     "HTTP/1.1 %u %s%s%s%s\r\nDate: %s\r\nServer: weir\r\n"
		     "Content-Type: text/html; charset=us-ascii\r\nRetry-After: %u\r\nContent-Length: %d\r\n"
		     "Connection: keep-alive\r\n\r\n",
		     status, reason, v == WEIR_VERBOSITY_FULL ? " (" : "", v == WEIR_VERBOSITY_FULL ? phrase : "",
		     v == WEIR_VERBOSITY_FULL ? ")" : "", date, retry_after(r), m);
	at = strstr(head, date);
	image.status = (uint16_t)status;
	image.head.p = head;
	image.head.bytes = (uint16_t)n;
	image.head.date_off = (uint16_t)(at - head);
	image.head.conn_off = (uint16_t)(strstr(head, "keep-alive") - head);
	image.body = body;
	image.body_bytes = (uint64_t)m;
	memset(head + image.head.date_off, 0, WEIR_DATE_BYTES);
	n = weir_cache_build(&image, NULL, &key, WEIR_STR("-"), WEIR_STR("/"), (uint64_t)r << 8 | v, weir_now_ns(),
			     value);
	if (n != WEIR_CLASS_S)
		return -E2BIG;
	return weir_dataplane_put_refusal(s->dp, r, v, (const struct weir_entry_s *)value);
}

int sup_queues_init(struct sup *s)
{
	_cleanup_free_ struct weir_entry_l *value = malloc(sizeof(*value));
	size_t i;
	int n, r = 0;

	if (!s->dp)
		return 0;
	if (!value)
		return -ENOMEM;
	for (n = WEIR_REFUSAL_NONE + 1; r == 0 && n < WEIR_REFUSAL__MAX; n++) {
		r = put_refusal(s, (enum weir_refusal)n, WEIR_VERBOSITY_LIMITED, value);
		if (r == 0)
			r = put_refusal(s, (enum weir_refusal)n, WEIR_VERBOSITY_FULL, value);
	}
	for (i = 0; r == 0 && i < s->config->pools_count; i++) {
		const struct weir_conf_pool *c = &s->config->pools[i];

		r = weir_dataplane_set_pool(s->dp, c->id, WEIR_REFUSAL_NONE, c->verbosity, c->queue_length);
	}
	return r;
}

static uint64_t in_sockets(const struct sup *s, const struct sup_pool *p)
{
	uint64_t queued = 0;
	unsigned i;

	for (i = 0; i < p->conf->slots; i++)
		queued += sup_sockets_queued(s, &p->slots[i]);
	return queued;
}

uint64_t sup_queue_depth(const struct sup *s, const struct sup_pool *p)
{
	const struct weir_queue *q = s->dp ? weir_dataplane_queue(s->dp, p->conf->id) : NULL;
	int64_t depth;

	if (!q)
		return in_sockets(s, p);
	depth = (int64_t)(__atomic_load_n(&q->arrived, __ATOMIC_RELAXED) -
			  __atomic_load_n(&q->taken, __ATOMIC_RELAXED));
	return depth > 0 ? (uint64_t)depth : 0;
}

uint64_t sup_queue_oldest_ms(const struct sup *s, const struct sup_pool *p)
{
	uint64_t now = weir_now_ms();

	return p->taken_ms && sup_queue_depth(s, p) ? now - MIN(p->taken_ms, now) : 0;
}

/* Nothing waits and nobody serves, but the count says otherwise and has not moved: a request was counted whose
 * connection was reset before anybody took it. */
static void put_right(struct sup *s, struct sup_pool *p, struct weir_queue *q)
{
	/* acquire: in this order, so that what is seen as taken is seen as arrived */
	uint64_t taken = __atomic_load_n(&q->taken, __ATOMIC_ACQUIRE);
	uint64_t arrived = __atomic_load_n(&q->arrived, __ATOMIC_RELAXED);
	bool is_still = arrived == p->arrived && taken == p->taken;

	/* Taken here, counted elsewhere: tcp_migrate_req brought it from the socket of a worker that was replaced. */
	if ((int64_t)(arrived - taken) < 0)
		arrived = __atomic_add_fetch(&q->arrived, taken - arrived, __ATOMIC_RELAXED);
	if (arrived == taken || taken != p->taken)
		p->taken_ms = arrived == taken ? 0 : weir_now_ms();
	else if (!p->taken_ms)
		p->taken_ms = weir_now_ms();
	p->arrived = arrived;
	p->taken = taken;
	p->still = is_still && arrived != taken ? p->still + 1 : 0;
	if (p->still < 2 || sup_pool_sum(s, p, threads_busy) || in_sockets(s, p))
		return;
	if (__atomic_compare_exchange_n(&q->taken, &taken, arrived, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		weir_debug("the queue of pool '%s' was counted as %lld: put right", p->conf->name,
			   (long long)(arrived - taken));
	p->still = 0;
}

static void log_refusals(struct sup *s, struct sup_pool *p)
{
	struct weir_pool_stats st;
	int r;

	if (weir_dataplane_pool_stats(s->dp, p->conf->id, &st) < 0)
		return;
	for (r = WEIR_REFUSAL_NONE + 1; r < WEIR_REFUSAL__MAX; r++) {
		uint64_t n = st.refused[r] - p->refused_seen[r];

		p->refused_seen[r] = st.refused[r];
		if (n)
			weir_warn("pool %s: %llu request%s refused (%s)", p->conf->name, (unsigned long long)n,
				  n == 1 ? "" : "s", weir_refusal_phrase((enum weir_refusal)r));
	}
}

void sup_queue_tick(struct sup *s, struct sup_pool *p)
{
	struct weir_queue *q = s->dp ? weir_dataplane_queue(s->dp, p->conf->id) : NULL;

	if (!q)
		return;
	put_right(s, p, q);
	log_refusals(s, p);
}
