# SPDX-License-Identifier: GPL-2.0-only
"""./lab shell: an interactive shell in the emulated PC, on the reader's own terminal."""
from __future__ import annotations

import dataclasses
import os
import pty
import select
import shlex
import shutil
import sys
import termios
import time
import tty
from pathlib import Path

from . import bochs, build, kernels, packages, ui
from .common import LabError, UsageError, module_name, step_folders
from .watch import Outcome, Watch

LEAVE = b"\x1d"  # Ctrl-]

PROFILE = """\
M=/lab/modules
PS1='lab:\\w# '
load() { name=$1; shift; /lab/bin/insmod $M/$name.ko "$@"; }
unload() { rmmod "$1"; }
alias ll='ls -l'
cat /lab/motd
"""

MOTD = """
This is Linux {kernel} on an emulated {cpu} ({cpus} CPU{plural}).
Nothing here can harm your machine.

Modules: {modules}

  load {example}               insmod; its log lines appear here
  cat /sys/kernel/debug/{example}/*
  unload {example}
  dmesg | tail                     the kernel's log again
  poweroff -f, or Ctrl-]           leave

"""


def run(machine: bochs.Machine, files: list[str], yes: bool = False) -> int:
    """Carries out ./lab shell; returns its exit status."""
    # Idle guest time must not race ahead of the reader's, nor keep the host's CPU busy.
    machine = dataclasses.replace(machine, bochsrc=(*machine.bochsrc, "clock: sync=slowdown"))
    machine.check()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("./lab shell needs a terminal; ./lab run shows the steps without one.")
    packages.ensure(packages.needed(["build", bochs.GROUP]), yes)
    machine.check()
    folder = bochs.boot_folder("shell")
    steps = step_folders()
    build.build(machine.kernel, steps, yes, collect=folder / "modules")
    serial, terminal = pty.openpty()
    tty.setraw(terminal)
    boot = bochs.Boot(folder, machine, _contents(machine, folder, steps, files),
                      com1=Path(os.ttyname(terminal)))
    with boot.emulator() as (child, screen), open(boot.console, "wb", 0) as log:
        relay = _Relay(serial, screen, log, child)
        relay.wait_for_boot(boot)
        relay.until_the_end()
    if relay.left:
        ui.say("\r\nLeft by Ctrl-]; the machine was switched off.")
        return 0
    outcome = boot.ending(child.returncode)
    if not outcome.good:
        raise LabError(boot.explain(outcome))
    boot.forget_cd()
    return 0


def _contents(machine: bochs.Machine, folder: Path, steps: list[Path],
              files: list[str]) -> dict[str, bytes | str | Path]:
    """Modules, the reader's own files, and what makes the shell friendly."""
    names = [module_name(step) for step in steps]
    size = shutil.get_terminal_size()
    contents: dict[str, bytes | str | Path] = {
        f"lab/modules/{name}.ko": folder / "modules" / f"{name}.ko" for name in names}
    for name in files:
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"--file {name}: there is no such file.")
        contents[f"root/{path.name}"] = path
    contents["lab/profile"] = PROFILE
    contents["etc/passwd"] = "root:x:0:0:root:/root:/bin/sh\n"  # or the prompt is not lab:~#
    contents["lab/motd"] = MOTD.format(
        kernel=kernels.number(machine.kernel), cpu=machine.cpu, cpus=machine.cpus,
        plural="s" if machine.cpus > 1 else "", modules=" ".join(names), example=names[-1])
    contents["lab/scenario"] = (
        f"stty -F /dev/console rows {size.lines} cols {size.columns} 2>/dev/null\n"
        f"export TERM={shlex.quote(os.environ.get('TERM', 'xterm'))} ENV=/lab/profile\n"
        "cd /root\nsetsid cttyhack sh -i\n")
    return contents


class _Relay:
    """Carries bytes between the reader's terminal and the guest's first serial port."""

    def __init__(self, serial: int, screen: int, log: object, child: object) -> None:
        self.serial = serial
        self.screen = screen
        self.log = log
        self.child = child
        self.left = False

    def _read(self, wait: float, keyboard: bool) -> tuple[bytes, bytes]:
        """What has come from the guest, and from the keyboard."""
        sources = [self.serial, self.screen] + ([sys.stdin.fileno()] if keyboard else [])
        ready = select.select(sources, [], [], wait)[0]
        if self.screen in ready:
            bochs.drain(self.screen, 0)
        output = os.read(self.serial, 65536) if self.serial in ready else b""
        self.log.write(output)
        typed = os.read(sys.stdin.fileno(), 1024) if sys.stdin.fileno() in ready else b""
        return output, typed

    def wait_for_boot(self, boot: bochs.Boot) -> None:
        """Shows progress until the guest's first process runs."""
        started = time.monotonic()
        seen = Watch(boot.console, boot.results)
        with ui.Waiting(boot.announcement()) as waiting:
            while not seen.ready:
                self._read(0.5, keyboard=False)
                if self.child.poll() is not None:
                    return
                seen.poll()
                outcome = seen.verdict() or boot.stopped() or boot.hang(seen)
                if time.monotonic() - started > bochs.LIMIT:
                    outcome = Outcome("timeout", f"it did not boot in {bochs.LIMIT:.0f} s")
                if outcome:
                    raise LabError(boot.explain(seen.completed(outcome)))
            waiting.finish(f"Booted {boot.machine}: {time.monotonic() - started:.0f} s."
                           " Ctrl-] leaves.")

    def until_the_end(self) -> None:
        """Relays until the guest is off or the reader leaves."""
        before = termios.tcgetattr(sys.stdin)
        tty.setraw(sys.stdin)
        try:
            while self.child.poll() is None and not self.left:
                output, typed = self._read(0.2, keyboard=True)
                os.write(1, output)
                if LEAVE in typed:
                    self.left = True
                else:
                    os.write(self.serial, typed)
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
