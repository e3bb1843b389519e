/* SPDX-License-Identifier: GPL-2.0 */
/* What the fleet process may still do. */
#ifndef FLT_RIGHTS_H
#define FLT_RIGHTS_H

#include <stddef.h>
#include <sys/types.h>

/* Takes the account, drops every capability, bounds the memory, and leaves the system calls that a client of a server
 * needs. For good. */
int flt_rights_give_up(uid_t uid, gid_t gid, size_t memory_bytes);

#endif
