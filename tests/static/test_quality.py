# SPDX-License-Identifier: GPL-2.0-only
"""What the compilers and sparse know of each function: stack, recursion, arrays of variable length.

Kernel stacks are 16 KiB and are shared with interrupts, so a function takes less than 1 KiB, none
calls itself, and none has an array whose length is known only when it runs. All of it is read from
what GCC writes about the functions as it compiled them (-fstack-usage, -fcallgraph-info).
"""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

import pytest

from lab import build, kernels
from lab.common import BUILD, ROOT, step_folders

STEPS = step_folders()
STACK_LIMIT = 1024  # bytes
FLAGS = "-fstack-usage -fcallgraph-info=su,da -Wvla"


@dataclass
class Function:
    """A function as GCC compiled it."""

    label: str  # its name and place for people
    stack: int = 0
    bounded: bool = True
    callees: set[str] = field(default_factory=set)


@dataclass
class Compiled:
    """One step, with what GCC and sparse said."""

    step: Path
    output: str
    functions: dict[str, Function]


@pytest.fixture(scope="module", params=STEPS, ids=lambda step: step.name)
def compiled(request: pytest.FixtureRequest) -> Iterator[Compiled]:
    """A step built with the reports on, and its C files checked by sparse (C=1)."""
    step: Path = request.param
    folder = BUILD / "scratch" / f"{os.getpid()}-quality-{step.name}"
    shutil.rmtree(folder, ignore_errors=True)
    for source in (ROOT / "common", step):
        for name in build.sources(source):
            target = folder / source.name / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target)
    result = subprocess.run(
        ["make", "-j2", "-C", str(folder / step.name), f"KDIR={kernels.headers('6.1')}", "C=1",
         "CF=-D__CHECK_ENDIAN__", f"KCFLAGS={FLAGS}"], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False, env={**os.environ, "LC_ALL": "C"})
    assert result.returncode == 0, result.stdout[-3000:]
    yield Compiled(step, result.stdout, read_functions(folder / step.name))
    shutil.rmtree(folder, ignore_errors=True)


def read_functions(folder: Path) -> dict[str, Function]:
    """All functions of a step, from GCC's call graphs. Linux's own are nodes without a stack."""
    functions: dict[str, Function] = {}
    for path in sorted(folder.glob("*.ci")):
        text = path.read_text(encoding="utf-8")
        for name, label in re.findall(r'^node: \{ title: "([^"]*)" label: "([^"]*)"', text,
                                      re.MULTILINE):
            words = label.split("\\n")
            usage = re.search(r"(\d+) bytes \(([\w,]+)\)", label)
            known = functions.setdefault(name, Function(f"{words[0]} in {path.name}"))
            if usage:
                known.label = f"{words[0]} ({Path(words[1]).name})"
                known.stack, known.bounded = int(usage[1]), usage[2] != "dynamic"
        for caller, callee in re.findall(
                r'^edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"', text, re.MULTILINE):
            functions.setdefault(caller, Function(caller)).callees.add(callee)
    return functions


def cycles(functions: dict[str, Function]) -> list[list[str]]:
    """Each way in which a function comes back to itself by direct calls."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append([functions[each].label for each in path[path.index(name):]])
            return
        if name in done or name not in functions:
            return
        for callee in sorted(functions[name].callees):
            visit(callee, [*path, name])
        done.add(name)

    for name in sorted(functions):
        visit(name, [])
    return found


def test_reports_are_complete(compiled: Compiled) -> None:
    """The other tests would pass on nothing: so both ends of the module must be there."""
    names = "\n".join(compiled.functions)
    assert "step_start" in names and "vtx_log" in names
    assert any(function.stack for function in compiled.functions.values())
    assert "CHECK" in compiled.output


def test_stack_use_is_small(compiled: Compiled) -> None:
    large = [f"{function.label}: {function.stack} bytes"
             for function in compiled.functions.values() if function.stack >= STACK_LIMIT]
    assert not large, large


def test_stack_use_is_known(compiled: Compiled) -> None:
    """No array of variable length, no alloca: GCC knows each frame's size."""
    unbounded = [function.label for function in compiled.functions.values() if not function.bounded]
    assert not unbounded, unbounded
    assert "-Wvla" not in compiled.output


def test_nothing_calls_itself(compiled: Compiled) -> None:
    assert not cycles(compiled.functions)


def test_sparse_is_silent(compiled: Compiled) -> None:
    """On every C file; its words name a file and a line."""
    said = [line for line in compiled.output.splitlines()
            if re.search(r"\.[ch]:\d+:(\d+:)? (warning|error|note|sparse)", line)]
    assert not said, said
    checked = {Path(line.split()[1]).name for line in compiled.output.splitlines()
               if line.strip().startswith("CHECK ")}
    assert "module.c" in checked and "log.c" in checked, checked
