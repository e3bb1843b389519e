/* SPDX-License-Identifier: GPL-2.0 */
/* `weir route` and `weir why`: what would become of a request for a URL, and every reason why the kernel would not
 * answer it. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "weir/key.h"

#include "common/clock.h"
#include "http/http.h"
#include "cache/cache.h"

/* Response heads of static files stay below this: a body that leaves no room for it cannot be cached. */
#define HEAD_ROOM 256

static void add(json_t *reasons, const char *fmt, ...) _printf_(2, 3);

/* Adds a reason, once: several endpoints may have the same. */
static void add(json_t *reasons, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	size_t i;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (i = 0; i < json_array_size(reasons); i++)
		if (!strcmp(json_string_value(json_array_get(reasons, i)), text))
			return;
	json_array_append_new(reasons, json_string(text));
}

static const struct weir_conf_prefix *route(const struct sup *s, const struct sup_url *u, size_t listen)
{
	const struct weir_conf_listen *l = &s->config->listens[listen];
	struct weir_route_found found;
	struct weir_addr local;

	if (!u->path || !sup_url_is_for(u, l, &local) ||
	    !weir_route_ask(s->routes, l->port, &local, u->host, u->host_bytes, u->path, u->path_bytes, &found))
		return NULL;
	return &s->config->prefixes[found.id];
}

static json_t *describe_route(const struct sup *s, const struct weir_conf_listen *l, const struct weir_conf_prefix *p)
{
	const struct weir_conf_pool *pool = p ? weir_config_pool(s->config, p->pool) : NULL;
	const char *file, *state = "none";
	int line;

	if (!p)
		return json_pack("{s:s, s:i, s:n, s:n, s:s}", "endpoint", l->text, "endpoint_id",
				 (int)l->id, "prefix", "pool", "state", state);
	state = pool ? sup_pool_state_name(sup_pool_state(s, sup_pool_find(s, pool->name)))
		     : "reserved";
	line = weir_conf_line(s->config, p->line, &file);
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:i, s:s, s:s}", "endpoint", l->text,
			 "endpoint_id", (int)l->id, "prefix", p->text, "bucket",
			 weir_bucket_name(p->bucket), "file", file ? file : "", "line", line,
			 "pool", pool ? pool->name : "", "state", state);
}

/* One row for each endpoint that a request for the URL can come in on. */
static json_t *describe_routes(const struct sup *s, const struct sup_url *u)
{
	json_t *rows = json_array();
	struct weir_addr local;
	size_t i;

	for (i = 0; i < s->config->listens_count; i++)
		if (sup_url_is_for(u, &s->config->listens[i], &local))
			json_array_append_new(rows, describe_route(s, &s->config->listens[i], route(s, u, i)));
	return rows;
}

static int get_url(const json_t *request, struct sup_url *ret, json_t **ret_error)
{
	const char *text = json_string_value(json_object_get(request, "url")), *why;

	if (text && sup_url_parse(text, ret, &why) == 0)
		return 0;
	*ret_error = text ? weir_ipc_error("'%s' is no URL: %s", text, why) : weir_ipc_error("\"url\" is missing");
	return -EINVAL;
}

json_t *sup_control_route(struct sup *s, const json_t *request)
{
	_cleanup_(sup_url_fini) struct sup_url u = {};
	json_t *error;

	if (get_url(request, &u, &error) < 0)
		return error;
	return json_pack("{s:b, s:O, s:o}", "ok", 1, "url", json_object_get(request, "url"), "routes",
			 describe_routes(s, &u));
}

/* --- why --- */

static void add_entry(json_t *cached, const struct weir_conf_listen *l, unsigned set,
		      const struct weir_entry *e, enum weir_class c)
{
	static const char *const names[] = { "gzip", "br", "zstd", "deflate" };
	static const char *const classes[] = { "S", "M", "L" };
	uint64_t now = weir_now_ns();
	json_t *codings = json_array();
	size_t b;

	for (b = 0; b < ARRAY_SIZE(names); b++)
		if (set & 1U << b)
			json_array_append_new(codings, json_string(names[b]));
	json_array_append_new(cached, json_pack("{s:s, s:o, s:i, s:I, s:s, s:I, s:I, s:o, s:b, s:b}", "endpoint",
						l->text, "encodings", codings, "status", (int)e->status, "size",
						(json_int_t)(e->whole.bytes + e->object_bytes), "class", classes[c],
						"hits", (json_int_t)e->hits, "age_ms",
						(json_int_t)((now - e->created_ns) / 1000000), "expires_in_ms",
						e->expires_ns == UINT64_MAX
							? json_null()
							: json_integer((json_int_t)(e->expires_ns - now) / 1000000),
						"stale_ok", e->expires_ns <= now && e->stale_ns > now, "head_only",
						(e->flags & WEIR_ENTRY_HEAD_ONLY) != 0));
}

