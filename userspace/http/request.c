/* SPDX-License-Identifier: GPL-2.0 */
/* The request head: finds its end, hands it to llhttp, then refuses what llhttp lets through. */
#include "http/response.h"

#include <errno.h>
#include <llhttp.h>

/* What a byte may be part of. */
#define IS_TOKEN 1  /* RFC 9110 5.6.2 */
#define IS_TARGET 2 /* visible ASCII but '#': what llhttp lets pass beyond RFC 3986 is data to us */

static const uint8_t classes[256] = {
	['!'] = 3, ['"'] = 2, ['$'] = 3, ['%'] = 3, ['&'] = 3, ['\''] = 3, ['('] = 2, [')'] = 2, ['*'] = 3,
	['+'] = 3, [','] = 2, ['-'] = 3, ['.'] = 3, ['/'] = 2, ['0' ... '9'] = 3, [':'] = 2, [';'] = 2, ['<'] = 2,
	['='] = 2, ['>'] = 2, ['?'] = 2, ['@'] = 2, ['A' ... 'Z'] = 3, ['['] = 2, ['\\'] = 2, [']'] = 2, ['^'] = 3,
	['_'] = 3, ['`'] = 3, ['a' ... 'z'] = 3, ['{'] = 2, ['|'] = 3, ['}'] = 2, ['~'] = 3, ['#'] = 1,
};

static const struct weir_str names[WEIR_FIELD__MAX] = {
	[WEIR_FIELD_HOST] = { "host", 4 },
	[WEIR_FIELD_CONNECTION] = { "connection", 10 },
	[WEIR_FIELD_CONTENT_LENGTH] = { "content-length", 14 },
	[WEIR_FIELD_TRANSFER_ENCODING] = { "transfer-encoding", 17 },
	[WEIR_FIELD_EXPECT] = { "expect", 6 },
	[WEIR_FIELD_UPGRADE] = { "upgrade", 7 },
	[WEIR_FIELD_RANGE] = { "range", 5 },
	[WEIR_FIELD_IF_RANGE] = { "if-range", 8 },
	[WEIR_FIELD_IF_MATCH] = { "if-match", 8 },
	[WEIR_FIELD_IF_NONE_MATCH] = { "if-none-match", 13 },
	[WEIR_FIELD_IF_MODIFIED_SINCE] = { "if-modified-since", 17 },
	[WEIR_FIELD_IF_UNMODIFIED_SINCE] = { "if-unmodified-since", 19 },
	[WEIR_FIELD_ACCEPT_ENCODING] = { "accept-encoding", 15 },
	[WEIR_FIELD_AUTHORIZATION] = { "authorization", 13 },
	[WEIR_FIELD_CACHE_CONTROL] = { "cache-control", 13 },
};

/* What the callbacks gather. */
struct gather {
	struct weir_request *req;
	struct weir_str name;
	bool says_close;
	bool says_keep_alive;
	bool is_done;
};

static int refuse(struct weir_request *r, int status, const char *why)
{
	r->why = why;
	return status;
}

static bool is_all(struct weir_str s, uint8_t class)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!(classes[(uint8_t)s.p[i]] & class))
			return false;
	return s.n > 0;
}

static int find_field(struct weir_str name)
{
	int f;

	switch (weir_lower(name.p[0])) {
	case 'a':
	case 'c':
	case 'e':
	case 'h':
	case 'i':
	case 'r':
	case 't':
	case 'u':
		for (f = 0; f < WEIR_FIELD__MAX; f++)
			if (names[f].n == name.n && weir_str_caseeq(names[f], name))
				return f;
		break;
	default:
		break;
	}
	return -1;
}

static void read_connection(struct gather *g, struct weir_str value)
{
	struct weir_str item;

	while (weir_str_next(&value, ',', &item)) {
		item = weir_str_trim(item);
		if (weir_str_caseeq(item, WEIR_STR("close")))
			g->says_close = true;
		else if (weir_str_caseeq(item, WEIR_STR("keep-alive")))
			g->says_keep_alive = true;
	}
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
	struct gather *g = p->data;

	g->name = (struct weir_str){ at, n };
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
	struct gather *g = p->data;
	struct weir_request *r = g->req;
	struct weir_str value = weir_str_trim((struct weir_str){ at, n });
	int f = g->name.n > 0 ? find_field(g->name) : -1;

	r->fields_count++;
	if (f < 0)
		return 0;
	if (r->counts[f]++ == 0)
		r->fields[f] = value;
	if (f == WEIR_FIELD_CONNECTION)
		read_connection(g, value);
	return 0;
}

static int on_headers_complete(llhttp_t *p)
{
	struct gather *g = p->data;

	g->is_done = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers_complete,
};

/* Finds the empty line. `start` is where the request line begins. Lines are checked as soon as they are whole, so
 * that a client that ends its lines with LF alone hears of it instead of waiting. */
