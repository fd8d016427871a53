# SPDX-License-Identifier: GPL-2.0-only
"""./lab bench --linux: the cost of a whole guest. One Linux boots under step 10, under KVM, and
without a hypervisor.

The same kernel, initrd and command line each time. Where the kernel says little ("quiet") the boots
can be compared with one on the bare machine, where the speed of the serial line limits who says
much. Where it says all, most exits are the console's.
"""
from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any, Mapping

from . import bench, bench_report, bochs, build, image, kernels, packages, ui
from .bench_report import FOR_THE_BOOK, columns
from .common import ROOT, LabError, choose_steps
from .machine import Machine

#: The accepted figures, by kernel.
FIGURES = ROOT / "bench" / "figures_linux.json"
#: What the kernel is told, beside what its first process is told behind "--".
LOUD = "console=ttyS0 cryptomgr.notests"
QUIET = f"{LOUD} quiet"
#: What a program of the guest prints for the FIFO's sake: lines, and characters in each with its
#: carriage return and newline.
LINES, LENGTH = 128, 65
MEMORY = 128  # MiB, of each guest: step 10's default, and linux_kvm.cpp's
#: Who boots what: the program, the command line, and words behind it.
RUNS = {
    "step10": ("linux-step10", f"{LOUD} -- stop", ""),
    "step10-quiet": ("linux-step10", f"{QUIET} -- text stop", ""),
    "kvm": ("linux-kvm", f"{LOUD} -- stop", ""),
    "kvm-quiet": ("linux-kvm", f"{QUIET} -- text stop", ""),
    "kvm-no-fifo": ("linux-kvm", f"{QUIET} -- text stop", "no-fifo"),
}
#: Those that a judgement of step 10 needs.
STEP10, KVM = tuple(RUNS)[:2], tuple(RUNS)[2:]

#: The guest's first process: its lines with an @ in front are what linux_marks.hpp looks for.
INIT = f"""\
#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
export PATH=/bin
mount -t proc proc /proc
read -r up rest </proc/uptime
echo "@up $up"
for word; do
  case $word in
  text)
    yes {'x' * (LENGTH - 2)} | head -n {LINES} >/text
    echo @text
    cat /text
    echo @text-end ;;
  stop) echo @end; sleep 600 ;;
  esac
done
poweroff -f
"""

#: One boot after the other; what a guest prints stays in a file that is shown if it fails.
SCRIPT = r"""
boot_linux() {
  name=$1; program=$2; shift 2
  echo "@@ linux $name"
  timeout 120 /lab/bench/$program /lab/bench/kernel /lab/bench/initrd "$@" >/run/out 2>&1 ||
    { tail -n 5 /run/out; echo "@@ failed: $name"; }
  grep '^@@ ' /run/out
}
"""


def initrd() -> bytes:
    """The guest's files."""
    busybox = Path("/bin/busybox")
    return image.pack({"bin/busybox": busybox, "init": INIT}, ("bin", "proc", "dev"),
                      image.links_to(busybox))


def program(name: str) -> Path:
    """One of the two that boot a guest: linux-kvm and linux-step10."""
    step = choose_steps(["10"])[0]
    return bench.host_program(name, bench.BENCH / f"{name.replace('-', '_')}.cpp", "-std=c++20",
                      "-Wold-style-cast", "-Wconversion", "-fno-exceptions", "-fno-rtti",
                      f"-I{bench.BENCH}", f"-I{step}", f"-I{step / 'core'}", f"-I{ROOT / 'common'}")


def files(kernel: str) -> dict[str, image.Content]:
    """What script() needs, but for the modules of step 10 and KVM."""
    return {"lab/bench/kernel": kernels.image(kernel).vmlinuz, "lab/bench/initrd": initrd(),
            **{f"lab/bench/{name}": program(name) for name in ("linux-step10", "linux-kvm")}}


def script(names: tuple[str, ...]) -> str:
    """Shell commands that boot these of RUNS. Step 10, or KVM, is loaded."""
    lines = [SCRIPT]
    for name in names:
        who, words, more = RUNS[name]
        lines.append(f'boot_linux {name} {who} "{words}" {more}')
    return "\n".join(lines) + "\n"


def read(lines: list[str]) -> dict[str, Any]:
    """The figures in the output of script(), by run: for each mark its numbers, and what step 10
    says at the end. Raises LabError if a run failed."""
    found: dict[str, Any] = {}
    run: dict[str, Any] = {}
    for line in lines:
        if line.startswith("@@ failed"):
            raise LabError(f"The benchmark could not boot Linux: {line[3:]}.")
        words = line.split()[1:] if line.startswith("@@ ") else []
        if len(words) == 2 and words[0] == "linux":
            run = found.setdefault(words[1], {"reasons": {}})
        elif words and "ticks=" in line:
            run[words[0]] = {name: int(value) for name, value in
                             re.findall(r"(\w+)=(\d+)", line)}
            if words[0] == "up":
                run["up"]["uptime"] = float(words[1])
        elif words and words[0] in ("ports", "least"):
            run[words[0]] = dict(zip(words[1::2], map(int, words[2::2])))
        elif words and words[0] == "total":
            run["reasons"][" ".join(words[2:-1])] = int(words[-1])
    return found


