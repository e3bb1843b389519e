// SPDX-License-Identifier: GPL-2.0
/* Draws [=====>    ] 42% and a few words in one line that is written over and over. */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/macro.h"

#define EVERY_MS 100
#define WIDTH_MAX 60
#define WORDS_MAX 60

static unsigned columns(void)
{
	struct winsize w = {};

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}

void cmd_progress_begin(struct cmd_progress *p, uint64_t total)
{
	*p = (struct cmd_progress){ .is_shown = isatty(STDERR_FILENO) == 1, .total = MAX(total, (uint64_t)1) };
}

void cmd_progress_show(struct cmd_progress *p, uint64_t done, const char *words)
{
	static const char full[] = "============================================================";
	unsigned room, filled, width;
	uint64_t now = weir_now_ms();

	done = MIN(done, p->total);
	if (!p->is_shown || (p->shown_ms && now - p->shown_ms < EVERY_MS && done < p->total))
		return;
	p->shown_ms = now;
	room = columns();
	width = room > WORDS_MAX + 20 ? MIN(room - WORDS_MAX - 10, (unsigned)WIDTH_MAX) : 10;
	filled = (unsigned)((double)done / (double)p->total * width);
	fprintf(stderr, "\r\033[K[%.*s%s%*s] %3u%% %.*s", (int)filled, full, filled < width ? ">" : "",
		(int)(width - filled) - (filled < width), "", (unsigned)((double)done / (double)p->total * 100),
		room > width + 8 ? (int)(room - width - 8) : 0, words);
	(void)fflush(stderr);
}

void cmd_progress_end(struct cmd_progress *p)
{
	if (p->is_shown)
		fprintf(stderr, "\r\033[K");
}
