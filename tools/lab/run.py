# SPDX-License-Identifier: GPL-2.0-only
"""./lab run: builds, boots once, loads and unloads each step, shows its log as it comes."""
from __future__ import annotations

import errno
import os
import re
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import bochs, build, image, packages, qemu, run_late, run_linux, ui, watch
from .common import LabError, UsageError, module_name, shown

#: What the kernel itself says, under the module's name, of every module that is not its own.
TAINT = ("loading out-of-tree module taints kernel", "module verification failed")


@dataclass
class StepRun:
    """What one step did in the guest."""

    folder: Path
    began: float = 0.0
    seconds: float = 0.0
    load: int | None = None
    unload: int | None = None
    guest: str = ""  # how the guest of step 10 ended, as its file `status` has it
    trouble: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return module_name(self.folder)

    def result(self) -> str:
        """The word for the table."""
        if self.load is None:
            return "not reached" if not self.began else "no end"
        if self.load != 0:
            return f"refused: {errno_name(self.load)} ({os.strerror(self.load)})"
        if self.trouble:
            return "kernel trouble"
        if self.unload != 0:
            return "did not unload"
        if self.guest not in ("", "power-off"):
            return "no guest ran" if self.guest == "none" else f"guest: {self.guest}"
        return "ok"


def errno_name(number: int) -> str:
    """ENODEV for 19, and so on. insmod of busybox exits with the module's errno."""
    return errno.errorcode.get(number, f"status {number}")


def parse_parameters(texts: list[str]) -> str:
    """The words of all --param options, checked to be NAME=VALUE."""
    words = [word for text in texts for word in shlex.split(text)]
    for word in words:
        if not re.fullmatch(r"\w+=.*", word):
            raise UsageError(f"--param {word!r}: give NAME=VALUE, for example spoil=control.")
    return shlex.join(words)


def script(steps: list[Path], parameters: str) -> str:
    """The guest's script. Its marks go through the kernel log, so that their order is exact."""
    lines = ["mark() { echo \"@@$*\" >/dev/kmsg; }"]
    for step in steps:
        name = module_name(step)
        lines += [
            f"mark BEGIN {name}",
            *([run_late.BEFORE] if name == run_late.MODULE else []),
            f"mark TYPED {name} insmod {name}.ko",
            f"/lab/bin/insmod /lab/modules/{name}.ko {parameters} >/run/out 2>&1; rc=$?",
            f"mark LOADED {name} $rc",
            "if [ $rc = 0 ]; then",
            *_loaded(name),
            f"  for file in /sys/kernel/debug/{name}/*; do",
            "    [ -f \"$file\" ] || continue",
            # Root may open what nobody may read; and a console waits for a guest.
            "    case $(stat -c %A \"$file\") in -r*) ;; *) continue ;; esac",
            "    case $file in */console) continue ;; esac",
            "    echo \"@@FILE $file\" >/dev/ttyS1; cat \"$file\" >/dev/ttyS1 2>/dev/null",
            "  done",
            f"  rmmod {name} >/run/out 2>&1; mark UNLOADED {name} $?",
            *([run_late.AFTER] if name == run_late.MODULE else []),
            "fi",
            f"mark END {name}",
        ]
    return "\n".join(["stty -F /dev/ttyS1 raw -echo", *lines, ""])


def _loaded(name: str) -> list[str]:
    """The part of a step's script while it is loaded, to the line that says rmmod."""
    typed = f"  mark TYPED {name} rmmod {name}"
    if name == run_linux.MODULE:
        return [run_linux.SCRIPT]  # Reporter._guest says rmmod, when the guest's last line came
    return [run_late.LOADED, typed] if name == run_late.MODULE else [typed, "  sleep 1"]


