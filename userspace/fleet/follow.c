// SPDX-License-Identifier: GPL-2.0
/* Reads the stream from the position on, and has the supervisor do what it says. The position is written when that is done:
 * after a crash a purge is done twice rather than not at all. */
#include "fleet/flt_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/macro.h"

#define FLUSHES_MAX 3 /* of one call: a server must not keep us at it */

static void freep(redisReply **r)
{
	if (*r)
		freeReplyObject(*r);
}
#define _cleanup_reply_ _cleanup_(freep)

void flt_position_load(struct flt *f)
{
	char text[FLT_POSITION_BYTES] = "";
	ssize_t n = pread(f->setup->position, text, sizeof(text) - 1, 0);

	if (n > 0)
		f->has_position = flt_position_parse(text, f->setup->conf, &f->position) == 0;
}

static void save(struct flt *f, const struct flt_id *id)
{
	char text[FLT_POSITION_BYTES];
	size_t bytes;

	f->position = *id;
	f->has_position = true;
	flt_position_format(id, f->setup->conf, text, sizeof(text));
	bytes = strlen(text);
	/* what cannot be written is a flush at the next start, no more */
	if (pwrite(f->setup->position, text, bytes, 0) == (ssize_t)bytes)
		(void)!ftruncate(f->setup->position, (off_t)bytes);
}

/* The id of the only entry of an array of at most one. NULL: there is none. */
static const struct flt_id *only(const redisReply *list, struct flt_id *buf)
{
	const redisReply *e = list->type == REDIS_REPLY_ARRAY && list->elements == 1 ? list->element[0] : NULL;

	if (!e || e->type != REDIS_REPLY_ARRAY || e->elements != 2 || e->element[0]->type != REDIS_REPLY_STRING ||
	    !flt_id_parse(e->element[0]->str, e->element[0]->len, buf))
		return NULL;
	return buf;
}

/* The answer of the supervisor decides whether we go on. */
static int give_up(struct flt *f, int r)
{
	if (r == -EAGAIN)
		snprintf(f->why, sizeof(f->why), "a purge of another host could not be done yet; it is tried again");
	flt_disconnect(f);
	return -EIO;
}

/* What may have been missed is made good by emptying the caches; from `last`, which was read before that, on nothing is
 * missed. A stream without entries gets one, so that there is a position. */
static int flush(struct flt *f, const char *why, const struct flt_id *last)
{
	struct flt_message m = { .kind = FLT_FLUSH };
	struct flt_id mark;
	int r;

	if (!last) {
		r = flt_add(f, "mark", "-", &mark);
		if (r < 0)
			return r;
		last = &mark;
	}
	r = flt_ask(f, &m, why);
	if (r < 0)
		return give_up(f, r);
	save(f, last);
	return 0;
}

static int obey(struct flt *f, const redisReply *entry)
{
	struct flt_message m = {};
	struct flt_id id;
	const char *why;
	int r = flt_entry_decode(entry, f->host, &id, &m, &why);

	if (r == -EPROTO) {
		snprintf(f->why, sizeof(f->why), "the server's answer makes no sense");
		flt_disconnect(f);
		return -EIO;
	}
	if (r == 0) {
		r = flt_ask(f, &m, NULL);
		if (r < 0)
			return give_up(f, r);
	} else if (r == -EBADMSG) {
		struct flt_message ignored = { .kind = FLT_IGNORED };
		char text[FLT_ID_BYTES + 160], name[FLT_ID_BYTES];

		flt_id_format(&id, name);
		snprintf(text, sizeof(text), "entry %s: %s", name, why);
		(void)flt_send(f->setup->channel, &ignored, text, 0);
	}
	save(f, &id);
	return f->link ? 0 : -EIO;
}

/* The entries in an answer to XREAD for one stream: [[name, [entry, ...]]], or nil. */
static const redisReply *entries_of(const redisReply *r)
{
	const redisReply *one = r->type == REDIS_REPLY_ARRAY && r->elements == 1 ? r->element[0] : NULL;

	if (!one || one->type != REDIS_REPLY_ARRAY || one->elements != 2 || one->element[1]->type != REDIS_REPLY_ARRAY)
		return NULL;
	return one->element[1];
}

int flt_follow(struct flt *f)
{
	unsigned flushes = 0;

	for (;;) {
		_cleanup_reply_ redisReply *look = flt_look(f);
		struct flt_id first_id, last_id;
		const struct flt_id *first, *last;
		const redisReply *entries;
		const char *why;
		size_t i;
		int r = 0;

		if (!look)
			return -EIO;
		first = only(look->element[0], &first_id);
		last = only(look->element[1], &last_id);
		why = flt_gap(f->has_position ? &f->position : NULL, first, last);
		if (why && flushes++ == FLUSHES_MAX) {
			snprintf(f->why, sizeof(f->why), "%s, again and again", why);
			flt_disconnect(f);
			return -EIO;
		}
		if (why) {
			r = flush(f, why, last);
			if (r < 0)
				return r;
			continue;
		}
		entries = entries_of(look->element[2]);
		if (!entries || !entries->elements)
			return 0;
		for (i = 0; r == 0 && i < entries->elements; i++)
			r = obey(f, entries->element[i]);
		if (r < 0)
			return r;
	}
}
