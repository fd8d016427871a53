# SPDX-License-Identifier: GPL-2.0-only
"""`.. facts:: 04` the line of facts on top of a chapter, `.. steps::` the table of all steps.

:lines-of:`common` is the number of lines of code in a folder, rounded to a hundred.

Files and lines are counted, kernels come from the lab's own list, the rest from docs/steps.toml.
"""
from __future__ import annotations

import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from functools import lru_cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from . import filled, paths, sdm, stepdiff

log = logging.getLogger(__name__)


@lru_cache
def load() -> dict[str, dict[str, Any]]:
    """What docs/steps.toml says of each step, by its two digits."""
    return tomllib.loads((paths.DOCS / "steps.toml").read_text(encoding="utf-8"))


@lru_cache
def kernels() -> str:
    """The numbers of the kernels under test, on whichever Debian."""
    sys.path.insert(0, str(paths.ROOT / "tools"))
    try:
        from lab import platforms
        found = dict.fromkeys(kernel.number for debian in platforms.known()
                              for kernel in debian.kernels)
        *others, last = found
        return f"{', '.join(others)} and {last}"
    finally:
        sys.path.pop(0)


def lines(files: list[Path]) -> int:
    """The number of lines in some files."""
    return sum(len(f.read_text(encoding="utf-8").splitlines()) for f in files)


class LinesOf(SphinxRole):
    """About how many lines of code a folder has."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_reread()
        folder = paths.ROOT / self.text
        found = lines([file for file in folder.rglob("*") if paths.is_code(file)])
        if not found:
            log.warning("lines-of: there is no code in %s", self.text)
        return [nodes.Text(f"{round(found, -2):,}")], []


class Facts(SphinxDirective):
    """The facts of one step, as a list of fields."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        number = self.arguments[0]
        step, folder = load()[number], paths.step(number)
        files = paths.code_files(folder)
        rows = [
            ("Folder", folder.name),
            ("Code", f"{len(files)} files, {lines(files)} lines; "
                     + stepdiff.counts(stepdiff.changes(folder))),
            ("VT-x", step["vtx"]),
            ("Kernels tested", f"Debian's {kernels()}"),
            ("Risk", step["risk"]),
            ("Reading time", step["time"]),
        ]
        fields = nodes.field_list(classes=["facts"])
        for name, text in rows:
            fields += nodes.field("", nodes.field_name("", name),
                                  nodes.field_body("", nodes.paragraph("", text)))
        return [fields]


class Steps(SphinxDirective):
    """The table of all steps."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        rows: list[list[nodes.Node]] = []
        numbers = [folder.name[4:6] for folder in paths.steps()]
        if numbers != sorted(load()):
            log.warning("docs/steps.toml has the steps %s, the checkout has %s", sorted(load()),
                        numbers)
        for number, step in sorted(load().items()):
            title = [sdm.page_link(self.env, page) for page in paths.chapter(number)] or \
                [nodes.Text(paths.step(number).name)]
            rows.append([sdm.listed(title), nodes.paragraph("", step["does"]),
                         nodes.paragraph("", step["see"]), nodes.paragraph("", step["time"])])
        return [sdm.table(["Chapter", "What the step does", "What you see", "Time"],
                          [22, 36, 30, 12], rows, ["steps-table"])]


def results() -> list[list[str]]:
    """What each suite's report counts: tests, failures, skipped tests, seconds."""
    rows = []
    for report in sorted((paths.RESULTS / "junit").glob("*.xml")):
        suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
        total = {name: sum(float(s.get(name, 0)) for s in suites)
                 for name in ("tests", "failures", "errors", "skipped")}
        seconds = sum(float(s.get("time") or sum(float(case.get("time", 0)) for case in s))
                      for s in suites)
        failed = int(total["failures"] + total["errors"])
        rows.append([report.stem, f"{total['tests']:.0f}", str(failed), f"{total['skipped']:.0f}",
                     f"{seconds:.0f} s"])
    return rows


class Results(SphinxDirective):
    """`.. results::` what the last ./lab test on this machine counted, if there was one."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        rows: list[list[nodes.Node]] = [[nodes.paragraph("", text) for text in row]
                                        for row in results()]
        if not rows:
            return [nodes.paragraph("", "This copy of the book was built before any test was run; "
                                        "./lab test writes the figures that belong here.")]
        return [sdm.table(["Suite", "Tests", "Failed", "Skipped", "Time"], [36, 16, 16, 16, 16],
                          rows, [])]


def setup(app: Sphinx) -> None:
    """Registers the directives."""
    app.add_role("lines-of", LinesOf())
    filled.add_directive(app, "facts", Facts)
    filled.add_directive(app, "steps", Steps)
    filled.add_directive(app, "results", Results)
