/* SPDX-License-Identifier: GPL-2.0 */
/* The table of parameters and the conversion of each type from and to text. Pure. */
#include "config/config_priv.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

/* Tables of one scope only know their own struct, so each row takes the offset in its own way. */
#define OFFSET_GLOBAL(member) offsetof(struct weir_config, member)
#define OFFSET_POOL(member) offsetof(struct weir_conf_pool, member)

const struct weir_param weir_params[WEIR_PARAM__MAX] = {
#define WEIR_ROW(scope_, name_, type_, member, def_, min_, max_, help_)                                                \
	{ WEIR_SCOPE_##scope_, WEIR_TYPE_##type_, #name_, OFFSET_##scope_(member), def_, min_, max_, help_ },
#include "config/params.def"
#undef WEIR_ROW
};

static const char *const attach_names[] = { "auto", "native", "generic", "none" };

static const char *const verbosity_names[] = { "basic", "limited", "full" };
static const char *const start_mode_names[] = { "always", "on_demand" };
static const char *const handler_names[] = { "static", "debug", "module", "proxy" };
static const char *const sandbox_names[] = { "strict", "relaxed", "off" };
static const char *const balance_names[] = { "round_robin", "least_conn", "hash_uri", "hash_client", "hash_header" };
static const char *const forwarded_names[] = { "append", "replace", "off" };
static const char *const listing_names[] = { "off", "html", "json" };
static const char *const cpu_action_names[] = { "no_action", "kill", "throttle" };

static const struct {
	const char *name;
	unsigned long ms;
} units[] = { { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "min", 60000 }, { "h", 3600000 }, { "d", 86400000 } };

/* what the last failed weir_param_set() expected; supervisor and command line have one thread */
static char why_text[160];

const char *weir_attach_name(enum weir_attach a)
{
	return attach_names[a];
}

const char *const *weir_param_choices(enum weir_param_type type, size_t *ret_count)
{
	switch (type) {
	case WEIR_TYPE_ATTACH:
		*ret_count = ARRAY_SIZE(attach_names);
		return attach_names;
	case WEIR_TYPE_VERBOSITY:
		*ret_count = ARRAY_SIZE(verbosity_names);
		return verbosity_names;
	case WEIR_TYPE_START_MODE:
		*ret_count = ARRAY_SIZE(start_mode_names);
		return start_mode_names;
	case WEIR_TYPE_HANDLER:
		*ret_count = ARRAY_SIZE(handler_names);
		return handler_names;
	case WEIR_TYPE_BALANCE:
		*ret_count = ARRAY_SIZE(balance_names);
		return balance_names;
	case WEIR_TYPE_FORWARDED:
		*ret_count = ARRAY_SIZE(forwarded_names);
		return forwarded_names;
	case WEIR_TYPE_LISTING:
		*ret_count = ARRAY_SIZE(listing_names);
		return listing_names;
	case WEIR_TYPE_SANDBOX:
		*ret_count = ARRAY_SIZE(sandbox_names);
		return sandbox_names;
	case WEIR_TYPE_CPU_ACTION:
		*ret_count = ARRAY_SIZE(cpu_action_names);
		return cpu_action_names;
	default:
		*ret_count = 0;
		return NULL;
	}
}

/* Digits and, where `ret_unit` is given, a unit behind them. False: not such a number. */
static bool number(const char *text, unsigned long *ret, const char **ret_unit)
{
	unsigned long n;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || (*end && !ret_unit))
		return false;
	if (ret_unit)
		*ret_unit = end;
	*ret = n;
	return true;
}

static int set_count(const struct weir_param *p, unsigned *ret, const char *text)
{
	unsigned long n;

	if (!number(text, &n, NULL) || n < (unsigned long)p->min || n > (unsigned long)p->max) {
		snprintf(why_text, sizeof(why_text), "a whole number from %ld to %ld", p->min, p->max);
		return -EINVAL;
	}
	*ret = (unsigned)n;
	return 0;
}

