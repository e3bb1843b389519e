/* SPDX-License-Identifier: GPL-2.0 */
/* The progress bar of commands that take long. On standard error, and only where that is a terminal. One thread. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cmd_progress {
	bool is_shown;
	uint64_t total;
	uint64_t shown_ms; /* when it was drawn last; 0: not yet */
};

void cmd_progress_begin(struct cmd_progress *p, uint64_t total);
/* Draws, but not more often than ten times a second: how much is done, and a few words behind it. */
void cmd_progress_show(struct cmd_progress *p, uint64_t done, const char *words);
/* Leaves the line empty. */
void cmd_progress_end(struct cmd_progress *p);

#endif
