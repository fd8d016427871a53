# SPDX-License-Identifier: GPL-2.0-only
"""Each step on each kernel, on one and two CPUs: loads and unloads twice, logs as expected."""
from __future__ import annotations

from pathlib import Path

import expected
import pytest
from guest import NEWER, OLDER, Case, Guest, in_guest, module_lines

from lab.common import module_name, shown, step_folders

DEFAULT = Guest(OLDER)
GUESTS = (DEFAULT, Guest(NEWER), Guest(OLDER, cpus=2), Guest(NEWER, cpus=2))
STEPS = step_folders()
AGAIN = "the test loads the module again"


def name_of(value: object) -> str:
    """A short name for a step or an expected log."""
    if not isinstance(value, Path):
        return str(value)
    return value.name if value.is_dir() else f"{value.parents[1].name}-{value.stem}"


def load_twice(step: Path) -> str:
    """Loads and unloads a module twice; each status is printed."""
    name = module_name(step)
    return f"""
        load {name}; echo load $?; sleep 1; unload {name}; echo unload $?
        echo "{AGAIN}" >/dev/kmsg
        load {name}; echo load $?; unload {name}; echo unload $?
    """


def first_log(case: Case, step: Path) -> list[str]:
    """What the module logged when it was loaded and unloaded for the first time."""
    end = case.lines.index(AGAIN) if AGAIN in case.lines else len(case.lines)
    return module_lines(case.lines[:end], module_name(step))


@pytest.mark.parametrize("step", STEPS, ids=name_of)
@in_guest(GUESTS, load_twice, name="load twice")
def test_step_loads_and_unloads_twice(step: Path, case: Case) -> None:
    assert case.output.split() == "load 0 unload 0 load 0 unload 0".split(), case
    assert not case.left, f"{case.left} stayed loaded; {case}"


@pytest.mark.parametrize("step", STEPS, ids=name_of)
@in_guest(GUESTS, load_twice, name="load twice")
def test_kernel_has_nothing_to_complain_of(step: Path, case: Case) -> None:
    assert case.log_of(module_name(step)), f"no line of the module in the log; {case}"
    assert not case.trouble, case


@pytest.mark.parametrize("step", STEPS, ids=name_of)
@in_guest(GUESTS, load_twice, name="load twice")
def test_log_is_as_expected(step: Path, case: Case) -> None:
    """Equal on the default machine; elsewhere each expected line is there, whatever its numbers."""
    path = step / "expected" / "log.txt"
    prefix = module_name(step) + ": "
    seen = [expected.normalised(prefix + line) for line in first_log(case, step)]
    if case.guest == DEFAULT and expected.is_exact():
        compare(path, seen)
        return
    shapes = {expected.shape(line) for line in seen}
    wanted = path.read_text(encoding="utf-8").splitlines()
    missing = [line for line in wanted if expected.shape(line) not in shapes]
    assert not missing, f"not in the log: {missing}; {case}"


PARAMETRISED = [path for step in STEPS for path in expected.files(step)
                if expected.parameters(path)]


def load_with(path: Path) -> str:
    """Loads a step with the parameters that the name of an expected log tells."""
    name = module_name(path.parents[1])
    return f"load {name} {' '.join(expected.parameters(path))} && unload {name}"


@pytest.mark.parametrize("path", PARAMETRISED, ids=name_of)
@in_guest(DEFAULT, load_with)
def test_log_with_parameters_is_as_expected(path: Path, case: Case) -> None:
    name = module_name(path.parents[1])
    assert not case.trouble, case
    compare(path, [expected.normalised(f"{name}: {line}") for line in case.log_of(name)])


def compare(path: Path, seen: list[str]) -> None:
    """Compares a log with its file; with ./lab test --accept, writes the file instead."""
    if expected.accepts():
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(seen) + "\n", encoding="utf-8")
        return
    assert path.exists(), f"{shown(path)} is missing; ./lab test --accept writes it from a run"
    wanted = path.read_text(encoding="utf-8").splitlines()
    compared = expected.comparable if expected.is_exact() else expected.shape
    assert [*map(compared, seen)] == [*map(compared, wanted)], (
        f"the log differs from {shown(path)}; if it should, ./lab test --accept writes it anew")
