// SPDX-License-Identifier: GPL-2.0
/* weir_config_load(): any file is either a configuration or a list of findings, with lines, that can be printed. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_conf_options options = {};
	struct weir_conf_report report = {};
	struct weir_config *config = NULL;
	int fd = memfd_create("config", MFD_CLOEXEC);
	char path[64], line[256];

	/* another file of this machine is not part of the input */
	if (fd < 0 || memmem(data, size, "include", 7))
		goto end;
	if (size && write(fd, data, size) != (ssize_t)size)
		goto end;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	options.file = path;
	if (weir_config_load(&options, &report, &config))
		assert(report.errors && !config);
	else
		assert(!report.errors && config && config->pools_count && config->listens_count);
	for (size_t i = 0; i < report.count; i++) {
		weir_conf_diag_format(&report.rows[i], line, sizeof(line));
		assert(line[0]);
	}
	weir_conf_report_fini(&report);
	weir_config_free(config);
end:
	if (fd >= 0)
		close(fd);
	return 0;
}
