/* SPDX-License-Identifier: GPL-2.0 */
/* Listening addresses and URL prefixes: text in, struct out. Pure. */
#include "config/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <idn2.h>
#include <string.h>

bool weir_conf_addr_parse(const char *text, size_t bytes, struct weir_addr *ret, bool *ret_is_v6)
{
	struct weir_addr addr = {};
	char copy[INET6_ADDRSTRLEN];

	if (bytes >= sizeof(copy))
		return false;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';

	if (inet_pton(AF_INET, copy, &addr.word[3]) == 1) {
		addr.word[2] = htonl(0xffff);
		*ret_is_v6 = false;
	} else if (inet_pton(AF_INET6, copy, &addr) == 1) {
		*ret_is_v6 = true;
	} else {
		return false;
	}
	*ret = addr;
	return true;
}

/* Decimal, 1 to 65535, no leading zero, up to `end`. */
static bool parse_port(const char *text, const char *end, uint16_t *ret)
{
	unsigned n = 0;

	if (text == end || end - text > 5 || *text == '0')
		return false;
	for (; text < end; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
		n = n * 10 + (unsigned)(*text - '0');
	}
	if (n > 65535)
		return false;
	*ret = (uint16_t)n;
	return true;
}

static void any_listen(struct weir_conf_listen *l, bool is_v6, uint16_t port)
{
	*l = (struct weir_conf_listen){ .is_any = true, .is_v6 = is_v6, .port = port };
	if (!is_v6)
		l->addr.word[2] = htonl(0xffff);
	snprintf(l->text, sizeof(l->text), is_v6 ? "[::]:%u" : "0.0.0.0:%u", port);
}

static bool is_wildcard(const struct weir_addr *a, bool is_v6)
{
	return !a->word[0] && !a->word[1] && !a->word[3] && (!is_v6 || !a->word[2]);
}

int weir_conf_listen_parse(const char *text, struct weir_conf_listen ret[2], const char **ret_why)
{
	struct weir_conf_listen l = {};
	const char *host = text, *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	size_t host_bytes = colon ? (size_t)(colon - text) : 0;
	char plain[INET6_ADDRSTRLEN];
	bool is_bracketed;

	if (!parse_port(port, port + strlen(port), &l.port)) {
		*ret_why = "it must end in a port from 1 to 65535, as in 127.0.0.1:8080 or [::1]:8080";
		return -EINVAL;
	}
	if (!host_bytes || (host_bytes == 1 && *host == '*')) {
		any_listen(&ret[0], false, l.port);
		any_listen(&ret[1], true, l.port);
		return 2;
	}
	is_bracketed = host_bytes > 2 && host[0] == '[' && host[host_bytes - 1] == ']';
	if (is_bracketed) {
		host++;
		host_bytes -= 2;
	}
	if (!weir_conf_addr_parse(host, host_bytes, &l.addr, &l.is_v6)) {
		*ret_why = "not an IP address of this host; write 127.0.0.1:8080, [::1]:8080 or *:8080";
		return -EINVAL;
	}
	if (l.is_v6 != is_bracketed) {
		*ret_why = "an IPv6 address is written in brackets, an IPv4 address without: [::1]:8080";
		return -EINVAL;
	}
	if (l.is_v6 && !l.addr.word[0] && !l.addr.word[1] && l.addr.word[2] == htonl(0xffff)) {
		*ret_why = "an IPv4 address is written as such, not mapped into IPv6";
		return -EINVAL;
	}
	l.is_any = is_wildcard(&l.addr, l.is_v6);
	(void)inet_ntop(l.is_v6 ? AF_INET6 : AF_INET, l.is_v6 ? (const void *)&l.addr : &l.addr.word[3], plain,
			sizeof(plain));
	snprintf(l.text, sizeof(l.text), l.is_v6 ? "[%s]:%u" : "%s:%u", plain, l.port);
	ret[0] = l;
	return 1;
}

static bool is_name(const char *host, size_t bytes)
{
	size_t i, label = 0;

	for (i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)host[i];

		if (c == '.') {
			if (!label)
				return false;
			label = 0;
		} else if ((isalnum(c) && c < 0x80) || c == '-' || c == '_') {
			if (++label > 63)
				return false;
		} else {
			return false;
		}
	}
	return label > 0;
}

