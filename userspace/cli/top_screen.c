/* SPDX-License-Identifier: GPL-2.0 */
/* The screen of `weir top`: ncurses, and nothing but what is on the glass. */
#include "cli/top.h"

#include <locale.h>
#include <math.h>
#include <ncurses.h>
#include <stdarg.h>
#include <string.h>

#define POOLS_MAX 64

void top_screen_begin(void)
{
	(void)setlocale(LC_CTYPE, "");
	(void)initscr();
	(void)cbreak();
	(void)noecho();
	(void)keypad(stdscr, TRUE);
	(void)curs_set(0);
}

void top_screen_end(void)
{
	(void)endwin();
}

/* A line from the left edge, cut at the right one. */
_printf_(3, 4) static void put(int y, int look, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (y >= LINES - 1)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	attrset(look);
	mvaddnstr(y, 0, text, COLS);
	attrset(A_NORMAL);
}

static const char *short_number(double n, char *buf, size_t bytes)
{
	if (n >= 1e6)
		snprintf(buf, bytes, "%.2fM", n / 1e6);
	else if (n >= 1e4)
		snprintf(buf, bytes, "%.1fk", n / 1e3);
	else
		snprintf(buf, bytes, "%.0f", n);
	return buf;
}

static int draw_head(const struct top_look *now, const struct top_sum *sum)
{
	const json_t *kernel = json_object_get(now->status, "kernel"), *k = json_object_get(now->stats, "kernel");
	char a[16], b[16], c[16], d[16], ratio[24] = "-";

	if (sum->ratio >= 0)
		snprintf(ratio, sizeof(ratio), "%.1f %%", sum->ratio);
	put(0, A_BOLD, "Weir %s, instance %s, up %s, XDP %s", cmd_get(now->status, "version"),
	    cmd_get(now->status, "instance"),
	    cmd_duration(1000 * (cmd_int(now->status, "now") - cmd_int(now->status, "started_at"))),
	    json_is_true(json_object_get(kernel, "attached")) ? "attached" : "not attached");
	put(1, A_NORMAL, "answers/s: kernel %s, workers %s; hit ratio %s; lent %s/s, taken back %s/s",
	    short_number(sum->hits, a, sizeof(a)), short_number(sum->requests, b, sizeof(b)), ratio,
	    short_number(sum->handovers, c, sizeof(c)), short_number(sum->seizes, d, sizeof(d)));
	put(2, A_NORMAL, "connections: XDP %s, workers %s; kernel cache: %s entries, %s",
	    cmd_number(cmd_int(k, "flows_xdp")), cmd_number(cmd_int(k, "flows_kernel")),
	    cmd_number(cmd_int(k, "cache_entries")), cmd_bytes(cmd_int(k, "cache_bytes")));
	return 4;
}

static int draw_pools(int y, struct top_screen *t, const struct top_look *now, const struct top_look *before)
{
	struct top_pool rows[POOLS_MAX];
	size_t i, n = top_pools_make(now, before, t->sort, rows, POOLS_MAX);

	if (t->pool >= n)
		t->pool = n ? n - 1 : 0;
	put(y++, A_REVERSE, "%-18s %-9s %8s %8s %7s %8s %8s %9s %7s %9s %8s", "POOL", "STATE", "REQ/S", "HITS/S",
	    "QUEUE", "OLDEST", "REFUSED", "P99", "THREADS", "CONNS", "MEMORY");
	for (i = 0; i < n; i++) {
		const struct top_pool *p = &rows[i];
		char a[16], b[16], c[16], late[24] = "-", oldest[24] = "-", threads[24];

		if (isinf(p->p99_ms))
			snprintf(late, sizeof(late), "> 10 s");
		else if (p->p99_ms >= 0)
			snprintf(late, sizeof(late), "%.2f ms", p->p99_ms);
		if (p->oldest_ms)
			snprintf(oldest, sizeof(oldest), "%.1f s", (double)p->oldest_ms / 1000);
		snprintf(threads, sizeof(threads), "%d/%d", (int)p->busy, (int)p->threads);
		put(y++, !t->is_in_urls && i == t->pool ? A_BOLD | A_UNDERLINE : A_NORMAL,
		    "%-18.18s %-9.9s %8s %8s %7s %8s %8s %9s %7s %9s %8s", p->name, p->state,
		    short_number(p->requests, a, sizeof(a)), short_number(p->hits, b, sizeof(b)), cmd_number(p->queue),
		    oldest, short_number(p->refused, c, sizeof(c)), late, threads, cmd_number(p->connections),
		    cmd_bytes(p->resident));
	}
	return y + 1;
}

static int draw_clients(int y, const struct top_look *now)
{
	const json_t *clients = json_object_get(now->busiest, "clients"), *row;
	size_t i;

	put(y++, A_REVERSE, "%-46s %12s %12s", "CLIENT", "CONNECTIONS", "REQUESTS");
	json_array_foreach (clients, i, row) {
		if (i == 5)
			break;
		put(y++, A_NORMAL, "%-46.46s %12s %12s", cmd_get(row, "client"),
		    cmd_number(cmd_int(row, "connections")), cmd_number(cmd_int(row, "requests")));
	}
	return y + 1;
}

static void draw_urls(int y, struct top_screen *t, const struct top_look *now)
{
	const json_t *urls = json_object_get(now->busiest, "urls"), *row;
	size_t i, n = json_array_size(urls);

	if (t->url >= n)
		t->url = n ? n - 1 : 0;
	put(y++, A_REVERSE, "%12s %6s %9s %-14s %s", "HITS", "STATUS", "BYTES", "POOL", "URL");
	json_array_foreach (urls, i, row)
		put(y++, t->is_in_urls && i == t->url ? A_BOLD | A_UNDERLINE : A_NORMAL, "%12s %6d %9s %-14.14s %s",
		    cmd_number(cmd_int(row, "hits")), (int)cmd_int(row, "status"), cmd_bytes(cmd_int(row, "size")),
		    cmd_get(row, "pool"), cmd_get(row, "url"));
}

void top_screen_draw(struct top_screen *t, const struct top_look *now, const struct top_look *before)
{
	struct top_sum sum = top_sum_make(now, before);
	int y;

	(void)erase();
	y = draw_head(now, &sum);
	y = draw_pools(y, t, now, before);
	y = draw_clients(y, now);
	draw_urls(y, t, now);
	attrset(A_DIM);
	mvprintw(LINES - 1, 0, "q quit  s sort (%s)  tab pools/URLs  arrows choose  r recycle pool  p purge URL  %.60s",
		 top_sort_name(t->sort), t->message);
	attrset(A_NORMAL);
	(void)refresh();
}

enum top_action top_screen_key(struct top_screen *t, int ms)
{
	size_t *row = t->is_in_urls ? &t->url : &t->pool;

	timeout(ms);
	switch (getch()) {
	case 'q':
	case 3: /* Ctrl-C, should the terminal pass it */
		return TOP_QUIT;
	case 's':
		t->sort = (t->sort + 1) % TOP_SORT__MAX;
		break;
	case '\t':
		t->is_in_urls = !t->is_in_urls;
		break;
	case KEY_DOWN:
		++*row;
		break;
	case KEY_UP:
		*row -= *row > 0;
		break;
	case 'r':
		return TOP_RECYCLE;
	case 'p':
		return TOP_PURGE;
	default:
		break;
	}
	return TOP_NONE;
}
