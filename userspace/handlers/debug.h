/* SPDX-License-Identifier: GPL-2.0 */
/* The handler of `debug` pools, a diagnostic one: it does to its worker, on request, what applications do by accident.
 * For trying out limits, health checks and recycling; never on a pool that strangers can reach. By the last two
 * segments of the path (or the last):
 *
 *   /sleep/MS     blocks the thread that long, then 200
 *   /cpu/MS       the same, busy
 *   /bytes/N      N bytes of a pattern that repeats
 *   /memory/MB    takes memory and keeps it
 *   /echo         the request's head, as it came
 *   /status/CODE  that status, 200 to 599
 *   /crash        SIGSEGV
 *   /hang         never returns
 *
 * Nothing of it is ever cached. */
#ifndef WEIR_DEBUG_H
#define WEIR_DEBUG_H

#include "handlers/handler.h"

/* Fills *resp, which the caller has reset. Any thread. */
void weir_debug_serve(const struct weir_call *call, struct weir_response *resp);

#endif
