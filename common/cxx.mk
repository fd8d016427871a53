# SPDX-License-Identifier: GPL-2.0-only
#
# C++ for kbuild. A step's Kbuild file includes this; after it, `foo.o` may come from foo.cpp, and
# `common-foo.o` comes from common/kernel/foo.c. Everything else is the kernel's own build: its
# flags, its dependency files, its objtool, its "nothing to do" when nothing changed.
#
# Kbuild reads this file before it has defined c_flags and its like, so whatever names one of
# them is set with `=` (looked up when used), not `:=` (looked up now).

vtx-common := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

# The compiler that built the kernel, in its C++ form: gcc-12 -> g++-12, clang -> clang++.
CXX := $(subst clang,clang++,$(subst gcc,g++,$(CC)))

# What the kernel tells its C compiler and a C++ compiler refuses or does not know.
cxx-c-only := -std=gnu% -Wno-pointer-sign -Wno-override-init -Wmissing-prototypes \
	-Wstrict-prototypes -Wold-style-definition -Werror=strict-prototypes \
	-Werror=implicit-function-declaration -Werror=implicit-int \
	-Werror=incompatible-pointer-types -Werror=designated-init

# No system headers (the kernel has no libc) but libstdc++'s freestanding ones, the compiler's
# own, and the stand-in for the one libc header that libstdc++ asks for.
cxx-includes := -nostdinc -nostdinc++ \
	-isystem $(shell $(CXX) -print-file-name=include) \
	$(addprefix -isystem ,$(shell $(CXX) -E -x c++ -v /dev/null 2>&1 | \
		sed -n 's|^ \(/.*/c++/[0-9.]*\)$$|\1|p')) \
	$(addprefix -isystem ,$(shell $(CXX) -E -x c++ -v /dev/null 2>&1 | \
		sed -n 's|^ \(/.*/[^/]*linux-gnu/c++/[0-9.]*\)$$|\1|p')) \
	-isystem $(vtx-common)/freestanding -I$(vtx-common)

# Whatever needs a run-time library that the kernel does not have is switched off.
cxx-language := -std=gnu++20 -ffreestanding \
	-fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit
cxx-warnings := -Wextra -Wold-style-cast -Wnon-virtual-dtor -Wconversion

# _c_flags is all that the kernel and this step say about compiling one file. c_flags would add
# Linux's include path and compiler_types.h; without them no Linux header can be included from
# C++ by accident (they are not C++: `enum { false, true }`, a macro called `inline`, ...).
cxx_flags = -Wp,-MMD,$(depfile) $(cxx-includes) \
	$(filter-out $(cxx-c-only),$(_c_flags)) $(cxx-language) $(cxx-warnings) \
	$(modkern_cflags) $(basename_flags) $(modname_flags)

quiet_cmd_cxx_o_cpp = CXX $(quiet_modtag) $@
      cmd_cxx_o_cpp = $(CXX) $(cxx_flags) -c -o $@ $< $(cmd_objtool)

# Debian's kernels do not run a module's constructors (CONFIG_CONSTRUCTORS is off): an object
# that needs one would silently stay zero. So it breaks the build instead.
      cmd_cxx_no_constructors = if $(OBJDUMP) -h $@ | grep -q '\.init_array'; then \
	echo >&2 '$<: error: a static object needs a constructor, which a kernel module never runs; make it constinit'; \
	rm -f $@; exit 1; fi

define rule_cxx_o_cpp
	$(call cmd_and_fixdep,cxx_o_cpp)
	$(call cmd,cxx_no_constructors)
	$(call cmd,gen_objtooldep)
endef

$(obj)/%.o: $(src)/%.cpp FORCE
	$(call if_changed_rule,cxx_o_cpp)

# Shared files are compiled into the step's own folder: steps build in parallel without meeting.
$(obj)/common-%.o: $(vtx-common)/kernel/%.c FORCE
	$(call if_changed_rule,cc_o_c)
$(obj)/common-%.o: $(vtx-common)/vmx/%.c FORCE
	$(call if_changed_rule,cc_o_c)

# Kbuild looks a module's name up by the source file's name, which it does not find for these.
$(obj)/common-%.o: modname = $(basename $(notdir $(obj-m)))

ccflags-y += -I$(vtx-common)
asflags-y += -I$(vtx-common)
