/* SPDX-License-Identifier: GPL-2.0 */
/* The configuration file, by libconfuse. Every value arrives in a callback while it is parsed,
 * because only then its line is known; the callbacks never fail, so that one run finds every bad
 * value. Habits of libconfuse 3.3 are worked around: those with comments, variables and included
 * files in source.c; and an unknown name ends the parse, so the text is parsed again with that name
 * known as a dummy. */
#include "config/config_priv.h"

#include <confuse.h>
#include <errno.h>
#include <string.h>

#define UNKNOWN_MAX 32

/* A list in each pool that has this default: its callback runs where the section begins. No file can write it. */
#define BEGIN_NAME "(begin)"

enum unknown_kind {
	UNKNOWN_VALUE,
	UNKNOWN_LIST,
	UNKNOWN_SECTION,
	UNKNOWN_TITLED, /* section */
};

struct unknown {
	char name[64];
	int line;
	enum unknown_kind kind; /* what the file has behind it */
	bool is_in_pool;
};

struct parse {
	struct weir_config *config;
	struct weir_conf_report *report;
	const char *text;
	bool is_in_pool; /* a pool section is open: the last pool */
	bool has_failed; /* out of memory */
	struct unknown unknown[UNKNOWN_MAX];
	size_t unknown_count;
	bool is_again; /* an unknown name was met: parse again */
	bool is_cut;   /* a syntax error ended the parse */
};

/* libconfuse's callbacks carry no argument of ours; configurations are loaded by one thread */
static struct parse *parse;

static struct weir_conf_pool *open_pool(void)
{
	struct weir_config *c = parse->config;

	return parse->is_in_pool ? &c->pools[c->pools_count - 1] : NULL;
}

static enum weir_param_id find_param(enum weir_param_scope scope, const char *name)
{
	size_t i;

	for (i = 0; i < WEIR_PARAM__MAX; i++)
		if (weir_params[i].scope == scope && !strcmp(weir_params[i].name, name))
			break;
	return (enum weir_param_id)i;
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct weir_conf_pool *pool = open_pool();
	enum weir_param_id id = find_param(pool ? WEIR_SCOPE_POOL : WEIR_SCOPE_GLOBAL, opt->name);
	int r;

	*(const char **)result = value;
	if (parse->has_failed)
		return 0;
	r = weir_conf_set(parse->config, pool, id, value, parse->config->file, cfg->line, parse->report);
	if (r < 0)
		parse->has_failed = true;
	return 0;
}

static int on_begin(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct weir_conf_pool *pool;
	char name[32];

	(void)opt;
	*(const char **)result = value;
	if (parse->is_in_pool)
		return 0;
	/* never an error from here: libconfuse aborts when a default cannot be parsed */
	snprintf(name, sizeof(name), "line_%d", cfg->line); /* of a section that should be a pool */
	if (weir_conf_add_pool(parse->config, cfg->title ? cfg->title : name, cfg->line, &pool) < 0)
		parse->has_failed = true;
	else
		parse->is_in_pool = true;
	return 0;
}

static int on_end(cfg_t *cfg, cfg_opt_t *opt)
{
	(void)cfg;
	(void)opt;
	parse->is_in_pool = false;
	return 0;
}

/* Where a line of the text stands in it. */
static const char *line_at(int line)
{
	const char *p = parse->text;

	for (; p && line > 1; line--) {
		p = strchr(p, '\n');
		p += p != NULL;
	}
	return p ? p : "";
}

/* A name in this line, and what stands behind it. NULL: it is not in the line. */
static const char *find_name(const char *name, int line, enum unknown_kind *ret)
{
	const char *start = line_at(line), *end = strchrnul(start, '\n'), *at = strstr(start, name), *p;

	if (!at || at >= end)
		return NULL;
	p = at + strlen(name);
	p += strspn(p, " \t\n");
	*ret = UNKNOWN_VALUE;
	if (*p == '=' || *p == '+') {
		p += strspn(p, "+= \t\n");
		*ret = *p == '{' ? UNKNOWN_LIST : UNKNOWN_VALUE;
	} else if (*p == '{') {
		*ret = UNKNOWN_SECTION;
	} else {
		p += strcspn(p, " \t\n{=");
		p += strspn(p, " \t\n");
		*ret = *p == '{' ? UNKNOWN_TITLED : UNKNOWN_VALUE;
	}
	return at;
}

