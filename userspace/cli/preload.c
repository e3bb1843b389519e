// SPDX-License-Identifier: GPL-2.0
/* `weir cache preload SOURCE`: threads with a connection each fetch URLs from the instance and ask it then what became of each
 * in its caches. */
#include "cli/preload.h"

#include <errno.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "cli/http.h"
#include "cli/progress.h"
#include "ipc/ipc.h"

#define CONNECTIONS_DEFAULT 8
#define CONNECTIONS_MAX 12 /* each asks over the control socket, too, which has room for 16 */
#define FETCH_MS 60000
#define CALL_MS 10000
#define REASONS_MAX 32
#define LISTENS_MAX 128

struct reason {
	char *text;
	char *url; /* the first one */
	uint64_t count;
};

struct preload {
	/* fixed while threads run */
	const struct cmd_args *args;
	struct cmd_urls urls;
	struct weir_conf_listen listens[LISTENS_MAX];
	size_t listens_count;

	size_t next, done; /* any thread, atomic */

	/* under lock */
	pthread_mutex_t lock;
	uint64_t fetched, failed, kernel, memory, none;
	struct reason reasons[REASONS_MAX];
	size_t reasons_count;
};

/* The endpoints of the instance. */
static int get_listens(struct preload *p)
{
	_cleanup_json_ json_t *reply = cmd_call(p->args, json_pack("{s:s}", "command", "status"));
	const json_t *row;
	const char *why;
	size_t i;
	int n;

	if (!reply)
		return -EIO;
	json_array_foreach (json_object_get(reply, "listens"), i, row) {
		if (p->listens_count + 2 > LISTENS_MAX)
			break;
		n = weir_conf_listen_parse(json_string_value(row), &p->listens[p->listens_count], &why);
		p->listens_count += n > 0 ? (size_t)n : 0;
	}
	return p->listens_count ? 0 : weir_err(0, "the instance listens nowhere");
}

/* That of the URL's port; a URL without one, or of another scheme, is for port 80 or, if there is none, the first. */
static const struct weir_conf_listen *find_listen(const struct preload *p, const char *text, const struct cmd_url *u)
{
	unsigned port = u->port ? u->port : 80;
	size_t i;

	for (i = 0; i < p->listens_count; i++)
		if (p->listens[i].port == port)
			return &p->listens[i];
	return u->port && strncasecmp(text, "https", 5) ? NULL : &p->listens[0];
}

static socklen_t address_of(const struct weir_conf_listen *l, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (l->is_v6) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)l->port);
		six->sin6_addr = in6addr_loopback;
		if (!l->is_any)
			memcpy(&six->sin6_addr, &l->addr, sizeof(six->sin6_addr));
		return sizeof(*six);
	}
	four->sin_family = AF_INET;
	four->sin_port = htons((uint16_t)l->port);
	four->sin_addr.s_addr = l->is_any ? htonl(INADDR_LOOPBACK) : l->addr.word[3];
	return sizeof(*four);
}

static void add_reason(struct preload *p, const char *text, const char *url)
{
	struct reason *r;
	size_t i;

	for (i = 0; i < p->reasons_count && strcmp(p->reasons[i].text, text); i++)
		;
	if (i == REASONS_MAX)
		i--; /* those that are rare are counted together with the last */
	r = &p->reasons[i];
	if (i == p->reasons_count) {
		r->text = strdup(text);
		r->url = strdup(url);
		if (!r->text || !r->url) {
			free(r->text);
			free(r->url);
			*r = (struct reason){};
			return;
		}
		p->reasons_count++;
	}
	r->count++;
}

