/* SPDX-License-Identifier: GPL-2.0 */
/* `weir run`: this process becomes the supervisor. */
#include "cli/cli.h"

#include "supervisor/supervisor.h"

enum cmd_exit cmd_run(const struct cmd_args *args)
{
	return sup_run(&args->conf) < 0 ? CMD_FAILED : CMD_OK;
}
