# SPDX-License-Identifier: GPL-2.0-only
"""What the book says of the files of a step of Part II, which takes files over in core/."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.common import ROOT

sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "docs" / "_ext")]

import build_docs  # noqa: E402
from vtxbook import paths, sdm, sourcefiles, stepdiff  # noqa: E402

#: Step 06 has no trace.hpp, and 07 takes it from 05.
FILES = {
    "step05-five/Kbuild": "5\n", "step05-five/vm.hpp": "one\ntwo\n", "step05-five/trace.hpp": "t\n",
    "step06-six/Kbuild": "6\n", "step06-six/vm.hpp": "one\ntwo\n", "step06-six/cpu.hpp": "c\n",
    "step06-six/run.hpp": r"\sdm{vmxon}" + "\n",
    "step07-seven/Kbuild": "7\n", "step07-seven/ept.hpp": "e\n", "step07-seven/core/vm.o": "",
    "step07-seven/core/vm.hpp": "one\ntwo\n", "step07-seven/core/trace.hpp": "t\n",
    "step07-seven/core/run.hpp": r"\sdm{vmxon}" + "\n",
    "step08-eight/vm.hpp": "one\n2\n", "step08-eight/core/ept.hpp": "e\n",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two steps of Part I and two of Part II."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path


def kinds(folder: Path) -> dict[str, str]:
    """What became of each file: "new", "changed", "same since 05", "gone"."""
    return {stepdiff._name(change.path): f"{change.kind} since {change.since}" if change.since
            else change.kind for change in stepdiff.changes(folder)}


def test_files_are_compared_by_name_wherever_they_lie(tree: Path) -> None:
    assert kinds(tree / "step06-six") == {
        "Kbuild": "changed", "vm.hpp": "same since 05", "cpu.hpp": "new", "run.hpp": "new",
        "trace.hpp": "gone"}
    assert kinds(tree / "step07-seven") == {
        "Kbuild": "changed", "ept.hpp": "new", "core/vm.hpp": "same since 05",
        "core/trace.hpp": "same since 05", "core/run.hpp": "same since 06"}
    assert kinds(tree / "step08-eight") == {"core/ept.hpp": "same since 07", "vm.hpp": "changed"}


def test_own_files_are_those_at_the_top(tree: Path) -> None:
    own = {tree / "step07-seven" / name for name in ("Kbuild", "ept.hpp")}
    assert set(stepdiff.own_files(tree / "step07-seven")) == own
    assert build_docs.projects()["step07"] == [tree / "step07-seven/ept.hpp"]


def test_changed_lines_are_those_that_core_does_not_have(tree: Path) -> None:
    assert sourcefiles.changed(tree / "step08-eight/vm.hpp") == {2}
    assert sourcefiles.changed(tree / "step07-seven/core/vm.hpp") == frozenset()
    assert sourcefiles.changed(tree / "step07-seven/ept.hpp") == frozenset()


def test_files_in_core_are_sources_and_copies(tree: Path) -> None:
    """So their citations count, and the table of citations names the original alone."""
    copy, original = tree / "step07-seven/core/run.hpp", tree / "step06-six/run.hpp"
    assert {copy, original} <= set(paths.sources())
    assert sdm._is_copy(copy) and not sdm._is_copy(original)
