// SPDX-License-Identifier: GPL-2.0
/* The connections to the server, by hiredis. Whatever goes wrong on one of them ends both: they are made again later, and the
 * position says where to go on. */
#include "fleet/flt_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/macro.h"

static void freep(redisReply **r)
{
	if (*r)
		freeReplyObject(*r);
}
#define _cleanup_reply_ _cleanup_(freep)

static int fail(struct flt *f, const char *fmt, ...) _printf_(2, 3);

static int fail(struct flt *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->why, sizeof(f->why), fmt, ap);
	va_end(ap);
	flt_disconnect(f);
	return -EIO;
}

static int fail_of(struct flt *f, const redisContext *c)
{
	if (c && c->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EINPROGRESS || errno == ETIMEDOUT))
		return fail(f, "no answer within %d s", FLT_LIMIT_MS / 1000);
	return fail(f, "%s", c && c->err ? c->errstr : "out of memory");
}

void flt_disconnect(struct flt *f)
{
	if (f->link)
		redisFree(f->link);
	if (f->wait)
		redisFree(f->wait);
	f->link = f->wait = NULL;
	f->hosts = 0;
}

static redisContext *open_one(const char *server)
{
	const struct timeval limit = { .tv_sec = FLT_LIMIT_MS / 1000 };
	const char *colon = strrchr(server, ':');
	char host[256];
	redisContext *c;

	if (!strncmp(server, "unix:", 5)) {
		c = redisConnectUnixWithTimeout(server + 5, limit);
	} else {
		bool is_bracketed = server[0] == '[';

		snprintf(host, sizeof(host), "%.*s", (int)(colon - server) - 2 * is_bracketed, server + is_bracketed);
		c = redisConnectWithTimeout(host, atoi(colon + 1), limit);
	}
	if (c && !c->err)
		(void)redisSetTimeout(c, limit);
	return c;
}

/* 0, or -EIO: *f is disconnected. */
static int log_in(struct flt *f, redisContext *c)
{
	const char *argv[3] = { "AUTH", f->setup->account, f->setup->password };
	_cleanup_reply_ redisReply *r = NULL;

	if (!c || c->err)
		return fail_of(f, c);
	if (!f->setup->password)
		return 0;
	if (!f->setup->account)
		argv[1] = f->setup->password;
	r = redisCommandArgv(c, f->setup->account ? 3 : 2, argv, NULL);
	if (!r)
		return fail_of(f, c);
	return r->type == REDIS_REPLY_ERROR ? fail(f, "the server refuses the password: %.180s", r->str) : 0;
}

int flt_connect(struct flt *f)
{
	int r;

	f->link = open_one(f->setup->conf->redis);
	r = log_in(f, f->link);
	if (r < 0)
		return r;
	f->wait = open_one(f->setup->conf->redis);
	return log_in(f, f->wait);
}

static redisReply *get(struct flt *f)
{
	redisReply *r = NULL;

	if (redisGetReply(f->link, (void **)&r) != REDIS_OK) {
		(void)fail_of(f, f->link);
		return NULL;
	}
	if (r->type != REDIS_REPLY_ERROR)
		return r;
	(void)fail(f, "the server says: %.200s", r->str);
	freeReplyObject(r);
	return NULL;
}

redisReply *flt_call(struct flt *f, int argc, const char *const *argv)
{
	if (redisAppendCommandArgv(f->link, argc, (const char **)argv, NULL) != REDIS_OK) {
		(void)fail_of(f, f->link);
		return NULL;
	}
	return get(f);
}