/* Every encoding set under which the URL is cached on this endpoint; the size of the largest that is there as a whole goes
 * to *size. */
static void find_entries(const struct sup *s, const struct sup_url *u, const struct weir_conf_listen *l, uint16_t pool,
			 json_t *cached, uint64_t *size, bool *ret_head_only)
{
	const __u64 *secret = (const __u64 *)weir_dataplane_cache_secret(s->dp);
	_cleanup_free_ struct weir_entry *e = calloc(1, sizeof(*e));
	size_t target_bytes = strlen(u->target);
	unsigned set;

	if (!e || target_bytes > WEIR_TARGET_MAX)
		return;
	for (set = 0; set < WEIR_ENCODING__COUNT; set++) {
		struct weir_cache_key key;
		enum weir_class c;

		weir_key_make(secret, l->id, (__u8)set, u->host, (__u16)u->host_bytes, u->target, (__u16)target_bytes,
			      &key);
		if (weir_dataplane_cache_get(s->dp, pool, &key, e, &c) < 0)
			continue;
		add_entry(cached, l, set, e, c);
		if (e->flags & WEIR_ENTRY_HEAD_ONLY)
			*ret_head_only = true;
		else
			*size = MAX(*size, (uint64_t)e->whole.bytes + e->body_bytes);
	}
}

