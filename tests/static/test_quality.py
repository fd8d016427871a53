# SPDX-License-Identifier: GPL-2.0-only
"""What the compilers and sparse know of each function: stack, recursion, arrays of variable length.

Kernel stacks are 16 KiB and are shared with interrupts, so a function takes less than 1 KiB, none
calls itself, and none has an array whose length is known only when it runs. All of it is read from
what GCC writes about the functions as it compiled them (-fstack-usage, -fcallgraph-info: trees.py).
"""
from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import pytest

from lab import kernels, steps
from lab.common import ROOT
from trees import STEPS, Tree

STACK_LIMIT = 1024  # bytes


@dataclass
class Function:
    """A function as GCC compiled it."""

    label: str  # its name and place for people
    stack: int = 0
    bounded: bool = True
    callees: set[str] = field(default_factory=set)


#: The functions of each step.
Functions = dict[str, dict[str, Function]]


@pytest.fixture(scope="module", params=kernels.BOOTABLE)
def tree(request: pytest.FixtureRequest, built: Callable[[str], Tree]) -> Tree:
    """All steps, built for a kernel with GCC's reports on."""
    return built(request.param)


@pytest.fixture(scope="module")
def functions(tree: Tree) -> Functions:
    return {step.name: read_functions(tree.folder / step.name) for step in tree.steps}


def read_functions(folder: Path) -> dict[str, Function]:
    """All functions of a step, from GCC's call graphs. Linux's own are nodes without a stack."""
    functions: dict[str, Function] = {}
    for path in sorted(folder.rglob("*.ci")):
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


def test_reports_are_complete(functions: Functions) -> None:
    """The other tests would pass on nothing: so both ends of the module must be there."""
    for name, found in functions.items():
        assert "step_start" in "\n".join(found) and "vtx_log" in found, name
        assert any(function.stack for function in found.values()), name


def test_stack_use_is_small(functions: Functions) -> None:
    large = [f"{name}: {function.label}: {function.stack} bytes"
             for name, found in functions.items() for function in found.values()
             if function.stack >= STACK_LIMIT]
    assert not large


def test_stack_use_is_known(functions: Functions, tree: Tree) -> None:
    """No array of variable length, no alloca: GCC knows each frame's size."""
    unbounded = [f"{name}: {function.label}" for name, found in functions.items()
                 for function in found.values() if not function.bounded]
    assert not unbounded
    assert "-Wvla" not in "".join(tree.outputs.values())


def test_nothing_calls_itself(functions: Functions) -> None:
    assert not {name: found for name, all_of_step in functions.items()
                if (found := cycles(all_of_step))}


def test_sparse_is_silent(built: Callable[[str], Tree]) -> None:
    """On every C file; its words name a file and a line."""
    output = "".join(built(kernels.DEFAULT).outputs.values())
    said = [line for line in output.splitlines()
            if re.search(r"\.[ch]:\d+:(\d+:)? (warning|error|note|sparse)", line)]
    assert not said, said
    checked = {"/".join(Path(os.path.normpath(name)).parts[-2:])
               for name in re.findall(r"^  CHECK +(\S+)$", output, re.MULTILINE)}
    sources = [*(steps.files(step)["module.c"] for step in STEPS), *(ROOT / "common").rglob("*.c")]
    wanted = {f"{path.parent.name}/{path.name}" for path in sources}
    assert checked == wanted
