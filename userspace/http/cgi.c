/* SPDX-License-Identifier: GPL-2.0 */
/* What CGI (RFC 3875) adds to FastCGI: the response head, and the script in a path. */
#include "http/fcgi.h"

#include <errno.h>

#include "common/macro.h"
#include "http/http.h"

/* Fields that concern the connection between client and server, which is none of the application's
 * (RFC 3875 6.3.4, RFC 9110 7.6.1). */
static const struct weir_str not_theirs[] = {
	{ "connection", 10 }, { "keep-alive", 10 },	   { "proxy-connection", 16 },
	{ "trailer", 7 },     { "transfer-encoding", 17 }, { "upgrade", 7 },
};

static int refuse(struct weir_cgi_head *h, const char *why)
{
	h->why = why;
	return -EBADMSG;
}

/* RFC 9110 5.6.2. */
static bool is_token(struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		char c = weir_lower(s.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !(c && strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.n > 0;
}

/* RFC 9110 5.5: no control characters but the tab. */
static bool is_value(struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

/* "404 Not Found", "404". 0: it is none. */
static unsigned read_status(struct weir_str value, struct weir_str *ret_reason)
{
	unsigned status = 0;
	size_t i;

	if (value.n < 3 || (value.n > 3 && value.p[3] != ' '))
		return 0;
	for (i = 0; i < 3; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return 0;
		status = status * 10 + (unsigned)(value.p[i] - '0');
	}
	*ret_reason = weir_str_trim((struct weir_str){ value.p + 3, value.n - 3 });
	return status >= 200 && status <= 599 ? status : 0;
}

/* The next line without its end. */
static struct weir_str next_line(const char *bytes, size_t end, size_t *at)
{
	const char *lf = memchr(bytes + *at, '\n', end - *at);
	struct weir_str line = { bytes + *at, (size_t)(lf - (bytes + *at)) };

	*at += line.n + 1;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static bool split_field(struct weir_str line, struct weir_str *ret_name, struct weir_str *ret_value)
{
	const char *colon = line.n > 0 ? memchr(line.p, ':', line.n) : NULL;

	if (!colon)
		return false;
	*ret_name = (struct weir_str){ line.p, (size_t)(colon - line.p) };
	*ret_value = weir_str_trim((struct weir_str){ colon + 1, line.n - ret_name->n - 1 });
	return is_token(*ret_name) && is_value(*ret_value);
}

/* Checks every line and finds the status. */
static int look(const char *bytes, size_t end, struct weir_cgi_head *ret, struct weir_str *ret_reason)
{
	struct weir_str name, value, line;
	bool has_location = false, has_field = false;
	size_t at = 0, count = 0;

	while (line = next_line(bytes, end, &at), line.n > 0) {
		if (!split_field(line, &name, &value))
			return refuse(ret, "its head has a line that is no field");
		if (++count > WEIR_HTTP_FIELDS_MAX)
			return refuse(ret, "its head has too many fields");
		if (weir_str_caseeq(name, WEIR_STR("status"))) {
			if (ret->status)
				return refuse(ret, "its head has two Status fields");
			ret->status = read_status(value, ret_reason);
			if (!ret->status)
				return refuse(ret, "its Status is no status from 200 to 599");
			continue;
		}
		has_field = true;
		has_location = has_location || weir_str_caseeq(name, WEIR_STR("location"));
	}
	/* RFC 3875 6.2: one of Content-Type, Location, Status is there; any other field passes, too
	 */
	if (!ret->status && !has_field)
		return refuse(ret, "its head is empty");
	if (!ret->status)
		ret->status = has_location ? 302 : 200;
	return 0;
}

static bool is_theirs(struct weir_str name)
{
	size_t i;

	if (weir_str_caseeq(name, WEIR_STR("status")))
		return false;
	for (i = 0; i < ARRAY_SIZE(not_theirs); i++)
		if (weir_str_caseeq(name, not_theirs[i]))
			return false;
	return true;
}

static void write_head(const char *bytes, size_t end, const struct weir_cgi_head *h, struct weir_str reason,
		       struct weir_buf *out)
{
	struct weir_str name, value, line;
	size_t at = 0;

	weir_buf_puts(out, "HTTP/1.1 ");
	weir_buf_u64(out, h->status);
	weir_buf_puts(out, " ");
	if (reason.n > 0)
		weir_buf_str(out, reason);
	else
		weir_buf_puts(out, weir_status_reason(h->status));
	weir_buf_puts(out, "\r\n");
	while (line = next_line(bytes, end, &at), line.n > 0) {
		if (!split_field(line, &name, &value) || !is_theirs(name))
			continue;
		weir_buf_str(out, name);
		weir_buf_puts(out, ": ");
		weir_buf_str(out, value);
		weir_buf_puts(out, "\r\n");
	}
	weir_buf_puts(out, "\r\n");
}

/* Finds the end of the empty line. 0: it has not come yet. */
static size_t find_end(const char *bytes, size_t count, size_t *scanned)
{
	size_t line = *scanned;

	for (;;) {
		const char *lf = line < count ? memchr(bytes + line, '\n', count - line) : NULL;
		size_t n;

		*scanned = line;
		if (!lf)
			return 0;
		n = (size_t)(lf - (bytes + line));
		line += n + 1;
		if (n == 0 || (n == 1 && lf[-1] == '\r'))
			return line;
	}
}

int weir_cgi_head(const char *bytes, size_t count, size_t *scanned, struct weir_buf *out, struct weir_cgi_head *ret)
{
	struct weir_str reason = { NULL, 0 };
	size_t end = find_end(bytes, count, scanned);
	int r;

	*ret = (struct weir_cgi_head){ .head_bytes = end };
	if (end == 0)
		return -EAGAIN;
	*scanned = 0;
	r = look(bytes, end, ret, &reason);
	if (r < 0)
		return r;
	write_head(bytes, end, ret, reason, out);
	if (out->is_full) {
		ret->why = "its head is too large";
		return -E2BIG;
	}
	return 0;
}

/* --- paths --- */

static bool ends_with(const char *p, struct weir_str extension)
{
	return memcmp(p - extension.n, extension.p, extension.n) == 0;
}

size_t weir_cgi_split(struct weir_str path, struct weir_str extension, size_t from)
{
	size_t end;

	if (extension.n == 0)
		return 0;
	for (end = from + 1; end <= path.n; end++) {
		if (end < path.n && path.p[end] != '/')
			continue;
		/* a name of its own before the extension: "/.php" is none */
		if (end > extension.n && ends_with(path.p + end, extension) && path.p[end - extension.n - 1] != '/')
			return end;
	}
	return 0;
}

bool weir_cgi_is_script(struct weir_str path, struct weir_str extension)
{
	return extension.n > 0 && path.n >= extension.n &&
	       weir_str_caseeq((struct weir_str){ path.p + path.n - extension.n, extension.n }, extension);
}
