/* SPDX-License-Identifier: GPL-2.0 */
/* Pieces of a line, written to memory that is known to have room. Each returns where it ends. No printf: a line costs
 * some hundred nanoseconds. */
#ifndef LOG_TEXT_H
#define LOG_TEXT_H

#include <stdint.h>
#include <string.h>

#include "weir/endpoint.h"

#include "common/str.h"

/* How bytes that could break a line, or a terminal, are written. */
enum log_style {
	LOG_STYLE_QUOTED, /* inside of "": \xHH, as Apache and nginx do */
	LOG_STYLE_W3C,	  /* words: + for spaces and controls, %HH beyond ASCII; - for an empty one */
	LOG_STYLE_JSON,	  /* \u00HH */
};

/* text.c */
char *log_put_text(char *at, struct weir_str s, enum log_style style);
char *log_put_u64(char *at, uint64_t value);
char *log_put_address(char *at, const struct weir_addr *a);
/* "2026-11-23", "10:59:01", "23/Nov/2026:10:59:01 +0000"; UTC. */
char *log_put_date(char *at, int64_t s);
char *log_put_time(char *at, int64_t s);
char *log_put_stamp(char *at, int64_t s);

static inline char *log_put(char *at, const char *text, size_t n)
{
	memcpy(at, text, n);
	return at + n;
}

static inline char *log_puts(char *at, const char *text)
{
	return log_put(at, text, strlen(text));
}

#define log_put_lit(at, literal) log_put(at, literal, sizeof(literal) - 1)

#endif
