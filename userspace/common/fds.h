/* SPDX-License-Identifier: GPL-2.0 */
/* Descriptors of the whole process. */
#ifndef WEIR_COMMON_FDS_H
#define WEIR_COMMON_FDS_H

#include <stddef.h>

/* Closes every descriptor above 2 that is not in `keep`. Sorts `keep`; entries below 0 are ignored. */
void weir_fds_close_except(int *keep, size_t count);

#endif