class Reporter:
    """Turns the guest's console into what a newcomer reads."""

    def __init__(self, runs: list[StepRun], verbose: bool) -> None:
        self.runs = {run.name: run for run in runs}
        self.verbose = verbose
        self.current: StepRun | None = None
        self.ready = False
        self.files: dict[str, list[str]] = {}
        self.file: list[str] | None = None
        self.screen: run_linux.Screen | None = None
        self.held: list[str] = []  # what the step says meanwhile
        self.early: list[str] = []  # what the guest says before the step has told of its load

    def console(self, line: str) -> None:
        """One line of the guest's kernel log."""
        text = watch.without_time(line)
        if text.startswith("@@"):
            self._mark(*text[2:].split(maxsplit=2))
        elif self.current and text.startswith(self.current.name + ":") and not any(
                words in text for words in TAINT):
            self.held.append("  " + text)
            if not self.screen:
                self.release()
        elif self.current and text:
            self._other(text)
        elif self.verbose and text:
            ui.say("  " + ui.dim(text))

    def _other(self, text: str) -> None:
        """A line that is the kernel's own, not the step's."""
        assert self.current
        if watch.TROUBLE.search(text):
            self.current.trouble.append(text)
        if self.current.trouble:
            ui.say("  " + ui.red("kernel: " + text))
        elif self.verbose:
            ui.say("  " + ui.dim("kernel: " + text))

    def _mark(self, kind: str, name: str, words: str = "") -> None:
        if kind == "READY":
            self.ready = True
            return
        run = self.runs[name]
        if kind == "BEGIN":
            self.current = run
            run.began = time.monotonic()
            ui.say()
            ui.say(ui.bold(title(run.folder)))
        elif kind == "TYPED":
            ui.say(ui.dim(f"  {words}"))
        elif kind == "SAID":
            ui.say(f"  | {words}")
        elif kind == "LOADED":
            run.load = int(words)
            if run.load:
                ui.say("  " + ui.red(f"insmod: {errno_name(run.load)}, {os.strerror(run.load)}"))
            self.release()
            for line in self.early:
                self.result(line)
            self.early = []
        elif kind == "UNLOADED":
            run.unload = int(words)
        elif kind == "END":
            run.seconds = time.monotonic() - run.began
            self.current = None

    def result(self, line: str) -> None:
        """One line of the second serial port: the console of step 10's guest, and the tables that a
        step keeps in debugfs."""
        if line == "@@GUEST":
            self.screen = run_linux.Screen()
        elif self.screen and self.runs[run_linux.MODULE].load is None:
            self.early.append(line)
        elif self.screen:
            self._guest(self.screen, line)
        elif line.startswith("@@FILE "):
            self.file = self.files.setdefault(line[7:], [])
        elif self.file is not None:
            self.file.append(line)

    def release(self) -> None:
        """Prints the step's lines that came while the guest's were shown: the two ports have no
        order between them."""
        for line in self.held:
            ui.say(line)
        self.held = []

    def _guest(self, screen: run_linux.Screen, line: str) -> None:
        """A line of the guest's console, or what the step says of the guest afterwards."""
        if line.startswith("@@STATUS "):
            screen.leave_boot()
            self.release()
        screen.line(line)
        if screen.over:
            self.screen = None
            self.runs[run_linux.MODULE].guest = screen.end
            ui.say(ui.dim(f"  rmmod {run_linux.MODULE}"))


def title(folder: Path) -> str:
    """A step's name and the first heading of its README."""
    readme = folder / "README.md"
    if readme.exists():
        for line in readme.read_text(encoding="utf-8").splitlines():
            if line.startswith("# "):
                return f"{folder.name}: {re.sub(r'^Step [0-9]+: ', '', line[2:].strip())}"
    return folder.name


def run(steps: list[Path], machine: bochs.Machine, parameters: list[str], yes: bool = False,
        verbose: bool = False) -> int:
    """Carries out ./lab run; returns its exit status."""
    machine.check()
    emulator = qemu if isinstance(machine, qemu.Machine) else bochs
    words = parse_parameters(parameters)
    packages.ensure(packages.needed(["build", emulator.GROUP]), yes)
    machine.check()
    folder = bochs.boot_folder("run")
    build.build(machine.kernel, steps, yes, collect=folder / "modules")
    files: dict[str, image.Content] = {
        f"lab/modules/{module_name(step)}.ko": folder / "modules" / f"{module_name(step)}.ko"
        for step in steps}
    runs = [StepRun(step) for step in steps]
    files.update({**run_linux.contents(steps, machine.kernel), **run_late.contents(steps)})
    boot = emulator.Boot(folder, machine, {**files, "lab/scenario": script(steps, words)})
    reporter = Reporter(runs, verbose)
    outcome = _watched(boot, reporter)
    _save_tables(boot, reporter)
    return _close(boot, outcome, runs)


def _watched(boot: bochs.Boot, reporter: Reporter) -> watch.Outcome:
    """Runs the boot: first with a line of progress, then with the steps' own words."""
    started = time.monotonic()
    with ui.Waiting(boot.announcement()) as waiting:

        def console(line: str) -> None:
            if not reporter.ready and "@@READY" in line:
                waiting.finish(f"Booted {boot.machine}: {time.monotonic() - started:.0f} s")
            reporter.console(line)

        outcome = boot.run(on_console=console, on_result=reporter.result)
        reporter.release()
        return outcome


def _save_tables(boot: bochs.Boot, reporter: Reporter) -> None:
    """Keeps the debugfs files beside the logs and says where."""
    for name, lines in reporter.files.items():
        path = boot.folder / "debugfs" / Path(name).relative_to("/sys/kernel/debug")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _close(boot: bochs.Boot, outcome: watch.Outcome, runs: list[StepRun]) -> int:
    """Prints the table and the last words."""
    ui.say()
    width = max(len(run.folder.name) for run in runs)
    ui.say(ui.bold(f"{'step':{width}}  {'result':12}  seconds"))
    for run in runs:
        word = run.result()
        colour = ui.green if word == "ok" else ui.red
        seconds = f"{run.seconds:7.1f}" if run.seconds else "      -"
        ui.say(f"{run.folder.name:{width}}  {colour(f'{word:12}')}  {seconds}")
    ui.say()
    ui.say(f"Kernel log: {shown(boot.console)}")
    if (boot.folder / "debugfs").exists():
        ui.say(f"Tables from debugfs: {shown(boot.folder / 'debugfs')}/")
    if not outcome.good:
        raise LabError(boot.explain(outcome))
    return 0 if all(run.result() == "ok" for run in runs) else 1
