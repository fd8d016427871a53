# SPDX-License-Identifier: GPL-2.0-only
"""Citing the SDM: `:sdm:` in the book, `\\sdm{}` in comments, and the tables of both directions.

docs/sdm.toml has a row for each key that is used somewhere, and for no other; both are checked.
"""
from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.nodes import make_refnode

from . import filled, paths

PAGE = "reference/sdm"
IN_CODE = re.compile(r"\\sdm\{([\w-]+)\}")
IN_PAGE = re.compile(r":sdm:`([^`]*)`")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Section:
    """A place in the pinned edition, and what recent editions made of it: sdm.toml explains."""

    key: str
    volume: str
    number: str
    title: str
    kind: str
    title_now: str = ""
    gone: str = ""
    seen: str = ""

    def now(self) -> str:
        """What to look for in a recent edition; empty where the title stayed, as far as we know."""
        if self.title_now:
            return f"now “{self.title_now}”"
        return f"no longer there: {self.gone}" if self.gone else ""

    def place(self) -> str:
        """Volume and number, as in "volume 3C, section 24.11.5"."""
        number = self.number.split(":")[0]
        word = self.kind if self.kind in ("table", "figure", "chapter") else "section"
        if self.key.startswith("appendix-"):
            word = "appendix"
        if ":" in self.number and "." not in number:
            word = "chapter"
        return f"volume {self.volume}, {word} {number}"

    def sort_key(self) -> tuple[Any, ...]:
        """Volume, then chapter, then sections, tables, figures, each by number."""
        parts = re.split(r"[.:-]", self.number)
        order = {"chapter": 0, "section": 1, "table": 2, "figure": 3}.get(self.kind, 1)
        return (self.volume, (not parts[0].isdigit(), parts[0].zfill(4)), order,
                [p.zfill(4) if p.isdigit() else p for p in parts[1:]])


#: The fields that a row of sdm.toml can have.
FIELDS = [field.name for field in fields(Section) if field.name != "key"]


@lru_cache
def data() -> dict[str, Any]:
    """What sdm.toml says."""
    return tomllib.loads((paths.DOCS / "sdm.toml").read_text(encoding="utf-8"))


@lru_cache
def load() -> tuple[dict[str, str], dict[str, Section]]:
    """The edition, and every section by its key. What does not fit is left to check()."""
    rows = {key: Section(key, **{name: row[name] for name in FIELDS if name in row})
            for key, row in data()["sections"].items()}
    return data()["edition"], rows


def faults(row: dict[str, str]) -> list[str]:
    """What is wrong with a row of sdm.toml."""
    found = [f"has a field {name!r}, which nothing reads" for name in row if name not in FIELDS]
    found += [f"has an empty {name!r}" for name in row if not row[name]]
    if "title_now" in row and "gone" in row:
        found.append("has a title_now and is gone: it can only be one of them")
    if ("title_now" in row or "gone" in row) != ("seen" in row):
        found.append("needs title_now or gone, and seen: none without the other")
    if row.get("title_now") == row["title"]:
        found.append("has a title_now that is its title")
    return found


@lru_cache
def uses() -> dict[str, list[Path]]:
    """For each key, the files that cite it, each once."""
    found: dict[str, list[Path]] = {}
    for files, pattern in ((paths.sources(), IN_CODE), (paths.pages(), IN_PAGE)):
        for file in files:
            for key in pattern.findall(file.read_text(encoding="utf-8")):
                if file not in found.setdefault(key, []):
                    found[key].append(file)
    for file in paths.exercises():
        for key in tomllib.loads(file.read_text(encoding="utf-8"))["reading"]:
            found.setdefault(key, []).append(file)
    return found


def check(_: Sphinx) -> None:
    """Unknown keys, unused keys and faulty rows are warnings, which fail the build."""
    known, used = load()[1], uses()
    for key, row in data()["sections"].items():
        for fault in faults(row):
            log.warning("SDM key %r in docs/sdm.toml %s", key, fault)
    for key in sorted(used.keys() - known.keys()):
        files = ", ".join(str(f.relative_to(paths.ROOT)) for f in used[key])
        log.warning("SDM key %r is not in docs/sdm.toml (used in %s)", key, files)
    for key in sorted(known.keys() - used.keys()):
        log.warning("SDM key %r in docs/sdm.toml is used nowhere: take it out", key)


