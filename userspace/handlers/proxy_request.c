/* SPDX-License-Identifier: GPL-2.0 */
/* The head of a request for an HTTP upstream: what of the client's goes on, and what is said about
 * the client. */
#include "handlers/proxy.h"

#include <arpa/inet.h>
#include <strings.h>

/* The client's fields, behind the request line (and empty lines before it). */
static struct weir_str client_fields(const struct weir_codec_call *call)
{
	const char *line = call->req->method_text.p, *end = call->head.p + call->head.n;
	const char *lf = memchr(line, '\n', (size_t)(end - line));

	return (struct weir_str){ lf + 1, (size_t)(end - lf - 1) };
}

bool weir_proxy_wants_upgrade(const struct weir_codec_call *call)
{
	struct weir_hops hops;

	if (call->req->minor == 0 || call->req->is_chunked || call->req->body_bytes > 0 ||
	    call->req->counts[WEIR_FIELD_UPGRADE] != 1)
		return false;
	return weir_hops_collect(client_fields(call), &hops) == 0 && hops.has_upgrade;
}

static bool has_dots(struct weir_str path)
{
	size_t i;

	for (i = 0; i + 1 < path.n; i++)
		if (path.p[i] == '/' &&
		    (path.p[i + 1] == '.' || (i + 3 < path.n && strncasecmp(path.p + i + 1, "%2e", 3) == 0)))
			return true;
	return false;
}

/* The path as the client wrote it, unless that would let it mean another place there than it meant
 * here. */
static void put_target(const struct weir_codec_call *call, struct weir_buf *out)
{
	const struct weir_request *req = call->req;
	struct weir_str raw = req->target, path = req->path;
	const char *query;

	if (req->form == WEIR_TARGET_ASTERISK) {
		weir_buf_puts(out, "*");
		return;
	}
	query = memchr(raw.p, '?', raw.n);
	if (query)
		raw.n = (size_t)(query - raw.p);
	if (call->pool->proxy.strip_prefix) {
		path.p += call->prefix.n - 1;
		path.n -= call->prefix.n - 1;
		weir_path_encode(out, path);
	} else if (req->form != WEIR_TARGET_ORIGIN || has_dots(raw)) {
		weir_path_encode(out, path);
	} else {
		weir_buf_str(out, raw);
	}
	if (req->query.p) {
		weir_buf_puts(out, "?");
		weir_buf_str(out, req->query);
	}
}

/* The authority that the client asked for, as it wrote it. */
static struct weir_str client_host(const struct weir_request *req)
{
	struct weir_str t = req->target;
	size_t i = 0, start;

	if (req->form != WEIR_TARGET_ABSOLUTE)
		return req->counts[WEIR_FIELD_HOST] ? req->fields[WEIR_FIELD_HOST] : WEIR_STR("");
	while (t.p[i] != '/')
		i++;
	start = i += 2;
	while (i < t.n && t.p[i] != '/' && t.p[i] != '?')
		i++;
	return (struct weir_str){ t.p + start, i - start };
}

static const char *client_address(const struct weir_codec_call *call, char *text, size_t bytes, bool *ret_is_v6)
{
	const struct weir_addr *a = &call->flow->client;

	*ret_is_v6 = a->word[0] || a->word[1] || a->word[2] != htonl(0xffff);
	if (*ret_is_v6)
		return inet_ntop(AF_INET6, a, text, (socklen_t)bytes);
	return inet_ntop(AF_INET, &a->word[3], text, (socklen_t)bytes);
}

/* Begins a field with the values that the client's fields of this name have, if they are to be
 * kept. */
static void begin_list(struct weir_buf *out, const char *name, struct weir_str fields, bool is_kept)
{
	const struct weir_str wanted = { name, strlen(name) };
	struct weir_str n, v;

	weir_buf_puts(out, name);
	weir_buf_puts(out, ": ");
	while (is_kept && weir_fields_next(&fields, &n, &v)) {
		if (!weir_str_caseeq(n, wanted) || v.n == 0)
			continue;
		weir_buf_str(out, v);
		weir_buf_puts(out, ", ");
	}
}

