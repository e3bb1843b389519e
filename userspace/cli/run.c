/* SPDX-License-Identifier: GPL-2.0 */
/* `weir run`: this process becomes the supervisor. And what needs the supervisor's knowledge when there is none. */
#include "cli/cli.h"

#include <stdio.h>

#include "supervisor/supervisor.h"

bool cmd_end_orphans(const struct cmd_args *args)
{
	if (sup_end_orphans(args->control) < 0)
		return false;
	printf("stopped: the supervisor had been killed, its workers have been ended\n");
	return true;
}

enum cmd_exit cmd_run(const struct cmd_args *args)
{
	return sup_run(&args->conf) < 0 ? CMD_FAILED : CMD_OK;
}
