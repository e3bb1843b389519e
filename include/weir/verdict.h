/* SPDX-License-Identifier: GPL-2.0 */
/* Verdicts and miss reasons as enums: index into weir_verdicts and weir_misses. */
#ifndef WEIR_VERDICT_H
#define WEIR_VERDICT_H

#include "weir/types.h"

enum weir_verdict {
	WEIR_VERDICT_MORE, /* not decided yet; never counted */
#define WEIR_ROW(name, action, help) WEIR_VERDICT_##name,
#include "weir/verdicts.def"
#undef WEIR_ROW
	WEIR_VERDICT__MAX,
};

enum weir_miss {
	WEIR_MISS_NONE,
#define WEIR_ROW(name, help) WEIR_MISS_##name,
#include "weir/misses.def"
#undef WEIR_ROW
	WEIR_MISS__MAX,
};

#endif
