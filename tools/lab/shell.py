# SPDX-License-Identifier: GPL-2.0-only
"""./lab shell: an interactive shell in the emulated PC, on the reader's own terminal."""
from __future__ import annotations

import dataclasses
import os
import shlex
import shutil
from pathlib import Path

from . import bochs, build, kernels, packages, relay, run_linux, ui
from .common import LabError, UsageError, module_name, step_folders
from .watch import Watch

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
    if not relay.has_terminal():
        raise UsageError("./lab shell needs a terminal; ./lab run shows the steps without one.")
    packages.ensure(packages.needed(["build", bochs.GROUP]), yes)
    machine.check()
    folder = bochs.boot_folder("shell")
    steps = step_folders()
    build.build(machine.kernel, steps, yes, collect=folder / "modules")
    serial, terminal = relay.serial_port()
    boot = bochs.Boot(folder, machine, _contents(machine, folder, steps, files), com1=terminal)
    with boot.emulator() as (child, screen), open(boot.console, "wb", 0) as log:
        joined = relay.Relay(serial, screen, log, child)
        joined.wait_for_boot(boot, Watch(boot.console, boot.results), " Ctrl-] leaves.")
        joined.until_the_end()
    if joined.left:
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
        plural="s" if machine.cpus > 1 else "", modules=" ".join(names),
        # Whoever reads all files of step 10 waits for a guest: one of them is its console.
        example=[name for name in names if name != run_linux.MODULE][-1])
    contents["lab/scenario"] = (
        f"stty -F /dev/console rows {size.lines} cols {size.columns} 2>/dev/null\n"
        f"export TERM={shlex.quote(os.environ.get('TERM', 'xterm'))} ENV=/lab/profile\n"
        "cd /root\nsetsid cttyhack sh -i\n")
    return contents
