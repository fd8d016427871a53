# SPDX-License-Identifier: GPL-2.0-only
"""./lab bench --where: follows one VMCALL by Bochs's debugger, and says where its instructions go.

The debugger prints each instruction as it is executed. In step 05 each is put down to the line of
the source that it comes from, in KVM to its function, by the addresses that the kernel tells.
"""
from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from . import bench, bochs, build, packages, ui
from .bench_report import FOR_THE_BOOK, check_accept
from .common import LabError, choose_steps, shown
from .machine import debugger_flags

#: What the debugger is told: at each of the guest's marks it takes the next lines.
DEBUGGER = "c\n" + 2 * "trace on\nc\ntrace off\nc\n"
#: In the order of the scenario.
WHO = ("step05", "kvm")
#: XCHG BX,BX stops; what the debugger says goes to a file; nothing is drawn on its terminal.
BOCHSRC = ("magic_break: enabled=1", "debugger_log: trace.log")

SCENARIO = """\
stty -F /dev/ttyS1 115200 raw -echo
exec >/dev/ttyS1 2>&1
/lab/bin/insmod /lab/bench/step05_exits.ko
cat /lab/bench/traced.bin >/sys/kernel/debug/step05_exits/guest
grep -F '[step05_exits]' /proc/kallsyms | sed '/entry_checks/d; s/^/@@ symbol /'
rmmod step05_exits
for module in irqbypass kvm kvm-intel; do
  [ -e /lab/kernel/$module.ko ] && insmod /lab/kernel/$module.ko
done
/lab/bench/kvm-client /lab/bench/traced.bin
awk 'NR == FNR { name[$1] = 1; next }
     $4 ~ /^.kvm/ || ($3 in name) && !$4 { print "@@ symbol", $0 }' \\
    /lab/bench/imported /proc/kallsyms
"""

#: `(0).[174000000] [0x00001fef2000] 0008:0000000000001000 (unk. ctxt): vmcall ; 0f01c1`
TRACED = re.compile(r"^\(0\)\.\[\d+\] \[0x[0-9a-f]+\] [0-9a-f]{4}:([0-9a-f]{16}) \(.*?\): "
                    r"(.*?)\s*;")


@dataclass
class Instruction:
    """One that was executed."""

    address: int
    text: str


@dataclass
class Symbol:
    """A function in the kernel."""

    address: int
    name: str
    module: str


def run(machine: bochs.Machine, accept: bool, yes: bool) -> int:
    """Carries out ./lab bench --where; returns its exit status."""
    check_accept(accept)
    packages.ensure(packages.needed(["build", "lab"]), yes)
    machine.check()
    for who, text in follow(machine, yes).items():
        ui.say(f"{who}\n\n{text}")
        if accept:
            (FOR_THE_BOOK / f"where-{who}.txt").write_text(text, encoding="utf-8")
    return 0


def follow(machine: bochs.Machine, yes: bool) -> dict[str, str]:
    """Boots, follows, and returns the listings by who answered."""
    folder = bochs.boot_folder("where")
    step = choose_steps(["05"])[0]
    content: dict[str, bytes | str | Path] = {
        **bench.modules(machine.kernel, [step], folder / "modules", yes),
        "lab/bench/traced.bin": bench.flat_program("traced"),
        "lab/bench/kvm-client": bench.kvm_client(), "lab/scenario": SCENARIO,
        **bench.kvm_modules(machine.kernel)}
    content["lab/bench/imported"] = _imported(content)
    boot = bochs.Boot(folder, bochs.Machine(kernel=machine.kernel, cpu=machine.cpu,
                                            bochsrc=BOCHSRC), content)
    boot.flags = debugger_flags()
    (folder / "debugger").write_text(DEBUGGER, encoding="ascii")
    lines: list[str] = []
    with ui.busy(f"Following one VMCALL on {machine} in the Bochs emulator (some minutes)"):
        outcome = boot.run(on_result=lines.append)
    if not outcome.good:
        raise LabError(boot.explain(outcome))
    passes = _passes((folder / "trace.log").read_text(encoding="utf-8", errors="replace"))
    if len(passes) != len(WHO):
        raise LabError(f"Bochs's debugger stopped {len(passes)} times, not {len(WHO)}."
                       f" Log: {shown(folder / 'trace.log')}")
    module = build.tree(machine.kernel) / step.name / "step05_exits.ko"
    # KVM's modules may lie where the step's module lay before.
    step_symbols, kvm_symbols = ([symbol for symbol in _symbols(lines)
                                  if (symbol.module == "step05_exits") == whose]
                                 for whose in (True, False))
    sums, listing = step_listing(passes[0], step_symbols, module)
    return {"step05": sums, "step05-listing": listing, "kvm": kvm_listing(passes[1], kvm_symbols)}


