# SPDX-License-Identifier: GPL-2.0-only
"""./lab bench: what a VM exit costs in the floor, steps 05 and 07, and KVM, with the same guest;
and how long an interrupt takes in step 09 and KVM. What a whole guest costs is in bench_linux.py.

In the emulated PC the unit is the tick: Bochs counts one for each instruction, so the least of many
batches is a number that repeats. On a processor the unit is the cycle of its time-stamp counter.
"""
from __future__ import annotations

import json
import os
import platform
import re
import shutil
import statistics
import subprocess
from pathlib import Path

from . import bench_report, bochs, build, kernels, packages, platforms, proc, ui
from .bench_report import Costs
from .common import BUILD, ROOT, LabError, choose_steps, locked, module_name, shown

BENCH = ROOT / "bench"
PLACE = BUILD / "bench"
#: The steps that it measures.
STEPS = ["05", "07", "09"]
#: As in bench/guest.S: instructions in a batch.
ROUNDS = 100
#: At least this many batches of each kind must have come.
BATCHES = 20
KVM = ("irqbypass", "kvm", "kvm-intel")

#: From here on a scenario's output goes to the lab.
TO_THE_LAB = """\
stty -F /dev/ttyS1 115200 raw -echo
exec >/dev/ttyS1 2>&1
export INSMOD=/lab/bin/insmod
"""
INSERT_KVM = """\
for module in irqbypass kvm kvm-intel; do
  [ -e /lab/kernel/$module.ko ] && insmod /lab/kernel/$module.ko
done
"""
MEASURE = "sh /lab/bench/measure.sh /lab/bench"


def flat_program(stem: str, address: int = 0x1000) -> Path:
    """A guest of bench/ as a flat binary, that lies at `address`."""
    target, linked = PLACE / f"{stem}.bin", PLACE / f"{stem}.elf"
    with locked(PLACE / f"{stem}.lock"):
        _tool(platforms.debian().compiler, "-c", "-Wa,--fatal-warnings", "-o", PLACE / f"{stem}.o",
              BENCH / f"{stem}.S")
        _tool("ld", "-nostdlib", "-e", "0", "--no-warn-rwx-segments",
              f"--defsym=ADDRESS={address:#x}", "-T", BENCH / "guest.ld",
              "-o", linked, PLACE / f"{stem}.o")
        _tool("objcopy", "-O", "binary", "-j", ".guest", linked, target)
    return target


def kvm_client(stem: str = "kvm-client") -> Path:
    """A program that runs a guest in KVM."""
    return host_program(stem, BENCH / f"{stem.replace('-', '_')}.c")


def host_program(name: str, source: Path, *flags: str) -> Path:
    """A program of bench/ that runs in the machine, built into PLACE under this name."""
    target = PLACE / name
    with locked(PLACE / f"{name}.lock"):
        _tool(platforms.debian().compiler, "-static", "-O2", "-Wall", "-Wextra", "-Werror", *flags,
              "-o", target, source)
    return target


def boot_sector() -> Path:
    """The guest that measures an interrupt."""
    return flat_program("interrupt", 0x7c00)


def kvm_modules(kernel: str) -> dict[str, bytes]:
    """KVM's modules, by the names under which the machine finds them."""
    found = {}
    for name in KVM:
        try:
            found[f"lab/kernel/{name}.ko"] = kernels.module_file(kernel, name)
        except LabError:
            if name != "irqbypass":  # which some kernels have built in
                raise
    return found


def _tool(*words: str | Path) -> None:
    log = PLACE / f"{words[0]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if proc.run_logged([str(word) for word in words], log) != 0:
        raise LabError(f"{words[0]} failed. Log: {shown(log)}")


def files(kernel: str, place: Path, yes: bool = True) -> dict[str, Path]:
    """What measure.sh needs in a machine, but for KVM; builds the modules."""
    folders = [*choose_steps(STEPS), BENCH / "bench-floor"]
    build.build(kernel, folders, yes, collect=place)
    names = [f"{module_name(folder)}.ko" for folder in folders]
    return {"lab/bench/measure.sh": BENCH / "measure.sh",
            "lab/bench/guest.bin": flat_program("guest"),
            "lab/bench/interrupt.bin": boot_sector(),
            **{f"lab/bench/{name}": place / name for name in names}}


def read(lines: list[str]) -> dict[str, dict[str, list[int]]]:
    """The batches in the output of measure.sh: who, what, and the ticks of each batch."""
    found: dict[str, dict[str, list[int]]] = {}
    who = ""
    for line in lines:
        if line.startswith("@@ failed"):
            raise LabError(f"The benchmark could not run: {line[3:]}.")
        if line.startswith("@@ "):
            who = line[3:].strip()
        elif match := re.search(r"\bbench (\S+)((?: [0-9a-f]{8})+)\s*$", line):
            batches = found.setdefault(who, {}).setdefault(match[1], [])
            batches += [int(word, 16) for word in match[2].split()]
    for name, rows in found.items():
        for row, batches in rows.items():
            if len(batches) < BATCHES:
                raise LabError(f"{name}: only {len(batches)} batches of {row} came.")
    return found


def costs(batches: dict[str, list[int]]) -> dict[str, float]:
    """Ticks of one round trip, net of the loop, from the quickest batches."""
    return {row: round((min(batches[row]) - min(batches[_loop_of(row)])) / ROUNDS, 2)
            for row in bench_report.ROWS}


