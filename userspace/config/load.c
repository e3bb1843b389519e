/* SPDX-License-Identifier: GPL-2.0 */
/* Builds a configuration: defaults, then the file, then the options, then the checks. Called by the supervisor and
 * by `weir check`, on one thread. Opens and reads files, starts nothing. */
#include "config/config_priv.h"

#include <errno.h>
#include <string.h>

void weir_conf_words_fini(struct weir_conf_words *w)
{
	size_t i;

	for (i = 0; i < w->count; i++)
		free(w->items[i]);
	free(w->items);
}

struct weir_config *weir_config_free(struct weir_config *c)
{
	size_t i;

	if (!c)
		return NULL;
	for (i = 0; i < c->pools_count; i++) {
		free(c->pools[i].root);
		free(c->pools[i].index);
		free(c->pools[i].user);
		free(c->pools[i].group);
		free(c->pools[i].auto_shutdown_exe);
		free(c->pools[i].orphan_action_exe);
		free(c->pools[i].smp_affinity);
		free(c->pools[i].module.file);
		weir_conf_words_fini(&c->pools[i].restart_schedule);
		weir_conf_words_fini(&c->pools[i].restart_files);
		weir_conf_words_fini(&c->pools[i].environment);
		weir_conf_words_fini(&c->pools[i].module.options);
		weir_conf_words_fini(&c->pools[i].upstreams);
		weir_conf_words_fini(&c->pools[i].proxy.request_fields);
		weir_conf_words_fini(&c->pools[i].proxy.response_fields);
		free(c->pools[i].proxy.servers);
		free(c->pools[i].proxy.hash_header);
		free(c->pools[i].proxy.health_path);
		free(c->pools[i].proxy.host);
		weir_conf_static_fini(&c->pools[i].files);
	}
	for (i = 0; i < c->prefixes_count; i++)
		weir_conf_prefix_fini(&c->prefixes[i]);
	for (i = 0; i < c->interfaces_count; i++)
		free(c->interfaces[i]);
	for (i = 0; i < c->spans_count; i++)
		free(c->spans[i].file);
	free(c->spans);
	free(c->listens);
	free(c->pools);
	free(c->prefixes);
	free(c->interfaces);
	free(c->control);
	free(c->admin);
	free(c->deny);
	free(c->allow);
	free(c->limit_action);
	free(c->name);
	free(c->file);
	free(c);
	return NULL;
}

const struct weir_conf_pool *weir_config_pool(const struct weir_config *c, uint16_t id)
{
	size_t i;

	for (i = 0; i < c->pools_count; i++)
		if (c->pools[i].id == id)
			return &c->pools[i];
	return NULL;
}

int weir_conf_add_pool(struct weir_config *c, const char *name, int line, struct weir_conf_pool **ret)
{
	struct weir_conf_pool *pools, *p;
	int r;

	pools = reallocarray(c->pools, c->pools_count + 1, sizeof(*pools));
	if (!pools)
		return -ENOMEM;
	c->pools = pools;
	p = &pools[c->pools_count++];
	*p = (struct weir_conf_pool){ .id = (uint16_t)c->pools_count, .line = line };
	r = weir_params_default(WEIR_SCOPE_POOL, p);
	if (r < 0)
		return r;
	/* one byte more than fits says that it was cut; weir_conf_check() refuses it */
	if (snprintf(p->name, sizeof(p->name), "%s", name) >= (int)sizeof(p->name))
		p->name[0] = '\0';
	*ret = p;
	return 0;
}

static int add_listen(struct weir_config *c, const char *text, const char *where, int line,
		      struct weir_conf_report *report)
{
	struct weir_conf_listen found[2], *listens;
	const char *why;
	int i, n = weir_conf_listen_parse(text, found, &why);
	size_t j;

