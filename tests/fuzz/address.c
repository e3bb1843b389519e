// SPDX-License-Identifier: GPL-2.0
/* Prefixes and listening addresses, as the configuration and the command line give them. */
#include "config/config.h"

#include "fuzz.h"

static void check_prefix(const char *text)
{
	struct weir_conf_prefix prefix = {};
	const char *why = NULL;

	if (weir_conf_prefix_parse(text, &prefix, &why)) {
		assert(why);
		return;
	}
	assert(prefix.path[0] == '/' && prefix.path[strlen(prefix.path) - 1] == '/');
	assert(prefix.port && prefix.bucket < WEIR_BUCKET__MAX);
	assert((prefix.bucket == WEIR_BUCKET_HOST || prefix.bucket == WEIR_BUCKET_SUBDOMAIN) == !!prefix.host ||
	       prefix.bucket == WEIR_BUCKET_IP);
	assert(!weir_conf_prefix_compare(&prefix, &prefix));
	weir_conf_prefix_fini(&prefix);
}

/* What was parsed prints as text that gives the same. */
static void check_listen(const char *text)
{
	struct weir_conf_listen found[2] = {}, again[2] = {};
	const char *why = NULL;
	int n = weir_conf_listen_parse(text, found, &why);

	assert(n <= 2);
	if (n < 0)
		assert(why);
	for (int i = 0; i < n; i++) {
		assert(found[i].port);
		assert(weir_conf_listen_parse(found[i].text, again, &why) == 1);
		assert(!memcmp(&again[0].addr, &found[i].addr, sizeof(found[i].addr)) && again[0].port == found[i].port);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	assert(text);
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	check_prefix(text);
	check_listen(text);
	free(text);
	return 0;
}
