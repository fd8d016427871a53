# SPDX-License-Identifier: GPL-2.0-only
"""./lab debug: boots one step under Bochs's own debugger, on the reader's terminal."""
from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from pathlib import Path
from typing import Sequence

from . import bochs, build, packages, run as lab_run, run_linux, ui
from .common import UsageError, module_name, shown
from .machine import debugger_flags

#: The debugger draws nothing, so the emulated screen must go elsewhere than to the terminal.
SCREEN = 'display_library: rfb, options="timeout=0"'

INTRODUCTION = """
Bochs stops at every VM exit and shows a prompt. Its commands: r, sreg, creg, info cpu, u /8,
s, c, q.
Ctrl-C stops the machine wherever it is. The guest's kernel log goes to {log}
You do not need the emulated screen. A VNC viewer on this machine can show it.
"""


def run(step: Path, machine: bochs.Machine, parameters: list[str], yes: bool = False) -> int:
    """Carries out ./lab debug; returns its exit status."""
    words = lab_run.parse_parameters(parameters)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("./lab debug needs a terminal; ./lab run shows the steps without one.")
    packages.ensure(packages.needed(["build", bochs.GROUP]), yes)
    machine.check()
    machine = dataclasses.replace(machine, bochsrc=(*machine.bochsrc, SCREEN))
    folder = bochs.boot_folder("debug")
    build.build(machine.kernel, [step], yes, collect=folder / "modules")
    name = f"{module_name(step)}.ko"
    boot = bochs.Boot(folder, machine, {f"lab/modules/{name}": folder / "modules" / name,
                                        **run_linux.contents([step], machine.kernel),
                                        "lab/scenario": lab_run.script([step], words)})
    (folder / "debugger").write_text("vmexitbp\nc\n", encoding="ascii")
    ui.say(INTRODUCTION.format(log=shown(boot.console)))
    _foreground((*bochs.BOCHS, *debugger_flags()), folder)
    boot.forget_cd()
    ui.say(f"\nLogs: {shown(boot.console)}, {shown(boot.log)}")
    return 0


def _foreground(command: Sequence[str], folder: Path) -> None:
    """Runs a command that has the terminal to itself: Ctrl-C is for it, not for the lab."""
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        with subprocess.Popen(command, cwd=folder) as child:
            try:
                child.wait()
            finally:
                if child.poll() is None:
                    child.kill()
    finally:
        signal.signal(signal.SIGINT, before)
