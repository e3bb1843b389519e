/* SPDX-License-Identifier: GPL-2.0 */
/* The command line: parses options, asks the supervisor over the control socket, prints. One thread. Nothing here
 * changes an instance but by a command. run.c includes supervisor/supervisor.h, because `weir run` becomes the
 * supervisor; nothing else here does. */
#ifndef WEIR_CLI_H
#define WEIR_CLI_H

#include <jansson.h>

#include "config/config.h"

#define CMD_CONTROL_DEFAULT "/run/weir.sock"
#define CMD_LISTS_MAX 64

/* Exit codes of the program. */
enum cmd_exit {
	CMD_OK,
	CMD_FAILED,
	CMD_USAGE, /* the command line was wrong */
};

/* Options and words of one command line; all text is argv's. */
struct cmd_args {
	struct weir_conf_options conf; /* run, check, doctor; conf.control is NULL when not given */
	const char *control;	       /* with its default */
	bool is_json;
	long limit;		       /* 0: not given */
	bool is_prefix;
	bool is_tag;
	const char *headers[CMD_LISTS_MAX];
	size_t headers_count;
	const char *words[2];
	size_t words_count;
	const char *listens[CMD_LISTS_MAX];
	const char *interfaces[CMD_LISTS_MAX];
};

struct cmd {
	const char *name; /* "cache list" */
	const char *arguments;
	size_t words;
	const char *options;
	const char *summary;
	enum cmd_exit (*run)(const struct cmd_args *args);
};
extern const struct cmd cmd_table[];
extern const size_t cmd_count;

/* A row of opts.def. */
struct cmd_opt {
	char letter;
	const char *name;
	const char *argument; /* NULL: none */
	const char *help;
};
extern const struct cmd_opt cmd_opts[];
extern const size_t cmd_opts_count;

/* args.c: finds the command of argv[1], or argv[1] and argv[2]. NULL: none; *ret_why says what to do. */
const struct cmd *cmd_find(int argc, char *const argv[], const char **ret_why);
/* Parses the options of `c`. CMD_USAGE: a message has been printed. */
enum cmd_exit cmd_parse(const struct cmd *c, int argc, char *const argv[], struct cmd_args *ret);

/* cache.c: what is stored of a URL, for people. */
void cmd_print_objects(const json_t *objects);

/* The whole program. */
enum cmd_exit cmd_main(int argc, char *const argv[]);

/* call.c: asks the instance. Takes `request`. NULL: a message has been printed. */
json_t *cmd_call(const struct cmd_args *args, json_t *request);
enum cmd_exit cmd_print_json(const json_t *reply);
/* Logs what a configuration load found. */
void cmd_print_report(const struct weir_conf_report *report);

/* run.c: ends what a killed supervisor left. False: it left nothing. */
bool cmd_end_orphans(const struct cmd_args *args);

/* status.c: the table of pools and workers. */
void cmd_print_workers(const json_t *pools);

/* text.c: columns. A cell is right-aligned when its header begins with '>'. */
struct cmd_text;
struct cmd_text *cmd_text_new(size_t columns);
void cmd_text_row(struct cmd_text *t, ...); /* as many const char * as columns; copied */
void cmd_text_print(struct cmd_text *t, const char *indent); /* and frees it */
/* Each returns one of a few static buffers: good for one row. */
const char *cmd_number(json_int_t n);	     /* "12 345" */
const char *cmd_bytes(json_int_t n);	     /* "1.5 kB" */
const char *cmd_duration(json_int_t millis); /* "3 min 20 s" */
const char *cmd_get(const json_t *object, const char *key); /* a string, or "" */
json_int_t cmd_int(const json_t *object, const char *key);

#define WEIR_ROW(id, name, arguments, words, options, summary) enum cmd_exit cmd_##id(const struct cmd_args *args);
#include "cli/cmds.def"
#undef WEIR_ROW

#endif