static int set_time(const struct weir_param *p, unsigned *ret, const char *text)
{
	unsigned long n;
	const char *unit;
	size_t i;

	snprintf(why_text, sizeof(why_text), "a time from %ld%s to %ldh, as in 30s, 500ms or 2min",
		 p->min % 1000 ? p->min : p->min / 1000, p->min % 1000 ? "ms" : "s", p->max / 3600000);
	if (!number(text, &n, &unit))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(unit, units[i].name))
			continue;
		if (n > (unsigned long)p->max / units[i].ms || n * units[i].ms < (unsigned long)p->min)
			return -EINVAL;
		*ret = (unsigned)(n * units[i].ms);
		return 0;
	}
	return -EINVAL;
}

static int set_flag(bool *ret, const char *text)
{
	static const char *const words[] = { "off", "on", "no", "yes", "false", "true" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcasecmp(text, words[i])) {
			*ret = i & 1;
			return 0;
		}
	}
	snprintf(why_text, sizeof(why_text), "on or off");
	return -EINVAL;
}

static int set_size(const struct weir_param *p, unsigned *ret, const char *text)
{
	static const char letters[] = "KMG";
	unsigned long n, factor = 1;
	const char *unit, *at;

	snprintf(why_text, sizeof(why_text), "a size from %ldK to %ldG, as in 512M or 2G", p->min, p->max >> 20);
	if (!number(text, &n, &unit))
		return -EINVAL;
	if (*unit) {
		at = strchr(letters, toupper((unsigned char)*unit));
		if (!at || unit[1])
			return -EINVAL;
		factor = 1UL << 10 * (at - letters);
	}
	if (n > (unsigned long)p->max / factor || n * factor < (unsigned long)p->min)
		return -EINVAL;
	*ret = (unsigned)(n * factor);
	return 0;
}

static int set_percent(const struct weir_param *p, unsigned *ret, const char *text)
{
	unsigned long n, part = 0, scale = 100;
	const char *rest;

	snprintf(why_text, sizeof(why_text), "a percentage up to %ld%%, as in 50%% or 0.5%%", p->max / 1000);
	if (!number(text, &n, &rest) || n > (unsigned long)p->max / 1000)
		return -EINVAL;
	if (*rest == '.')
		for (rest++; isdigit((unsigned char)*rest) && scale; rest++, scale /= 10)
			part += (unsigned long)(*rest - '0') * scale;
	if (strcmp(rest, "%") && *rest)
		return -EINVAL;
	if (n * 1000 + part > (unsigned long)p->max)
		return -EINVAL;
	*ret = (unsigned)(n * 1000 + part);
	return 0;
}

static int set_choice(const struct weir_param *p, unsigned *ret, const char *text)
{
	size_t count, i, n = 0;
	const char *const *names = weir_param_choices(p->type, &count);

	for (i = 0; i < count; i++) {
		if (!strcmp(text, names[i])) {
			*ret = (unsigned)i;
			return 0;
		}
	}
	for (i = 0; i < count; i++)
		n += (size_t)snprintf(why_text + n, sizeof(why_text) - n, "%s%s",
				      !i ? "" : i + 1 < count ? ", " : " or ", names[i]);
	return -EINVAL;
}

static int set_string(char **ret, const char *text)
{
	char *copy;

	if (!*text) {
		snprintf(why_text, sizeof(why_text), "something, not nothing");
		return -EINVAL;
	}
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*ret);
	*ret = copy;
	return 0;
}

