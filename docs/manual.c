/* SPDX-License-Identifier: GPL-2.0 */
/* manual PAGE: writes the parameters into a copy of weir.conf(5) that it prints. Run by `make
 * manual`. */
#include "config/config.h"

#include <string.h>

int main(int argc, char *argv[])
{
	FILE *f = argc == 2 ? fopen(argv[1], "re") : NULL;
	char *page = NULL;
	size_t room = 0;
	int r;

	if (!f || getdelim(&page, &room, '\0', f) <= 0) {
		fprintf(stderr, "usage: manual PAGE\n");
		return 2;
	}
	r = weir_conf_manual(page, stdout);
	if (r < 0)
		fprintf(stderr, "%s: %s: are its marks there?\n", argv[1], strerror(-r));
	free(page);
	fclose(f);
	return r < 0;
}
