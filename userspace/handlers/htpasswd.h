/* SPDX-License-Identifier: GPL-2.0 */
/* Password files as htpasswd(1) writes them: bcrypt, SHA-crypt, yescrypt and what else libcrypt knows by a '$', and
 * Apache's own MD5 scheme. Part of the static handler. */
#ifndef WEIR_HTPASSWD_H
#define WEIR_HTPASSWD_H

#include "common/macro.h"
#include "common/str.h"

struct weir_htpasswd;

/* Reads the file; it is read again when it has changed. -errno of that, -ENOMEM. */
int weir_htpasswd_new(const char *path, struct weir_htpasswd **ret);
struct weir_htpasswd *weir_htpasswd_free(struct weir_htpasswd *h);
DEFINE_CLEANUP(struct weir_htpasswd *, weir_htpasswd_free)
const char *weir_htpasswd_path(const struct weir_htpasswd *h);
/* Lines that hold no user and hash that could ever match; they are ignored. */
size_t weir_htpasswd_bad_lines(const struct weir_htpasswd *h);

/* Whether a value of Authorization (RFC 7617) has a user and a password of the file. An unknown user takes as long as a
 * wrong password. What was right is remembered for a minute by a keyed hash, because good schemes are slow. 0, -EACCES,
 * or -errno: the file cannot be read, so nobody is let in. Any thread. */
int weir_htpasswd_check(struct weir_htpasswd *h, struct weir_str authorization);

/* Apache's "$apr1$salt$..." of a password, into `out` (WEIR_APR1_BYTES with its end). -EINVAL: `setting` is none. */
#define WEIR_APR1_BYTES 40
int weir_apr1(const char *password, const char *setting, char *out);

#endif
