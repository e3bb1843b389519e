/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of config/: how parser, options and checks fill one configuration and one report. */
#ifndef WEIR_CONFIG_PRIV_H
#define WEIR_CONFIG_PRIV_H

#include <stdarg.h>

#include "config/config.h"
#include "config/limit.h"

/* Adds a finding. -ENOMEM is left to the caller's next allocation: a lost message changes no result, because
 * `errors` is counted first. */
void weir_conf_error(struct weir_conf_report *r, const char *where, int line, const char *fmt, ...) _printf_(4, 5);
void weir_conf_warning(struct weir_conf_report *r, const char *where, int line, const char *fmt, ...) _printf_(4, 5);
void weir_conf_report_sort(struct weir_conf_report *r);
/* Forgets all but the first `count` findings. */
void weir_conf_report_cut(struct weir_conf_report *r, size_t count);
/* Lines of the whole text become files and lines. After it the report cannot be sorted any more. */
void weir_conf_report_locate(struct weir_conf_report *r, const struct weir_config *c);

/* Sets a parameter that is no list from text. -EINVAL: *ret_why (static, one buffer) says what is expected. */
int weir_param_set(const struct weir_param *p, void *base, const char *text, const char **ret_why);

/* Gives every parameter of `scope` its default. -ENOMEM. */
int weir_params_default(enum weir_param_scope scope, void *base);

/* Sets `id` of the configuration (pool NULL) or of the pool and reports what is wrong. -ENOMEM only. */
int weir_conf_set(struct weir_config *c, struct weir_conf_pool *pool, enum weir_param_id id, const char *text,
		  const char *where, int line, struct weir_conf_report *report);

/* A new pool with defaults, named and numbered; valid until the next one is added. */
int weir_conf_add_pool(struct weir_config *c, const char *name, int line, struct weir_conf_pool **ret);

/* Reads c->file with all that it includes into one text for the parser, and c->spans. What is wrong
 * with a part of it goes to the report; -errno of the main file, -ENOMEM, -EFBIG. The caller frees.
 */
int weir_conf_source(struct weir_config *c, struct weir_conf_report *report, char **ret);

/* Reads c->file into `c`. Findings go to the report. -EBADMSG: a syntax error, reported, ended it
 * early; -ENOMEM; or an error of open() and read(). */
int weir_conf_parse(struct weir_config *c, struct weir_conf_report *report);

/* What no single value of a pool shows: lists, CPUs, programs, paths. */
void weir_conf_check_life(const struct weir_config *c, const struct weir_conf_pool *p, struct weir_conf_report *report);

/* limit.c: prefixes, actions. */
void weir_conf_check_limits(const struct weir_config *c, struct weir_conf_report *report);
/* Resolves the upstreams of a pool whose handler has them. -ENOMEM only. */
int weir_conf_check_proxy(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report);
/* A row of one of the static handler's lists: reports what is wrong with it. Other parameters pass. */
void weir_conf_check_static_word(enum weir_param_id id, const char *text, const char *where, int line,
				 struct weir_conf_report *report);
/* What no single row shows; makes auth_file absolute. -ENOMEM only. */
int weir_conf_check_static(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report);
void weir_conf_static_fini(struct weir_conf_static *f);
void weir_conf_words_fini(struct weir_conf_words *w);
/* Whether the pool's user may enter every directory of `path` and read the last part, by owner, group and mode alone.
 * Else *ret_blocked (static) is the part that is closed. */
bool weir_conf_can_read(const struct weir_conf_pool *p, const char *path, bool is_directory, const char **ret_blocked);

/* handler = module: makes the file's path absolute and looks into it. -ENOMEM only. */
int weir_conf_check_module(const struct weir_config *c, struct weir_conf_pool *p, struct weir_conf_report *report);

/* Everything that needs the whole configuration: resolves users and roots, finds duplicates. -ENOMEM only. */
int weir_conf_check(struct weir_config *c, struct weir_conf_report *report);

#endif
