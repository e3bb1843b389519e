/* SPDX-License-Identifier: GPL-2.0 */
/* A module's life in one worker: loaded, started, called, ended. */
#include "handlers/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "handlers/module_priv.h"

static const struct weir_str none = { NULL, 0 };

/* Takes over what the module has of the struct that this server knows. */
static int check_version(const struct weir_module_conf *conf, const struct weir_module *m, struct weir_module *ret)
{
	if (m->abi_version != WEIR_MODULE_ABI)
		return weir_err(0,
				"module '%s' of pool '%s' was made for version %u of weir_module.h, this is version "
				"%u: compile it again",
				conf->file, conf->pool, m->abi_version, WEIR_MODULE_ABI);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, m, MIN((size_t)m->size, sizeof(*ret)));
	if (!ret->handle)
		return weir_err(0, "module '%s' of pool '%s' has no handle()", conf->file, conf->pool);
	return 0;
}

int weir_module_new(const struct weir_module_conf *conf, struct weir_cache *cache, const struct weir_module *m,
		    struct weir_worker **ret)
{
	_cleanup_free_ struct weir_worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	r = check_version(conf, m, &w->module);
	if (r < 0)
		return r;
	w->conf = conf;
	(void)snprintf(w->name, sizeof(w->name), "%s", w->module.name ? w->module.name : conf->file);
	module_urls_init(&w->urls, cache, conf);
	r = w->module.worker_init ? w->module.worker_init(&module_api, w, &w->state) : 0;
	if (r) {
		module_urls_fini(&w->urls);
		weir_log(WEIR_LOG_ERR, "module '%s' of pool '%s' does not start: its worker_init() returned %d",
			 conf->file, conf->pool, r);
		return -ECANCELED;
	}
	*ret = TAKE_PTR(w);
	return 0;
}

int weir_module_load(const struct weir_module_conf *conf, struct weir_cache *cache, struct weir_worker **ret)
{
	void *object = dlopen(conf->file, RTLD_NOW | RTLD_LOCAL);
	const struct weir_module *m;

	/* its message names the file */
	if (!object)
		return weir_err(0, "the module of pool '%s' cannot be loaded: %s", conf->pool, dlerror());
	m = dlsym(object, "weir_module");
	if (!m)
		return weir_err(0, "module '%s' of pool '%s' has no symbol 'weir_module'", conf->file, conf->pool);
	return weir_module_new(conf, cache, m, ret);
}

struct weir_worker *weir_module_free(struct weir_worker *w)
{
	if (!w)
		return NULL;
	if (w->module.worker_fini)
		w->module.worker_fini(w->state);
	module_urls_fini(&w->urls);
	free(w);
	return NULL;
}

static int start_thread(struct weir_worker *w, struct weir_module_thread *t)
{
	int r;

	if (t->is_ready)
		return 0;
	r = w->module.thread_init ? w->module.thread_init(w->state, &t->state) : 0;
	t->is_ready = r == 0;
	return r;
}

void weir_module_thread_fini(struct weir_worker *w, struct weir_module_thread *t)
{
	if (t->is_ready && w->module.thread_fini)
		w->module.thread_fini(w->state, t->state);
	*t = (struct weir_module_thread){ 0 };
}

static enum weir_module_end fail(struct weir_exchange *x, unsigned status, const char *why)
{
	if (x->is_streaming)
		return WEIR_MODULE_CUT;
	weir_response_error(x->resp, x->call->req, status, why, NULL, none);
	x->resp->must_close = x->read_error != 0;
	return WEIR_MODULE_WHOLE;
}

/* The module did not answer because the body could not be read. */
static enum weir_module_end fail_body(struct weir_exchange *x)
{
	switch (x->read_error) {
	case -ETIMEDOUT:
		return fail(x, 408, NULL);
	case -EFBIG:
		return fail(x, 413, NULL);
	case -EBADMSG:
		return fail(x, 400, "malformed chunked body");
	default:
		return WEIR_MODULE_CUT;
	}
}

/* After handle(). */
static enum weir_module_end settle(struct weir_exchange *x, int result)
{
	if (x->send_error || x->read_error == -ECONNRESET)
		return WEIR_MODULE_CUT;
	if (!x->is_misused && !x->is_begun && x->read_error)
		return fail_body(x);
	if (!x->is_misused && result != 0)
		(void)module_misuse(x, "handle() returned %d", result);
	if (!x->is_misused && !x->is_begun)
		(void)module_misuse(x, "handle() returned without a response");
	if (!x->is_misused && !x->is_ended)
		(void)module_end(x);
	if (x->is_misused)
		return fail(x, 500, NULL);
	if (module_finish(x) < 0)
		return WEIR_MODULE_CUT;
	if (x->is_streaming)
		return WEIR_MODULE_SENT;
	module_cache_publish(x);
	return WEIR_MODULE_WHOLE;
}

enum weir_module_end weir_module_serve(struct weir_worker *w, struct weir_module_thread *t,
				       const struct weir_call *call, struct weir_stream *stream,
				       struct weir_response *resp)
{
	enum weir_module_end end;
	struct weir_exchange x;
	int r = start_thread(w, t);

	/* what is not named here is written before it is read: most of the struct is room */
	memset(&x, 0, offsetof(struct weir_exchange, fields));
	memset(&x.read_error, 0, offsetof(struct weir_exchange, tags) - offsetof(struct weir_exchange, read_error));
	x.w = w;
	x.call = call;
	x.stream = stream;
	x.resp = resp;
	x.purges = __atomic_load_n(&w->urls.purges, __ATOMIC_ACQUIRE);
	if (r) {
		(void)module_misuse(&x, "thread_init() returned %d", r);
		return fail(&x, 500, NULL);
	}
	end = settle(&x, w->module.handle(&x, w->state, t->state));
	free(x.body);
	return end;
}
