# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of step 10 share: kernels and an initrd for guests, and a run of one.

    BOOT = f'''{LINUX}
        load_step memory_mb=128 && give older "console=ttyS0 -- kaslr off" && linux 60'''

The guest's first process is programs/linux-init.c: it says what it finds in lines with an @ in
front. `lab-tool linux-run` (programs/lab-tool/linux_run.c) prints these.
"""
from __future__ import annotations

import re
from functools import cache

import extras
import guest_runs
import host_builds
from guest import OLDER, Case

from lab import image, kernels

MODULE = "step10_linux"
FOLDER = f"/sys/kernel/debug/{MODULE}"

#: Words for a guest's command line with which it boots soon, and says little.
QUIET = "console=ttyS0 cryptomgr.notests quiet initcall_blacklist=jent_mod_init"

#: Shell functions for scripts that start guests.
LINUX = f"""
    . /lab/extra/library
    F={FOLDER}
    export MODULE={MODULE}
    load_step() {{ load $MODULE "$@" || fail "insmod: $?"; }}
    # give KERNEL CMDLINE: the kernel by its name in the lab, and the small initrd
    give() {{
        cat /lab/linux/$1 >$F/kernel && cat /lab/linux/initrd >$F/initrd || fail "give: $?"
        echo "$2" >$F/cmdline
    }}
    # linux SECONDS [TYPED]
    linux() {{ lab-tool linux-run "$@" || fail "linux-run: $?"; }}
    thread() {{ grep -lx vtx-guest /proc/[0-9]*/comm | sed 's|/proc/||; s|/comm||'; }}
"""


#: Whether lab-tool can unpack what is in a kernel's bzImage.
CAN_UNPACK = kernels.described(OLDER).packed_by == "lz4"


@cache
def initrd() -> bytes:
    """The guest's files: its first process, and the module that shows MSRs. Not compressed, for to
    unpack them takes a guest time."""
    return image.archive({
        "init": host_builds.linux_init(),
        "msr.ko": kernels.module_file(OLDER, "msr")}, ("dev", "root"))


def files(*names: str) -> dict[str, object]:
    """What LINUX needs, with the kernels of these roles."""
    return {**extras.files(), **guest_runs.with_snapshot(), "lab/linux/initrd": initrd(),
            **{f"lab/linux/{name}": kernels.image(name).vmlinuz for name in names}}


def said(output: str, word: str) -> list[str]:
    """What the guests of a case said in lines of one kind."""
    return re.findall(rf"^@{word} (.*)$", output, re.MULTILINE)


def statuses(case: Case) -> list[dict[str, str]]:
    """What the file `status` said behind each guest: words by name."""
    return [dict(word.split("=") for word in words.split()) for words in
            re.findall(r"^status linux (.*)$", case.output, re.MULTILINE)]


def judge_host(case: Case) -> None:
    """The script went through, and the host has nothing to complain of."""
    assert case.rc == 0, f"{case.output[-1500:]} {case}"
    assert not case.trouble, f"{case.trouble[:3]} {case}"
    assert not case.left, case
    assert "@error" not in case.output, case.output[-1500:]


def boots(kernel: str) -> str:
    """A pattern for the first word of a guest with this kernel."""
    return rf"{re.escape(kernels.number(kernel))}\.\d+\S*-amd64 \d+\.\d+"
