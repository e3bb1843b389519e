/* SPDX-License-Identifier: GPL-2.0 */
/* Ownership and small arithmetic, for every other folder. An owned local carries a _cleanup_ attribute;
 * TAKE_* moves it out. See STYLE.md section 3. */
#ifndef WEIR_COMMON_MACRO_H
#define WEIR_COMMON_MACRO_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(weir_freep)
#define _cleanup_close_ _cleanup_(weir_closep)
#define _cleanup_fclose_ _cleanup_(weir_fclosep)
#define _unused_ __attribute__((unused))
#define _printf_(fmt, first) __attribute__((format(printf, fmt, first)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Yields the descriptor and leaves -1 behind, so that the cleanup attribute keeps its hands off it. */
#define TAKE_FD(fd)                   \
	({                            \
		int *_fdp = &(fd);    \
		int _taken = *_fdp;   \
		*_fdp = -1;           \
		_taken;               \
	})

#define TAKE_PTR(p)                      \
	({                               \
		__typeof__(p) *_pp = &(p); \
		__typeof__(p) _taken = *_pp; \
		*_pp = NULL;             \
		_taken;                  \
	})

/* Defines NAME##p for use with _cleanup_(NAME##p); FREE takes the pointer and accepts NULL. */
#define DEFINE_CLEANUP(type, free)              \
	static inline _unused_ void free##p(type *p) \
	{                                       \
		if (*p)                         \
			free(*p);               \
	}

static inline void weir_freep(void *p)
{
	free(*(void **)p);
}

static inline void weir_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void weir_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#endif
