/* SPDX-License-Identifier: GPL-2.0 */
/* Requests for files: which file, which of RFC 9110's answers. */
#include "handlers/static.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/random.h>

#include "common/clock.h"
#include "handlers/static_priv.h"

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
		r = weir_mime_new("/etc/mime.types", &s->mime);
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
	free(s->index_text);
	if (s->inotify_fd >= 0)
		close(s->inotify_fd);
	if (s->root_fd >= 0)
		close(s->root_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

static void release_file(void *owner)
{
	weir_static_file_put(owner);
}

/* What the representation's own fields are in any status but 200, whose head is ready-made. */
static void describe(struct weir_response *resp, const struct static_file *f)
{
	weir_head_field(&resp->buf, "Last-Modified",
			(struct weir_str){ f->modified_text, sizeof(f->modified_text) });
	weir_head_field(&resp->buf, "ETag", f->etag);
	weir_head_field(&resp->buf, "Accept-Ranges", WEIR_STR("bytes"));
}

static void add_part(struct weir_response *resp, const struct static_file *f, uint64_t off, uint64_t bytes)
{
	struct weir_part *p = &resp->parts[resp->parts_count];

	if (bytes == 0)
		return;
	*p = (struct weir_part){ .fd = f->fd, .off = off, .bytes = bytes };
	if (f->body)
		p->mem = (const char *)f->body + off;
	resp->parts_count++;
}

static void put_content_range(struct weir_buf *b, const struct weir_range *r, uint64_t size)
{
	weir_buf_puts(b, "Content-Range: bytes ");
	weir_buf_u64(b, r->first);
	weir_buf_puts(b, "-");
	weir_buf_u64(b, r->last);
	weir_buf_puts(b, "/");
	weir_buf_u64(b, size);
	weir_buf_puts(b, "\r\n");
}

static void answer_one_range(struct weir_response *resp, const struct static_file *f, const struct weir_range *r)
{
	struct weir_head_marks marks;

	weir_response_begin(resp, 206, &marks);
	weir_head_field(&resp->buf, "Content-Type", (struct weir_str){ f->type, strlen(f->type) });
	weir_head_length(&resp->buf, r->last - r->first + 1);
	put_content_range(&resp->buf, r, f->bytes);
	describe(resp, f);
	weir_response_end(resp, &marks);
	add_part(resp, f, r->first, r->last - r->first + 1);
}

/* multipart/byteranges, RFC 9110 14.6. The heads of the parts are written first, behind where the response's own
 * head will be, because Content-Length counts them. */
static void answer_ranges(struct weir_static *s, struct weir_response *resp, const struct static_file *f,
			  const struct weir_range *ranges, int count)
{
	struct weir_buf parts = { .p = resp->text + 1024, .cap = sizeof(resp->text) - 1024 };
	uint64_t serial = __atomic_add_fetch(&s->boundaries, 1, __ATOMIC_RELAXED), total = 0;
	char text[64];
	struct weir_buf boundary = { .p = text, .cap = sizeof(text) };
	struct weir_head_marks marks;
	size_t from = 0;
	int i;

	weir_buf_puts(&boundary, "weir-");
	weir_buf_hex(&boundary, s->boundary);
	weir_buf_hex(&boundary, serial);
	for (i = 0; i <= count; i++) {
		weir_buf_puts(&parts, i > 0 ? "\r\n--" : "--");
		weir_buf_str(&parts, (struct weir_str){ text, boundary.n });
		weir_buf_puts(&parts, i < count ? "\r\n" : "--\r\n");
		if (i < count) {
			weir_head_field(&parts, "Content-Type", (struct weir_str){ f->type, strlen(f->type) });
			put_content_range(&parts, &ranges[i], f->bytes);
			weir_buf_puts(&parts, "\r\n");
		}
		resp->parts[resp->parts_count++] =
			(struct weir_part){ .mem = parts.p + from, .fd = -1, .bytes = parts.n - from };
		from = parts.n;
		if (i < count) {
			add_part(resp, f, ranges[i].first, ranges[i].last - ranges[i].first + 1);
			total += ranges[i].last - ranges[i].first + 1;
		}
	}
	weir_response_begin(resp, 206, &marks);
	weir_buf_puts(&resp->buf, "Content-Type: multipart/byteranges; boundary=");
	weir_buf_str(&resp->buf, (struct weir_str){ text, boundary.n });
	weir_buf_puts(&resp->buf, "\r\n");
	weir_head_length(&resp->buf, total + parts.n);
	describe(resp, f);
	weir_response_end(resp, &marks);
}

static void answer_not_satisfiable(struct weir_response *resp, const struct weir_request *req, uint64_t size)
{
	char text[32];
	struct weir_buf value = { .p = text, .cap = sizeof(text) };

	weir_buf_puts(&value, "bytes */");
	weir_buf_u64(&value, size);
	weir_response_error(resp, req, 416, NULL, "Content-Range", (struct weir_str){ text, value.n });
}

static void answer_whole(struct weir_response *resp, const struct weir_request *req, const struct static_file *f)
{
	resp->status = 200;
	resp->head = f->head;
	resp->head_bytes = f->head_bytes;
	resp->date_off = f->marks.date_off;
	resp->conn_off = f->marks.conn_off;
	if (req->method == WEIR_METHOD_GET)
		add_part(resp, f, 0, f->bytes);
}

static bool has_conditions(const struct weir_request *r)
{
	return weir_request_has(r, WEIR_FIELD_RANGE) || weir_request_has(r, WEIR_FIELD_IF_MATCH) ||
	       weir_request_has(r, WEIR_FIELD_IF_NONE_MATCH) || weir_request_has(r, WEIR_FIELD_IF_MODIFIED_SINCE) ||
	       weir_request_has(r, WEIR_FIELD_IF_UNMODIFIED_SINCE);
}

/* True: answered with something else than the whole file. */
static bool answer_conditions(struct weir_static *s, const struct weir_request *req, const struct static_file *f,
			      struct weir_response *resp)
{
	struct weir_range ranges[WEIR_HTTP_RANGES_MAX];
	int64_t now = weir_realtime_s();
	int n;

	switch (weir_cond_check(req, f->etag, f->modified, now)) {
	case 304:
		resp->status = 304;
		resp->head = f->cond_head;
		resp->head_bytes = f->cond_bytes;
		resp->date_off = f->cond_marks.date_off;
		resp->conn_off = f->cond_marks.conn_off;
		return true;
	case 412:
		weir_response_error(resp, req, 412, NULL, NULL, (struct weir_str){ NULL, 0 });
		return true;
	default:
		break;
	}
	if (req->method != WEIR_METHOD_GET || req->counts[WEIR_FIELD_RANGE] != 1 ||
	    !weir_cond_range_applies(req, f->etag, f->modified, now))
		return false;
	n = weir_range_parse(req->fields[WEIR_FIELD_RANGE], f->bytes, ranges);
	if (n < 0)
		answer_not_satisfiable(resp, req, f->bytes);
	else if (n == 1)
		answer_one_range(resp, f, ranges);
	else if (n > 1)
		answer_ranges(s, resp, f, ranges, n);
	return n != 0;
}

static void answer_redirect(const struct weir_request *req, struct weir_response *resp)
{
	char text[3 * 1024];
	struct weir_buf location = { .p = text, .cap = sizeof(text) };

	weir_path_encode(&location, req->path);
	weir_buf_puts(&location, "/");
	if (req->query.p) {
		weir_buf_puts(&location, "?");
		weir_buf_str(&location, req->query);
	}
	if (location.is_full)
		weir_response_error(resp, req, 414, NULL, NULL, (struct weir_str){ NULL, 0 });
	else
		weir_response_error(resp, req, 301, NULL, "Location", (struct weir_str){ text, location.n });
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

static void answer_options(struct weir_response *resp)
{
	struct weir_head_marks marks;

	weir_response_begin(resp, 204, &marks);
	weir_head_field(&resp->buf, "Allow", WEIR_STR("GET, HEAD, OPTIONS"));
	weir_response_end(resp, &marks);
}

/* Until the file changes. Of a file that is too large for the kernel cache only the head: for HEAD, and for who has it
 * already. */
static void publish(struct weir_static *s, const struct weir_call *call, struct static_file *f)
{
	bool is_whole = f->body && f->head_bytes + f->bytes <= WEIR_BYTES_L;
	struct weir_cache_image image = {
		.head = { f->head, f->head_bytes, f->marks.date_off, f->marks.conn_off, 0 },
		.not_modified = { f->cond_head, f->cond_bytes, f->cond_marks.date_off, f->cond_marks.conn_off, 0 },
		.etag = f->etag,
		.modified = { f->modified_text, sizeof(f->modified_text) },
		.body = f->body,
		.body_bytes = f->bytes,
		.flags = WEIR_ENTRY_IGNORE_REQUEST | (is_whole ? 0 : WEIR_ENTRY_HEAD_ONLY),
	};

	(void)weir_cache_publish(s->cache, &f->item, call->req, call->endpoint, &image);
}

static void answer_file(struct weir_static *s, const struct weir_call *call, struct static_file *f,
			struct weir_response *resp)
{
	bool is_answered = has_conditions(call->req) && answer_conditions(s, call->req, f, resp);

	resp->owner = f;
	resp->release = release_file;
	if (!is_answered)
		answer_whole(resp, call->req, f);
	if (weir_cache_is_on(s->cache))
		publish(s, call, f);
}

void weir_static_serve(struct weir_static *s, const struct weir_call *call, struct weir_response *resp)
{
	const struct weir_request *req = call->req;
	struct weir_str path = req->path;
	struct static_file *f;
	int r;

	if (req->method == WEIR_METHOD_OPTIONS) {
		answer_options(resp);
		return;
	}
	if (req->method == WEIR_METHOD_OTHER) {
		weir_response_error(resp, req, 405, NULL, "Allow", WEIR_STR("GET, HEAD, OPTIONS"));
		return;
	}
	/* "/app" belongs to the prefix "/app/" */
	if (path.n < call->prefix.n) {
		answer_redirect(req, resp);
		return;
	}
	path.p += call->prefix.n;
	path.n -= call->prefix.n;
	while (path.n > 0 && *path.p == '/') {
		path.p++;
		path.n--;
	}
	r = weir_static_get(s, path, &f);
	if (r == 0)
		answer_file(s, call, f, resp);
	else if (r == -EISDIR)
		answer_redirect(req, resp);
	else
		weir_response_error(resp, req, status_of(r), NULL, NULL, (struct weir_str){ NULL, 0 });
}
