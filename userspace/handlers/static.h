/* SPDX-License-Identifier: GPL-2.0 */
/* The handler of `static` pools: files below one directory. Keeps small files, and the descriptors of large ones, in
 * memory; publishes small ones to the kernel cache; a change of the file, of its name, or of any directory above it
 * takes both away. Everything that weir.conf(5) has for `static` pools is here. One object a worker; weir_static_serve() is for any thread, weir_static_watch() for one. */
#ifndef WEIR_STATIC_H
#define WEIR_STATIC_H

#include "cache/cache.h"
#include "common/macro.h"
#include "config/config.h"
#include "handlers/handler.h"

struct weir_static;

struct weir_static_conf {
	const char *root;			/* directory; opened with the caller's rights */
	const char *index;			/* names separated by spaces, tried in order */
	size_t files_max;			/* files remembered; 0: the default */
	const struct weir_conf_static *options; /* borrowed for good; NULL: none of them is on */
};

/* Opens the root and makes it the working directory of this process: watches are set by names below it, so that
 * a root that is renamed stays the one that is served. -errno of opening it, -ENOMEM, or inotify's. */
int weir_static_new(const struct weir_static_conf *conf, struct weir_cache *cache, struct weir_static **ret);
/* Withdraws everything. Takes NULL, returns NULL. */
struct weir_static *weir_static_free(struct weir_static *s);
DEFINE_CLEANUP(struct weir_static *, weir_static_free)

/* Fills *resp, which the caller has reset. Always succeeds: what went wrong is a response too. */
void weir_static_serve(struct weir_static *s, const struct weir_call *call, struct weir_response *resp);

/* Readable when files have changed; then call weir_static_watch() at once. */
int weir_static_watch_fd(const struct weir_static *s);
void weir_static_watch(struct weir_static *s);

#endif
