/* SPDX-License-Identifier: GPL-2.0 */
/* The rules of static pools as text. See static.h; what needs more than the one text is in static_check.c. */
#include "config/config_priv.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* what the last parser that failed says; supervisor, command line and a starting worker have one thread */
static char why_text[200];

static int refuse(const char **ret_why, const char *text)
{
	snprintf(why_text, sizeof(why_text), "%s", text);
	*ret_why = why_text;
	return -EINVAL;
}

/* The next word, or one with n 0 at the end. */
static struct weir_str next_word(const char **text)
{
	struct weir_str w;

	*text += strspn(*text, " \t");
	w = (struct weir_str){ *text, strcspn(*text, " \t") };
	*text += w.n;
	return w;
}

static bool is_word(struct weir_str w, const char *text)
{
	return weir_str_eq(w, (struct weir_str){ text, strlen(text) });
}

static bool is_end(const char *text)
{
	return !text[strspn(text, " \t")];
}

static bool is_printable(struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

/* Three digits, or 0. */
static unsigned to_status(struct weir_str w)
{
	unsigned value = 0;
	size_t i;

	for (i = 0; i < w.n; i++) {
		if (!isdigit((unsigned char)w.p[i]))
			return 0;
		value = value * 10 + (unsigned)(w.p[i] - '0');
	}
	return w.n == 3 ? value : 0;
}

static int parse_rule(const char *text, struct weir_conf_rule *rule, const char **ret_why)
{
	struct weir_str kind = next_word(&text);

	if (is_word(kind, "exact"))
		rule->match = WEIR_MATCH_EXACT;
	else if (is_word(kind, "prefix"))
		rule->match = WEIR_MATCH_PREFIX;
	else if (is_word(kind, "regex"))
		rule->match = WEIR_MATCH_REGEX;
	else
		return refuse(ret_why, "it must say exact, prefix or regex, as in \"prefix /old/ /new/\"");
	rule->from = next_word(&text);
	rule->to = next_word(&text);
	if (rule->to.n == 0 || !is_end(text))
		return refuse(ret_why, "it must have two words after exact, prefix or regex: FROM and TO");
	if (rule->match != WEIR_MATCH_REGEX && rule->from.p[0] != '/')
		return refuse(ret_why, "FROM is a path and begins with a slash");
	if (!is_printable(rule->from) || !is_printable(rule->to))
		return refuse(ret_why, "it must not have control characters");
	return 0;
}

int weir_conf_redirect_parse(const char *text, struct weir_conf_rule *ret, const char **ret_why)
{
	static const char *const schemes[] = { "/", "http://", "https://" };
	struct weir_conf_rule rule = {};
	size_t i;
	int r;

	rule.status = to_status(next_word(&text));
	if (rule.status != 301 && rule.status != 302 && rule.status != 303 && rule.status != 307 && rule.status != 308)
		return refuse(ret_why, "it must begin with a status, 301, 302, 303, 307 or 308");
	r = parse_rule(text, &rule, ret_why);
	if (r < 0)
		return r;
	for (i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strncmp(rule.to.p, schemes[i], strlen(schemes[i])) == 0)
			break;
	if (i == ARRAY_SIZE(schemes))
		return refuse(ret_why, "TO must be a path or begin with http:// or https://");
	for (i = 0; i < rule.to.n; i++)
		if ((unsigned char)rule.to.p[i] >= 0x80)
			return refuse(ret_why, "TO is part of a URL: write other characters than ASCII as %XX");
	*ret = rule;
	return 0;
}

int weir_conf_rewrite_parse(const char *text, struct weir_conf_rule *ret, const char **ret_why)
{
	struct weir_conf_rule rule = {};
	int r;

	r = parse_rule(text, &rule, ret_why);
	if (r < 0)
		return r;
	if (rule.to.p[0] != '/')
		return refuse(ret_why, "TO is a path below root and begins with a slash");
	if (memchr(rule.to.p, '?', rule.to.n))
		return refuse(ret_why, "TO is the path of a file: it has no query");
	*ret = rule;
	return 0;
}

static bool is_token(struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && !memchr("!#$%&'*+-.^_`|~", s.p[i], 15))
			return false;
	return s.n > 0;
}