	if (n < 0) {
		weir_conf_error(report, where, line, "listen '%s': %s", text, why);
		return 0;
	}
	for (i = 0; i < n; i++) {
		for (j = 0; j < c->listens_count && strcmp(c->listens[j].text, found[i].text); j++)
			;
		if (j < c->listens_count) {
			weir_conf_error(report, where, line, "listen '%s': %s is in the list already", text,
					found[i].text);
			continue;
		}
		listens = reallocarray(c->listens, c->listens_count + 1, sizeof(*listens));
		if (!listens)
			return -ENOMEM;
		c->listens = listens;
		found[i].id = (uint16_t)c->listens_count;
		listens[c->listens_count++] = found[i];
	}
	return 0;
}

static int add_interface(struct weir_config *c, const char *text)
{
	char **names = reallocarray(c->interfaces, c->interfaces_count + 1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	c->interfaces = names;
	names[c->interfaces_count] = strdup(text);
	return names[c->interfaces_count++] ? 0 : -ENOMEM;
}

static int add_word(struct weir_conf_words *w, const char *text)
{
	char **items = reallocarray(w->items, w->count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	w->items = items;
	items[w->count] = strdup(text);
	return items[w->count++] ? 0 : -ENOMEM;
}

static int add_prefix(struct weir_config *c, const struct weir_conf_pool *pool, const char *text, const char *where,
		      int line, struct weir_conf_report *report)
{
	struct weir_conf_prefix p = {}, *prefixes;
	const char *why;
	int r;

	r = weir_conf_prefix_parse(text, &p, &why);
	if (r == -EINVAL) {
		weir_conf_error(report, where, line, "prefix '%s': %s", text, why);
		return 0;
	}
	if (r < 0)
		return r;
	prefixes = reallocarray(c->prefixes, c->prefixes_count + 1, sizeof(*prefixes));
	if (!prefixes) {
		weir_conf_prefix_fini(&p);
		return -ENOMEM;
	}
	c->prefixes = prefixes;
	p.pool = pool ? pool->id : 0;
	p.id = (uint32_t)c->prefixes_count;
	p.line = line;
	prefixes[c->prefixes_count++] = p;
	return 0;
}

static int set_value(const struct weir_config *c, void *base, const struct weir_param *p,
		     const char *text, const char *where, int line, const int *set_at,
		     struct weir_conf_report *report)
{
	const char *why;
	int r;

	if (*set_at > 0 && line > 0)
		weir_conf_error(report, where, line, "'%s' is given twice, first in %s", p->name,
				weir_conf_place(c, *set_at));
	r = weir_param_set(p, base, text, &why);
	if (r != -EINVAL)
		return r;
	weir_conf_error(report, where, line, "'%s' is '%s' but must be %s", p->name, text, why);
	return 0;
}

int weir_conf_set(struct weir_config *c, struct weir_conf_pool *pool, enum weir_param_id id, const char *text,
		  const char *where, int line, struct weir_conf_report *report)
{
	const struct weir_param *p = &weir_params[id];
	int *set_at = pool ? &pool->lines[id] : &c->lines[id];
	int r, shown = MAX(line, 0);

	switch (p->type) {
	case WEIR_TYPE_LISTENS:
		r = add_listen(c, text, where, shown, report);
		break;
	case WEIR_TYPE_NAMES:
		r = add_interface(c, text);
		break;
	case WEIR_TYPE_PREFIXES:
		r = add_prefix(c, pool, text, where, shown, report);
		break;
	case WEIR_TYPE_WORDS:
		weir_conf_check_static_word(id, text, where, shown, report);
		r = add_word((struct weir_conf_words *)((char *)pool + p->offset), text);
		break;
	default:
		r = set_value(c, pool ? (void *)pool : (void *)c, p, text, where, shown, set_at,
			      report);
	}
	*set_at = line;
	return r;
}

static int set_option(struct weir_config *c, struct weir_conf_pool *pool, enum weir_param_id id, const char *text,
		      const char *where, struct weir_conf_report *report)
{
	return text ? weir_conf_set(c, pool, id, text, where, WEIR_LINE_OPTION, report) : 0;
}

static void forget_interfaces(struct weir_config *c)
{
	while (c->interfaces_count)
		free(c->interfaces[--c->interfaces_count]);
}

static int global_options(struct weir_config *c, const struct weir_conf_options *o, struct weir_conf_report *report)
{
	size_t i;
	int r;

	r = set_option(c, NULL, WEIR_PARAM_GLOBAL_attach, o->attach, "--attach", report);
	if (r == 0)
		r = set_option(c, NULL, WEIR_PARAM_GLOBAL_control, o->control, "--control", report);
	if (o->listens_count)
		c->listens_count = 0;
	for (i = 0; r == 0 && i < o->listens_count; i++)
		r = set_option(c, NULL, WEIR_PARAM_GLOBAL_listen, o->listens[i], "--listen", report);
	if (o->interfaces_count)
		forget_interfaces(c);
	for (i = 0; r == 0 && i < o->interfaces_count; i++)
		r = set_option(c, NULL, WEIR_PARAM_GLOBAL_interfaces, o->interfaces[i], "--interface", report);
	return r;
}

static int pool_options(struct weir_config *c, struct weir_conf_pool *pool, const struct weir_conf_options *o,
			struct weir_conf_report *report)
{
	int r;

	r = set_option(c, pool, WEIR_PARAM_POOL_threads, o->threads, "--threads", report);
	if (r == 0)
		r = set_option(c, pool, WEIR_PARAM_POOL_user, o->user, "--user", report);
	if (r == 0 && o->no_kernel_cache)
		r = set_option(c, pool, WEIR_PARAM_POOL_kernel_cache, "off", "--no-kernel-cache", report);
	return r;
}

/* `--root DIR`: one pool that has everything on every port. */
static int root_option(struct weir_config *c, const char *root, struct weir_conf_report *report)
{
	struct weir_conf_pool *pool;
	size_t i, j;
	int r;

	r = weir_conf_add_pool(c, "default", 0, &pool);
	if (r == 0)
		r = set_option(c, pool, WEIR_PARAM_POOL_root, root, "--root", report);
	for (i = 0; r == 0 && i < c->listens_count; i++) {
		char text[32];

		for (j = 0; j < i && c->listens[j].port != c->listens[i].port; j++)
			;
		if (j < i)
			continue;
		snprintf(text, sizeof(text), "http://*:%u/", c->listens[i].port);
		r = set_option(c, pool, WEIR_PARAM_POOL_prefixes, text, "--listen", report);
	}
	return r;
}

static int fill(struct weir_config *c, const struct weir_conf_options *o, struct weir_conf_report *report)
{
	size_t i;
	int r;

	if (c->file) {
		r = weir_conf_parse(c, report);
		if (r == -ENOMEM || r == -EBADMSG)
			return r;
		if (r < 0) {
			weir_conf_error(report, c->file, 0, "cannot be read: %s",
					r == -EINVAL ? "it is no regular file" : strerror(-r));
			return -ENOENT;
		}
	}
	r = global_options(c, o, report);
	if (r == 0 && o->root)
		r = root_option(c, o->root, report);
	for (i = 0; r == 0 && i < c->pools_count; i++)
		r = pool_options(c, &c->pools[i], o, report);
	return r;
}

int weir_config_load(const struct weir_conf_options *o, struct weir_conf_report *report, struct weir_config **ret)
{
	_cleanup_(weir_config_freep) struct weir_config *c = NULL;
	const char *file = o->file;
	int r;

	if (o->file && o->root) {
		weir_conf_error(report, "--root", 0, "not together with -c: a file names the root of each pool");
		return -EINVAL;
	}
	if (!o->file && !o->root) {
		file = WEIR_CONF_FILE;
		if (access(file, F_OK) < 0) {
			weir_conf_error(report, NULL, 0,
					"nothing to serve: there is no " WEIR_CONF_FILE
					"; use -c FILE, or --root DIR --listen ADDR:PORT");
			return -ENOENT;
		}
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->file = file ? strdup(file) : NULL;
	if (file && !c->file)
		return -ENOMEM;
	r = weir_params_default(WEIR_SCOPE_GLOBAL, c);
	if (r == 0)
		r = fill(c, o, report);
	if (r == 0)
		r = weir_conf_check(c, report);
	weir_conf_report_sort(report);
	weir_conf_report_locate(report, c);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (report->errors)
		return -EINVAL;
	*ret = TAKE_PTR(c);
	return 0;
}
