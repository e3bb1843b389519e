/* SPDX-License-Identifier: GPL-2.0 */
/* The process that people start with `weir run`: owns configuration, BPF objects, listening sockets, the control
 * socket and the keepers. It serves no request and parses nothing that a client sent. */
#ifndef WEIR_SUPERVISOR_H
#define WEIR_SUPERVISOR_H

#include "config/config.h"

/* Runs an instance in the foreground until it is told to stop. Logs everything. 0: it ended as it was asked to;
 * -errno: it could not start. */
int sup_run(const struct weir_conf_options *options);

/* For `weir stop` when the supervisor was killed: ends the workers that it left, and what is attached. -ENOENT: it left
 * none. */
int sup_end_orphans(const char *control);

#endif