/* RFC 7239, and the fields that came before it. */
static void put_forwarded(const struct weir_codec_call *call, struct weir_str fields, struct weir_buf *out)
{
	bool is_kept = call->pool->proxy.forwarded == WEIR_FORWARDED_APPEND, is_v6;
	struct weir_str host = client_host(call->req);
	char text[INET6_ADDRSTRLEN];
	const char *address = client_address(call, text, sizeof(text), &is_v6);

	begin_list(out, "X-Forwarded-For", fields, is_kept);
	weir_buf_puts(out, address);
	weir_buf_puts(out, "\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ");
	weir_buf_str(out, host);
	weir_buf_puts(out, "\r\n");
	begin_list(out, "Forwarded", fields, is_kept);
	weir_buf_puts(out, is_v6 ? "for=\"[" : "for=");
	weir_buf_puts(out, address);
	weir_buf_puts(out, is_v6 ? "]\"" : "");
	if (host.n > 0 && !memchr(host.p, '"', host.n) && !memchr(host.p, '\\', host.n)) {
		weir_buf_puts(out, ";host=\"");
		weir_buf_str(out, host);
		weir_buf_puts(out, "\"");
	}
	weir_buf_puts(out, ";proto=http\r\n");
}

/* Fields of the client that we write ourselves, and those of one hop. */
static bool is_ours(const struct weir_codec_call *call, const struct weir_hops *hops, struct weir_str name)
{
	switch (name.n) {
	case 3:
		return weir_str_caseeq(name, WEIR_STR("via"));
	case 4:
		return weir_str_caseeq(name, WEIR_STR("host"));
	case 6:
		return weir_str_caseeq(name, WEIR_STR("expect"));
	case 9:
		if (weir_str_caseeq(name, WEIR_STR("forwarded")))
			return call->pool->proxy.forwarded != WEIR_FORWARDED_OFF;
		break;
	case 15:
		if (weir_str_caseeq(name, WEIR_STR("x-forwarded-for")))
			return call->pool->proxy.forwarded != WEIR_FORWARDED_OFF;
		break;
	case 16:
		if (weir_str_caseeq(name, WEIR_STR("x-forwarded-host")))
			return call->pool->proxy.forwarded != WEIR_FORWARDED_OFF;
		break;
	case 17:
		if (weir_str_caseeq(name, WEIR_STR("x-forwarded-proto")))
			return call->pool->proxy.forwarded != WEIR_FORWARDED_OFF;
		break;
	default:
		break;
	}
	return weir_is_hop(hops, name);
}

/* TE is of one hop; that the client understands trailers holds for the next one too. */
static bool takes_trailers(struct weir_str fields)
{
	struct weir_str name, value;

	while (weir_fields_next(&fields, &name, &value))
		if (name.n == 2 && weir_str_caseeq(name, WEIR_STR("te")) && weir_list_has(value, WEIR_STR("trailers")))
			return true;
	return false;
}

static void put_connection(const struct weir_codec_call *call, struct weir_str fields, bool is_upgrade,
			   struct weir_buf *out)
{
	if (is_upgrade) {
		weir_buf_puts(out, "Connection: upgrade\r\nUpgrade: ");
		weir_buf_str(out, call->req->fields[WEIR_FIELD_UPGRADE]);
		weir_buf_puts(out, "\r\n");
	} else if (takes_trailers(fields)) {
		weir_buf_puts(out, "Connection: TE\r\nTE: trailers\r\n");
	}
}

int weir_proxy_fields(const struct weir_codec_call *call, bool is_upgrade, struct weir_buf *out)
{
	const struct weir_conf_proxy *conf = &call->pool->proxy;
	struct weir_str fields = client_fields(call), rest = fields, name, value;
	struct weir_hops hops;

	if (weir_hops_collect(fields, &hops) < 0)
		return 400;
	weir_buf_str(out, call->req->method_text);
	weir_buf_puts(out, " ");
	put_target(call, out);
	weir_buf_puts(out, " HTTP/1.1\r\nHost: ");
	weir_buf_str(out, conf->host ? (struct weir_str){ conf->host, strlen(conf->host) } : client_host(call->req));
	weir_buf_puts(out, "\r\n");
	while (weir_fields_next(&rest, &name, &value)) {
		if (is_ours(call, &hops, name) || weir_proxy_has_field(&conf->request_fields, name))
			continue;
		weir_buf_str(out, name);
		weir_buf_puts(out, ": ");
		weir_buf_str(out, value);
		weir_buf_puts(out, "\r\n");
	}
	weir_proxy_put_fields(out, &conf->request_fields);
	if (call->req->expects_continue)
		weir_buf_puts(out, "Expect: 100-continue\r\n");
	if (conf->forwarded != WEIR_FORWARDED_OFF)
		put_forwarded(call, fields, out);
	begin_list(out, "Via", fields, true);
	weir_buf_puts(out, call->req->minor == 0 ? "1.0 weir\r\n" : "1.1 weir\r\n");
	put_connection(call, fields, is_upgrade, out);
	return out->is_full ? 431 : 0;
}
