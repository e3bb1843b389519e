/* SPDX-License-Identifier: GPL-2.0 */
/* Messages for people, one line each on standard error: "weir[pool]: text". Any thread. Libraries (common to
 * cache) stay silent above debug; supervisor, worker and cli log once, where a user's object can be named. */
#ifndef WEIR_COMMON_LOG_H
#define WEIR_COMMON_LOG_H

#include "common/macro.h"

enum weir_log_level {
	WEIR_LOG_ERR,
	WEIR_LOG_WARN,
	WEIR_LOG_INFO,
	WEIR_LOG_DEBUG,
};

/* Sets the lowest level that is printed (default: INFO) and the name after "weir" (copied, up to 40 bytes). */
void weir_log_init(enum weir_log_level level, const char *who);

void weir_log(enum weir_log_level level, const char *fmt, ...) _printf_(2, 3);

/* Logs `fmt`, ": " and strerror(-r), and returns r, so that callers can `return weir_err(r, ...)`.
 * With r == 0 logs the text alone and returns -EINVAL. */
int weir_err(int r, const char *fmt, ...) _printf_(2, 3);

#define weir_warn(...) weir_log(WEIR_LOG_WARN, __VA_ARGS__)
#define weir_info(...) weir_log(WEIR_LOG_INFO, __VA_ARGS__)
#define weir_debug(...) weir_log(WEIR_LOG_DEBUG, __VA_ARGS__)

#endif
