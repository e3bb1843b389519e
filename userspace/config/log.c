/* SPDX-License-Identifier: GPL-2.0 */
/* The words of the log's parameters, and the check of them. */
#include "config/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/macro.h"
#include "common/str.h"
#include "config/config_priv.h"

static const char *const names[] = {
#define WEIR_ROW(id, name, json, help) name,
#include "config/log_fields.def"
#undef WEIR_ROW
};
static const char *const json_names[] = {
#define WEIR_ROW(id, name, json, help) json,
#include "config/log_fields.def"
#undef WEIR_ROW
};

const char *weir_log_field_name(unsigned field)
{
	return names[field];
}

const char *weir_log_field_json(unsigned field)
{
	return json_names[field];
}

static int find(const char *const *words, size_t count, const char *text, unsigned *ret)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(words[i], text)) {
			*ret = (unsigned)i;
			return 0;
		}
	return -EINVAL;
}

int weir_conf_log_format(const char *text, unsigned *ret)
{
	static const char *const words[] = { "combined", "w3c", "json" };

	return find(words, ARRAY_SIZE(words), text ? text : "combined", ret);
}

int weir_conf_log_period(const char *text, unsigned *ret)
{
	static const char *const words[] = { "off", "hourly", "daily", "weekly", "monthly" };

	return find(words, ARRAY_SIZE(words), text ? text : "off", ret);
}

int weir_conf_log_hits(const char *text, struct weir_log_hits *ret)
{
	static const char *const words[] = { "off", "errors", "full" };
	unsigned long n;
	unsigned word;
	char *end;

	if (find(words, ARRAY_SIZE(words), text ? text : "full", &word) == 0) {
		*ret = (struct weir_log_hits){ .every = word == 2, .has_errors = word > 0 };
		return 0;
	}
	n = strtoul(text, &end, 10);
	if (*text < '1' || *text > '9' || *end || n > 1000000000)
		return -EINVAL;
	*ret = (struct weir_log_hits){ .every = (uint32_t)n, .has_errors = true };
	return 0;
}

/* IIS's set first, in its order: that is what tools know. */
static const uint8_t w3c_own[] = {
	WEIR_LOG_FIELD_DATE,	    WEIR_LOG_FIELD_TIME,     WEIR_LOG_FIELD_SERVER,	 WEIR_LOG_FIELD_METHOD,
	WEIR_LOG_FIELD_STEM,	    WEIR_LOG_FIELD_QUERY,    WEIR_LOG_FIELD_SERVER_PORT, WEIR_LOG_FIELD_USER,
	WEIR_LOG_FIELD_CLIENT,	    WEIR_LOG_FIELD_AGENT,    WEIR_LOG_FIELD_REFERER,	 WEIR_LOG_FIELD_STATUS,
	WEIR_LOG_FIELD_SUBSTATUS,   WEIR_LOG_FIELD_WIN32,    WEIR_LOG_FIELD_TAKEN,	 WEIR_LOG_FIELD_TAKEN_US,
	WEIR_LOG_FIELD_SENT,	    WEIR_LOG_FIELD_RECEIVED, WEIR_LOG_FIELD_HOST,	 WEIR_LOG_FIELD_VERSION,
	WEIR_LOG_FIELD_CLIENT_PORT, WEIR_LOG_FIELD_POOL,     WEIR_LOG_FIELD_BY,		 WEIR_LOG_FIELD_REASON,
};
static const uint8_t json_own[] = {
	WEIR_LOG_FIELD_DATE,	 WEIR_LOG_FIELD_TIME,	     WEIR_LOG_FIELD_CLIENT,  WEIR_LOG_FIELD_CLIENT_PORT,
	WEIR_LOG_FIELD_SERVER,	 WEIR_LOG_FIELD_SERVER_PORT, WEIR_LOG_FIELD_METHOD,  WEIR_LOG_FIELD_URI,
	WEIR_LOG_FIELD_HOST,	 WEIR_LOG_FIELD_VERSION,     WEIR_LOG_FIELD_STATUS,  WEIR_LOG_FIELD_SENT,
	WEIR_LOG_FIELD_RECEIVED, WEIR_LOG_FIELD_TAKEN_US,    WEIR_LOG_FIELD_REFERER, WEIR_LOG_FIELD_AGENT,
	WEIR_LOG_FIELD_POOL,	 WEIR_LOG_FIELD_BY,	     WEIR_LOG_FIELD_REASON,
};

