/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the supervisor: the log's process and its files. rotate.c knows files and periods, log.c the process. */
#ifndef WEIR_SUPERVISOR_LOG_H
#define WEIR_SUPERVISOR_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/log.h"

/* One log file. */
struct sup_log_file {
	const char *path; /* of the configuration; NULL: off */
	int fd;		  /* -1 */
	int64_t period;	  /* when the period began in which its first line was written, seconds since 1970 */
	bool is_sent;	  /* the log's process has the descriptor */
};

struct sup_log {
	struct sup_log_file files[2]; /* access, error */
	struct weir_log_hits hits;    /* live */
	int channel;		      /* -1 */
	pid_t pid;		      /* 0: none */
	uint64_t retry_ms;
	uint64_t kernel_lost, kernel_drops; /* as it was told */
};

/* When the period that `now` is in began, UTC; 0 for WEIR_LOG_PERIOD_OFF. Pure. */
int64_t sup_log_period(unsigned period, int64_t now);

/* rotate.c */
/* Opens, or makes, the file for appending. Silent. */
int sup_log_file_open(struct sup_log_file *f, unsigned period);
/* FILE becomes FILE.1, FILE.1 becomes FILE.2 and so on, at most `keep` of them; a new file is begun. When that fails, the
 * present one is written on. Silent. */
int sup_log_file_rotate(struct sup_log_file *f, unsigned period, unsigned keep);
/* Whether it is time. */
bool sup_log_file_is_due(const struct sup_log_file *f, unsigned period, uint64_t size_max, int64_t now);
/* Whether somebody has renamed or removed the file. */
bool sup_log_file_is_moved(const struct sup_log_file *f);

#endif
