/* SPDX-License-Identifier: GPL-2.0 */
/* What a fastcgi pool says about its application. Called by the check of the whole configuration,
 * after the root was resolved. */
#include "config/config_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void check_names(const struct weir_config *c, const struct weir_conf_pool *p, struct weir_conf_report *report)
{
	const struct weir_conf_fastcgi *f = &p->fastcgi;
	size_t i;

	if (f->extension[0] != '.' || !f->extension[1] || strchr(f->extension, '/'))
		weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_fastcgi_extension], 0),
				"fastcgi_extension '%s' is no ending of a file's name, as in .php", f->extension);
	if (strchr(f->index, '/'))
		weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_fastcgi_index], 0),
				"fastcgi_index '%s' is no file's name, as in index.php", f->index);
	for (i = 0; i < f->params.count; i++) {
		const char *equal = strchr(f->params.items[i], '=');

		if (!equal || equal == f->params.items[i])
			weir_conf_error(report, c->file, p->lines[WEIR_PARAM_POOL_fastcgi_params],
					"fastcgi_params: '%s' is no NAME=VALUE", f->params.items[i]);
	}
}

static void check_front(const struct weir_config *c, const struct weir_conf_pool *p, struct weir_conf_report *report)
{
	int line = MAX(p->lines[WEIR_PARAM_POOL_fastcgi_front], 0);
	const char *front = p->fastcgi.front;
	char path[8192];
	struct stat st;

	if (!front)
		return;
	if (front[0] != '/' || strstr(front, "/../")) {
		weir_conf_error(report, c->file, line, "fastcgi_front '%s' is no path below the root, as in /index.php",
				front);
		return;
	}
	snprintf(path, sizeof(path), "%s%s", p->root ? p->root : "", front);
	if (p->root && (stat(path, &st) < 0 || !S_ISREG(st.st_mode)))
		weir_conf_error(report, c->file, line, "fastcgi_front: there is no file '%s'", path);
}

void weir_conf_check_fastcgi(const struct weir_config *c, const struct weir_conf_pool *p,
			     struct weir_conf_report *report)
{
	if (p->handler != WEIR_HANDLER_FASTCGI)
		return;
	if (!p->root && !p->fastcgi.takes_all)
		weir_conf_error(report, c->file, p->line,
				"pool '%s' has no root: name the directory of its scripts, or set "
				"fastcgi_all = on",
				p->name);
	if (!p->upstreams.count && !p->exec.command.count)
		weir_conf_error(report, c->file, p->line,
				"pool '%s' has no FastCGI application: name it with upstreams, or the "
				"program to start with exec",
				p->name);
	if (p->proxy.health_path)
		weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_health_path], 0),
				"health_path speaks HTTP, which a FastCGI application does not: leave it out");
	if (p->proxy.request_fields.count)
		weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_upstream_headers], 0),
				"upstream_headers are for HTTP: a FastCGI application is told with fastcgi_params");
	check_names(c, p, report);
	check_front(c, p, report);
}
