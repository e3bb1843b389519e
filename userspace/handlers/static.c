/* SPDX-License-Identifier: GPL-2.0 */
/* Requests for files: from the request to the file that answers it. */
#include "handlers/static.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/log.h"
#include "handlers/static_priv.h"

#define WARN_MS 1000 /* between two messages about requests */

static const struct weir_str none = { NULL, 0 };

static int split_index(struct weir_static *s, const char *names)
{
	char *name, *save;

	s->index_text = strdup(names ? names : "index.html");
	if (!s->index_text)
		return -ENOMEM;
	for (name = strtok_r(s->index_text, " \t", &save); name && s->index_count < STATIC_INDEX_MAX;
	     name = strtok_r(NULL, " \t", &save))
		if (!strchr(name, '/'))
			s->index[s->index_count++] = (struct weir_str){ name, strlen(name) };
	return 0;
}

int weir_static_new(const struct weir_static_conf *conf, struct weir_cache *cache, struct weir_static **ret)
{
	_cleanup_(weir_static_freep) struct weir_static *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->cache = cache;
	s->inotify_fd = -1;
	s->files_max = conf->files_max ? conf->files_max : STATIC_FILES_MAX;
	pthread_mutex_init(&s->lock, NULL);
	s->root_fd = open(conf->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root_fd < 0 || fchdir(s->root_fd) < 0)
		return -errno;
	s->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->inotify_fd < 0)
		return -errno;
	if (getrandom(&s->boundary, sizeof(s->boundary), 0) < 0)
		return -errno;
	r = split_index(s, conf->index);
	if (r == 0)
		r = weir_mime_new("/etc/mime.types", conf->options ? &conf->options->types : NULL, &s->mime);
	if (r == 0 && conf->options)
		r = weir_static_options_init(&s->options, conf->options);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

struct weir_static *weir_static_free(struct weir_static *s)
{
	struct static_file *dead = NULL;

	if (!s)
		return NULL;
	while (s->newest)
		weir_static_detach(s, s->newest, &dead);
	weir_static_bury(s, dead);
	weir_mime_free(s->mime);
	weir_static_options_fini(&s->options);
	free(s->index_text);
	if (s->inotify_fd >= 0)
		close(s->inotify_fd);
	if (s->root_fd >= 0)
		close(s->root_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

/* To the same path with a slash. */
static void answer_redirect(struct weir_static *s, const struct weir_call *call, struct weir_response *resp)
{
	const struct weir_request *req = call->req;
	char text[3 * 1024];
	struct weir_buf location = { .p = text, .cap = sizeof(text) };

	weir_path_encode(&location, req->path);
	weir_buf_puts(&location, "/");
	if (req->query.p) {
		weir_buf_puts(&location, "?");
		weir_buf_str(&location, req->query);
	}
	if (location.is_full)
		weir_static_answer_status(s, call, 414, NULL, none, resp);
	else
		weir_static_answer_status(s, call, 301, "Location", (struct weir_str){ text, location.n }, resp);
}

static unsigned status_of(int error)
{
	switch (-error) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
	case ENXIO:
		return 404;
	case EACCES:
	case EPERM:
	case ELOOP:
	case EXDEV:
		return 403;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
	case ESTALE: /* changed again and again while it was read */
		return 503;
	default:
		return 500;
	}
}

static void answer_options(const struct weir_static *s, struct weir_response *resp)
{
	struct weir_head_marks marks;

	weir_response_begin(resp, 204, &marks);
	weir_head_field(&resp->buf, "Allow", WEIR_STR("GET, HEAD, OPTIONS"));
	weir_static_put_common(s, &resp->buf);
	weir_response_end(resp, &marks);
}

bool weir_static_may_warn(struct weir_static *s)
{
	uint64_t now = weir_now_ms(), last = __atomic_load_n(&s->warned_ms, __ATOMIC_RELAXED);

	return (last == 0 || now >= last + WARN_MS) &&
	       __atomic_compare_exchange_n(&s->warned_ms, &last, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Redirects, rewrites. True: answered. Else *path is below the root; it may be in `text`. */
static bool apply_rules(struct weir_static *s, const struct weir_call *call, struct weir_buf *text,
			struct weir_str *path, struct weir_response *resp)
{
	const char *rule;
	unsigned status;
	int r = weir_static_rules_apply(s->options.rules, call->req, text, &status, &rule);

	if (r == 0)
		return false;
	if (r > 0 && status == 0) {
		*path = (struct weir_str){ text->p, text->n };
		return false;
	}
	if (r > 0) {
		weir_static_answer_status(s, call, status, "Location", (struct weir_str){ text->p, text->n }, resp);
		return true;
	}
	if (r == -ELOOP && weir_static_may_warn(s))
		weir_warn("the pattern of '%s' gave up on a path of %zu bytes, answering 500: it backtracks too much, "
			  "simplify it",
			  rule, call->req->path.n);
	weir_static_answer_status(s, call, r == -E2BIG ? 414 : r == -ENOENT ? 404 : 500, NULL, none, resp);
	return true;
}

/* What has no file: a redirect, a listing, or an error. */
static void answer_missing(struct weir_static *s, const struct weir_call *call, struct weir_str path, int r,
			   struct weir_response *resp)
{
	bool is_folder = path.n == 0 || path.p[path.n - 1] == '/';

	if (r == -EISDIR) {
		answer_redirect(s, call, resp);
		return;
	}
	if (r == -EPERM && is_folder && s->options.listing != WEIR_LISTING_OFF) {
		r = weir_static_answer_list(s, call, path, resp);
		if (r == 0)
			return;
	}
	weir_static_answer_status(s, call, r > 0 ? (unsigned)r : status_of(r), NULL, none, resp);
}

void weir_static_serve(struct weir_static *s, const struct weir_call *call, struct weir_response *resp)
{
	const struct weir_request *req = call->req;
	char text[STATIC_PATH_MAX];
	struct weir_buf to = { .p = text, .cap = sizeof(text) };
	struct weir_str path = req->path;
	struct static_file *f;
	bool is_prefix;
	int r;

	if (s->options.is_guarded && !weir_static_admit(s, call, resp))
		return;
	if (req->method == WEIR_METHOD_OPTIONS) {
		answer_options(s, resp);
		return;
	}
	/* "/app" belongs to the prefix "/app/" */
	is_prefix = path.n < call->prefix.n;
	if (!is_prefix) {
		path.p += call->prefix.n;
		path.n -= call->prefix.n;
		/* of any method: 307 and 308 are there for POST */
		if (s->options.rules && apply_rules(s, call, &to, &path, resp))
			return;
	}
	if (req->method == WEIR_METHOD_OTHER) {
		weir_static_answer_status(s, call, 405, "Allow", WEIR_STR("GET, HEAD, OPTIONS"), resp);
		return;
	}
	if (is_prefix) {
		answer_redirect(s, call, resp);
		return;
	}
	while (path.n > 0 && *path.p == '/') {
		path.p++;
		path.n--;
	}
	r = weir_static_look_up(s, path, &f);
	if (r == 0)
		weir_static_answer_file(s, call, f, resp);
	else
		answer_missing(s, call, path, r, resp);
}
