/* SPDX-License-Identifier: GPL-2.0 */
/* A small HTTP/1.1 client for `weir bench` and `weir cache preload`: one connection, one request at a time, never blocking.
 * A connection belongs to one thread. */
#ifndef CMD_HTTP_H
#define CMD_HTTP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "cli/cli.h"
#include "http/response.h"

#define CMD_HTTP_BUFFER 65536
#define CMD_URL_MAX 4096

/* A URL taken apart. */
struct cmd_url {
	char host[256];	     /* without port and brackets; empty: none was given */
	char authority[272]; /* as in Host */
	unsigned port;	     /* 0: none was given */
	char target[CMD_URL_MAX];
};
/* Takes http:// and https:// URLs. False: it is none, or too long. */
bool cmd_url_parse(const char *text, size_t bytes, struct cmd_url *ret);

/* The text of a GET for the URL, with the fields of --header. NULL: a message has been printed. */
char *cmd_http_request(const struct cmd_args *args, const struct cmd_url *u);

struct cmd_http {
	int fd; /* -1: not connected */
	bool is_connecting;
	const char *request; /* borrowed */
	size_t request_bytes, sent;
	char *body; /* NULL: the body is thrown away; else malloc()ed, grows up to body_max */
	size_t body_bytes, body_room, body_max;
	/* the response */
	struct weir_reply reply;
	bool has_head;
	enum weir_framing framing;
	uint64_t left;
	struct weir_chunked chunked;
	uint64_t received; /* bytes of this response, head included */
	size_t filled, scanned;
	char buffer[CMD_HTTP_BUFFER];
};

/* Begins a request on an open connection, or on a new one to `to`. 0, or -errno of socket() or connect(). */
int cmd_http_begin(struct cmd_http *h, const struct sockaddr *to, socklen_t bytes, const char *request,
		   size_t request_bytes);
/* Goes on as far as it can. 1: the response is complete, in h->reply.status; 0: wait for cmd_http_wants(); -errno: the
 * connection is closed. -EPIPE: it ended before anything of a response came, as idle connections may. */
int cmd_http_step(struct cmd_http *h);
short cmd_http_wants(const struct cmd_http *h); /* POLLIN or POLLOUT */
/* After a complete response: closes the connection if it cannot be used again. True: it can. */
bool cmd_http_keep(struct cmd_http *h);
void cmd_http_close(struct cmd_http *h);
/* All of the above for one request, within `limit_ms`. A kept connection that turns out to be closed is made again. */
int cmd_http_get(struct cmd_http *h, const struct sockaddr *to, socklen_t bytes, const char *request,
		 size_t request_bytes, unsigned limit_ms);

#endif
