# SPDX-License-Identifier: GPL-2.0-only
"""What the book generates has all rows of its source; what comes out empty fails the build."""
from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Callable

import pytest

from lab import exercises
from lab.common import BUILD, ROOT

sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "docs" / "_ext")]

import build_docs  # noqa: E402
import doxygen_filter  # noqa: E402
from vtxbook import figures, paths, sdm, stepdiff  # noqa: E402

SOURCE = BUILD / "docs" / "tables.json"
Table = list[list[str]]


class Page(HTMLParser):
    """The tables of a page, as rows of cells without the headings, and its signatures by id."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.signatures: dict[str, str] = {}
        self.ids: list[str] = []
        self.text = path.read_text(encoding="utf-8")
        self.signature = ""
        self.cell = False
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = dict(attrs).get("id") or ""
        self.ids.append(name)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag == "td":
            self.tables[-1][-1].append("")
            self.cell = True
        elif tag == "dt":
            self.signature = name

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self.cell = False
        elif tag == "tr" and not self.tables[-1][-1]:  # headings only
            self.tables[-1].pop()
        elif tag == "dt":
            self.signature = ""

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.tables[-1][-1][-1] += data
        if self.signature:
            self.signatures[self.signature] = self.signatures.get(self.signature, "") + data


@pytest.fixture(scope="module")
def source(html: Path) -> dict[str, Any]:
    """What the program vtx-tables printed for this book."""
    return json.loads(SOURCE.read_text(encoding="utf-8"))


def rules() -> list[tuple[str, ...]]:
    """What the doctor printed for this book: name, result, what must hold, and the place."""
    text = (BUILD / "docs" / "rules.tsv").read_text(encoding="utf-8")
    return [tuple(line.split("\t")) for line in text.splitlines()]


#: For each page, what its tables say together; and the columns of theirs that are compared.
TABLES: dict[str, tuple[list[int], Callable[[dict[str, Any]], list[tuple[str, ...]]]]] = {
    "fields": ([0, 1, 3], lambda s: [(f["name"], f["identifier"], f"{f['encoding']:#06x}")
                                     for f in s["fields"]]),
    "controls": ([0, 1, 2], lambda s: [(str(c["bit"]), c["name"], c["identifier"])
                                       for word in s["control_words"].values()
                                       for c in word["controls"]]),
    "msrs": ([0, 1], lambda s: [(m["name"], f"{m['number']:#x}") for m in s["msrs"]]),
    "exit-reasons": ([0, 1, 2], lambda s: [
        (str(row["number"]), row.get("name") or row["text"], row["identifier"])
        for row in s["exit_reasons"] + s["entry_failures"]]),
    "instruction-errors": ([0, 1], lambda s: [(str(e["number"]), e["text"])
                                              for e in s["instruction_errors"]]),
    "entry-checks": ([0, 1], lambda _: [(rule[0], rule[2]) for rule in rules()]),
}


@pytest.mark.parametrize("name", TABLES)
def test_reference_has_every_row(html: Path, source: dict[str, Any], name: str) -> None:
    columns, wanted = TABLES[name]
    page = Page(html / "reference" / f"{name}.html")
    seen = [tuple(row[column] for column in columns) for table in page.tables for row in table]
    assert sorted(seen) == sorted(wanted(source))
    assert all(cell.strip() for table in page.tables for row in table for cell in row)


def test_fields_are_in_the_table_of_their_kind(html: Path, source: dict[str, Any]) -> None:
    kind = {field["identifier"]: field["kind"] for field in source["fields"]}
    tables = Page(html / "reference" / "fields.html").tables
    assert [{kind[row[1]] for row in table} for table in tables] == [
        {"control"}, {"read_only"}, {"guest_state"}, {"host_state"}]


#: Enumerations that the API shows, and where the source has their enumerators and values.
ENUMERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, int]]] = {
    **{enumeration: lambda s, width=width: {  # type: ignore[misc]
        f["identifier"]: f["encoding"] for f in s["fields"] if f["width"] == width}
        for enumeration, width in (("Field16", "16"), ("Field32", "32"), ("Field64", "64"),
                                   ("FieldNatural", "natural"))},
    **{enumeration: lambda s, table=table: {  # type: ignore[misc]
        row["identifier"]: row["number"] for row in s[table]}
        for enumeration, table in (("ExitReason", "exit_reasons"),
                                   ("EntryFailure", "entry_failures"),
                                   ("InstructionError", "instruction_errors"))},
}


@pytest.mark.parametrize("name", ENUMERATIONS)
def test_enumerators_show_their_values(html: Path, source: dict[str, Any], name: str) -> None:
    page = Page(html / "reference" / "api-vmx.html")
    shown = [text for place, text in page.signatures.items()
             if place.startswith(f"_CPPv4N3vtx{len(name)}{name}") and "enumerator" in text]
    found = [re.match(r"\s*enumerator (\w+) = (\w+)", text) for text in shown]
    assert None not in found, shown
    values = {match[1]: int(match[2], 0) for match in found if match}
    assert values == ENUMERATIONS[name](source)


def test_no_table_is_empty(html: Path) -> None:
    empty = [page.name for page in html.rglob("*.html") for table in Page(page).tables if not table]
    assert not empty, empty


def test_figures_and_steps_have_every_row(html: Path) -> None:
    tested = Page(html / "about" / "how-tested.html")
    made = [len(rows) for *_, make in figures.FIGURES if (rows := make())]
    if made:
        assert [len(table) for table in tested.tables][-len(made):] == made
    else:
        assert "This copy of the book was built before ./lab test had run" in tested.text
    for page in ("index.html", "steps/index.html"):
        rows = [len(table) for table in Page(html / page).tables]
        assert len(paths.steps()) in rows, page
    citations = Page(html / "reference" / "sdm.html")
    assert [len(table) for table in citations.tables] == [len(sdm.load()[1])]


@pytest.mark.parametrize("folder", paths.steps(), ids=lambda folder: folder.name)
def test_chapter_shows_all_that_a_step_has(html: Path, folder: Path) -> None:
    """Each file that the step wrote or changed, and each exercise, here and on its own page."""
    chapter = "".join(Page(html / "steps" / f"{page.stem}.html").text
                      for page in paths.chapter(folder.name[4:6]))
    for file in stepdiff.own_files(folder):
        assert re.search(rf"<summary>{re.escape(file.name)} \(", chapter), file.name
    for name in exercises.numbers():
        if name.startswith(folder.name[4:6]):
            assert f'#exercise-{name}"' in chapter, name
            places = [place for page in (html / "exercises").glob("*.html")
                      for place in Page(page).ids]
            assert f"exercise-{name}" in places, name


def test_encodings_by_hand_are_those_of_the_fields(source: dict[str, Any]) -> None:
    """What a chapter writes as VMREAD or VMWRITE of a number has the field's name behind it."""
    encodings = {field["identifier"]: field["encoding"] for field in source["fields"]}
    pattern = re.compile(r"^ +vm(?:read|write) +(0x[0-9a-f]+).*; (\w+)", re.MULTILINE)
    found = [(page.name, number, name) for page in paths.pages()
             for number, name in pattern.findall(page.read_text(encoding="utf-8"))]
    assert len(found) > 8
    assert not [row for row in found if encodings.get(row[2]) != int(row[1], 16)]


