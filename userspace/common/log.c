/* SPDX-License-Identifier: GPL-2.0 */
/* One write(2) a message, so that lines of several processes do not mix. */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* fixed after init */
static enum weir_log_level log_level = WEIR_LOG_INFO;
static char log_who[48];

void weir_log_init(enum weir_log_level level, const char *who)
{
	log_level = level;
	snprintf(log_who, sizeof(log_who), who && *who ? "[%.40s]" : "%s", who ? who : "");
}

static void emit(enum weir_log_level level, const char *tail, const char *fmt, va_list ap)
{
	static const char *const prefix[] = { "error: ", "warning: ", "", "debug: " };
	char line[1024];
	int n, m, saved = errno;

	if (level > log_level)
		return;
	n = snprintf(line, sizeof(line), "weir%s: %s", log_who, prefix[level]);
	m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	n = MIN(n + m, (int)sizeof(line) - 2);
	m = snprintf(line + n, sizeof(line) - n - 1, "%s%s", tail ? ": " : "", tail ? tail : "");
	n = MIN(n + m, (int)sizeof(line) - 2);
	line[n++] = '\n';
	(void)!write(STDERR_FILENO, line, n);
	errno = saved;
}

void weir_log(enum weir_log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(level, NULL, fmt, ap);
	va_end(ap);
}

int weir_err(int r, const char *fmt, ...)
{
	char buf[128];
	va_list ap;

	va_start(ap, fmt);
	emit(WEIR_LOG_ERR, r ? strerror_r(r < 0 ? -r : r, buf, sizeof(buf)) : NULL, fmt, ap);
	va_end(ap);
	return r ? r : -EINVAL;
}
