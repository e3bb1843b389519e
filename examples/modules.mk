# SPDX-License-Identifier: GPL-2.0
# Target: examples. A module is one shared object that needs nothing of Weir but include/weir_module.h; those of the
# tests are built the same way.

MODULE_CFLAGS = $(CFLAGS) $(WARN) -D_GNU_SOURCE -Iinclude -fPIC -fvisibility=hidden -pthread
EXAMPLE_MODULES = $(patsubst %.c,$(BUILD)/%.so,$(wildcard examples/modules/*.c))
TEST_MODULES = $(patsubst %.c,$(BUILD)/%.so,$(wildcard tests/modules/*.c))

.PHONY: examples

examples: $(BUILD)/weir $(EXAMPLE_MODULES)

$(EXAMPLE_MODULES) $(TEST_MODULES): $(BUILD)/%.so: %.c
	$(call say,SO,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(MODULE_CFLAGS) -shared -Wl,-z,defs -MMD -MP -MF $(@:.so=.d) $< -o $@
