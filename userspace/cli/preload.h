/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of `weir cache preload`: which URLs there are to fetch. */
#ifndef CMD_PRELOAD_H
#define CMD_PRELOAD_H

#include <stddef.h>

#define CMD_URLS_MAX 1000000
#define CMD_SOURCE_MAX (256 << 20) /* bytes of a list or sitemap */

struct cmd_urls {
	char **items;
	size_t count, room;
	size_t bad; /* lines that are no URL */
};
void cmd_urls_fini(struct cmd_urls *u);
/* -E2BIG, -ENOMEM. What is no URL is counted. */
int cmd_urls_add(struct cmd_urls *u, const char *text, size_t bytes);
/* One URL a line; empty lines and those that begin with '#' are left out. */
int cmd_urls_read_list(struct cmd_urls *u, const char *text, size_t bytes);
/* The <loc> elements of a sitemap (sitemaps.org). */
int cmd_urls_read_sitemap(struct cmd_urls *u, const char *text, size_t bytes);
/* Whether it is one, and, *ret_is_index, one whose URLs are sitemaps. */
int cmd_is_sitemap(const char *text, size_t bytes, int *ret_is_index);

#endif
