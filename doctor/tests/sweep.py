#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Changes one token of the rules at a time, and sees whether a test notices.

Changed are comparisons, `&&`, `||`, `+`, `-`, `!`, and integers of the pure code, in a copy of the
checkout under build/sweep/. Each mutant meets the unit tests that include its file, the tool's
tests, and (with --differential) a short run against Bochs, until one fails. A survivor is the same
as the code, or a case is missing. It takes six seconds a mutant: this is no part of ./lab test.
"""
from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
#: These talk to Linux or to the processor: no unit test on a host can run them.
NOT_PURE = {"failure.hpp", "instructions.hpp", "log_failure.hpp", "require_capabilities.hpp"}
#: What is no code: comments, texts, directives, checks at compile time, assembly.
NOT_CODE = re.compile(r"//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'|^#[^\n]*"
                      r"|\b(?:static_assert|asm volatile)\b[^;]*;", re.MULTILINE)
#: Tokens and what becomes of them; .clang-format puts a blank on both sides of a binary operator.
OPERATORS = {"<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"],
             "==": ["!="], "!=": ["=="], "&&": ["||"], "||": ["&&"], "+": ["-"], "-": ["+"]}
TOKEN = re.compile(r"(?<=\s)(?:[<>]=?|[=!]=|&&|\|\||[-+])(?=\s)|!(?!=)"
                   r"|(?<![\w.])(?:0x[0-9a-f]+|\d+)(?=u?l{0,2}\b)")
TESTS = ["tests/unit", "doctor/tests"]  # the first includes nothing of doctor/
FLAGS = ["-std=c++20", "-w", "-O0", "-fno-exceptions", "-fno-rtti", "-I.", "-Icommon"]
OUTCOMES = ("does not compile", "static_assert", "unit tests", "tool's tests", "Bochs", "SURVIVED")


class Mutant(NamedTuple):
    """One token, and what it becomes."""

    file: str
    start: int  # the token's place in it
    old: str
    new: str


def mutants_of(file: str) -> list[Mutant]:
    """Every mutant of a file."""
    text = (ROOT / file).read_text(encoding="utf-8")
    code = NOT_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    found = []
    for match in TOKEN.finditer(code):
        old = match[0]
        if old[0].isdigit():
            value, style = int(old, 0), "{:#x}" if old.startswith("0x") else "{}"
            news = [style.format(n) for n in (value - 1, value + 1) if 0 <= n < 1 << 64]
        else:
            news = OPERATORS.get(old, [""])
        found += [Mutant(file, match.start(), old, new) for new in news]
    return found


class Sweep:
    """A copy of the checkout, and the tests in it."""

    def __init__(self, place: Path, differential: bool) -> None:
        self.tree, self.out, self.differential = place / "tree", place / "out", differential
        for folder in (self.tree, self.out):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(".git", "build"))
        self.out.mkdir()
        (self.out / "gtest.hpp").write_text("#include <gtest/gtest.h>\n#include <map>\n")
        self.run("g++", *FLAGS, self.out / "gtest.hpp")
        for folder in TESTS:  # as one source each, for the headers take longest
            (self.out / f"{Path(folder).name}.cpp").write_text("".join(
                f'#include "{test.relative_to(self.tree)}"\n'
                for test in sorted((self.tree / folder).glob("*.cpp"))), encoding="utf-8")

    def run(self, *command: str | Path, seconds: float = 120, **env: str) -> str | None:
        """What went wrong; None if nothing did."""
        try:
            done = subprocess.run(command, cwd=self.tree, capture_output=True, text=True,
                                  timeout=seconds, check=False, env={**os.environ, **env})
        except subprocess.TimeoutExpired:
            return "it did not end"
        return done.stderr if done.returncode else None

    def outcome(self, file: str | None) -> str:
        """Which of OUTCOMES it is with this file changed; None runs all tests."""
        unit, program = self.out / "unit", self.out / "vmcs-doctor"
        for folder in TESTS[file is not None and file.startswith("doctor"):]:
            wrong = self.run("g++", *FLAGS, "-include", self.out / "gtest.hpp", "-lgtest_main",
                             self.out / f"{Path(folder).name}.cpp", "-lgtest", "-o", unit)
            if wrong is not None:
                return OUTCOMES["static assertion failed" in wrong]
            if self.run(unit, "--gtest_fail_fast") is not None:
                return OUTCOMES[2]
        if self.run("g++", *FLAGS, *self.tree.glob("doctor/cli/*.cpp"), "-o", program) is not None:
            return OUTCOMES[0]
        if self.run(sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "-k",
                    "not built_as_the_page_says",  # takes long and says nothing of rules
                    "doctor/tests", VMCS_DOCTOR=str(program)) is not None:
            return OUTCOMES[3]
        if self.differential and self.run(
                sys.executable, "doctor/differential/run.py", "--models=skylake", "--stride=20",
                "--jobs=1", seconds=400) is not None:
            return OUTCOMES[4]
        return OUTCOMES[5]

    def try_out(self, mutant: Mutant) -> str:
        """Makes the change, asks the tests, takes it back."""
        target = self.tree / mutant.file
        text = target.read_text(encoding="utf-8")
        end = mutant.start + len(mutant.old)
        target.write_text(text[:mutant.start] + mutant.new + text[end:], encoding="utf-8")
        result = self.outcome(mutant.file)
        target.write_text(text, encoding="utf-8")
        line = text.count("\n", 0, mutant.start) + 1
        print(f"{mutant.file}:{line} {mutant.old} → {mutant.new or 'nothing'}: {result}"
              f"   [{text.splitlines()[line - 1].strip()}]", flush=True)
        return result


def main() -> int:
    """Returns 0 if no mutant survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="how many mutants (100)")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument("--files", nargs="+", help="of these files (all pure ones)")
    parser.add_argument("--differential", action="store_true", help="ask Bochs, too")
    parser.add_argument("--work", type=Path, default=ROOT / "build/sweep")
    options = parser.parse_args()
    files = options.files or sorted(
        str(path.relative_to(ROOT)) for folder in ("doctor/rules", "common/vmx", "common/x86")
        for path in (ROOT / folder).glob("*.hpp") if path.name not in NOT_PURE)
    everyone = [mutant for file in files for mutant in mutants_of(file)]
    sweep = Sweep(options.work.resolve(), options.differential)
    if (before := sweep.outcome(None)) != OUTCOMES[5]:
        raise SystemExit(f"sweep: the code as it is does not pass: {before}")
    chosen = random.Random(options.seed).sample(everyone, min(options.count, len(everyone)))
    sums = Counter(map(sweep.try_out, chosen))
    print(f"{len(chosen)} of {len(everyone)} mutants:",
          ", ".join(f"{outcome}: {sums[outcome]}" for outcome in OUTCOMES))
    return 1 if sums[OUTCOMES[5]] else 0


if __name__ == "__main__":
    sys.exit(main())