def _imported(content: dict[str, bytes | str | Path]) -> str:
    """The names of Linux's functions that KVM's modules call."""
    names: set[str] = set()
    for name, module in content.items():
        if name.startswith("lab/kernel/kvm"):
            assert isinstance(module, bytes)
            file = bench.PLACE / Path(name).name
            file.write_bytes(module)
            listed = subprocess.run(["nm", "-u", str(file)], stdout=subprocess.PIPE, text=True,
                                    check=True).stdout
            names |= {line.split()[-1] for line in listed.splitlines()}
    return "\n".join(sorted(names)) + "\n"


def _passes(log: str) -> list[list[Instruction]]:
    """The instructions between each two marks of the guest, without the marks."""
    passes: list[list[Instruction]] = []
    current: list[Instruction] = []
    for line in log.splitlines():
        match = TRACED.match(line)
        if not match:
            continue
        current.append(Instruction(int(match[1], 16), match[2]))
        if match[2].startswith("xchg bx, bx"):
            passes.append(current[:-1])
            current = []
    return passes


def _symbols(lines: list[str]) -> list[Symbol]:
    """What /proc/kallsyms said of functions, by address."""
    found = [Symbol(int(match[1], 16), match[2], match[3] or "") for line in lines if (
        match := re.match(r"@@ symbol ([0-9a-f]{16}) [tTwW] (\S+)(?:\s+\[(\w+)\])?$", line))]
    return sorted(found, key=lambda symbol: symbol.address)


def _symbol_of(address: int, symbols: list[Symbol]) -> Symbol | None:
    """The last symbol that begins at or before an address."""
    before = [symbol for symbol in symbols if symbol.address <= address]
    return before[-1] if before and address - before[-1].address < 0x10000 else None


def step_listing(executed: list[Instruction], symbols: list[Symbol],
                 module: Path) -> tuple[str, str]:
    """How many instructions come from each function of our source, and a list of them all."""
    rows = []
    for number, instruction in enumerate(executed, 1):
        if instruction.address < 0x10000:
            rows.append((number, "the guest", instruction.text))
            continue
        symbol = _symbol_of(instruction.address, symbols)
        where = _source(module, symbol, instruction.address) if symbol else "?"
        rows.append((number, where, instruction.text))
    sums = Counter(where for _, where, _ in rows)
    order = list(dict.fromkeys(where for _, where, _ in rows))
    width = max(map(len, order))
    totals = [f"{sums[where]:4}  {where}" for where in order] + [f"{len(rows):4}  in all"]
    text = []
    last = ""
    for number, where, instruction in rows:
        text.append(f"{number:4}  {where if where != last else '':{width}}  {instruction}")
        last = where
    return "\n".join(totals) + "\n", "\n".join(text) + "\n"


def _source(module: Path, symbol: Symbol, address: int) -> str:
    """The function of the lesson that an instruction comes from: what is inlined into it from the
    wrappers of the VMX instructions counts for the function that asked for it."""
    section, value = _place(module, symbol.name)
    offset = value + address - symbol.address
    lines = subprocess.run(
        ["addr2line", "-e", str(module), "-j", section, "-fiC", f"{offset:#x}"],
        stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    frames = [(lines[i], Path(lines[i + 1].split(":")[0]).name) for i in range(0, len(lines), 2)]
    for function, file in frames:
        if file == "vm_enter.S":
            return f"{symbol.name}  (vm_enter.S)"
        if file in ("vmcs.hpp", "instructions.hpp", "exit_reasons.hpp", "failure.hpp"):
            continue
        name = re.sub(r"<.*>", "", function.split("(")[0]).split("::")[-1]
        return f"{name}()  ({file})"
    return f"{symbol.name}"


def _place(module: Path, name: str) -> tuple[str, int]:
    """The section of a function in a module's file, and where in it the function begins."""
    listed = subprocess.run(["objdump", "-t", str(module)], stdout=subprocess.PIPE, text=True,
                            check=True).stdout
    match = re.search(rf"^([0-9a-f]{{16}}) .{{7}} (\S+)\s+[0-9a-f]{{16}}\s+{re.escape(name)}$",
                      listed, re.MULTILINE)
    if not match:
        raise LabError(f"{shown(module)} has no function {name}.")
    return match[2], int(match[1], 16)


def kvm_listing(executed: list[Instruction], symbols: list[Symbol]) -> str:
    """How many instructions in each function, in the order of their first."""
    sums: Counter[str] = Counter()
    for instruction in executed:
        if instruction.address < 0x10000:
            sums["the guest"] += 1
            continue
        symbol = _symbol_of(instruction.address, symbols)
        near = symbol is not None and (symbol.module or instruction.address - symbol.address < 4096)
        sums[symbol.name if symbol and near else "Linux itself"] += 1
    rows = [f"{count:5}  {name}" for name, count in sums.items()]
    return "\n".join([*rows, f"{len(executed):5}  in all"]) + "\n"