/* What the instance has of the URL: a reply to "why". NULL: it does not say. */
static json_t *ask_why(const struct preload *p, const struct weir_conf_listen *l, const struct cmd_url *u)
{
	bool is_six = strchr(u->host, ':') != NULL;
	json_t *request, *reply = NULL, *headers = json_array();
	_cleanup_free_ char *url = NULL;
	size_t i;

	for (i = 0; i < p->args->headers_count; i++)
		json_array_append_new(headers, json_string(p->args->headers[i]));
	if (asprintf(&url, "http://%s%s%s:%u%s", is_six ? "[" : "", u->host, is_six ? "]" : "", l->port, u->target) < 0)
		url = NULL;
	request = json_pack("{s:s, s:s, s:o}", "command", "why", "url", url ? url : "", "headers", headers);
	if (!request || weir_ipc_call(p->args->control, request, CALL_MS, &reply) < 0)
		reply = NULL;
	json_decref(request);
	if (reply && !json_is_true(json_object_get(reply, "ok"))) {
		json_decref(reply);
		return NULL;
	}
	return reply;
}

static bool has(const json_t *why, const char *level)
{
	return json_array_size(json_object_get(why, level)) > 0;
}

/* With its body: of what is too large the kernel has the heads alone. */
static bool is_in_kernel(const json_t *why)
{
	const json_t *row;
	size_t i;

	json_array_foreach (json_object_get(why, "cached"), i, row)
		if (!json_is_true(json_object_get(row, "head_only")))
			return true;
	return false;
}

static void count(struct preload *p, const char *url, int failure, const json_t *why)
{
	const char *reason = json_string_value(json_array_get(json_object_get(why, "reasons"), 0));
	char text[128];

	(void)pthread_mutex_lock(&p->lock);
	if (failure < 0) {
		p->failed++;
		snprintf(text, sizeof(text), "not fetched: %s", strerror(-failure));
		add_reason(p, text, url);
	} else {
		p->fetched++;
		p->kernel += is_in_kernel(why);
		p->memory += !is_in_kernel(why) && has(why, "objects");
		if (!is_in_kernel(why) && !has(why, "objects")) {
			p->none++;
			add_reason(p, reason ? reason : "the instance does not say why", url);
		}
	}
	(void)pthread_mutex_unlock(&p->lock);
	__atomic_fetch_add(&p->done, 1, __ATOMIC_RELAXED);
}

/* What is in a pool's memory goes into the kernel with a later request: it gets one. */
static void fetch(struct preload *p, struct cmd_http *h, const struct weir_conf_listen **open_to, const char *text)
{
	struct cmd_url u;
	const struct weir_conf_listen *l = cmd_url_parse(text, strlen(text), &u) ? find_listen(p, text, &u) : NULL;
	_cleanup_free_ char *request = l ? cmd_http_request(p->args, &u) : NULL;
	struct sockaddr_storage to;
	json_t *why = NULL;
	unsigned round;
	int r = l ? -ENOMEM : -EADDRNOTAVAIL;

	if (l != *open_to)
		cmd_http_close(h);
	*open_to = l;
	for (round = 0; request && round < 2; round++) {
		r = cmd_http_get(h, (struct sockaddr *)&to, address_of(l, &to), request, strlen(request), FETCH_MS);
		if (r < 0)
			break;
		json_decref(why);
		why = ask_why(p, l, &u);
		if (has(why, "cached") || !has(why, "objects"))
			break;
	}
	count(p, text, r, why);
	json_decref(why);
}

static void *run_thread(void *arg)
{
	struct preload *p = arg;
	const struct weir_conf_listen *open_to = NULL;
	struct cmd_http *h = calloc(1, sizeof(*h));
	size_t i;

	if (h)
		h->fd = -1;
	while ((i = __atomic_fetch_add(&p->next, 1, __ATOMIC_RELAXED)) < p->urls.count) {
		if (h)
			fetch(p, h, &open_to, p->urls.items[i]);
		else
			count(p, p->urls.items[i], -ENOMEM, NULL);
	}
	if (h)
		cmd_http_close(h);
	free(h);
	return NULL;
}

/* --- the source --- */