int weir_conf_log_fields(const char *text, unsigned format, uint8_t ret[WEIR_LOG_FIELD__MAX], char ret_wrong[64])
{
	struct weir_str rest = { text ? text : "", text ? strlen(text) : 0 }, word;
	unsigned field;
	char one[64];
	int n = 0;

	while (weir_str_next(&rest, ' ', &word)) {
		if (word.n == 0)
			continue;
		snprintf(one, sizeof(one), "%.*s", (int)MIN(word.n, (size_t)63), word.p);
		if (n == WEIR_LOG_FIELD__MAX || find(names, ARRAY_SIZE(names), one, &field) < 0) {
			memcpy(ret_wrong, one, sizeof(one));
			return -EINVAL;
		}
		ret[n++] = (uint8_t)field;
	}
	if (n == 0 && format == WEIR_LOG_W3C) {
		memcpy(ret, w3c_own, sizeof(w3c_own));
		n = ARRAY_SIZE(w3c_own);
	} else if (n == 0 && format == WEIR_LOG_JSON) {
		memcpy(ret, json_own, sizeof(json_own));
		n = ARRAY_SIZE(json_own);
	}
	return n;
}

static void check_path(const struct weir_config *c, const char *path, enum weir_param_id id,
		       struct weir_conf_report *report)
{
	if (path && *path && *path != '/')
		weir_conf_error(report, c->file, MAX(c->lines[id], 0),
				"%s = \"%s\" is not an absolute path: write the whole path of a file",
				weir_params[id].name, path);
}

void weir_conf_check_log(const struct weir_config *c, struct weir_conf_report *report)
{
	const struct weir_conf_log *l = &c->log;
	uint8_t fields[WEIR_LOG_FIELD__MAX];
	struct weir_log_hits hits;
	unsigned value = 0;
	char wrong[64];

	if (weir_conf_log_format(l->format, &value) < 0)
		weir_conf_error(report, c->file, MAX(c->lines[WEIR_PARAM_GLOBAL_log_format], 0),
				"log_format = \"%s\" is not combined, w3c or json", l->format);
	if (weir_conf_log_fields(l->fields, value, fields, wrong) < 0)
		weir_conf_error(report, c->file, MAX(c->lines[WEIR_PARAM_GLOBAL_log_fields], 0),
				"log_fields: \"%s\" is not a field, or too many; weir.conf(5) lists them", wrong);
	if (weir_conf_log_period(l->rotate_time, &value) < 0)
		weir_conf_error(report, c->file, MAX(c->lines[WEIR_PARAM_GLOBAL_log_rotate_time], 0),
				"log_rotate_time = \"%s\" is not off, hourly, daily, weekly or monthly",
				l->rotate_time);
	if (weir_conf_log_hits(l->kernel_hits, &hits) < 0)
		weir_conf_error(report, c->file, MAX(c->lines[WEIR_PARAM_GLOBAL_log_kernel_hits], 0),
				"log_kernel_hits = \"%s\" is not full, errors, off, or a number n for one hit in n",
				l->kernel_hits);
	check_path(c, l->access, WEIR_PARAM_GLOBAL_access_log, report);
	check_path(c, l->error, WEIR_PARAM_GLOBAL_error_log, report);
	if (l->access && l->error && *l->access && !strcmp(l->access, l->error))
		weir_conf_error(report, c->file, MAX(c->lines[WEIR_PARAM_GLOBAL_error_log], 0),
				"access_log and error_log are the same file: give each its own");
}
