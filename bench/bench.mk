# SPDX-License-Identifier: GPL-2.0
# `make bench`: installs peers, builds, runs everything side by side. `make bench ONLY=4 ROUNDS=1 SECONDS_EACH=2`.
# `make bench-tools` builds the generator and the other helpers only.

BENCH_OUT = $(BUILD)/bench
BENCH_TOOLS = $(BENCH_OUT)/load/gen $(BENCH_OUT)/load/pass.bpf.o $(BENCH_OUT)/bpf/ns

ONLY ?=
ROUNDS ?= 3
SECONDS_EACH ?= 3

ONLY_ARG = $(if $(ONLY),--only "$(ONLY)")

.PHONY: bench-tools

bench: deps $(BUILD)/weir bench-tools
	$(Q)/usr/bin/python3 bench/run.py --build $(BUILD) --rounds $(ROUNDS) --seconds $(SECONDS_EACH) $(ONLY_ARG)

bench-tools: $(BENCH_TOOLS)

$(BENCH_OUT)/%.bpf.o: bench/%.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(BENCH_OUT)/%.skel.h: $(BENCH_OUT)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf > $@

$(BENCH_OUT)/%.o: bench/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -I. -MMD -MP -c $< -o $@

$(BENCH_OUT)/load/loop.o: $(BENCH_OUT)/load/gen.skel.h

$(BENCH_OUT)/load/gen: $(BENCH_OUT)/load/gen.o $(BENCH_OUT)/load/loop.o $(BENCH_OUT)/load/probe.o
	$(call say,LD,$@)
	$(Q)$(CC) $(HOST_CFLAGS) $^ -lbpf -lelf -lz -o $@

$(BENCH_OUT)/bpf/ns: $(BENCH_OUT)/bpf/ns.o $(BENCH_OUT)/bpf/packet.o
	$(call say,LD,$@)
	$(Q)$(CC) $(HOST_CFLAGS) $^ -lbpf -lelf -lz -o $@
