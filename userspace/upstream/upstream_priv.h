/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of upstream/: what balancing asks of a server. */
#ifndef WEIR_UPSTREAM_PRIV_H
#define WEIR_UPSTREAM_PRIV_H

#include "upstream/upstream.h"

/* Whether a server may take one request more. */
static inline bool up_has_room(const struct weir_up_server *s)
{
	return s->conf->max_conns == 0 || s->active < s->conf->max_conns;
}

#endif
