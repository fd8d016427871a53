# SPDX-License-Identifier: GPL-2.0-only
"""`.. facts:: 04` the line of facts on top of a chapter, `.. steps::` the table of all steps.

Files and lines are counted, kernels come from the lab's own list, the rest from docs/steps.toml.
"""
from __future__ import annotations

import sys
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import paths, sdm, stepdiff


@lru_cache
def load() -> dict[str, dict[str, Any]]:
    """What docs/steps.toml says of each step, by its two digits."""
    return tomllib.loads((paths.DOCS / "steps.toml").read_text(encoding="utf-8"))


@lru_cache
def kernels() -> str:
    """The kernels under test, as the lab names them."""
    sys.path.insert(0, str(paths.ROOT / "tools"))
    try:
        from lab import packages
        return ", ".join(name for name in packages.HEADERS if "-" not in name)
    finally:
        sys.path.pop(0)


def lines(files: list[Path]) -> int:
    """The number of lines in some files."""
    return sum(len(f.read_text(encoding="utf-8").splitlines()) for f in files)


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
        for number, step in sorted(load().items()):
            page = next(iter(sorted(paths.DOCS.glob(f"steps/{number}-*.rst"))), None)
            title: list[nodes.Node] = [sdm.page_link(self.env, page)] if page else \
                [nodes.Text(paths.step(number).name)]
            rows.append([sdm.listed(title), nodes.paragraph("", step["does"]),
                         nodes.paragraph("", step["see"]), nodes.paragraph("", step["time"])])
        return [sdm.table(["Chapter", "What the step does", "What you see", "Time"],
                          [22, 36, 30, 12], rows, ["steps-table"])]


def setup(app: Sphinx) -> None:
    """Registers the directives."""
    app.add_directive("facts", Facts)
    app.add_directive("steps", Steps)
