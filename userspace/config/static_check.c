/* SPDX-License-Identifier: GPL-2.0 */
/* The static handler's parameters: each rule when it is read, so that the message has its line, and what concerns the
 * whole pool afterwards. */
#include "config/config_priv.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <errno.h>
#include <pcre2.h>
#include <string.h>
#include <sys/stat.h>

static int check_regex(const struct weir_conf_rule *rule, char *why, size_t bytes)
{
	uint32_t captures = 0;
	pcre2_code *code;
	PCRE2_SIZE at;
	int error;
	size_t i;

	code = pcre2_compile((PCRE2_SPTR)rule->from.p, rule->from.n, 0, &error, &at, NULL);
	if (!code) {
		PCRE2_UCHAR text[120];

		(void)pcre2_get_error_message(error, text, sizeof(text));
		snprintf(why, bytes, "the pattern is wrong at character %zu: %s", (size_t)at + 1, (char *)text);
		return -EINVAL;
	}
	(void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &captures);
	pcre2_code_free(code);
	for (i = 0; i + 1 < rule->to.n; i++) {
		if (rule->to.p[i] != '$')
			continue;
		i++;
		if (isdigit((unsigned char)rule->to.p[i]) && (uint32_t)(rule->to.p[i] - '0') > captures) {
			snprintf(why, bytes, "TO has $%c, but the pattern has %u group%s", rule->to.p[i], captures,
				 captures == 1 ? "" : "s");
			return -EINVAL;
		}
	}
	return 0;
}

static int check_word(enum weir_param_id id, const char *text, const char **ret_why)
{
	static char why[200];
	struct weir_conf_error_page page;
	struct weir_conf_access access;
	struct weir_conf_header header;
	struct weir_conf_rule rule;
	struct weir_conf_try try;
	int r;

	switch ((int)id) {
	case WEIR_PARAM_POOL_redirects:
	case WEIR_PARAM_POOL_rewrites:
		r = (id == WEIR_PARAM_POOL_redirects ? weir_conf_redirect_parse : weir_conf_rewrite_parse)(text, &rule,
													   ret_why);
		if (r == 0 && rule.match == WEIR_MATCH_REGEX) {
			r = check_regex(&rule, why, sizeof(why));
			*ret_why = why;
		}
		return r;
	case WEIR_PARAM_POOL_headers:
		return weir_conf_header_parse(text, &header, ret_why);
	case WEIR_PARAM_POOL_error_pages:
		return weir_conf_error_page_parse(text, &page, ret_why);
	case WEIR_PARAM_POOL_access:
		return weir_conf_access_parse(text, &access, ret_why);
	case WEIR_PARAM_POOL_try_files:
		return weir_conf_try_parse(text, &try, ret_why);
	case WEIR_PARAM_POOL_types:
		return weir_conf_type_parse(text, ret_why);
	default:
		return 0;
	}
}

void weir_conf_check_static_word(enum weir_param_id id, const char *text, const char *where, int line,
				 struct weir_conf_report *report)
{
	const char *why;

	if (check_word(id, text, &why) < 0)
		weir_conf_error(report, where, line, "%s '%s': %s", weir_params[id].name, text, why);
}

static void check_headers(const struct weir_config *c, const struct weir_conf_pool *p, struct weir_conf_report *report)
{
	size_t i, bytes = 0;

	for (i = 0; i < p->files.headers.count; i++)
		bytes += strlen(p->files.headers.items[i]) + 4;
	if (bytes > WEIR_CONF_HEADERS_MAX)
		weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_headers], 0),
				"headers of pool '%s' have %zu bytes, %d are possible", p->name, bytes,
				WEIR_CONF_HEADERS_MAX);
}

/* A status ends the list: what stands behind it is never tried. */
static void check_try_files(const struct weir_config *c, const struct weir_conf_pool *p,
			    struct weir_conf_report *report)
{
	const struct weir_conf_words *w = &p->files.try_files;
	size_t i;

	for (i = 0; i + 1 < w->count; i++)
		if (w->items[i][0] == '=')
			weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_try_files], 0),
					"try_files: '%s' must be the last, what follows would never be tried",
					w->items[i]);
}