static void note_unknown(const char *name, int line)
{
	struct unknown *u = &parse->unknown[parse->unknown_count];
	size_t i;

	for (i = 0; i < parse->unknown_count; i++)
		if (!strcmp(parse->unknown[i].name, name) && parse->unknown[i].line == line)
			return;
	if (parse->unknown_count == UNKNOWN_MAX)
		return;
	snprintf(u->name, sizeof(u->name), "%s", name);
	u->line = line;
	u->kind = UNKNOWN_VALUE;
	(void)find_name(name, line, &u->kind);
	u->is_in_pool = parse->is_in_pool;
	parse->unknown_count++;
	parse->is_again = true;
}

/* The name was met in an earlier run and is known as a dummy now. */
static int on_unknown(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	bool is_again = parse->is_again;
	enum unknown_kind kind;

	*(const char **)result = value;
	/* a list comes here for each of its items */
	if (find_name(opt->name, cfg->line, &kind))
		note_unknown(opt->name, cfg->line);
	parse->is_again = is_again;
	return 0;
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[256];
	size_t i;

	if (!strcmp(fmt, "no such option '%s'")) {
		note_unknown(va_arg(ap, const char *), cfg->line);
		return;
	}
	parse->is_cut = true;
	for (i = 0; i < parse->unknown_count; i++)
		if (parse->unknown[i].line == cfg->line)
			return;
	vsnprintf(text, sizeof(text), fmt, ap);
	weir_conf_error(parse->report, parse->config->file, cfg->line, "%s%s", text,
			strstr(fmt, "end of file") ? ": a quote or a brace is left open" : "");
}

/* Levenshtein distance of short names, for "did you mean". */
static size_t distance(const char *a, const char *b)
{
	size_t row[65], i, j, n = strlen(b);

	if (strlen(a) > 64 || n > 64)
		return 64;
	for (j = 0; j <= n; j++)
		row[j] = j;
	for (i = 0; a[i]; i++) {
		size_t corner = row[0];

		row[0] = i + 1;
		for (j = 0; j < n; j++) {
			size_t change = corner + (a[i] != b[j]);

			corner = row[j + 1];
			row[j + 1] = MIN(MIN(row[j] + 1, corner + 1), change);
		}
	}
	return row[n];
}

static void report_unknown(const struct unknown *u)
{
	enum weir_param_scope here = u->is_in_pool ? WEIR_SCOPE_POOL : WEIR_SCOPE_GLOBAL;
	const struct weir_param *best = NULL;
	size_t i;

	if (!strcmp(u->name, "include")) {
		weir_conf_error(parse->report, parse->config->file, u->line,
				"include is written include(\"file or pattern\"), in one line");
		return;
	}
	if (!strcmp(u->name, "pool")) {
		weir_conf_error(parse->report, parse->config->file, u->line,
				"a pool inside of a pool: is a closing brace missing before it?");
		return;
	}
	if (u->kind >= UNKNOWN_SECTION && !u->is_in_pool) {
		weir_conf_error(parse->report, parse->config->file, u->line,
				"unknown section '%s', did you mean pool NAME { ... }?", u->name);
		return;
	}
	for (i = 0; i < WEIR_PARAM__MAX; i++) {
		const struct weir_param *p = &weir_params[i];

		if (!strcmp(p->name, u->name)) {
			weir_conf_error(parse->report, parse->config->file, u->line,
					p->scope == WEIR_SCOPE_POOL ? "'%s' belongs inside of pool NAME { ... }" :
								      "'%s' belongs outside of every pool",
					u->name);
			return;
		}
		if (p->scope == here && distance(p->name, u->name) <= 3 &&
		    (!best || distance(p->name, u->name) < distance(best->name, u->name)))
			best = p;
	}
	weir_conf_error(parse->report, parse->config->file, u->line, "unknown name '%s'%s%s%s", u->name,
			best ? ", did you mean '" : "; see weir.conf(5)", best ? best->name : "",
			best ? "'?" : "");
}

static cfg_opt_t value_option(const char *name, bool is_list, cfg_callback_t callback)
{
	cfg_opt_t list = CFG_STR_LIST_CB(name, NULL, CFGF_NODEFAULT, callback);
	cfg_opt_t single = CFG_STR_CB(name, NULL, CFGF_NODEFAULT, callback);

	return is_list ? list : single;
}

