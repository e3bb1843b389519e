// SPDX-License-Identifier: GPL-2.0
/* URLs out of lists and sitemaps. A sitemap is XML of one simple form: only what stands in <loc> matters, and the five named
 * and the numeric references are all that can stand in a URL there, so no parser is needed. */
#include "cli/preload.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/http.h"
#include "common/macro.h"

void cmd_urls_fini(struct cmd_urls *u)
{
	size_t i;

	for (i = 0; i < u->count; i++)
		free(u->items[i]);
	free(u->items);
	*u = (struct cmd_urls){};
}

int cmd_urls_add(struct cmd_urls *u, const char *text, size_t bytes)
{
	_cleanup_free_ struct cmd_url *parsed = malloc(sizeof(*parsed));

	if (!parsed)
		return -ENOMEM;
	if (!cmd_url_parse(text, bytes, parsed)) {
		u->bad++;
		return 0;
	}
	if (u->count == CMD_URLS_MAX)
		return -E2BIG;
	if (u->count == u->room) {
		size_t room = u->room ? 2 * u->room : 64;
		char **more = reallocarray(u->items, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		u->items = more;
		u->room = room;
	}
	u->items[u->count] = strndup(text, bytes);
	if (!u->items[u->count])
		return -ENOMEM;
	u->count++;
	return 0;
}

static struct weir_str trim(struct weir_str s)
{
	while (s.n > 0 && isspace((unsigned char)s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && isspace((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s;
}

int cmd_urls_read_list(struct cmd_urls *u, const char *text, size_t bytes)
{
	struct weir_str rest = { text, bytes }, line;
	int r = 0;

	while (r == 0 && weir_str_next(&rest, '\n', &line)) {
		line = trim(line);
		if (line.n > 0 && line.p[0] != '#')
			r = cmd_urls_add(u, line.p, line.n);
	}
	return r;
}

/* A reference that stands at `at`, behind its '&'. Returns the character; 0: none that a URL could have. */
static int reference(struct weir_str at, size_t *ret_bytes)
{
	static const struct {
		const char *name;
		char c;
	} named[] = { { "amp;", '&' }, { "lt;", '<' }, { "gt;", '>' }, { "quot;", '"' }, { "apos;", '\'' } };
	char digits[8] = "", *end;
	size_t i, n;
	long c;

	for (i = 0; i < ARRAY_SIZE(named); i++) {
		*ret_bytes = strlen(named[i].name);
		if (at.n >= *ret_bytes && !memcmp(at.p, named[i].name, *ret_bytes))
			return named[i].c;
	}
	if (at.n < 3 || at.p[0] != '#')
		return 0;
	n = MIN(at.n - 1, sizeof(digits) - 1);
	memcpy(digits, at.p + 1, n);
	c = digits[0] == 'x' ? strtol(digits + 1, &end, 16) : strtol(digits, &end, 10);
	*ret_bytes = (size_t)(end - digits) + 2;
	return end > digits && *end == ';' && c > 0x20 && c < 0x7f ? (int)c : 0;
}

static int add_escaped(struct cmd_urls *u, struct weir_str s)
{
	char url[CMD_URL_MAX];
	size_t n = 0, i, bytes;

	if (s.n > 18 && !memcmp(s.p, "<![CDATA[", 9) && !memcmp(s.p + s.n - 3, "]]>", 3)) {
		s = trim((struct weir_str){ s.p + 9, s.n - 12 });
		return cmd_urls_add(u, s.p, s.n);
	}
	for (i = 0; i < s.n; i++) {
		int c = (unsigned char)s.p[i];

		if (c == '&') {
			c = reference((struct weir_str){ s.p + i + 1, s.n - i - 1 }, &bytes);
			i += bytes;
		}
		if (!c || n == sizeof(url)) {
			u->bad++;
			return 0;
		}
		url[n++] = (char)c;
	}
	return cmd_urls_add(u, url, n);
}

/* Begin of the element's content; NULL: no more. */
static const char *find_element(const char *at, const char *end, const char *tag)
{
	const char *found = memmem(at, (size_t)(end - at), tag, strlen(tag));

	return found ? found + strlen(tag) : NULL;
}

int cmd_urls_read_sitemap(struct cmd_urls *u, const char *text, size_t bytes)
{
	const char *at = text, *end = text + bytes, *close;
	int r = 0;

	while (r == 0 && (at = find_element(at, end, "<loc>"))) {
		close = memmem(at, (size_t)(end - at), "</loc>", 6);
		if (!close) {
			u->bad++;
			break;
		}
		r = add_escaped(u, trim((struct weir_str){ at, (size_t)(close - at) }));
		at = close;
	}
	return r;
}

int cmd_is_sitemap(const char *text, size_t bytes, int *ret_is_index)
{
	struct weir_str s = trim((struct weir_str){ text, bytes });

	if (s.n > 3 && !memcmp(s.p, "\xef\xbb\xbf", 3))
		s = trim((struct weir_str){ s.p + 3, s.n - 3 });
	*ret_is_index = s.n > 0 && memmem(s.p, s.n, "<sitemapindex", 13) != NULL;
	return s.n > 0 && s.p[0] == '<';
}
