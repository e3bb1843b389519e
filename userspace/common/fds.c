/* SPDX-License-Identifier: GPL-2.0 */
/* One close_range(2) for each gap between the descriptors that stay. */
#include "common/fds.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

static int by_number(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

void weir_fds_close_except(int *keep, size_t count)
{
	unsigned from = 3;
	size_t i;

	qsort(keep, count, sizeof(*keep), by_number);
	for (i = 0; i < count; i++) {
		unsigned fd = (unsigned)keep[i];

		if (keep[i] < 0 || fd < from)
			continue;
		if (fd > from)
			(void)close_range(from, fd - 1, 0);
		from = fd + 1;
	}
	(void)close_range(from, UINT_MAX, 0);
}
