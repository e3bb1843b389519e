/* SPDX-License-Identifier: GPL-2.0 */
/* Lines of the access log and of the error log. Every text that a client sent goes through log_put_text(), so that it can
 * neither end a line nor a quotation. */
#include "logger/log_priv.h"

#include <netinet/in.h>
#include <string.h>

#include "common/macro.h"
#include "logger/text.h"

#define STATUS_GONE 499 /* the client left before there was a response, as nginx has it */
#define VERB_MAX 255	/* bytes in the error log, as HTTP.sys's */

static struct weir_str text(const char *s)
{
	return (struct weir_str){ s, strlen(s) };
}

static const char *version_of(const struct log_entry *e)
{
	return e->version == 11 ? "HTTP/1.1" : e->version == 10 ? "HTTP/1.0" : "";
}

/* A response that never was still needs a number: tools skip lines without. */
static unsigned status_of(const struct log_entry *e)
{
	if (e->status)
		return e->status;
	return e->reason_id == WEIR_LOG_REASON_CLIENT_RESET || e->reason_id == WEIR_LOG_REASON_DROPPED ? STATUS_GONE
												       : 503;
}

/* Path and query of a target. */
static struct weir_str stem(const struct log_entry *e)
{
	const char *mark = e->target.n > 0 ? memchr(e->target.p, '?', e->target.n) : NULL;

	return mark ? (struct weir_str){ e->target.p, (size_t)(mark - e->target.p) } : e->target;
}

static struct weir_str query(const struct log_entry *e)
{
	size_t n = stem(e).n;

	return n < e->target.n ? (struct weir_str){ e->target.p + n + 1, e->target.n - n - 1 }
			       : (struct weir_str){ NULL, 0 };
}

static struct weir_str text_field(const struct log_entry *e, unsigned field)
{
	switch (field) {
	case WEIR_LOG_FIELD_METHOD:
		return e->method;
	case WEIR_LOG_FIELD_STEM:
		return stem(e);
	case WEIR_LOG_FIELD_QUERY:
		return query(e);
	case WEIR_LOG_FIELD_URI:
		return e->target;
	case WEIR_LOG_FIELD_HOST:
		return e->host;
	case WEIR_LOG_FIELD_VERSION:
		return text(version_of(e));
	case WEIR_LOG_FIELD_AGENT:
		return e->agent;
	case WEIR_LOG_FIELD_REFERER:
		return e->referer;
	case WEIR_LOG_FIELD_POOL:
		return text(e->pool);
	case WEIR_LOG_FIELD_BY:
		return text(e->by);
	case WEIR_LOG_FIELD_REASON:
		return text(e->reason);
	default:
		return text("-");
	}
}

/* False: it is no number. */
static bool number_field(const struct log_entry *e, unsigned field, uint64_t *ret)
{
	switch (field) {
	case WEIR_LOG_FIELD_CLIENT_PORT:
		*ret = ntohs(e->key.client_port);
		return true;
	case WEIR_LOG_FIELD_SERVER_PORT:
		*ret = ntohs(e->key.server_port);
		return true;
	case WEIR_LOG_FIELD_STATUS:
		*ret = status_of(e);
		return true;
	case WEIR_LOG_FIELD_SENT:
		*ret = e->sent;
		return true;
	case WEIR_LOG_FIELD_RECEIVED:
		*ret = e->received;
		return true;
	case WEIR_LOG_FIELD_TAKEN:
		*ret = e->took_us / 1000;
		return true;
	case WEIR_LOG_FIELD_TAKEN_US:
		*ret = e->took_us;
		return true;
	case WEIR_LOG_FIELD_SUBSTATUS:
	case WEIR_LOG_FIELD_WIN32:
		*ret = 0;
		return true;
	default:
		return false;
	}
}

static char *put_field(char *at, const struct log_entry *e, unsigned field, enum log_style style)
{
	int64_t s = (int64_t)(e->time_ns / 1000000000);
	bool is_json = style == LOG_STYLE_JSON;
	uint64_t number;

	if (number_field(e, field, &number))
		return log_put_u64(at, number);
	if (is_json)
		*at++ = '"';
	switch (field) {
	case WEIR_LOG_FIELD_DATE:
		at = log_put_date(at, s);
		break;
	case WEIR_LOG_FIELD_TIME:
		at = log_put_time(at, s);
		break;
	case WEIR_LOG_FIELD_CLIENT:
		at = log_put_address(at, &e->key.client);
		break;
	case WEIR_LOG_FIELD_SERVER:
		at = log_put_address(at, &e->key.server);
		break;
	default:
		at = log_put_text(at, text_field(e, field), style);
	}
	if (is_json)
		*at++ = '"';
	return at;
}

static char *quoted(char *at, struct weir_str s)
{
	*at++ = '"';
	at = s.n > 0 ? log_put_text(at, s, LOG_STYLE_QUOTED) : log_put_lit(at, "-");
	*at++ = '"';
	return at;
}

