# SPDX-License-Identifier: GPL-2.0-only
#
# What every step's Makefile would repeat: hand the work to the kernel's build system.
#
#   make                 build the module for the running kernel
#   make KDIR=/path      build it for another kernel's build tree
#   make W=1             with more warnings
#   make clean           leave sources only

KDIR ?= /lib/modules/$(shell uname -r)/build

.PHONY: modules clean
modules: | kernel-headers
	@+$(MAKE) -C $(KDIR) M=$(CURDIR) CONFIG_DEBUG_INFO_BTF_MODULES= modules

clean: | kernel-headers
	@+$(MAKE) -C $(KDIR) M=$(CURDIR) clean

# BTF is type information for tracing tools; pahole, which makes it, does not know C++ references
# and would break the build on kernels that ask for it: hence the empty variable above.

.PHONY: kernel-headers
kernel-headers:
	@test -e $(KDIR)/Makefile || { echo >&2 "No kernel build tree at $(KDIR):" \
	"install it (Debian: sudo apt install linux-headers-$(shell uname -r)), or name another" \
	"with KDIR=.$(in_the_lab)"; exit 1; }

# In a copy of a step there is no lab.
in_the_lab := $(if $(wildcard ../tools/lab), The lab needs none: \
	./lab run $(patsubst step%,%,$(firstword $(subst -, ,$(notdir $(CURDIR))))))