static int find_end(const char *bytes, size_t count, size_t start, size_t *scanned, struct weir_request *r)
{
	size_t line = *scanned > start ? *scanned : start;

	for (;;) {
		const char *lf = line < count ? memchr(bytes + line, '\n', count - line) : NULL;
		size_t n;

		if (!lf)
			break;
		n = (size_t)(lf - (bytes + line));
		if (n == 0 || lf[-1] != '\r')
			return refuse(r, 400, "line feed without carriage return");
		if (memchr(bytes + line, '\r', n - 1))
			return refuse(r, 400, "bare carriage return");
		if (line == start && n > WEIR_HTTP_TARGET_MAX + 64)
			return refuse(r, 414, "request line too long");
		line += n + 1;
		if (n == 1) {
			r->head_bytes = line;
			return line > WEIR_HTTP_HEAD_MAX ? refuse(r, 431, "request head too long") : 0;
		}
	}
	*scanned = line;
	if (line == start && count - start > WEIR_HTTP_TARGET_MAX + 64)
		return refuse(r, 414, "request line too long");
	if (count >= WEIR_HTTP_HEAD_MAX)
		return refuse(r, 431, "request head too long");
	return -EAGAIN;
}

/* method SP target SP HTTP/1.x CRLF, RFC 9112 3, with exactly these spaces. */
static int parse_request_line(struct weir_str line, struct weir_request *r)
{
	const char *sp = memchr(line.p, ' ', line.n), *end = line.p + line.n, *sp2;
	struct weir_str version;

	if (!sp)
		return refuse(r, 400, "request line has no target");
	r->method_text = (struct weir_str){ line.p, (size_t)(sp - line.p) };
	if (!is_all(r->method_text, IS_TOKEN))
		return refuse(r, 400, "method is not a token");
	if (weir_str_eq(r->method_text, WEIR_STR("GET")))
		r->method = WEIR_METHOD_GET;
	else if (weir_str_eq(r->method_text, WEIR_STR("HEAD")))
		r->method = WEIR_METHOD_HEAD;
	else if (weir_str_eq(r->method_text, WEIR_STR("OPTIONS")))
		r->method = WEIR_METHOD_OPTIONS;

	sp2 = memchr(sp + 1, ' ', (size_t)(end - sp - 1));
	if (!sp2)
		return refuse(r, 400, "request line has no version");
	r->target = (struct weir_str){ sp + 1, (size_t)(sp2 - sp - 1) };
	if (r->target.n > WEIR_HTTP_TARGET_MAX)
		return refuse(r, 414, "target too long");
	if (!is_all(r->target, IS_TARGET) || memchr(r->target.p, '#', r->target.n))
		return refuse(r, 400, "target has a byte that is not allowed");

	version = (struct weir_str){ sp2 + 1, (size_t)(end - sp2 - 1) };
	if (version.n != 8 || memcmp(version.p, "HTTP/", 5) != 0 || version.p[5] < '0' || version.p[5] > '9' ||
	    version.p[6] != '.' || version.p[7] < '0' || version.p[7] > '9')
		return refuse(r, 400, "no HTTP version");
	if (version.p[5] != '1' || version.p[7] > '1')
		return refuse(r, 505, "HTTP version not supported");
	r->minor = (unsigned)(version.p[7] - '0');
	return 0;
}

static int run_llhttp(const char *head, size_t bytes, struct gather *g, struct weir_request *r)
{
	llhttp_t parser;
	llhttp_errno_t e;

	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = g;
	e = llhttp_execute(&parser, head, bytes);
	if (g->is_done)
		return 0;
	switch (e) {
	case HPE_INVALID_METHOD:
		return refuse(r, 501, "method not known");
	case HPE_INVALID_VERSION:
		return refuse(r, 505, "HTTP version not supported");
	case HPE_INVALID_TRANSFER_ENCODING:
		return refuse(r, 400, "bad Transfer-Encoding");
	default:
		return refuse(r, 400, "malformed request head");
	}
}

/* Content-Length, Transfer-Encoding, Expect: RFC 9112 6. */
static int check_framing(struct weir_request *r)
{
	struct weir_str te = r->fields[WEIR_FIELD_TRANSFER_ENCODING], length = r->fields[WEIR_FIELD_CONTENT_LENGTH];
	size_t i;

	if (r->counts[WEIR_FIELD_TRANSFER_ENCODING] > 0) {
		if (r->counts[WEIR_FIELD_CONTENT_LENGTH] > 0)
			return refuse(r, 400, "both Content-Length and Transfer-Encoding");
		if (r->minor == 0)
			return refuse(r, 400, "Transfer-Encoding in HTTP/1.0");
		if (r->counts[WEIR_FIELD_TRANSFER_ENCODING] > 1 || !weir_str_caseeq(te, WEIR_STR("chunked")))
			return refuse(r, 501, "transfer coding not known");
		r->is_chunked = true;
	}
	if (r->counts[WEIR_FIELD_CONTENT_LENGTH] > 0) {
		if (r->counts[WEIR_FIELD_CONTENT_LENGTH] > 1 || length.n == 0 || length.n > 18)
			return refuse(r, 400, "bad Content-Length");
		for (i = 0; i < length.n; i++) {
			if (length.p[i] < '0' || length.p[i] > '9')
				return refuse(r, 400, "bad Content-Length");
			r->body_bytes = r->body_bytes * 10 + (uint64_t)(length.p[i] - '0');
		}
	}
	if (r->counts[WEIR_FIELD_EXPECT] > 0 && r->minor == 1) {
		if (!weir_str_caseeq(r->fields[WEIR_FIELD_EXPECT], WEIR_STR("100-continue")))
			return refuse(r, 417, "expectation not known");
		r->expects_continue = r->is_chunked || r->body_bytes > 0;
	}
	return 0;
}