redisReply *flt_look(struct flt *f)
{
	const char *stream = f->setup->conf->stream;
	char position[FLT_ID_BYTES];
	redisReply *r = NULL;
	size_t i;

	flt_id_format(&f->position, position);
	redisAppendCommand(f->link, "MULTI");
	redisAppendCommand(f->link, "XRANGE %s - + COUNT 1", stream);
	redisAppendCommand(f->link, "XREVRANGE %s + - COUNT 1", stream);
	redisAppendCommand(f->link, "XREAD COUNT " FLT_BATCH " STREAMS %s %s", stream, position);
	redisAppendCommand(f->link, "EXEC");
	for (i = 0; i < 5; i++) {
		if (r)
			freeReplyObject(r);
		r = get(f);
		if (!r)
			return NULL;
	}
	for (i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++) {
		if (r->element[i]->type == REDIS_REPLY_ERROR) {
			(void)fail(f, "the server says: %.200s", r->element[i]->str);
			freeReplyObject(r);
			return NULL;
		}
	}
	if (r->type == REDIS_REPLY_ARRAY && r->elements == 3)
		return r;
	freeReplyObject(r);
	(void)fail(f, "the server's answer makes no sense");
	return NULL;
}

int flt_add(struct flt *f, const char *what, const char *text, struct flt_id *ret)
{
	const char *argv[] = { "XADD",	 f->setup->conf->stream,
			       "MAXLEN", "~",
			       FLT_KEEP, "*",
			       "v",	 "1",
			       "from",	 f->host,
			       "what",	 what,
			       "text",	 text };
	_cleanup_reply_ redisReply *r = flt_call(f, ARRAY_SIZE(argv), argv);

	if (!r)
		return -EIO;
	return r->type == REDIS_REPLY_STRING && flt_id_parse(r->str, r->len, ret)
		       ? 0
		       : fail(f, "the server's answer makes no sense");
}

/* Under a name of its own beside the stream: who is there, by the time when they said so. */
int flt_beat(struct flt *f, bool is_last)
{
	char key[WEIR_FLEET_STREAM_MAX + 8], now[24], since[24], old[24];
	const char *const add[] = { "ZADD", key, now, f->host }, *const remove[] = { "ZREM", key, f->host };
	const char *const trim[] = { "ZREMRANGEBYSCORE", key, "-inf", old }, *const count[] = { "ZCOUNT", key, since,
												"+inf" };
	int64_t s = weir_realtime_s();
	redisReply *r;

	snprintf(key, sizeof(key), "%s:hosts", f->setup->conf->stream);
	snprintf(now, sizeof(now), "%lld", (long long)s);
	snprintf(since, sizeof(since), "%lld", (long long)(s - FLT_ALIVE_S));
	snprintf(old, sizeof(old), "%lld", (long long)(s - 3600));
	f->beat_ms = weir_now_ms() + FLT_BEAT_MS;
	r = is_last ? flt_call(f, ARRAY_SIZE(remove), remove) : flt_call(f, ARRAY_SIZE(add), add);
	if (r && !is_last) {
		freeReplyObject(r);
		r = flt_call(f, ARRAY_SIZE(trim), trim);
	}
	if (r && !is_last) {
		freeReplyObject(r);
		r = flt_call(f, ARRAY_SIZE(count), count);
	}
	if (!r)
		return -EIO;
	if (!is_last && r->type == REDIS_REPLY_INTEGER)
		f->hosts = r->integer > 1 ? (unsigned)MIN(r->integer - 1, 1000000LL) : 0;
	freeReplyObject(r);
	return 0;
}

int flt_wait_begin(struct flt *f)
{
	char position[FLT_ID_BYTES];
	int is_done = 0;

	flt_id_format(&f->position, position);
	redisAppendCommand(f->wait, "XREAD COUNT 1 BLOCK 0 STREAMS %s %s", f->setup->conf->stream, position);
	while (!is_done)
		if (redisBufferWrite(f->wait, &is_done) != REDIS_OK)
			return fail_of(f, f->wait);
	return 0;
}

int flt_wait_read(struct flt *f)
{
	_cleanup_reply_ redisReply *r = NULL;

	if (redisBufferRead(f->wait) != REDIS_OK || redisGetReplyFromReader(f->wait, (void **)&r) != REDIS_OK)
		return fail_of(f, f->wait);
	if (r && r->type == REDIS_REPLY_ERROR)
		return fail(f, "the server says: %.200s", r->str);
	return r != NULL;
}
