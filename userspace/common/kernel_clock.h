/* SPDX-License-Identifier: GPL-2.0 */
/* Writes the Date that XDP sends (weir_clock, see weir/endpoint.h): by the supervisor once a second, by a keeper when
 * there is no supervisor. */
#ifndef WEIR_COMMON_KERNEL_CLOCK_H
#define WEIR_COMMON_KERNEL_CLOCK_H

#include <stdbool.h>

#include "weir/endpoint.h"

/* Writes the present second's date, unless somebody has done so or is doing it. False: unless. */
bool weir_clock_write(struct weir_clock *c);

#endif
