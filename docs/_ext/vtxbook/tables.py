# SPDX-License-Identifier: GPL-2.0-only
"""`.. vmx-table:: NAME` a reference table, from the JSON that the program vtx-tables prints.

That program is compiled from the headers that the modules use, so no table is typed twice. Rows
get an index entry, by which the search finds them ("error 7", "IA32_VMX_BASIC").
"""
from __future__ import annotations

import json
import tomllib
from functools import lru_cache
from typing import Any, Callable

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from . import filled, paths
from .sdm import table

FILE = paths.BUILD / "tables.json"
RULES = paths.BUILD / "rules.tsv"
#: The kinds of fields, by the enumerators of vtx::FieldKind, in the order of the page.
KINDS = {"control": "Control fields", "read_only": "VM-exit information (read-only data fields)",
         "guest_state": "Guest-state area", "host_state": "Host-state area"}
WIDTHS = {"16": "16 bits", "64": "64 bits", "32": "32 bits", "natural": "natural width"}
Rows = list[list[nodes.Node]]
log = logging.getLogger(__name__)


@lru_cache
def load() -> dict[str, Any]:
    """All tables."""
    return json.loads(FILE.read_text(encoding="utf-8"))


@lru_cache
def notes() -> dict[str, Any]:
    """What we say of each VM-instruction error, by its number."""
    return tomllib.loads((paths.DOCS / "instruction-errors.toml").read_text(encoding="utf-8"))


def text(words: str) -> nodes.paragraph:
    """A cell of plain words."""
    return nodes.paragraph("", words)


def code(words: str) -> nodes.paragraph:
    """A cell of code."""
    return nodes.paragraph("", "", nodes.literal("", words))


class VmxTable(SphinxDirective):
    """The directive."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FILE))
        makers: dict[str, Callable[[], list[nodes.Node]]] = {
            "fields": self._fields, "controls": self._controls, "msrs": self._msrs,
            "exit-reasons": self._exit_reasons, "entry-failures": self._entry_failures,
            "entry-checks": self._checks, "instruction-errors": self._errors}
        return makers[self.arguments[0]]()

    def _fields(self) -> list[nodes.Node]:
        groups: dict[str, Rows] = {kind: [] for kind in KINDS}
        for field in load()["fields"]:
            encoding = f"{field['encoding']:#06x}"
            name = self._indexed(text(field["name"]), [field["name"], encoding],
                                 f"field-{field['identifier']}")
            groups[field["kind"]].append([name, code(field["identifier"]),
                                          text(WIDTHS[field["width"]]), code(encoding)])
        return [self._section(KINDS[kind], table(
            ["Field", "Name in our code", "Width", "Encoding"], [42, 34, 12, 12], rows, []))
            for kind, rows in groups.items()]

    def _controls(self) -> list[nodes.Node]:
        result: list[nodes.Node] = []
        for word in load()["control_words"].values():
            rows: Rows = [[text(str(c["bit"])), text(c["name"]), code(c["identifier"])]
                          for c in word["controls"]]
            result.append(self._section(word["name"], table(
                ["Bit", "Control", "Name in our code"], [8, 50, 42], rows, [])))
        return result

    def _msrs(self) -> list[nodes.Node]:
        rows: Rows = []
        for msr in load()["msrs"]:
            number = f"{msr['number']:#x}"
            name = self._indexed(code(msr["name"]), [msr["name"], number], f"msr-{msr['name']}")
            rows.append([name, code(number)])
        return [table(["MSR", "Number"], [70, 30], rows, [])]

    def _exit_reasons(self) -> list[nodes.Node]:
        rows: Rows = []
        for row in load()["exit_reasons"]:
            number = row["number"]
            rows.append([self._indexed(text(str(number)), [f"exit reason {number}"],
                                       f"exit-reason-{number}"),
                         text(row["name"]), code(row["identifier"])])
        return [table(["Number", "Exit reason", "Name in our code"], [10, 55, 35], rows, [])]

    def _entry_failures(self) -> list[nodes.Node]:
        rows: Rows = [[text(str(row["number"])), text(row["text"]), code(row["identifier"])]
                      for row in load()["entry_failures"]]
        return [table(["Qualification", "What failed", "Name in our code"], [15, 50, 35], rows, [])]

    def _errors(self) -> list[nodes.Node]:
        unknown = notes().keys() - {str(row["number"]) for row in load()["instruction_errors"]}
        if unknown:
            log.warning("docs/instruction-errors.toml has errors that do not exist: %s",
                        sorted(unknown))
        rows: Rows = []
        for row in load()["instruction_errors"]:
            number = row["number"]
            meaning = nodes.container()
            self.state.nested_parse(_lines(notes()[str(number)]["meaning"]), 0, meaning)
            names = [f"error {number}", f"VM-instruction error {number}"]
            rows.append([self._indexed(text(str(number)), names, f"error-{number}"),
                         text(row["text"]), meaning])
        return [table(["Error", "The SDM's words", "What it usually means"], [8, 36, 56], rows, [])]

    def _checks(self) -> list[nodes.Node]:
        self.env.note_dependency(str(RULES))
        groups: dict[str, Rows] = {}
        for line in RULES.read_text(encoding="utf-8").splitlines():
            name, result, must, title, number = line.split("\t")
            place = f"{title} ({number})" if number != "newer" else f"{title} (newer)"
            groups.setdefault(result, []).append(
                [self._indexed(text(name), [f"rule {name}"], f"rule-{name}"), text(must),
                 text(place)])
        titles = {"suspicious": "Legal, but the host would die after the VM exit"}
        return [self._section(titles.get(result, f"Broken: {result}"), table(
            ["Rule", "What must hold", "Section"], [8, 56, 36], rows, []))
            for result, rows in groups.items()]

    def _indexed(self, cell: nodes.paragraph, names: list[str], target: str) -> nodes.paragraph:
        """A cell that can be linked to and that the search finds by these names.

        They are main entries, because newer versions of Sphinx show others after all pages.
        """
        target = nodes.make_id(target)
        entries = [("single", name, target, "main", None) for name in names]
        cell.insert(0, nodes.target("", "", ids=[target]))
        cell.insert(0, addnodes.index(entries=entries))
        return cell

    def _section(self, title: str, content: nodes.Node) -> nodes.section:
        name = nodes.make_id(f"table-{title}")
        return nodes.section("", nodes.title("", title), content, ids=[name], names=[])


def _lines(words: str) -> Any:
    from docutils.statemachine import StringList
    return StringList(words.splitlines(), source="instruction-errors.toml")


def setup(app: Sphinx) -> None:
    """Registers the directive."""
    filled.add_directive(app, "vmx-table", VmxTable)
