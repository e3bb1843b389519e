/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the log's process: one thread. A record becomes a log_entry, an entry becomes lines in two outputs. */
#ifndef LOG_PRIV_H
#define LOG_PRIV_H

#include "weir/event.h"

#include "common/str.h"
#include "config/config.h"
#include "metrics/log_ring.h"
#include "logger/logger.h"

#define LOG_OUT_BYTES (512u << 10)
#define LOG_LINE_MAX (32u << 10) /* bytes of the longest line: every text six times as long as in its record */
#define LOG_FLUSH_MS 100	 /* a line waits at most so long for others */
#define LOG_ERRORS_MAX 100	 /* lines of one reason a second */

/* One request, or a connection without one. Borrowed texts; empty: not known. */
struct log_entry {
	uint64_t time_ns;	 /* CLOCK_REALTIME, when it was over */
	uint64_t sent, received; /* bytes */
	uint64_t took_us;
	struct weir_flow_key key;
	struct weir_str method, target, host, referer, agent;
	const char *pool;
	const char *by;
	const char *reason; /* "-": none */
	unsigned reason_id; /* for the rate of the error log; below LOG_REASONS */
	unsigned status;    /* 0: none */
	unsigned version;   /* 11, 10, 0 */
	unsigned endpoint;
	bool has_head; /* the texts are `head` and are parsed when a line needs them */
	struct weir_str head;
};

#define LOG_REASONS 128
#define LOG_REASON_REFUSAL WEIR_LOG_REASON_REFUSAL
#define LOG_REASON_DROP 96    /* + enum weir_verdict - WEIR_VERDICT_DROP_DENIED */

/* head.c: method, target, version and three fields of a request head that XDP has accepted, be it cut off. */
void log_head_parse(struct weir_str head, struct log_entry *e);

/* format.c */
struct log_format {
	unsigned kind; /* enum weir_log_format */
	uint8_t fields[WEIR_LOG_FIELD__MAX];
	int fields_count;
};
/* Writes one line with its end to `at`, which has room for LOG_LINE_MAX. Returns where it ends. */
char *log_format_access(const struct log_format *f, const struct log_entry *e, char *at);
char *log_format_error(const struct log_entry *e, char *at);
/* Directives for the start of a file. Returns the end; `at` if the format has none. */
char *log_format_head(const struct log_format *f, int64_t now_s, char *at);
char *log_format_error_head(int64_t now_s, char *at);
/* A line that is about the log itself. */
char *log_format_remark(const struct log_format *f, const char *text, char *at); /* f NULL: of the error log */

/* out.c */
struct log_out {
	const struct log_format *format; /* NULL: the error log */
	struct weir_log_shared *shared;
	int fd;		   /* -1: off */
	bool is_torn;	   /* the file does not end with a line's end */
	uint32_t lines;	   /* in the buffer */
	uint32_t records;  /* of them: those that are settled by this output */
	uint64_t since_ms; /* of the oldest line */
	size_t n;
	char p[LOG_OUT_BYTES];
};
/* Takes a descriptor; lines that wait go to the last one. */
void log_out_open(struct log_out *o, int fd);
/* Where a line of up to LOG_LINE_MAX can be written. */
char *log_out_begin(struct log_out *o);
/* It was written, up to `end`. `is_settling`: its record counts as settled once it is in the file. */
void log_out_end(struct log_out *o, const char *end, bool is_settling, uint64_t now_ms);
void log_out_flush(struct log_out *o);

/* errors.c: the error log, at most LOG_ERRORS_MAX lines a second of one reason. */
void log_errors_put(struct log_out *o, const struct log_entry *e, bool is_settling, uint64_t now_ms);
/* Says what was left out; call now and then. */
void log_errors_tick(struct log_out *o, uint64_t now_ms, bool is_last);

/* rights.c: identity, capabilities, system calls. */
int log_give_up_rights(const struct log_setup *setup);

#endif
