/* SPDX-License-Identifier: GPL-2.0 */
/* Framing of the control protocol: bytes to lines, lines to requests. Pure. */
#include "ipc/ipc.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

char *weir_ipc_lines_space(struct weir_ipc_lines *l, size_t *ret_bytes)
{
	memmove(l->bytes, l->bytes + l->taken, l->filled - l->taken);
	l->filled -= l->taken;
	l->taken = 0;
	*ret_bytes = sizeof(l->bytes) - l->filled;
	return l->bytes + l->filled;
}

void weir_ipc_lines_fill(struct weir_ipc_lines *l, size_t bytes)
{
	assert(bytes <= sizeof(l->bytes) - l->filled);
	l->filled += bytes;
}

char *weir_ipc_lines_next(struct weir_ipc_lines *l)
{
	char *line = l->bytes + l->taken, *end = memchr(line, '\n', l->filled - l->taken);

	if (!end)
		return NULL;
	*end = '\0';
	l->taken += (size_t)(end + 1 - line);
	return line;
}

bool weir_ipc_lines_is_stuck(const struct weir_ipc_lines *l)
{
	return l->filled - l->taken == sizeof(l->bytes) && !memchr(l->bytes + l->taken, '\n', l->filled - l->taken);
}

int weir_ipc_request_parse(const char *line, json_t **ret, const char **ret_why)
{
	_cleanup_json_ json_t *j = NULL;
	json_error_t error;

	j = json_loads(line, JSON_REJECT_DUPLICATES, &error);
	if (!j) {
		*ret_why = "not one JSON object on one line";
		return -EBADMSG;
	}
	if (!json_is_string(json_object_get(j, "command"))) {
		*ret_why = "the object has no \"command\"";
		return -EBADMSG;
	}
	*ret = TAKE_PTR(j);
	return 0;
}

json_t *weir_ipc_ok(void)
{
	return json_pack("{s:b}", "ok", 1);
}

json_t *weir_ipc_error(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}
