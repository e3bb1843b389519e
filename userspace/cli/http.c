// SPDX-License-Identifier: GPL-2.0
/* Connections of `weir bench` and `weir cache preload`. What a server answers is parsed as an upstream's answer is. */
#include "cli/http.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/macro.h"

static bool split_port(const char *text, size_t *bytes, unsigned *ret_port)
{
	const char *colon = *bytes ? memrchr(text, ':', *bytes) : NULL, *p;
	unsigned port = 0;

	if (!colon || memchr(colon, ']', *bytes - (size_t)(colon - text)))
		return true;
	for (p = colon + 1; p < text + *bytes; p++) {
		if (!isdigit((unsigned char)*p) || port > 65535)
			return false;
		port = port * 10 + (unsigned)(*p - '0');
	}
	*ret_port = port;
	*bytes = (size_t)(colon - text);
	return port > 0 && port <= 65535;
}

bool cmd_url_parse(const char *text, size_t bytes, struct cmd_url *ret)
{
	size_t skip = bytes > 7 && !strncasecmp(text, "http://", 7)    ? 7
		      : bytes > 8 && !strncasecmp(text, "https://", 8) ? 8
								       : 0;
	size_t host_bytes = 0, target_bytes, i;
	const char *host = text + skip;
	bool is_bracketed;

	*ret = (struct cmd_url){};
	for (i = 0; i < bytes; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return false;
	while (skip + host_bytes < bytes && !strchr("/?#", host[host_bytes]))
		host_bytes++;
	if (!skip || !host_bytes || host_bytes >= sizeof(ret->authority) || memchr(host, '@', host_bytes))
		return false;
	memcpy(ret->authority, host, host_bytes);
	target_bytes = bytes - skip - host_bytes;
	for (i = 0; i < target_bytes && host[host_bytes + i] != '#'; i++)
		;
	/* the fragment is the client's own; a query without a path has "/" before it */
	if (snprintf(ret->target, sizeof(ret->target), "%s%.*s", i && host[host_bytes] == '/' ? "" : "/", (int)i,
		     host + host_bytes) >= (int)sizeof(ret->target))
		return false;
	if (!split_port(host, &host_bytes, &ret->port))
		return false;
	is_bracketed = host_bytes > 2 && host[0] == '[' && host[host_bytes - 1] == ']';
	host_bytes -= 2 * is_bracketed;
	if (!host_bytes || host_bytes >= sizeof(ret->host))
		return false;
	memcpy(ret->host, host + is_bracketed, host_bytes);
	return true;
}

char *cmd_http_request(const struct cmd_args *args, const struct cmd_url *u)
{
	_cleanup_free_ char *fields = strdup("");
	bool has_host = false;
	char *text;
	size_t i;

	for (i = 0; fields && i < args->headers_count; i++) {
		const char *line = args->headers[i];
		char *more = NULL;

		if (asprintf(&more, "%s%s\r\n", fields, line) < 0)
			more = NULL;
		if (more && weir_fields_check((struct weir_str){ more, strlen(more) })) {
			weir_err(0, "'%s' is no header field, as in \"Accept: text/html\"", line);
			free(more);
			return NULL;
		}
		has_host |= !strncasecmp(line, "Host:", 5);
		free(fields);
		fields = more;
	}
	if (!fields || asprintf(&text, "GET %s HTTP/1.1\r\n%s%s%s%s\r\n", u->target, has_host ? "" : "Host: ",
				has_host ? "" : u->authority, has_host ? "" : "\r\n", fields) < 0) {
		weir_err(-ENOMEM, "cannot ask for '%s'", u->target);
		return NULL;
	}
	return text;
}

void cmd_http_close(struct cmd_http *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	h->is_connecting = false;
}

static int open_to(struct cmd_http *h, const struct sockaddr *to, socklen_t bytes)
{
	int one = 1, r;

	h->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->fd < 0)
		return -errno;
	(void)setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(h->fd, to, bytes) == 0)
		return 0;
	if (errno == EINPROGRESS) {
		h->is_connecting = true;
		return 0;
	}
	r = -errno;
	cmd_http_close(h);
	return r;
}

int cmd_http_begin(struct cmd_http *h, const struct sockaddr *to, socklen_t bytes, const char *request,
		   size_t request_bytes)
{
	h->request = request;
	h->request_bytes = request_bytes;
	h->sent = h->filled = h->scanned = h->body_bytes = 0;
	h->received = 0;
	h->has_head = false;
	h->chunked = (struct weir_chunked){};
	return h->fd >= 0 ? 0 : open_to(h, to, bytes);
}

short cmd_http_wants(const struct cmd_http *h)
{
	return h->is_connecting || h->sent < h->request_bytes ? POLLOUT : POLLIN;
}

static int fail(struct cmd_http *h, int r)
{
	cmd_http_close(h);
	return r;
}

