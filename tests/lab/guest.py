# SPDX-License-Identifier: GPL-2.0-only
"""Test cases that run inside the emulated machine. One boot carries many of them.

    from guest import NEWER, OLDER, Guest, in_guest

    HASWELL = Guest(OLDER)

    @in_guest([HASWELL, Guest(NEWER, cpus=2)], "load step02_vmxon && unload step02_vmxon")
    def test_vmxon_is_entered_and_left(case):
        assert case.rc == 0
        assert "step02_vmxon: VMX operation left" in case.log

The test runs once a guest. Tests whose guests are equal share a boot; only what is selected is
booted. `case` is a Case. The script is run by busybox's sh after LIBRARY (below). A test with other
parameters may give a function of their values in place of the script or the files; on parameters
that neither takes the case does not depend, so that many tests can judge one run.
"""
from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable, Mapping, Union

import pytest

from lab import bochs, image, kernels
from lab.common import shown
from lab.run import TAINT
from lab.watch import TROUBLE

#: The two kernels that the lab boots on this Debian, by role: platforms.toml has their numbers.
OLDER, NEWER = kernels.BOOTABLE

Files = Mapping[str, image.Content]
Script = Union[str, Callable[..., str]]

#: What each case's script can use.
LIBRARY = """\
export PATH=/bin:/lab/bin
M=/lab/modules
# load NAME [PARAMETER=VALUE …]: insmod; its status is the module's errno
load() { name=$1; shift; /lab/bin/insmod $M/$name.ko "$@"; }
# unload NAME
unload() { rmmod "$1"; }
# kernel_log: what the kernel has logged since this case began, without times
kernel_log() { dmesg | sed '1,/@@BEGIN '"$CASE"'$/d; s/^\\[[^]]*\\] //'; }
# fail WORDS: ends the case
fail() { echo "$*"; exit 1; }
"""


@dataclass(frozen=True)
class Guest(bochs.Machine):
    """A machine to test on. Equal guests share a boot; another `tag` makes another boot."""

    tag: str = ""
    limit: float = 1200.0  # seconds for the whole boot (bochs.Boot.run)
    kernel_modules: tuple[str, ...] = ()  # of Debian's kernel, put into /lab/kernel/NAME.ko

    @property
    def number(self) -> str:
        """The kernel's number, for tables that people read."""
        return kernels.number(self.kernel)

    def id(self) -> str:
        """A short name for reports and folders."""
        parts = [self.kernel, self.cpu, f"{self.cpus}cpu{'s' if self.cpus > 1 else ''}", self.tag]
        return "-".join(part for part in parts if part)


@dataclass
class Case:
    """What one script did in one guest."""

    name: str
    script: str
    guest: Guest
    files: Callable[[], Files] = dict  # called when its boot is prepared: most have to be built
    seconds: int = 60  # of guest time
    ends: str = ""  # how the script is expected to end the machine: "reboot", "panic", …
    rc: int | None = None
    output: str = ""  # what the script printed
    lines: list[str] = field(default_factory=list)  # kernel log, without times
    left: list[str] = field(default_factory=list)  # modules that the script left loaded
    ended: str = ""  # how the machine ended, if it ended in this case
    cost: float = 0.0  # seconds of processor time of the emulator
    console: Path = Path()
    done: Future[None] = field(default_factory=Future)

    @property
    def log(self) -> str:
        """The kernel's log during the case, without times."""
        return "\n".join(self.lines)

    @property
    def trouble(self) -> list[str]:
        """Lines by which the kernel reports a defect: WARNING, BUG, Oops, Call Trace."""
        return [line for line in self.lines if TROUBLE.search(line)]

    def log_of(self, module: str) -> list[str]:
        """The lines of one module, without its prefix and without the kernel's taint notices."""
        return module_lines(self.lines, module)

    def __repr__(self) -> str:
        return f"<case {self.name} on {self.guest.id()}: {shown(self.console)}>"


def module_lines(lines: list[str], module: str) -> list[str]:
    """The lines of one module in a kernel log, without its prefix and the notices of taint."""
    return [line[len(module) + 2:] for line in lines
            if line.startswith(module + ": ") and not any(words in line for words in TAINT)]


def in_guest(guests: Guest | Iterable[Guest], script: Script, *, name: str = "",
             files: Files | Callable[..., Files] | None = None, seconds: int = 60,
             ends: str = "") -> pytest.MarkDecorator:
    """Marks a test whose `case` is the outcome of a script in each of some guests.

    Tests with the same `name`, guest and script share one run. `ends` names the way in which the
    script is meant to end the machine (watch.Outcome.kind); such a case comes last in its boot.
    """
    chosen = (guests,) if isinstance(guests, Guest) else tuple(guests)
    return pytest.mark.in_guest(guests=chosen, script=script, name=name, files=files,
                                seconds=seconds, ends=ends)