/* Opens what a pool's static handler would: the path behind the prefix, below the root. Writes its name to `name`. */
static int open_file(const struct weir_conf_pool *p, const char *below, char *name, size_t bytes)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	_cleanup_close_ int root = open(p->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (root < 0)
		return -errno;
	snprintf(name, bytes, "%s/%s", p->root, below);
	fd = (int)syscall(SYS_openat2, root, *below ? below : ".", &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/* The first index file that is there, for a path that ends in a slash. */
static int open_index(const struct weir_conf_pool *p, const char *below, char *name, size_t bytes)
{
	_cleanup_free_ char *names = strdup(p->index);
	char *rest = names, *index;
	int fd = -ENOENT;

	while (fd < 0 && (index = strsep(&rest, " \t"))) {
		_cleanup_free_ char *path = NULL;

		if (*index && asprintf(&path, "%s%s", below, index) > 0)
			fd = open_file(p, path, name, bytes);
	}
	return fd;
}

/* What the file system says about the path, as far as it explains that nothing is cached. */
static void explain_file(const struct weir_conf_prefix *prefix, const struct weir_conf_pool *p, const struct sup_url *u,
			 json_t *reasons)
{
	_cleanup_free_ char *path = strndup(u->path, u->path_bytes);
	size_t prefix_bytes = strlen(prefix->path);
	bool is_folder = u->path[u->path_bytes - 1] == '/';
	_cleanup_close_ int fd = -1;
	char name[4200];
	struct stat st;

	if (!path)
		return;
	if (u->path_bytes < prefix_bytes) {
		add(reasons, "the prefix ends in a slash: the answer is a redirect to %s", prefix->path);
		return;
	}
	fd = (is_folder ? open_index : open_file)(p, path + prefix_bytes, name, sizeof(name));
	if (fd < 0 && is_folder)
		add(reasons, "%s/%s has no index file (%s)", p->root, path + prefix_bytes, p->index);
	else if (fd < 0)
		add(reasons, "%s cannot be served: %s", name, strerror(-fd));
	else if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		add(reasons, "%s is a directory: the answer is a redirect to the URL with a slash", name);
	else if (S_ISREG(st.st_mode) && st.st_size + HEAD_ROOM > WEIR_BYTES_L)
		add(reasons, "%s has %lld bytes: a response of more than %d bytes does not fit into the cache", name,
		    (long long)st.st_size, WEIR_BYTES_L);
}

/* Whether the kernel would look up a GET for the URL at all. */
static bool is_plain(const struct sup_url *u)
{
	struct weir_request r = { .method = WEIR_METHOD_GET, .minor = 1, .is_keep_alive = true };
	uint8_t encodings;

	r.counts[WEIR_FIELD_HOST] = 1;
	r.target = (struct weir_str){ u->target, strlen(u->target) };
	r.host = (struct weir_str){ u->host, u->host_bytes };
	return weir_cache_is_plain(&r, &encodings);
}

static void explain_missing(const struct sup_url *u, const struct weir_conf_prefix *prefix,
			    const struct weir_conf_pool *p, json_t *reasons)
{
	if (!is_plain(u))
		add(reasons,
		    "no plain case, XDP leaves it to a worker: the host must be a plain name or address of up to %d "
		    "bytes, the path without escapes, hidden or empty segments, all up to %d bytes",
		    WEIR_HOST_MAX, WEIR_TARGET_MAX);
	if (u->host_bytes + strlen(u->target) > WEIR_URL_MAX)
		add(reasons, "host and path together are longer than %d bytes", WEIR_URL_MAX);
	if (p->handler == WEIR_HANDLER_STATIC)
		explain_file(prefix, p, u, reasons);
	else if (p->handler == WEIR_HANDLER_MODULE)
		add(reasons, "module '%s' decides by itself: it must call cache() for a whole response of status 200, at most "
			     "%d bytes, without a cookie, private or no-store, see weir-module(3)",
		    p->module.file, WEIR_BYTES_L);
	add(reasons, "not in the cache: nobody has asked for it yet with a plain GET, or its response must not be "
		     "stored, or it expired, changed, was purged or pushed out since");
}

/* A cached response that an interface cannot carry in one segment. */
static void explain_size(const struct sup *s, uint64_t size, json_t *reasons)
{
	const struct weir_dataplane_iface *rows;
	size_t i, n = weir_dataplane_ifaces(s->dp, &rows);

	for (i = 0; i < n; i++)
		if (size + 40 > rows[i].mtu)
			add(reasons,
			    "on %s (mtu %u) the response of %llu bytes is more than one segment: a worker sends it",
			    rows[i].name, rows[i].mtu, (unsigned long long)size);
}

static void explain(const struct sup *s, const struct sup_url *u, size_t listen, json_t *cached, json_t *reasons)
{
	const struct weir_conf_listen *l = &s->config->listens[listen];
	const struct weir_conf_prefix *p = route(s, u, listen);
	const struct weir_conf_pool *pool = p ? weir_config_pool(s->config, p->pool) : NULL;
	size_t before = json_array_size(cached);
	bool is_head_only = false;
	uint64_t size = 0;

	if (!u->path)
		add(reasons, "the path has a bad %%-escape: the answer is 400");
	else if (!p)
		add(reasons, "%s: no prefix matches: the answer is 400", l->text);
	else if (!pool)
		add(reasons, "%s: prefix %s is reserved, no pool has it: the answer is 400",
		    l->text, p->text);
	if (!pool)
		return;
	if (sup_pool_find(s, pool->name)->refusal != WEIR_REFUSAL_NONE)
		add(reasons, "pool '%s' is %s: the answer is 503 (%s)", pool->name,
		    sup_pool_state_name(sup_pool_state(s, sup_pool_find(s, pool->name))),
		    weir_refusal_phrase(sup_pool_find(s, pool->name)->refusal));
	if (!s->dp)
		add(reasons, "XDP is not attached: %s", s->no_dp);
	if (!pool->kernel_cache)
		add(reasons, "pool '%s' has kernel_cache off", pool->name);
	if (pool->handler == WEIR_HANDLER_STATIC && (pool->files.access.count || pool->files.auth_file))
		add(reasons, "pool '%s' asks who comes (%s): XDP would answer anybody, so nothing of it is cached",
		    pool->name, pool->files.auth_file ? "auth_file" : "access");
	if (!s->dp || !pool->kernel_cache)
		return;
	find_entries(s, u, l, pool->id, cached, &size, &is_head_only);
	if (json_array_size(cached) == before)
		explain_missing(u, p, pool, reasons);
	else
		explain_size(s, size, reasons);
	if (is_head_only)
		add(reasons,
		    "too large for the kernel cache: XDP answers HEAD and conditional requests (304), a worker sends "
		    "the body");
}

json_t *sup_control_why(struct sup *s, const json_t *request)
{
	_cleanup_(sup_url_fini) struct sup_url u = {};
	json_t *error, *cached, *reasons;
	struct weir_addr local;
	size_t i, endpoints = 0;

	if (get_url(request, &u, &error) < 0)
		return error;
	if (!u.host_bytes)
		return weir_ipc_error("cache keys have a host: write the whole URL, http://host:port/path");
	cached = json_array();
	reasons = json_array();
	for (i = 0; i < s->config->listens_count; i++) {
		if (!sup_url_is_for(&u, &s->config->listens[i], &local))
			continue;
		endpoints++;
		explain(s, &u, i, cached, reasons);
	}
	if (!endpoints)
		add(reasons, "this instance does not listen there: %s", s->config->listens[0].text);
	return json_pack("{s:b, s:O, s:o, s:o, s:o}", "ok", 1, "url", json_object_get(request, "url"), "routes",
			 describe_routes(s, &u), "cached", cached, "reasons", reasons);
}
