/* SPDX-License-Identifier: GPL-2.0 */
/* SIGHUP: the configuration is read again. A bad one changes nothing. For a good one the program starts itself
 * anew in this process, exactly as after a crash of the supervisor: workers go on meanwhile, those of an unchanged
 * configuration are taken over, those of a changed one replaced without a gap (takeover.c). */
#include "supervisor/supervisor_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/log.h"

#define ARGS_BYTES 65536
#define ARGS_MAX 256

static bool is_good(const struct weir_conf_options *options)
{
	_cleanup_(weir_conf_report_fini) struct weir_conf_report report = {};
	_cleanup_(weir_config_freep) struct weir_config *c = NULL;
	char text[640];
	size_t i;
	int r = weir_config_load(options, &report, &c);

	for (i = 0; r < 0 && i < report.count; i++) {
		weir_conf_diag_format(&report.rows[i], text, sizeof(text));
		weir_log(report.rows[i].is_warning ? WEIR_LOG_INFO : WEIR_LOG_ERR, "%s", text);
	}
	return r == 0;
}

/* This process's command line, from /proc: the words end with zeros. */
static int read_args(char *buf, char *args[ARGS_MAX])
{
	_cleanup_close_ int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	size_t filled = 0, at, n = 0;
	ssize_t got;

	while (fd >= 0 && filled < ARGS_BYTES - 1 && (got = read(fd, buf + filled, ARGS_BYTES - 1 - filled)) > 0)
		filled += (size_t)got;
	if (!filled || filled == ARGS_BYTES - 1)
		return -E2BIG;
	for (at = 0; at < filled; at += strlen(buf + at) + 1) {
		if (n == ARGS_MAX - 1)
			return -E2BIG;
		args[n++] = buf + at;
	}
	args[n] = NULL;
	return 0;
}

void sup_reload(struct sup *s)
{
	_cleanup_free_ char *buf = calloc(1, ARGS_BYTES);
	char *args[ARGS_MAX];
	int r;

	if (s->is_stopping)
		return;
	if (!is_good(s->options)) {
		weir_warn("reload (SIGHUP): the configuration has errors; nothing has changed");
		return;
	}
	r = buf ? read_args(buf, args) : -ENOMEM;
	if (r == 0) {
		weir_info("reload (SIGHUP): starting anew with the configuration as it is now");
		(void)sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
		execv("/proc/self/exe", args);
		r = -errno;
	}
	weir_err(r, "reload (SIGHUP) is not possible; nothing has changed");
}
