# SPDX-License-Identifier: GPL-2.0
# Targets: install uninstall deb. `make install DESTDIR=DIR` needs no root; `make deb` makes build/deb/weir_*.deb.

DESTDIR ?=
PREFIX ?= /usr
SYSCONFDIR ?= /etc
UNITDIR ?= /lib/systemd/system
VERSION := $(shell sed -n 's/^\#define WEIR_VERSION "\(.*\)"/\1/p' userspace/config/config.h)
DEB_VERSION ?= $(or $(PROGRAM_VERSION),$(VERSION))
MAN = $(wildcard docs/*.[1-9])

.PHONY: install deb

put = install -D -m $(1) $(2) $(DESTDIR)$(3)

install: $(BUILD)/weir
	$(call say,PUT,$(DESTDIR)$(PREFIX))
	$(Q)$(call put,755,$(BUILD)/weir,$(PREFIX)/sbin/weir)
	$(Q)for page in $(MAN); do $(call put,644,$$page,$(PREFIX)/share/man/man$${page##*.}/$${page##*/}) || exit 1; done
	$(Q)for header in $(wildcard include/*.h); do $(call put,644,$$header,$(PREFIX)/include/$${header##*/}) || exit 1; done
	$(Q)for shell in bash zsh fish; do $(BUILD)/weir completion $$shell >$(BUILD)/completion.$$shell || exit 1; done
	$(Q)$(call put,644,$(BUILD)/completion.bash,$(PREFIX)/share/bash-completion/completions/weir)
	$(Q)$(call put,644,$(BUILD)/completion.zsh,$(PREFIX)/share/zsh/vendor-completions/_weir)
	$(Q)$(call put,644,$(BUILD)/completion.fish,$(PREFIX)/share/fish/vendor_completions.d/weir.fish)
	$(Q)install -d $(DESTDIR)/var/log/weir
	$(Q)$(call put,644,packaging/weir.service,$(UNITDIR)/weir.service)
	$(Q)$(call put,644,packaging/weir.socket,$(UNITDIR)/weir.socket)
	$(Q)$(call put,644,packaging/weir.logrotate,$(SYSCONFDIR)/logrotate.d/weir)
	$(Q)[ -e $(DESTDIR)$(SYSCONFDIR)/weir/weir.conf ] || $(call put,644,packaging/weir.conf,$(SYSCONFDIR)/weir/weir.conf)

# The source is copied first: packaging must not leave its traces in this tree. Files that are not committed count, too.
deb:
	$(Q)tests/deps.sh build debhelper dpkg-dev fakeroot
	$(Q)rm -rf $(BUILD)/deb && mkdir -p $(BUILD)/deb/weir-$(VERSION)
	$(Q)git ls-files -co --exclude-standard | tar -cf - -T - | tar -xf - -C $(BUILD)/deb/weir-$(VERSION)
	$(Q)cp -r packaging/debian $(BUILD)/deb/weir-$(VERSION)/debian
	$(Q)cd $(BUILD)/deb/weir-$(VERSION) && sed -i '1s/([^)]*)/($(DEB_VERSION))/' debian/changelog && \
		$(if $(PROGRAM_VERSION),sed -i 's/^\(#define WEIR_VERSION\) .*/\1 "$(PROGRAM_VERSION)"/' userspace/config/config.h &&) \
		env -u MAKEFLAGS -u MAKELEVEL -u BUILD dpkg-buildpackage -b -us -uc >../log 2>&1 || { tail -40 ../log; exit 1; }
	$(Q)rm -rf $(BUILD)/deb/weir-$(VERSION)
	@ls $(BUILD)/deb/*.deb