static int read_stream(FILE *f, char **ret, size_t *ret_bytes)
{
	_cleanup_free_ char *text = NULL;
	size_t filled = 0, room = 0, n;

	do {
		if (filled == room) {
			char *more = room < CMD_SOURCE_MAX ? realloc(text, room ? 2 * room : 65536) : NULL;

			if (!more)
				return room < CMD_SOURCE_MAX ? -ENOMEM : -EFBIG;
			text = more;
			room = room ? 2 * room : 65536;
		}
		n = fread(text + filled, 1, room - filled, f);
		filled += n;
	} while (n > 0);
	if (ferror(f))
		return errno ? -errno : -EIO;
	*ret = TAKE_PTR(text);
	*ret_bytes = filled;
	return 0;
}

/* Fetches a sitemap from the instance itself. */
static int read_url(const struct preload *p, const char *text, char **ret, size_t *ret_bytes)
{
	_cleanup_free_ struct cmd_http *h = calloc(1, sizeof(*h));
	_cleanup_free_ struct cmd_url *u = calloc(1, sizeof(*u));
	_cleanup_free_ char *request = NULL;
	const struct weir_conf_listen *l;
	struct sockaddr_storage to;
	int r;

	if (!h || !u)
		return -ENOMEM;
	l = cmd_url_parse(text, strlen(text), u) ? find_listen(p, text, u) : NULL;
	if (!l)
		return -EADDRNOTAVAIL;
	request = cmd_http_request(p->args, u);
	h->fd = -1;
	h->body_max = CMD_SOURCE_MAX;
	r = request ? cmd_http_get(h, (struct sockaddr *)&to, address_of(l, &to), request, strlen(request), FETCH_MS)
		    : -ENOMEM;
	cmd_http_close(h);
	if (r == 0 && h->reply.status != 200)
		r = -ENOENT;
	if (r < 0) {
		free(h->body);
		return r;
	}
	*ret = h->body;
	*ret_bytes = h->body_bytes;
	return 0;
}

static int add_text(struct preload *p, const char *text, size_t bytes, bool is_nested)
{
	_cleanup_(cmd_urls_fini) struct cmd_urls maps = {};
	int is_index, r = 0;
	size_t i;

	if (!cmd_is_sitemap(text, bytes, &is_index))
		return cmd_urls_read_list(&p->urls, text, bytes);
	if (!is_index)
		return cmd_urls_read_sitemap(&p->urls, text, bytes);
	if (is_nested)
		return 0; /* an index of indexes is none (sitemaps.org) */
	r = cmd_urls_read_sitemap(&maps, text, bytes);
	for (i = 0; r == 0 && i < maps.count; i++) {
		_cleanup_free_ char *more = NULL;
		size_t more_bytes = 0;

		r = read_url(p, maps.items[i], &more, &more_bytes);
		if (r < 0)
			return weir_err(r, "cannot read the sitemap %s", maps.items[i]);
		if (more_bytes)
			r = add_text(p, more, more_bytes, true);
	}
	return r;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

static int read_source(struct preload *p, const char *source)
{
	bool is_url = !strncasecmp(source, "http://", 7) || !strncasecmp(source, "https://", 8);
	_cleanup_free_ char *text = NULL;
	size_t bytes = 0;
	FILE *f;
	int r;

	if (is_url && !ends_with(source, ".xml"))
		return cmd_urls_add(&p->urls, source, strlen(source));
	if (is_url) {
		r = read_url(p, source, &text, &bytes);
	} else {
		f = strcmp(source, "-") ? fopen(source, "re") : stdin;
		r = f ? read_stream(f, &text, &bytes) : -errno;
		if (f && f != stdin)
			(void)fclose(f);
	}
	if (r < 0)
		return weir_err(r, "cannot read '%s'", source);
	return bytes ? add_text(p, text, bytes, false) : 0;
}

/* --- the end --- */

static enum cmd_exit report(const struct preload *p)
{
	json_t *reply, *reasons = json_array();
	size_t i;

	for (i = 0; i < p->reasons_count; i++)
		json_array_append_new(reasons,
				      json_pack("{s:s, s:I, s:s}", "reason", p->reasons[i].text, "count",
						(json_int_t)p->reasons[i].count, "example", p->reasons[i].url));
	reply = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "fetched", (json_int_t)p->fetched, "failed",
			  (json_int_t)p->failed, "kernel", (json_int_t)p->kernel, "memory", (json_int_t)p->memory,
			  "not_cached", (json_int_t)p->none, "no_url", (json_int_t)p->urls.bad, "reasons", reasons);
	if (p->args->is_json) {
		(void)cmd_print_json(reply);
	} else {
		printf("fetched    %s\n", cmd_number((json_int_t)p->fetched));
		printf("  kernel   %s\n", cmd_number((json_int_t)p->kernel));
		printf("  memory   %s\n", cmd_number((json_int_t)p->memory));
		printf("  nowhere  %s\n", cmd_number((json_int_t)p->none));
		if (p->failed)
			printf("failed     %s\n", cmd_number((json_int_t)p->failed));
		if (p->urls.bad)
			printf("no URLs    %s\n", cmd_number((json_int_t)p->urls.bad));
		for (i = 0; i < p->reasons_count; i++)
			printf("%s times: %s; the first: %s\n", cmd_number((json_int_t)p->reasons[i].count),
			       p->reasons[i].text, p->reasons[i].url);
	}
	json_decref(reply);
	return p->failed ? CMD_FAILED : CMD_OK;
}

