/* SPDX-License-Identifier: GPL-2.0 */
/* The error log's rate: a flood of one reason gets LOG_ERRORS_MAX lines a second, then a line that counts the others. */
#include "logger/log_priv.h"

#include "common/macro.h"

static struct {
	uint64_t second;
	uint32_t lines;
	uint64_t left_out;
	const char *phrase;
} rates[LOG_REASONS];

static void say(struct log_out *o, unsigned reason, uint64_t now_ms)
{
	char what[160];

	snprintf(what, sizeof(what), "%s: %llu more within that second", rates[reason].phrase,
		 (unsigned long long)rates[reason].left_out);
	rates[reason].left_out = 0;
	log_out_end(o, log_format_remark(NULL, what, log_out_begin(o)), false, now_ms);
}

void log_errors_put(struct log_out *o, const struct log_entry *e, bool is_settling, uint64_t now_ms)
{
	unsigned i = MIN(e->reason_id, (unsigned)LOG_REASONS - 1);

	if (rates[i].second != now_ms / 1000) {
		if (rates[i].left_out > 0)
			say(o, i, now_ms);
		rates[i].second = now_ms / 1000;
		rates[i].lines = 0;
		rates[i].phrase = e->reason;
	}
	if (rates[i].lines >= LOG_ERRORS_MAX) {
		rates[i].left_out++;
		__atomic_add_fetch(&o->shared->suppressed, 1, __ATOMIC_RELAXED);
		if (is_settling)
			__atomic_add_fetch(&o->shared->settled, 1, __ATOMIC_RELAXED);
		return;
	}
	rates[i].lines++;
	log_out_end(o, log_format_error(e, log_out_begin(o)), is_settling, now_ms);
}

void log_errors_tick(struct log_out *o, uint64_t now_ms, bool is_last)
{
	unsigned i;

	for (i = 0; i < LOG_REASONS; i++)
		if (rates[i].left_out > 0 && (is_last || rates[i].second != now_ms / 1000))
			say(o, i, now_ms);
}
