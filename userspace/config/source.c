/* SPDX-License-Identifier: GPL-2.0 */
/* The text that the parser sees: the file and what it includes as one text, comments blanked,
 * environment variables filled in. A list of spans remembers which line of which file each line
 * came from. libconfuse could do all three, but it takes comments inside of lists for syntax
 * errors, an unset variable for nothing, and reads what is included past our corrections. Called by
 * the parser, on one thread. */
#include "config/config_priv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX (16 << 20)
#define TEXT_BYTES_MAX (64 << 20)
#define INCLUDE_DEPTH_MAX 8
#define NAME_BYTES_MAX 128

struct source {
	struct weir_config *config;
	struct weir_conf_report *report;
	FILE *out;
	int line; /* of the whole text, that is being written */
	size_t bytes;
};

/* Where in a file we are. */
struct reader {
	const char *path;
	const char *p;
	int line;
	unsigned depth;
	char quote; /* inside of quotes: which; 0: outside */
};

static void put(struct source *s, char c)
{
	s->line += c == '\n';
	s->bytes++;
	(void)putc(c, s->out);
}

static int add_span(struct source *s, const char *path, int line)
{
	struct weir_config *c = s->config;
	struct weir_conf_span *spans = reallocarray(c->spans, c->spans_count + 1, sizeof(*spans));

	if (!spans)
		return -ENOMEM;
	c->spans = spans;
	spans[c->spans_count] = (struct weir_conf_span){ .first = s->line, .line = line, .file = strdup(path) };
	return spans[c->spans_count++].file ? 0 : -ENOMEM;
}

int weir_conf_line(const struct weir_config *c, int line, const char **ret_file)
{
	size_t i = c->spans_count;

	*ret_file = c->file;
	if (line <= 0)
		return line;
	while (i > 0 && c->spans[i - 1].first > line)
		i--;
	if (!i)
		return line;
	*ret_file = c->spans[i - 1].file;
	return c->spans[i - 1].line + line - c->spans[i - 1].first;
}

const char *weir_conf_place(const struct weir_config *c, int line)
{
	static char text[2][512];
	static unsigned turn;
	const char *file;
	char *at = text[turn++ & 1];

	line = weir_conf_line(c, line, &file);
	if (c->spans_count < 2 || !file)
		snprintf(at, sizeof(text[0]), "line %d", line);
	else
		snprintf(at, sizeof(text[0]), "%s:%d", file, line);
	return at;
}

static int read_file(const char *path, char **ret)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > FILE_BYTES_MAX)
		return -EFBIG;
	text = calloc(1, (size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = read(fd, text, (size_t)st.st_size);
	if (n < 0)
		return -errno;
	*ret = TAKE_PTR(text);
	return 0;
}

/* --- comments --- */

/* Skips a comment; only its line ends go to the text. */
static bool skip_comment(struct source *s, struct reader *r)
{
	const char *stop;

	if (*r->p == '#' || (*r->p == '/' && r->p[1] == '/')) {
		r->p += strcspn(r->p, "\n");
		return true;
	}
	if (*r->p != '/' || r->p[1] != '*')
		return false;
	stop = strstr(r->p + 2, "*/");
	for (stop = stop ? stop + 2 : r->p + strlen(r->p); r->p < stop; r->p++) {
		if (*r->p == '\n') {
			r->line++;
			put(s, '\n');
		}
	}
	put(s, ' ');
	return true;
}

/* --- environment --- */

/* The value as the parser must see it: quotes would end the text that it stands in. */
static void put_value(struct source *s, const struct reader *r, const char *name, const char *value)
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:%+-";

	if (strpbrk(value, "\r\n")) {
		weir_conf_error(s->report, s->config->file, s->line,
				"the environment variable %s has more than one line", name);
		return;
	}
	if (!r->quote && value[strspn(value, bare)]) {
		weir_conf_error(s->report, s->config->file, s->line,
				"the environment variable %s is '%s': write \"${%s}\", in quotes", name, value, name);
		return;
	}
	for (; *value; value++) {
		if (r->quote && strchr("\"\\$", *value))
			put(s, '\\');
		put(s, *value);
	}
}

