// SPDX-License-Identifier: GPL-2.0
/* A shared object that is no module. */
int no_symbol_here(void);

__attribute__((visibility("default"))) int no_symbol_here(void)
{
	return 1;
}
