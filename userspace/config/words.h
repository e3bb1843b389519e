/* SPDX-License-Identifier: GPL-2.0 */
/* A list of texts in the configuration. */
#ifndef WEIR_CONFIG_WORDS_H
#define WEIR_CONFIG_WORDS_H

#include <stddef.h>

struct weir_conf_words {
	char **items;
	size_t count;
};

#endif
