// SPDX-License-Identifier: GPL-2.0
/* A server of the kind that has no HTTP library at all, as the program of a pool (exec): it accepts on descriptor 3 and
 * forks for each connection. What it does not have, Weir has: limits, slow clients, keep-alive, queues, restarts.
 *
 *	cc -o build/examples/server examples/c/server.c
 *	SERVER=$PWD/build/examples/server build/weir run -c examples/c/weir.conf
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void serve(FILE *in, FILE *out)
{
	char line[8192], target[4096], body[256];
	unsigned long length = 0;
	int n;

	if (!fgets(line, sizeof(line), in) || sscanf(line, "%*s %4095s", target) != 1)
		return;
	while (fgets(line, sizeof(line), in) && strcmp(line, "\r\n") != 0)
		if (!strncasecmp(line, "Content-Length:", 15))
			length = strtoul(line + 15, NULL, 10);
	while (length > 0 && fgetc(in) != EOF)
		length--;
	if (!strcmp(target, "/crash"))
		(void)kill(getppid(), SIGSEGV);
	n = snprintf(body, sizeof(body), "process %d of server %d\n", getpid(), getppid());
	fprintf(out,
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
		"Cache-Control: %s\r\nConnection: close\r\n\r\n%s",
		n, !strcmp(target, "/cached") ? "public, max-age=60" : "no-store", body);
}

static volatile sig_atomic_t is_over;

static void on_term(int number)
{
	(void)number;
	is_over = 1;
}

int main(void)
{
	const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	struct pollfd listener = { .fd = 3, .events = POLLIN };
	sigset_t none, term;
	int fd;

	if (!fds || !pid || atoi(fds) < 1 || atoi(pid) != getpid()) {
		fprintf(stderr, "start it with a listening socket: LISTEN_FDS\n");
		return 1;
	}
	(void)signal(SIGCHLD, SIG_IGN);
	(void)signal(SIGTERM, on_term);
	/* it comes while we wait, and at no other time */
	sigemptyset(&none);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	(void)fcntl(3, F_SETFL, O_NONBLOCK);
	fprintf(stderr, "server %d accepts\n", getpid());
	while (!is_over) {
		(void)ppoll(&listener, 1, NULL, &none);
		fd = accept(3, NULL, NULL);
		if (fd < 0)
			continue; /* another process was faster */
		if (fork() == 0) {
			FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");

			if (in && out)
				serve(in, out);
			_exit(out && fflush(out) == 0 ? 0 : 1);
		}
		close(fd);
	}
	while (wait(NULL) > 0 || errno == EINTR)
		; /* until each child has finished */
	return 0;
}
