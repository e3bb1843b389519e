/* SPDX-License-Identifier: GPL-2.0 */
/* Protection in the configuration: the text of prefixes and actions, and the checks of what belongs together. */
#include "config/config_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const actions[] = { "reject", "drop", "pool" };

const char *weir_conf_limit_action_name(unsigned action)
{
	return action < ARRAY_SIZE(actions) ? actions[action] : "?";
}

int weir_conf_limit_action(const char *text, unsigned *ret)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!strcmp(text, actions[i])) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

int weir_conf_prefix_bits(const char *text, size_t bytes, struct weir_acl_key *ret)
{
	const char *slash = memchr(text, '/', bytes);
	size_t addr_bytes = slash ? (size_t)(slash - text) : bytes, i;
	struct weir_acl_key key = {};
	unsigned long bits;
	char number[8] = "", *end;
	bool is_v6;

	if (!weir_conf_addr_parse(text, addr_bytes, &key.addr, &is_v6))
		return -EINVAL;
	bits = is_v6 ? 128 : 32;
	if (slash) {
		size_t n = bytes - addr_bytes - 1;

		if (n == 0 || n >= sizeof(number))
			return -EINVAL;
		memcpy(number, slash + 1, n);
		if (number[strspn(number, "0123456789")])
			return -EINVAL;
		if (strtoul(number, &end, 10) > bits)
			return -EINVAL;
		bits = strtoul(number, &end, 10);
	}
	key.bits = (uint32_t)(is_v6 ? bits : bits + 96);
	/* "192.0.2.77/24" is the prefix that the address lies in */
	for (i = key.bits; i < 128; i++)
		((uint8_t *)&key.addr)[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	*ret = key;
	return 0;
}

int weir_conf_acl_each(const char *text, int (*fn)(const struct weir_acl_key *key, void *arg), void *arg,
		       char ret_wrong[64])
{
	int r = 0;

	while (r == 0 && text && *(text += strspn(text, " \t,"))) {
		size_t n = strcspn(text, " \t,");
		struct weir_acl_key key;

		r = weir_conf_prefix_bits(text, n, &key);
		if (r < 0)
			snprintf(ret_wrong, 64, "%.*s", (int)MIN(n, (size_t)60), text);
		else if (fn)
			r = fn(&key, arg);
		text += n;
	}
	return r;
}

static void check_list(const struct weir_config *c, const char *name, const char *text, int line,
		       struct weir_conf_report *report)
{
	char wrong[64];

	if (weir_conf_acl_each(text, NULL, NULL, wrong) < 0)
		weir_conf_error(report, c->file, MAX(line, 0),
				"%s: '%s' is no address and no prefix such as 192.0.2.0/24 or 2001:db8::/32", name,
				wrong);
}

void weir_conf_check_limits(const struct weir_config *c, struct weir_conf_report *report)
{
	unsigned action;

	check_list(c, "deny", c->deny, c->lines[WEIR_PARAM_GLOBAL_deny], report);
	check_list(c, "allow", c->allow, c->lines[WEIR_PARAM_GLOBAL_allow], report);
	if (weir_conf_limit_action(c->limit_action, &action) < 0)
		weir_conf_error(report, c->file, MAX(c->lines[WEIR_PARAM_GLOBAL_limit_action], 0),
				"limit_action is reject, drop or pool, not '%s'", c->limit_action);
	if (c->limit_source_bits % 32)
		weir_conf_error(report, c->file, MAX(c->lines[WEIR_PARAM_GLOBAL_limit_source_bits], 0),
				"limit_source_bits is 32, 64, 96 or 128");
	if (c->limit_syn_burst && !c->limit_syn_rate)
		weir_conf_warning(report, c->file, MAX(c->lines[WEIR_PARAM_GLOBAL_limit_syn_burst], 0),
				  "limit_syn_burst has no effect without limit_syn_rate");
	if (c->limit_request_burst && !c->limit_request_rate)
		weir_conf_warning(report, c->file, MAX(c->lines[WEIR_PARAM_GLOBAL_limit_request_burst], 0),
				  "limit_request_burst has no effect without limit_request_rate");
}
