/* SPDX-License-Identifier: GPL-2.0 */
/* The status page as a part of the program. */
#include "admin/adm_priv.h"

__asm__(".section .rodata\n"
	".global adm_page\n"
	"adm_page:\n"
	".incbin \"userspace/admin/page.html\"\n"
	".global adm_page_end\n"
	"adm_page_end:\n"
	".byte 0\n"
	".previous\n");
