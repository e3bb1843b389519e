/* SPDX-License-Identifier: GPL-2.0 */
/* The configuration's options made ready when a worker starts. Its texts are borrowed: they outlive the worker. */
#include "handlers/static_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

static int init_lists(struct static_options *o, const struct weir_conf_static *c)
{
	const char *why;
	size_t i;

	o->tries = calloc(c->try_files.count + 1, sizeof(*o->tries));
	o->pages = calloc(c->error_pages.count + 1, sizeof(*o->pages));
	if (!o->tries || !o->pages)
		return -ENOMEM;
	for (i = 0; i < c->try_files.count; i++)
		if (weir_conf_try_parse(c->try_files.items[i], &o->tries[o->tries_count++], &why) < 0)
			return -EINVAL;
	for (i = 0; i < c->error_pages.count; i++)
		if (weir_conf_error_page_parse(c->error_pages.items[i], &o->pages[o->pages_count++], &why) < 0)
			return -EINVAL;
	return 0;
}

/* Fields that have no path pattern go with every response. */
static int init_common(struct static_options *o, const struct weir_conf_words *headers)
{
	char text[WEIR_CONF_HEADERS_MAX];
	struct weir_buf b = { .p = text, .cap = sizeof(text) };
	struct weir_conf_header h;
	const char *why;
	size_t i;

	for (i = 0; i < headers->count; i++) {
		if (weir_conf_header_parse(headers->items[i], &h, &why) < 0)
			return -EINVAL;
		/* how long a file may be kept says nothing about an error */
		if (h.pattern.n > 0 || weir_str_caseeq(h.name, WEIR_STR("Cache-Control")))
			continue;
		weir_buf_str(&b, h.name);
		weir_buf_puts(&b, ": ");
		weir_buf_str(&b, h.value);
		weir_buf_puts(&b, "\r\n");
	}
	if (b.is_full)
		return -E2BIG;
	o->common = b.n > 0 ? strndup(text, b.n) : NULL;
	return b.n > 0 && !o->common ? -ENOMEM : 0;
}

int weir_static_options_init(struct static_options *o, const struct weir_conf_static *c)
{
	int r;

	o->precompressed = c->precompressed;
	o->compress = c->compress;
	o->compress_min = c->compress_min;
	o->compress_max = (uint64_t)c->compress_max_kb << 10;
	o->compress_level = c->compress_level;
	o->compress_types = c->compress_types.count > 0 ? &c->compress_types : NULL;
	o->max_age_s = c->max_age_s;
	o->listing = c->listing;
	o->default_type = c->default_type;
	o->headers = &c->headers;
	o->is_guarded = c->access.count > 0 || c->auth_file;
	if (c->auth_realm)
		o->realm = (struct weir_str){ c->auth_realm, strlen(c->auth_realm) };
	r = init_lists(o, c);
	if (r == 0)
		r = init_common(o, &c->headers);
	if (r == 0 && c->redirects.count + c->rewrites.count > 0)
		r = weir_static_rules_new(&c->redirects, &c->rewrites, &o->rules);
	if (r == 0 && c->access.count > 0)
		r = weir_static_access_new(&c->access, &o->access);
	if (r == 0 && c->auth_file)
		r = weir_htpasswd_new(c->auth_file, &o->passwords);
	if (r == 0 && o->passwords && weir_htpasswd_bad_lines(o->passwords) > 0)
		weir_warn("auth_file '%s': %zu lines are no \"user:hash\" with a hash by bcrypt, SHA-crypt or APR1 and "
			  "let "
			  "nobody in",
			  c->auth_file, weir_htpasswd_bad_lines(o->passwords));
	return r;
}

void weir_static_options_fini(struct static_options *o)
{
	free(o->tries);
	free(o->pages);
	free(o->common);
	weir_static_rules_free(o->rules);
	weir_static_access_free(o->access);
	weir_htpasswd_free(o->passwords);
}
