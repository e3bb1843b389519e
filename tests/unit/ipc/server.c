// SPDX-License-Identifier: GPL-2.0
/* The control socket with real clients: one thread serves, the test's own asks. */
#include "ipc/ipc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LIMIT_MS 5000
#define BIG_BYTES (4 << 20) /* more than a socket buffer holds */

static char folder[64], path[96];
static struct weir_ipc_server *server;
static pthread_t thread;
static volatile bool is_over;

static json_t *answer(const char *command, const json_t *request, void *arg)
{
	cr_assert_eq(arg, &server);
	if (!strcmp(command, "echo"))
		return json_pack("{s:b, s:O}", "ok", 1, "request", request);
	if (!strcmp(command, "big")) {
		char *text = calloc(1, BIG_BYTES + 1);
		json_t *j;

		memset(text, 'x', BIG_BYTES);
		j = json_pack("{s:b, s:s}", "ok", 1, "text", text);
		free(text);
		return j;
	}
	if (!strcmp(command, "fork")) {
		pid_t pid = fork();

		/* a keeper: it has the client's socket until it closes what it does not need */
		if (pid == 0) {
			(void)poll(NULL, 0, 300);
			_exit(0);
		}
		return json_pack("{s:b, s:i}", "ok", 1, "pid", (int)pid);
	}
	return weir_ipc_error("what is '%s'?", command);
}

static void *serve(void *arg)
{
	while (!is_over) {
		struct pollfd p = { .fd = weir_ipc_server_fd(server), .events = POLLIN };

		if (poll(&p, 1, 10) > 0)
			weir_ipc_server_dispatch(server);
	}
	return arg;
}

