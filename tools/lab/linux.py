# SPDX-License-Identifier: GPL-2.0-only
"""./lab linux: Debian's Linux as a guest of step 10, with its console on the reader's terminal."""
from __future__ import annotations

import dataclasses
import os
import shutil
import time
from pathlib import Path
from typing import Mapping

from . import bochs, build, guest_userland, image, kernels, packages, relay, ui
from .common import LabError, UsageError, choose_steps
from .machine import Machine
from .run import TAINT
from .run_linux import FOLDER, MODULE
from .watch import Follower, Watch, without_time

MEMORY = 128  # MiB of RAM for the guest, where nothing else is said
OF_THE_PC = 384  # MiB for the Linux below it
COMMAND_LINE = "console=ttyS0 cryptomgr.notests"
JOIN = b"@@JOIN\n"

#: Two ports: the first is for the guest's console, the second for the lab. While the guest runs,
#: the kernel log stays out of the first one. (dd, as it reads and writes what there is; cat might
#: try sendfile, which can lose keys.)
SCENARIO = f"""\
D={FOLDER}
tell() {{ echo "@@$*" >/dev/ttyS1; }}
failed() {{ tell FAILED "$1: $(cat /run/out)"; exit; }}
stty -F /dev/ttyS0 raw -echo
stty -F /dev/ttyS1 raw -echo
exec 2>/run/out
/lab/bin/insmod /lab/modules/{MODULE}.ko memory_mb=$MEMORY >&2 || failed insmod
cat /lab/guest/kernel >$D/kernel || failed kernel
cat /lab/guest/initrd >$D/initrd || failed initrd
rm /lab/guest/kernel /lab/guest/initrd
cat /lab/guest/cmdline >$D/cmdline || failed cmdline
echo 1 >$D/run || failed run
dmesg -c >/dev/null
dmesg -n 1
echo @@JOIN >/dev/ttyS0
dd if=/dev/ttyS0 of=$D/console bs=1k &
dd if=$D/console of=/dev/ttyS0 bs=4k
kill $!
stty -F /dev/ttyS0 raw -echo  # which waits until all is sent
dmesg | grep ' {MODULE}: ' >/dev/ttyS1
tell STATUS "$(cat $D/status)"
"""


@dataclasses.dataclass(frozen=True)
class Guest:
    """What the reader wants to run."""

    kernel: str = kernels.DEFAULT
    command_line: str = COMMAND_LINE
    initrd: Path | None = None  # or the lab's own
    memory: int = MEMORY  # MiB

    def check(self) -> None:
        """Refuses, in words, what cannot be."""
        if not 1 <= self.memory <= 512:
            raise UsageError(f"--memory {self.memory}: a guest of step 10 has 1 to 512 MiB.")
        if self.initrd and not self.initrd.is_file():
            raise UsageError(f"--initrd {self.initrd}: there is no such file.")
        if self.initrd_size() > self.memory:
            raise UsageError(f"--initrd {self.initrd} has {self.initrd_size()} MiB, more than the"
                             f" guest's memory: {self.memory} MiB (--memory).")

    def initrd_size(self) -> int:
        """Of the reader's initrd, in MiB."""
        return self.initrd.stat().st_size >> 20 if self.initrd else 0

    def machine(self) -> Machine:
        """The emulated PC for it. Time in which nobody works must not run ahead of the reader's."""
        return Machine(kernel=self.kernel, memory=self.memory + OF_THE_PC + self.initrd_size(),
                       bochsrc=("clock: sync=slowdown",))

    def contents(self, folder: Path) -> Mapping[str, image.Content]:
        """What the PC needs."""
        size = shutil.get_terminal_size()
        own = guest_userland.initrd(size.lines, size.columns, os.environ.get("TERM", "vt100"))
        return {f"lab/modules/{MODULE}.ko": folder / "modules" / f"{MODULE}.ko",
                "lab/guest/kernel": kernels.image(self.kernel).vmlinuz,
                "lab/guest/initrd": self.initrd or own,
                "lab/guest/cmdline": self.command_line,
                "lab/scenario": f"MEMORY={self.memory}\n{SCENARIO}"}


def run(guest: Guest, yes: bool = False) -> int:
    """Carries out ./lab linux; returns its exit status."""
    guest.check()
    machine = guest.machine()
    machine.check()
    if not relay.has_terminal():
        raise UsageError("./lab linux needs a terminal; ./lab run 10 shows the same without one.")
    packages.ensure(packages.needed(["build", bochs.GROUP]), yes)
    machine.check()
    if "console=ttyS0" not in guest.command_line.split():
        ui.say("Without console=ttyS0 on its command line, the guest is not heard.")
    folder = bochs.boot_folder("linux")
    build.build(machine.kernel, choose_steps(["10"]), yes, collect=folder / "modules")
    serial, terminal = relay.serial_port()
    boot = bochs.Boot(folder, machine, guest.contents(folder), com1=terminal)
    with boot.emulator() as (child, screen), open(boot.console, "wb", 0) as log:
        joined = relay.Relay(serial, screen, log, child)
        start(joined, boot, guest)
        end = End(boot)
        if child.poll() is None:
            relay.show(boot.console.read_bytes().partition(JOIN)[2])
            joined.until_the_end(end.has_come)
    ui.say("\r")
    if joined.left:
        ui.say("Left by Ctrl-]; the machine was switched off.")
    elif not end.has_come():
        raise LabError(boot.explain(boot.ending(child.returncode)))
    boot.forget_cd()
    return 0 if joined.left else end.tell()


def start(joined: relay.Relay, boot: bochs.Boot, guest: Guest) -> None:
    """Boots the PC and waits until the guest runs in it, with signs of life."""
    said: list[str] = []  # by the step
    failure: list[str] = []
    runs: list[str] = []

    def console(line: str) -> None:
        text = without_time(line)
        if text.startswith(f"{MODULE}: ") and not any(
                words in text for words in TAINT):
            said.append(text.removeprefix(f"{MODULE}: "))
        elif line.encode() + b"\n" == JOIN:
            runs.append(line)

    seen = Watch(boot.console, boot.results, console,
                 lambda line: failure.append(line) if line.startswith("@@FAILED ") else None)
    joined.wait_for_boot(boot, seen)
    started = time.monotonic()
    with ui.Waiting(f"Loading step 10, and a Linux {kernels.number(guest.kernel)} into its guest"
                    " (some seconds)") as waiting:
        joined.wait_until(boot, seen, lambda: bool(failure or runs))
        if runs:
            waiting.finish(f"Linux {kernels.number(guest.kernel)} starts as a guest, with"
                           f" {guest.memory} MiB: {time.monotonic() - started:.0f} s."
                           " Ctrl-] leaves.")
    if failure:
        raise LabError("The guest was not started. " + (
            f"The step says: {said[-1]}" if said else failure[0].removeprefix("@@FAILED ")))


class End:
    """The end of the guest, as the scenario tells it."""

    def __init__(self, boot: bochs.Boot) -> None:
        self._results = Follower(boot.results)
        self._said: list[str] = []
        self._status = ""

    def has_come(self) -> bool:
        """Whether the guest has ended."""
        for line in self._results.lines():
            if line.startswith("@@STATUS "):
                self._status = line.removeprefix("@@STATUS ")
            elif not line.startswith("@@"):
                self._said.append(without_time(line))
        return bool(self._status)

    def tell(self) -> int:
        """Says how it ended; returns the exit status."""
        for line in self._said:
            ui.say(line)
        ui.say(f"status: {self._status}")
        return 1 if "end=failure" in self._status.split() else 0
