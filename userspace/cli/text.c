/* SPDX-License-Identifier: GPL-2.0 */
/* Plain text for people: columns as wide as their widest cell, numbers and sizes with units. */
#include "cli/cli.h"

#include <stdarg.h>
#include <string.h>

#include "common/log.h"

#define COLUMNS_MAX 16
#define BUFFERS 32

struct cmd_text {
	size_t columns;
	size_t rows;
	char **cells;
	size_t widths[COLUMNS_MAX];
};

static char buffers[BUFFERS][48];

static char *next_buffer(void)
{
	static unsigned next;

	return buffers[next++ % BUFFERS];
}

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

struct cmd_text *cmd_text_new(size_t columns)
{
	struct cmd_text *t = calloc(1, sizeof(*t));

	if (!t || columns > COLUMNS_MAX)
		abort();
	t->columns = columns;
	return t;
}

void cmd_text_row(struct cmd_text *t, ...)
{
	char **cells = reallocarray(t->cells, (t->rows + 1) * t->columns, sizeof(*cells));
	va_list ap;
	size_t i;

	if (!cells)
		abort();
	t->cells = cells;
	va_start(ap, t);
	for (i = 0; i < t->columns; i++) {
		char *cell = strdup(va_arg(ap, const char *));

		if (!cell)
			abort();
		t->cells[t->rows * t->columns + i] = cell;
		t->widths[i] = MAX(t->widths[i], width(cell) - (t->rows == 0 && cell[0] == '>'));
	}
	va_end(ap);
	t->rows++;
}

/* A header of empty cells is not printed. */
static bool is_headed(const struct cmd_text *t)
{
	size_t i;

	for (i = 0; i < t->columns; i++)
		if (t->cells[i][0])
			return true;
	return false;
}

void cmd_text_print(struct cmd_text *t, const char *indent)
{
	bool is_right[COLUMNS_MAX] = {};
	size_t row, i;

	for (row = is_headed(t) ? 0 : 1; row < t->rows; row++) {
		fputs(indent, stdout);
		for (i = 0; i < t->columns; i++) {
			char *cell = t->cells[row * t->columns + i];
			int pad;

			if (row == 0)
				is_right[i] = cell[0] == '>';
			pad = (int)(t->widths[i] - width(cell + (row == 0 && is_right[i])));
			if (is_right[i])
				printf("%*s%s", pad, "", cell + (row == 0));
			else
				printf("%s%*s", cell, i + 1 < t->columns ? pad : 0, "");
			fputs(i + 1 < t->columns ? "  " : "\n", stdout);
		}
	}
	for (i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

const char *cmd_number(json_int_t n)
{
	char *out = next_buffer(), digits[24];
	int bytes = snprintf(digits, sizeof(digits), "%lld", (long long)n), i, at = 0;

	for (i = 0; i < bytes; i++) {
		if (i && digits[i - 1] != '-' && (bytes - i) % 3 == 0)
			out[at++] = ' ';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

const char *cmd_bytes(json_int_t n)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB" };
	char *out = next_buffer();
	double value = (double)n / 1000;
	size_t i = 0;

	if (n < 1000) {
		snprintf(out, sizeof(buffers[0]), "%lld B", (long long)n);
		return out;
	}
	for (; value >= 1000 && i + 1 < ARRAY_SIZE(units); i++)
		value /= 1000;
	snprintf(out, sizeof(buffers[0]), value < 10 ? "%.1f %s" : "%.0f %s", value, units[i]);
	return out;
}

const char *cmd_duration(json_int_t millis)
{
	char *out = next_buffer();
	size_t room = sizeof(buffers[0]);
	json_int_t s = millis / 1000;

	if (millis < 0)
		snprintf(out, room, "-");
	else if (s < 10)
		snprintf(out, room, "%.1f s", (double)millis / 1000);
	else if (s < 60)
		snprintf(out, room, "%lld s", (long long)s);
	else if (s < 3600)
		snprintf(out, room, "%lld min %lld s", (long long)s / 60, (long long)s % 60);
	else if (s < 86400)
		snprintf(out, room, "%lld h %lld min", (long long)s / 3600, (long long)s / 60 % 60);
	else
		snprintf(out, room, "%lld d %lld h", (long long)s / 86400, (long long)s / 3600 % 24);
	return out;
}

const char *cmd_get(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

json_int_t cmd_int(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}
