/* SPDX-License-Identifier: GPL-2.0 */
/* The admin endpoint: a process of its own, without rights, that answers HTTP requests for metrics
 * and the status page. It asks the supervisor over a socket that lets it read and nothing else, so
 * that the supervisor parses nothing that a client sent (DESIGN rule 9). */
#ifndef WEIR_ADMIN_H
#define WEIR_ADMIN_H

#include <stdio.h>
#include <sys/types.h>

#include <jansson.h>

/* What the supervisor hands over at fork(). */
struct adm_setup {
	const int *listeners; /* listening, non-blocking */
	size_t listeners_count;
	int channel; /* to the supervisor: control protocol (ipc.h), commands of adm_commands only
		      */
	uid_t uid;
	gid_t gid;
};

/* What the process asks the supervisor for, ended by NULL. */
extern const char *const adm_commands[];

/* Serves until the channel ends. Closes every other descriptor, gives up identity and system calls
 * first. */
void adm_main(const struct adm_setup *setup) __attribute__((noreturn));

/* Writes the metrics in Prometheus's text format 0.0.4 from the replies to "stats" and "status".
 * Pure. */
void adm_metrics_write(FILE *to, const json_t *stats, const json_t *status);

/* A metric that does not come from a table of counters, for the manual. */
struct adm_family {
	const char *metric;
	const char *help;
	const char *httpsys; /* HTTP.sys's counter, or "" */
};
extern const struct adm_family adm_families[];
extern const size_t adm_families_count;

#endif
