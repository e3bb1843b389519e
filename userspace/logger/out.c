/* SPDX-License-Identifier: GPL-2.0 */
/* One log file: whole lines are collected and written with one write(). What the disk does not take is dropped and counted;
 * a line that was written in part is ended before the next. */
#include "logger/log_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/macro.h"

static uint32_t count_lines(const char *p, size_t n)
{
	const char *end = p + n;
	uint32_t lines = 0;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		lines++;
		p++;
	}
	return lines;
}

static void count(struct log_out *o, size_t done, uint32_t written)
{
	struct weir_log_shared *s = o->shared;
	uint32_t lost = o->lines - written;

	__atomic_add_fetch(o->format ? &s->access_lines : &s->error_lines, written, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->bytes, done, __ATOMIC_RELAXED);
	if (lost > 0)
		__atomic_add_fetch(&s->lost, MIN(lost, o->records), __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->settled, o->records, __ATOMIC_RELAXED);
	o->n = 0;
	o->lines = 0;
	o->records = 0;
}

void log_out_flush(struct log_out *o)
{
	size_t done = 0;
	ssize_t n;

	if (o->n == 0)
		return;
	if (o->is_torn && o->fd >= 0) {
		if (write(o->fd, "\n", 1) != 1)
			__atomic_add_fetch(&o->shared->write_errors, 1, __ATOMIC_RELAXED);
		else
			o->is_torn = false;
	}
	while (done < o->n && o->fd >= 0 && !o->is_torn) {
		n = write(o->fd, o->p + done, o->n - done);
		if (n > 0) {
			done += (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			__atomic_add_fetch(&o->shared->write_errors, 1, __ATOMIC_RELAXED);
			break;
		}
	}
	if (done > 0)
		o->is_torn = o->p[done - 1] != '\n';
	count(o, done, done == o->n ? o->lines : MIN(o->lines, count_lines(o->p, done)));
}

char *log_out_begin(struct log_out *o)
{
	if (o->n + LOG_LINE_MAX > sizeof(o->p))
		log_out_flush(o);
	return o->p + o->n;
}

void log_out_end(struct log_out *o, const char *end, bool is_settling, uint64_t now_ms)
{
	if (o->n == 0)
		o->since_ms = now_ms;
	o->n = (size_t)(end - o->p);
	o->lines++;
	if (is_settling)
		o->records++;
}

void log_out_open(struct log_out *o, int fd)
{
	struct stat sb = { 0 };
	char last = '\n', *at;

	log_out_flush(o);
	if (o->fd >= 0)
		close(o->fd);
	o->fd = fd;
	o->is_torn = false;
	if (fd < 0 || fstat(fd, &sb) < 0)
		return;
	if (sb.st_size > 0) {
		o->is_torn = pread(fd, &last, 1, sb.st_size - 1) == 1 && last != '\n';
		return;
	}
	at = log_out_begin(o);
	at = o->format ? log_format_head(o->format, weir_realtime_s(), at)
		       : log_format_error_head(weir_realtime_s(), at);
	if (at == o->p)
		return;
	o->n = (size_t)(at - o->p);
	log_out_flush(o);
}
