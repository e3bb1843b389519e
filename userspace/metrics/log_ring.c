/* SPDX-License-Identifier: GPL-2.0 */
/* The rings between workers and the log's process. Where a cell is in its life is one word, `turn`; a producer that was
 * killed, or stopped for long, between reserving and publishing loses its cell by compare-and-swap. */
#include "metrics/log_ring.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/macro.h"

static const char *const phrases[] = {
	"-",
#define WEIR_ROW(name, phrase, help) phrase,
#include "metrics/reasons.def"
#undef WEIR_ROW
};

const char *weir_log_reason_phrase(unsigned reason)
{
	return phrases[reason < WEIR_LOG_REASON__MAX ? reason : 0];
}

const char *weir_log_by_name(unsigned by)
{
	static const char *const names[WEIR_LOG_BY__MAX] = { "worker", "static", "debug", "module", "proxy", "memory" };

	return by < WEIR_LOG_BY__MAX ? names[by] : "-";
}

static uint64_t lap(uint64_t position)
{
	return position / WEIR_LOG_CELLS * 2;
}

struct weir_log_record *weir_log_reserve(struct weir_log_ring *r, uint64_t *ret_position)
{
	uint64_t at = __atomic_load_n(&r->tail, __ATOMIC_RELAXED);

	for (;;) {
		struct weir_log_cell *c = &r->cells[at % WEIR_LOG_CELLS];
		/* acquire: pairs with the release of the consumer, whose copy of the last record is complete */
		uint64_t turn = __atomic_load_n(&c->turn, __ATOMIC_ACQUIRE);

		if (turn < lap(at)) {
			__atomic_add_fetch(&r->lost, 1, __ATOMIC_RELAXED);
			return NULL;
		}
		if (turn > lap(at)) {
			uint64_t before = at;

			at = __atomic_load_n(&r->tail, __ATOMIC_RELAXED);
			/* who moved the turn had moved the tail: here somebody wrote nonsense */
			if (at == before) {
				__atomic_add_fetch(&r->lost, 1, __ATOMIC_RELAXED);
				return NULL;
			}
			continue;
		}
		if (__atomic_compare_exchange_n(&r->tail, &at, at + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			*ret_position = at;
			return &c->record;
		}
	}
}

bool weir_log_publish(struct weir_log_ring *r, uint64_t position)
{
	uint64_t turn = lap(position);

	/* release: the record before its turn. Fails when the consumer has skipped us. */
	(void)__atomic_compare_exchange_n(&r->cells[position % WEIR_LOG_CELLS].turn, &turn, turn + 1, false,
					  __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	return position % WEIR_LOG_WAKE_EVERY == 0 &&
	       position - __atomic_load_n(&r->head, __ATOMIC_RELAXED) >= WEIR_LOG_WAKE_EVERY / 2;
}

void weir_log_wake(struct weir_log_shared *s)
{
	__atomic_add_fetch(&s->wake, 1, __ATOMIC_RELEASE);
	(void)syscall(SYS_futex, &s->wake, FUTEX_WAKE, 1, NULL, NULL, 0);
}

uint32_t weir_log_before_sleep(const struct weir_log_shared *s)
{
	return __atomic_load_n(&s->wake, __ATOMIC_ACQUIRE);
}

void weir_log_sleep(struct weir_log_shared *s, uint32_t before, unsigned ms)
{
	const struct timespec limit = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)syscall(SYS_futex, &s->wake, FUTEX_WAIT, before, &limit, NULL, 0);
}

uint16_t weir_log_text(struct weir_log_record *rec, size_t *used, struct weir_str s, size_t max)
{
	size_t n = MIN(MIN(s.n, max), sizeof(rec->text) - *used);

	if (n > 0)
		memcpy(rec->text + *used, s.p, n);
	*used += n;
	return (uint16_t)n;
}

/* Lengths that the text has room for. */
static void confine(struct weir_log_record *rec)
{
	uint16_t *const lengths[] = { &rec->method_bytes, &rec->target_bytes, &rec->host_bytes, &rec->referer_bytes,
				      &rec->agent_bytes };
	size_t i, left = sizeof(rec->text);

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		*lengths[i] = (uint16_t)MIN((size_t)*lengths[i], left);
		left -= *lengths[i];
	}
}

/* Reserved, and not filled. True: it is skipped. */
static bool is_dead(struct weir_log_cell *c, uint64_t turn, uint64_t at, struct weir_log_reader *reader,
		    uint64_t now_ms)
{
	if (reader->stuck_at != at + 1) {
		reader->stuck_at = at + 1;
		reader->stuck_ms = now_ms;
		return false;
	}
	return now_ms >= reader->stuck_ms + WEIR_LOG_STUCK_MS &&
	       __atomic_compare_exchange_n(&c->turn, &turn, turn + 2, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

enum weir_log_next weir_log_take(struct weir_log_ring *r, struct weir_log_reader *reader, uint64_t now_ms,
				 struct weir_log_record *ret)
{
	uint64_t at = r->head, tail = __atomic_load_n(&r->tail, __ATOMIC_RELAXED), turn;
	struct weir_log_cell *c = &r->cells[at % WEIR_LOG_CELLS];

	/* acquire: pairs with weir_log_publish() */
	turn = __atomic_load_n(&c->turn, __ATOMIC_ACQUIRE);
	if (turn == lap(at) + 1) {
		*ret = c->record;
		confine(ret);
		reader->stuck_at = 0;
		/* release: pairs with the acquire in weir_log_reserve(): our copy is complete */
		__atomic_store_n(&c->turn, turn + 1, __ATOMIC_RELEASE);
		__atomic_store_n(&r->head, at + 1, __ATOMIC_RELAXED);
		return WEIR_LOG_TAKEN;
	}
	if (turn != lap(at) || tail == at || !is_dead(c, turn, at, reader, now_ms))
		return WEIR_LOG_EMPTY;
	__atomic_store_n(&r->head, at + 1, __ATOMIC_RELAXED);
	reader->stuck_at = 0;
	return WEIR_LOG_SKIPPED;
}