/* An unknown section is read as if it were a pool: that finds what is wrong inside of it, too. */
static cfg_opt_t unknown_option(const struct unknown *u, cfg_opt_t *pool_opts)
{
	cfg_flag_t flags = CFGF_MULTI | (u->kind == UNKNOWN_TITLED ? CFGF_TITLE : CFGF_NONE);

	if (u->kind < UNKNOWN_SECTION || u->is_in_pool)
		return value_option(u->name, u->kind == UNKNOWN_LIST, on_unknown);
	return (cfg_opt_t)CFG_SEC(u->name, pool_opts, flags);
}

/* Fills in the rows of a scope and the dummies; returns how many. */
static size_t scope_options(enum weir_param_scope scope, cfg_opt_t *opts, cfg_opt_t *pool_opts)
{
	size_t i, j, n = 0;

	for (i = 0; i < WEIR_PARAM__MAX; i++)
		if (weir_params[i].scope == scope)
			opts[n++] =
			    value_option(weir_params[i].name, weir_params[i].type >= WEIR_TYPE_LISTENS, on_value);

	for (i = 0; i < parse->unknown_count; i++) {
		const struct unknown *u = &parse->unknown[i];

		for (j = 0; j < n && strcmp(opts[j].name, u->name); j++)
			;
		if (j == n && u->is_in_pool == (scope == WEIR_SCOPE_POOL))
			opts[n++] = unknown_option(u, pool_opts);
	}
	return n;
}

static int parse_text(const char *text)
{
	cfg_opt_t begin = CFG_STR_LIST_CB(BEGIN_NAME, "{.}", CFGF_NONE, on_begin), end = CFG_END();
	cfg_opt_t pool_opts[WEIR_PARAM__MAX + UNKNOWN_MAX + 2], opts[WEIR_PARAM__MAX + UNKNOWN_MAX + 2];
	_cleanup_fclose_ FILE *f = NULL;
	size_t n, i;
	cfg_t *cfg;

	n = scope_options(WEIR_SCOPE_POOL, pool_opts, NULL);
	pool_opts[n++] = begin;
	pool_opts[n] = end;
	n = scope_options(WEIR_SCOPE_GLOBAL, opts, pool_opts);
	opts[n++] = (cfg_opt_t)CFG_SEC("pool", pool_opts, CFGF_MULTI | CFGF_TITLE);
	opts[n] = end;

	f = fmemopen((void *)text, strlen(text), "r");
	cfg = cfg_init(opts, CFGF_NONE);
	if (!f || !cfg)
		return -ENOMEM;
	cfg->filename = strdup(parse->config->file);
	(void)cfg_set_error_function(cfg, on_error);
	(void)cfg_set_validate_func(cfg, "pool", on_end);
	for (i = 0; i < parse->unknown_count; i++)
		if (parse->unknown[i].kind >= UNKNOWN_SECTION && !parse->unknown[i].is_in_pool)
			(void)cfg_set_validate_func(cfg, parse->unknown[i].name, on_end);
	parse->is_in_pool = false;
	parse->is_again = false;
	(void)cfg_parse_fp(cfg, f);
	cfg_free(cfg);
	return parse->has_failed ? -ENOMEM : 0;
}

/* Forgets what a run that met an unknown name has set. */
static int start_again(struct weir_config *c, struct weir_conf_report *report, size_t before)
{
	struct weir_config fresh = {
	    .file = c->file, .spans = c->spans, .spans_count = c->spans_count};
	struct weir_config *old = malloc(sizeof(*old));
	int r;

	if (!old)
		return -ENOMEM;
	r = weir_params_default(WEIR_SCOPE_GLOBAL, &fresh);
	*old = *c;
	*c = fresh;
	old->file = NULL;
	old->spans = NULL;
	old->spans_count = 0;
	weir_config_free(old);
	weir_conf_report_cut(report, before);
	return r;
}

int weir_conf_parse(struct weir_config *c, struct weir_conf_report *report)
{
	struct parse state = { .config = c, .report = report };
	_cleanup_free_ char *text = NULL;
	size_t i, before;
	int r;

	r = weir_conf_source(c, report, &text);
	if (r < 0)
		return r;
	before = report->count;
	state.text = text;
	parse = &state;
	r = parse_text(text);
	while (r == 0 && state.is_again) {
		r = start_again(c, report, before);
		if (r == 0)
			r = parse_text(text);
	}
	for (i = 0; i < state.unknown_count; i++)
		report_unknown(&state.unknown[i]);
	parse = NULL;
	return r == 0 && state.is_cut ? -EBADMSG : r;
}
