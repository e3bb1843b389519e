/* SPDX-License-Identifier: GPL-2.0 */
/* What can only be judged with the whole configuration and this host before us: accounts, directories, duplicates,
 * limits. Reports everything it finds and goes on. */
#include "config/config_priv.h"

#include <errno.h>
#include <grp.h>
#include <net/if.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "weir/cache.h"
#include "weir/limits.h"

static const char *where(const struct weir_config *c, int line, const char *option)
{
	return line > 0 || !option ? c->file : option;
}

static void check_name(const struct weir_config *c, const struct weir_conf_pool *p, struct weir_conf_report *report)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	const struct weir_conf_pool *other;

	if (!p->name[0] || p->name[strspn(p->name, allowed)])
		weir_conf_error(report, c->file, p->line,
				"a pool's name has 1 to %zu letters, digits, '_', '-' or '.'", sizeof(p->name) - 1);
	for (other = c->pools; other < p; other++)
		if (p->name[0] && !strcmp(other->name, p->name))
			weir_conf_error(report, c->file, p->line, "pool '%s' exists already, in %s",
					p->name, weir_conf_place(c, other->line));
}

bool weir_conf_can_read(const struct weir_conf_pool *p, const char *path, bool is_directory, const char **ret_blocked)
{
	static char part[4096];
	size_t i, bytes = strlen(path);

	for (i = 1; i <= bytes && bytes < sizeof(part); i++) {
		unsigned need = i < bytes ? 1 : is_directory ? 5 : 4, mode;
		struct stat st;

		if (i < bytes && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (stat(part, &st) < 0)
			continue;
		mode = st.st_uid == p->uid ? st.st_mode >> 6 : st.st_gid == p->gid ? st.st_mode >> 3 : st.st_mode;
		if ((mode & need) != need) {
			*ret_blocked = part;
			return false;
		}
	}
	return true;
}

static int check_root(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report)
{
	int line = p->lines[WEIR_PARAM_POOL_root];
	_cleanup_free_ char *joined = NULL;
	const char *base = c->file ? strrchr(c->file, '/') : NULL, *at = where(c, line, "--root"), *blocked;
	_cleanup_free_ char *real = NULL;
	struct stat st;

	if (!p->root && p->handler != WEIR_HANDLER_STATIC)
		return 0;
	if (!p->root) {
		weir_conf_error(report, c->file, p->line, "pool '%s' has no root: name the directory to serve",
				p->name);
		return 0;
	}
	line = MAX(line, 0);
	if (p->root[0] != '/' && base &&
	    asprintf(&joined, "%.*s/%s", (int)(base - c->file), c->file, p->root) < 0)
		return -ENOMEM;
	real = realpath(joined ? joined : p->root, NULL);
	if (!real || stat(real, &st) < 0) {
		weir_conf_error(report, at, line, "root '%s': %s", p->root, strerror(errno));
		return errno == ENOMEM ? -ENOMEM : 0;
	}
	free(p->root);
	p->root = TAKE_PTR(real);
	if (!S_ISDIR(st.st_mode))
		weir_conf_error(report, at, line, "root '%s' is no directory", p->root);
	else if (!weir_conf_can_read(p, p->root, true, &blocked))
		weir_conf_warning(report, at, line,
				  "root '%s': '%s' is closed to %s, so requests will get 403; open it with chmod o+rx",
				  p->root, blocked, p->user);
	return 0;
}

static int check_user(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report)
{
	int line = p->lines[WEIR_PARAM_POOL_user], group_line = p->lines[WEIR_PARAM_POOL_group];
	const struct passwd *pw;
	const struct group *gr;

	pw = getpwnam(p->user ? p->user : "www-data");
	if (!pw && !p->user)
		pw = getpwnam("nobody");
	if (!pw) {
		weir_conf_error(report, where(c, line, "--user"), MAX(line, 0),
				"there is no user '%s' on this host", p->user ? p->user : "www-data");
		return 0;
	}
	if (!p->user)
		p->user = strdup(pw->pw_name);
	p->uid = pw->pw_uid;
	p->gid = pw->pw_gid;
	if (!p->uid)
		weir_conf_error(report, where(c, line, "--user"), MAX(line, 0),
				"workers must not run as root: name another user");
	if (p->group) {
		gr = getgrnam(p->group);
		if (gr)
			p->gid = gr->gr_gid;
		else
			weir_conf_error(report, c->file, group_line, "there is no group '%s' on this host", p->group);
	} else {
		gr = getgrgid(p->gid);
		p->group = strdup(gr ? gr->gr_name : "nogroup");
	}
	return p->user && p->group ? 0 : -ENOMEM;
}

/* `threads` is the short form of both. */
static void set_threads(struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report)
{
	const int *lines = p->lines;

	if (lines[WEIR_PARAM_POOL_threads] && !lines[WEIR_PARAM_POOL_threads_min])
		p->threads_min = p->threads;
	if (lines[WEIR_PARAM_POOL_threads] && !lines[WEIR_PARAM_POOL_threads_max])
		p->threads_max = p->threads;
	if (!lines[WEIR_PARAM_POOL_threads_max] && p->threads_max < p->threads_min)
		p->threads_max = p->threads_min;
	if (p->threads_max < p->threads_min)
		weir_conf_error(report, c->file, MAX(lines[WEIR_PARAM_POOL_threads_max], 0),
				"threads_max is %u, less than threads_min, %u", p->threads_max, p->threads_min);
}

static int check_pools(struct weir_config *c, struct weir_conf_report *report)
{
	uint32_t slots = 0;
	size_t i;
	int r;

	if (!c->pools_count)
		weir_conf_error(report, c->file, 0, "no pool: add pool NAME { root = ... prefixes = { ... } }");
	if (c->pools_count >= WEIR_POOLS_MAX)
		weir_conf_error(report, c->file, c->pools[WEIR_POOLS_MAX - 1].line, "more than %d pools",
				WEIR_POOLS_MAX - 1);
	for (i = 0; i < c->pools_count; i++) {
		struct weir_conf_pool *p = &c->pools[i];

		check_name(c, p, report);
		r = check_user(c, p, report);
		if (r == 0)
			r = check_root(c, p, report);
		if (r == 0)
			r = weir_conf_check_module(c, p, report);
		if (r == 0)
			r = weir_conf_check_proxy(c, p, report);
		if (r < 0)
			return r;
		set_threads(c, p, report);
		weir_conf_check_life(c, p, report);
		r = weir_conf_check_static(c, p, report);
		if (r < 0)
			return r;
		if (!p->lines[WEIR_PARAM_POOL_prefixes] && c->listens_count)
			weir_conf_warning(report, c->file, p->line,
					  "pool '%s' has no prefixes: no request will reach it", p->name);
		p->first_slot = slots;
		slots += p->slots;
		if (slots > WEIR_SLOTS_MAX && slots - p->slots <= WEIR_SLOTS_MAX)
			weir_conf_error(report, c->file, p->line, "more than %d slots in all pools together",
					WEIR_SLOTS_MAX);
	}
	return 0;
}

static int by_prefix(const void *a, const void *b)
{
	const struct weir_conf_prefix *const *p = a, *const *q = b;
	int n = weir_conf_prefix_compare(*p, *q);

	return n ? n : (*p)->id < (*q)->id ? -1 : 1;
}

static int check_duplicates(const struct weir_config *c, struct weir_conf_report *report)
{
	_cleanup_free_ const struct weir_conf_prefix **sorted = NULL;
	size_t i;

	sorted = calloc(c->prefixes_count + 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (i = 0; i < c->prefixes_count; i++)
		sorted[i] = &c->prefixes[i];
	qsort(sorted, c->prefixes_count, sizeof(*sorted), by_prefix);
	for (i = 1; i < c->prefixes_count; i++)
		if (!weir_conf_prefix_compare(sorted[i - 1], sorted[i]))
			weir_conf_error(report, c->file, MAX(sorted[i]->line, 0),
					"prefix '%s' is the same as '%s' in %s", sorted[i]->text,
					sorted[i - 1]->text,
					weir_conf_place(c, sorted[i - 1]->line));
	return 0;
}

static void check_prefixes(const struct weir_config *c, struct weir_conf_report *report)
{
	size_t i, j;

	if (c->prefixes_count > WEIR_ROUTES_MAX)
		weir_conf_error(report, c->file, 0, "%zu prefixes, the kernel's table holds %d", c->prefixes_count,
				WEIR_ROUTES_MAX);
	for (i = 0; i < c->prefixes_count; i++) {
		const struct weir_conf_prefix *p = &c->prefixes[i];

		for (j = 0; j < c->listens_count && c->listens[j].port != p->port; j++)
			;
		if (j == c->listens_count && j > 0)
			weir_conf_warning(report, c->file, MAX(p->line, 0),
					  "prefix '%s': nothing listens on port %u; add it to listen", p->text,
					  p->port);
	}
}

static void check_globals(const struct weir_config *c, struct weir_conf_report *report)
{
	int line = c->lines[WEIR_PARAM_GLOBAL_interfaces];
	size_t i;

	if (!c->listens_count && !c->lines[WEIR_PARAM_GLOBAL_listen])
		weir_conf_error(report, c->file, 0,
				c->file ? "nothing to listen on: add listen = { \"127.0.0.1:8080\" }" :
					  "nothing to listen on: add --listen 127.0.0.1:8080");
	if (c->listens_count > WEIR_ENDPOINTS_MAX)
		weir_conf_error(report, c->file, MAX(c->lines[WEIR_PARAM_GLOBAL_listen], 0),
				"more than %d addresses to listen on", WEIR_ENDPOINTS_MAX);
	for (i = 0; i < c->interfaces_count; i++) {
		unsigned ifindex = if_nametoindex(c->interfaces[i]);

		if (!ifindex)
			weir_conf_error(report, where(c, line, "--interface"), MAX(line, 0),
					"there is no interface '%s'; `ip link` lists them", c->interfaces[i]);
		if (ifindex >= WEIR_IFINDEX_MAX)
			weir_conf_error(report, where(c, line, "--interface"), MAX(line, 0),
					"interface '%s' has the number %u; those below %d can be attached to",
					c->interfaces[i], ifindex, WEIR_IFINDEX_MAX);
	}
}

/* Makes the control path absolute and derives the instance's name from it. */
static int check_control(struct weir_config *c, struct weir_conf_report *report)
{
	int line = c->lines[WEIR_PARAM_GLOBAL_control];
	_cleanup_free_ char *cwd = NULL;
	char *path, *p;
	size_t bytes;

	if (c->control[0] != '/') {
		cwd = getcwd(NULL, 0);
		if (!cwd || asprintf(&path, "%s/%s", cwd, c->control) < 0)
			return -ENOMEM;
		free(c->control);
		c->control = path;
	}
	if (strlen(c->control) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		weir_conf_error(report, where(c, line, "--control"), MAX(line, 0),
				"control path '%s' is longer than a socket's name can be (107 bytes)", c->control);
	p = strrchr(c->control, '/') + 1;
	bytes = strlen(p);
	if (bytes > 5 && !strcmp(p + bytes - 5, ".sock"))
		bytes -= 5;
	c->name = strndup(bytes ? p : "weir", bytes ? bytes : 4);
	if (!c->name)
		return -ENOMEM;
	for (p = c->name; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", *p))
			*p = '_';
	return 0;
}

uint8_t weir_conf_pool_encodings(const struct weir_conf_pool *p)
{
	if (p->handler == WEIR_HANDLER_STATIC)
		return p->files.precompressed || p->files.compress ?
			       WEIR_ENCODING_BR | WEIR_ENCODING_ZSTD | WEIR_ENCODING_GZIP :
			       0;
	return WEIR_ENCODING__COUNT - 1;
}

int weir_conf_check(struct weir_config *c, struct weir_conf_report *report)
{
	int r;

	check_globals(c, report);
	weir_conf_check_limits(c, report);
	r = check_control(c, report);
	if (r == 0)
		r = check_pools(c, report);
	if (r == 0)
		r = check_duplicates(c, report);
	if (r == 0)
		check_prefixes(c, report);
	return r;
}