class BareBoot(bochs.Boot):
    """The guest's kernel, initrd and command line, booted by the machine itself."""

    def make_cd(self, files: Mapping[str, image.Content]) -> None:
        image.write_iso(self.iso, kernels.image(self.machine.kernel).vmlinuz,
                        files, QUIET)


def bare_uptime(machine: Machine) -> float:
    """Boots once without a hypervisor, with as much memory as a guest has; returns the first
    process's uptime in seconds."""
    boot = BareBoot(bochs.boot_folder("bench"), dataclasses.replace(machine, memory=MEMORY),
                    {"initrd.gz": initrd()})
    said: list[str] = []
    outcome = boot.run(on_console=said.append)
    found = re.search(r"^@up (\d+\.\d+)$", "\n".join(said), re.MULTILINE)
    if not outcome.good or not found:
        raise LabError(boot.explain(outcome))
    return float(found[1])


def in_machine(machine: Machine, yes: bool) -> dict[str, Any]:
    """Boots twice and measures."""
    folder = bochs.boot_folder("bench")
    build.build(machine.kernel, choose_steps(["10"]), yes, collect=folder / "modules")
    scenario = (bench.TO_THE_LAB + "/lab/bin/insmod /lab/bench/step10_linux.ko\n" + script(STEP10)
                + "rmmod step10_linux\n" + bench.INSERT_KVM + script(KVM))
    boot = bochs.Boot(folder, machine, {
        **files(machine.kernel), **bench.kvm_modules(machine.kernel), "lab/scenario": scenario,
        "lab/bench/step10_linux.ko": folder / "modules" / "step10_linux.ko"})
    lines: list[str] = []
    with ui.busy(f"Booting Linux as a guest on {machine}, five times (about two minutes)"):
        outcome = boot.run(on_result=lines.append)
    if not outcome.good:
        raise LabError(boot.explain(outcome))
    found = read(lines)
    with ui.busy(f"Booting Linux on {machine} itself, once (about a minute)"):
        uptime = bare_uptime(machine)
    return {"machine": str(machine), "bare_uptime": uptime, "runs": found}


def accepted() -> dict[str, Any]:
    """The accepted figures, by kernel."""
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}


def keep(found: dict[str, Any], kernel: str) -> None:
    """Writes what the book and the tests read."""
    FIGURES.write_text(json.dumps({**accepted(), kernel: found}, indent=1) + "\n",
                       encoding="utf-8")
    (FOR_THE_BOOK / f"linux-{kernel}.txt").write_text(text(found) + "\n", encoding="utf-8")


def text(found: dict[str, Any]) -> str:
    """The figures for a person."""
    step10, quiet, kvm, kvm_quiet, no_fifo = (found["runs"][name] for name in RUNS)
    rows = [["until Linux's first process", "step 10", "KVM", "step 10 / KVM"]]
    for what, ours, other in (("", step10, kvm), (", quiet", quiet, kvm_quiet)):
        for unit, factor in (("ticks", 1_000_000), ("exits", 1)):
            name = f"{'M ticks' if unit == 'ticks' else 'VM exits'}{what}"
            mine, its = ours["up"][unit], other["up"][unit]
            rows.append([name, f"{mine / factor:,.0f}", f"{its / factor:,.0f}",
                         f"{mine / its:.2f}"])
    devices = [["step 10's devices", "VM exits", "ticks each", "M ticks"]]
    for name, title in (("uart", "UART"), ("pic", "PIC"), ("pit", "PIT"), ("cmos", "CMOS"),
                        ("others", "other ports")):
        count, each = step10["ports"][name], step10["least"].get(name, 0)
        devices.append([title, f"{count:,}", f"{each:,}" if each else "-",
                        f"{count * each / 1_000_000:.1f}" if each else "-"])
    fifo = [[f"a program prints {LINES * LENGTH:,} bytes", "VM exits", "of the UART", "M ticks"]]
    for title, run in (("step 10", quiet), ("KVM", kvm_quiet), ("KVM, UART without FIFO", no_fifo)):
        exits, ticks, uart = (run["text-end"].get(name, 0) - run["text"].get(name, 0)
                              for name in ("exits", "ticks", "uart"))
        fifo.append([title, f"{exits:,}", f"{uart:,}" if uart else "-", f"{ticks / 1e6:.1f}"])
    native, guest = found["bare_uptime"], quiet["up"]["uptime"]
    return "\n\n".join([
        f"{found['machine']}: ticks (Bochs: instructions)", columns(rows),
        f"uptime then, quiet: {guest:.2f} s in step 10, {native:.2f} s without a hypervisor"
        f" ({guest / native:.3f} times)", columns(devices), columns(fifo)])


def run(machine: Machine, as_json: bool, accept: bool, yes: bool) -> int:
    """Carries out ./lab bench --linux; returns its exit status."""
    bench_report.check_accept(accept)
    packages.ensure(packages.needed(["build", bochs.GROUP]), yes)
    machine.check()
    found = in_machine(machine, yes)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        ui.say(text(found))
    if accept:
        keep(found, kernels.number(machine.kernel))
    return 0
