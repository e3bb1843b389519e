/* SPDX-License-Identifier: GPL-2.0 */
/* A record for each request that this worker has answered, refused or lost, and for each connection that it gave up: into
 * the slot's ring, where the log's process finds it. Called by whoever owns the connection. A request that is completed by
 * another thread, when the thread that read it has the next one, takes its record along. */
#include "worker/wrk_priv.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/macro.h"

/* Of text[]: what is left is the next one's. */
#define METHOD_MAX 32
#define TARGET_MAX 480
#define HOST_MAX 128
#define REFERER_MAX 200

/* NULL: nothing is logged now. */
static struct weir_log_ring *ring_of(const struct wrk_worker *w)
{
	struct weir_log_shared *logs = w->setup->logs;

	/* acquire: pairs with the release in sup_log_open(): the rings are there */
	return logs && __atomic_load_n(&logs->is_on, __ATOMIC_ACQUIRE) ? &logs->rings[w->setup->slot] : NULL;
}

static void publish(const struct wrk_worker *w, struct weir_log_ring *ring, uint64_t position)
{
	if (weir_log_publish(ring, position))
		weir_log_wake(w->setup->logs);
}

void wrk_log_begin(struct wrk_thread *t, struct wrk_conn *c, struct weir_str raw)
{
	t->log_raw = raw;
	t->log_reason = WEIR_LOG_REASON_NONE;
	t->log_by = WEIR_LOG_BY_WORKER;
	c->sent_bytes = 0;
	c->log_status = 0;
	c->is_log_due = true;
}

static enum weir_log_reason reason_of_400(const struct weir_request *req)
{
	const char *why = req->why ? req->why : "";

	if (strstr(why, "Host"))
		return WEIR_LOG_REASON_HOSTNAME;
	if (strstr(why, "method"))
		return WEIR_LOG_REASON_VERB;
	if (strstr(why, "target") || strstr(why, "path") || strstr(why, "URL"))
		return WEIR_LOG_REASON_URL;
	return strstr(why, "field") || strstr(why, "Content-Length") || strstr(why, "Transfer-Encoding")
		       ? WEIR_LOG_REASON_HEADER
		       : WEIR_LOG_REASON_BAD_REQUEST;
}

enum weir_log_reason wrk_log_reason(const struct weir_request *req, unsigned status)
{
	switch (status) {
	case 400:
		return reason_of_400(req);
	case 411:
		return WEIR_LOG_REASON_LENGTH_REQUIRED;
	case 413:
		return WEIR_LOG_REASON_ENTITY_TOO_LARGE;
	case 414:
		return WEIR_LOG_REASON_URL_LENGTH;
	case 417:
		return WEIR_LOG_REASON_PRECONDITION;
	case 431:
		return req->why && strstr(req->why, "field") ? WEIR_LOG_REASON_FIELD_LENGTH
							     : WEIR_LOG_REASON_REQUEST_LENGTH;
	case 500:
		return WEIR_LOG_REASON_INTERNAL;
	case 501:
		return WEIR_LOG_REASON_NOT_IMPLEMENTED;
	case 502:
	case 503:
	case 504:
		return WEIR_LOG_REASON_UNAVAILABLE;
	case 505:
		return WEIR_LOG_REASON_VERSION;
	default:
		return WEIR_LOG_REASON_BAD_REQUEST;
	}
}

static void describe_conn(const struct wrk_worker *w, const struct wrk_conn *c, struct weir_log_record *rec)
{
	memset(rec, 0, offsetof(struct weir_log_record, text));
	rec->key = c->key;
	rec->pool = w->setup->pool->id;
	rec->endpoint = c->endpoint;
	rec->ended_ns = weir_now_ns();
}

/* The first line of what could not be parsed. */
static void cut_raw(struct weir_str raw, struct weir_str *method, struct weir_str *target)
{
	struct weir_str line = { raw.p, MIN(raw.n, (size_t)WRK_IN_BYTES) };

	if (!raw.p || !weir_str_next(&(struct weir_str){ raw.p, line.n }, '\n', &line))
		return;
	line = weir_str_trim(line);
	(void)weir_str_next(&line, ' ', method);
	(void)weir_str_next(&line, ' ', target);
}

