/* SPDX-License-Identifier: GPL-2.0 */
/* URLs as administrators type them. Not a client's bytes: what comes here came over the control socket. */
#include "supervisor/supervisor_priv.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "http/http.h"

/* Splits a port off the end of an authority; "[::1]" has none. */
static int split_port(const char *text, size_t *bytes, uint16_t *ret_port)
{
	const char *colon = memrchr(text, ':', *bytes), *p;
	unsigned port = 0;

	if (!colon || memchr(colon, ']', *bytes - (size_t)(colon - text)))
		return 0;
	for (p = colon + 1; p < text + *bytes; p++) {
		if (!isdigit((unsigned char)*p) || port > 65535)
			return -EINVAL;
		port = port * 10 + (unsigned)(*p - '0');
	}
	if (!port || port > 65535)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	*bytes = (size_t)(colon - text);
	return 0;
}

static int set_path(struct sup_url *u)
{
	struct weir_str raw = { u->target, strcspn(u->target, "?") };

	u->path = malloc(raw.n + 1);
	if (!u->path)
		return -ENOMEM;
	if (weir_path_decode(raw, u->path, &u->path_bytes) < 0) {
		free(u->path);
		u->path = NULL;
	}
	return 0;
}

int sup_url_parse(const char *text, struct sup_url *ret, const char **ret_why)
{
	struct sup_url u = {};
	bool has_scheme = !strncasecmp(text, "http://", 7);
	const char *host = has_scheme ? text + 7 : text;
	_cleanup_free_ char *ascii = NULL;
	size_t bytes = strcspn(host, "/?#");
	int r;

	*ret_why = "write it as http://host:port/path";
	u.target = host[bytes] == '/' ? host + bytes : "/";
	if (strcspn(u.target, "# \t\r\n") != strlen(u.target) || (host[bytes] && host[bytes] != '/'))
		return -EINVAL;
	if (split_port(host, &bytes, &u.port) < 0)
		return -EINVAL;
	if (has_scheme && !u.port)
		u.port = 80;
	if (has_scheme && !bytes)
		return -EINVAL;
	r = weir_conf_host_ascii(host, bytes, &ascii);
	if (r < 0)
		return r;
	u.host_bytes = strlen(ascii);
	if (u.host_bytes >= sizeof(u.host))
		return -EINVAL;
	memcpy(u.host, ascii, u.host_bytes);
	r = set_path(&u);
	if (r == 0)
		*ret = u;
	return r;
}

void sup_url_fini(struct sup_url *u)
{
	free(u->path);
	u->path = NULL;
}

bool sup_url_is_for(const struct sup_url *u, const struct weir_conf_listen *l, struct weir_addr *ret_local)
{
	struct weir_addr addr = {};
	bool is_v6, is_bracketed = u->host_bytes > 2 && u->host[0] == '[';
	bool is_addr = weir_conf_addr_parse(u->host + is_bracketed, u->host_bytes - 2 * is_bracketed, &addr, &is_v6);

	if (u->port && u->port != l->port)
		return false;
	if (is_addr) {
		*ret_local = addr;
		return is_v6 == l->is_v6 && (l->is_any || !memcmp(&addr, &l->addr, sizeof(addr)));
	}
	*ret_local = l->addr;
	return true;
}

bool sup_addr_is_v4(const struct weir_addr *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == htonl(0xffff);
}

void sup_addr_format(const struct weir_addr *a, uint16_t port, char *buf, size_t bytes)
{
	bool is_v4 = sup_addr_is_v4(a);
	char text[INET6_ADDRSTRLEN] = "?";

	(void)inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? (const void *)&a->word[3] : a, text, sizeof(text));
	snprintf(buf, bytes, is_v4 ? "%s:%u" : "[%s]:%u", text, port);
}
