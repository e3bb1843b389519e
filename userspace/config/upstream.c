/* SPDX-License-Identifier: GPL-2.0 */
/* Upstreams as a configuration writes them: text in, addresses out. Names are resolved here, once.
 */
#include "config/config_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/un.h>

#define WEIGHT_MAX 1000
#define CONNS_MAX 1000000
#define FIELDS_BYTES 4096 /* of upstream_headers, and of response_headers */

/* what a name server said; supervisor and command line have one thread */
static char why_text[200];

static bool to_number(const char *text, unsigned max, unsigned *ret)
{
	char *end;
	unsigned long n;

	if (*text < '0' || *text > '9')
		return false;
	n = strtoul(text, &end, 10);
	if (*end || n > max)
		return false;
	*ret = (unsigned)n;
	return true;
}

/* "weight=2 max_conns=100" */
static int parse_options(char *text, struct weir_conf_upstream *ret, const char **ret_why)
{
	char *save, *word;

	ret->weight = 1;
	for (word = strtok_r(text, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
		if (!strncmp(word, "weight=", 7) && to_number(word + 7, WEIGHT_MAX, &ret->weight) && ret->weight > 0)
			continue;
		if (!strncmp(word, "max_conns=", 10) && to_number(word + 10, CONNS_MAX, &ret->max_conns))
			continue;
		*ret_why = "behind the address only weight=N (1 to 1000) and max_conns=N may stand";
		return -EINVAL;
	}
	return 0;
}

static int parse_unix(const char *path, struct weir_conf_upstream *ret, const char **ret_why)
{
	struct sockaddr_un *a = (struct sockaddr_un *)&ret->addr;

	if (path[0] != '/' || strlen(path) >= sizeof(a->sun_path)) {
		*ret_why = "a Unix socket is unix: and an absolute path of up to 107 bytes, as in "
			   "unix:/run/app.sock";
		return -EINVAL;
	}
	a->sun_family = AF_UNIX;
	strcpy(a->sun_path, path);
	ret->addr_bytes = (socklen_t)sizeof(*a);
	snprintf(ret->text, sizeof(ret->text), "unix:%.107s", path);
	return 1;
}

static void name_address(struct weir_conf_upstream *u)
{
	char ip[INET6_ADDRSTRLEN] = "";
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&u->addr;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&u->addr;

	if (u->addr.ss_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
	else
		(void)inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
	/* port is at the same place in both */
	snprintf(u->text, sizeof(u->text), u->addr.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip,
		 ntohs(v4->sin_port));
}

/* `ret[0]` has the options already. */
static int resolve(const char *host, const char *port, struct weir_conf_upstream *ret, size_t max, const char **ret_why)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	const struct weir_conf_upstream options = ret[0];
	struct addrinfo *all, *a;
	size_t count = 0;
	int r;

	r = getaddrinfo(host, port, &hints, &all);
	if (r) {
		snprintf(why_text, sizeof(why_text), "the host cannot be resolved: %s", gai_strerror(r));
		*ret_why = why_text;
		return -EINVAL;
	}
	for (a = all; a && count < max; a = a->ai_next) {
		if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
			continue;
		ret[count] = options;
		memcpy(&ret[count].addr, a->ai_addr, a->ai_addrlen);
		ret[count].addr_bytes = a->ai_addrlen;
		name_address(&ret[count++]);
	}
	freeaddrinfo(all);
	return (int)count;
}

int weir_conf_upstream_parse(const char *text, struct weir_conf_upstream *ret, size_t max, const char **ret_why)
{
	char copy[512], *space, *colon, *host = copy;
	unsigned port;
	size_t n;
	int r;

	*ret = (struct weir_conf_upstream){ .weight = 1 };
	if (strlen(text) >= sizeof(copy)) {
		*ret_why = "it is too long";
		return -EINVAL;
	}
	strcpy(copy, text);
	space = strpbrk(copy, " \t");
	if (space) {
		*space = '\0';
		r = parse_options(space + 1, ret, ret_why);
		if (r < 0)
			return r;
	}
	if (!strncmp(copy, "unix:", 5))
		return parse_unix(copy + 5, ret, ret_why);
	colon = strrchr(copy, ':');
	if (!colon || colon == copy || !to_number(colon + 1, 65535, &port) || port == 0) {
		*ret_why = "write HOST:PORT, [IPV6]:PORT or unix:/PATH, without http://";
		return -EINVAL;
	}
	*colon = '\0';
	n = strlen(host);
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		host++;
	} else if (strchr(host, ':')) {
		*ret_why = "an IPv6 address is written in brackets, as in [::1]:3000; no http:// "
			   "stands before a host";
		return -EINVAL;
	}
	return resolve(host, colon + 1, ret, max, ret_why);
}

