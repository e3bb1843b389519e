/* SPDX-License-Identifier: GPL-2.0 */
/* Protection as it is written: prefixes and what happens over a limit. */
#ifndef WEIR_CONFIG_LIMIT_H
#define WEIR_CONFIG_LIMIT_H

#include <stddef.h>

#include "weir/limit.h"

/* "reject", "drop", "pool" for enum weir_limit_action and back. -EINVAL. */
const char *weir_conf_limit_action_name(unsigned action);
int weir_conf_limit_action(const char *text, unsigned *ret);

/* Parses "192.0.2.0/24", "2001:db8::/32" or an address alone; host bits are cleared. -EINVAL. */
int weir_conf_prefix_bits(const char *text, size_t bytes, struct weir_acl_key *ret);

/* Calls fn (which may be NULL) for each prefix of a list separated by spaces; stops at the first error, its own (-EINVAL: the
 * word is in `ret_wrong`) or fn's. */
int weir_conf_acl_each(const char *text, int (*fn)(const struct weir_acl_key *key, void *arg), void *arg,
		       char ret_wrong[64]);

#endif
