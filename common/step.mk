# SPDX-License-Identifier: GPL-2.0-only
#
# What every step's Makefile would repeat: hand the work to the kernel's build system.
#
#   make                 build the module for the running kernel
#   make KDIR=/path      build it for another kernel's build tree
#   make W=1             with more warnings
#   make clean           leave sources only

release := $(shell uname -r)
OS_RELEASE := /etc/os-release
KDIR ?= /lib/modules/$(release)/build

.PHONY: modules clean
modules: | kernel-headers
	@+$(MAKE) -C $(KDIR) M=$(CURDIR) CONFIG_DEBUG_INFO_BTF_MODULES= modules

clean: | kernel-headers
	@+$(MAKE) -C $(KDIR) M=$(CURDIR) clean

# BTF is type information for tracing tools. The program that makes it, pahole, does not know C++
# references, and would break the build on kernels that ask for BTF. The empty variable prevents it.

# How kernels are named, and what installs their build tree. A kernel from elsewhere, such as WSL2's
# or your own, has no package.
.PHONY: kernel-headers
kernel-headers:
	@test -e $(KDIR)/Makefile || { test ! -r $(OS_RELEASE) || . $(OS_RELEASE); \
	case "$$ID $$ID_LIKE $(release)" in \
	*debian*-amd64 | *ubuntu*.0-[1-9]*-[a-z]*) get="apt install linux-headers-$(release)";; \
	*fedora*.fc[0-9]*.x86_64) get="dnf install kernel-devel-$(release)";; \
	*arch*-arch[0-9]*) get="pacman -S linux-headers";; \
	*arch*-[0-9]-lts) get="pacman -S linux-lts-headers";; \
	*arch*-zen[0-9]*-zen) get="pacman -S linux-zen-headers";; \
	*suse*-default) get="zypper install kernel-default-devel";; \
	*) get=;; esac; test "$$get" && how="install it (sudo $$get)" || \
	how="whoever built the kernel has it"; echo >&2 "No kernel build tree at $(KDIR): $$how," \
	"or name another with KDIR=.$(in_the_lab)"; exit 1; }

# In a copy of a step there is no lab.
in_the_lab := $(if $(wildcard ../tools/lab), The lab needs none: \
	./lab run $(patsubst step%,%,$(firstword $(subst -, ,$(notdir $(CURDIR))))))
