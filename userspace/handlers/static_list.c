/* SPDX-License-Identifier: GPL-2.0 */
/* What is in a directory, as a page or as JSON with the members that nginx's autoindex has. Made anew for each request,
 * and never published: any change of any file in the directory changes it. */
#include "handlers/static_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ENTRIES_MAX 10000

struct entry {
	char *name;
	bool is_folder;
	int64_t modified;
	uint64_t bytes;
};

struct entries {
	struct entry *rows;
	size_t count;
	bool is_cut;
};

static void entries_fini(struct entries *e)
{
	size_t i;

	for (i = 0; i < e->count; i++)
		free(e->rows[i].name);
	free(e->rows);
}

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->is_folder != y->is_folder)
		return x->is_folder ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Files and directories that a request could get: no hidden ones, no links out of the root, no pipes. */
static bool look(struct weir_static *s, int dir, struct weir_str path, const char *name, struct entry *ret)
{
	struct stat st;

	if (name[0] == '.' || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (S_ISLNK(st.st_mode)) {
		_cleanup_close_ int fd = -1;
		char whole[PATH_MAX];

		if (snprintf(whole, sizeof(whole), "%.*s%s", (int)path.n, path.p, name) >= (int)sizeof(whole) ||
		    weir_static_open(s, whole, 0, &fd) < 0 || fstat(fd, &st) < 0)
			return false;
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return false;
	*ret = (struct entry){ NULL, S_ISDIR(st.st_mode), st.st_mtim.tv_sec, (uint64_t)st.st_size };
	return true;
}

static int read_folder(struct weir_static *s, struct weir_str path, struct entries *ret)
{
	_cleanup_close_ int fd = -1;
	char name[PATH_MAX];
	struct dirent *d;
	size_t room = 0;
	DIR *dir;
	int r;

	if (path.n >= sizeof(name))
		return -ENAMETOOLONG;
	memcpy(name, path.p, path.n);
	name[path.n] = '\0';
	r = weir_static_open(s, name, 0, &fd);
	if (r < 0)
		return r;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	fd = -1;
	while (r == 0 && (d = readdir(dir))) {
		struct entry e;

		if (!look(s, dirfd(dir), path, d->d_name, &e))
			continue;
		if (ret->count == ENTRIES_MAX) {
			ret->is_cut = true;
			break;
		}
		if (ret->count == room) {
			struct entry *rows = realloc(ret->rows, (room = room ? room * 2 : 64) * sizeof(*rows));

			if (!rows) {
				r = -ENOMEM;
				break;
			}
			ret->rows = rows;
		}
		e.name = strdup(d->d_name);
		if (!e.name)
			r = -ENOMEM;
		else
			ret->rows[ret->count++] = e;
	}
	closedir(dir);
	if (ret->count > 0)
		qsort(ret->rows, ret->count, sizeof(*ret->rows), by_name);
	return r;
}

static void put_text(FILE *f, struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		case '\'':
			fputs("&#39;", f);
			break;
		default:
			putc(s.p[i], f);
		}
	}
}

/* A relative reference: "./" so that a colon in the name makes no scheme of it. */
static void put_link(FILE *f, const struct entry *e)
{
	char text[3 * NAME_MAX + 1];
	struct weir_buf b = { .p = text, .cap = sizeof(text) };

	weir_path_encode(&b, (struct weir_str){ e->name, strlen(e->name) });
	fputs("<a href=\"./", f);
	/* '&' and the apostrophe need no escape in a URL, but here */
	put_text(f, (struct weir_str){ text, b.n });
	fputs(e->is_folder ? "/\">" : "\">", f);
	put_text(f, (struct weir_str){ e->name, strlen(e->name) });
	fputs(e->is_folder ? "/</a>" : "</a>", f);
}