static void start(void)
{
	snprintf(folder, sizeof(folder), "/tmp/weir_ipc_XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	cr_assert_eq(weir_ipc_server_new(path, answer, &server, &server), 0);
	cr_assert_eq(pthread_create(&thread, NULL, serve, NULL), 0);
}

static void stop(void)
{
	is_over = true;
	pthread_join(thread, NULL);
	weir_ipc_server_free(server);
	cr_expect_eq(access(path, F_OK), -1, "the socket goes with the server");
	(void)rmdir(folder);
}

TestSuite(server, .init = start, .fini = stop, .timeout = 30);

static int connect_raw(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct timeval limit = { .tv_sec = LIMIT_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void expect_answer(const char *command, bool is_ok)
{
	json_t *request = json_pack("{s:s}", "command", command), *reply = NULL;

	cr_assert_eq(weir_ipc_call(path, request, LIMIT_MS, &reply), 0);
	cr_expect_eq(json_is_true(json_object_get(reply, "ok")), is_ok);
	json_decref(reply);
	json_decref(request);
}

/* Reads one line into buf; returns its length. */
static size_t read_line(int fd, char *buf, size_t room)
{
	size_t n = 0;

	while (n < room && recv(fd, buf + n, 1, 0) == 1 && buf[n] != '\n')
		n++;
	return n;
}

Test(server, request_is_answered)
{
	expect_answer("echo", true);
	expect_answer("nonsense", false);
}

Test(server, only_the_owner_may_open_the_socket)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
}

Test(server, reply_larger_than_the_socket_buffer_arrives_whole)
{
	json_t *request = json_pack("{s:s}", "command", "big"), *reply = NULL;

	cr_assert_eq(weir_ipc_call(path, request, LIMIT_MS, &reply), 0);
	cr_expect_eq(json_string_length(json_object_get(reply, "text")), (size_t)BIG_BYTES);
	json_decref(reply);
	json_decref(request);
}

Test(server, client_that_does_not_read_blocks_nobody)
{
	static const char text[] = "{\"command\":\"big\"}\n{\"command\":\"big\"}\n{\"command\":\"big\"}\n";
	int fd = connect_raw();

	cr_assert_eq(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
	expect_answer("echo", true);
	close(fd);
	expect_answer("echo", true);
}

Test(server, half_a_line_blocks_nobody)
{
	char line[256];
	int fd = connect_raw();

	cr_assert_eq(send(fd, "{\"comm", 6, 0), 6);
	expect_answer("echo", true);
	cr_assert_eq(send(fd, "and\":\"echo\"}\n", 13, 0), 13);
	cr_expect_gt(read_line(fd, line, sizeof(line)), 0);
	close(fd);
}

Test(server, garbage_gets_an_error_and_the_next_line_is_read)
{
	char line[256] = "";
	int fd = connect_raw();

	cr_assert_gt(send(fd, "garbage\n{\"command\":\"echo\"}\n", 27, 0), 0);
	(void)read_line(fd, line, sizeof(line) - 1);
	cr_expect(strstr(line, "bad request"), "%s", line);
	(void)read_line(fd, line, sizeof(line) - 1);
	cr_expect(strstr(line, "\"ok\":true"), "%s", line);
	close(fd);
}

Test(server, endless_line_gets_an_error_and_the_end)
{
	char line[256] = "", junk[WEIR_IPC_REQUEST_MAX];
	int fd = connect_raw();

	memset(junk, 'x', sizeof(junk));
	cr_assert_eq(send(fd, junk, sizeof(junk), 0), (ssize_t)sizeof(junk));
	(void)read_line(fd, line, sizeof(line) - 1);
	cr_expect(strstr(line, "longer than"), "%s", line);
	cr_expect_leq(recv(fd, line, 1, 0), 0);
	close(fd);
}

Test(server, more_clients_than_places_wait_their_turn)
{
	int fds[WEIR_IPC_CLIENTS_MAX], i;

	for (i = 0; i < WEIR_IPC_CLIENTS_MAX; i++) {
		char line[64];

		fds[i] = connect_raw();
		cr_assert_gt(send(fds[i], "x\n", 2, 0), 0);
		cr_assert_gt(read_line(fds[i], line, sizeof(line)), 0);
	}
	cr_assert_eq(close(fds[3]), 0);
	expect_answer("echo", true);
	for (i = 0; i < WEIR_IPC_CLIENTS_MAX; i++)
		if (i != 3)
			close(fds[i]);
}

Test(server, served_socket_is_not_taken)
{
	struct weir_ipc_server *second = NULL;

	cr_expect(weir_ipc_is_served(path));
	cr_expect_eq(weir_ipc_server_new(path, answer, &server, &second), -EADDRINUSE);
	cr_expect_null(second);
	expect_answer("echo", true);
}

Test(unserved, stale_socket_is_replaced)
{
	struct weir_ipc_server *s = NULL;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/weir_ipc_stale_%d", getpid());
	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	cr_expect_not(weir_ipc_is_served(addr.sun_path));
	cr_assert_eq(weir_ipc_server_new(addr.sun_path, answer, &server, &s), 0);
	weir_ipc_server_free(s);
	cr_expect_eq(access(addr.sun_path, F_OK), -1);
}

Test(unserved, file_that_is_no_socket_stays)
{
	struct weir_ipc_server *s = NULL;
	char name[] = "/tmp/weir_ipc_file_XXXXXX";
	int fd = mkstemp(name);

	cr_assert_geq(fd, 0);
	close(fd);
	cr_expect_eq(weir_ipc_server_new(name, answer, &server, &s), -EEXIST);
	cr_expect_eq(access(name, F_OK), 0);
	(void)unlink(name);
}

Test(unserved, call_without_a_server_says_so)
{
	json_t *request = json_pack("{s:s}", "command", "echo"), *reply = NULL;

	cr_expect_eq(weir_ipc_call("/tmp/weir_ipc_nowhere", request, LIMIT_MS, &reply), -ENOENT);
	cr_expect_null(reply);
	json_decref(request);
}

Test(server, client_that_a_child_holds_open_leaves_no_events)
{
	int i;

	expect_answer("fork", true);
	/* the client is gone here, but not in the child: what it sends or ends must not be reported any more */
	for (i = 0; i < 50; i++)
		expect_answer("echo", true);
}
