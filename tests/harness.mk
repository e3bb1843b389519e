# SPDX-License-Identifier: GPL-2.0
# What the end-to-end tests of TCP play with: the oracle listener, the soak client, the lossy link.

HARNESS_DIR = $(BUILD)/tests/harness
HARNESS = $(addprefix $(HARNESS_DIR)/,listener soak lossy pool_client publish pass.bpf.o)

.PHONY: harness
harness: $(HARNESS)

$(HARNESS_DIR)/%.bpf.o: tests/harness/%.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(HARNESS_DIR)/%.skel.h: $(HARNESS_DIR)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(HARNESS_DIR)/lossy: $(HARNESS_DIR)/lossy.skel.h
$(HARNESS_DIR)/lossy: HARNESS_LIBS = -lbpf -lelf -lz

$(HARNESS_DIR)/%: tests/harness/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -I$(HARNESS_DIR) -MMD -MP $< -o $@ $(HARNESS_LIBS)

$(HARNESS_DIR)/publish: tests/harness/publish.c $(BUILD)/libweir.a
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TEST_CFLAGS) -MMD -MP $< $(BUILD)/libweir.a -o $@ $(LDLIBS)
