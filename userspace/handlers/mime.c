/* SPDX-License-Identifier: GPL-2.0 */
/* Media types by file extension, from /etc/mime.types (package media-types). Read once when a worker starts,
 * then read-only. Contents are never sniffed. */
#include "handlers/static_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/macro.h"

struct mime_row {
	char *extension; /* lower case; one allocation with type behind it */
	const char *type;
};

struct weir_mime {
	struct mime_row *rows; /* sorted */
	size_t count;
	size_t room;
	size_t first_count; /* rows of the configuration, at the start until all are sorted */
};

/* What a site needs when the package is missing, and what it has wrong for the web. */
static const struct {
	const char *extension, *type;
} builtin[] = {
	{ "css", "text/css; charset=utf-8" },
	{ "gif", "image/gif" },
	{ "htm", "text/html; charset=utf-8" },
	{ "html", "text/html; charset=utf-8" },
	{ "ico", "image/vnd.microsoft.icon" },
	{ "jpeg", "image/jpeg" },
	{ "jpg", "image/jpeg" },
	{ "js", "text/javascript; charset=utf-8" },
	{ "json", "application/json" },
	{ "mjs", "text/javascript; charset=utf-8" },
	{ "pdf", "application/pdf" },
	{ "png", "image/png" },
	{ "svg", "image/svg+xml" },
	{ "txt", "text/plain; charset=utf-8" },
	{ "wasm", "application/wasm" },
	{ "webp", "image/webp" },
	{ "woff2", "font/woff2" },
	{ "xml", "text/xml; charset=utf-8" },
};

static int by_extension(const void *a, const void *b)
{
	return strcmp(((const struct mime_row *)a)->extension, ((const struct mime_row *)b)->extension);
}

static int add(struct weir_mime *m, const char *extension, const char *type)
{
	static const char utf8[] = "; charset=utf-8";
	bool is_text = strncmp(type, "text/", 5) == 0 && !strchr(type, ';');
	size_t n = strlen(extension) + 1;
	char *text;

	if (m->count == m->room) {
		size_t room = m->room ? m->room * 2 : 2048;
		struct mime_row *rows = realloc(m->rows, room * sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		m->rows = rows;
		m->room = room;
	}
	text = malloc(n + strlen(type) + sizeof(utf8));
	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		text[i] = weir_lower(extension[i]);
	strcpy(text + n, type);
	if (is_text)
		strcat(text + n, utf8);
	m->rows[m->count++] = (struct mime_row){ text, text + n };
	return 0;
}

/* Known from a better source: the configuration, then the table above. */
static bool is_known(const struct weir_mime *m, const char *extension, bool is_builtin)
{
	size_t i;

	for (i = 0; i < m->first_count; i++)
		if (strcasecmp(m->rows[i].extension, extension) == 0)
			return true;
	for (i = 0; i < ARRAY_SIZE(builtin) && !is_builtin; i++)
		if (strcasecmp(builtin[i].extension, extension) == 0)
			return true;
	return false;
}

/* One "type extension..." line, which is cut into pieces. */
static int add_line(struct weir_mime *m, char *line)
{
	char *save, *type, *extension;
	int r = 0;

	type = strtok_r(line, " \t", &save);
	if (!type || strlen(type) > WEIR_MIME_MAX - 16)
		return 0;
	while (r == 0 && (extension = strtok_r(NULL, " \t", &save)))
		if (!is_known(m, extension, false))
			r = add(m, extension, type);
	return r;
}

static int add_first(struct weir_mime *m, const struct weir_conf_words *types)
{
	size_t i;
	int r = 0;

	for (i = 0; types && r == 0 && i < types->count; i++) {
		_cleanup_free_ char *line = strdup(types->items[i]);
		char *save, *type, *extension;

		if (!line)
			return -ENOMEM;
		type = strtok_r(line, " \t", &save);
		while (type && r == 0 && (extension = strtok_r(NULL, " \t", &save))) {
			if (is_known(m, extension, true))
				continue;
			r = add(m, extension, type);
			m->first_count = m->count;
		}
	}
	return r;
}

/* "type extension..." lines; '#' starts a comment. */
static int read_file(struct weir_mime *m, const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	int r = 0;

	if (!f)
		return 0;
	while (r == 0 && getline(&line, &room, f) >= 0) {
		line[strcspn(line, "#\n")] = '\0';
		r = add_line(m, line);
	}
	return r;
}

int weir_mime_new(const char *path, const struct weir_conf_words *types, struct weir_mime **ret)
{
	struct weir_mime *m = calloc(1, sizeof(*m));
	size_t i;
	int r = 0;

	if (!m)
		return -ENOMEM;
	r = add_first(m, types);
	for (i = 0; r == 0 && i < ARRAY_SIZE(builtin); i++)
		if (!is_known(m, builtin[i].extension, true))
			r = add(m, builtin[i].extension, builtin[i].type);
	if (r == 0)
		r = read_file(m, path);
	if (r < 0) {
		weir_mime_free(m);
		return r;
	}
	qsort(m->rows, m->count, sizeof(*m->rows), by_extension);
	*ret = m;
	return 0;
}

struct weir_mime *weir_mime_free(struct weir_mime *m)
{
	size_t i;

	for (i = 0; m && i < m->count; i++)
		free(m->rows[i].extension);
	if (m)
		free(m->rows);
	free(m);
	return NULL;
}

const char *weir_mime_find(const struct weir_mime *m, const char *path)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
	char extension[32];
	struct mime_row key = { extension, NULL };
	const struct mime_row *row;
	size_t i;

	if (!dot || strlen(dot + 1) >= sizeof(extension))
		return NULL;
	for (i = 0; dot[i]; i++)
		extension[i] = weir_lower(dot[i + 1]);
	row = bsearch(&key, m->rows, m->count, sizeof(key), by_extension);
	return row ? row->type : NULL;
}