static char *combined(const struct log_entry *e, char *at)
{
	at = log_put_address(at, &e->key.client);
	at = log_put_lit(at, " - - [");
	at = log_put_stamp(at, (int64_t)(e->time_ns / 1000000000));
	at = log_put_lit(at, "] \"");
	at = e->method.n > 0 ? log_put_text(at, e->method, LOG_STYLE_QUOTED) : log_put_lit(at, "-");
	*at++ = ' ';
	at = e->target.n > 0 ? log_put_text(at, e->target, LOG_STYLE_QUOTED) : log_put_lit(at, "-");
	*at++ = ' ';
	at = e->version ? log_puts(at, version_of(e)) : log_put_lit(at, "HTTP/1.1");
	at = log_put_lit(at, "\" ");
	at = log_put_u64(at, status_of(e));
	*at++ = ' ';
	at = log_put_u64(at, e->sent);
	*at++ = ' ';
	at = quoted(at, e->referer);
	*at++ = ' ';
	return quoted(at, e->agent);
}

char *log_format_access(const struct log_format *f, const struct log_entry *e, char *at)
{
	bool is_json = f->kind == WEIR_LOG_JSON;
	int i;

	if (f->kind == WEIR_LOG_COMBINED)
		at = combined(e, at);
	if (is_json)
		*at++ = '{';
	for (i = 0; i < f->fields_count; i++) {
		if (is_json) {
			if (i > 0)
				*at++ = ',';
			*at++ = '"';
			at = log_puts(at, weir_log_field_json(f->fields[i]));
			at = log_put_lit(at, "\":");
		} else if (i > 0 || f->kind == WEIR_LOG_COMBINED) {
			*at++ = ' ';
		}
		at = put_field(at, e, f->fields[i], is_json ? LOG_STYLE_JSON : LOG_STYLE_W3C);
	}
	if (is_json)
		*at++ = '}';
	*at++ = '\n';
	return at;
}

static char *directives(char *at, int64_t now_s)
{
	at = log_put_lit(at, "#Software: Weir " WEIR_VERSION "\n#Version: 1.0\n#Date: ");
	at = log_put_date(at, now_s);
	*at++ = ' ';
	at = log_put_time(at, now_s);
	return log_put_lit(at, "\n#Fields:");
}

char *log_format_head(const struct log_format *f, int64_t now_s, char *at)
{
	int i;

	if (f->kind != WEIR_LOG_W3C)
		return at;
	at = directives(at, now_s);
	for (i = 0; i < f->fields_count; i++) {
		*at++ = ' ';
		at = log_puts(at, weir_log_field_name(f->fields[i]));
	}
	*at++ = '\n';
	return at;
}

char *log_format_error_head(int64_t now_s, char *at)
{
	at = directives(at, now_s);
	return log_put_lit(at,
			   " date time c-ip c-port s-ip s-port cs-version cs-method cs-uri sc-status s-siteid s-reason"
			   " s-queuename\n");
}

/* The default order of httperr. */
char *log_format_error(const struct log_entry *e, char *at)
{
	static const uint8_t first[] = { WEIR_LOG_FIELD_DATE,	     WEIR_LOG_FIELD_TIME,   WEIR_LOG_FIELD_CLIENT,
					 WEIR_LOG_FIELD_CLIENT_PORT, WEIR_LOG_FIELD_SERVER, WEIR_LOG_FIELD_SERVER_PORT,
					 WEIR_LOG_FIELD_VERSION };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(first); i++) {
		at = put_field(at, e, first[i], LOG_STYLE_W3C);
		*at++ = ' ';
	}
	at = log_put_text(at, (struct weir_str){ e->method.p, MIN(e->method.n, (size_t)VERB_MAX) }, LOG_STYLE_W3C);
	*at++ = ' ';
	at = log_put_text(at, e->target, LOG_STYLE_W3C);
	*at++ = ' ';
	at = e->status ? log_put_u64(at, e->status) : log_put_lit(at, "-");
	*at++ = ' ';
	at = log_put_u64(at, e->endpoint);
	*at++ = ' ';
	at = log_puts(at, e->reason);
	*at++ = ' ';
	at = log_put_text(at, text(e->pool), LOG_STYLE_W3C);
	*at++ = '\n';
	return at;
}

char *log_format_remark(const struct log_format *f, const char *what, char *at)
{
	if (f && f->kind == WEIR_LOG_JSON) {
		at = log_put_lit(at, "{\"remark\":\"");
		at = log_put_text(at, text(what), LOG_STYLE_JSON);
		return log_put_lit(at, "\"}\n");
	}
	at = f && f->kind == WEIR_LOG_COMBINED ? log_put_lit(at, "# ") : log_put_lit(at, "#Remark: ");
	at = log_puts(at, what);
	*at++ = '\n';
	return at;
}
