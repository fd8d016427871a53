# SPDX-License-Identifier: GPL-2.0-only
"""`.. figures::` what the tests in the emulated machine wrote down: build/results/lab/*.json."""
from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Iterable

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import filled, paths, tables
from .sdm import table
from .tables import text

Row = dict[str, Any]
SOURCE = "VMX emulated by Bochs 2.7, never run on silicon here"


def load(name: str) -> list[Row]:
    """The rows of a table; none if the tests have not run."""
    path = paths.RESULTS / "lab" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def machine(row: Row) -> str:
    """Kernel, model and number of CPUs in words."""
    return f"{row['kernel']}, {row['cpu']}, {row['cpus']} CPU{'s' if row['cpus'] > 1 else ''}"


def outcomes(steps: list[Row], what: str) -> str:
    """What all steps did in one place: "loads (00, 01), EBUSY (02, 06)"."""
    found: dict[str, list[str]] = {}
    for row in sorted(steps, key=lambda row: row["step"]):
        found.setdefault(row[what], []).append(row["step"][4:6])
    return "; ".join(f"{name} ({', '.join(dict.fromkeys(numbers))})"
                     for name, numbers in found.items())


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Rows by key, in the keys' order."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return dict(sorted(found.items()))


def machines() -> list[list[str]]:
    return [[row["kernel"], row["cpu"], str(row["cpus"]), str(row["boots"]), str(row["cases"])]
            for row in sorted(load("machines"), key=machine)]


def refusals() -> list[list[str]]:
    rows = grouped(load("refusals"), lambda row: (row["situation"], machine(row)))
    return [[situation, where, outcomes(steps, "expected"), outcomes(steps, "seen")]
            for (situation, where), steps in rows.items()]


def guests() -> list[list[str]]:
    """Written by hand and random, for each machine."""
    by_hand = {row["machine"]: row["guests"] for row in load("hostile_guests")}
    random = {row["machine"]: row for row in load("random_guests")}
    columns = ("guests", "exits", "full", "failed", "late")
    return [[where, str(by_hand.get(where, 0)),
             *(f"{random[where][name]:,}" if where in random else "0" for name in columns)]
            for where in sorted(by_hand.keys() | random.keys())]


def exit_reasons() -> list[list[str]]:
    """Every basic exit reason that was seen, and how often."""
    rows = grouped(load("exit_reasons"), lambda row: row["reason"])
    names = {row["number"]: row["name"] for row in tables.load()["exit_reasons"]}
    return [[str(number), names[number], f"{sum(row['seen'] for row in seen):,}", str(len(seen))]
            for number, seen in rows.items()]


def errors() -> list[list[str]]:
    """What the steps logged, and what instructions gave that failed on purpose without Linux."""
    texts = {row["number"]: row["text"] for row in tables.load()["instruction_errors"]}
    steps = {row["error"]: row["seen"] for row in load("instruction_errors")}
    path = paths.RESULTS / "doctor.json"
    alone = json.loads(path.read_text(encoding="utf-8"))["models"] if path.exists() else {}
    without: Counter[int] = Counter()
    for model in alone.values():
        for error, seen in model.get("instruction_errors", {}).items():
            without[int(error)] += seen
    return [[str(error), texts[error], f"{steps.get(error, 0):,}", f"{without[error]:,}"]
            for error in sorted(steps.keys() | without.keys())]


def cycles() -> list[list[str]]:
    loaded = {(row["step"], row["kernel"]): row["cycles"] for row in load("cycles")}
    failed = {(row["step"], row["kernel"]): row["points"] for row in load("faults")}
    return [[*key, str(loaded.get(key, 0)), str(failed.get(key, "–"))]
            for key in sorted(loaded.keys() | failed.keys())]


def interrupts_off() -> list[list[str]]:
    return sorted([row["guest"], f"{row['kernel']}, {row['cpu']}", f"{row['longest_us']:,}"]
                  for row in load("interrupts_off"))


#: Title, headings, their widths, and where the rows come from.
FIGURES: list[tuple[str, list[str], list[int], Callable[[], list[list[str]]]]] = [
    ("Machines", ["Kernel", "CPU model", "CPUs", "Boots", "Cases"], [20, 30, 14, 14, 22],
     machines),
    ("What was in the steps' way", ["Situation", "Machine", "Expected (steps)", "Seen (steps)"],
     [28, 22, 25, 25], refusals),
    ("Guests", ["Machine", "By hand", "Random", "VM exits of these", "Ended with status 0",
                "Ended otherwise", "Stopped in time"], [28, 12, 12, 12, 12, 12, 12], guests),
    ("Exit reasons", ["Number", "Exit reason", "Seen", "On machines"], [12, 52, 20, 16],
     exit_reasons),
    ("VM-instruction errors", ["Error", "The SDM's words", "By the steps", "Without Linux"],
     [10, 58, 16, 16], errors),
    ("Loaded and unloaded, and made to fail", ["Step", "Kernel", "Cycles without growth",
                                               "Allocations made to fail"], [30, 20, 25, 25],
     cycles),
    ("Longest time with interrupts off, in µs; a tick is 4,000",
     ["Guest", "Machine", "Longest"], [40, 35, 25], interrupts_off),
]


class Figures(SphinxDirective):
    """The directive."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        made = [(title, headings, widths, make()) for title, headings, widths, make in FIGURES]
        if not any(rows for *_, rows in made):
            return [text("This copy of the book was built before ./lab test had run, which "
                         "writes the figures that belong here.")]
        result: list[nodes.Node] = []
        for title, headings, widths, rows in made:
            cells: list[list[nodes.Node]] = [[text(word) for word in row] for row in rows]
            content = [text(f"{SOURCE}."), table(headings, widths, cells, [])] if rows else \
                [text("The tests that write this table have not run.")]
            result.append(nodes.section("", nodes.title("", title), *content,
                                        ids=[nodes.make_id(f"figures-{title}")], names=[]))
        return result


def setup(app: Sphinx) -> None:
    """Registers the directive."""
    filled.add_directive(app, "figures", Figures)
