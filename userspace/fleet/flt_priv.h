/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the fleet process: one thread. Two connections to the server: one waits in XREAD BLOCK and only says that there
 * is something new; everything else goes over the other, whose commands have a limit in time. */
#ifndef FLT_PRIV_H
#define FLT_PRIV_H

#include <hiredis/hiredis.h>
#include <stddef.h>

#include "fleet/fleet.h"

#define FLT_LIMIT_MS 2000 /* for connecting, and for each answer of the server */
#define FLT_BEAT_MS 3000  /* how often a host says that it is there */
#define FLT_ALIVE_S 12	  /* a host that has not said so for longer is not counted */
#define FLT_BACKOFF_MIN_MS 100
#define FLT_BACKOFF_MAX_MS 5000
#define FLT_KEEP "10000"       /* entries that the stream keeps, about: a host that missed more flushes */
#define FLT_BATCH "128"	       /* entries of one look */
#define FLT_MEMORY (256 << 20) /* of the whole process: what bounds an answer of the server */

/* The id of an entry, "milliseconds-number". */
struct flt_id {
	uint64_t ms;
	uint64_t number;
};
#define FLT_ID_BYTES 42
#define FLT_POSITION_BYTES 512 /* of the position file */

struct flt {
	const struct flt_setup *setup;
	char host[96];	    /* who we are in the stream: new in each process */
	redisContext *link; /* NULL: not connected */
	redisContext *wait; /* NULL exactly when link is */
	struct flt_id position;
	bool has_position;
	uint32_t asked; /* numbers of FLT_PURGE and FLT_FLUSH */
	unsigned hosts; /* others */
	uint64_t beat_ms;
	uint64_t retry_ms;
	unsigned backoff_ms;
	char why[256];		 /* not connected: why */
	struct flt_message said; /* the last FLT_STATE; kind 0: none */
	bool is_over;
};

/* entry.c: pure. */
extern const char *const flt_what_names[FLT_WHAT__MAX];
bool flt_id_parse(const char *text, size_t bytes, struct flt_id *ret);
void flt_id_format(const struct flt_id *id, char ret[FLT_ID_BYTES]);
int flt_id_compare(const struct flt_id *a, const struct flt_id *b);
/* An entry as XREAD and XRANGE give it, [id, [name, value, ...]]. 0: *ret has what and text. -EALREADY: from `host` itself, or
 * a mark: nothing to do. -EBADMSG: *ret_why says what is wrong with it. *ret_id is set whenever there is one; -EPROTO: there
 * is none, so this is no entry. */
int flt_entry_decode(const redisReply *entry, const char *host, struct flt_id *ret_id, struct flt_message *ret,
		     const char **ret_why);
/* Whether all that came after `position` is in the stream still. NULL: yes; else why not. `first` and `last` are its first
 * and last entries' ids, NULL when it has none. `position` NULL: there is none. */
const char *flt_gap(const struct flt_id *position, const struct flt_id *first, const struct flt_id *last);
/* The position file's text, "weir-fleet-1 ID STREAM SERVER\n". -EBADMSG: of something else. */
int flt_position_parse(const char *text, const struct weir_conf_fleet *conf, struct flt_id *ret);
void flt_position_format(const struct flt_id *id, const struct weir_conf_fleet *conf, char *buf, size_t bytes);

/* redis.c. 0, or -EIO with f->why set and the connection closed. */
int flt_connect(struct flt *f);
void flt_disconnect(struct flt *f);
/* The answer to a command; NULL as -EIO above, also when the answer is an error. The caller frees it. */
redisReply *flt_call(struct flt *f, int argc, const char *const *argv);
/* One look at the stream: an array of first entry, last entry, entries after the position. NULL: as flt_call(). */
redisReply *flt_look(struct flt *f);
int flt_add(struct flt *f, const char *what, const char *text, struct flt_id *ret);
int flt_beat(struct flt *f, bool is_last);
int flt_wait_begin(struct flt *f); /* XREAD BLOCK */
/* The waiting connection is readable. 1: something is new; 0: not yet. */
int flt_wait_read(struct flt *f);

/* follow.c: obeys what is new. 0; -EIO: disconnected. */
int flt_follow(struct flt *f);
void flt_position_load(struct flt *f);

/* fleet.c: asks the supervisor, and publishes what it orders meanwhile. -EAGAIN: not now; -EPIPE: it is gone. */
int flt_ask(struct flt *f, struct flt_message *m, const char *text);

#endif
