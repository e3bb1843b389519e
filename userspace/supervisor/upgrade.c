/* SPDX-License-Identifier: GPL-2.0 */
/* `weir upgrade`: the program file has been replaced (a package upgrade). The supervisor starts
 * that file in its own process, exactly as after a crash of the supervisor: workers go on
 * meanwhile, and are then replaced without a gap by those of the new program (takeover.c). The new
 * program must accept the configuration first, else nothing changes. */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "common/log.h"

#define ARGS_BYTES 65536
#define ARGS_MAX 256
#define DELETED " (deleted)"

struct sup_program {
	char path[PATH_MAX];
	char words[ARGS_BYTES];
	char *args[ARGS_MAX]; /* of this process, in `words`; ends with NULL */
};

/* Where this program was started from: the file may be another one by now. */
static int find_path(struct sup_program *p)
{
	ssize_t n = readlink("/proc/self/exe", p->path, sizeof(p->path) - 1);
	size_t cut = strlen(DELETED);

	if (n < 0)
		return -errno;
	p->path[n] = '\0';
	if ((size_t)n > cut && !strcmp(p->path + n - cut, DELETED))
		p->path[(size_t)n - cut] = '\0';
	return access(p->path, X_OK) < 0 ? -errno : 0;
}

/* This process's command line, from /proc: the words end with zeros. */
static int read_args(struct sup_program *p)
{
	_cleanup_close_ int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	size_t filled = 0, at, n = 0;
	ssize_t got;

	while (fd >= 0 && filled < ARGS_BYTES - 1 && (got = read(fd, p->words + filled, ARGS_BYTES - 1 - filled)) > 0)
		filled += (size_t)got;
	if (!filled || filled == ARGS_BYTES - 1)
		return -E2BIG;
	for (at = 0; at < filled; at += strlen(p->words + at) + 1) {
		if (n == ARGS_MAX - 1)
			return -E2BIG;
		p->args[n++] = p->words + at;
	}
	p->args[n] = NULL;
	return n > 1 ? 0 : -EINVAL;
}

/* `weir run OPTIONS` and `weir check OPTIONS` take the same options. */
static int ask_new_program(struct sup_program *p)
{
	extern char **environ;
	char check[] = "check", *run = p->args[1];
	posix_spawn_file_actions_t actions;
	int status = 0, r;
	pid_t pid;

	p->args[1] = check;
	r = posix_spawn_file_actions_init(&actions);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawn(&pid, p->path, &actions, NULL, p->args, environ);
	p->args[1] = run;
	(void)posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EINVAL;
}

static int prepare(struct sup *s, struct sup_program **ret)
{
	_cleanup_free_ struct sup_program *p = calloc(1, sizeof(*p));
	int r = p ? find_path(p) : -ENOMEM;

	if (r < 0)
		return weir_err(r, "upgrade: there is no program to start at %s", p ? p->path : "all");
	r = read_args(p);
	if (r < 0)
		return weir_err(r, "upgrade: the command line of this process cannot be read");
	r = ask_new_program(p);
	if (r < 0)
		return weir_err(r, "upgrade: %s does not accept the configuration; nothing has changed", p->path);
	(void)s;
	*ret = TAKE_PTR(p);
	return 0;
}

/* The answer must be with the command before this process is another program. */
void sup_upgrade_tick(struct sup *s)
{
	struct sup_program *p = s->upgrade;

	if (!p || s->is_stopping)
		return;
	s->upgrade = NULL;
	weir_ipc_server_flush(s->ipc, 200);
	weir_info("upgrade: starting %s in place of this program", p->path);
	(void)sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
	sup_service_pass_on(s, true);
	execv(p->path, p->args);
	weir_err(-errno, "upgrade: cannot start %s; nothing has changed", p->path);
	sup_service_pass_on(s, false);
	free(p);
}

json_t *sup_control_upgrade(struct sup *s, const json_t *request)
{
	int r;

	(void)request;
	if (s->is_stopping || s->upgrade)
		return weir_ipc_error("the instance is %s already", s->is_stopping ? "stopping" : "being upgraded");
	r = prepare(s, &s->upgrade);
	if (r < 0)
		return weir_ipc_error("the program file cannot take over (%s); the log of the instance says why",
				      strerror(-r));
	return weir_ipc_ok();
}
