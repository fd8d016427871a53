# SPDX-License-Identifier: GPL-2.0-only
#
# C++ for kbuild. A step's Kbuild file includes this; after it, `foo.o` may come from foo.cpp, and
# `common-foo.o` comes from common/kernel/foo.c. Everything else is the kernel's own build: its
# flags, its dependency files, its objtool, its "nothing to do" when nothing changed.
#
# Kbuild reads this file before it has defined c_flags and its like, so whatever names one of
# them is set with `=` (looked up when used), not `:=` (looked up now).

vtx-common := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

# The compiler that built the kernel, in its C++ form: gcc-12 -> g++-12, clang -> clang++. CC may be
# several words ("ccache gcc") and have a path; only the names of programs are changed.
cxx-of = $(if $(findstring /,$(1)),$(dir $(1)))$(call cxx-name,$(notdir $(1)))
cxx-name = $(subst clang,clang++,$(subst gcc,g++,$(1)))
CXX := $(foreach word,$(CC),$(call cxx-of,$(word)))

# What the kernel tells its C compiler and a C++ compiler refuses. The compiler itself says which:
# "option '-Wno-pointer-sign' is valid for C/ObjC but not for C++". So we need no list.
cxx-refused = $(shell LC_ALL=C $(CXX) $(_c_flags) -fsyntax-only -x c++ /dev/null 2>&1 | \
	grep -o "'-[^']*'" | tr -d "'" | sort -u)

# No system headers (the kernel has no libc), only libstdc++'s freestanding ones, the compiler's
# own, and the stand-in for the one libc header that libstdc++ asks for; then what lies beside
# common/ (doctor/rules). The compiler itself lists where it looks. libstdc++'s folders are those
# with a part c++ in their path (Gentoo: g++-v14).
cxx-includes := -nostdinc -nostdinc++ \
	-isystem $(shell $(CXX) -print-file-name=include) \
	$(addprefix -isystem ,$(shell LC_ALL=C $(CXX) -E -x c++ -v /dev/null 2>&1 | \
		sed -nE 's!^ (/[^ ]*/(c\+\+|g\+\+-v[0-9]+)(/[^ ]*)?)$$!\1!p')) \
	-isystem $(vtx-common)/freestanding -I$(vtx-common)/..

# Whatever needs a run-time library that the kernel does not have is switched off.
cxx-language := -std=gnu++20 -ffreestanding \
	-fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit
cxx-warnings := -Wextra -Wold-style-cast -Wnon-virtual-dtor -Wconversion

# _c_flags is all that the kernel and this step say about compiling one file. c_flags would add
# Linux's include path and compiler_types.h; without them no Linux header can be included from
# C++ by accident (they are not C++: `enum { false, true }`, a macro called `inline`, ...).
cxx_flags = -Wp,-MMD,$(depfile) $(cxx-includes) \
	$(filter-out $(cxx-refused),$(_c_flags)) $(cxx-language) $(cxx-warnings) \
	$(modkern_cflags) $(basename_flags) $(modname_flags)

quiet_cmd_cxx_o_cpp = CXX $(quiet_modtag) $@
      cmd_cxx_o_cpp = $(CXX) $(cxx_flags) -c -o $@ $< $(cmd_objtool)

# A module's constructors run only where the kernel has CONFIG_CONSTRUCTORS, and few have. Elsewhere
# an object that needs one would silently stay zero. So it breaks the build instead.
cxx-constructors = $(if $(CONFIG_CONSTRUCTORS),only kernels like this one \
	run (CONFIG_CONSTRUCTORS),this kernel never runs)
      cmd_cxx_no_constructors = if $(OBJDUMP) -h $@ | grep -q '\.init_array'; then \
	echo >&2 '$<: error: a static object needs a constructor, which' \
	'$(cxx-constructors); make it constinit'; \
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

# A step's files include each other by their bare names, whether they lie in its folder or in its
# core/, which steps have from 07 on. (W=1 warns of a folder that does not exist.)
vtx-folders := $(addprefix -I,$(src) $(wildcard $(src)/core) $(vtx-common))
ccflags-y += $(vtx-folders)
asflags-y += $(vtx-folders)

# No calls into ftrace at the beginning of functions, in C or C++, so no code of a scope is traced.
ccflags-remove-y += $(CC_FLAGS_FTRACE)

# g++ puts each inline function and template instance into a group of sections of its own, and the
# linker keeps groups apart. With newer versions (14 and 16, not 12) such a group has a section
# __patchable_function_entries of its own. A module with two sections of one name does not load:
# sysfs, where Linux lists them, answers EEXIST. This joins what has the same name.
ldflags-y += --force-group-allocation

# These would call a checker or a counter from inside a scope, where nothing may print; and KASAN
# and GCOV add constructors of their own.
KASAN_SANITIZE := n
KCSAN_SANITIZE := n
KCOV_INSTRUMENT := n
GCOV_PROFILE := n
