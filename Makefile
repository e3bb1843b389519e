# SPDX-License-Identifier: GPL-2.0
# Targets: deps all run test check vmtest bench manual vmlinux install clean. Each folder with rules of its own has a *.mk.
# `make run` and `make test` install what is missing first (Debian packages, as root); `make all` only builds.

BUILD ?= build
SAN ?=
V ?=
CLANG ?= clang
BPFTOOL ?= bpftool
Q = $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

WARN = -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror
CFLAGS ?= -O2 -g
HOST_CFLAGS = $(CFLAGS) $(WARN) -Wmissing-prototypes -D_GNU_SOURCE -Iinclude -Iuserspace -I$(BUILD) -pthread \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
BPF_CFLAGS = -O2 -g -target bpf -mcpu=v3 $(WARN) -Wimplicit-int-conversion -Iinclude -I. -Ibpf
LDLIBS = -lbpf -lelf -lz -lconfuse -ljansson -lidn2 -lseccomp -lcap-ng -lsystemd -lncursesw -ltinfo -lm -lpcre2-8 -lbrotlienc \
	-lzstd -lcrypt -lmd -pthread -rdynamic -ldl

LLHTTP = /usr/share/llhttp
LLHTTP_OBJ = $(patsubst %,$(BUILD)/llhttp/%.o,api http llhttp)

BPF_OBJ = $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
LIB_SRC = $(filter-out userspace/cli/main.c,$(wildcard userspace/*/*.c))
LIB_OBJ = $(patsubst userspace/%.c,$(BUILD)/userspace/%.o,$(LIB_SRC))
MAIN_OBJ = $(BUILD)/userspace/cli/main.o

all: $(BUILD)/weir

include $(wildcard */*.mk)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps run test check vmtest bench vmlinux install clean

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/weir.bpf.o: $(BPF_OBJ)
	$(call say,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(BUILD)/weir.skel.h: $(BUILD)/weir.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name weir_bpf > $@

$(BUILD)/userspace/%.o: userspace/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOST_CFLAGS) -I/usr/share/include/llhttp -MMD -MP -c $< -o $@

$(patsubst userspace/%.c,$(BUILD)/userspace/%.o,$(wildcard userspace/dataplane/*.c)): $(BUILD)/weir.skel.h

$(BUILD)/userspace/admin/page.o: userspace/admin/page.html

$(BUILD)/llhttp/%.o: $(LLHTTP)/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -I/usr/share/include/llhttp -c $< -o $@

$(BUILD)/libweir.a: $(LIB_OBJ) $(LLHTTP_OBJ)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/weir: $(MAIN_OBJ) $(BUILD)/libweir.a
	$(call say,LD,$@)
	$(Q)$(CC) $(HOST_CFLAGS) $(MAIN_OBJ) $(BUILD)/libweir.a $(LDLIBS) -o $@

vmlinux:
	$(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c | bpf/vmlinux.py > vmlinux.h

clean:
	rm -rf build

-include $(shell find $(BUILD) -path $(BUILD)/deb -prune -o -name '*.d' -print 2>/dev/null)
