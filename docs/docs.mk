# SPDX-License-Identifier: GPL-2.0
# Target: manual, which prints what weir.conf(5) says of each parameter from userspace/config/params.def. A unit test fails
# while page and table differ.

.PHONY: manual

manual: $(BUILD)/docs/manual
	$(call say,MAN,docs/weir.conf.5)
	$(Q)$< docs/weir.conf.5 > $(BUILD)/docs/weir.conf.5
	$(Q)cp $(BUILD)/docs/weir.conf.5 docs/weir.conf.5

$(BUILD)/docs/manual: docs/manual.c $(BUILD)/libweir.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) $^ $(LDLIBS) -o $@
