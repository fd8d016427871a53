# SPDX-License-Identifier: GPL-2.0-only
"""`.. figures::` what the tests in the emulated machine wrote down: build/results/lab/*.json."""
from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Iterable

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import paths, tables
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
    by_hand = {row["machine"]: row for row in load("hostile_guests")}
    return [[row["machine"], str(by_hand.get(row["machine"], {}).get("guests", 0)),
             f"{row['guests']:,}", f"{row['exits']:,}", f"{row['full']:,}", f"{row['failed']:,}",
             f"{row['late']:,}"]
            for row in sorted(load("random_guests"), key=lambda row: row["machine"])]


def exit_reasons() -> list[list[str]]:
    """Every basic exit reason, and how often it was seen."""
    rows = grouped(load("exit_reasons"), lambda row: row["reason"])
    names = {row["number"]: row["name"] for row in tables.load()["exit_reasons"]}
    return [[str(number), name, f"{sum(row['seen'] for row in rows[number]):,}",
             str(len(rows[number]))] for number, name in sorted(names.items()) if number in rows]


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
    points = {row["step"]: row["points"] for row in load("faults")}
    return [[row["step"], str(row["cycles"]), str(points.get(row["step"], 0))]
            for row in sorted(load("cycles"), key=lambda row: row["step"])]


MEASURED = (("6.1", "haswell"), ("6.1", "penryn"))


def interrupts_off() -> list[list[str]]:
    rows = load("interrupts_off")
    longest = {(row["guest"], row["kernel"], row["cpu"]): row["longest_us"] for row in rows}
    return [[guest, *(f"{longest.get((guest, *where), '')}" for where in MEASURED)]
            for guest in sorted({row["guest"] for row in rows})]


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
    ("Loaded and unloaded, and made to fail", ["Step", "Cycles without growth",
                                               "Allocations made to fail"], [40, 30, 30], cycles),
    ("Longest time with interrupts off, in µs; a tick is 4,000",
     ["Guest", *map(", ".join, MEASURED)], [40, 30, 30], interrupts_off),
]


class Figures(SphinxDirective):
    """The directive."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        result: list[nodes.Node] = []
        for title, headings, widths, make in FIGURES:
            rows = make()
            if rows:
                name = nodes.make_id(f"figures-{title}")
                cells: list[list[nodes.Node]] = [[text(word) for word in row] for row in rows]
                result.append(nodes.section(
                    "", nodes.title("", title), nodes.paragraph("", f"{SOURCE}."),
                    table(headings, widths, cells, []), ids=[name], names=[]))
        return result or [text("This copy of the book was built before ./lab test had run, which "
                               "writes the figures that belong here.")]


def setup(app: Sphinx) -> None:
    """Registers the directive."""
    app.add_directive("figures", Figures)
