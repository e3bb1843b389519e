/* SPDX-License-Identifier: GPL-2.0 */
/* The program `weir`. */
#include "cli/cli.h"

int main(int argc, char *argv[])
{
	return cmd_main(argc, argv);
}
