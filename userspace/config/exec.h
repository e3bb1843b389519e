/* SPDX-License-Identifier: GPL-2.0 */
/* What a pool says about the program that each of its slots runs. Embedded in struct
 * weir_conf_pool. */
#ifndef WEIR_CONFIG_EXEC_H
#define WEIR_CONFIG_EXEC_H

#include "config/words.h"

/* The listening socket that a program inherits. */
enum weir_exec_socket {
	WEIR_EXEC_UNIX, /* beside the control socket, for the pool's account alone */
	WEIR_EXEC_TCP,	/* a port of 127.0.0.1 that the kernel chooses */
};

struct weir_conf_exec {
	struct weir_conf_words command; /* program, absolute, and its arguments; empty: none */
	char *directory;		/* absolute; NULL: the pool's root, or / */
	enum weir_exec_socket socket;
	unsigned overlap_ms; /* recycling: the next program runs so long before the old one is
				ended; 0: never both */
	char *stop;	     /* name of the signal that ends it, see weir_conf_signal_parse() */
	char *ping;	     /* target of the health ping; NULL: none */
};

#endif