def test_every_header_is_on_a_page_of_the_api() -> None:
    """What Doxygen reads is shown: by name for common/, and for each step all of its headers."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in paths.pages())
    hidden = []
    for project, files in build_docs.projects().items():
        for file in files:
            pattern = rf"^\.\. step-api:: {project[4:]}$" if project.startswith("step") else \
                rf"^\.\. api:: {project} (?:\S*/)?{re.escape(file.name)}$"
            if not re.search(pattern, pages, re.MULTILINE):
                hidden.append(f"{project}: {file.name}")
    assert not hidden, hidden


def test_a_row_that_the_filter_cannot_read_is_an_error(tmp_path: Path) -> None:
    table = tmp_path / "x.def"
    table.write_text('VTX_ROW    (one, 0x1, "One")\nVTX_ROW_NEW(two, 0x2, "Two") // new\n')
    assert [new for _, new in doxygen_filter.rows(table, "VTX_ROW")] == [False, True]
    table.write_text('VTX_ROW(one, 0x1,\n        "One")\n')
    with pytest.raises(ValueError, match="would lose this row"):
        doxygen_filter.rows(table, "VTX_ROW")


EMPTY = """
import sys
sys.path.insert(0, {extensions!r})
from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from vtxbook import filled, sdm

MADE = {{"nothing": lambda: [nodes.paragraph()],
        "no-rows": lambda: [nodes.container("", sdm.table(["A"], [1], [], []))],
        "no-lines": lambda: [nodes.paragraph("", "x.c"), nodes.literal_block("", "")],
        "rows": lambda: [sdm.table(["A"], [1], [[nodes.paragraph("", "a")]], [])]}}

class Made(SphinxDirective):
    def run(self):
        return MADE[self.name]()

def setup(app):
    for name in MADE:
        filled.add_directive(app, name, Made)
"""


def test_empty_directives_are_warnings(built: str, tmp_path: Path) -> None:
    """Each kind of emptiness, and no other; a warning fails the build of the book."""
    (tmp_path / "conf.py").write_text(EMPTY.format(extensions=str(ROOT / "docs" / "_ext")))
    (tmp_path / "index.rst").write_text("X\n=\n\n.. nothing::\n.. no-rows::\n.. no-lines::\n"
                                        ".. rows::\n")
    run = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-b", "dummy", str(tmp_path),
                          str(tmp_path / "out")], text=True, check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    assert re.findall(r"index\.rst:(\d+): WARNING: the directive '([\w-]+)' made ([\w ]+)",
                      run.stdout) == [("4", "nothing", "nothing"),
                                      ("5", "no-rows", "a table without rows"),
                                      ("6", "no-lines", "a listing without lines")], run.stdout


def test_every_directive_of_the_book_is_checked() -> None:
    """Only `if-file`, which is made to come out empty, is registered past the check."""
    texts = [file.read_text(encoding="utf-8")
             for file in (ROOT / "docs" / "_ext" / "vtxbook").glob("*.py")
             if file.name != "filled.py"]
    assert re.findall(r"app\.add_directive\((\S+),", "\n".join(texts)) == ['"if-file"']
