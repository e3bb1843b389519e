// SPDX-License-Identifier: GPL-2.0
/* What no single value of a pool's cache settings shows, and networks as they are written. Called by the check; the
 * worker asks weir_conf_net_has() for requests that want to purge. */
#include "config/config_priv.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* "10.0.0.0/8", "::1": address, and how many bits of the 128 count. */
static int parse_net(const char *text, struct weir_addr *ret, unsigned *ret_bits)
{
	const char *slash = strchrnul(text, '/');
	unsigned long bits;
	bool is_v6;
	char *end;

	if (!weir_conf_addr_parse(text, (size_t)(slash - text), ret, &is_v6))
		return -EINVAL;
	*ret_bits = 128;
	if (!*slash)
		return 0;
	if (!isdigit((unsigned char)slash[1]))
		return -EINVAL;
	bits = strtoul(slash + 1, &end, 10);
	if (*end || bits > (is_v6 ? 128 : 32))
		return -EINVAL;
	*ret_bits = (unsigned)bits + (is_v6 ? 0 : 96);
	return 0;
}

bool weir_conf_net_has(const char *text, const struct weir_addr *addr)
{
	unsigned char want[16], have[16];
	struct weir_addr net;
	unsigned bits, i;

	_Static_assert(sizeof(net) == sizeof(want), "addresses are 16 bytes in network order");
	if (parse_net(text, &net, &bits) < 0)
		return false;
	memcpy(want, &net, sizeof(want));
	memcpy(have, addr, sizeof(have));
	for (i = 0; i < bits / 8; i++)
		if (want[i] != have[i])
			return false;
	return bits % 8 == 0 || (want[i] ^ have[i]) >> (8 - bits % 8) == 0;
}

bool weir_conf_pool_has_cache(const struct weir_conf_pool *p)
{
	/* files have a cache of their own, modules decide by themselves; all others ask somebody */
	return p->handler != WEIR_HANDLER_STATIC && p->handler != WEIR_HANDLER_DEBUG &&
	       p->handler != WEIR_HANDLER_MODULE && p->cache.mode != WEIR_CACHE_OFF;
}

void weir_conf_check_cache(const struct weir_config *c, const struct weir_conf_pool *p, struct weir_conf_report *report)
{
	const int *lines = p->lines;
	struct weir_addr addr;
	unsigned bits;
	size_t i;

	for (i = 0; i < p->cache_purge_from.count; i++)
		if (parse_net(p->cache_purge_from.items[i], &addr, &bits) < 0)
			weir_conf_error(report, c->file, lines[WEIR_PARAM_POOL_cache_purge_from],
					"'%s' is no address or network, as in 10.0.0.0/8 or ::1",
					p->cache_purge_from.items[i]);
	if (p->cache.query == WEIR_QUERY_LISTED && p->cache_key_params.count == 0)
		weir_conf_error(report, c->file, lines[WEIR_PARAM_POOL_cache_key_query],
				"cache_key_query is listed: name the parameters in cache_key_params");
	if (p->cache.query != WEIR_QUERY_LISTED && p->cache_key_params.count > 0)
		weir_conf_warning(report, c->file, lines[WEIR_PARAM_POOL_cache_key_params],
				  "cache_key_params is of no use without cache_key_query = listed");
	if (weir_conf_pool_has_cache(p) && p->memory_limit_kb && p->cache.memory_kb > p->memory_limit_kb / 2)
		weir_conf_warning(report, c->file, lines[WEIR_PARAM_POOL_memory_limit],
				  "memory_limit holds for cache_memory, too, and that is more than half of it");
	if (p->cache.max_object_kb > p->cache.memory_kb / 2)
		weir_conf_warning(
			report, c->file, lines[WEIR_PARAM_POOL_cache_max_object],
			"cache_max_object is more than half of cache_memory: such a response may find no room");
}
