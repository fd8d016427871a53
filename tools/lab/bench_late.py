# SPDX-License-Identifier: GPL-2.0-only
"""./lab bench --late: what it costs Linux to be a guest of step 11, and to become one.

The same work is measured without the module and with it, in turn, in one boot. The least of some
rounds counts: in the others something else ran, too.
"""
from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from . import bench, bench_report, bochs, build, image, kernels, packages, ui
from .bench_report import FOR_THE_BOOK, columns
from .common import ROOT, LabError, UsageError, choose_steps
from .machine import Machine

#: The accepted figures, by kernel.
FIGURES = ROOT / "bench" / "figures_late.json"
#: What bench/late_work.c measures, by its names.
WORK = {"ls": "ls -lR /bin /sys/devices/system", "pipe": "a byte to a process and back",
        "fork": "fork, exit, wait", "fault": "page fault"}
#: As much as a ratio may be.
MOST = 1.02
ROUNDS = 5
MODULE = "step11_late_launch"

#: Nothing here starts a program between the two looks at `cpus` but the work itself. The kernel
#: tells in its trace, by the TSC, when it calls the step for a processor and when that returns.
SCRIPT = f"""
cpus() {{
  {{ read -r line; read -r line; }} </sys/kernel/debug/{MODULE}/cpus; echo "@@ cpus $line"
}}
rounds() {{
  T=/sys/kernel/tracing
  dmesg -n 1  # what the step logs need not go through a serial line
  echo x86-tsc >$T/trace_clock; echo 1 >$T/events/cpuhp/enable
  late-work warm-up
  for round in $(seq $1); do
    late-work native
    $LOAD || echo "@@ failed: insmod {MODULE}"
    cpus; late-work late; cpus
    rmmod {MODULE}
  done
  grep -o '[0-9]*: cpuhp_[a-z]*' $T/trace
  echo 0 >$T/events/cpuhp/enable; echo local >$T/trace_clock; dmesg -n 8
}}
"""


def files() -> dict[str, image.Content]:
    """What SCRIPT needs, but for the module."""
    return {"lab/bin/late-work": bench.host_program("late-work", bench.BENCH / "late_work.c")}


def script(load: str, rounds: int) -> str:
    """Shell commands that measure; `load` loads the step."""
    return f'{SCRIPT}LOAD="{load}"\nrounds {rounds}\n'


def read(lines: list[str]) -> dict[str, Any]:
    """The figures in the output of script(). Raises LabError if something failed."""
    work: dict[str, dict[str, list[float]]] = {name: {} for name in WORK}
    exits: list[Counter[str]] = []
    for line in lines:
        if line.startswith("@@ failed"):
            raise LabError(f"The benchmark could not run: {line[3:]}.")
        if found := re.match(r"@@ (native|late) ", line):
            for name, ticks, count in re.findall(r"(\w+)=(\d+)/(\d+)", line):
                work[name].setdefault(found[1], []).append(int(ticks) / int(count))
        elif line.startswith("@@ cpus "):
            exits.append(Counter({name: int(count) for name, count in re.findall(
                r"  \d+ (\w[^:]*): (\d+)", line)}))
    calls = _calls(lines)
    if not all(len(row) == 2 for row in work.values()) or not calls:
        raise LabError(f"The benchmark has no end: {lines[-3:]}")
    return {"work": {name: {who: round(min(ticks), 1) for who, ticks in row.items()}
                     for name, row in work.items()},
            "exits": dict(exits[1] - exits[0]), "join": min(calls[0::2]), "part": min(calls[1::2])}


def _calls(lines: list[str]) -> list[int]:
    """How many ticks each call by the kernel took: a processor joins, and parts, and joins …"""
    times = [int(event[1]) for line in lines
             if (event := re.match(r"(\d+): cpuhp_(?:enter|exit)$", line))]
    return [ended - began for began, ended in zip(times[0::2], times[1::2])]


def ratio(row: dict[str, float]) -> float:
    """How many times as long something takes in the guest."""
    return row["late"] / row["native"]


def in_machine(machine: Machine, yes: bool) -> dict[str, Any]:
    """Boots and measures."""
    folder = bochs.boot_folder("bench")
    build.build(machine.kernel, choose_steps(["11"]), yes, collect=folder / "modules")
    inside = f"/lab/modules/{MODULE}.ko"
    boot = bochs.Boot(folder, machine, {
        **files(), inside.lstrip("/"): folder / "modules" / f"{MODULE}.ko",
        "lab/scenario": bench.TO_THE_LAB + script(f"/lab/bin/insmod {inside}", ROUNDS)})
    lines: list[str] = []
    with ui.busy(f"Measuring on {machine} in the Bochs emulator (about a minute)"):
        outcome = boot.run(on_result=lines.append)
    if not outcome.good:
        raise LabError(boot.explain(outcome))
    return {"machine": str(machine), **read(lines)}


def accepted() -> dict[str, Any]:
    """The accepted figures, by kernel."""
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}


def text(found: dict[str, Any]) -> str:
    """The figures for a person."""
    rows = [["", "native", "in step 11", "ratio"]]
    for name, title in WORK.items():
        row = found["work"][name]
        rows.append([title, f"{row['native']:,.0f}", f"{row['late']:,.0f}", f"{ratio(row):.3f}"])
    exits = ", ".join(f"{name} {count:,}" for name, count in found["exits"].items())
    return "\n\n".join([
        f"{found['machine']}: ticks (Bochs: instructions)", columns(rows),
        f"VM exits in all of it, once: {exits}",
        f"a processor joins in {found['join']:,} ticks and parts in {found['part']:,}"])


def run(machine: Machine, as_json: bool, accept: bool, yes: bool) -> int:
    """Carries out ./lab bench --late; returns its exit status."""
    bench_report.check_accept(accept)
    if machine.cpus != 1:
        raise UsageError("--late measures on one processor: leave --cpus out.")
    packages.ensure(packages.needed(["build", bochs.GROUP]), yes)
    machine.check()
    found = in_machine(machine, yes)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        ui.say(text(found))
    if accept:
        kernel = kernels.number(machine.kernel)
        FIGURES.write_text(json.dumps({**accepted(), kernel: found}, indent=1) + "\n",
                           encoding="utf-8")
        (FOR_THE_BOOK / f"late-{kernel}.txt").write_text(text(found) + "\n", encoding="utf-8")
    return 0
