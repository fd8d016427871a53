# SPDX-License-Identifier: GPL-2.0-only
"""./lab exercise, grade and progress, as a reader uses them."""
from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Callable

import pytest

from lab import exercises
from lab.common import ROOT

Lab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the reader's work, in place of exercises/work/."""
    monkeypatch.setenv("VTX_WORK", str(tmp_path / "work"))
    return tmp_path / "work"


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ROOT / "lab"), *words], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          env=dict(os.environ))


def solve(work: Path, number: str, before: str = "") -> None:
    """Puts the step's own region in place, with some code before it."""
    exercise = exercises.load(number)
    path = work / number / exercise.file
    text = exercises.put_back(path.read_text(encoding="utf-8"), exercise)
    first, region, last = exercises.split(text, number)
    path.write_text(first + before + region + last, encoding="utf-8")


def test_exercise_shows_the_task_and_keeps_work(work: Path) -> None:
    first = lab("exercise", "01-1")
    assert first.returncode == 0 and "Discovering Support for VMX" in first.stdout, first
    own = work / "01-1" / "vmx_check.hpp"
    own.write_text("// mine\n")
    again = lab("exercise", "01-1")
    assert again.returncode == 0 and "stays as it is" in again.stdout
    assert own.read_text() == "// mine\n"
    anew = lab("exercise", "01-1", "--again")
    assert anew.returncode == 0 and "yet to be written" in own.read_text()
    assert (work / "01-1.old" / "vmx_check.hpp").read_text() == "// mine\n"


def test_lists(work: Path) -> None:
    listed = lab("exercise")
    assert listed.returncode == 0
    assert all(number in listed.stdout for number in exercises.numbers())
    lab("exercise", "01-1")
    assert "begun, 0 tries" in lab("progress").stdout
    (work / "01-1" / "progress.json").write_text(
        json.dumps({"tries": 3, "hints": 0, "done": "2026-01-01"}))
    progress = lab("progress").stdout
    assert "done 2026-01-01, 3 tries" in progress and "\n1 of " in progress


def test_hints_come_one_by_one(work: Path) -> None:
    lab("exercise", "01-1")
    counts = [lab("grade", "01-1", "--hint").stdout.count("Hint ") for _ in range(4)]
    assert counts == [1, 2, 3, 3]


@pytest.mark.parametrize("words, reason", [
    (["exercise", "99-9"], "no exercise '99-9'"),
    (["grade", "01-1"], "./lab exercise 01-1 makes it"),
    (["grade"], "No exercise is begun"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_refusals(work: Path, words: list[str], reason: str) -> None:
    refused = lab(*words)
    assert refused.returncode == 2 and reason in refused.stderr, refused
    assert "Traceback" not in refused.stderr


def test_an_empty_prediction_is_not_graded(work: Path) -> None:
    lab("exercise", "04-1")
    empty = lab("grade", "04-1")
    assert empty.returncode == 1 and "✗ answer.toml holds a prediction" in empty.stdout, empty


def test_untouched_and_then_not_compiling(work: Path) -> None:
    lab("exercise", "01-1")
    untouched = lab("grade")
    assert untouched.returncode == 1
    assert "✗ the exercise is written. Seen: exercise 01-1 is yet to be" in untouched.stdout
    solve(work, "01-1", "    check.vmy = true;\n")
    broken = lab("grade")
    assert broken.returncode == 1 and "✗ vmx_check.hpp compiles" in broken.stdout
    assert re.search("no member named .vmy", broken.stdout), broken.stdout
    assert "01-1/vmx_check.hpp:" in broken.stdout and "tries" in lab("progress").stdout


def test_a_hang_is_told_and_can_be_mended_at_once(work: Path) -> None:
    lab("exercise", "03-1")
    solve(work, "03-1", '    asm volatile("cli; 1: jmp 1b");\n')
    begin = time.monotonic()
    hung = lab("grade", "--yes")
    assert hung.returncode == 1 and "Seen: it hung" in hung.stdout, hung
    solve(work, "03-1")
    mended = lab("grade", "--yes")
    assert mended.returncode == 0 and "Exercise 03-1 is done" in mended.stdout, mended
    assert "✗" not in mended.stdout
    # Two boots, one of which ends after the 40 seconds of processor time that a script has, not
    # after the 900 that a boot has. 90 s each when idle.
    assert time.monotonic() - begin < 600
