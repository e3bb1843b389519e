// SPDX-License-Identifier: GPL-2.0
/* The region: making it, mapping it, its lock, its readers. */
#include "cache/store_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "weir/siphash.h"

#include "common/macro.h"

static uint64_t align(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* Where everything lies in a region of r->bytes. */
static void lay_out(struct region *r)
{
	uint64_t rest;

	r->objects_count = (uint32_t)MIN(r->bytes / OBJECT_SHARE, (uint64_t)UINT32_MAX / 2);
	for (r->buckets_count = 1; r->buckets_count < r->objects_count; r->buckets_count *= 2)
		;
	r->buckets_off = align(sizeof(*r), 64);
	r->objects_off = align(r->buckets_off + 4ull * r->buckets_count, 64);
	r->pins_off = align(r->objects_off + sizeof(struct object) * r->objects_count, 64);
	r->ghosts_off = align(r->pins_off + 4ull * r->readers_count * r->objects_count, 64);
	r->map_off = align(r->ghosts_off + 4ull * r->objects_count, 64);
	rest = r->bytes - MIN(r->map_off + BLOCK_BYTES, r->bytes);
	r->blocks_count = (uint32_t)MIN(rest / (BLOCK_BYTES + 1), (uint64_t)UINT32_MAX / 2);
	r->blocks_off = align(r->map_off + r->blocks_count, BLOCK_BYTES);
}

static int init_lock(struct region *r)
{
	pthread_mutexattr_t a;
	int e;

	(void)pthread_mutexattr_init(&a);
	(void)pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	(void)pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	e = pthread_mutex_init(&r->lock, &a);
	(void)pthread_mutexattr_destroy(&a);
	return -e;
}

static void point(struct weir_store *s, struct region *r)
{
	char *base = (char *)r;

	s->r = r;
	s->bytes = r->bytes;
	s->objects_count = r->objects_count;
	s->buckets_count = r->buckets_count;
	s->readers_count = r->readers_count;
	s->blocks_count = r->blocks_count;
	memcpy(s->secret, r->secret, sizeof(s->secret));
	s->buckets = (uint32_t *)(base + r->buckets_off);
	s->objects = (struct object *)(base + r->objects_off);
	s->pins = (uint32_t *)(base + r->pins_off);
	s->ghosts = (uint32_t *)(base + r->ghosts_off);
	s->map = (uint8_t *)(base + r->map_off);
	s->blocks = base + r->blocks_off;
	s->row = ROW_NONE;
}

static int init(int fd, uint64_t bytes, unsigned readers)
{
	struct region *r = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct weir_store s = {};
	int e;

	if (r == MAP_FAILED)
		return -errno;
	r->bytes = bytes;
	r->readers_count = MIN(MAX(readers, 1u), READERS_MAX);
	lay_out(r);
	e = getrandom(r->secret, sizeof(r->secret), 0) == sizeof(r->secret) ? init_lock(r) : -EIO;
	if (e == 0) {
		point(&s, r);
		store_repair(&s);
		r->counters[WEIR_STORE_COUNT_repaired] = 0;
		r->version = STORE_VERSION;
		r->magic = STORE_MAGIC;
	}
	munmap(r, bytes);
	return e;
}

int weir_store_create(uint64_t bytes, unsigned readers, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int e;

	bytes = align(MAX(bytes, (uint64_t)WEIR_STORE_BYTES_MIN), 4096);
	fd = memfd_create("weir-cache", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return -errno;
	/* nobody who maps it can take the memory away from the others */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	e = init(fd, bytes, readers);
	if (e < 0)
		return e;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The numbers in the header follow from two of them: they are believed if they do. */
static bool is_sound(const struct region *r, uint64_t bytes)
{
	struct region again = { .bytes = bytes, .readers_count = r->readers_count };

	if (r->magic != STORE_MAGIC || r->version != STORE_VERSION || r->bytes != bytes || r->readers_count < 1 ||
	    r->readers_count > READERS_MAX)
		return false;
	lay_out(&again);
	return again.objects_count == r->objects_count && again.buckets_count == r->buckets_count &&
	       again.blocks_count == r->blocks_count && again.buckets_off == r->buckets_off &&
	       again.objects_off == r->objects_off && again.pins_off == r->pins_off &&
	       again.ghosts_off == r->ghosts_off && again.map_off == r->map_off && again.blocks_off == r->blocks_off;
}

int weir_store_open(int fd, const struct weir_store_kernel *kernel, struct weir_store **ret)
{
	struct weir_store *s;
	struct region *r;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)WEIR_STORE_BYTES_MIN)
		return -EBADMSG;
	r = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r == MAP_FAILED)
		return -errno;
	s = is_sound(r, (uint64_t)st.st_size) ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		int e = is_sound(r, (uint64_t)st.st_size) ? -ENOMEM : -EBADMSG;

		munmap(r, (size_t)st.st_size);
		return e;
	}
	point(s, r);
	if (kernel)
		s->kernel = *kernel;
	*ret = s;
	return 0;
}

