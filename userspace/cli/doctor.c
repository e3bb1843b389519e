/* SPDX-License-Identifier: GPL-2.0 */
/* `weir doctor`: what this kernel and interface allow (asked of the dataplane), whether the ports are free and the
 * configuration is right; and what a lack costs. Changes nothing. */
#include "cli/cli.h"

#include <string.h>

#include "common/log.h"
#include "dataplane/dataplane.h"

#define PROBES_MAX 128

struct rows {
	struct weir_probe probe[PROBES_MAX];
	size_t count;
};

static struct weir_probe *add(struct rows *r, const char *what, bool is_ok, bool is_needed)
{
	static struct weir_probe spare;
	struct weir_probe *p = r->count < PROBES_MAX ? &r->probe[r->count++] : &spare;

	*p = (struct weir_probe){ .what = what, .is_ok = is_ok, .is_needed = is_needed };
	return p;
}

#define SAY(row, ...) snprintf((row)->detail, sizeof((row)->detail), __VA_ARGS__)

static void check_root(struct rows *r)
{
	bool is_root = geteuid() == 0;

	SAY(add(r, "root", is_root, true), "%s", is_root ? "yes" : "no: some rows below are guesses; run as root");
}

static void check_port(struct rows *r, const struct weir_conf_listen *l)
{
	static char names[PROBES_MAX][80];
	char holder[96], *name = names[r->count % PROBES_MAX];
	bool is_taken = weir_port_holder(l, holder, sizeof(holder));

	snprintf(name, sizeof(names[0]), "port %s", l->text);
	SAY(add(r, name, !is_taken, false), "%s%s", is_taken ? "taken by " : "free", is_taken ? holder : "");
}

static void check_ports(struct rows *r, const struct cmd_args *args)
{
	static const char *const usual[] = { ":80", ":8080" };
	const char *const *texts = args->conf.listens_count ? args->conf.listens : usual;
	size_t i, count = args->conf.listens_count ? args->conf.listens_count : ARRAY_SIZE(usual);
	struct weir_conf_listen found[2];
	const char *why;

	for (i = 0; i < count; i++) {
		if (weir_conf_listen_parse(texts[i], found, &why) < 0)
			weir_warn("--listen %s: %s", texts[i], why);
		else
			check_port(r, &found[0]);
	}
}

static void check_config(struct rows *r, const struct cmd_args *args)
{
	_cleanup_(weir_conf_report_fini) struct weir_conf_report report = {};
	_cleanup_(weir_config_freep) struct weir_config *c = NULL;
	size_t i;
	int n;

	if (!args->conf.file && !args->conf.root) {
		check_ports(r, args);
		return;
	}
	n = weir_config_load(&args->conf, &report, &c);
	cmd_print_report(&report);
	SAY(add(r, "configuration", n == 0, true), n == 0 ? "no errors" : "errors, see above");
	for (i = 0; c && i < c->listens_count; i++)
		check_port(r, &c->listens[i]);
}

static enum cmd_exit print_rows(const struct rows *r, bool is_json)
{
	struct cmd_text *t = cmd_text_new(3);
	json_t *list = json_array();
	size_t i, missing = 0;

	cmd_text_row(t, "", "", "");
	for (i = 0; i < r->count; i++) {
		const struct weir_probe *p = &r->probe[i];

		missing += !p->is_ok && p->is_needed;
		cmd_text_row(t, p->is_ok ? "ok" : p->is_needed ? "MISSING" : "-", p->what, p->detail);
		json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:s}", "what", p->what, "ok", p->is_ok, "needed",
						      p->is_needed, "detail", p->detail));
	}
	if (is_json) {
		json_t *j =
		    json_pack("{s:b, s:I, s:o}", "ok", missing == 0, "missing", (json_int_t)missing, "rows", list);

		(void)cmd_print_json(j);
		json_decref(j);
	} else {
		cmd_text_print(t, "");
		printf(missing ? "\n%zu missing: `weir run --attach none` serves without the kernel cache\n" :
				 "\nnothing is missing\n",
		       missing);
	}
	return missing ? CMD_FAILED : CMD_OK;
}

enum cmd_exit cmd_doctor(const struct cmd_args *args)
{
	struct rows rows = {};
	size_t i;

	check_root(&rows);
	rows.count += weir_dataplane_probe(rows.probe + rows.count, PROBES_MAX - rows.count);
	for (i = 0; i < args->conf.interfaces_count; i++)
		rows.count += weir_dataplane_probe_iface(args->interfaces[i], rows.probe + rows.count,
							 PROBES_MAX - rows.count);
	check_config(&rows, args);
	return print_rows(&rows, args->is_json);
}
