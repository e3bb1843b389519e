/* SPDX-License-Identifier: GPL-2.0 */
/* How a program comes to its socket and its process. The socket is made with the supervisor's
 * rights, before the keeper gives them up: its name lies in a folder of root's beside the control
 * socket, and only the pool's account may connect. */
#include "worker/keeper.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/clock.h"
#include "common/fds.h"
#include "common/log.h"

#define BACKLOG 4096
#define FIRST_FD 3 /* LISTEN_FDS: the first of them */

/* --- socket --- */

/* CONTROL.exec, ours alone: somebody else's folder of this name could lead anywhere. -EPERM. */
static int open_folder(const char *control, bool makes)
{
	_cleanup_close_ int fd = -1;
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s.exec", control);
	if (makes && mkdir(path, 0711) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return -EPERM;
	return TAKE_FD(fd);
}

/* Bound beside its name, then renamed over it: whoever connects reaches the old listener or the new
 * one. */
static int listen_unix(const struct wrk_setup *s, struct wrk_address *ret)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX }, temporary = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	_cleanup_close_ int folder = -1;
	char path[512];
	size_t bytes;

	weir_conf_exec_path(s->config, s->pool, s->slot - s->pool->first_slot, path, sizeof(path));
	bytes = strlen(path);
	if (bytes + 2 > sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, path, bytes + 1);
	memcpy(temporary.sun_path, path, bytes);
	temporary.sun_path[bytes] = '~';
	folder = open_folder(s->config->control, true);
	if (folder < 0)
		return folder;
	(void)unlink(temporary.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&temporary, sizeof(temporary)) < 0 ||
	    chmod(temporary.sun_path, 0600) < 0 || chown(temporary.sun_path, s->pool->uid, s->pool->gid) < 0 ||
	    listen(fd, BACKLOG) < 0 || rename(temporary.sun_path, path) < 0)
		return -errno;
	memcpy(&ret->addr, &a, sizeof(a));
	ret->bytes = sizeof(a);
	return TAKE_FD(fd);
}

static int listen_tcp(struct wrk_address *ret)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t bytes = sizeof(a);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, bytes) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &bytes) < 0)
		return -errno;
	memcpy(&ret->addr, &a, sizeof(a));
	ret->bytes = sizeof(a);
	return TAKE_FD(fd);
}

int keeper_program_prepare(struct keeper *k)
{
	const struct wrk_setup *s = k->base.setup;
	int fd;

	if (!s->pool->exec.command.count)
		return 0;
	fd = s->pool->exec.socket == WEIR_EXEC_TCP ? listen_tcp(&k->base.program) : listen_unix(s, &k->base.program);
	if (fd < 0)
		return weir_err(fd, "cannot make a socket for the program of pool '%s' in '%s.exec'", s->pool->name,
				s->config->control);
	k->program.listen_fd = fd;
	k->program.is_new = true;
	return 0;
}

int keeper_program_open_pipe(struct keeper *k)
{
	int pair[2];

	if (k->program.listen_fd < 0)
		return 0;
	/* the programs' end blocks, as they expect it */
	if (pipe2(pair, O_CLOEXEC) < 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0)
		return weir_err(-errno, "cannot make a pipe");
	k->program.out_read = pair[0];
	k->program.out_write = pair[1];
	return 0;
}

size_t keeper_program_fds(const struct keeper *k, int *ret)
{
	const struct keeper_program *p = &k->program;

	if (p->listen_fd < 0)
		return 0;
	ret[0] = p->listen_fd;
	ret[1] = p->out_read;
	ret[2] = p->out_write;
	ret[3] = p->ping.fd;
	return 4;
}

void wrk_programs_remove(const char *control)
{
	const struct dirent *e;
	char path[512];
	DIR *d;
	int fd;

	fd = open_folder(control, false);
	d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d && fd >= 0)
		close(fd);
	if (!d)
		return;
	while ((e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	snprintf(path, sizeof(path), "%s.exec", control);
	(void)rmdir(path);
}

/* --- process --- */

/* Everything below runs in the child. */

static void take_descriptors(const struct keeper_program *p, bool is_fastcgi)
{
	/* above all that will be theirs */
	int listener = fcntl(p->listen_fd, F_DUPFD, FIRST_FD + 8), out = fcntl(p->out_write, F_DUPFD, FIRST_FD + 8);
	int in = open("/dev/null", O_RDONLY);
	int keep[] = { FIRST_FD };

	/* FastCGI programs of old take their listening socket as standard input (FastCGI 2.2) */
	if (listener < 0 || out < 0 || in < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
	    dup2(is_fastcgi ? listener : in, 0) < 0 || dup2(listener, FIRST_FD) < 0)
		_exit(127);
	weir_fds_close_except(keep, ARRAY_SIZE(keep));
}

static void restore_signals(void)
{
	sigset_t none;
	int n;

	for (n = 1; n < NSIG; n++)
		(void)signal(n, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void set_environment(const struct weir_conf_pool *pool)
{
	const struct passwd *pw = getpwuid(pool->uid);
	char number[16];

	snprintf(number, sizeof(number), "%d", getpid());
	/* of the supervisor's own service */
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	(void)setenv("LISTEN_FDS", "1", 1);
	(void)setenv("LISTEN_PID", number, 1);
	(void)setenv("LISTEN_FDNAMES", pool->name, 1);
	(void)setenv("HOME", pw ? pw->pw_dir : "/", 1);
	(void)setenv("USER", pw ? pw->pw_name : "", 1);
	(void)setenv("LOGNAME", pw ? pw->pw_name : "", 1);
	/* of the pool, which may say otherwise */
	for (size_t i = 0; i < pool->environment.count; i++)
		(void)putenv(pool->environment.items[i]);
}

static void fail(const char *what, const char *name)
{
	dprintf(2, "%s '%s': %s\n", what, name, strerror(errno));
	_exit(127);
}

__attribute__((noreturn)) static void become(const struct keeper *k, pid_t keeper)
{
	const struct weir_conf_pool *pool = k->base.setup->pool;
	const struct weir_conf_words *command = &pool->exec.command;
	const char *directory = pool->exec.directory ? pool->exec.directory : pool->root ? pool->root : "/";
	char **args = calloc(command->count + 1, sizeof(*args));

	/* a program whose keeper is gone would never be ended */
	if (!args || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != keeper)
		_exit(127);
	(void)setsid();
	take_descriptors(&k->program, pool->handler == WEIR_HANDLER_FASTCGI);
	restore_signals();
	set_environment(pool);
	(void)umask(022);
	if (chdir(directory) < 0)
		fail("cannot enter exec_directory", directory);
	memcpy(args, command->items, command->count * sizeof(*args));
	execv(args[0], args);
	fail("cannot run", args[0]);
	_exit(127);
}

int keeper_program_start(struct keeper *k, struct keeper_run *run)
{
	pid_t keeper = getpid(), pid = fork();

	if (pid == 0)
		become(k, keeper);
	if (pid < 0)
		return -errno;
	*run = (struct keeper_run){ .pid = pid, .born_ms = weir_now_ms() };
	return 0;
}
