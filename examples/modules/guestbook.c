// SPDX-License-Identifier: GPL-2.0
/* A guest book: GET shows the page, which the kernel keeps until somebody signs; POST of the form adds an entry and purges
 * the page. Entries are lines of a file, so that they survive the worker, and other workers see them. See
 * guestbook.conf for how to start it. Options: file=PATH (guestbook.txt in the pool's root). */
#include "weir_module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRY_MAX 1000	    /* bytes of one */
#define FILE_MAX (1u << 20) /* bytes of all that are shown */
#define FORM_MAX (4 * ENTRY_MAX)
#define TAG "guestbook"

/* fixed after init */
static const struct weir_api *api;
static const char *file;

/* What each serving thread has for itself: room that need not be made for each request. */
struct room {
	char form[FORM_MAX];
	char entry[ENTRY_MAX + 1];
	unsigned long entries; /* written by this thread */
};

static int start(const struct weir_api *server, struct weir_worker *w, void **ret_state)
{
	int fd;

	api = server;
	file = api->option(w, "file");
	if (!file)
		file = "guestbook.txt";
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0) {
		api->log(w, WEIR_MODULE_ERROR, "cannot write '%s': %s", file, strerror(errno));
		return -errno;
	}
	close(fd);
	*ret_state = w;
	return 0;
}

static void stop(void *state)
{
	api->log(state, WEIR_MODULE_INFO, "closed");
}

static int start_thread(void *state, void **ret_room)
{
	(void)state;
	*ret_room = calloc(1, sizeof(struct room));
	return *ret_room ? 0 : -ENOMEM;
}

static void stop_thread(void *state, void *room)
{
	if (((struct room *)room)->entries > 0)
		api->log(state, WEIR_MODULE_INFO, "a thread took %lu entries", ((struct room *)room)->entries);
	free(room);
}

static int say(struct weir_exchange *x, unsigned status, const char *text)
{
	(void)api->begin(x, status);
	(void)api->add_field(x, "Content-Type", "text/plain; charset=utf-8", 25);
	(void)api->write(x, text, strlen(text));
	return api->end(x);
}

static int put(struct weir_exchange *x, const char *text)
{
	return api->write(x, text, strlen(text));
}

/* Entries one a line, as they are in the file: without line breaks, and with '<' and '&' escaped. */
static int show(struct weir_exchange *x)
{
	static const char head[] =
		"<!doctype html>\n<title>Guest book</title>\n<h1>Guest book</h1>\n"
		"<form method=post><input name=text maxlength=200 autofocus> <button>Sign</button></form>\n"
		"<ol>\n";
	char line[ENTRY_MAX + 16];
	FILE *f = fopen(file, "re");
	size_t bytes = 0;

	if (!f)
		return say(x, 500, "The guest book cannot be read.\n");
	(void)api->begin(x, 200);
	(void)api->add_field(x, "Content-Type", "text/html; charset=utf-8", 24);
	(void)api->add_field(x, "Cache-Control", "max-age=0, must-revalidate", 26);
	(void)api->cache(x, WEIR_MODULE_CACHE_UNTIL_PURGED, 0);
	(void)api->tag(x, TAG);
	(void)put(x, head);
	while (bytes < FILE_MAX && fgets(line, sizeof(line), f)) {
		bytes += strlen(line);
		(void)put(x, "<li>");
		(void)put(x, line);
	}
	fclose(f);
	(void)put(x, "</ol>\n");
	return api->end(x);
}

static int hex(int c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The value of text=... in a form, as HTML in one line. Returns its bytes. */
static size_t decode(const char *form, size_t bytes, char *out)
{
	const char *at = form, *end = form + bytes;
	size_t n = 0;

	while (at < end && !(end - at >= 5 && !memcmp(at, "text=", 5))) {
		at = memchr(at, '&', (size_t)(end - at));
		at = at ? at + 1 : end;
	}
	for (at += end - at >= 5 ? 5 : 0; at < end && *at != '&' && n + 8 < ENTRY_MAX; at++) {
		int c = *at == '+' ? ' ' : (unsigned char)*at;

		if (c == '%' && end - at > 2 && hex(at[1]) >= 0 && hex(at[2]) >= 0) {
			c = hex(at[1]) << 4 | hex(at[2]);
			at += 2;
		}
		if (c == '<' || c == '&')
			n += (size_t)sprintf(out + n, c == '<' ? "&lt;" : "&amp;");
		else
			out[n++] = c < ' ' ? ' ' : (char)c;
	}
	out[n++] = '\n';
	return n;
}

static int append(const char *entry, size_t bytes)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	int r = 0;

	if (fd < 0)
		return -errno;
	/* one write of a line: entries of several threads and workers do not mix */
	if (write(fd, entry, bytes) != (ssize_t)bytes)
		r = -EIO;
	close(fd);
	return r;
}

static int sign(struct weir_exchange *x, struct weir_worker *w, struct room *room)
{
	struct weir_text prefix = api->prefix(x);
	size_t bytes = 0;
	ptrdiff_t n;

	while ((n = api->read(x, room->form + bytes, sizeof(room->form) - bytes)) > 0) {
		bytes += (size_t)n;
		if (bytes == sizeof(room->form))
			return say(x, 413, "That is too long for a guest book.\n");
	}
	if (n < 0) /* the server says what is wrong */
		return 0;
	bytes = decode(room->form, bytes, room->entry);
	if (bytes < 2)
		return say(x, 400, "An entry is text=SOMETHING.\n");
	if (append(room->entry, bytes) < 0)
		return say(x, 500, "The guest book cannot be written.\n");
	room->entries++;
	/* first the change, then the purge: who asks after it gets the new page */
	(void)api->purge_tag(w, TAG);
	(void)api->begin(x, 303);
	(void)api->add_field(x, "Location", prefix.p, prefix.n);
	return api->end(x);
}

static int is(struct weir_text text, const char *word)
{
	return text.n == strlen(word) && !memcmp(text.p, word, text.n);
}

static int handle(struct weir_exchange *x, void *w, void *room)
{
	struct weir_text method = api->method(x);

	if (api->path(x).n > api->prefix(x).n)
		return say(x, 404, "There is one page here.\n");
	if (is(method, "GET") || is(method, "HEAD"))
		return show(x);
	if (is(method, "POST"))
		return sign(x, w, room);
	(void)api->begin(x, 405);
	(void)api->add_field(x, "Allow", "GET, HEAD, POST", 15);
	return api->end(x);
}

const struct weir_module weir_module = {
	.abi_version = WEIR_MODULE_ABI,
	.size = sizeof(weir_module),
	.name = "guestbook",
	.worker_init = start,
	.worker_fini = stop,
	.thread_init = start_thread,
	.thread_fini = stop_thread,
	.handle = handle,
};
