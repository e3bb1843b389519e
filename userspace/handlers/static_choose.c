/* SPDX-License-Identifier: GPL-2.0 */
/* Which representation a request gets, and compressing a file when it is asked for the first time: by the one thread
 * that came first. Others do not wait for it, they take the next best. */
#include "handlers/static_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static bool is_as_read(int fd, const struct stat *st)
{
	struct stat now;

	return fstat(fd, &now) == 0 && now.st_size == st->st_size &&
	       weir_static_modified_ns(&now) == weir_static_modified_ns(st);
}

/* -ESTALE: the file is no longer the one that its head describes. */
static int make(struct weir_static *s, struct static_file *f, enum weir_coding coding, struct static_rep **ret)
{
	const struct static_rep *from = f->reps[WEIR_CODING_IDENTITY];
	_cleanup_(weir_static_rep_freep) struct static_rep *rep = calloc(1, sizeof(*rep));
	_cleanup_free_ void *bytes = NULL;
	size_t count;
	int r;

	if (!rep)
		return -ENOMEM;
	rep->coding = coding;
	rep->fd = -1;
	rep->modified_ns = from->modified_ns;
	if (!from->body) {
		r = weir_static_read(from->fd, from->bytes, &bytes);
		if (r < 0)
			return r;
		if (!is_as_read(from->fd, &f->st))
			return -ESTALE;
	}
	r = weir_static_compress(coding, s->options.compress_level, from->body ? from->body : bytes, from->bytes,
				 &rep->body, &count);
	if (r < 0)
		return r;
	rep->bytes = count;
	/* not 0, which would be no mark */
	r = weir_static_describe_rep(f, rep, (uint32_t)crc32(0, rep->body, (uInt)count) | 1);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(rep);
	return 0;
}

/* The state after it was tried. */
static enum static_state try_to_make(struct weir_static *s, struct static_file *f, enum weir_coding coding)
{
	uint8_t expected = STATIC_UNKNOWN;
	struct static_rep *rep = NULL;
	int r;

	if (!__atomic_compare_exchange_n(&f->states[coding], &expected, STATIC_BUSY, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_ACQUIRE))
		return expected;
	r = make(s, f, coding, &rep);
	if (r == 0) {
		weir_static_add_rep(s, f, rep);
		return STATIC_READY;
	}
	__atomic_store_n(&f->states[coding], r == -EFBIG ? STATIC_NONE : STATIC_UNKNOWN, __ATOMIC_RELEASE);
	return r == -EFBIG ? STATIC_NONE : STATIC_BUSY;
}

static unsigned heaviest(const uint16_t weights[WEIR_CODING__MAX])
{
	unsigned best = 0, c;

	for (c = 1; c < WEIR_CODING__MAX; c++)
		if (weights[c] > weights[best])
			best = c;
	return best;
}

/* Whether the weights prefer nothing against our own order: then the choice is that of everybody who accepts the same
 * codings. */
static bool is_in_order(const uint16_t weights[WEIR_CODING__MAX])
{
	uint16_t least = 1000;
	unsigned c;

	for (c = 0; c < WEIR_CODING__MAX; c++) {
		if (weights[c] == 0)
			continue;
		if (weights[c] > least)
			return false;
		least = weights[c];
	}
	return true;
}

const struct static_rep *weir_static_choose(struct weir_static *s, struct static_file *f,
					    const struct weir_request *req, bool *ret_is_final)
{
	struct weir_str value = req->fields[WEIR_FIELD_ACCEPT_ENCODING];
	uint16_t weights[WEIR_CODING__MAX];
	unsigned c;

	*ret_is_final = true;
	/* Without a zero in it the field excludes nothing. */
	if (req->counts[WEIR_FIELD_ACCEPT_ENCODING] != 1 ||
	    (!f->has_variants && (value.n == 0 || !memchr(value.p, '0', value.n))))
		return f->reps[WEIR_CODING_IDENTITY];
	weir_encoding_weigh(value, weights);
	*ret_is_final = is_in_order(weights);
	for (c = heaviest(weights); weights[c] > 0; c = heaviest(weights)) {
		/* acquire: pairs with the release in weir_static_add_rep() */
		enum static_state state = __atomic_load_n(&f->states[c], __ATOMIC_ACQUIRE);

		if (state == STATIC_UNKNOWN)
			state = try_to_make(s, f, (enum weir_coding)c);
		if (state == STATIC_READY)
			return f->reps[c];
		if (state != STATIC_NONE)
			*ret_is_final = false;
		weights[c] = 0;
	}
	return NULL;
}
