/* SPDX-License-Identifier: GPL-2.0 */
/* The table that a module gets, and the functions of it that concern the worker and not a request. */
#include "handlers/module_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

static const enum weir_log_level levels[] = {
	[WEIR_MODULE_ERROR] = WEIR_LOG_ERR,
	[WEIR_MODULE_WARNING] = WEIR_LOG_WARN,
	[WEIR_MODULE_INFO] = WEIR_LOG_INFO,
	[WEIR_MODULE_DEBUG] = WEIR_LOG_DEBUG,
};

/* One line stays one line, whatever a client has put into it. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static void log_line(struct weir_worker *w, int level, const char *fmt, ...) WEIR_MODULE_PRINTF(3, 4);

static void log_line(struct weir_worker *w, int level, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	make_printable(text);
	level = level < 0 ? 0 : level >= (int)ARRAY_SIZE(levels) ? (int)ARRAY_SIZE(levels) - 1 : level;
	weir_log(levels[level], "pool '%s': module '%s': %s", w->conf->pool, w->name, text);
}

/* Whether one more message is not too many in this second. */
static bool may_say(struct weir_worker *w)
{
	uint64_t second = weir_now_ms() / 1000;
	uint32_t before;

	if (__atomic_exchange_n(&w->misuse_second, second, __ATOMIC_RELAXED) != second) {
		before = __atomic_exchange_n(&w->misuses, 0, __ATOMIC_RELAXED);
		if (before > MODULE_MISUSES)
			log_line(w, WEIR_MODULE_ERROR, "%u more such messages were left out", before - MODULE_MISUSES);
	}
	return __atomic_add_fetch(&w->misuses, 1, __ATOMIC_RELAXED) <= MODULE_MISUSES;
}

int module_misuse(struct weir_exchange *x, const char *fmt, ...)
{
	const struct weir_request *req = x->call->req;
	char text[256], what[120];
	va_list ap;

	if (x->is_misused)
		return -EINVAL;
	x->is_misused = true;
	if (!may_say(x->w))
		return -EINVAL;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)snprintf(what, sizeof(what), "%.*s %.*s", (int)MIN(req->method_text.n, (size_t)16), req->method_text.p,
		       (int)MIN(req->target.n, (size_t)96), req->target.p);
	log_line(x->w, WEIR_MODULE_ERROR, "%s: %s; the client %s", what, text,
		 x->is_streaming ? "has a part of the response, so its connection is cut" : "gets 500");
	return -EINVAL;
}

static const char *option_at(struct weir_worker *w, unsigned index)
{
	return index < w->conf->options_count ? w->conf->options[index] : NULL;
}

static const char *option(struct weir_worker *w, const char *key)
{
	size_t i, n = key ? strlen(key) : 0;

	for (i = 0; n > 0 && i < w->conf->options_count; i++) {
		const char *text = w->conf->options[i];

		if (!strncmp(text, key, n) && (text[n] == '=' || !text[n]))
			return text + n + (text[n] == '=');
	}
	return NULL;
}

static const char *pool(struct weir_worker *w)
{
	return w->conf->pool;
}

const struct weir_api module_api = {
	.abi_version = WEIR_MODULE_ABI,
	.size = sizeof(module_api),
	.method = module_method,
	.target = module_target,
	.query = module_query,
	.path = module_path,
	.host = module_host,
	.prefix = module_prefix,
	.field = module_field,
	.field_at = module_field_at,
	.client_address = module_client_address,
	.client_port = module_client_port,
	.http_minor = module_http_minor,
	.body_bytes = module_body_bytes,
	.read = module_read,
	.begin = module_begin,
	.add_field = module_add_field,
	.write = module_write,
	.flush = module_flush,
	.end = module_end,
	.cache = module_cache,
	.tag = module_tag,
	.purge_url = module_purge_url,
	.purge_tag = module_purge_tag,
	.log = log_line,
	.option = option,
	.option_at = option_at,
	.pool = pool,
};