/* Fills in "${NAME}" or "${NAME:-default}". False: there is none here. */
static bool put_variable(struct source *s, struct reader *r)
{
	const char *end = r->p[0] == '$' && r->p[1] == '{' ? r->p + 2 + strcspn(r->p + 2, "}\n") : NULL;
	size_t bytes = end ? strspn(r->p + 2, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") : 0;
	const char *rest = r->p + 2 + bytes, *value;
	_cleanup_free_ char *fallback = NULL;
	char name[NAME_BYTES_MAX];

	if (!end)
		return false;
	if (*end != '}' || !bytes || bytes >= sizeof(name) || isdigit((unsigned char)r->p[2]) ||
	    (rest != end && strncmp(rest, ":-", 2) != 0)) {
		weir_conf_error(s->report, s->config->file, s->line,
				"an environment variable is written ${NAME} or ${NAME:-default}");
		r->p = *end == '}' ? end + 1 : end;
		return true;
	}
	memcpy(name, r->p + 2, bytes);
	name[bytes] = '\0';
	r->p = end + 1;
	value = getenv(name);
	if (rest != end && (!value || !*value))
		value = fallback = strndup(rest + 2, (size_t)(end - rest - 2));
	if (value)
		put_value(s, r, name, value);
	else
		weir_conf_error(s->report, s->config->file, s->line,
				"the environment variable %s is not set; ${%s:-value} would give it a default", name,
				name);
	return true;
}

/* --- include --- */

static int read_into(struct source *s, const char *path, unsigned depth);

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* The file or pattern in `include("...")`, with its variables filled in, and the end of the
 * directive. NULL: this is none; -EINVAL in *ret: it is malformed. */
static char *include_argument(struct source *s, struct reader *r, int *ret)
{
	const char *p = r->p + strlen("include"), *start;
	struct reader inner = { .quote = '"' };
	struct source to = { .config = s->config, .report = s->report, .line = s->line };
	_cleanup_free_ char *raw = NULL;
	char *text = NULL;
	size_t bytes;

	*ret = 0;
	p += strspn(p, " \t");
	if (*p != '(')
		return NULL;
	*ret = -EINVAL;
	p++;
	p += strspn(p, " \t");
	start = p + 1;
	if (*p != '"' && *p != '\'')
		return NULL;
	bytes = strcspn(start, *p == '"' ? "\"\n" : "'\n");
	p = start + bytes + 1;
	if (p[-1] == '\n' || !p[-1])
		return NULL;
	p += strspn(p, " \t");
	if (*p != ')' || !bytes)
		return NULL;
	raw = strndup(start, bytes);
	to.out = open_memstream(&text, &bytes);
	if (!raw || !to.out) {
		*ret = -ENOMEM;
		return NULL;
	}
	for (inner.p = raw; *inner.p;)
		if (start[-1] == '\'' || !put_variable(&to, &inner))
			put(&to, *inner.p++);
	(void)fclose(to.out);
	r->p = p + 1;
	*ret = text ? 0 : -ENOMEM;
	return text;
}

static int include_one(struct source *s, const struct reader *r, const char *path)
{
	int at = s->line, e;

	put(s, '\n');
	e = read_into(s, path, r->depth + 1);
	if (e < 0 && e != -ENOMEM) {
		weir_conf_error(s->report, s->config->file, at, "include: '%s' cannot be read: %s", path, e == -EINVAL ? "it is no regular file" : strerror(-e));
		e = 0;
	}
	return e;
}

static int include_all(struct source *s, const struct reader *r, const char *pattern)
{
	const char *slash = strrchr(r->path, '/');
	_cleanup_free_ char *joined = NULL;
	glob_t found = {};
	size_t i;
	int e = 0;

	if (r->depth + 1 > INCLUDE_DEPTH_MAX) {
		weir_conf_error(s->report, s->config->file, s->line,
				"include(\"%s\"): more than %d files inside of each other; does "
				"one include itself?",
				pattern, INCLUDE_DEPTH_MAX);
		return 0;
	}
	if (pattern[0] != '/' && slash && asprintf(&joined, "%.*s/%s", (int)(slash - r->path), r->path, pattern) < 0)
		return -ENOMEM;
	if (joined)
		pattern = joined;
	/* a name without a pattern that is not there is an error of its own, with the right words
	 */
	if (!strpbrk(pattern, "*?[")) {
		e = include_one(s, r, pattern);
	} else {
		e = glob(pattern, 0, NULL, &found);
		if (e && e != GLOB_NOMATCH)
			weir_conf_error(s->report, s->config->file, s->line, "include(\"%s\"): cannot be read",
					pattern);
		for (e = 0, i = 0; e == 0 && i < found.gl_pathc; i++)
			e = include_one(s, r, found.gl_pathv[i]);
		globfree(&found);
	}
	if (e < 0)
		return e;
	put(s, '\n');
	return add_span(s, r->path, r->line);
}

/* 1: an include was here and is in the text now. */
static int take_include(struct source *s, struct reader *r, char before)
{
	_cleanup_free_ char *pattern = NULL;
	int e;

	if (r->quote || is_word(before) || strncmp(r->p, "include", 7) != 0 || is_word(r->p[7]))
		return 0;
	pattern = include_argument(s, r, &e);
	if (e == -EINVAL) {
		weir_conf_error(s->report, s->config->file, s->line,
				"include is written include(\"file or pattern\"), in one line");
		r->p += strcspn(r->p, "\n");
		return 1;
	}
	if (!pattern)
		return e;
	e = include_all(s, r, pattern);
	return e < 0 ? e : 1;
}

/* --- text --- */

static int copy(struct source *s, struct reader *r)
{
	char before = '\n';
	int e;

	while (*r->p) {
		char c = *r->p;

		if (s->bytes > TEXT_BYTES_MAX)
			return -EFBIG;
		if (!r->quote && skip_comment(s, r))
			continue;
		e = take_include(s, r, before);
		if (e < 0)
			return e;
		before = c;
		if (e || (r->quote != '\'' && put_variable(s, r)))
			continue;
		if (c == '\\' && r->quote && r->p[1]) {
			put(s, c);
			c = *++r->p;
		} else if (r->quote ? c == r->quote : c == '"' || c == '\'') {
			r->quote = r->quote ? 0 : c;
		}
		r->line += c == '\n';
		put(s, c);
		r->p++;
	}
	return 0;
}

static int read_into(struct source *s, const char *path, unsigned depth)
{
	_cleanup_free_ char *text = NULL;
	struct reader r = { .path = path, .line = 1, .depth = depth };
	int e = read_file(path, &text);

	if (e == 0)
		e = add_span(s, path, 1);
	if (e < 0)
		return e;
	r.p = text;
	e = copy(s, &r);
	return e;
}

int weir_conf_source(struct weir_config *c, struct weir_conf_report *report, char **ret)
{
	struct source s = { .config = c, .report = report, .line = 1 };
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	int r;

	s.out = open_memstream(&text, &bytes);
	if (!s.out)
		return -ENOMEM;
	r = read_into(&s, c->file, 0);
	/* a line end of our own: fmemopen() refuses an empty file, and a comment may end without
	 * one */
	(void)putc('\n', s.out);
	if (fclose(s.out) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0)
		*ret = TAKE_PTR(text);
	return r;
}