static int send_some(struct cmd_http *h)
{
	struct pollfd p = { .fd = h->fd, .events = POLLOUT };
	int error = 0;
	socklen_t bytes = sizeof(error);
	ssize_t n;

	if (h->is_connecting) {
		if (poll(&p, 1, 0) == 0)
			return 0;
		if (getsockopt(h->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0 || error)
			return fail(h, error ? -error : -errno);
		h->is_connecting = false;
	}
	n = send(h->fd, h->request + h->sent, h->request_bytes - h->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? 0 : fail(h, errno == ECONNRESET ? -EPIPE : -errno);
	h->sent += (size_t)n;
	return 0;
}

static int keep_body(struct cmd_http *h, const char *bytes, size_t count)
{
	if (!h->body_max || !count)
		return 0;
	if (count > h->body_max - h->body_bytes)
		return -EMSGSIZE;
	if (h->body_bytes + count > h->body_room) {
		size_t room = MIN(MAX(2 * h->body_room, h->body_bytes + count), h->body_max);
		char *more = realloc(h->body, room);

		if (!more)
			return -ENOMEM;
		h->body = more;
		h->body_room = room;
	}
	memcpy(h->body + h->body_bytes, bytes, count);
	h->body_bytes += count;
	return 0;
}

/* Eats what is in the buffer. 1: the response is complete. */
static int eat_body(struct cmd_http *h)
{
	const char *at = h->buffer;
	size_t count = h->filled;
	struct weir_str data;
	int r = 0;

	h->filled = 0;
	if (h->framing == WEIR_FRAMING_NONE)
		return count ? -EBADMSG : 1;
	if (h->framing == WEIR_FRAMING_CLOSE)
		return keep_body(h, at, count);
	if (h->framing == WEIR_FRAMING_LENGTH) {
		if (count > h->left)
			return -EBADMSG;
		h->left -= count;
		r = keep_body(h, at, count);
		return r < 0 ? r : h->left == 0;
	}
	while (r == 0 && count > 0 && !h->chunked.is_done) {
		ptrdiff_t n = weir_chunked_next(&h->chunked, at, count, &data);

		if (n < 0)
			return -EBADMSG;
		at += n;
		count -= (size_t)n;
		r = keep_body(h, data.p, data.n);
		if (n == 0)
			break;
	}
	if (r < 0)
		return r;
	return h->chunked.is_done && count ? -EBADMSG : h->chunked.is_done;
}

static int eat(struct cmd_http *h)
{
	int r;

	while (!h->has_head) {
		r = weir_reply_parse(h->buffer, h->filled, WEIR_HTTP_HEAD_MAX, &h->scanned, &h->reply);
		if (r < 0)
			return r == -EAGAIN ? 0 : r;
		h->filled -= h->reply.head_bytes;
		memmove(h->buffer, h->buffer + h->reply.head_bytes, h->filled);
		h->scanned = 0;
		h->has_head = h->reply.status >= 200; /* an interim response is another's beginning */
	}
	return 2;
}

static int received(struct cmd_http *h)
{
	bool had_head = h->has_head;
	int r = had_head ? 2 : eat(h);

	if (r <= 0)
		return r;
	if (!had_head) {
		h->framing = weir_reply_framing(&h->reply, false);
		h->left = h->reply.body_bytes;
	}
	return eat_body(h);
}

static int at_end(struct cmd_http *h)
{
	bool is_complete = h->has_head && h->framing == WEIR_FRAMING_CLOSE;
	int r = h->received ? -ECONNRESET : -EPIPE;

	cmd_http_close(h);
	return is_complete ? 1 : r;
}

int cmd_http_step(struct cmd_http *h)
{
	for (;;) {
		ssize_t n;
		int r;

		if (h->sent < h->request_bytes) {
			size_t before = h->sent;

			r = send_some(h);
			if (r < 0)
				return r;
			if (h->sent < h->request_bytes) {
				if (h->sent == before)
					return 0;
				continue;
			}
		}
		n = recv(h->fd, h->buffer + h->filled, sizeof(h->buffer) - h->filled, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno == ECONNRESET && !h->received)
			return fail(h, -EPIPE);
		if (n < 0)
			return fail(h, -errno);
		if (n == 0)
			return at_end(h);
		h->received += (uint64_t)n;
		h->filled += (size_t)n;
		r = received(h);
		if (r < 0)
			return fail(h, r);
		if (r > 0)
			return 1;
	}
}

bool cmd_http_keep(struct cmd_http *h)
{
	if (h->fd >= 0 && !h->reply.is_keep_alive)
		cmd_http_close(h);
	return h->fd >= 0;
}

int cmd_http_get(struct cmd_http *h, const struct sockaddr *to, socklen_t bytes, const char *request,
		 size_t request_bytes, unsigned limit_ms)
{
	uint64_t until_ms = weir_now_ms() + limit_ms, now;
	bool was_open = h->fd >= 0;
	int r = cmd_http_begin(h, to, bytes, request, request_bytes);

	while (r == 0) {
		struct pollfd p = { .fd = h->fd, .events = cmd_http_wants(h) };

		now = weir_now_ms();
		if (now >= until_ms)
			return fail(h, -ETIMEDOUT);
		(void)poll(&p, 1, (int)(until_ms - now));
		r = cmd_http_step(h);
		if (r == -EPIPE && was_open) {
			was_open = false;
			r = cmd_http_begin(h, to, bytes, request, request_bytes);
		}
	}
	if (r > 0)
		(void)cmd_http_keep(h);
	return r > 0 ? 0 : r;
}
