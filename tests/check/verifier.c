// SPDX-License-Identifier: GPL-2.0
/* How many instructions the verifier of this kernel walks through for each program, against a budget.
 *
 *     verifier build/weir.bpf.o [tests/check/verifier.txt]
 *
 * Loads the object as it is (no configuration, small maps), reads verified_insns of each program and
 * compares it with its line "NAME BUDGET" in the file. A program without a line fails, with the number
 * that the line could hold. Without a file it is enough that this kernel takes the programs: tests/vm/init.
 * Prints one line a program: "ok" or "not ok". Exits 77 when it may not load. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define MOST_INSNS 1000000 /* where the verifier gives up */
#define MAP_ENTRIES 64 /* sizes do not matter to the verifier; memory does */
#define LOG_BYTES (16u << 20)

/* Returns the budget of `name`, 0 when the file has no line for it. */
static unsigned long find_budget(FILE *budgets, const char *name)
{
	char line[256], word[64];
	unsigned long insns;

	rewind(budgets);
	while (fgets(line, sizeof(line), budgets))
		if (sscanf(line, "%63s %lu", word, &insns) == 2 && !strcmp(word, name))
			return insns;
	return 0;
}

static void shrink_maps(struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj) {
		enum bpf_map_type type = bpf_map__type(map);

		if ((type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH ||
		     type == BPF_MAP_TYPE_LRU_PERCPU_HASH) &&
		    bpf_map__max_entries(map) > MAP_ENTRIES)
			(void)bpf_map__set_max_entries(map, MAP_ENTRIES);
	}
}

static int compare(struct bpf_object *obj, FILE *budgets)
{
	struct bpf_program *prog;
	int failed = 0;

	bpf_object__for_each_program(prog, obj) {
		const char *name = bpf_program__name(prog);
		struct bpf_prog_info info = {};
		__u32 bytes = sizeof(info);
		unsigned long budget = budgets ? find_budget(budgets, name) : MOST_INSNS;

		if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &bytes)) {
			printf("not ok verifier %s: no information: %s\n", name, strerror(errno));
			failed++;
		} else if (!budget) {
			printf("not ok verifier %s: no line in verifier.txt; it takes %u\n", name, info.verified_insns);
			failed++;
		} else if (info.verified_insns > budget) {
			printf("not ok verifier %s: %u instructions verified, budget %lu\n", name,
			       info.verified_insns, budget);
			failed++;
		} else {
			printf("ok verifier %s: %u of %lu\n", name, info.verified_insns, budget);
		}
	}
	return failed;
}

int main(int argc, char **argv)
{
	struct bpf_object *obj;
	FILE *budgets = NULL;
	char *log;
	int r;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: %s OBJECT [BUDGETS]\n", argv[0]);
		return 2;
	}
	if (argc == 3)
		budgets = fopen(argv[2], "r");
	log = calloc(1, LOG_BYTES);
	if ((argc == 3 && !budgets) || !log) {
		perror(argv[argc - 1]);
		return 1;
	}
	libbpf_set_print(NULL);

	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log, .kernel_log_size = LOG_BYTES, );
	obj = bpf_object__open_file(argv[1], &opts);
	if (!obj) {
		printf("not ok verifier: cannot open %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	shrink_maps(obj);
	r = bpf_object__load(obj);
	if (r == -EPERM) {
		printf("verifier: loading BPF programs needs root\n");
		r = 77;
	} else if (r) {
		size_t length = strlen(log);

		printf("%s\n", length > 4000 ? log + length - 4000 : log);
		printf("not ok verifier: cannot load %s: %s\n", argv[1], strerror(-r));
		r = 1;
	} else {
		r = compare(obj, budgets) ? 1 : 0;
	}
	bpf_object__close(obj);
	free(log);
	if (budgets)
		fclose(budgets);
	return r;
}