static void check_default_type(const struct weir_config *c, const struct weir_conf_pool *p,
			       struct weir_conf_report *report)
{
	const char *type = p->files.default_type, *at;
	bool is_right = type && strchr(type, '/') > type && strlen(type) <= 100;

	for (at = type; is_right && *at; at++)
		is_right = (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f;
	if (type && !is_right)
		weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_default_type], 0),
				"default_type '%s' is no media type, as \"text/plain; charset=utf-8\" is", type);
}

static int check_auth(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report)
{
	int line = MAX(p->lines[WEIR_PARAM_POOL_auth_file], 0);
	const char *base = c->file ? strrchr(c->file, '/') : NULL;
	struct weir_conf_static *f = &p->files;
	_cleanup_free_ char *real = NULL;
	char *joined;
	const char *blocked;
	struct stat st;

	if (f->auth_realm && strpbrk(f->auth_realm, "\"\\\r\n"))
		weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_auth_realm], 0),
				"auth_realm must not have quotes, backslashes or line ends");
	if (!f->auth_file)
		return 0;
	if (f->auth_file[0] != '/' && base) {
		if (asprintf(&joined, "%.*s/%s", (int)(base - c->file), c->file, f->auth_file) < 0)
			return -ENOMEM;
		free(f->auth_file);
		f->auth_file = joined;
	}
	/* workers have another working directory */
	real = realpath(f->auth_file, NULL);
	if (!real || stat(real, &st) < 0) {
		weir_conf_error(report, c->file, line, "auth_file '%s': %s; make it with htpasswd -c -B FILE USER",
				f->auth_file, strerror(errno));
		return 0;
	}
	free(f->auth_file);
	f->auth_file = TAKE_PTR(real);
	if (!S_ISREG(st.st_mode))
		weir_conf_error(report, c->file, line, "auth_file '%s' is no file", f->auth_file);
	else if (!weir_conf_can_read(p, f->auth_file, false, &blocked))
		weir_conf_error(
			report, c->file, line,
			"auth_file '%s' cannot be read by %s, the account of the workers: '%s' is closed to it; "
			"use chgrp %s and chmod 640",
			f->auth_file, p->user, blocked, p->group);
	if (p->root && strncmp(f->auth_file, p->root, strlen(p->root)) == 0 && f->auth_file[strlen(p->root)] == '/')
		weir_conf_error(report, c->file, line, "auth_file '%s' is below root '%s': it could be downloaded",
				f->auth_file, p->root);
	return 0;
}

/* Not ignored in silence: whoever writes `access` into a pool believes that it is closed. */
static void check_handler(const struct weir_config *c, const struct weir_conf_pool *p, struct weir_conf_report *report)
{
	/* a fastcgi pool's files are sent as those of any other, but what decides about requests would not hold for scripts */
	bool is_fastcgi = p->handler == WEIR_HANDLER_FASTCGI;
	int id = is_fastcgi ? WEIR_PARAM_POOL_try_files : WEIR_PARAM_POOL_precompressed;

	for (; id <= WEIR_PARAM_POOL_auth_realm; id++)
		if (p->lines[id])
			weir_conf_error(report, c->file, MAX(p->lines[id], 0),
					"'%s' is for pools with handler = static: pool '%s' has another",
					weir_params[id].name, p->name);
}

int weir_conf_check_static(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report)
{
	if (p->handler != WEIR_HANDLER_STATIC) {
		check_handler(c, p, report);
		if (p->handler == WEIR_HANDLER_FASTCGI) {
			check_headers(c, p, report);
			check_default_type(c, p, report);
		}
		return 0;
	}
	check_headers(c, p, report);
	check_try_files(c, p, report);
	check_default_type(c, p, report);
	return check_auth(c, p, report);
}

void weir_conf_static_fini(struct weir_conf_static *f)
{
	weir_conf_words_fini(&f->compress_types);
	weir_conf_words_fini(&f->try_files);
	weir_conf_words_fini(&f->error_pages);
	weir_conf_words_fini(&f->redirects);
	weir_conf_words_fini(&f->rewrites);
	weir_conf_words_fini(&f->headers);
	weir_conf_words_fini(&f->access);
	weir_conf_words_fini(&f->types);
	free(f->default_type);
	free(f->auth_file);
	free(f->auth_realm);
}