/* Returns the bytes of text[] that are used. */
static size_t describe_request(const struct wrk_thread *t, const struct wrk_conn *c, struct weir_log_record *rec)
{
	const struct weir_request *req = &t->req;
	struct weir_str method = req->method_text, target = req->target;
	size_t used = 0, behind = 0;

	describe_conn(t->w, c, rec);
	if (method.n == 0 || target.n == 0)
		cut_raw(t->log_raw, &method, &target);
	if (t->log_raw.n > req->head_bytes)
		behind = MIN(t->log_raw.n - req->head_bytes, req->body_bytes);
	rec->begun_ns = c->begun_ns;
	rec->received = req->head_bytes + MAX((uint64_t)behind, (uint64_t)t->body_taken);
	rec->flags = WEIR_LOG_IS_REQUEST;
	rec->by = t->log_by;
	rec->version = req->method_text.n > 0 ? (uint8_t)(10 + MIN(req->minor, 1u)) : 0;
	rec->method_bytes = weir_log_text(rec, &used, method, METHOD_MAX);
	rec->target_bytes = weir_log_text(rec, &used, target, TARGET_MAX);
	rec->host_bytes = weir_log_text(rec, &used, req->host, HOST_MAX);
	rec->referer_bytes = weir_log_text(rec, &used, req->fields[WEIR_FIELD_REFERER], REFERER_MAX);
	rec->agent_bytes = weir_log_text(rec, &used, req->fields[WEIR_FIELD_USER_AGENT], sizeof(rec->text));
	return used;
}

void wrk_log_request(struct wrk_thread *t, struct wrk_conn *c, unsigned status)
{
	struct weir_log_ring *ring = ring_of(t->w);
	struct weir_log_record *rec;
	uint64_t position;

	rec = ring && c->is_log_due ? weir_log_reserve(ring, &position) : NULL;
	if (rec) {
		(void)describe_request(t, c, rec);
		rec->sent = c->sent_bytes;
		rec->status = (uint16_t)status;
		rec->reason = t->log_reason;
		publish(t->w, ring, position);
	}
	c->is_log_due = false;
}

struct weir_log_record *wrk_log_keep(struct wrk_thread *t, struct wrk_conn *c)
{
	struct weir_log_ring *ring = ring_of(t->w);
	struct weir_log_record whole, *rec;
	size_t bytes;

	if (!ring || !c->is_log_due)
		return NULL;
	bytes = offsetof(struct weir_log_record, text) + describe_request(t, c, &whole);
	whole.reason = t->log_reason;
	rec = malloc(bytes);
	if (rec)
		memcpy(rec, &whole, bytes);
	else
		__atomic_add_fetch(&ring->lost, 1, __ATOMIC_RELAXED);
	return rec;
}

void wrk_log_kept(struct wrk_worker *w, struct wrk_conn *c, struct weir_log_record *kept, unsigned status,
		  enum weir_log_reason reason)
{
	struct weir_log_ring *ring = ring_of(w);
	struct weir_log_record *rec;
	uint64_t position;

	rec = kept ? weir_log_reserve(ring, &position) : NULL;
	if (rec) {
		memcpy(rec, kept,
		       offsetof(struct weir_log_record, text) + kept->method_bytes + kept->target_bytes +
			       kept->host_bytes + kept->referer_bytes + kept->agent_bytes);
		rec->ended_ns = weir_now_ns();
		rec->sent = c->sent_bytes;
		rec->status = (uint16_t)status;
		if (reason)
			rec->reason = (uint8_t)reason;
		publish(w, ring, position);
	}
	c->is_log_due = false;
	free(kept);
}

void wrk_log_conn(struct wrk_worker *w, const struct wrk_conn *c, enum weir_log_reason reason)
{
	struct weir_log_ring *ring = ring_of(w);
	struct weir_log_record *rec;
	uint64_t position;

	rec = ring ? weir_log_reserve(ring, &position) : NULL;
	if (!rec)
		return;
	describe_conn(w, c, rec);
	rec->reason = (uint8_t)reason;
	publish(w, ring, position);
}

void wrk_log_dead(struct wrk_worker *w, struct wrk_conn *c, unsigned status, uint64_t sent, enum weir_log_reason reason)
{
	struct weir_log_ring *ring = ring_of(w);
	struct weir_str what = { c->what, strnlen(c->what, sizeof(c->what)) }, method = { NULL, 0 },
			target = { NULL, 0 };
	struct weir_log_record *rec;
	uint64_t position;
	size_t used = 0;

	rec = ring && c->is_log_due ? weir_log_reserve(ring, &position) : NULL;
	if (rec) {
		describe_conn(w, c, rec);
		(void)weir_str_next(&what, ' ', &method);
		target = what;
		rec->begun_ns = c->begun_ns;
		rec->flags = WEIR_LOG_IS_REQUEST;
		rec->status = (uint16_t)status;
		rec->sent = sent;
		rec->reason = (uint8_t)reason;
		rec->method_bytes = weir_log_text(rec, &used, method, METHOD_MAX);
		rec->target_bytes = weir_log_text(rec, &used, target, TARGET_MAX);
		publish(w, ring, position);
	}
	c->is_log_due = false;
}
