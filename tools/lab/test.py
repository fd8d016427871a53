# SPDX-License-Identifier: GPL-2.0-only
"""./lab test: sets up, then runs every test that there is through CMake, and counts."""
from __future__ import annotations

import os
import re
import shutil
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

from . import kernels, packages, proc, ui
from .common import BUILD, ROOT, shown

RESULTS = BUILD / "results"
JUNIT = RESULTS / "junit"
LOG = BUILD / "test.log"


@dataclass
class Count:
    """What came of all tests."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)

    def line(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def run(expression: str, accept: bool, yes: bool) -> int:
    """Carries out ./lab test; returns its exit status."""
    started = time.monotonic()
    groups = ["build", "lab", "test", "docs", "docs-test"]
    packages.ensure(packages.needed(groups), yes)
    for kernel in kernels.ALL:
        kernels.tree(kernel)
    if not expression:  # else only some of the figures would come back
        shutil.rmtree(RESULTS / "lab", ignore_errors=True)
    shutil.rmtree(JUNIT, ignore_errors=True)
    JUNIT.mkdir(parents=True)
    (RESULTS / "ctest.xml").unlink(missing_ok=True)
    LOG.write_text("", encoding="utf-8")
    environment = _environment(expression, accept)
    count = Count()
    for title, command in (
            ("configure", ["cmake", "--preset", "default"]),
            ("build", ["cmake", "--build", "--preset", "default"])):
        if _stream(title, command, environment) != 0:
            count.failed = 1
            count.failures = [f"{title}: {' '.join(command)} failed"]
            return _close(count, started)
    status = _stream("test", ["ctest", "--preset", "default"], environment)
    count = total(JUNIT, RESULTS / "ctest.xml")
    if status != 0 and not count.failed:
        count.failed = 1
        count.failures.append("ctest failed, but no test of it did")
    return _close(count, started)


def soak(step: str, yes: bool) -> int:
    """Carries out ./lab soak; returns its exit status. Ends after 20 minutes, done or not; that of
    a step alone, or of the exercises' wrong answers, after 60."""
    packages.ensure(packages.needed(["build", "lab", "test"]), yes)
    for kernel in kernels.BOOTABLE:
        kernels.tree(kernel)
    report = JUNIT / "soak.xml"
    limit = "3600" if step else "1200"
    suite = "exercises" if step == "answers" else "lab"
    command = ["timeout", "--signal=INT", limit, "/usr/bin/python3", "-m", "pytest", "-v",
               f"--junitxml={report}", str(ROOT / "tests" / suite)]
    return _stream("soak", command, {**os.environ, "VTX_SOAK": "1", "VTX_SOAK_STEP": step})


def _environment(expression: str, accept: bool) -> dict[str, str]:
    """What the suites are told: -k for pytest, a filter for GoogleTest if it is a plain word."""
    environment = dict(os.environ)
    if accept:
        environment["VTX_ACCEPT"] = "1"
        expression = expression or f"as_expected and {kernels.DEFAULT}-haswell-1cpu"
    if expression:
        environment["VTX_TEST_K"] = expression
        word = expression if re.fullmatch(r"\w+", expression) else "no such test"
        environment["GTEST_FILTER"] = f"*{word}*"
    return environment


def _stream(title: str, command: list[str], environment: dict[str, str]) -> int:
    """Runs a command with its output both on the screen and in build/test.log."""
    ui.say(ui.bold(f"== {title}: {' '.join(command)}"))
    part = BUILD / f"test-{title}.log"
    try:
        return proc.run_logged(command, part, on_line=ui.say, cwd=ROOT, env=environment)
    finally:
        with open(LOG, "a", encoding="utf-8") as whole:
            whole.write(part.read_text(encoding="utf-8", errors="replace"))
        part.unlink(missing_ok=True)


def total(junit: Path, ctest: Path) -> Count:
    """Sums the reports of all suites.

    A ctest entry without a report of its own is one test; one that failed although its report knows
    of no failure counts as a failure.
    """
    count = Count()
    reported, failed_suites = set(), set()
    for path in sorted(junit.glob("*.xml")):
        try:
            cases = list(xml.parse(path).getroot().iter("testcase"))
        except xml.ParseError:
            continue
        reported.add(path.stem)
        for case in cases:
            name = f"{path.stem}: {case.get('classname', '')}.{case.get('name', '')}"
            if case.find("failure") is not None or case.find("error") is not None:
                count.failed += 1
                count.failures.append(name)
                failed_suites.add(path.stem)
            elif (case.find("skipped") is not None
                  or case.get("status") == "notrun" and case.get("result") != "suppressed"):
                count.skipped += 1
            elif case.get("status") != "notrun":
                count.passed += 1
    for name, passed in _entries(ctest):
        if passed and name not in reported:
            count.passed += 1
        elif not passed and name not in failed_suites:
            count.failed += 1
            count.failures.append(f"{name}: it failed, or left no report")
    return count


def _entries(ctest: Path) -> list[tuple[str, bool]]:
    """The ctest entries, and whether each passed."""
    try:
        cases = xml.parse(ctest).getroot().iter("testcase")
    except (OSError, xml.ParseError):
        return [("ctest", False)]
    return [(case.get("name", "?"), case.get("status") == "run") for case in cases]


def _close(count: Count, started: float) -> int:
    """The last words, the count being the last line."""
    ui.say()
    for name in count.failures[:40]:
        ui.say(ui.red("failed ") + name)
    if len(count.failures) > 40:
        ui.say(f"… and {len(count.failures) - 40} more")
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    ui.say(f"Took {minutes} min {seconds} s. Log: {shown(LOG)}")
    ui.say(count.line())
    return 1 if count.failed or not count.passed else 0