int weir_param_set(const struct weir_param *p, void *base, const char *text, const char **ret_why)
{
	char *at = (char *)base + p->offset;

	*ret_why = why_text;
	switch (p->type) {
	case WEIR_TYPE_STRING:
	case WEIR_TYPE_PATH:
		return set_string((char **)at, text);
	case WEIR_TYPE_COUNT:
		return set_count(p, (unsigned *)at, text);
	case WEIR_TYPE_TIME:
		return set_time(p, (unsigned *)at, text);
	case WEIR_TYPE_FLAG:
		return set_flag((bool *)at, text);
	case WEIR_TYPE_SIZE:
		return set_size(p, (unsigned *)at, text);
	case WEIR_TYPE_PERCENT:
		return set_percent(p, (unsigned *)at, text);
	case WEIR_TYPE_ATTACH:
	case WEIR_TYPE_VERBOSITY:
	case WEIR_TYPE_START_MODE:
	case WEIR_TYPE_CPU_ACTION:
	case WEIR_TYPE_HANDLER:
	case WEIR_TYPE_BALANCE:
	case WEIR_TYPE_FORWARDED:
	case WEIR_TYPE_LISTING:
	case WEIR_TYPE_SANDBOX:
		return set_choice(p, (unsigned *)at, text);
	case WEIR_TYPE_LISTENS:
	case WEIR_TYPE_NAMES:
	case WEIR_TYPE_PREFIXES:
	case WEIR_TYPE_WORDS:
		break;
	}
	assert(!"a list is no single value");
	return -EINVAL;
}

int weir_params_default(enum weir_param_scope scope, void *base)
{
	const char *why;
	size_t i;
	int r;

	for (i = 0; i < WEIR_PARAM__MAX; i++) {
		if (weir_params[i].scope != scope || !*weir_params[i].def)
			continue;
		r = weir_param_set(&weir_params[i], base, weir_params[i].def, &why);
		if (r == -ENOMEM)
			return r;
		assert(r == 0);
	}
	return 0;
}

static void format_time(unsigned ms, char *buf, size_t bytes)
{
	if (ms % 1000)
		snprintf(buf, bytes, "%ums", ms);
	else
		snprintf(buf, bytes, "%us", ms / 1000);
}

static void format_size(unsigned kb, char *buf, size_t bytes)
{
	unsigned shift = kb && !(kb & 0xfffff) ? 20 : kb && !(kb & 0x3ff) ? 10 : 0;

	snprintf(buf, bytes, "%u%s", kb >> shift, shift == 20 ? "G" : shift == 10 ? "M" : kb ? "K" : "");
}

static void format_percent(unsigned n, char *buf, size_t bytes)
{
	if (n % 1000)
		snprintf(buf, bytes, "%u.%03u%%", n / 1000, n % 1000);
	else
		snprintf(buf, bytes, "%u%%", n / 1000);
}

const struct weir_conf_words *weir_param_words(const struct weir_param *p, const void *base)
{
	assert(p->type == WEIR_TYPE_WORDS);
	return (const struct weir_conf_words *)((const char *)base + p->offset);
}

void weir_param_format(const struct weir_param *p, const void *base, char *buf, size_t bytes)
{
	const char *at = (const char *)base + p->offset;
	const char *text;
	size_t count;

	switch (p->type) {
	case WEIR_TYPE_STRING:
	case WEIR_TYPE_PATH:
		text = *(char *const *)at;
		snprintf(buf, bytes, text ? "\"%s\"" : "%s", text ? text : "");
		break;
	case WEIR_TYPE_COUNT:
		snprintf(buf, bytes, "%u", *(const unsigned *)at);
		break;
	case WEIR_TYPE_TIME:
		format_time(*(const unsigned *)at, buf, bytes);
		break;
	case WEIR_TYPE_FLAG:
		snprintf(buf, bytes, "%s", *(const bool *)at ? "on" : "off");
		break;
	case WEIR_TYPE_SIZE:
		format_size(*(const unsigned *)at, buf, bytes);
		break;
	case WEIR_TYPE_PERCENT:
		format_percent(*(const unsigned *)at, buf, bytes);
		break;
	case WEIR_TYPE_ATTACH:
	case WEIR_TYPE_VERBOSITY:
	case WEIR_TYPE_START_MODE:
	case WEIR_TYPE_CPU_ACTION:
	case WEIR_TYPE_HANDLER:
	case WEIR_TYPE_BALANCE:
	case WEIR_TYPE_FORWARDED:
	case WEIR_TYPE_LISTING:
	case WEIR_TYPE_SANDBOX:
		snprintf(buf, bytes, "%s", weir_param_choices(p->type, &count)[*(const unsigned *)at]);
		break;
	default:
		snprintf(buf, bytes, "%s", "");
	}
}
