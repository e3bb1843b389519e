// SPDX-License-Identifier: GPL-2.0
/* A ring of keys that workers purged by order of a client: the supervisor of a fleet has the other hosts told of them. Written
 * under the lock, read without it: a row that changes while it is read, or that nobody finished, counts as lost. */
#include "cache/store_priv.h"

#include <string.h>

#include "common/macro.h"

void weir_store_tell(struct weir_store *s, struct weir_str key)
{
	struct region *r = s->r;
	struct told *row;
	uint64_t number;

	if (store_lock(s) < 0) {
		/* the count alone: a row that is missing is one that was lost */
		__atomic_fetch_add(&r->told_count, 1, __ATOMIC_RELEASE);
		return;
	}
	number = __atomic_load_n(&r->told_count, __ATOMIC_RELAXED) + 1;
	row = &r->told[number % TOLD_ROWS];
	__atomic_store_n(&row->number, 0, __ATOMIC_SEQ_CST);
	row->bytes = (uint32_t)MIN(key.n, sizeof(row->text));
	row->is_cut = key.n > sizeof(row->text);
	memcpy(row->text, key.p, row->bytes);
	/* release: pair with the acquires in weir_store_told() */
	__atomic_store_n(&row->number, number, __ATOMIC_RELEASE);
	__atomic_store_n(&r->told_count, number, __ATOMIC_RELEASE);
	store_unlock(s);
}

/* False: it is lost. */
static bool read_row(const struct region *r, uint64_t number, struct told *ret)
{
	const struct told *row = &r->told[number % TOLD_ROWS];

	if (__atomic_load_n(&row->number, __ATOMIC_ACQUIRE) != number)
		return false;
	memcpy(ret, row, sizeof(*ret));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&row->number, __ATOMIC_RELAXED) == number && ret->bytes > 0 &&
	       ret->bytes <= sizeof(ret->text);
}

bool weir_store_told(struct weir_store *s, void (*found)(struct weir_str key, bool is_cut, void *arg), void *arg)
{
	struct region *r = s->r;
	uint64_t count = __atomic_load_n(&r->told_count, __ATOMIC_ACQUIRE);
	uint64_t seen = __atomic_load_n(&r->told_seen, __ATOMIC_RELAXED);
	bool is_whole = seen <= count && count - seen <= TOLD_ROWS;
	struct told row;

	for (; is_whole && seen < count; seen++) {
		is_whole = read_row(r, seen + 1, &row);
		if (is_whole)
			found((struct weir_str){ row.text, row.bytes }, row.is_cut, arg);
	}
	__atomic_store_n(&r->told_seen, count, __ATOMIC_RELAXED);
	return is_whole;
}
