# SPDX-License-Identifier: GPL-2.0-only
"""Puts a reader's exercise to the test: builds the work folder, boots, runs the script."""
from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from . import bochs, build, grading, kernels, proc, watch
from .common import BUILD, LabError, locked, shown
from .exercises import Exercise

KERNEL = kernels.DEFAULT
#: Seconds for a script, from the shell on, as bochs.Boot.age() counts them. Those of step 10 boot
#: Linux in the guest, up to twice.
SCRIPT_LIMIT, LINUX_SCRIPT_LIMIT = 40.0, 160.0

DRIVER = """\
stty -F /dev/ttyS1 115200 raw -echo
exec 5>/dev/ttyS1
echo "@@BEGIN" >/dev/kmsg
timeout -k 5 30 sh /lab/exercise >&5 2>&1 </dev/null
echo "
@@END $?" >&5
echo "@@END" >/dev/kmsg
"""


@dataclass
class Made:
    """What came of a build."""

    good: bool
    warnings: int
    words: list[str]  # the compiler's, if it did not work


def compile_work(exercise: Exercise, folder: Path, module: Path) -> Made:
    """Builds a work folder outside of it, and puts the module where it is wanted.

    All exercises of a step share a build folder: only what differs is compiled again.
    """
    place = BUILD / "exercises" / exercise.step.name
    with locked(place.with_suffix(".lock")):
        names = [name for name in build.sources(folder) if name.suffix not in (".json", ".ko")]
        for name in build.sources(place) if place.exists() else []:
            if name not in names:
                (place / name).unlink()
        for name in names:
            build.copy_if_changed(folder / name, place / name)
        lines: list[str] = []
        jobs = os.cpu_count() or 1
        status = proc.run_logged(
            ["make", f"-j{jobs}", "-C", str(place), f"KDIR={kernels.headers(KERNEL)}"],
            place.with_suffix(".log"), on_line=lines.append, env={**os.environ, "LC_ALL": "C"})
        built = place / module.name
        if status != 0 or not built.exists():
            return Made(False, 0, _compilers_words(lines, place, folder))
        module.parent.mkdir(parents=True, exist_ok=True)
        build.strip(built, module)
    return Made(True, sum(map(build.is_warning, lines)), [])


def _compilers_words(lines: list[str], place: Path, folder: Path) -> list[str]:
    """What the compiler said, from the first error on, with the reader's own paths."""
    first = next((at for at, line in enumerate(lines) if "error" in line.lower()), 0)
    wanted = [line.replace(f"{place}/", f"{shown(folder)}/") for line in lines[first:]
              if not line.startswith(("make", "  CC ", "  CXX "))]
    return wanted[:25]


class _Hung(Exception):
    """The machine runs, but says nothing any more."""


def boot(exercise: Exercise, cpu: str, module: Path, folder: Path) -> grading.Seen:
    """Runs the exercise's script in an emulated machine of its own."""
    inside = f"/lab/modules/{module.name}"
    machine = bochs.Boot(folder, bochs.Machine(KERNEL, cpu, exercise.processors), {
        inside.lstrip("/"): module, **grading.files(exercise), "lab/scenario": DRIVER,
        "lab/exercise": grading.script(exercise, inside)})
    log: list[str] = []
    output: list[str] = []
    limit = LINUX_SCRIPT_LIMIT if exercise.boots_linux else SCRIPT_LIMIT
    ready = [0.0]
    ended: set[str] = set()

    def console(line: str) -> None:
        text = watch.without_time(line)
        if text.startswith("@@READY"):
            ready[0] = machine.age()
        elif text == "@@END":
            ended.add("console")
        elif ready[0] and "console" not in ended:
            log.append(text)

    def result(line: str) -> None:
        if line.startswith("@@END"):
            ended.add("results")
        elif "results" not in ended:
            output.append(line)

    def tick() -> None:
        if ready[0] and machine.age() - ready[0] > limit:
            raise _Hung

    death = ""
    try:
        outcome = machine.run(on_console=console, on_result=result, tick=tick)
        if len(ended) < 2:
            death = outcome.sentence
    except _Hung:
        if len(ended) < 2:
            death = f"it hung: nothing ended within {limit:.0f} s"
    if not ready[0]:
        raise LabError(f"The machine did not boot: {death}. Log: {shown(machine.console)}")
    said = machine.log.read_text(encoding="utf-8", errors="replace") if machine.log.exists() else ""
    machine.forget_cd()
    return grading.seen(exercise, log, "\n".join(output), death, said)
