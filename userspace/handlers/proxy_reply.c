/* SPDX-License-Identifier: GPL-2.0 */
/* What a client sees of an upstream's response head, whatever protocol it came by. */
#include "handlers/proxy.h"

static void put_status(struct weir_buf *b, const struct weir_reply *r)
{
	weir_buf_puts(b, "HTTP/1.1 ");
	weir_buf_u64(b, r->status);
	weir_buf_puts(b, " ");
	if (r->reason.n > 0)
		weir_buf_str(b, r->reason);
	else
		weir_buf_puts(b, weir_status_reason(r->status));
	weir_buf_puts(b, "\r\n");
}

static void put_field(struct weir_buf *b, struct weir_str name, struct weir_str value)
{
	weir_buf_str(b, name);
	weir_buf_puts(b, ": ");
	weir_buf_str(b, value);
	weir_buf_puts(b, "\r\n");
}

static struct weir_str field_name(const char *text)
{
	return (struct weir_str){ text, strcspn(text, ":") };
}

bool weir_proxy_has_field(const struct weir_conf_words *fields, struct weir_str name)
{
	size_t i;

	for (i = 0; fields && i < fields->count; i++)
		if (weir_str_caseeq(field_name(fields->items[i]), name))
			return true;
	return false;
}

void weir_proxy_put_fields(struct weir_buf *b, const struct weir_conf_words *fields)
{
	size_t i;

	for (i = 0; fields && i < fields->count; i++) {
		struct weir_str name = field_name(fields->items[i]), value;

		value = weir_str_trim((struct weir_str){ name.p + name.n + 1, strlen(name.p + name.n + 1) });
		if (value.n > 0)
			put_field(b, name, value);
	}
}

/* Fields for the client; those that were seen among them are told. */
static void put_fields(struct weir_buf *b, struct weir_str fields, const struct weir_conf_words *ours,
		       bool *ret_has_date, bool *ret_has_server)
{
	struct weir_str name, value;
	struct weir_hops hops;

	*ret_has_date = false;
	*ret_has_server = weir_proxy_has_field(ours, WEIR_STR("server"));
	/* more Connection fields than fit: none of what they list matters to us, the known ones
	 * still go */
	(void)weir_hops_collect(fields, &hops);
	while (weir_fields_next(&fields, &name, &value)) {
		if (weir_is_hop(&hops, name) || (ours && weir_proxy_has_field(ours, name)))
			continue;
		if (name.n == 4 && weir_str_caseeq(name, WEIR_STR("date")))
			*ret_has_date = true;
		else if (name.n == 6 && weir_str_caseeq(name, WEIR_STR("server")))
			*ret_has_server = true;
		put_field(b, name, value);
	}
	weir_proxy_put_fields(b, ours);
}

void weir_gateway_head(struct weir_buf *b, const struct weir_gateway_reply *g)
{
	const struct weir_reply *r = g->reply;
	bool has_date, has_server, shows_length = g->is_head || r->status == 304;

	put_status(b, r);
	put_fields(b, r->fields, g->fields, &has_date, &has_server);
	if (!has_server)
		weir_buf_puts(b, "Server: weir\r\n");
	if (!has_date)
		put_field(b, WEIR_STR("Date"), (struct weir_str){ g->date, WEIR_HTTP_DATE_BYTES });
	if (g->is_http)
		weir_buf_puts(b, r->minor == 0 ? "Via: 1.0 weir\r\n" : "Via: 1.1 weir\r\n");
	if (g->framing == WEIR_FRAMING_LENGTH || (g->framing == WEIR_FRAMING_NONE && shows_length && r->has_length)) {
		weir_buf_puts(b, "Content-Length: ");
		weir_buf_u64(b, r->body_bytes);
		weir_buf_puts(b, "\r\n");
	} else if (g->framing == WEIR_FRAMING_CHUNKED) {
		weir_buf_puts(b, "Transfer-Encoding: chunked\r\n");
	}
	weir_buf_puts(b, g->is_keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

void weir_gateway_interim(struct weir_buf *b, const struct weir_reply *reply)
{
	struct weir_str value;
	bool has_date, has_server;

	put_status(b, reply);
	put_fields(b, reply->fields, NULL, &has_date, &has_server);
	if (reply->status == 101) {
		weir_buf_puts(b, "Connection: upgrade\r\n");
		if (weir_fields_find(reply->fields, WEIR_STR("upgrade"), &value))
			put_field(b, WEIR_STR("Upgrade"), value);
	}
	weir_buf_puts(b, "\r\n");
}

void weir_gateway_trailers(struct weir_buf *b, struct weir_str trailers)
{
	static const struct weir_hops no_hops;
	struct weir_str name, value;

	while (weir_fields_next(&trailers, &name, &value))
		if (weir_is_trailer(&no_hops, name))
			put_field(b, name, value);
}
