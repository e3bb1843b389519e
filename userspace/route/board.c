/* SPDX-License-Identifier: GPL-2.0 */
/* The route table that the workers of an instance share: a file with room for two tables. One is read; the supervisor
 * writes the next one into the other half and then says which one holds. A reader that was held up so long that its
 * half is written again sees that by the half's sequence number, and asks once more. */
#include "route/table.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define BOARD_MAGIC 0x3164726f626f7277ULL
#define PAGE_BYTES 4096
#define NONE 2 /* no table was posted yet */

struct half {
	uint64_t sequence; /* odd while it is written; atomic */
	uint64_t pad[7];
};

struct weir_route_board {
	uint64_t magic;
	uint32_t row_bytes; /* sizeof(struct route_row): tells versions apart */
	uint32_t current;   /* half that holds; atomic */
	uint64_t pad[6];
	struct half halves[2];
};

static size_t board_bytes(void)
{
	return PAGE_BYTES + 2 * (size_t)ROUTE_TABLE_BYTES_MAX;
}

static const struct weir_route_table *table_of(const struct weir_route_board *b, uint32_t half)
{
	return (const void *)((const char *)b + PAGE_BYTES + (size_t)half * ROUTE_TABLE_BYTES_MAX);
}

static void init(struct weir_route_board *b)
{
	b->magic = BOARD_MAGIC;
	b->row_bytes = sizeof(struct route_row);
	b->current = NONE;
}

static bool is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() && !(st->st_mode & 077) &&
	       (size_t)st->st_size == board_bytes();
}

int weir_route_board_open(const char *path, bool is_new, struct weir_route_board **ret_writer,
			  const struct weir_route_board **ret_reader)
{
	_cleanup_close_ int fd = -1, read_fd = -1;
	struct stat st;
	void *w, *r;

	if (is_new && unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (is_new ? O_CREAT | O_EXCL : 0), 0600);
	if (fd < 0 || (is_new && ftruncate(fd, (off_t)board_bytes()) < 0) || fstat(fd, &st) < 0)
		return -errno;
	if (!is_ours(&st))
		return -EBADMSG;
	read_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (read_fd < 0)
		return -errno;
	w = mmap(NULL, board_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (w == MAP_FAILED)
		return -errno;
	r = mmap(NULL, board_bytes(), PROT_READ, MAP_SHARED, read_fd, 0);
	if (r == MAP_FAILED || madvise(w, board_bytes(), MADV_DONTFORK) < 0) {
		int error = -errno;

		weir_route_board_close(w, r == MAP_FAILED ? NULL : r);
		return error;
	}
	*ret_writer = w;
	*ret_reader = r;
	if (is_new)
		init(w);
	if (((struct weir_route_board *)w)->magic == BOARD_MAGIC &&
	    ((struct weir_route_board *)w)->row_bytes == sizeof(struct route_row))
		return 0;
	weir_route_board_close(w, r);
	return -EBADMSG;
}

void weir_route_board_close(struct weir_route_board *writer, const struct weir_route_board *reader)
{
	if (writer)
		(void)munmap(writer, board_bytes());
	if (reader && reader != writer)
		(void)munmap((void *)(uintptr_t)reader, board_bytes());
}

int weir_route_board_new(struct weir_route_board **ret)
{
	void *p = mmap(NULL, board_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	init(p);
	*ret = p;
	return 0;
}

int weir_route_post(struct weir_route_board *b, const struct weir_route_table *t)
{
	uint32_t current = __atomic_load_n(&b->current, __ATOMIC_RELAXED), next = current == 0 ? 1 : 0;
	struct half *half = &b->halves[next];
	void *to = (void *)(uintptr_t)table_of(b, next);
	uint64_t sequence = __atomic_load_n(&half->sequence, __ATOMIC_RELAXED) | 1;

	if (t->bytes > ROUTE_TABLE_BYTES_MAX)
		return -E2BIG;
	/* a full file system is an error here, and not a signal in the copy */
	if (madvise(to, t->bytes, MADV_POPULATE_WRITE) < 0 && errno != EINVAL)
		return errno == EFAULT ? -ENOSPC : -errno;
	__atomic_store_n(&half->sequence, sequence, __ATOMIC_RELAXED);
	/* release: who sees a byte of the new table sees the odd sequence number; pairs with the fence in weir_route_ask() */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(to, t, t->bytes);
	__atomic_store_n(&half->sequence, sequence + 1, __ATOMIC_RELEASE);
	/* release: pairs with the acquire in weir_route_ask() */
	__atomic_store_n(&b->current, next, __ATOMIC_RELEASE);
	return 0;
}

/* The sizes as they are now, if they make sense. */
static bool view(const struct weir_route_table *t, struct route_view *ret)
{
	ret->table = t;
	ret->bytes = __atomic_load_n(&t->bytes, __ATOMIC_RELAXED);
	ret->rows_count = __atomic_load_n(&t->rows_count, __ATOMIC_RELAXED);
	return ret->bytes <= ROUTE_TABLE_BYTES_MAX &&
	       ret->rows_count <= (ROUTE_TABLE_BYTES_MAX - sizeof(*t)) / sizeof(t->rows[0]);
}

bool weir_route_ask(const struct weir_route_board *b, uint16_t port, const struct weir_addr *local, const char *host,
		    size_t host_bytes, const char *path, size_t path_bytes, struct weir_route_found *ret)
{
	for (;;) {
		uint32_t current = __atomic_load_n(&b->current, __ATOMIC_ACQUIRE);
		const struct half *half = &b->halves[current & 1];
		uint64_t sequence;
		struct route_view v;
		bool is_found;

		if (current >= NONE)
			return false;
		sequence = __atomic_load_n(&half->sequence, __ATOMIC_ACQUIRE);
		is_found = view(table_of(b, current & 1), &v) &&
			   route_view_find(&v, port, local, host, host_bytes, path, path_bytes, ret);
		/* acquire: no read of the table comes after that of the sequence number */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(sequence & 1) && __atomic_load_n(&half->sequence, __ATOMIC_RELAXED) == sequence)
			return is_found;
	}
}
