# SPDX-License-Identifier: GPL-2.0-only
"""What came of loading a step once: read from extras.LIBRARY's `attempt`, judged, and written down.

What was expected and what was seen goes to build/results/lab/refusals.json, from which the book
makes its table.
"""
from __future__ import annotations

import errno
import re
from dataclasses import dataclass, field

import results
from guest import Case, Guest

from lab.common import module_name, step_folders
from lab.run import TAINT

STEPS = [module_name(folder) for folder in step_folders()]
MODEST = ("step00_makefile", "step01_vmx_check")  # they load everywhere
#: Pages that a failed insmod may take: the kernel frees a module's memory later, and fills caches.
SLACK = 300


@dataclass
class Attempt:
    """What came of loading a step once."""

    step: str
    status: int  # 0 or an errno
    listed: bool  # in /proc/modules after insmod
    pages: int  # fewer free pages afterwards
    cr4: str  # of all CPUs
    changed: str = ""  # CR4, if it was another one afterwards
    lines: list[tuple[int, str]] = field(default_factory=list)  # level and text

    @property
    def name(self) -> str:
        """The errno's name, or "loads"."""
        return errno.errorcode.get(self.status, str(self.status)) if self.status else "loads"

    @property
    def told(self) -> list[tuple[int, str]]:
        """Its lines, without what step 11 adds when one processor has refused: the others leave,
        and at the end it says that none has joined."""
        return [line for line in self.lines
                if not re.match(r"cpu \d+: back, |not all processors could join", line[1])]

    @property
    def last(self) -> str:
        return self.told[-1][1] if self.told else ""

    def problems(self, expected: str, words: str) -> list[str]:
        """What is wrong with it. `words` is a pattern for the sentence of a refusal."""
        found = []
        if self.name != expected:
            found.append(f"{self.name}, not {expected}")
        if self.listed != (self.status == 0):
            found.append("listed in /proc/modules" if self.listed else "not in /proc/modules")
        if self.changed:
            found.append(f"CR4 was {self.cr4} and became {self.changed}")
        if self.status and self.pages > SLACK:
            found.append(f"{self.pages} pages are missing")
        if self.status and words:
            found += self._wrong_words(words)
        if not self.status and any(level <= 3 for level, _ in self.lines):
            found.append(f"it loads with an error in the log: {self.lines}")
        return [f"{self.step}: {text}" for text in found]

    def _wrong_words(self, words: str) -> list[str]:
        errors = [(level, text) for level, text in self.told if level <= 3]
        if not errors or self.told[-1] != errors[-1]:
            return [f"the last line is not one at error level: {self.lines[-2:]}"]
        if len(errors) > 1 and "invalid for parameter" not in errors[-1][1]:
            return [f"more than one sentence: {errors}"]
        if not re.search(words, errors[0][1]):
            return [f"{errors[0][1]!r} does not say {words!r}"]
        return []


def attempts(output: str) -> list[Attempt]:
    """What extras.LIBRARY's `attempt` printed."""
    found: list[Attempt] = []
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word == "@try":
            step, status, listed, pages, *cr4 = rest.split()
            found.append(Attempt(step, int(status), listed != "0", int(pages), " ".join(cr4)))
        elif word == "@cr4":
            found[-1].changed = rest
        elif word == "@log" and not any(words in rest for words in TAINT):
            level, _, text = rest.partition(" ")
            found[-1].lines.append((int(level[1:-1]) & 7, text))
    return found


def expect(case: Case, situation: str, refusal: str, words: str, modest: str = "loads",
           only: str = "", spared: tuple[str, ...] = (),
           others: dict[str, tuple[str, str]] | None = None) -> None:
    """Judges all attempts of a case: `refusal` with `words` from steps 02 on (or `only` one),
    "loads" from those that are `spared`, `modest` from steps 00 and 01, another refusal and other
    words from `others`. Writes the rows."""
    seen = attempts(case.output)
    wanted = [only] if only else STEPS
    assert [attempt.step for attempt in seen] == wanted, f"{case}\n{case.output}"
    problems = []
    for attempt in seen:
        expected = modest if attempt.step in MODEST and not only else \
            "loads" if attempt.step in spared else refusal
        expected, said = (others or {}).get(attempt.step, (expected, words))
        problems += attempt.problems(expected, said)
        write_row(case.guest, situation, attempt, expected)
    assert not problems, "\n".join([*problems, repr(case)])
    assert not case.trouble, f"{case.trouble}; {case}"
    assert not case.left, f"{case.left} stayed loaded; {case}"


def write_row(guest: Guest, situation: str, attempt: Attempt, expected: str) -> None:
    """Adds a row to the table, in place of the one that it repeats."""
    row = {"situation": situation, "step": attempt.step, "kernel": guest.number, "cpu": guest.cpu,
           "cpus": guest.cpus, "expected": expected, "seen": attempt.name,
           "sentence": attempt.last if attempt.status else ""}
    results.write_row("refusals", row, ("situation", "step", "kernel", "cpu", "cpus"))
