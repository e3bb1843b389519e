/* SPDX-License-Identifier: GPL-2.0 */
/* Redirects and rewrites. Patterns are PCRE2, compiled once; each match has limits, so that no path, however it is
 * made, keeps a thread busy. */
#include "handlers/static_priv.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#define MATCH_LIMIT 100000 /* calls of PCRE2's inner match(): a few milliseconds */
#define HEAP_KB 4096
#define GROUPS 10 /* $0 to $9 */

struct rule {
	struct weir_conf_rule text;
	const char *words; /* as configured */
	pcre2_code *code;
};

struct static_rules {
	pcre2_match_context *limits;
	size_t count;
	struct rule rules[]; /* redirects, then rewrites */
};

/* Where a rule matched: what $0 to $9 stand for; for a prefix 1 is the rest. */
struct found {
	struct weir_str groups[GROUPS];
};

struct static_rules *weir_static_rules_free(struct static_rules *r)
{
	size_t i;

	if (!r)
		return NULL;
	for (i = 0; i < r->count; i++)
		pcre2_code_free(r->rules[i].code);
	pcre2_match_context_free(r->limits);
	free(r);
	return NULL;
}
DEFINE_CLEANUP(struct static_rules *, weir_static_rules_free)

/* -EINVAL: the configuration's checks would have refused it. */
static int add(struct static_rules *r, const struct weir_conf_words *w,
	       int (*parse)(const char *text, struct weir_conf_rule *ret, const char **ret_why))
{
	size_t i;

	for (i = 0; i < w->count; i++) {
		struct rule *rule = &r->rules[r->count];
		const char *why;
		PCRE2_SIZE at;
		int error;

		rule->words = w->items[i];
		if (parse(rule->words, &rule->text, &why) < 0)
			return -EINVAL;
		if (rule->text.match == WEIR_MATCH_REGEX) {
			rule->code =
				pcre2_compile((PCRE2_SPTR)rule->text.from.p, rule->text.from.n, 0, &error, &at, NULL);
			if (!rule->code)
				return -EINVAL;
		}
		r->count++;
	}
	return 0;
}

int weir_static_rules_new(const struct weir_conf_words *redirects, const struct weir_conf_words *rewrites,
			  struct static_rules **ret)
{
	_cleanup_(weir_static_rules_freep) struct static_rules *r = NULL;
	int error;

	r = calloc(1, sizeof(*r) + (redirects->count + rewrites->count) * sizeof(r->rules[0]));
	if (!r)
		return -ENOMEM;
	r->limits = pcre2_match_context_create(NULL);
	if (!r->limits)
		return -ENOMEM;
	(void)pcre2_set_match_limit(r->limits, MATCH_LIMIT);
	(void)pcre2_set_heap_limit(r->limits, HEAP_KB);
	error = add(r, redirects, weir_conf_redirect_parse);
	if (error == 0)
		error = add(r, rewrites, weir_conf_rewrite_parse);
	if (error < 0)
		return error;
	*ret = TAKE_PTR(r);
	return 0;
}

/* 1, 0, or -ELOOP. */
static int match_regex(const struct static_rules *r, const struct rule *rule, struct weir_str path, struct found *ret)
{
	pcre2_match_data *data = pcre2_match_data_create(GROUPS, NULL);
	const PCRE2_SIZE *at;
	int n, i, count;

	if (!data)
		return -ENOMEM;
	n = pcre2_match(rule->code, (PCRE2_SPTR)path.p, path.n, 0, 0, data, r->limits);
	if (n >= 0) {
		at = pcre2_get_ovector_pointer(data);
		count = n == 0 ? GROUPS : n;
		for (i = 0; i < GROUPS; i++)
			ret->groups[i] = i < count && at[2 * i] != PCRE2_UNSET && at[2 * i + 1] >= at[2 * i]
						 ? (struct weir_str){ path.p + at[2 * i], at[2 * i + 1] - at[2 * i] }
						 : (struct weir_str){ "", 0 };
	}
	pcre2_match_data_free(data);
	return n >= 0 ? 1 : n == PCRE2_ERROR_NOMATCH ? 0 : -ELOOP;
}