/* Fields that say how the response is framed, or what the file is: the server's own. */
static bool is_own_field(struct weir_str name)
{
	static const char *const names[] = {
		"Accept-Ranges",
		"Connection",
		"Content-Encoding",
		"Content-Length",
		"Content-Range",
		"Content-Type",
		"Date",
		"ETag",
		"Keep-Alive",
		"Last-Modified",
		"Location",
		"Proxy-Authenticate",
		"Server",
		"Trailer",
		"Transfer-Encoding",
		"Upgrade",
		"WWW-Authenticate",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (weir_str_caseeq(name, (struct weir_str){ names[i], strlen(names[i]) }))
			return true;
	return false;
}

int weir_conf_header_parse(const char *text, struct weir_conf_header *ret, const char **ret_why)
{
	struct weir_conf_header h = {};
	const char *colon;

	text += strspn(text, " \t");
	if (*text == '/')
		h.pattern = next_word(&text);
	text += strspn(text, " \t");
	colon = strchr(text, ':');
	if (!colon)
		return refuse(ret_why, "it must have a colon, as in \"X-Frame-Options: DENY\"");
	h.name = (struct weir_str){ text, (size_t)(colon - text) };
	h.value = weir_str_trim((struct weir_str){ colon + 1, strlen(colon + 1) });
	if (!is_token(h.name))
		return refuse(ret_why,
			      "what stands before the colon is no field name; a path pattern begins with a slash");
	if (!is_printable(h.value))
		return refuse(ret_why, "the value must not have control characters");
	if (is_own_field(h.name))
		return refuse(ret_why, "the server sets this field itself (for Content-Type see types)");
	*ret = h;
	return 0;
}

int weir_conf_error_page_parse(const char *text, struct weir_conf_error_page *ret, const char **ret_why)
{
	struct weir_conf_error_page page = {};
	struct weir_str w = next_word(&text);

	while (w.n > 0 && w.p[0] != '/') {
		unsigned status = to_status(w);

		if (status < 400 || status > 599)
			return refuse(ret_why,
				      "it must have statuses from 400 to 599, then a path, as in \"404 /404.html\"");
		if (page.count == WEIR_CONF_STATUSES_MAX)
			return refuse(ret_why, "it has more than 16 statuses");
		page.statuses[page.count++] = status;
		w = next_word(&text);
	}
	page.path = w;
	if (page.count == 0 || w.n == 0 || !is_end(text))
		return refuse(ret_why, "it must have statuses, then one path below root, as in \"404 /404.html\"");
	*ret = page;
	return 0;
}

int weir_conf_access_parse(const char *text, struct weir_conf_access *ret, const char **ret_why)
{
	struct weir_conf_access a = {};
	struct weir_str verb = next_word(&text), net = next_word(&text), digits;
	const char *slash = net.n > 0 ? memchr(net.p, '/', net.n) : NULL;
	size_t bytes = slash ? (size_t)(slash - net.p) : net.n;
	unsigned max, value = 0;
	bool is_v6;

	a.is_allow = is_word(verb, "allow");
	if ((!a.is_allow && !is_word(verb, "deny")) || net.n == 0 || !is_end(text))
		return refuse(ret_why,
			      "it must be allow or deny and an address, as in \"allow 10.0.0.0/8\" or \"deny all\"");
	if (is_word(net, "all")) {
		*ret = a;
		return 0;
	}
	if (!weir_conf_addr_parse(net.p, bytes, &a.addr, &is_v6))
		return refuse(ret_why, "this is no IPv4 or IPv6 address");
	max = is_v6 ? 128 : 32;
	a.bits = 128;
	if (slash) {
		digits = (struct weir_str){ slash + 1, net.n - bytes - 1 };
		for (size_t i = 0; i < digits.n && value <= max; i++)
			value = isdigit((unsigned char)digits.p[i]) ? value * 10 + (unsigned)(digits.p[i] - '0') : 1000;
		if (digits.n == 0 || value > max)
			return refuse(ret_why, is_v6 ? "the number of bits must be from 0 to 128"
						     : "the number of bits must be from 0 to 32");
		a.bits = value + (is_v6 ? 0 : 96);
	}
	*ret = a;
	return 0;
}

int weir_conf_try_parse(const char *text, struct weir_conf_try *ret, const char **ret_why)
{
	struct weir_conf_try t = {};
	const char *dollar;

	if (text[0] == '=') {
		t.status = to_status((struct weir_str){ text + 1, strlen(text + 1) });
		if (t.status < 400 || t.status > 599)
			return refuse(ret_why, "after = stands a status from 400 to 599, as in \"=404\"");
	} else if (text[0] != '/' && strncmp(text, "$uri", 4) != 0) {
		return refuse(ret_why, "it must begin with $uri or a slash, or be a status, as in \"=404\"");
	}
	for (dollar = strchr(text, '$'); dollar; dollar = strchr(dollar + 1, '$'))
		if (strncmp(dollar, "$uri", 4) != 0)
			return refuse(ret_why, "the only variable is $uri");
	if (!is_printable((struct weir_str){ text, strlen(text) }) || strstr(text, "/../") || strstr(text, "/./"))
		return refuse(ret_why, "it must be a plain path below root");
	t.path = (struct weir_str){ text, strlen(text) };
	*ret = t;
	return 0;
}

int weir_conf_type_parse(const char *text, const char **ret_why)
{
	struct weir_str type = next_word(&text), word = next_word(&text);
	const char *slash = memchr(type.p, '/', type.n);

	if (!slash || type.n > 100 || !is_printable(type) ||
	    !is_token((struct weir_str){ type.p, (size_t)(slash - type.p) }))
		return refuse(ret_why, "it must begin with a media type, as in \"text/markdown md\"");
	if (word.n == 0)
		return refuse(ret_why, "it must name at least one extension after the type");
	for (; word.n > 0; word = next_word(&text))
		if (word.n > 30 || memchr(word.p, '/', word.n) || memchr(word.p, '.', word.n))
			return refuse(ret_why, "an extension has no dot, no slash and up to 30 characters");
	return 0;
}
