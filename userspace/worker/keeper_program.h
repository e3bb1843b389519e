/* SPDX-License-Identifier: GPL-2.0 */
/* The program of a pool slot (exec): started by the keeper with a listening socket as descriptor 3,
 * restarted when it dies, replaced when the slot is recycled, ended behind the last worker. The
 * socket is made once and outlives every program: while none runs, connections wait in its queue.
 * One thread, the keeper's. */
#ifndef WRK_KEEPER_PROGRAM_H
#define WRK_KEEPER_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KEEPER_LINE_MAX 900 /* of what a program writes; longer lines are cut into several */

struct keeper;

struct keeper_run {
	pid_t pid; /* 0: none; also its process group */
	uint64_t born_ms;
	uint64_t end_ms;	/* when it was told to end; 0: not yet */
	const char *killed_for; /* why we killed it; NULL: we have not */
};

/* A health ping under way: a connection to the program's own socket. */
struct keeper_ping {
	int fd; /* -1: none */
	bool is_sent;
	uint64_t since_ms; /* of this one, or when the last was answered */
};

struct keeper_program {
	/* fixed after init */
	int listen_fd; /* -1: the pool has no program */
	int out_read;  /* what programs write to standard output and standard error; the others' end
			  is */
	int out_write; /* kept here, so that the pipe never ends */

	/* at most two live at a time */
	struct keeper_run serving, next, old;
	struct keeper_run rest; /* what one that ended as it was told has left: only its process group */
	uint64_t retry_ms;
	unsigned backoff_ms;
	bool is_new; /* the next one to start takes the place of none that crashed */
	bool wants_recycle;
	struct keeper_ping ping;
	size_t line_bytes; /* of a line whose end has not come */
	char line[KEEPER_LINE_MAX];
};

/* keeper_program_start.c. With the rights of the supervisor: makes the socket. Logs. */
int keeper_program_prepare(struct keeper *k);
/* With those of the pool's account, so that a program may open /dev/stderr, which is this pipe. Logs. */
int keeper_program_open_pipe(struct keeper *k);
/* The descriptors that are kept for programs. Returns how many, 4 at most. */
size_t keeper_program_fds(const struct keeper *k, int *ret);
/* Starts a program. -errno of fork(); what goes wrong in the child is its own message and status
 * 127. */
int keeper_program_start(struct keeper *k, struct keeper_run *run);

/* keeper_program.c. */
/* What is due: starts, replaces, ends, kills. */
void keeper_program_step(struct keeper *k);
/* A child has ended. False: it was no program. */
bool keeper_program_bury(struct keeper *k, pid_t pid, int status);
void keeper_program_recycle(struct keeper *k);
bool keeper_program_is_there(const struct keeper *k); /* one runs, or is being ended */
/* It shall run and does, alone: true also for a pool without one. */
bool keeper_program_is_settled(const struct keeper *k);
bool keeper_program_is_missing(const struct keeper *k); /* it shall run and does not */
/* Ends one by force, with everything in its process group; that counts as a crash. */
void keeper_program_kill(struct keeper *k, struct keeper_run *run, const char *why);

/* keeper_program_io.c. */
/* Logs what programs have written. */
void keeper_program_log(struct keeper *k);
/* Asks for a sign of life when it is time, and looks for the answer. */
void keeper_program_ping(struct keeper *k);

#endif