static void run(struct preload *p)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	unsigned wanted = p->args->connections ? p->args->connections : CONNECTIONS_DEFAULT, count, i;
	pthread_t threads[CONNECTIONS_MAX];
	struct cmd_progress bar;
	char words[64];
	size_t done;

	wanted = (unsigned)MIN((size_t)MIN(wanted, (unsigned)CONNECTIONS_MAX), p->urls.count);
	for (count = 0; count < wanted; count++)
		if (pthread_create(&threads[count], NULL, run_thread, p) != 0)
			break;
	cmd_progress_begin(&bar, p->urls.count);
	while (count && (done = __atomic_load_n(&p->done, __ATOMIC_RELAXED)) < p->urls.count) {
		snprintf(words, sizeof(words), "%s of %s URLs", cmd_number((json_int_t)done),
			 cmd_number((json_int_t)p->urls.count));
		cmd_progress_show(&bar, done, words);
		(void)nanosleep(&pause, NULL);
	}
	cmd_progress_end(&bar);
	for (i = 0; i < count; i++)
		(void)pthread_join(threads[i], NULL);
}

/* Once, not for each URL. */
static int check_headers(const struct cmd_args *args)
{
	_cleanup_free_ struct cmd_url *u = calloc(1, sizeof(*u));
	_cleanup_free_ char *request = u ? cmd_http_request(args, u) : NULL;

	return request ? 0 : -EINVAL;
}

enum cmd_exit cmd_cache_preload(const struct cmd_args *args)
{
	struct preload *p = calloc(1, sizeof(*p));
	enum cmd_exit result = CMD_FAILED;
	size_t i;
	int r;

	if (!p)
		return CMD_FAILED;
	p->args = args;
	(void)pthread_mutex_init(&p->lock, NULL);
	r = get_listens(p);
	if (r == 0)
		r = check_headers(args);
	if (r == 0)
		r = read_source(p, args->words[0]);
	if (r == -E2BIG)
		weir_err(0, "'%s' has more than %d URLs", args->words[0], CMD_URLS_MAX);
	if (r == 0 && !p->urls.count)
		weir_err(0, "there is no URL in '%s': they begin with http:// or https://, one a line", args->words[0]);
	if (r == 0 && p->urls.count) {
		run(p);
		result = report(p);
	}
	for (i = 0; i < p->reasons_count; i++) {
		free(p->reasons[i].text);
		free(p->reasons[i].url);
	}
	cmd_urls_fini(&p->urls);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
	return result;
}
