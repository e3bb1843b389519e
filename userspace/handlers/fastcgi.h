/* SPDX-License-Identifier: GPL-2.0 */
/* The handler of `fastcgi` pools: which requests are for the application and which are for the static handler, and
 * FastCGI as a protocol for the relay. A site of PHP scripts needs both: scripts are run, other files of the same root
 * are sent, and what is neither may go to a front controller. */
#ifndef WEIR_FASTCGI_H
#define WEIR_FASTCGI_H

#include "common/macro.h"
#include "config/config.h"
#include "handlers/handler.h"
#include "upstream/codec.h"

/* What a request is for. */
enum weir_fastcgi_target {
	WEIR_FASTCGI_SCRIPT, /* the application */
	WEIR_FASTCGI_FILE,   /* the static handler, which also knows what to answer when there is none */
	WEIR_FASTCGI_NONE,   /* 404 */
	WEIR_FASTCGI_REFUSE, /* 403 */
};

struct weir_fastcgi;

/* Opens the pool's root with the caller's rights. `conf` is borrowed. -errno, -ENOMEM. */
int weir_fastcgi_new(const struct weir_conf_pool *conf, struct weir_fastcgi **ret);
/* Takes NULL, returns NULL. */
struct weir_fastcgi *weir_fastcgi_free(struct weir_fastcgi *f);
DEFINE_CLEANUP(struct weir_fastcgi *, weir_fastcgi_free)

/* Looks at the files below the root. *ret is set for SCRIPT: a script that is there, as a file, below the root. Its text
 * is valid as long as the request is, or as `f`. Any thread. */
enum weir_fastcgi_target weir_fastcgi_find(const struct weir_fastcgi *f, struct weir_str path, struct weir_str prefix,
					   struct weir_script *ret);

/* The pool's index names without those that are scripts: for the static handler. The caller frees. -ENOMEM. */
int weir_fastcgi_static_index(const struct weir_conf_pool *conf, char **ret);

/* For calls with ->script. */
extern const struct weir_codec weir_fastcgi_codec;

#endif
