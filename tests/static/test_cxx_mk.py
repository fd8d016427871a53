# SPDX-License-Identifier: GPL-2.0-only
"""common/cxx.mk, which has to fit every distribution's compiler and not only this machine's."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab import platforms
from lab.common import ROOT

#: What `g++ -E -x c++ -v /dev/null` lists, a distribution each: libstdc++'s folders, then others.
SEARCHED = {
    "Debian": (["/usr/include/c++/14", "/usr/include/x86_64-linux-gnu/c++/14",
                "/usr/include/c++/14/backward"],
               ["/usr/lib/gcc/x86_64-linux-gnu/14/include", "/usr/local/include",
                "/usr/include/x86_64-linux-gnu", "/usr/include"]),
    "Fedora": (["/usr/lib/gcc/x86_64-redhat-linux/15/../../../../include/c++/15",
                "/usr/lib/gcc/x86_64-redhat-linux/15/../../../../include/c++/15/"
                "x86_64-redhat-linux",
                "/usr/lib/gcc/x86_64-redhat-linux/15/../../../../include/c++/15/backward"],
               ["/usr/lib/gcc/x86_64-redhat-linux/15/include", "/usr/local/include",
                "/usr/include"]),
    "Arch": (["/usr/lib/gcc/x86_64-pc-linux-gnu/16.1.1/../../../../include/c++/16.1.1",
              "/usr/lib/gcc/x86_64-pc-linux-gnu/16.1.1/../../../../include/c++/16.1.1/"
              "x86_64-pc-linux-gnu",
              "/usr/lib/gcc/x86_64-pc-linux-gnu/16.1.1/../../../../include/c++/16.1.1/backward"],
             ["/usr/lib/gcc/x86_64-pc-linux-gnu/16.1.1/include", "/usr/local/include",
              "/usr/lib/gcc/x86_64-pc-linux-gnu/16.1.1/include-fixed", "/usr/include"]),
    "openSUSE": (["/usr/include/c++/15", "/usr/include/c++/15/x86_64-suse-linux",
                  "/usr/include/c++/15/backward"],
                 ["/usr/lib64/gcc/x86_64-suse-linux/15/include", "/usr/local/include",
                  "/usr/lib64/gcc/x86_64-suse-linux/15/include-fixed",
                  "/usr/lib64/gcc/x86_64-suse-linux/15/../../../../x86_64-suse-linux/include",
                  "/usr/include"]),
}


def ask(scratch: Path, variable: str, *words: str) -> list[str]:
    """The words of a variable of cxx.mk, as a Kbuild file that includes it would see them."""
    makefile = scratch / "ask.mk"
    makefile.write_text(f"include {ROOT}/common/cxx.mk\n"
                        f"ask: ; @printf '%s\\n' $({variable})\n", encoding="ascii")
    result = subprocess.run(["make", "-s", "-f", str(makefile), "ask", *words], text=True,
                            check=True, stdout=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"})
    return result.stdout.split()


@pytest.mark.parametrize("cc, cxx", [
    ("gcc", "g++"), ("gcc-12", "g++-12"), ("x86_64-linux-gnu-gcc-16", "x86_64-linux-gnu-g++-16"),
    ("ccache gcc", "ccache g++"), ("/opt/gcc-16/bin/gcc", "/opt/gcc-16/bin/g++"),
    ("clang-19", "clang++-19"), ("/usr/lib/clang/bin/clang", "/usr/lib/clang/bin/clang++"),
])
def test_cxx_compiler_is_named_after_the_c_compiler(cc: str, cxx: str, scratch: Path) -> None:
    assert " ".join(ask(scratch, "CXX", f"CC={cc}")) == cxx


@pytest.mark.parametrize("distribution", SEARCHED)
def test_libstdcxx_is_found(distribution: str, scratch: Path) -> None:
    """Its folders are kept in their order; no other is, or the C library's headers would come."""
    kept, others = SEARCHED[distribution]
    listing = "\n".join(f" {folder}" for folder in kept + others)
    compiler = scratch / "g++"
    compiler.write_text("#!/bin/sh\ncase \"$1\" in -print*) echo /compiler/include; exit;; esac\n"
                        "cat >&2 <<END\n /usr/libexec/cc1plus -E -quiet -v -dumpdir /c++/\n"
                        '#include "..." search starts here:\n#include <...> search starts here:\n'
                        f"{listing}\nEnd of search list.\nEND\n", encoding="ascii")
    compiler.chmod(0o755)
    words = ask(scratch, "cxx-includes", f"CC={scratch}/gcc")
    folders = [folder for word, folder in zip(words, words[1:]) if word == "-isystem"]
    assert folders == ["/compiler/include", *kept, f"{ROOT}/common/freestanding"]


@pytest.mark.parametrize("core", [True, False])
@pytest.mark.parametrize("src", ["absolute", "."])  # before and since Linux 6.13
def test_step_and_its_core_are_searched(src: str, core: bool, scratch: Path) -> None:
    """Before common/, in C, C++ and assembly alike."""
    step = scratch if src == "absolute" else Path(src)
    if core:
        (scratch / "core").mkdir()
    wanted = [f"-I{step}", *([f"-I{step}/core"] if core else []), f"-I{ROOT}/common"]
    for variable in ("ccflags-y", "asflags-y"):
        assert ask(scratch, variable, f"src={step}", "-C", str(scratch)) == wanted


def test_what_the_compiler_refuses_is_left_out(scratch: Path) -> None:
    """Options for C alone, whichever they are."""
    only_c = {"-std=gnu11", "-Wno-pointer-sign", "-Wstrict-prototypes", "-Werror=implicit-int",
              "-Werror=incompatible-pointer-types"}
    refused = ask(scratch, "cxx-refused", f"CC={platforms.debian().compiler}",
                  f"_c_flags=-O2 -Wundef {' '.join(only_c)} -Werror=date-time -fno-common")
    assert only_c <= set(refused)
    assert not {"-O2", "-Wundef", "-Werror=date-time", "-fno-common"} & set(refused)
