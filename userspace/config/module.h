/* SPDX-License-Identifier: GPL-2.0 */
/* What a pool says about its module (handler = module), and about what a request may bring. Embedded in struct
 * weir_conf_pool. */
#ifndef WEIR_CONFIG_MODULE_H
#define WEIR_CONFIG_MODULE_H

#include "config/words.h"

/* System calls that are left to a worker, see weir.conf(5). */
enum weir_sandbox {
	WEIR_SANDBOX_STRICT,  /* what serving needs, no more */
	WEIR_SANDBOX_RELAXED, /* what libraries need: files, sockets, threads; no programs, no look at other processes */
	WEIR_SANDBOX_OFF,     /* everything but bpf(2) and other processes' memory */
};

struct weir_conf_module {
	char *file;			/* absolute; NULL: none */
	struct weir_conf_words options; /* "key=value" */
	enum weir_sandbox sandbox;
	unsigned request_body_max_kb; /* 0: any */
};

#endif