int weir_conf_host_ascii(const char *host, size_t bytes, char **ret)
{
	_cleanup_free_ char *copy = strndup(host, bytes);
	char *ascii = NULL;
	size_t i;
	int r;

	if (!copy)
		return -ENOMEM;
	for (i = 0; i < bytes && (unsigned char)copy[i] < 0x80; i++)
		copy[i] = (char)tolower((unsigned char)copy[i]);
	if (i == bytes) {
		*ret = TAKE_PTR(copy);
		return 0;
	}
	r = idn2_to_ascii_8z(copy, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (r != IDN2_OK)
		return r == IDN2_MALLOC ? -ENOMEM : -EINVAL;
	/* not from our allocator, says the library */
	*ret = strdup(ascii);
	idn2_free(ascii);
	return *ret ? 0 : -ENOMEM;
}

static int parse_host(const char *host, size_t bytes, struct weir_conf_prefix *p,
		      const char **ret_why)
{
	bool is_v6;
	int r;

	if (bytes == 1 && (*host == '+' || *host == '*')) {
		p->bucket = *host == '+' ? WEIR_BUCKET_STRONG : WEIR_BUCKET_WEAK;
		return 0;
	}
	if (bytes > 2 && host[0] == '[' && host[bytes - 1] == ']') {
		p->bucket = WEIR_BUCKET_IP;
		*ret_why = "the brackets hold no IPv6 address";
		return weir_conf_addr_parse(host + 1, bytes - 2, &p->addr, &is_v6) && is_v6 ? 0 : -EINVAL;
	}
	if (weir_conf_addr_parse(host, bytes, &p->addr, &is_v6)) {
		p->bucket = WEIR_BUCKET_IP;
		*ret_why = "an IPv6 address is written in brackets";
		return is_v6 ? -EINVAL : 0;
	}
	p->bucket = WEIR_BUCKET_HOST;
	if (bytes > 2 && host[0] == '*' && host[1] == '.') {
		p->bucket = WEIR_BUCKET_SUBDOMAIN;
		host += 2;
		bytes -= 2;
	}
	r = weir_conf_host_ascii(host, bytes, &p->host);
	if (r < 0) {
		*ret_why = "the host is no name that IDNA allows (RFC 5891)";
		return r;
	}
	if (strlen(p->host) > WEIR_HOST_MAX) {
		*ret_why = "the host name is too long";
		return -EINVAL;
	}
	if (!is_name(p->host, strlen(p->host))) {
		*ret_why = "the host must be +, *, a name, *.name or an address";
		return -EINVAL;
	}
	return 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes percent-escapes from `text` into `out` (large enough). False: a bad one, or one for '/' or a control. */
static bool decode(const char *text, char *out)
{
	for (; *text; text++) {
		int c = (unsigned char)*text;

		if (c == '%') {
			int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);

			if (low < 0 || high * 16 + low == '/')
				return false;
			c = high * 16 + low;
			text += 2;
		} else if (c == '?' || c == '#' || c == '\\') {
			return false;
		}
		if (c < 0x20 || c == 0x7f)
			return false;
		*out++ = (char)c;
	}
	*out = '\0';
	return true;
}

static bool are_segments_plain(const char *path, unsigned *ret_depth)
{
	const char *p = path;

	for (*ret_depth = 0; p[1]; (*ret_depth)++) {
		const char *segment = p + 1;
		size_t bytes = strcspn(segment, "/");

		if (!bytes || (bytes == 1 && *segment == '.') || (bytes == 2 && !strncmp(segment, "..", 2)))
			return false;
		p = segment + bytes;
	}
	return true;
}

static int parse_path(const char *text, struct weir_conf_prefix *p, const char **ret_why)
{
	_cleanup_free_ char *path = NULL;
	unsigned depth;

	if (!*text)
		text = "/";
	if (text[strlen(text) - 1] != '/') {
		*ret_why = "the path must end in '/': it names everything below it";
		return -EINVAL;
	}
	path = malloc(strlen(text) + 1);
	if (!path)
		return -ENOMEM;
	if (!decode(text, path)) {
		*ret_why = "the path holds a query, a bad %-escape, or a character that no path has";
		return -EINVAL;
	}
	if (strlen(path) > WEIR_PREFIX_PATH_MAX) {
		*ret_why = "the path is longer than 1000 bytes";
		return -EINVAL;
	}
	if (!are_segments_plain(path, &depth)) {
		*ret_why = "the path holds an empty segment, '.' or '..'";
		return -EINVAL;
	}
	if (depth > WEIR_DEPTH_MAX) {
		*ret_why = "the path has more than 16 segments";
		return -EINVAL;
	}
	p->path = TAKE_PTR(path);
	return 0;
}
_Static_assert(WEIR_DEPTH_MAX == 16 && WEIR_PREFIX_PATH_MAX == 1000, "the messages above name the limits");

int weir_conf_prefix_compare_group(const struct weir_conf_prefix *a, const struct weir_conf_prefix *b)
{
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	if (a->bucket != b->bucket)
		return a->bucket < b->bucket ? -1 : 1;
	if (a->bucket == WEIR_BUCKET_IP)
		return memcmp(&a->addr, &b->addr, sizeof(a->addr));
	return a->host ? strcmp(a->host, b->host) : 0;
}

int weir_conf_prefix_compare(const struct weir_conf_prefix *a, const struct weir_conf_prefix *b)
{
	int n = weir_conf_prefix_compare_group(a, b);

	return n ? n : strcmp(a->path, b->path);
}

void weir_conf_prefix_fini(struct weir_conf_prefix *p)
{
	free(p->text);
	free(p->host);
	free(p->path);
	*p = (struct weir_conf_prefix){};
}

int weir_conf_prefix_parse(const char *text, struct weir_conf_prefix *ret, const char **ret_why)
{
	_cleanup_(weir_conf_prefix_fini) struct weir_conf_prefix p = {};
	const char *host, *slash, *colon;
	int r;

	if (!strncmp(text, "https://", 8)) {
		*ret_why = "https needs TLS, which this version does not have; write http://";
		return -EINVAL;
	}
	if (strncmp(text, "http://", 7)) {
		*ret_why = "it must begin with http://, as in http://*:8080/";
		return -EINVAL;
	}
	host = text + 7;
	slash = strchrnul(host, '/');
	colon = memrchr(host, ':', (size_t)(slash - host));
	if (!colon || !parse_port(colon + 1, slash, &p.port)) {
		*ret_why = "it must name a port from 1 to 65535, as in http://*:8080/";
		return -EINVAL;
	}
	r = parse_host(host, (size_t)(colon - host), &p, ret_why);
	if (r < 0)
		return r;
	r = parse_path(slash, &p, ret_why);
	if (r < 0)
		return r;
	p.text = strdup(text);
	if (!p.text)
		return -ENOMEM;
	*ret = p;
	p = (struct weir_conf_prefix){};
	return 0;
}
