/* SPDX-License-Identifier: GPL-2.0 */
/* The list of findings that loading a configuration gives. Pure. */
#include "config/config_priv.h"

#include <string.h>

static void add(struct weir_conf_report *r, bool is_warning, const char *where, int line, const char *fmt, va_list ap)
{
	struct weir_conf_diag *rows, *d;
	char text[512];

	r->errors += !is_warning;
	rows = reallocarray(r->rows, r->count + 1, sizeof(*rows));
	if (!rows)
		return;
	r->rows = rows;
	vsnprintf(text, sizeof(text), fmt, ap);
	d = &rows[r->count++];
	*d = (struct weir_conf_diag){ .is_warning = is_warning, .line = line };
	d->where = where ? strdup(where) : NULL;
	d->text = strdup(text);
}

void weir_conf_error(struct weir_conf_report *r, const char *where, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, false, where, line, fmt, ap);
	va_end(ap);
}

void weir_conf_warning(struct weir_conf_report *r, const char *where, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(r, true, where, line, fmt, ap);
	va_end(ap);
}

/* Insertion sort by line: stable, so that findings without a line stay in the order they were made. */
void weir_conf_report_sort(struct weir_conf_report *r)
{
	size_t i, j;

	for (i = 1; i < r->count; i++) {
		struct weir_conf_diag d = r->rows[i];

		for (j = i; j > 0 && r->rows[j - 1].line > d.line; j--)
			r->rows[j] = r->rows[j - 1];
		r->rows[j] = d;
	}
}

void weir_conf_diag_format(const struct weir_conf_diag *d, char *buf, size_t bytes)
{
	const char *kind = d->is_warning ? "warning: " : "";
	const char *text = d->text ? d->text : "out of memory";

	if (d->where && d->line > 0)
		snprintf(buf, bytes, "%s:%d: %s%s", d->where, d->line, kind, text);
	else if (d->where)
		snprintf(buf, bytes, "%s: %s%s", d->where, kind, text);
	else
		snprintf(buf, bytes, "%s%s", kind, text);
}

void weir_conf_report_locate(struct weir_conf_report *r, const struct weir_config *c)
{
	size_t i;

	for (i = 0; i < r->count; i++) {
		struct weir_conf_diag *d = &r->rows[i];
		const char *file;
		char *copy;

		if (d->line <= 0 || !d->where || !c->file || strcmp(d->where, c->file) != 0)
			continue;
		d->line = weir_conf_line(c, d->line, &file);
		copy = strdup(file);
		if (copy) {
			free(d->where);
			d->where = copy;
		}
	}
}

void weir_conf_report_cut(struct weir_conf_report *r, size_t count)
{
	while (r->count > count) {
		struct weir_conf_diag *d = &r->rows[--r->count];

		r->errors -= !d->is_warning;
		free(d->where);
		free(d->text);
	}
}

void weir_conf_report_fini(struct weir_conf_report *r)
{
	weir_conf_report_cut(r, 0);
	free(r->rows);
	*r = (struct weir_conf_report){};
}