class SdmRole(SphinxRole):
    """`:sdm:`vmxon-region`` prints the title, the volume and the number, as a link to the table.

    If recent editions have another title, the link says so when the pointer is on it.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        section = load()[1].get(self.text)
        if section is None:
            message = self.inliner.reporter.warning(f"unknown SDM key {self.text!r}",
                                                    line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        inside = nodes.inline("", "", nodes.emphasis("", section.title),
                              nodes.Text(f" (SDM {section.place()})"), classes=["sdm"])
        node = addnodes.pending_xref("", inside, refdomain="", reftype="sdm", reftarget=section.key,
                                     refexplicit=True, refwarn=True)
        node["refdoc"] = self.env.docname
        return [node], []


def resolve(app: Sphinx, env: Any, node: addnodes.pending_xref,
            content: nodes.Element) -> nodes.Element | None:
    """Links a citation to its row of the table."""
    if node.get("reftype") != "sdm":
        return None
    now = load()[1][node["reftarget"]].now()
    return make_refnode(app.builder, node["refdoc"], PAGE, "sdm-" + node["reftarget"], content,
                        f"In recent editions: {now}" if now else None)


def table(headings: list[str], widths: list[int], rows: list[list[nodes.Node]],
          classes: list[str]) -> nodes.table:
    """A table of already made cells."""
    group = nodes.tgroup(cols=len(headings))
    for width in widths:
        group += nodes.colspec(colwidth=width)
    head = nodes.row()
    for text in headings:
        head += nodes.entry("", nodes.paragraph("", text))
    body = nodes.tbody()
    for cells in rows:
        row = nodes.row()
        for cell in cells:
            row += nodes.entry("", cell)
        body += row
    group += [nodes.thead("", head), body]
    return nodes.table("", group, classes=classes)


def page_link(env: Any, page: Path) -> nodes.Node:
    """A link to a page of the book, by its title."""
    name = page.relative_to(paths.DOCS).with_suffix("").as_posix()
    node = addnodes.pending_xref("", nodes.inline("", name), refdomain="std", reftype="doc",
                                 reftarget="/" + name, refexplicit=False, refwarn=True)
    node["refdoc"] = env.docname
    return node


def listed(items: list[nodes.Node]) -> nodes.paragraph:
    """Items in one paragraph, with commas between them."""
    paragraph = nodes.paragraph()
    for number, item in enumerate(items):
        if number:
            paragraph += nodes.Text(", ")
        paragraph += item
    return paragraph


def file_name(path: Path) -> nodes.literal:
    """A file's name as code."""
    return nodes.literal("", path.relative_to(paths.ROOT).as_posix())


class SdmTable(SphinxDirective):
    """`.. sdm-table::` every cited section with the pages and files that cite it."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        used = uses()
        rows = []
        for section in sorted(load()[1].values(), key=Section.sort_key):
            files = used.get(section.key, [])
            where: list[nodes.Node] = [page_link(self.env, f) for f in files if f.suffix == ".rst"]
            where += [file_name(f) for f in files if f.suffix != ".rst" and not _is_copy(f)]
            title = nodes.paragraph("", "", nodes.inline("", section.title,
                                                         ids=["sdm-" + section.key]))
            if section.now():
                title += [nodes.Text(" "), nodes.emphasis("", f"({section.now()})")]
            rows.append([title, nodes.paragraph("", section.place()), listed(where)])
        return [table(["Title", "Place", "Where we use it"], [35, 20, 45], rows, ["sdm-table"])]


def _is_copy(file: Path) -> bool:
    """True for a step's file that the step took over from an earlier one."""
    from .stepdiff import own_files
    folder = paths.step_of(file)
    return folder is not None and file not in own_files(folder)


class SdmReading(SphinxDirective):
    """`.. sdm-reading:: 02` what a step's own new files and its chapter cite: what to read."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        from .stepdiff import own_files
        folder = paths.step(self.arguments[0])
        mine = set(own_files(folder)) | set(paths.DOCS.glob(f"steps/{self.arguments[0]}-*.rst"))
        keys = [key for key, files in uses().items() if mine & set(files)]
        items = nodes.bullet_list()
        for section in sorted((load()[1][k] for k in keys if k in load()[1]), key=Section.sort_key):
            inside = nodes.inline("", section.title)
            link = addnodes.pending_xref("", inside, refdomain="", reftype="sdm",
                                         reftarget=section.key, refexplicit=True, refwarn=True)
            link["refdoc"] = self.env.docname
            item = nodes.paragraph("", "", link, nodes.Text(": " + section.place()))
            if section.now():
                item += [nodes.Text(" "), nodes.emphasis("", f"({section.now()})")]
            items += nodes.list_item("", item)
        return [items]


class SdmChanges(SphinxDirective):
    """`.. sdm-changes::` every cited section that recent editions renamed, moved or dropped."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        rows: list[list[nodes.Node]] = [
            [nodes.line_block("", nodes.line("", what),
                              nodes.line("", "", nodes.emphasis("", where)))
             for what, where in ((section.title, section.place()), (section.now(), section.seen))]
            for section in sorted(load()[1].values(), key=Section.sort_key) if section.now()]
        return [table(["In our edition", "In recent editions, and where we saw it"], [45, 55], rows,
                      ["sdm-table"])]


class SdmEdition(SphinxRole):
    """`:sdm-edition:`number`` the pinned edition's number or date, from docs/sdm.toml."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        return [nodes.Text(load()[0][self.text])], []


def setup(app: Sphinx) -> None:
    """Registers the roles, the directives and the check."""
    app.add_role("sdm", SdmRole())
    app.add_role("sdm-edition", SdmEdition())
    filled.add_directive(app, "sdm-table", SdmTable)
    filled.add_directive(app, "sdm-reading", SdmReading)
    filled.add_directive(app, "sdm-changes", SdmChanges)
    app.connect("builder-inited", check)
    app.connect("missing-reference", resolve)