static int add(struct weir_conf_proxy *x, const struct weir_conf_upstream *found, size_t count)
{
	struct weir_conf_upstream *all = reallocarray(x->servers, x->servers_count + count, sizeof(*all));

	if (!all)
		return -ENOMEM;
	x->servers = all;
	memcpy(all + x->servers_count, found, count * sizeof(*all));
	x->servers_count += count;
	return 0;
}

static bool is_target(const char *text)
{
	size_t i;

	for (i = 0; text[i]; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return false;
	return text[0] == '/' && i < 1024;
}

/* Fields that are not for a configuration: they say how a message is framed, or have a parameter of their own. */
static bool is_reserved(const char *name, size_t bytes)
{
	static const char *const names[] = { "Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade",
					     "TE",   "Trailer",	       "Keep-Alive",	    "Expect",	  "Via",
					     "Date" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == bytes && !strncasecmp(names[i], name, bytes))
			return true;
	return false;
}

static void check_fields(const struct weir_config *c, const struct weir_conf_words *w, const char *what, int line,
			 struct weir_conf_report *report)
{
	static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
	size_t i, n, k, sum = 0;

	for (i = 0; i < w->count; i++) {
		const char *text = w->items[i];

		sum += strlen(text) + 4;

		n = strspn(text, token);
		for (k = n; (unsigned char)text[k] >= ' ' && text[k] != 0x7f; k++)
			;
		if (n == 0 || text[n] != ':' || text[k])
			weir_conf_error(report, c->file, line, "%s '%s' is no field, as in \"X-Name: value\"", what,
					text);
		else if (is_reserved(text, n))
			weir_conf_error(report, c->file, line, "%s '%s': %.*s cannot be set here%s", what, text, (int)n,
					text, strncasecmp(text, "host", n) ? "" : "; see upstream_host");
	}
	if (sum > FIELDS_BYTES)
		weir_conf_error(report, c->file, line, "%s is longer than %d bytes", what, FIELDS_BYTES);
}

int weir_conf_check_proxy(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report)
{
	const int *lines = p->lines;
	int line = MAX(lines[WEIR_PARAM_POOL_upstreams], 0), r, n;
	struct weir_conf_upstream *found;
	const char *why;
	size_t i;

	if (p->handler != WEIR_HANDLER_PROXY) {
		if (p->upstreams.count)
			weir_conf_warning(report, c->file, line,
					  "pool '%s' has upstreams, but passes nothing on: add handler = proxy",
					  p->name);
		return 0;
	}
	check_fields(c, &p->proxy.request_fields, "upstream_headers", MAX(lines[WEIR_PARAM_POOL_upstream_headers], 0),
		     report);
	check_fields(c, &p->proxy.response_fields, "response_headers", MAX(lines[WEIR_PARAM_POOL_response_headers], 0),
		     report);
	if (!p->upstreams.count)
		weir_conf_error(report, c->file, p->line,
				"pool '%s' has no upstreams: name the servers that requests go to, as in "
				"upstreams = { \"127.0.0.1:3000\" }",
				p->name);
	if (p->proxy.balance == WEIR_BALANCE_HASH_HEADER && !p->proxy.hash_header)
		weir_conf_error(report, c->file, MAX(lines[WEIR_PARAM_POOL_balance], 0),
				"balance = hash_header needs hash_header = NAME");
	if (p->proxy.health_path && !is_target(p->proxy.health_path))
		weir_conf_error(report, c->file, MAX(lines[WEIR_PARAM_POOL_health_path], 0),
				"health_path '%s' must begin with '/' and hold no space", p->proxy.health_path);
	if (p->proxy.host && strpbrk(p->proxy.host, " \t\r\n/"))
		weir_conf_error(report, c->file, MAX(lines[WEIR_PARAM_POOL_upstream_host], 0),
				"upstream_host '%s' is no host name, with or without a port", p->proxy.host);
	found = calloc(WEIR_UPSTREAMS_MAX, sizeof(*found));
	if (!found)
		return -ENOMEM;
	for (i = 0, r = 0; r == 0 && i < p->upstreams.count; i++) {
		n = weir_conf_upstream_parse(p->upstreams.items[i], found, WEIR_UPSTREAMS_MAX, &why);
		if (n < 0)
			weir_conf_error(report, c->file, line, "upstream '%s': %s", p->upstreams.items[i], why);
		else if (p->proxy.servers_count + (size_t)n > WEIR_UPSTREAMS_MAX)
			weir_conf_error(report, c->file, line, "pool '%s' has more than %d upstreams", p->name,
					WEIR_UPSTREAMS_MAX);
		else
			r = add(&p->proxy, found, (size_t)n);
	}
	free(found);
	return r;
}
