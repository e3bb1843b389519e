/* SPDX-License-Identifier: GPL-2.0 */
/* Reads a request head that XDP has parsed already: its grammar is strict, so this only cuts. Heads are cut off at
 * WEIR_EVENT_HEAD_MAX; what is not there stays empty. */
#include "logger/log_priv.h"

#include <string.h>

#include "common/macro.h"

static struct weir_str line_of(const char **at, const char *end)
{
	const char *from = *at, *nl = memchr(from, '\n', (size_t)(end - from));
	const char *to = nl ? nl : end;

	*at = nl ? nl + 1 : end;
	if (to > from && to[-1] == '\r')
		to--;
	return (struct weir_str){ from, (size_t)(to - from) };
}

static void request_line(struct weir_str line, struct log_entry *e)
{
	const char *space = line.n > 0 ? memchr(line.p, ' ', line.n) : NULL, *end = line.p + line.n, *second;

	if (!space)
		return;
	e->method = (struct weir_str){ line.p, (size_t)(space - line.p) };
	second = memchr(space + 1, ' ', (size_t)(end - space - 1));
	e->target = (struct weir_str){ space + 1, (size_t)((second ? second : end) - space - 1) };
	if (second && end - second == 9)
		e->version = end[-1] == '0' ? 10 : 11;
}

static bool is_named(struct weir_str line, struct weir_str name)
{
	return line.n > name.n && line.p[name.n] == ':' && weir_str_caseeq((struct weir_str){ line.p, name.n }, name);
}

static struct weir_str value_of(struct weir_str line, size_t name_bytes)
{
	return weir_str_trim((struct weir_str){ line.p + name_bytes + 1, line.n - name_bytes - 1 });
}

void log_head_parse(struct weir_str head, struct log_entry *e)
{
	static const struct weir_str host = { "host", 4 }, referer = { "referer", 7 }, agent = { "user-agent", 10 };
	const char *at = head.p, *end = head.p + head.n;

	if (head.n == 0)
		return;
	request_line(line_of(&at, end), e);
	while (at < end) {
		struct weir_str line = line_of(&at, end);

		if (line.n == 0)
			return;
		switch (line.p[0] | 0x20) {
		case 'h':
			if (is_named(line, host))
				e->host = value_of(line, host.n);
			break;
		case 'r':
			if (is_named(line, referer))
				e->referer = value_of(line, referer.n);
			break;
		case 'u':
			if (is_named(line, agent))
				e->agent = value_of(line, agent.n);
			break;
		}
	}
}