static int match(const struct static_rules *r, const struct rule *rule, struct weir_str path, struct found *ret)
{
	struct weir_str from = rule->text.from;

	if (rule->text.match == WEIR_MATCH_REGEX)
		return match_regex(r, rule, path, ret);
	if (rule->text.match == WEIR_MATCH_EXACT)
		return weir_str_eq(path, from);
	if (path.n < from.n || memcmp(path.p, from.p, from.n) != 0 ||
	    (path.n > from.n && from.p[from.n - 1] != '/' && path.p[from.n] != '/'))
		return 0;
	ret->groups[1] = (struct weir_str){ path.p + from.n, path.n - from.n };
	return 1;
}

/* For a value in a query: everything but what RFC 3986 calls unreserved. */
static void put_query_value(struct weir_buf *b, struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char escape[3] = { '%', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15] };

		if (c < 0x80 && (isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~'))
			weir_buf_put(b, &s.p[i], 1);
		else
			weir_buf_put(b, escape, sizeof(escape));
	}
}

/* TO with its variables. Parts of the path come decoded: in a redirect they are escaped again. */
static void substitute(const struct weir_conf_rule *rule, const struct found *found, struct weir_buf *to)
{
	bool in_query = false;
	size_t i;

	for (i = 0; i < rule->to.n; i++) {
		char c = rule->to.p[i];
		char next = i + 1 < rule->to.n ? rule->to.p[i + 1] : '\0';

		in_query |= c == '?';
		if (c != '$' || rule->match != WEIR_MATCH_REGEX || (!isdigit((unsigned char)next) && next != '$')) {
			weir_buf_put(to, &c, 1);
			continue;
		}
		i++;
		if (next == '$')
			weir_buf_put(to, "$", 1);
		else if (rule->status == 0)
			weir_buf_str(to, found->groups[next - '0']);
		else if (in_query)
			put_query_value(to, found->groups[next - '0']);
		else
			weir_path_encode(to, found->groups[next - '0']);
	}
	if (rule->match != WEIR_MATCH_PREFIX)
		return;
	if (rule->status == 0)
		weir_buf_str(to, found->groups[1]);
	else if (in_query)
		put_query_value(to, found->groups[1]);
	else
		weir_path_encode(to, found->groups[1]);
}

/* "//host" would lead to another server. */
static void join_slashes(struct weir_buf *to)
{
	size_t n = 0;

	while (n + 1 < to->n && to->p[n] == '/' && to->p[n + 1] == '/')
		n++;
	memmove(to->p, to->p + n, to->n - n);
	to->n -= n;
}

/* The client's query goes behind that of TO; a '?' at the end of TO says that there is none. */
static void put_query(struct weir_str query, struct weir_buf *to)
{
	const char *mark = memchr(to->p, '?', to->n);

	if (mark && mark + 1 == to->p + to->n) {
		to->n--;
		return;
	}
	if (!query.p || memchr(to->p, '#', to->n))
		return;
	weir_buf_puts(to, mark ? "&" : "?");
	weir_buf_str(to, query);
}

/* A path that could mean another place than it says. */
static bool has_dots(struct weir_str path)
{
	struct weir_str segment;

	while (weir_str_next(&path, '/', &segment))
		if (weir_str_eq(segment, WEIR_STR(".")) || weir_str_eq(segment, WEIR_STR("..")))
			return true;
	return false;
}

int weir_static_rules_apply(const struct static_rules *r, const struct weir_request *req, struct weir_buf *to,
			    unsigned *ret_status, const char **ret_rule)
{
	struct found found = {};
	size_t i;
	int n;

	for (i = 0; i < r->count; i++) {
		const struct rule *rule = &r->rules[i];

		n = match(r, rule, req->path, &found);
		if (n == 0)
			continue;
		*ret_rule = rule->words;
		if (n < 0)
			return n;
		substitute(&rule->text, &found, to);
		if (to->p[0] == '/')
			join_slashes(to);
		if (rule->text.status > 0)
			put_query(req->query, to);
		*ret_status = rule->text.status;
		if (to->is_full)
			return -E2BIG;
		return rule->text.status == 0 && has_dots((struct weir_str){ to->p, to->n }) ? -ENOENT : 1;
	}
	return 0;
}
