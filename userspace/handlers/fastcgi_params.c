/* SPDX-License-Identifier: GPL-2.0 */
/* The parameters of a request, as RFC 3875 4.1 has them and php-fpm expects them. */
#include "handlers/fastcgi_priv.h"

#include <arpa/inet.h>
#include <string.h>

#include "http/fcgi.h"

/* Fields with a parameter of their own, and those that were settled before (RFC 9110 10.1.1). */
static const struct weir_str not_http[] = {
	{ "content-type", 12 },
	{ "content-length", 14 },
	{ "expect", 6 },
};

static void put(struct weir_buf *b, const char *name, struct weir_str value)
{
	weir_fcgi_param(b, (struct weir_str){ name, strlen(name) }, value);
}

static void put_text(struct weir_buf *b, const char *name, const char *value)
{
	put(b, name, (struct weir_str){ value, strlen(value) });
}

static void put_number(struct weir_buf *b, const char *name, uint64_t value)
{
	char digits[24];
	struct weir_buf text = { .p = digits, .cap = sizeof(digits) };

	weir_buf_u64(&text, value);
	put(b, name, (struct weir_str){ digits, text.n });
}

/* A value of up to four pieces. */
static void put_joined(struct weir_buf *b, const char *name, const struct weir_str parts[4])
{
	struct weir_str n = { name, strlen(name) };
	size_t i, bytes = 0;

	for (i = 0; i < 4; i++)
		bytes += parts[i].n;
	if (b->cap - b->n < n.n + bytes + 8) {
		b->is_full = true;
		return;
	}
	weir_fcgi_param_begin(b, n, bytes);
	for (i = 0; i < 4; i++)
		weir_buf_str(b, parts[i]);
}

static void put_address(struct weir_buf *b, const char *name, const struct weir_addr *a)
{
	bool is_v4 = !a->word[0] && !a->word[1] && a->word[2] == htonl(0xffff);
	char text[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? (const void *)&a->word[3] : a, text, sizeof(text));
	put_text(b, name, text);
}

static void put_connection(struct weir_buf *b, const struct weir_codec_call *call)
{
	const struct weir_flow_key *f = call->flow;

	put_address(b, "REMOTE_ADDR", &f->client);
	put_number(b, "REMOTE_PORT", ntohs(f->client_port));
	put_address(b, "SERVER_ADDR", &f->server);
	put_number(b, "SERVER_PORT", ntohs(f->server_port));
	if (call->req->host.n > 0)
		put(b, "SERVER_NAME", call->req->host);
	else
		put_address(b, "SERVER_NAME", &f->server);
}

/* The request target in origin form (RFC 9112 3.2.1), as it was sent. */
static struct weir_str request_uri(const struct weir_request *req)
{
	struct weir_str uri = req->target;
	const char *slash;

	if (req->form != WEIR_TARGET_ABSOLUTE || uri.n < 8)
		return uri;
	slash = memchr(uri.p + 7, '/', uri.n - 7);
	return slash ? (struct weir_str){ slash, (size_t)(uri.p + uri.n - slash) } : WEIR_STR("/");
}

static void put_script(struct weir_buf *b, const struct weir_codec_call *call)
{
	const char *root = call->pool->root ? call->pool->root : "";
	const struct weir_script *s = call->script;
	struct weir_str top = { root, strlen(root) }, prefix = call->prefix, slash = WEIR_STR("/");
	const struct weir_str none = { NULL, 0 };

	/* the application takes everything below the prefix */
	if (s->file.n + s->index.n == 0) {
		prefix.n--;
		slash.n = 0;
	}
	if (top.n == 1)
		top.n = 0;
	put_joined(b, "SCRIPT_NAME", (struct weir_str[4]){ prefix, s->file, s->index });
	put_joined(b, "SCRIPT_FILENAME", (struct weir_str[4]){ top, slash.n ? slash : prefix, s->file, s->index });
	put_joined(b, "DOCUMENT_URI", (struct weir_str[4]){ prefix, s->file, s->index, s->path_info });
	put_text(b, "DOCUMENT_ROOT", root);
	if (s->path_info.n > 0) {
		put(b, "PATH_INFO", s->path_info);
		put_joined(b, "PATH_TRANSLATED", (struct weir_str[4]){ top, s->path_info, none });
	}
}

