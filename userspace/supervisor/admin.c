/* SPDX-License-Identifier: GPL-2.0 */
/* Starts the admin process (admin/admin.h), and starts it again when it dies. Its socket to us is a
 * client of the control protocol that may only read. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "admin/admin.h"
#include "common/clock.h"
#include "common/log.h"

#define RETRY_MS 5000
#define BACKLOG 16

static int listen_on(const struct weir_conf_listen *l, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int r = sup_socket_bind(l, true, &fd);

	if (r < 0)
		return r;
	if (listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int sup_admin_open(struct sup *s)
{
	struct weir_conf_listen at[2];
	const char *why;
	int i, n, r;

	if (!s->config->admin || !*s->config->admin)
		return 0;
	n = weir_conf_listen_parse(s->config->admin, at, &why);
	for (i = 0; i < n; i++) {
		r = listen_on(&at[i], &s->admin_fds[i]);
		if (r < 0)
			return sup_socket_error(&at[i], r);
	}
	return n < 0 ? weir_err(0, "admin = \"%s\": %s", s->config->admin, why) : 0;
}

void sup_admin_start(struct sup *s)
{
	struct adm_setup setup = { .listeners = s->admin_fds };
	int pair[2];

	if (s->admin_fds[0] < 0 || s->admin_pid || s->is_stopping || weir_now_ms() < s->admin_retry_ms)
		return;
	s->admin_retry_ms = weir_now_ms() + RETRY_MS;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		weir_err(-errno, "the admin endpoint is not served");
		return;
	}
	setup.listeners_count = s->admin_fds[1] >= 0 ? 2 : 1;
	setup.channel = pair[1];
	/* the account of a worker: one that owns nothing */
	setup.uid = s->config->pools[0].uid;
	setup.gid = s->config->pools[0].gid;
	s->admin_pid = fork();
	if (s->admin_pid == 0) {
		(void)sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
		adm_main(&setup);
	}
	close(pair[1]);
	if (s->admin_pid < 0 || weir_ipc_server_adopt(s->ipc, pair[0], adm_commands) < 0) {
		weir_warn("the admin endpoint is not served: too many clients of the control "
			  "socket, or processes");
		close(pair[0]);
		s->admin_pid = MAX(s->admin_pid, 0);
	}
}

void sup_admin_died(struct sup *s, pid_t pid)
{
	if (pid != s->admin_pid)
		return;
	s->admin_pid = 0;
	if (!s->is_stopping)
		weir_warn("the admin process has ended; it is started again");
}

void sup_admin_close(struct sup *s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s->admin_fds); i++) {
		if (s->admin_fds[i] >= 0)
			close(TAKE_FD(s->admin_fds[i]));
	}
	if (s->admin_pid > 0) {
		(void)kill(s->admin_pid, SIGTERM);
		(void)waitpid(s->admin_pid, NULL, 0);
	}
	s->admin_pid = 0;
}
