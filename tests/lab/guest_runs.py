# SPDX-License-Identifier: GPL-2.0-only
"""What `lab-tool run` says of guest programs (programs/lab-tool/run.c), and what they logged."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Iterable

import host_builds
from guest import Case, module_lines

from lab import kernels

MODULE = "step05_exits"
EINTR, EIO, ENOEXEC, EFAULT, EINVAL, EFBIG, ETIME = 4, 5, 8, 14, 22, 27, 62

#: What a guest prints comes in the log as lines of this kind.
OUTPUT = "guest: "


@dataclass
class GuestRun:
    """One guest program's run."""

    name: str
    result: int  # of write(2)
    error: int  # errno, or 0
    milliseconds: int
    exits: int
    reasons: dict[int, int]  # exits by basic exit reason
    lines: list[str] = field(default_factory=list)  # the module's log, without its name

    @property
    def printed(self) -> list[str]:
        """What the guest printed, by line."""
        return [line[len(OUTPUT):] for line in self.lines if line.startswith(OUTPUT)]

    @property
    def verdict(self) -> str:
        """The module's last word on the guest; empty if it ended with status 0."""
        others = [line for line in self.lines if not line.startswith(OUTPUT)]
        return others[-1] if others else ""

    def __str__(self) -> str:
        return (f"guest {self.name}: write gave {self.result}, errno {self.error}, after"
                f" {self.milliseconds} ms; {self.verdict or 'no complaint'}")


def files(*stems: str) -> dict[str, object]:
    """The files that a scenario with the guests of some guests/*.S needs."""
    found: dict[str, object] = {"lab/bin/lab-tool": host_builds.lab_tool()}
    for stem in stems:
        for name, program in host_builds.guests(stem).items():
            found[f"lab/guests/{stem}/{name}.bin"] = program
    return found


#: Loads the module that shows a CPU's registers, as lab-tool's commands want it.
WITH_SNAPSHOT = "insmod /lab/modules/snapshot-$(uname -r | cut -d. -f1,2).ko || fail snapshot"


def with_snapshot(*stems: str) -> dict[str, object]:
    """files(), and the module for WITH_SNAPSHOT."""
    return {**files(*stems), **{f"lab/modules/snapshot-{kernels.number(kernel)}.ko":
                                host_builds.kernel_module("snapshot", kernel)
                                for kernel in kernels.BOOTABLE}}


def paths(*stems: str) -> str:
    """The guests of some files, as the emulated machine has them."""
    return " ".join(f"/lab/guests/{stem}/{name}.bin"
                    for stem in stems for name in host_builds.names(stem))


def script(limit_ms: int, *stems: str, module: str = MODULE, parameters: str = "") -> str:
    """Loads the step, runs the guests of some files one after the other, unloads."""
    return (f"load {module} {parameters} || fail 'insmod: $?'\n"
            f"MODULE={module} lab-tool run {limit_ms} {paths(*stems)} || fail 'lab-tool: $?'\n"
            f"unload {module}")


def size_of(name: str, stems: Iterable[str]) -> int:
    """The size of a guest program in bytes: what a successful write returns."""
    return len(host_builds.guests(*stems)[name])


def runs(case: Case, module: str = MODULE) -> dict[str, GuestRun]:
    """All runs of a case, by guest."""
    return _parsed(case.output, tuple(case.lines), module)


@lru_cache(maxsize=16)
def _parsed(output: str, log: tuple[str, ...], module: str) -> dict[str, GuestRun]:
    found = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) < 6 or words[0] != "guest":
            continue
        pairs = (word.split(":") for word in words[6:])
        found[words[1]] = GuestRun(words[1], *map(int, words[2:6]),
                                   {int(reason): int(count) for reason, count in pairs})
    current: list[str] = []
    for line in log:
        mark = re.fullmatch(r"@@GUEST (\S+)", line)
        if mark:
            current = found[mark[1]].lines if mark[1] in found else []
        else:
            current += module_lines([line], module)
    return found
