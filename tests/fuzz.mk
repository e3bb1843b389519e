# SPDX-License-Identifier: GPL-2.0
# One libFuzzer driver a parser, built by clang with its own objects of the pure folders. `make test` replays
# corpus and regressions; `make fuzz` does, then looks for more: FUZZ_SECONDS=20 for each driver.

FUZZ_SECONDS ?= 20
FUZZ = $(BUILD)/fuzz
FUZZ_BIN = $(patsubst tests/fuzz/%.c,$(FUZZ)/%,$(wildcard tests/fuzz/*.c))
FUZZ_OBJ = $(patsubst %.c,$(FUZZ)/%.o,$(wildcard userspace/common/*.c userspace/http/*.c userspace/config/*.c)) \
	$(patsubst %,$(FUZZ)/llhttp/%.o,api http llhttp)
FUZZ_CFLAGS = -O1 -g -std=gnu11 -D_GNU_SOURCE -Iinclude -Iuserspace -I/usr/share/include/llhttp \
	-fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined

.PHONY: fuzz

fuzz: $(FUZZ_BIN)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run.py --build $(BUILD) fuzz

$(FUZZ)/llhttp/%.o: $(LLHTTP)/%.c
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -O1 -g -I/usr/share/include/llhttp -fsanitize=address,fuzzer-no-link -c $< -o $@

$(FUZZ)/%.o: %.c
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

$(FUZZ_BIN): $(FUZZ)/%: $(FUZZ)/tests/fuzz/%.o $(FUZZ_OBJ)
	$(call say,LD,$@)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer $^ -lconfuse -lidn2 -lelf -lpcre2-8 -ldl -o $@
