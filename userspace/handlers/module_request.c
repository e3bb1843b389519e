/* SPDX-License-Identifier: GPL-2.0 */
/* What a module may ask about its request. The head was parsed and checked before; fields are indexed when the first
 * one is asked for. */
#include "handlers/module_priv.h"

#include <errno.h>
#include <string.h>

static struct weir_text text_of(struct weir_str s)
{
	return (struct weir_text){ s.p, s.n };
}

struct weir_text module_method(const struct weir_exchange *x)
{
	return text_of(x->call->req->method_text);
}

struct weir_text module_target(const struct weir_exchange *x)
{
	return text_of(x->call->req->target);
}

struct weir_text module_query(const struct weir_exchange *x)
{
	return text_of(x->call->req->query);
}

struct weir_text module_path(const struct weir_exchange *x)
{
	return text_of(x->call->req->path);
}

struct weir_text module_host(const struct weir_exchange *x)
{
	return text_of(x->call->req->host);
}

struct weir_text module_prefix(const struct weir_exchange *x)
{
	return text_of(x->call->prefix);
}

/* Line by line; the parser has let no folded line and no bare CR or LF through. */
static void index_fields(struct weir_exchange *x)
{
	struct weir_str rest = x->call->head, line;
	bool is_first = true;

	x->has_fields = true;
	while (weir_str_next(&rest, '\n', &line) && x->fields_count < WEIR_HTTP_FIELDS_MAX) {
		struct module_field *f = &x->fields[x->fields_count];
		const char *colon;

		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n == 0 && !is_first)
			break;
		if (line.n == 0)
			continue;
		colon = is_first ? NULL : memchr(line.p, ':', line.n);
		is_first = false;
		if (!colon)
			continue;
		f->name = (struct weir_str){ line.p, (size_t)(colon - line.p) };
		f->value = weir_str_trim((struct weir_str){ colon + 1, (size_t)(line.p + line.n - colon - 1) });
		x->fields_count++;
	}
}

int module_field_at(const struct weir_exchange *x, unsigned index, struct weir_text *ret_name,
		    struct weir_text *ret_value)
{
	/* the index is no part of what the module sees change */
	if (!x->has_fields)
		index_fields((struct weir_exchange *)(uintptr_t)x);
	if (index >= x->fields_count)
		return -ENOENT;
	*ret_name = text_of(x->fields[index].name);
	*ret_value = text_of(x->fields[index].value);
	return 0;
}

struct weir_text module_field(const struct weir_exchange *x, const char *name, unsigned index)
{
	struct weir_str wanted = { name, name ? strlen(name) : 0 };
	struct weir_text found, value;
	unsigned i;

	for (i = 0; module_field_at(x, i, &found, &value) == 0; i++)
		if (weir_str_caseeq(wanted, (struct weir_str){ found.p, found.n }) && index-- == 0)
			return value;
	return (struct weir_text){ NULL, 0 };
}

struct weir_text module_client_address(const struct weir_exchange *x)
{
	const struct weir_addr *a = &x->call->flow->client;
	char *text = ((struct weir_exchange *)(uintptr_t)x)->client;
	bool is_v4 = !a->word[0] && !a->word[1] && a->word[2] == htonl(0xffff);

	if (!inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? (const void *)&a->word[3] : a, text, sizeof(x->client)))
		return (struct weir_text){ NULL, 0 };
	return (struct weir_text){ text, strlen(text) };
}

uint16_t module_client_port(const struct weir_exchange *x)
{
	return ntohs(x->call->flow->client_port);
}

unsigned module_http_minor(const struct weir_exchange *x)
{
	return x->call->req->minor;
}

uint64_t module_body_bytes(const struct weir_exchange *x)
{
	return x->call->req->is_chunked ? WEIR_MODULE_BODY_UNKNOWN : x->call->req->body_bytes;
}

ptrdiff_t module_read(struct weir_exchange *x, void *buf, size_t bytes)
{
	ptrdiff_t n;

	if (x->read_error)
		return x->read_error;
	if (!buf || bytes == 0)
		return module_misuse(x, "read() without room for a byte");
	n = x->stream->ops->read(x->stream, buf, bytes);
	if (n < 0)
		x->read_error = (int)n;
	return n;
}