/* Splits an absolute-form target, RFC 9112 3.2.2. */
static int split_absolute(struct weir_str target, struct weir_str *ret_authority, struct weir_str *ret_rest)
{
	static const struct weir_str schemes[] = { { "http://", 7 }, { "https://", 8 } };
	size_t i, n;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		struct weir_str start = { target.p, schemes[i].n };

		if (target.n <= schemes[i].n || !weir_str_caseeq(start, schemes[i]))
			continue;
		target.p += schemes[i].n;
		target.n -= schemes[i].n;
		for (n = 0; n < target.n && target.p[n] != '/' && target.p[n] != '?'; n++)
			;
		*ret_authority = (struct weir_str){ target.p, n };
		*ret_rest = (struct weir_str){ target.p + n, target.n - n };
		return n > 0 ? 0 : -EINVAL;
	}
	return -EINVAL;
}

/* Where the request goes: host, path, query. */
static int resolve_target(struct weir_request *r)
{
	struct weir_str authority = r->fields[WEIR_FIELD_HOST], path = r->target;
	const char *mark;

	if (r->counts[WEIR_FIELD_HOST] > 1)
		return refuse(r, 400, "more than one Host");
	if (r->counts[WEIR_FIELD_HOST] == 0 && r->minor > 0)
		return refuse(r, 400, "no Host");
	r->host.p = r->host_text;
	if (weir_host_normalize(authority, r->host_text, &r->host.n) < 0)
		return refuse(r, 400, "bad Host");

	if (weir_str_eq(path, WEIR_STR("*"))) {
		r->form = WEIR_TARGET_ASTERISK;
		return r->method == WEIR_METHOD_OPTIONS ? 0 : refuse(r, 400, "'*' is for OPTIONS only");
	}
	if (path.p[0] != '/') {
		r->form = WEIR_TARGET_ABSOLUTE;
		if (split_absolute(r->target, &authority, &path) < 0 ||
		    weir_host_normalize(authority, r->host_text, &r->host.n) < 0)
			return refuse(r, 400, "bad target");
	}
	mark = path.n > 0 ? memchr(path.p, '?', path.n) : NULL;
	if (mark) {
		r->query = (struct weir_str){ mark + 1, (size_t)(path.p + path.n - mark - 1) };
		path.n = (size_t)(mark - path.p);
	}
	if (path.n == 0)
		path = WEIR_STR("/");
	r->path.p = r->path_text;
	if (weir_path_decode(path, r->path_text, &r->path.n) < 0)
		return refuse(r, 400, "bad escape in the path");
	return 0;
}

static void reset(struct weir_request *r)
{
	memset(r, 0, offsetof(struct weir_request, host_text));
	r->method = WEIR_METHOD_OTHER;
	r->minor = 1;
	r->why = "";
}

static int parse_head(struct weir_str head, struct weir_request *r)
{
	struct gather g = { .req = r };
	size_t line = (size_t)((const char *)memchr(head.p, '\n', head.n) - head.p);
	const char *why;
	int status;

	status = parse_request_line((struct weir_str){ head.p, line - 1 }, r);
	if (status)
		return status;
	why = weir_fields_check((struct weir_str){ head.p + line + 1, head.n - line - 1 });
	if (why)
		return refuse(r, 400, why);
	status = run_llhttp(head.p, head.n, &g, r);
	if (status)
		return status;
	if (r->fields_count > WEIR_HTTP_FIELDS_MAX)
		return refuse(r, 431, "too many fields");
	status = check_framing(r);
	if (status)
		return status;
	r->is_keep_alive = !g.says_close && (r->minor > 0 || g.says_keep_alive);
	return resolve_target(r);
}

int weir_request_parse(const char *bytes, size_t count, size_t *scanned, struct weir_request *ret)
{
	size_t start = 0;
	int status;

	reset(ret);
	/* RFC 9112 2.2: empty lines before a request line are ignored. */
	while (count - start >= 2 && bytes[start] == '\r' && bytes[start + 1] == '\n')
		start += 2;
	status = find_end(bytes, count, start, scanned, ret);
	if (status == -EAGAIN)
		return status;
	*scanned = 0;
	if (status)
		return status;
	return parse_head((struct weir_str){ bytes + start, ret->head_bytes - start }, ret);
}
