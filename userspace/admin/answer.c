/* SPDX-License-Identifier: GPL-2.0 */
/* What the admin endpoint says to which path. Everything is made anew for each request, in memory.
 */
#include "admin/adm_priv.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/macro.h"

struct body {
	unsigned status;
	const char *type;
	char *bytes;
	size_t count;
};

static int text(struct body *b, unsigned status, const char *what)
{
	b->status = status;
	b->type = "text/plain; charset=utf-8";
	b->bytes = strdup(what);
	b->count = strlen(what);
	return b->bytes ? 0 : -ENOMEM;
}

static int no_supervisor(struct body *b)
{
	return text(b, 503, "The supervisor does not answer.\n");
}

static int metrics(struct body *b)
{
	const json_t *stats = adm_ask("stats"), *status = adm_ask("status");
	FILE *f;

	if (!stats || !status)
		return no_supervisor(b);
	b->status = 200;
	b->type = "text/plain; version=0.0.4; charset=utf-8";
	f = open_memstream(&b->bytes, &b->count);
	if (!f)
		return -ENOMEM;
	adm_metrics_write(f, stats, status);
	return fclose(f) == 0 ? 0 : -ENOMEM;
}

static int json(struct body *b, json_t *value)
{
	b->status = 200;
	b->type = "application/json";
	b->bytes = value ? json_dumps(value, JSON_COMPACT) : NULL;
	b->count = b->bytes ? strlen(b->bytes) : 0;
	json_decref(value);
	return b->bytes ? 0 : -ENOMEM;
}

static int status(struct body *b)
{
	const json_t *stats = adm_ask("stats"), *state = adm_ask("status");

	if (!stats || !state)
		return no_supervisor(b);
	return json(b, json_pack("{s:O, s:O}", "stats", stats, "status", state));
}

static int busiest(struct body *b)
{
	const json_t *list = adm_ask("busiest");

	return list ? json(b, json_incref((json_t *)list)) : no_supervisor(b);
}

static int page(struct body *b)
{
	b->status = 200;
	b->type = "text/html; charset=utf-8";
	b->count = (size_t)(adm_page_end - adm_page);
	b->bytes = malloc(b->count);
	if (!b->bytes)
		return -ENOMEM;
	memcpy(b->bytes, adm_page, b->count);
	return 0;
}

static int health(struct body *b)
{
	return adm_ask("status") ? text(b, 200, "ok\n") : no_supervisor(b);
}

static const struct {
	const char *path;
	int (*make)(struct body *b);
} paths[] = {
	{ "/", page },	       { "/metrics", metrics }, { "/api/status", status }, { "/api/busiest", busiest },
	{ "/health", health },
};

static int make_body(const struct weir_request *req, struct body *b)
{
	size_t i;

	if (req->method != WEIR_METHOD_GET && req->method != WEIR_METHOD_HEAD)
		return text(b, 405, "This endpoint is only read.\n");
	for (i = 0; i < ARRAY_SIZE(paths); i++)
		if (weir_str_eq(req->path, (struct weir_str){ paths[i].path, strlen(paths[i].path) }))
			return paths[i].make(b);
	return text(b, 404, "Here are /, /metrics, /api/status, /api/busiest and /health.\n");
}

int adm_answer_make(const struct weir_request *req, unsigned refuse, struct adm_answer *ret)
{
	struct body b = {};
	char date[WEIR_HTTP_DATE_BYTES + 1] = "";
	bool is_head = !refuse && req->method == WEIR_METHOD_HEAD;
	FILE *f;
	int r;

	r = refuse ? text(&b, refuse, "Bad request.\n") : make_body(req, &b);
	if (r < 0) {
		free(b.bytes);
		return r;
	}
	weir_date_format(time(NULL), date);
	f = open_memstream(&ret->bytes, &ret->count);
	if (f) {
		fprintf(f,
			"HTTP/1.1 %u %s\r\nServer: weir\r\nDate: %s\r\nContent-Type: "
			"%s\r\nContent-Length: %zu\r\n"
			"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s"
			"Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; "
			"style-src "
			"'unsafe-inline'; connect-src 'self'; img-src data:\r\n"
			"Connection: %s\r\n\r\n",
			b.status, weir_status_reason(b.status), date, b.type, b.count,
			b.status == 405 ? "Allow: GET, HEAD\r\n" : "",
			refuse || !req->is_keep_alive ? "close" : "keep-alive");
		if (!is_head)
			fwrite(b.bytes, 1, b.count, f);
	}
	free(b.bytes);
	return f && fclose(f) == 0 ? 0 : -ENOMEM;
}