static void write_html(FILE *f, const struct entries *e, struct weir_str path)
{
	char when[32];
	struct tm tm;
	time_t t;
	size_t i;

	fputs("<!doctype html>\n<html><head><meta charset=\"utf-8\">"
	      "<meta name=\"viewport\" content=\"width=device-width\"><title>Index of ",
	      f);
	put_text(f, path);
	fputs("</title>\n<style>body{font:16px sans-serif;margin:2em}td{padding:.1em 1.5em .1em 0}"
	      "td+td{text-align:right;color:#555}</style></head>\n<body><h1>Index of ",
	      f);
	put_text(f, path);
	fputs("</h1>\n<table>\n", f);
	if (path.n > 1)
		fputs("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n", f);
	for (i = 0; i < e->count; i++) {
		const struct entry *row = &e->rows[i];

		t = (time_t)row->modified;
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", gmtime_r(&t, &tm));
		fputs("<tr><td>", f);
		put_link(f, row);
		fprintf(f, "</td><td>%s</td><td>", when);
		if (!row->is_folder)
			fprintf(f, "%llu", (unsigned long long)row->bytes);
		fputs("</td></tr>\n", f);
	}
	fputs("</table>\n", f);
	if (e->is_cut)
		fprintf(f, "<p>Only %d entries are shown.</p>\n", ENTRIES_MAX);
	fputs("</body></html>\n", f);
}

/* JSON is UTF-8: other bytes of a name are shown as U+FFFD. */
static json_t *to_json_text(const char *name)
{
	json_t *text = json_string(name);
	char safe[3 * NAME_MAX + 1], *out = safe;

	if (text)
		return text;
	for (; *name && out < safe + sizeof(safe) - 4; name++) {
		if ((unsigned char)*name < 0x80)
			*out++ = *name;
		else
			out = stpcpy(out, "\xef\xbf\xbd");
	}
	*out = '\0';
	return json_string(safe);
}

static int write_json(FILE *f, const struct entries *e)
{
	json_t *list = json_array();
	char when[WEIR_HTTP_DATE_BYTES];
	size_t i;
	int r;

	for (i = 0; i < e->count; i++) {
		const struct entry *row = &e->rows[i];
		json_t *o = json_object();

		weir_date_format(row->modified, when);
		json_object_set_new(o, "name", to_json_text(row->name));
		json_object_set_new(o, "type", json_string(row->is_folder ? "directory" : "file"));
		json_object_set_new(o, "mtime", json_stringn(when, sizeof(when)));
		if (!row->is_folder)
			json_object_set_new(o, "size", json_integer((json_int_t)row->bytes));
		json_array_append_new(list, o);
	}
	r = json_dumpf(list, f, JSON_INDENT(1) | JSON_COMPACT);
	json_decref(list);
	putc('\n', f);
	return r < 0 ? -ENOMEM : 0;
}

int weir_static_answer_list(struct weir_static *s, const struct weir_call *call, struct weir_str path,
			    struct weir_response *resp)
{
	bool is_json = s->options.listing == WEIR_LISTING_JSON;
	_cleanup_(entries_fini) struct entries e = {};
	struct weir_head_marks marks;
	char *body = NULL;
	size_t bytes = 0;
	FILE *f;
	int r;

	r = read_folder(s, path, &e);
	if (r < 0)
		return r;
	f = open_memstream(&body, &bytes);
	if (!f)
		return -ENOMEM;
	if (is_json)
		r = write_json(f, &e);
	else
		write_html(f, &e, call->req->path);
	if (fclose(f) != 0)
		r = -ENOMEM;
	if (r < 0) {
		free(body);
		return r;
	}
	weir_response_begin(resp, 200, &marks);
	weir_head_field(&resp->buf, "Content-Type",
			is_json ? WEIR_STR("application/json") : WEIR_STR("text/html; charset=utf-8"));
	weir_head_length(&resp->buf, bytes);
	weir_static_put_common(s, &resp->buf);
	weir_response_end(resp, &marks);
	resp->owner = body;
	resp->release = free;
	if (call->req->method == WEIR_METHOD_GET)
		resp->parts[resp->parts_count++] = (struct weir_part){ .mem = body, .fd = -1, .bytes = bytes };
	return 0;
}
