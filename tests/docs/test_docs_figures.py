# SPDX-License-Identifier: GPL-2.0-only
"""The figures that the tests write and the book shows: with and without them it can be built."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lab.common import ROOT

sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from vtxbook import facts, figures, paths, tables  # noqa: E402

ROWS = {
    "machines": [{"kernel": "6.1", "cpu": "haswell", "cpus": 2, "boots": 3, "cases": 40}],
    "refusals": [{"situation": "no VMX", "step": step, "kernel": "6.1", "cpu": "venice", "cpus": 1,
                  "expected": seen, "seen": seen, "sentence": ""}
                 for step, seen in (("step02_vmxon", "ENODEV"), ("step00_makefile", "loads"),
                                    ("step06_vmxoff", "ENODEV"))],
    "exit_reasons": [{"machine": machine, "reason": 10, "seen": 1000} for machine in "ab"],
    "instruction_errors": [{"error": 7, "seen": 3}],
    "cycles": [{"step": "step02_vmxon", "kernel": "6.1", "cycles": 300}],
    "faults": [{"step": "step02_vmxon", "kernel": "6.1", "points": 5, "rounds": 6}],
    "hostile_guests": [{"machine": machine, "guests": 100} for machine in "ab"],
    "random_guests": [{"machine": "a", "guests": 10300, "full": 1, "failed": 2, "late": 3,
                       "exits": 4, "verdicts": 5}],
    "interrupts_off": [{"guest": "loop_cpuid", "kernel": "6.1", "cpu": cpu, "scopes": 70,
                        "longest_us": 4007, "tick_us": 4000} for cpu in ("penryn", "haswell")],
}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results in place of the real one."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setattr(tables, "load", lambda: {
        "exit_reasons": [{"number": 9, "name": "Task switch"}, {"number": 10, "name": "CPUID"}],
        "instruction_errors": [{"number": 7, "text": "VM entry with invalid control field(s)"}]})
    (tmp_path / "lab").mkdir()
    return tmp_path / "lab"


def test_without_results_there_are_no_rows(results: Path) -> None:
    assert not any(make() for _, _, _, make in figures.FIGURES), results
    assert not facts.results()


def test_each_suite_has_a_row(results: Path) -> None:
    (paths.RESULTS / "junit").mkdir()
    for name in ("lab", "unit"):
        (paths.RESULTS / "junit" / f"{name}.xml").write_text(
            '<testsuites><testsuite tests="3" failures="1" errors="1" skipped="0" time="2"/>'
            '<testsuite tests="1"><testcase time="0.6"/></testsuite></testsuites>')
    assert facts.results() == [[name, "4", "2", "0", "3 s"] for name in ("lab", "unit")]


def test_each_table_has_its_rows(results: Path) -> None:
    for name, rows in ROWS.items():
        (results / f"{name}.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
    for title, headings, widths, make in figures.FIGURES:
        rows = make()
        assert rows, title
        assert all(len(row) == len(headings) == len(widths) for row in rows), (title, rows)
    assert figures.refusals() == [["no VMX", "6.1, venice, 1 CPU", "loads (00); ENODEV (02, 06)",
                                   "loads (00); ENODEV (02, 06)"]]
    assert len(figures.guests()) == 2  # "b" had no random guests
    assert figures.exit_reasons() == [["10", "CPUID", "2,000", "2"]]
    assert figures.interrupts_off() == [["loop_cpuid", "6.1, haswell", "4,007"],
                                        ["loop_cpuid", "6.1, penryn", "4,007"]]