void weir_store_set_kernel(struct weir_store *s, const struct weir_store_kernel *kernel)
{
	s->kernel = *kernel;
}

struct weir_store *weir_store_free(struct weir_store *s)
{
	if (s) {
		munmap(s->r, s->bytes);
		free(s);
	}
	return NULL;
}

struct object *store_object(const struct weir_store *s, uint32_t number)
{
	return number >= 1 && number <= s->objects_count ? &s->objects[number - 1] : NULL;
}

/* --- lock --- */

int store_lock(struct weir_store *s)
{
	struct timespec until;
	int e;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LOCK_MS / 1000;
	e = pthread_mutex_clocklock(&s->r->lock, CLOCK_MONOTONIC, &until);
	if (e == EOWNERDEAD) {
		/* this first: should we die in the repair, the next one repairs */
		__atomic_store_n(&s->r->is_broken, 1, __ATOMIC_RELAXED);
		e = pthread_mutex_consistent(&s->r->lock);
	}
	if (e)
		return -ETIMEDOUT;
	if (__atomic_load_n(&s->r->is_broken, __ATOMIC_RELAXED)) {
		store_repair(s);
		__atomic_store_n(&s->r->is_broken, 0, __ATOMIC_RELAXED);
		weir_store_count(s, WEIR_STORE_COUNT_repaired, 1);
	}
	return 0;
}

void store_unlock(struct weir_store *s)
{
	(void)pthread_mutex_unlock(&s->r->lock);
}

/* --- readers --- */

int weir_store_enter(struct weir_store *s, uint64_t reader)
{
	uint64_t nobody;
	uint32_t i;

	for (i = 0; i < s->readers_count; i++) {
		nobody = 0;
		if (__atomic_compare_exchange_n(&s->r->readers[i], &nobody, reader + 1, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED)) {
			s->row = i;
			return 0;
		}
	}
	return -EBUSY;
}

/* Fetches that the row's reader will not finish. Under lock. */
static void drop_fills(struct weir_store *s, uint32_t row)
{
	uint32_t i;

	for (i = 0; i < s->objects_count; i++)
		if (s->objects[i].owner == row && s->objects[i].state == OBJECT_FILLING)
			object_kill(s, &s->objects[i]);
}

void weir_store_bury(struct weir_store *s, uint64_t reader)
{
	uint32_t row;

	for (row = 0; row < s->readers_count; row++)
		if (__atomic_load_n(&s->r->readers[row], __ATOMIC_ACQUIRE) == reader + 1)
			break;
	/* Without the lock the row stays taken: better that than objects that are nobody's. */
	if (row == s->readers_count || store_lock(s) < 0)
		return;
	memset(s->pins + (uint64_t)row * s->objects_count, 0, 4ull * s->objects_count);
	drop_fills(s, row);
	objects_bury(s);
	__atomic_store_n(&s->r->readers[row], 0, __ATOMIC_RELEASE);
	store_unlock(s);
	if (s->row == row)
		s->row = ROW_NONE;
}

void weir_store_bury_slot(struct weir_store *s, uint32_t slot)
{
	uint64_t reader;
	uint32_t row;

	for (row = 0; row < s->readers_count; row++) {
		reader = __atomic_load_n(&s->r->readers[row], __ATOMIC_ACQUIRE);
		if (reader && (reader - 1) >> 32 == slot)
			weir_store_bury(s, reader - 1);
	}
}

/* --- digests and counters --- */

void store_digest(const uint64_t secret[2], uint64_t salt, const char *bytes, size_t count, uint64_t ret[2])
{
	const __u64 key[2] = { secret[0], secret[1] };
	struct weir_sip sip;
	__u64 word, out[2];
	size_t i;

	weir_sip13_init128(&sip, key);
	weir_sip13_word(&sip, salt);
	weir_sip13_word(&sip, count);
	for (i = 0; i + sizeof(word) <= count; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		weir_sip13_word(&sip, word);
	}
	word = 0;
	memcpy(&word, bytes + i, count - i);
	weir_sip13_word(&sip, word);
	weir_sip13_final128(&sip, out);
	ret[0] = out[0];
	ret[1] = out[1];
}

void weir_store_key_hash(const struct weir_store *s, uint16_t port, struct weir_store_key *key)
{
	store_digest(s->secret, port, key->text, key->bytes, key->hash);
}

void weir_store_count(struct weir_store *s, enum weir_store_counter c, uint64_t n)
{
	__atomic_fetch_add(&s->r->counters[c], n, __ATOMIC_RELAXED);
}
