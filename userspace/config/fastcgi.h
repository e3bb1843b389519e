/* SPDX-License-Identifier: GPL-2.0 */
/* What a pool says about its FastCGI application (handler = fastcgi). Embedded in struct weir_conf_pool. */
#ifndef WEIR_CONFIG_FASTCGI_H
#define WEIR_CONFIG_FASTCGI_H

#include <stdbool.h>

#include "config/words.h"

struct weir_conf_fastcgi {
	char *extension;	       /* of scripts, ".php" */
	char *index;		       /* script that stands for its directory */
	char *front;		       /* script for what is no file, below the root, begins with '/'; NULL: none */
	bool takes_all;		       /* every request is the application's; no file is looked at */
	bool keep_conn;		       /* connections to the application stay open */
	struct weir_conf_words params; /* "NAME=VALUE" */
};

#endif