def spread(batches: dict[str, list[int]]) -> dict[str, list[float]]:
    """Median, and the tenth and ninetieth of a hundred, of a round trip net of the loop."""
    found = {}
    for row in bench_report.ROWS:
        loop = statistics.median(batches[_loop_of(row)])
        each = [(batch - loop) / ROUNDS for batch in batches[row]]
        tenths = statistics.quantiles(each, n=10, method="inclusive")
        found[row] = [round(value, 1) for value in (statistics.median(each), tenths[0], tenths[-1])]
    return found


def interrupts(found: dict[str, dict[str, list[int]]]) -> dict[str, dict[str, int]]:
    """The least ticks of step 09's samples and KVM's."""
    return {who: {row: min(found[who][row]) for row in bench_report.INTERRUPT}
            for who in bench_report.INTERRUPT_WHO if who in found}


def _loop_of(row: str) -> str:
    return "empty-cpuid" if row == "cpuid" else "empty"


def in_machine(machine: bochs.Machine, yes: bool) -> Costs:
    """Boots once and measures."""
    folder = bochs.boot_folder("bench")
    names = " ".join([*(name for name in bench_report.WHO if name != "kvm"), "step09"])
    content: dict[str, bytes | str | Path] = {
        **files(machine.kernel, folder / "modules", yes),
        "lab/bench/kvm-client": kvm_client(), "lab/bench/kvm-pc": kvm_client("kvm-pc"),
        **kvm_modules(machine.kernel),
        "lab/scenario": (f"{TO_THE_LAB}{MEASURE} {names}\n"
                         f"{INSERT_KVM}{MEASURE} kvm kvm-pc\n")}
    boot = bochs.Boot(folder, machine, content)
    lines: list[str] = []
    with ui.busy(f"Measuring on {machine} in the Bochs emulator (about a minute)"):
        outcome = boot.run(on_result=lines.append)
    if not outcome.good:
        raise LabError(boot.explain(outcome))
    found = read(lines)
    if missing := {*bench_report.WHO, *bench_report.INTERRUPT_WHO} - set(found):
        raise LabError(f"Nothing came from {', '.join(sorted(missing))}.")
    return Costs(str(machine), {who: costs(found[who]) for who in bench_report.WHO},
                 interrupts=interrupts(found))


def here(yes: bool) -> Costs:
    """Builds the modules for the running kernel, and measures on this very processor."""
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    if not re.search(r"^flags\s*:.*\bvmx\b", flags, re.MULTILINE):
        raise LabError("This processor has no VT-x, or the firmware hides it (./lab check says"
                       " more). Without --here, ./lab bench measures in the emulated PC.")
    place = PLACE / "here"
    place.mkdir(parents=True, exist_ok=True)
    copy = place / "source"
    shutil.rmtree(copy, ignore_errors=True)
    steps = [folder.name for folder in choose_steps(STEPS)]
    for name in ("common", "doctor/rules", *steps, "bench"):
        for source in build.sources(ROOT / name):
            target = copy / name / source
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name / source, target)
    for folder in (*steps, "bench/bench-floor"):
        log = place / f"{Path(folder).name}.log"
        if proc.run_logged(["make", "-C", str(copy / folder)], log) != 0:
            raise LabError(f"{folder} does not build for this kernel. Log: {shown(log)}")
        name = module_name(Path(folder))
        shutil.copyfile(copy / folder / f"{name}.ko", place / f"{name}.ko")
    shutil.copyfile(flat_program("guest"), place / "guest.bin")
    shutil.copyfile(boot_sector(), place / "interrupt.bin")
    for client in ("kvm-client", "kvm-pc"):
        shutil.copyfile(kvm_client(client), place / client)
        (place / client).chmod(0o755)
    names = [who for who in (*bench_report.WHO, *bench_report.INTERRUPT_WHO)
             if not who.startswith("kvm") or Path("/dev/kvm").exists()]
    command = ["sh", str(BENCH / "measure.sh"), str(place), *names]
    if os.geteuid() != 0:
        command.insert(0, "sudo")
    if not yes and not (ui.can_ask() and ui.ask(
            "This loads modules of this checkout into this machine's kernel. A defect can stop it"
            " at once: save your work first. Go on?")):
        raise LabError("Nothing was done. (Without a terminal, pass --yes.)")
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
    found = read(output.splitlines())
    return Costs(f"{_processor(flags)}, Linux {platform.release()}",
                 {who: costs(found[who]) for who in bench_report.WHO if who in found},
                 {who: spread(found[who]) for who in bench_report.WHO if who in found},
                 interrupts(found))


def _processor(cpuinfo: str) -> str:
    match = re.search(r"^model name\s*: (.*)$", cpuinfo, re.MULTILINE)
    return match[1] if match else "this processor"


def run(machine: bochs.Machine, on_this_machine: bool, as_json: bool, accept: bool,
        yes: bool) -> int:
    """Carries out ./lab bench; returns its exit status."""
    bench_report.check_accept(accept)
    if on_this_machine:
        found = here(yes)
    else:
        packages.ensure(packages.needed(["build", "lab"]), yes)
        machine.check()
        found = in_machine(machine, yes)
    if as_json:
        print(json.dumps(found.data(), indent=1))
    else:
        ui.say(found.text())
    if accept and not on_this_machine:
        found.keep(kernels.number(machine.kernel))
    return 0
