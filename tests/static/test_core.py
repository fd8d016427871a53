# SPDX-License-Identifier: GPL-2.0-only
"""Steps of Part II: at the top what is new or changed, in core/ what is taken over unchanged."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab import build, common, compile_commands, exercises, kernels, steps
from lab.common import ROOT
from trees import copy_sources, make, write_step

KBUILD = "x-y := module.o step.o\ninclude $(src)/../common/cxx.mk\n"
SEVEN = {"Makefile": "as in 06", "Kbuild": "changed", "step.cpp": "changed", "ept.hpp": "new",
         "core/module.c": "as in 06", "core/vm.hpp": "as in 05", "core/trace.hpp": "as in 05"}


@pytest.fixture
def tree(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two steps of Part I and two of Part II. Step 06 has no trace.hpp, and 07 takes it from 05."""
    for module in (common, steps):
        monkeypatch.setattr(module, "ROOT", scratch)
    monkeypatch.setattr(steps, "SHARED", (scratch / "common",))
    for name in ("common/cxx.mk", "common/freestanding/stdlib.h", "common/vmx/field.hpp"):
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_text("")
    part_one = {"Makefile": "m", "module.c": "c", "vm.hpp": '#include "vmx/field.hpp"'}
    write_step(scratch, "step05-five", {**part_one, "Kbuild": KBUILD + "# 5\n", "step.cpp": "5",
                                        "trace.hpp": "t", "expected/log.txt": "l"},
               dict.fromkeys((*part_one, "Kbuild", "step.cpp", "trace.hpp"), "new"))
    write_step(scratch, "step06-six", {**part_one, "Kbuild": KBUILD + "# 6\n", "step.cpp": "6"},
               {**dict.fromkeys(part_one, "as in 05"), "Kbuild": "changed", "step.cpp": "changed"})
    write_step(scratch, "step07-seven",
               {"Makefile": "m", "Kbuild": KBUILD, "step.cpp": "7", "ept.hpp": "e",
                "core/module.c": "c", "core/vm.hpp": part_one["vm.hpp"], "core/trace.hpp": "t"},
               SEVEN)
    write_step(scratch, "step08-eight",
               {"Makefile": "m", "Kbuild": KBUILD + "# 8\n", "core/ept.hpp": "e", "vm.hpp": "8"},
               {"Makefile": "as in 07", "Kbuild": "changed", "core/ept.hpp": "as in 07",
                "vm.hpp": "changed"})
    return scratch


def test_true_tables_are_accepted(tree: Path) -> None:
    assert [lie for folder in common.step_folders() for lie in steps.lies(folder)] == []


@pytest.mark.parametrize("step, name, text, state, complaint", [
    ("step07-seven", "host.hpp", "h", "new", ""),
    ("step07-seven", "trace.hpp", "t", "as in 05", "its place is core/"),
    ("step07-seven", "trace.hpp", "T", "new", "step05-five has it"),
    ("step07-seven", "trace.hpp", "t", "changed", "the same as step05-five/trace.hpp"),
    ("step07-seven", "trace.hpp", "T", "changed", ""),
    ("step07-seven", "core/trace.hpp", "T", "as in 05", "differs from step05-five/trace.hpp"),
    ("step07-seven", "core/trace.hpp", "t", "as in 06", "step06-six has no such file"),
    ("step07-seven", "core/trace.hpp", "T", "changed", "only what is taken over unchanged"),
    ("step07-seven", "core/Makefile", "m", "as in 06", "at the top, too"),
    ("step07-seven", "core/host.hpp", "h", "new", "only what is taken over unchanged"),
    ("step07-seven", "old/trace.hpp", "t", "as in 05", "no subfolder but core/"),
    ("step08-eight", "core/trace.hpp", "t", "as in 05", ""),
    ("step08-eight", "core/trace.hpp", "t", "as in 07", ""),
    ("step08-eight", "core/vm.hpp", "v", "as in 07", "at the top, too"),
    ("step06-six", "core/trace.hpp", "t", "as in 05", "Part I has no subfolder"),
])
def test_file_lies_where_it_belongs(tree: Path, step: str, name: str, text: str, state: str,
                                    complaint: str) -> None:
    """One file more, or one in another place, or with another text."""
    (tree / step / "core/trace.hpp").unlink(missing_ok=True)
    states = {row.name: row.state for row in steps.table(tree / step)}
    states.pop("core/trace.hpp", "")
    write_step(tree, step, {name: text}, {**states, name: state})
    assert [lie for lie in steps.lies(tree / step) if complaint not in lie] == []
    assert bool(steps.lies(tree / step)) == bool(complaint)


