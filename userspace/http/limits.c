/* SPDX-License-Identifier: GPL-2.0 */
/* Request sizes as HTTP.sys limits them, beyond what the parser itself can hold. */
#include "http/http.h"

static bool has_long_field(struct weir_str head, size_t max)
{
	while (head.n > 0) {
		const char *end = memchr(head.p, '\n', head.n);
		size_t bytes = end ? (size_t)(end - head.p) : head.n;

		if (bytes > max)
			return true;
		head.p += bytes + (end != NULL);
		head.n -= bytes + (end != NULL);
	}
	return false;
}

/* Segments of the path as it was sent: percent signs count. */
static bool has_large_path(struct weir_str target, const struct weir_http_limits *l)
{
	size_t count = 0, bytes = 0, i;

	for (i = 0; i < target.n && target.p[i] != '?'; i++) {
		if (target.p[i] != '/') {
			if (++bytes > l->segment_bytes)
				return true;
			continue;
		}
		bytes = 0;
		if (++count > l->segments)
			return true;
	}
	return false;
}

unsigned weir_request_over(const struct weir_request *r, struct weir_str head, const struct weir_http_limits *l,
			   const char **ret_why)
{
	const char *line = memchr(head.p, '\n', head.n);
	struct weir_str fields = { line, line ? head.n - (size_t)(line - head.p) : 0 };

	if (head.n > l->head_bytes) {
		*ret_why = "RequestLength";
		return 431;
	}
	if (l->field_bytes < head.n && has_long_field(fields, l->field_bytes)) {
		*ret_why = "FieldLength";
		return 431;
	}
	if (r->form == WEIR_TARGET_ORIGIN && has_large_path(r->target, l)) {
		*ret_why = "URL";
		return 400;
	}
	return 0;
}
