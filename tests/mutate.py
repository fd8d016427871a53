#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Breaks the code once for each row of mutations.toml, and sees whether the tests notice.

Each row is a hazard that the code guards against: the change takes the guard away, in a copy of the
checkout under build/mutate/, and the tests that the row names are run there. All of them must fail.
A row takes a build and a boot, one to three minutes, so this is no part of ./lab test. (Where unit
tests find it, half a minute.)
"""
from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import re
import shutil
import signal
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from lab import proc  # noqa: E402
from lab.common import BUILD  # noqa: E402

TABLE = ROOT / "tests" / "mutations.toml"
#: Changes for all rows: a machine that the change has broken is not waited for as long.
HURRY = (("tools/lab/image.py", "panic=0 ", "panic=0 oops=panic "),
         ("tools/lab/bochs.py", "silence: float = 900.0", "silence: float = 120.0"))
#: In front of the name of a test of tests/unit/stepNN/, which needs no boot.
UNIT = "unit:"
BROKEN = ("does not build", "no boot: ", "packages are missing")  # says nothing about the tests


@dataclass(frozen=True)
class Mutation:
    """One row of the table."""

    name: str  # the hazard, in words
    file: str
    old: str  # occurs once in the file
    new: str
    tests: list[str]  # pytest's names, from tests/lab/ on; or all of them unit tests


def load_all() -> list[Mutation]:
    """The whole table."""
    return [Mutation(**row) for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["mutation"]]


def chosen(words: list[str]) -> list[Mutation]:
    """The rows whose name or file holds one of the words; all if there are none."""
    found = [row for row in load_all()
             if not words or any(word in row.name + row.file for word in words)]
    if not found:
        raise SystemExit(f"mutate: no row of {TABLE.name} holds {' or '.join(map(repr, words))}")
    return found


def free_place() -> Path:
    """A folder for a copy of the checkout that no other run of this program uses."""
    for number in range(8):
        place = BUILD / "mutate" / str(number)
        place.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{place}.lock", os.O_CREAT | os.O_WRONLY)  # until this process ends
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return place
    raise SystemExit("mutate: all copies are in use")


def copy_the_checkout(place: Path) -> None:
    """Brings a copy up to date. What was built there is kept, and files keep their times, so that
    little is built again; what was downloaded is shared."""
    for old in place.iterdir():
        if old.name != "build":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(ROOT, place, dirs_exist_ok=True, ignore=lambda folder, names: (
        {".git", "build"} if Path(folder) == ROOT else set()))
    for file, old_text, new_text in HURRY:
        text = (place / file).read_text(encoding="utf-8")
        (place / file).write_text(text.replace(old_text, new_text), encoding="utf-8")
    for folder in (BUILD / "cache", place / "build"):
        folder.mkdir(exist_ok=True)
    if not (place / "build" / "cache").exists():
        (place / "build" / "cache").symlink_to(BUILD / "cache")


def verdict(tests: list[str], output: str) -> str:
    """What pytest's output says of the row: "found" only if each test ran and failed."""
    tests = [name.removeprefix(UNIT) for name in tests]
    failed = dict(re.findall(r"^(?:FAILED|ERROR|\[  FAILED  \]) (?:lab/)?(\S+)(?: - (.*))?$",
                             output, re.MULTILINE))
    if not set(tests) <= set(failed):
        return "NOT FOUND"
    if any(words in output for words in BROKEN):
        return "NOT TRIED"
    end = re.search(r"did not end well: (.*)", output)
    return f"found: {end[1] if end else failed[tests[0]] or 'it failed'}"


def command(row: Mutation) -> list[str]:
    """What runs the row's tests, in tests/lab/ of a copy."""
    if not row.tests[0].startswith(UNIT):
        return [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=short", *row.tests]
    names = ":".join(name.removeprefix(UNIT) for name in row.tests)
    program = f"vtx-unit-{row.file[:len('stepNN')]}"
    return ["sh", "-ec", "cd ../..; cmake --preset default;"
            f" cmake --build --preset default --target {program};"
            f" build/default/tests/unit/{program} --gtest_filter={names}"]


def try_out(row: Mutation, place: Path) -> str:
    """Makes the change, runs the tests, takes the change back."""
    target, log = place / row.file, place / "build" / "mutate.log"
    text = target.read_text(encoding="utf-8")
    if text.count(row.old) != 1:
        return f"NOT TRIED: `old` occurs {text.count(row.old)} times"
    shutil.rmtree(place / "build" / "lab", ignore_errors=True)  # earlier boots
    target.write_text(text.replace(row.old, row.new), encoding="utf-8")
    try:
        proc.run_logged(command(row), log, cwd=place / "tests" / "lab",
                        env={**os.environ, "COLUMNS": "300"})
    finally:
        target.write_text(text, encoding="utf-8")
    return verdict(row.tests, log.read_text(encoding="utf-8"))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit status 1 if a test did not notice. The last row's log is in"
               " build/mutate/N/build/mutate.log.")
    parser.add_argument("word", nargs="*", help="only rows whose name or file holds a word")
    rows = chosen(parser.parse_args().word)
    place = free_place()
    copy_the_checkout(place)
    survived = []
    for number, row in enumerate(rows, 1):
        begin = time.monotonic()
        print(f"{number} of {len(rows)}: {row.name} ({row.file}) …", flush=True)
        result = try_out(row, place)
        print(f"  {result} ({time.monotonic() - begin:.0f} s)", flush=True)
        if not result.startswith("found"):
            survived.append(row.name)
    print("\n".join([f"{len(rows) - len(survived)} found, {len(survived)} not", *survived]))
    return 1 if survived else 0


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
