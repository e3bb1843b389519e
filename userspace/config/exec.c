/* SPDX-License-Identifier: GPL-2.0 */
/* The program of a pool: whether it is there, and whether its socket can have its name. Called by
 * the check of the whole configuration. */
#include "config/config_priv.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

void weir_conf_exec_path(const struct weir_config *c, const struct weir_conf_pool *p, unsigned slot, char *buf,
			 size_t bytes)
{
	snprintf(buf, bytes, "%s.exec/%s.%u", c->control, p->name, slot);
}

int weir_conf_signal_parse(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = {
		{ "SIGTERM", SIGTERM }, { "SIGQUIT", SIGQUIT }, { "SIGINT", SIGINT },	  { "SIGHUP", SIGHUP },
		{ "SIGUSR1", SIGUSR1 }, { "SIGUSR2", SIGUSR2 }, { "SIGWINCH", SIGWINCH },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		if (!strcmp(signals[i].name, name))
			return signals[i].number;
	return -EINVAL;
}

static void check_command(const struct weir_config *c, const struct weir_conf_pool *p, struct weir_conf_report *report)
{
	const char *program = p->exec.command.items[0];
	int line = MAX(p->lines[WEIR_PARAM_POOL_exec], 0);
	struct stat st;

	if (program[0] != '/')
		weir_conf_error(report, c->file, line, "exec '%s' must begin with an absolute path", program);
	else if (stat(program, &st) < 0 || access(program, X_OK) < 0)
		weir_conf_error(report, c->file, line, "exec '%s': %s", program, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		weir_conf_error(report, c->file, line, "exec '%s' is no program", program);
}

static int check_directory(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report)
{
	const char *base = c->file ? strrchr(c->file, '/') : NULL;
	int line = MAX(p->lines[WEIR_PARAM_POOL_exec_directory], 0);
	_cleanup_free_ char *joined = NULL, *real = NULL;
	struct stat st;

	if (!p->exec.directory)
		return 0;
	if (p->exec.directory[0] != '/' && base &&
	    asprintf(&joined, "%.*s/%s", (int)(base - c->file), c->file, p->exec.directory) < 0)
		return -ENOMEM;
	real = realpath(joined ? joined : p->exec.directory, NULL);
	if (!real || stat(real, &st) < 0) {
		weir_conf_error(report, c->file, line, "exec_directory '%s': %s", p->exec.directory, strerror(errno));
		return errno == ENOMEM ? -ENOMEM : 0;
	}
	if (!S_ISDIR(st.st_mode))
		weir_conf_error(report, c->file, line, "exec_directory '%s' is no directory", p->exec.directory);
	free(p->exec.directory);
	p->exec.directory = TAKE_PTR(real);
	return 0;
}

static void check_ping(const struct weir_config *c, const struct weir_conf_pool *p, struct weir_conf_report *report)
{
	const char *at = p->exec.ping;

	while (at && *at && isgraph((unsigned char)*at))
		at++;
	if (at && (*at || p->exec.ping[0] != '/' || at - p->exec.ping > 256))
		weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_exec_ping], 0),
				"exec_ping '%s' is no path of a URL, as in /health", p->exec.ping);
}

/* Who passes requests to the program. */
static void check_handler(const struct weir_config *c, const struct weir_conf_pool *p, struct weir_conf_report *report)
{
	bool has_program = p->exec.command.count > 0, is_exec = p->handler == WEIR_HANDLER_EXEC;
	int line = MAX(p->lines[WEIR_PARAM_POOL_exec], 0);

	if (is_exec && !has_program)
		weir_conf_error(report, c->file, p->line,
				"pool '%s' has no program: name it, as in exec = { \"/usr/bin/gunicorn\", \"app\" }",
				p->name);
	if (has_program && !is_exec && p->handler != WEIR_HANDLER_FASTCGI)
		weir_conf_error(report, c->file, line,
				"exec needs handler = exec (a program that speaks HTTP) or handler = fastcgi");
	if (p->upstreams.count && (is_exec || (has_program && p->handler == WEIR_HANDLER_FASTCGI)))
		weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_upstreams], 0),
				"pool '%s' passes its requests to its own program: leave out upstreams, or exec",
				p->name);
}

int weir_conf_check_exec(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report)
{
	static const enum weir_param_id others[] = { WEIR_PARAM_POOL_exec_directory, WEIR_PARAM_POOL_exec_stop,
						     WEIR_PARAM_POOL_exec_socket, WEIR_PARAM_POOL_exec_overlap,
						     WEIR_PARAM_POOL_exec_ping };
	char path[512];
	size_t i;

	check_handler(c, p, report);
	if (!p->exec.command.count) {
		for (i = 0; i < ARRAY_SIZE(others); i++)
			if (p->lines[others[i]])
				weir_conf_warning(report, c->file, MAX(p->lines[others[i]], 0),
						  "'%s' has no effect: pool '%s' runs no program, see exec",
						  weir_params[others[i]].name, p->name);
		return 0;
	}
	check_command(c, p, report);
	check_ping(c, p, report);
	if (weir_conf_signal_parse(p->exec.stop) < 0)
		weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_exec_stop], 0),
				"exec_stop '%s' is none of the signals that end a program, as SIGTERM or SIGQUIT",
				p->exec.stop);
	weir_conf_exec_path(c, p, MAX(p->slots, 1u) - 1, path, sizeof(path));
	/* it is bound under another name first, which is longer */
	if (p->exec.socket == WEIR_EXEC_UNIX && strlen(path) + 1 >= sizeof(((struct sockaddr_un *)0)->sun_path))
		weir_conf_error(report, c->file, MAX(p->lines[WEIR_PARAM_POOL_exec], 0),
				"the socket '%s' for the program of pool '%s' has too long a name: "
				"choose a shorter "
				"control path, or exec_socket = tcp",
				path, p->name);
	return check_directory(c, p, report);
}
