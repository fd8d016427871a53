# SPDX-License-Identifier: GPL-2.0-only
"""The table of tests/mutate.py still fits the code and the tests; to run it takes an hour."""
from __future__ import annotations

import re
import subprocess
import sys

import pytest

from lab import platforms
from lab.common import ROOT

sys.path.insert(0, str(ROOT / "tests"))

import mutate  # noqa: E402

ROWS = mutate.load_all()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_change_can_be_made(row: mutate.Mutation) -> None:
    assert (ROOT / row.file).read_text(encoding="utf-8").count(row.old) == 1, row.file
    assert row.new != row.old and row.tests


@pytest.mark.parametrize("file, old, new", mutate.HURRY)
def test_change_for_all_can_be_made(file: str, old: str, new: str) -> None:
    assert (ROOT / file).read_text(encoding="utf-8").count(old) == 1


def test_names_differ() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_named_tests_exist() -> None:
    if platforms.debian() != (first := platforms.known()[0]):
        pytest.skip(f"the table names tests by the kernels of {first}")
    names = sorted({name for row in ROWS for name in row.tests if not name.startswith(mutate.UNIT)})
    result = subprocess.run([sys.executable, "-m", "pytest", "--collect-only", "-q", *names],
                            cwd=ROOT / "tests" / "lab", stdout=subprocess.PIPE, text=True,
                            stderr=subprocess.STDOUT, check=False)
    assert result.returncode == 0, result.stdout[-3000:]


def test_named_unit_tests_exist() -> None:
    """In the folder of the step whose file the row changes: mutate.py runs that one's program."""
    exist = {(file.parent.name, mutate.UNIT + ".".join(pair))
             for file in (ROOT / "tests" / "unit").glob("step*/*.cpp")
             for pair in re.findall(r"^TEST(?:_F)?\((\w+), (\w+)\)",
                                    file.read_text(encoding="utf-8"), re.MULTILINE)}
    unit = {(row.file[:len("stepNN")], name)
            for row in ROWS for name in row.tests if name.startswith(mutate.UNIT)}
    assert unit and unit <= exist


@pytest.mark.parametrize("output, expected", [
    ("FAILED a[x] - AssertionError: 1\nFAILED b\n", "found: AssertionError: 1"),
    ("FAILED a[x] - AssertionError: 1\nPASSED b\n", "NOT FOUND"),
    ("FAILED a[x] - Failed: step05 does not build for Linux\nFAILED b\n", "NOT TRIED"),
    ("no tests ran", "NOT FOUND"),
])
def test_verdict(output: str, expected: str) -> None:
    assert mutate.verdict(["a[x]", "b"], output) == expected


@pytest.mark.parametrize("output, expected", [
    ("[  FAILED  ] Ept.A (3 ms)\n\n[  FAILED  ] Ept.A\n", "found: it failed"),
    ("[  FAILED  ] Ept.AB\n", "NOT FOUND"),
    ("[       OK ] Ept.A (0 ms)\n", "NOT FOUND"),
])
def test_verdict_of_a_unit_test(output: str, expected: str) -> None:
    assert mutate.verdict(["unit:Ept.A"], output) == expected