def test_file_that_lies_in_core_unlisted_is_found(tree: Path) -> None:
    for step in ("step06-six", "step07-seven"):
        (tree / step / "core").mkdir(exist_ok=True)
        (tree / step / "core/left.hpp").write_text("l")
        assert steps.lies(tree / step) == [f"{step}/core/left.hpp is not in the table"]


def test_sync_carries_an_edit_into_core(tree: Path) -> None:
    (tree / "step05-five/trace.hpp").write_text("better")
    (tree / "step07-seven/ept.hpp").write_text("better")
    assert steps.sync(dry=False) == 0
    for name in ("step07-seven/core/trace.hpp", "step08-eight/core/ept.hpp"):
        assert (tree / name).read_text() == "better"


def test_sync_fills_core_from_the_table(tree: Path) -> None:
    for path in (tree / "step07-seven/core").iterdir():
        path.unlink()
    (tree / "step07-seven/core").rmdir()
    assert steps.sync(dry=False) == 0
    assert steps.lies(tree / "step07-seven") == []


@pytest.mark.parametrize("old, new, names, shown", [
    # trace.hpp is neither gone from 06 nor new in 07, and vm.hpp is the same where it lies.
    ("step06-six", "step07-seven", [], ["changed Kbuild", "new     ept.hpp", "changed step.cpp"]),
    ("step07-seven", "step08-eight", [], ["changed Kbuild", "changed vm.hpp"]),
    ("step05-five", "step06-six", [], ["changed Kbuild", "changed step.cpp", "gone    trace.hpp"]),
    ("step06-six", "step07-seven", ["core/vm.hpp", "ept.hpp"], ["new     ept.hpp"]),
    ("step06-six", "step05-five", ["trace.hpp"], ["new     trace.hpp"]),
])
def test_diff_compares_files_by_name(tree: Path, capsys: pytest.CaptureFixture[str], old: str,
                                     new: str, names: list[str], shown: list[str]) -> None:
    assert steps.diff(tree / old, tree / new, names, everything=False, summary=True) == 0
    assert [line.removesuffix("  what") for line in capsys.readouterr().out.splitlines()] == shown


def test_diff_names_both_places(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps.diff(tree / "step07-seven", tree / "step08-eight", ["vm.hpp"], False, False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["--- step07-seven/core/vm.hpp", "+++ step08-eight/vm.hpp"]


def test_copy_has_core_and_what_its_files_include(tree: Path) -> None:
    steps.copy(tree / "step07-seven", tree / "mine")
    copied = {str(path) for path in build.sources(tree / "mine")}
    assert copied == {*SEVEN, "README.md", "common/cxx.mk", "common/freestanding/stdlib.h",
                      "common/vmx/field.hpp"}


def test_exercise_starts_in_the_place_of_core_module_c(tree: Path) -> None:
    """Kbuild names an object by its path in the step."""
    step = tree / "step07-seven/step.cpp"
    step.write_text("// [exercise 07-1]\nint x;\n// [exercise 07-1]\n")
    exercises.make_work(exercises.Exercise("07-1", "title", "write", "step.cpp", "", "task", [],
                                           "", (), []), tree / "mine")
    assert "CFLAGS_core/module.o := " in (tree / "mine/Kbuild").read_text()


def test_step_with_core_builds_and_is_cleaned(scratch: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 04 with C, assembly and nearly all headers in core/: no word of warning from make W=1,
    and clangd is told of the files there."""
    step = scratch / "step04-launch"
    copy_sources(scratch, [ROOT / step.name])
    (step / "core").mkdir()
    for name in steps.lesson_files(step):
        if name not in ("Kbuild", "Makefile", "step.cpp", "vcpu.hpp"):  # core/ includes vcpu.hpp
            (step / name).rename(step / "core" / name)
    kbuild = (step / "Kbuild").read_text(encoding="utf-8")
    (step / "Kbuild").write_text(re.sub(r" (module|vm_enter|guest)\.o", r" core/\1.o", kbuild),
                                 encoding="utf-8")
    before = build.sources(scratch)
    kdir = kernels.headers(kernels.DEFAULT)
    result = make(step, kdir, "W=1", "-j2")
    assert result.returncode == 0 and "warning" not in result.stdout.replace("warning: pahole", "")
    assert "core/vm_enter.o" in result.stdout

    monkeypatch.setattr(build, "tree", lambda kernel: scratch)
    listed = {entry["file"] for entry in compile_commands.entries(kernels.DEFAULT)}
    assert {f"{ROOT}/{step.name}/{name}" for name in ("core/module.c", "step.cpp")} <= listed
    assert make(step, kdir, "clean").returncode == 0
    left = [path.relative_to(scratch) for path in scratch.rglob("*") if path.is_file()]
    assert sorted(left) == sorted(before)
