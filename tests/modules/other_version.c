// SPDX-License-Identifier: GPL-2.0
/* As if made for a later weir_module.h. */
#include "weir_module.h"

const struct weir_module weir_module = {
	.abi_version = WEIR_MODULE_ABI + 1,
	.size = sizeof(weir_module),
	.name = "other_version",
};
