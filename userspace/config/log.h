/* SPDX-License-Identifier: GPL-2.0 */
/* Logs as they are configured: embedded in struct weir_config as `log`. */
#ifndef WEIR_CONFIG_LOG_H
#define WEIR_CONFIG_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct weir_conf_log {
	char *access; /* files; "" or NULL: off */
	char *error;
	char *format;		 /* see weir_conf_log_format() */
	char *fields;		 /* W3C names, separated by spaces; empty: the format's own */
	char *kernel_hits;	 /* see weir_conf_log_hits() */
	char *rotate_time;	 /* see weir_conf_log_period() */
	unsigned rotate_size_kb; /* 0: any size */
	unsigned keep;		 /* old files */
};

enum weir_log_format {
	WEIR_LOG_COMBINED,
	WEIR_LOG_W3C,
	WEIR_LOG_JSON,
	WEIR_LOG_FORMAT__MAX,
};

enum weir_log_field {
#define WEIR_ROW(id, name, json, help) WEIR_LOG_FIELD_##id,
#include "config/log_fields.def"
#undef WEIR_ROW
	WEIR_LOG_FIELD__MAX,
};

enum weir_log_period {
	WEIR_LOG_PERIOD_OFF,
	WEIR_LOG_HOURLY,
	WEIR_LOG_DAILY,
	WEIR_LOG_WEEKLY, /* from Monday on */
	WEIR_LOG_MONTHLY,
	WEIR_LOG_PERIOD__MAX,
};

/* What of the kernel side's answers is in the access log. */
struct weir_log_hits {
	uint32_t every;	 /* one hit in so many; 0: none */
	bool has_errors; /* refusals */
};

/* -EINVAL for what is no such word. */
int weir_conf_log_format(const char *text, unsigned *ret);
int weir_conf_log_period(const char *text, unsigned *ret);
int weir_conf_log_hits(const char *text, struct weir_log_hits *ret); /* full, errors, off, or a number */
/* Parses a list of names into enum weir_log_field values; at most WEIR_LOG_FIELD__MAX of them. Returns how many, or -EINVAL:
 * then the wrong word is in `ret_wrong`. An empty list gives the format's own fields. */
int weir_conf_log_fields(const char *text, unsigned format, uint8_t ret[WEIR_LOG_FIELD__MAX], char ret_wrong[64]);
const char *weir_log_field_name(unsigned field); /* "c-ip" */
const char *weir_log_field_json(unsigned field); /* "client" */

#endif
