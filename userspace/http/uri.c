/* SPDX-License-Identifier: GPL-2.0 */
/* Hosts and paths. Decoding happens here and nowhere else, so that nothing is ever decoded twice. */
#include "http/http.h"

#include <errno.h>

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = weir_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Digits of a port, or nothing: "host:" is allowed (RFC 3986 3.2.3). */
static bool is_port(struct weir_str s)
{
	unsigned value = 0;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || s.n > 5)
			return false;
		value = value * 10 + (unsigned)(s.p[i] - '0');
	}
	return value < 65536;
}

/* Length of the name before the port, or -EINVAL. */
static ptrdiff_t name_bytes(struct weir_str host)
{
	size_t i;

	if (host.n > 0 && host.p[0] == '[') {
		for (i = 1; i < host.n && (hex(host.p[i]) >= 0 || host.p[i] == ':' || host.p[i] == '.'); i++)
			;
		return i < host.n && host.p[i] == ']' && i > 2 ? (ptrdiff_t)i + 1 : -EINVAL;
	}
	for (i = 0; i < host.n && host.p[i] != ':'; i++) {
		if (host.p[i] == '%') {
			if (host.n - i < 3 || hex(host.p[i + 1]) < 0 || hex(host.p[i + 2]) < 0)
				return -EINVAL;
		} else if (!is_alnum(host.p[i]) && !memchr("-._~!$&'()*+,;=", host.p[i], 15)) {
			return -EINVAL;
		}
	}
	return i == 0 && host.n > 0 ? -EINVAL : (ptrdiff_t)i;
}

int weir_host_normalize(struct weir_str host, char *out, size_t *ret_bytes)
{
	ptrdiff_t n = name_bytes(host);
	size_t i;

	if (n < 0 || n > WEIR_HTTP_HOST_MAX)
		return -EINVAL;
	if ((size_t)n < host.n) {
		struct weir_str port = { host.p + n + 1, host.n - (size_t)n - 1 };

		if (host.p[n] != ':' || !is_port(port))
			return -EINVAL;
	}
	for (i = 0; i < (size_t)n; i++)
		out[i] = weir_lower(host.p[i]);
	*ret_bytes = (size_t)n;
	return 0;
}

/* Decodes in one pass; `out` may be as long as `path`. Returns the length or -EINVAL. */
static ptrdiff_t decode(struct weir_str path, char *out)
{
	size_t i, n = 0;

	for (i = 0; i < path.n; i++) {
		int hi, lo, c;

		if (path.p[i] != '%') {
			out[n++] = path.p[i];
			continue;
		}
		if (path.n - i < 3)
			return -EINVAL;
		hi = hex(path.p[i + 1]);
		lo = hex(path.p[i + 2]);
		if (hi < 0 || lo < 0)
			return -EINVAL;
		c = hi << 4 | lo;
		if (c == 0 || c == '/')
			return -EINVAL;
		out[n++] = (char)c;
		i += 2;
	}
	return (ptrdiff_t)n;
}

/* RFC 3986 5.2.4 in place, for a path that begins with '/': ".." at the top stays at the top. */
static size_t remove_dots(char *path, size_t n)
{
	size_t in = 0, out = 0;

	while (in < n) {
		size_t end = in + 1, bytes;

		while (end < n && path[end] != '/')
			end++;
		bytes = end - in - 1;
		if (bytes == 1 && path[in + 1] == '.') {
			if (end == n)
				path[out++] = '/';
		} else if (bytes == 2 && path[in + 1] == '.' && path[in + 2] == '.') {
			while (out > 0 && path[--out] != '/')
				;
			if (end == n)
				path[out++] = '/';
		} else {
			memmove(path + out, path + in, end - in);
			out += end - in;
		}
		in = end;
	}
	return out;
}

int weir_path_decode(struct weir_str path, char *out, size_t *ret_bytes)
{
	ptrdiff_t n;

	if (path.n == 0 || path.p[0] != '/')
		return -EINVAL;
	n = decode(path, out);
	if (n < 0)
		return -EINVAL;
	*ret_bytes = memchr(out, '.', (size_t)n) ? remove_dots(out, (size_t)n) : (size_t)n;
	if (*ret_bytes == 0)
		out[(*ret_bytes)++] = '/';
	return 0;
}

void weir_path_encode(struct weir_buf *b, struct weir_str path)
{
	size_t i = 0;

	while (i + 1 < path.n && path.p[i] == '/' && path.p[i + 1] == '/')
		i++;
	for (; i < path.n; i++) {
		char c = path.p[i];

		if (is_alnum(c) || memchr("/-._~!$&'()*+,;=:@", c, 18)) {
			weir_buf_put(b, &c, 1);
		} else {
			char escape[3] = { '%', "0123456789ABCDEF"[(uint8_t)c >> 4], "0123456789ABCDEF"[c & 15] };

			weir_buf_put(b, escape, sizeof(escape));
		}
	}
}
