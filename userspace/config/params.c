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

static const struct {
	const char *name;
	unsigned long ms;
} units[] = { { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "min", 60000 }, { "h", 3600000 } };

/* what the last failed weir_param_set() expected; supervisor and command line have one thread */
static char why_text[160];

const char *weir_attach_name(enum weir_attach a)
{
	return attach_names[a];
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

	snprintf(why_text, sizeof(why_text), "a time from %lds to %ldh, as in 30s, 500ms or 2min", p->min / 1000,
		 p->max / 3600000);
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

static int set_attach(enum weir_attach *ret, const char *text)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attach_names); i++) {
		if (!strcmp(text, attach_names[i])) {
			*ret = (enum weir_attach)i;
			return 0;
		}
	}
	snprintf(why_text, sizeof(why_text), "auto, native, generic or none");
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
	case WEIR_TYPE_ATTACH:
		return set_attach((enum weir_attach *)at, text);
	case WEIR_TYPE_LISTENS:
	case WEIR_TYPE_NAMES:
	case WEIR_TYPE_PREFIXES:
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

void weir_param_format(const struct weir_param *p, const void *base, char *buf, size_t bytes)
{
	const char *at = (const char *)base + p->offset;
	const char *text;

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
	case WEIR_TYPE_ATTACH:
		snprintf(buf, bytes, "%s", weir_attach_name(*(const enum weir_attach *)at));
		break;
	default:
		snprintf(buf, bytes, "%s", "");
	}
}
