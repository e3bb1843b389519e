/* SPDX-License-Identifier: GPL-2.0 */
/* The fleet process: carries purges between this host and the others through a stream of a Redis or Valkey server. A
 * process of its own, without rights, so that the supervisor neither waits for that server nor parses what it says. The
 * two exchange messages over a SOCK_SEQPACKET pair. */
#ifndef WEIR_FLEET_H
#define WEIR_FLEET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/fleet.h"

#define FLT_TEXT_MAX 4096 /* bytes of a URL, prefix, tag or name of a pool */

/* What a purge is about. The names in the stream are those of flt_what_names. */
enum flt_what {
	FLT_URL,
	FLT_PREFIX,
	FLT_TAG,
	FLT_POOL,
	FLT_WHAT__MAX,
};

enum flt_kind {
	/* supervisor to fleet */
	FLT_PUBLISH, /* number, what, text: tell the others */
	FLT_APPLIED, /* number, is_good: answer to FLT_PURGE and FLT_FLUSH; not good: try again later */
	/* fleet to supervisor */
	FLT_DONE,    /* number, is_good, hosts: answer to FLT_PUBLISH; text: why not */
	FLT_PURGE,   /* number, what, text: another host did this */
	FLT_FLUSH,   /* number, text (why): purges may have been missed */
	FLT_IGNORED, /* text (why): an entry of the stream makes no sense */
	FLT_STATE,   /* is_good: connected; hosts; text: why not */
	FLT_KIND__MAX,
};

struct flt_message {
	uint32_t kind;
	uint32_t number;
	uint32_t what;
	uint32_t is_good;
	uint32_t hosts; /* others, without this one */
	uint32_t text_bytes;
	char text[FLT_TEXT_MAX + 1]; /* zero-terminated; no zero inside */
};

/* message.c. Sends one message; `text` may be in it already (NULL). -EAGAIN with MSG_DONTWAIT in `flags`; -EMSGSIZE: the
 * text is too long. */
int flt_send(int channel, struct flt_message *m, const char *text, int flags);
/* Receives one. -EAGAIN; -EPIPE: the other end is gone; -EBADMSG: not of this form. */
int flt_receive(int channel, struct flt_message *ret, int flags);

/* What the supervisor hands over at fork(). */
struct flt_setup {
	const struct weir_conf_fleet *conf;
	const char *password; /* NULL: none */
	const char *account;  /* of an ACL; NULL: the default one */
	int channel;
	int position; /* file that keeps the id of the last entry that was obeyed; open for reading and writing */
	uid_t uid;
	gid_t gid;
};

/* Serves until the channel ends. Closes every other descriptor, gives up identity and system calls first. */
void flt_main(const struct flt_setup *setup) __attribute__((noreturn));

#endif
