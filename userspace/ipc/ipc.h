/* SPDX-License-Identifier: GPL-2.0 */
/* The control protocol between the command line and the supervisor: over a Unix stream socket, one JSON object a
 * line in, one JSON object a line out. A request has "command"; a reply has "ok", and "error" (for people) when
 * that is false. The server never blocks on a client; the client blocks with a limit. */
#ifndef WEIR_IPC_H
#define WEIR_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/macro.h"

#define WEIR_IPC_REQUEST_MAX 16384	 /* bytes of a request line */
#define WEIR_IPC_REPLY_MAX (256 << 20)	 /* bytes of a reply line */
#define WEIR_IPC_CLIENTS_MAX 16		 /* at the same time; more wait in the socket's queue */
#define WEIR_IPC_IDLE_MS 10000		 /* a client that neither sends nor reads for so long is dropped */

/* json_t with the cleanup attribute. */
static inline void weir_json_freep(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(weir_json_freep)

/* --- lines: pure --- */

/* Collects bytes and gives them back by lines. Zero-initialised. */
struct weir_ipc_lines {
	char bytes[WEIR_IPC_REQUEST_MAX];
	size_t filled;
	size_t taken; /* up to here handed out by weir_ipc_lines_next() */
};

/* Where the next bytes go, and how many fit. Invalidates lines that were handed out. */
char *weir_ipc_lines_space(struct weir_ipc_lines *l, size_t *ret_bytes);
void weir_ipc_lines_fill(struct weir_ipc_lines *l, size_t bytes);
/* The next whole line, without its end, zero-terminated in place. NULL: there is none yet. */
char *weir_ipc_lines_next(struct weir_ipc_lines *l);
/* Whether a line is longer than there is room for: nothing sensible can come any more. */
bool weir_ipc_lines_is_stuck(const struct weir_ipc_lines *l);

/* Reads a request line. -EBADMSG: *ret_why says what is wrong with it. */
int weir_ipc_request_parse(const char *line, json_t **ret, const char **ret_why);

/* --- replies --- */

json_t *weir_ipc_ok(void);
json_t *weir_ipc_error(const char *fmt, ...) _printf_(1, 2);

/* --- server: one thread --- */

struct weir_ipc_server;

/* Answers one request. Returns a new reference, or NULL when out of memory. */
typedef json_t *(*weir_ipc_handler)(const char *command, const json_t *request, void *arg);

/* Whether a server answers on `path`. */
bool weir_ipc_is_served(const char *path);

/* Listens on `path`, mode 0600, for processes of our own user only. A socket that nobody serves is replaced.
 * -EADDRINUSE: somebody serves it; -EEXIST: there is a file that is no socket; or an error of bind(). */
int weir_ipc_server_new(const char *path, weir_ipc_handler handler, void *arg, struct weir_ipc_server **ret);
/* Closes everything and removes the socket. Takes NULL, returns NULL. */
struct weir_ipc_server *weir_ipc_server_free(struct weir_ipc_server *s);
DEFINE_CLEANUP(struct weir_ipc_server *, weir_ipc_server_free)

/* Takes a connected stream socket as a client that may give the commands of `allowed` (ended by NULL, kept) and is never
 * dropped for being idle. -EBUSY: there are too many clients; the socket is still the caller's. */
int weir_ipc_server_adopt(struct weir_ipc_server *s, int fd, const char *const *allowed);

/* Becomes readable when weir_ipc_server_dispatch() has something to do. */
int weir_ipc_server_fd(const struct weir_ipc_server *s);
void weir_ipc_server_dispatch(struct weir_ipc_server *s);
/* Drops clients that were idle too long. Call about once a second. */
void weir_ipc_server_expire(struct weir_ipc_server *s);
/* Sends what is still to be sent, for up to `limit_ms`: before the last reply would be lost at exit. */
void weir_ipc_server_flush(struct weir_ipc_server *s, unsigned limit_ms);

/* --- client --- */

/* Sends `request` to the server on `path` and waits up to `limit_ms` for the reply, which may say "ok": false.
 * -ENOENT and -ECONNREFUSED: no server; -EACCES; -ETIMEDOUT; -EBADMSG: no JSON object came back. */
int weir_ipc_call(const char *path, const json_t *request, unsigned limit_ms, json_t **ret_reply);

#endif
