/* SPDX-License-Identifier: GPL-2.0 */
/* The handler of `module` pools: a shared object behind include/weir_module.h. One object a worker process; serving is
 * for any thread. What a module does wrong ends in a line of the log and a 500, or a cut connection; what it does to its
 * own process is the keeper's business. */
#ifndef WEIR_MODULE_HANDLER_H
#define WEIR_MODULE_HANDLER_H

#include "weir_module.h"

#include "cache/cache.h"
#include "common/macro.h"
#include "handlers/handler.h"
#include "handlers/stream.h"

#define WEIR_MODULE_BUFFER_BYTES 65536 /* of a body that are gathered before they are sent */

/* Who else fills the pool's kernel cache. */
enum weir_module_company {
	WEIR_MODULE_ALONE,
	WEIR_MODULE_SIBLINGS, /* other workers */
	WEIR_MODULE_LEAVING,  /* the next worker: this one publishes no more */
};

struct weir_module_conf {
	const char *pool;
	const char *file;	    /* for messages, and to load */
	const char *const *options; /* "key=value"; borrowed, like the rest */
	size_t options_count;
	size_t urls_max;				/* in the kernel cache */
	enum weir_module_company (*company)(void *arg); /* any thread */
	void *arg;
};

/* Loads conf->file into this process and starts it. Logs what is wrong. -EINVAL: no module, or of another version;
 * -ECANCELED: it does not want to run; -ENOMEM. */
int weir_module_load(const struct weir_module_conf *conf, struct weir_cache *cache, struct weir_worker **ret);
/* The same with a module that is part of the program. */
int weir_module_new(const struct weir_module_conf *conf, struct weir_cache *cache, const struct weir_module *m,
		    struct weir_worker **ret);
/* Ends the module, after its last request; the file stays loaded. Takes NULL, returns NULL. */
struct weir_worker *weir_module_free(struct weir_worker *w);
DEFINE_CLEANUP(struct weir_worker *, weir_module_free)

/* What a serving thread keeps for the module. Starts zero-filled. */
struct weir_module_thread {
	void *state;
	bool is_ready;
};
/* At the thread's end. */
void weir_module_thread_fini(struct weir_worker *w, struct weir_module_thread *t);

/* What became of a request. */
enum weir_module_end {
	WEIR_MODULE_WHOLE, /* *resp is complete, nothing of it is sent */
	WEIR_MODULE_SENT,  /* everything is sent */
	WEIR_MODULE_CUT,   /* the connection is of no more use: the client is gone, or has a part of a response */
};

/* Fills *resp, which the caller has reset, or sends the response through `stream`. Sets resp->status in any case but a
 * client that went away first, resp->must_close too. */
enum weir_module_end weir_module_serve(struct weir_worker *w, struct weir_module_thread *t,
				       const struct weir_call *call, struct weir_stream *stream,
				       struct weir_response *resp);

#endif