static bool is_skipped(const struct weir_hops *hops, struct weir_str name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(not_http); i++)
		if (weir_str_caseeq(name, not_http[i]))
			return true;
	return weir_is_hop(hops, name);
}

/* A field that comes several times is one parameter (RFC 3875 4.1.18, RFC 9110 5.3). */
static void put_field(struct weir_buf *b, struct weir_str name, struct weir_str value, struct weir_str rest)
{
	struct weir_str separator = weir_str_caseeq(name, WEIR_STR("cookie")) ? WEIR_STR("; ") : WEIR_STR(", ");
	struct weir_str other, more;
	char text[WEIR_HTTP_HEAD_MAX];
	struct weir_buf all = { .p = text, .cap = sizeof(text) };

	while (weir_fields_next(&rest, &other, &more)) {
		if (!weir_str_caseeq(other, name))
			continue;
		if (all.n == 0)
			weir_buf_str(&all, value);
		weir_buf_str(&all, separator);
		weir_buf_str(&all, more);
	}
	weir_fcgi_param_field(b, name, all.n > 0 ? (struct weir_str){ text, all.n } : value);
	b->is_full = b->is_full || all.is_full;
}

static bool was_seen(struct weir_str fields, const char *until, struct weir_str name)
{
	struct weir_str other, value;

	while (fields.p < until && weir_fields_next(&fields, &other, &value))
		if (other.p < until && other.p != name.p && weir_str_caseeq(other, name))
			return true;
	return false;
}

static int put_fields(struct weir_buf *b, struct weir_str fields)
{
	struct weir_str rest = fields, name, value;
	struct weir_hops hops;

	if (weir_hops_collect(fields, &hops) < 0)
		return 400;
	while (weir_fields_next(&rest, &name, &value))
		if (!is_skipped(&hops, name) && !was_seen(fields, name.p, name))
			put_field(b, name, value, rest);
	return 0;
}

static void put_extra(struct weir_buf *b, const struct weir_conf_words *params)
{
	size_t i;

	for (i = 0; i < params->count; i++) {
		const char *text = params->items[i], *equal = strchr(text, '=');

		if (equal)
			weir_fcgi_param(b, (struct weir_str){ text, (size_t)(equal - text) },
					(struct weir_str){ equal + 1, strlen(equal + 1) });
	}
}

int weir_fastcgi_params(const struct weir_codec_call *call, struct weir_buf *out)
{
	const struct weir_request *req = call->req;
	const char *line_end = memmem(call->head.p, call->head.n, "\r\n", 2);
	struct weir_str fields = { line_end + 2, (size_t)(call->head.p + call->head.n - line_end - 2) }, type;
	size_t opened = weir_fcgi_params_open(out);
	int r;

	put_text(out, "GATEWAY_INTERFACE", "CGI/1.1");
	put_text(out, "SERVER_SOFTWARE", "weir/" WEIR_VERSION);
	put_text(out, "SERVER_PROTOCOL", req->minor ? "HTTP/1.1" : "HTTP/1.0");
	put_text(out, "REQUEST_SCHEME", "http");
	put(out, "REQUEST_METHOD", req->method_text);
	put(out, "REQUEST_URI", request_uri(req));
	put(out, "QUERY_STRING", req->query);
	put_script(out, call);
	put_connection(out, call);
	/* php-cgi insists on it: "cgi.force_redirect" */
	put_text(out, "REDIRECT_STATUS", "200");
	put(out, "CONTENT_TYPE", weir_fields_find(fields, WEIR_STR("content-type"), &type) ? type : WEIR_STR(""));
	if (req->body_bytes > 0 || weir_request_has(req, WEIR_FIELD_CONTENT_LENGTH))
		put_number(out, "CONTENT_LENGTH", req->body_bytes);
	else
		put_text(out, "CONTENT_LENGTH", "");
	r = put_fields(out, fields);
	if (r)
		return r;
	put_extra(out, &call->pool->fastcgi.params);
	return weir_fcgi_params_close(out, opened) < 0 ? 431 : 0;
}
