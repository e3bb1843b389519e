/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of `weir top`: what is shown (top.c, plain data) and the screen that shows it (top_screen.c). */
#ifndef CMD_TOP_H
#define CMD_TOP_H

#include "cli/cli.h"

/* What one look at the instance brought. Owned. */
struct top_look {
	double at_s; /* CLOCK_MONOTONIC */
	json_t *stats, *status, *busiest;
};

enum top_sort {
	TOP_SORT_NAME,
	TOP_SORT_REQUESTS,
	TOP_SORT_HITS,
	TOP_SORT_QUEUE,
	TOP_SORT__MAX,
};
const char *top_sort_name(enum top_sort sort);

/* A pool between two looks. Text is the look's. */
struct top_pool {
	const char *name, *state;
	double requests, hits, refused; /* a second */
	json_int_t queue, oldest_ms, threads, busy, connections, resident, restarts;
	double p99_ms; /* of the requests between the looks; below 0: there were none */
};

/* The whole instance between two looks. */
struct top_sum {
	double requests, hits, misses, handovers, seizes; /* a second */
	double ratio;					  /* percent; below 0: there were no requests */
};

struct top_sum top_sum_make(const struct top_look *now, const struct top_look *before);
/* Fills up to `max` rows, sorted; returns how many. */
size_t top_pools_make(const struct top_look *now, const struct top_look *before, enum top_sort sort,
		      struct top_pool *ret, size_t max);

/* What the user wants next. */
enum top_action {
	TOP_NONE,
	TOP_QUIT,
	TOP_RECYCLE, /* the pool that is chosen */
	TOP_PURGE,   /* the URL that is chosen */
};

struct top_screen {
	enum top_sort sort;
	bool is_in_urls;   /* the arrows move in the list of URLs, not of pools */
	size_t pool, url;  /* rows that are chosen */
	char message[160]; /* of the last action */
};

void top_screen_begin(void);
void top_screen_end(void);
void top_screen_draw(struct top_screen *t, const struct top_look *now, const struct top_look *before);
/* Waits up to `ms` for a key. */
enum top_action top_screen_key(struct top_screen *t, int ms);

#endif
