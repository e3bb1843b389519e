// SPDX-License-Identifier: GPL-2.0
/* One request at a time over a blocking socket with time limits; strict about what it takes as a response. */
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define DATE_BYTES 29

static int ask(const struct sockaddr_in *client, const struct sockaddr_in *server, struct probe *p)
{
	struct timeval limit = {.tv_sec = 3};
	struct sockaddr_in from = *client;
	size_t want = 0;
	char *body, *field;
	int fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	from.sin_port = 0;
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (const struct sockaddr *)server, sizeof(*server)) ||
	    send(fd, p->request, p->request_bytes, MSG_NOSIGNAL) != (ssize_t)p->request_bytes) {
		fprintf(stderr, "gen: cannot reach the server: %s\n", strerror(errno));
		close(fd);
		return -1;
	}

	p->response_bytes = 0;
	while (!want || p->response_bytes < want) {
		ssize_t n = recv(fd, p->response + p->response_bytes,
				 sizeof(p->response) - 1 - p->response_bytes, 0);

		if (n <= 0)
			break;
		p->response_bytes += (size_t)n;
		p->response[p->response_bytes] = '\0';
		body = strstr(p->response, "\r\n\r\n");
		if (!body)
			continue;
		field = strcasestr(p->response, "\r\nContent-Length:");
		if (!field || field > body)
			break;
		p->head_bytes = (size_t)(body + 4 - p->response);
		want = p->head_bytes + strtoul(field + 17, NULL, 10);
		if (want >= sizeof(p->response))
			break;
	}
	close(fd);
	if (!want || p->response_bytes != want || strncmp(p->response, "HTTP/1.1 200 ", 13)) {
		fprintf(stderr, "gen: not a complete 200 with Content-Length and at most %zu bytes: %.60s\n",
			sizeof(p->response) - 1, p->response_bytes ? p->response : "(nothing)");
		return -1;
	}
	return 0;
}

int probe_learn(const struct sockaddr_in *client, const struct sockaddr_in *server, const char *path,
		const char *host, int times, struct probe *ret)
{
	char *date;
	int n;

	memset(ret, 0, sizeof(*ret));
	n = snprintf(ret->request, sizeof(ret->request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
	if (n < 0 || (size_t)n >= sizeof(ret->request)) {
		fprintf(stderr, "gen: request too long\n");
		return -1;
	}
	ret->request_bytes = (size_t)n;
	for (int i = 0; i < times; i++) {
		if (i)
			usleep(100000); /* a server that fills its cache from the first answer gets the time to */
		if (ask(client, server, ret))
			return -1;
	}
	date = strcasestr(ret->response, "\r\nDate: ");
	if (!date || date > ret->response + ret->head_bytes) {
		fprintf(stderr, "gen: the response has no Date\n");
		return -1;
	}
	ret->date_off = (size_t)(date + 8 - ret->response);
	if (strncmp(ret->response + ret->date_off + DATE_BYTES, "\r\n", 2) ||
	    strcasestr(ret->response, "\r\nAge:")) {
		fprintf(stderr, "gen: Date is no IMF-fixdate, or there is an Age: cannot compare responses\n");
		return -1;
	}
	return 0;
}

int probe_compare(const struct probe *p, const char *file)
{
	char buf[sizeof(p->response)];
	FILE *f = fopen(file, "re");
	size_t n;

	if (!f) {
		fprintf(stderr, "gen: cannot open %s: %s\n", file, strerror(errno));
		return -1;
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	if (n != p->response_bytes - p->head_bytes || memcmp(buf, p->response + p->head_bytes, n)) {
		fprintf(stderr, "gen: the body is not %s\n", file);
		return -1;
	}
	return 0;
}
