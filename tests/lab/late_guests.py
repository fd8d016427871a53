# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of step 11 share: the program `late`, snapshots, altered steps, and what the file
`cpus` says."""
from __future__ import annotations

import re
from typing import Iterable, Sequence

import extras
import host_builds
import pytest
from guest import OLDER, Case, Guest, in_guest

from lab import kernels

MODULE = "step11_late_launch"
FILES = f"/sys/kernel/debug/{MODULE}"
#: What `late cpuid` prints while the step is loaded, and else.
AS_GUEST = "hypervisor 1 vmx 0 osxsave 1 name VtxTutorial"
ALONE = "hypervisor 0 vmx 1 osxsave 1 name -"

#: Step 11 with mistakes that a program provokes: leaf 0x12345678 of CPUID is an exit that nobody
#: handles, leaf 0x12345679 an exception in root operation, after the next two VMRESUME fails (the
#: guest state is refused, or a control), and another MOV than the one that is decoded writes to the
#: watched page.
TROUBLED = (
    ("guest_cpuid.hpp", "    const CpuidResult result =", """
    if (leaf == 0x12345678)
        return exit.give_up(leaf);
    if (leaf == 0x12345679)
        asm volatile("ud2");
    if (leaf == 0x1234567a)
        exit.vmcs.write(Field64::vmcs_link_pointer, std::uint64_t{1});
    if (leaf == 0x1234567b)
        exit.vmcs.write(Field32::pin_based_controls, std::uint32_t{0});
    const CpuidResult result ="""),
    ("watched_page.hpp", "watched_store(page_.bytes(), byte);",
     "*const_cast<volatile std::byte *>(page_.bytes()) = static_cast<std::byte>(byte);"))
#: CPU 1 has a guest state that VM entry refuses: a link pointer to nothing.
REFUSES_ON_CPU_1 = (("running_state.hpp",
                     "write_checked(Field64::vmcs_link_pointer, ~std::uint64_t{0});",
                     "write_checked(Field64::vmcs_link_pointer,"
                     " vtx_current_cpu() == 1 ? std::uint64_t{1} : ~std::uint64_t{0});"),)
ALTERED = {"late_trouble": TROUBLED, "late_refuses": REFUSES_ON_CPU_1}

#: Shell functions beside those of extras.LIBRARY.
LIBRARY = f"""
. /lab/extra/library
L={FILES}
VERSION=$(uname -r | cut -d. -f1,2)
# begin, end: the step is loaded, or unloaded, and the program sees it
begin() {{ probe insmod ${{1:-$M/{MODULE}.ko}} $2 || fail "insmod $?"; }}
end() {{ rmmod {MODULE} || fail "rmmod $?"; late cpuid; }}
with_snapshot() {{ insmod $X/snapshot-$VERSION.ko || fail "no snapshot"; }}
"""


def late_guest(guests: Guest | Iterable[Guest], script: str, *, name: str = "", seconds: int = 120,
               ends: str = "", kernel_modules: Sequence[str] = (),
               altered: Sequence[str] = ()) -> pytest.MarkDecorator:
    """guest.in_guest() for a script that uses LIBRARY. Altered steps are built for OLDER and lie in
    $X/NAME.ko, modules of Debian's kernels in $X/NAME-$VERSION.ko."""
    def files() -> dict[str, object]:
        found: dict[str, object] = {**extras.files(), "lab/bin/late": host_builds.late()}
        for kernel in kernels.BOOTABLE:
            number = kernels.number(kernel)
            found[f"lab/extra/snapshot-{number}.ko"] = host_builds.kernel_module("snapshot", kernel)
            for module in kernel_modules:
                found[f"lab/extra/{module}-{number}.ko"] = kernels.module_file(kernel, module)
        for one in altered:
            found[f"lab/extra/{one}.ko"] = host_builds.altered_step(one, "11", OLDER, *ALTERED[one])
        return found

    return in_guest(guests, f"{LIBRARY}\n{script}", name=name, files=files, seconds=seconds,
                    ends=ends)


def states(text: str) -> list[tuple[str, dict[int, int]]]:
    """What the file `cpus` says: for each CPU where it is, and its exits by reason."""
    found = []
    for number, (cpu, state, total, rest) in enumerate(
            re.findall(r"^(\d+)  (guest|outside|left)  (\d+)(.*)$", text, re.MULTILINE)):
        exits = {int(reason): int(count)
                 for reason, count in re.findall(r"  (\d+) [^:]+: (\d+)", rest)}
        assert sum(exits.values()) == int(total), text
        found.append((state, exits))
    return found


def parts(case: Case) -> dict[str, str]:
    """A case's output by its headings, which are lines "@ HEADING"."""
    pieces = re.split(r"^@ (.*)\n", case.output, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2]))


def judge(case: Case) -> None:
    """It went to its end, Linux had nothing to complain of, and nothing stayed loaded."""
    assert case.rc == 0 and "not ok" not in case.output, (case.output, case)
    assert not case.trouble and not case.left, (case.trouble, case.left, case)
