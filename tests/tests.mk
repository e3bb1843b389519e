# SPDX-License-Identifier: GPL-2.0
# Targets: deps run test check unit bpftest socktest e2e vmtest verifier asan ubsan; fuzz is in fuzz.mk.
# Test programs: tests/unit/http/url.c becomes $(BUILD)/tests/unit/http/url, and so on.

# Packages first, while make still reads its files: it would otherwise look for headers and sources that the
# packages are yet to bring. Silent and quick when all are there.
ROOT_GOALS = $(filter deps run,$(MAKECMDGOALS))
TEST_GOALS = $(filter test check unit bpftest socktest e2e verifier asan ubsan fuzz,$(MAKECMDGOALS))
PACKAGES = $(if $(ROOT_GOALS),build) $(if $(TEST_GOALS),test) $(if $(filter vmtest,$(MAKECMDGOALS)),build vm)
ifneq ($(strip $(PACKAGES)),)
ifeq ($(findstring n,$(firstword -$(MAKEFLAGS))),)
DEPS_SAID := $(shell tests/deps.sh $(PACKAGES) >&2 || echo failed)
ifneq ($(DEPS_SAID),)
$(error packages are missing, see above)
endif
endif
endif

UNIT_SRC = $(shell find tests/unit -name '*.c' 2>/dev/null)
BPF_TEST_SRC = $(shell find tests/bpf -name '*.c' 2>/dev/null)
SOCK_SRC = $(shell find tests/sock -name '*.c' 2>/dev/null)
UNIT_BIN = $(UNIT_SRC:%.c=$(BUILD)/%)
BPF_TEST_BIN = $(BPF_TEST_SRC:%.c=$(BUILD)/%)
SOCK_BIN = $(SOCK_SRC:%.c=$(BUILD)/%)
HARNESS_OBJ = $(filter-out $(HARNESS:%=%.o) %.bpf.o,$(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/harness/*.c)))
VERIFIER = $(BUILD)/tests/check/verifier

TEST_CFLAGS = $(HOST_CFLAGS) -I. -Itests -I/usr/share/include/llhttp -DWEIR_TEST_BUILD='"$(BUILD)"'
RUN_TESTS = tests/run.py --build $(BUILD)

.PHONY: unit bpftest socktest e2e verifier asan ubsan

deps:
	@:

ROOT ?= examples/site
LISTEN ?= 127.0.0.1:8080

run: $(BUILD)/weir
	@[ "$$(id -u)" = 0 ] || { echo "make run: BPF programs are loaded and attached by root: sudo make run"; exit 1; }
	@exec $(BUILD)/weir run --root $(ROOT) --listen $(LISTEN)

test: $(BUILD)/weir $(EXAMPLE_MODULES) $(TEST_MODULES) $(HARNESS) $(UNIT_BIN) $(BPF_TEST_BIN) $(SOCK_BIN) $(FUZZ_BIN) $(VERIFIER) $(BUILD)/weir.bpf.o
	@$(RUN_TESTS) check unit bpf sock fuzz e2e vm

check: $(VERIFIER) $(BUILD)/weir.bpf.o
	@$(RUN_TESTS) check

unit: $(UNIT_BIN) $(TEST_MODULES)
	@$(RUN_TESTS) unit

bpftest: $(BPF_TEST_BIN)
	@$(RUN_TESTS) bpf

socktest: $(SOCK_BIN)
	@$(RUN_TESTS) sock

e2e: $(BUILD)/weir $(EXAMPLE_MODULES) $(TEST_MODULES) $(HARNESS)
	@$(RUN_TESTS) e2e

vmtest: $(BUILD)/weir $(VERIFIER)
	@$(RUN_TESTS) vm

verifier: $(VERIFIER) $(BUILD)/weir.bpf.o
	@$(VERIFIER) $(BUILD)/weir.bpf.o tests/check/verifier.txt

asan:
	@$(MAKE) --no-print-directory unit BUILD=build/asan SAN=address CFLAGS='-O1 -g'

ubsan:
	@$(MAKE) --no-print-directory unit BUILD=build/ubsan SAN=undefined CFLAGS='-O1 -g -fno-sanitize-recover=all'

$(BUILD)/tests/%.o: tests/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_CFLAGS) -MMD -MP -c $< -o $@

$(BPF_TEST_BIN:%=%.o) $(SOCK_BIN:%=%.o) $(HARNESS_OBJ): $(BUILD)/weir.skel.h

$(UNIT_BIN): %: %.o $(BUILD)/libweir.a
	$(call say,LD,$@)
	$(Q)$(CC) $(TEST_CFLAGS) $^ $(LDLIBS) -lcriterion -o $@

$(BPF_TEST_BIN) $(SOCK_BIN): %: %.o $(HARNESS_OBJ) $(BUILD)/libweir.a
	$(call say,LD,$@)
	$(Q)$(CC) $(TEST_CFLAGS) $^ $(LDLIBS) -lcriterion -o $@

$(VERIFIER): $(VERIFIER).o
	$(call say,LD,$@)
	$(Q)$(CC) $(TEST_CFLAGS) $^ -lbpf -lelf -lz -o $@
