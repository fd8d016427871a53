# SPDX-License-Identifier: GPL-2.0-only
"""The built book: complete, without complaints, its links whole, nothing asked of the network."""
from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree
import zipfile
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Callable

import pytest

from lab import docs
from lab.common import ROOT


class Links(HTMLParser):
    """Collects what a page links to, what it loads, and which places it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        for name in ("src", "srcset", "data", "poster"):
            if name in values:
                self.loads.append(values[name])
        if tag == "link" and values.get("rel") not in ("author", "canonical"):
            self.loads.append(values.get("href", ""))


def test_book_is_built_without_complaints(
        built: str, record_property: Callable[[str, object], None]) -> None:
    if not built:
        pytest.skip("VTX_BOOK_IS_BUILT says to take the book as it is")
    for name, seconds in re.findall(r"^docs: ([\w ]+): ([0-9.]+) s$", built, re.MULTILINE):
        record_property(f"seconds_{name}", float(seconds))
        print(f"{name}: {seconds} s")
    assert str(docs.HTML.name) in built
    assert "WARNING" not in built


def test_all_forms_are_there(built: str) -> None:
    assert docs.HTML.is_file() and docs.ONE_PAGE.is_file()
    with zipfile.ZipFile(docs.EPUB) as book:
        assert book.namelist()[0] == "mimetype" and book.testzip() is None
        assert any(name.endswith("02-vmxon.xhtml") for name in book.namelist())
    one_page = docs.ONE_PAGE.read_text(encoding="utf-8")
    assert "Step 06: leave VMX operation" in one_page and "Glossary" in one_page


def broken_links(folder: Path, kind: str) -> list[str]:
    """Links between the files of a folder that lead nowhere."""
    pages = {page: Links(page) for page in folder.rglob(f"*.{kind}")}
    assert pages
    broken = []
    for page, content in pages.items():
        for link in content.links + content.loads:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / urllib.parse.unquote(parts.path)).resolve() \
                if parts.path else page
            anchor = urllib.parse.unquote(parts.fragment)
            if not target.exists():
                broken.append(f"{page.name}: {link}")
            elif anchor and target in pages and anchor not in pages[target].places:
                broken.append(f"{page.name}: {link} (no such place)")
    return broken


def test_internal_links_lead_somewhere(html: Path) -> None:
    broken = broken_links(html, "html")
    assert not broken, broken[:20]


def test_links_of_the_one_page_lead_somewhere(built: str) -> None:
    broken = broken_links(docs.ONE_PAGE.parent, "html")
    assert not broken, broken[:20]


def test_links_of_the_e_book_lead_somewhere(built: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(docs.EPUB) as book:
        book.extractall(tmp_path)
    for page in tmp_path.rglob("*.xhtml"):
        ElementTree.parse(page)
    broken = broken_links(tmp_path, "xhtml")
    assert not broken, broken[:20]


def test_line_numbers_are_those_of_the_files(html: Path) -> None:
    """Each line of a listing stands in its file at the number beside it."""
    files: dict[str, list[str]] = {}
    listings = 0
    for page in html.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for name, block in re.findall(r'<div class="code-block-caption">.*?/source/([^"#]+)\.html#L'
                                      r".*?<pre>(.*?)</pre>", text, re.DOTALL):
            known = files.setdefault(name, (ROOT / name).read_text(encoding="utf-8").splitlines())
            lines = re.findall(r'data-line="(\d+)">(.*?)</span>$', block, re.MULTILINE)
            assert lines, (page, name)
            listings += 1
            for number, line in lines:
                shown = unescape(re.sub(r"<[^>]*>", "", line)).strip()
                assert shown == known[int(number) - 1].strip(), (page, name, number)
    assert listings > 60


def test_changed_lines_are_marked(html: Path) -> None:
    """In a changed file exactly the lines that the step before has not; in a new one none."""
    page = (html / "source/step05-exits/step.cpp.html").read_text(encoding="utf-8")
    marked = {int(n) for n in re.findall(r'class="line changed" data-line="(\d+)"', page)}
    old, new = ((ROOT / step / "step.cpp").read_text(encoding="utf-8").splitlines()
                for step in ("step04-launch", "step05-exits"))
    assert marked and all(new[number - 1] in old for number in range(1, len(new) + 1)
                          if number not in marked)
    diff = subprocess.run(["diff", "step04-launch/step.cpp", "step05-exits/step.cpp"], cwd=ROOT,
                          text=True, stdout=subprocess.PIPE, check=False).stdout
    assert abs(len(marked) - len(re.findall("^>", diff, re.MULTILINE))) <= len(marked) / 10
    page = (html / "source/step05-exits/handle.hpp.html").read_text(encoding="utf-8")
    assert "data-line" in page and "line changed" not in page


def test_citations_end_their_paragraphs(html: Path) -> None:
    """Nothing is left of the parentheses in which a citation stood."""
    page = (html / "concepts/vm-exit.html").read_text(encoding="utf-8")
    notes = re.findall(r'<span class="sdm-note">SDM: (.*?)</p>', page, re.DOTALL)
    assert len(notes) > 5
    assert all(re.search(r"\(volume \w+, \w+ [\w.-]+\)</span></a></span>$", note)
               for note in notes), notes
    for place in [*html.glob("concepts/*.html"), *html.glob("steps/*.html")]:
        text = re.sub("<pre>.*?</pre>", "", place.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"\s\(\s*\)", text), place


def test_glossary_is_one_click_away(html: Path) -> None:
    link = re.compile(r'<a class="(?:current )?reference internal" '
                      r'href="[^"]*(?:glossary\.html|#)">Glossary</a>')
    for page in html.rglob("*.html"):
        assert link.search(page.read_text(encoding="utf-8")), page


def search_index(html: Path) -> Any:
    """The index of the search, with what has no order put into one."""
    def ordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: ordered(part) for key, part in value.items()}
        return sorted(value, key=str) if isinstance(value, list) else value
    text = (html / "searchindex.js").read_text(encoding="utf-8")
    return ordered(json.loads(text.removeprefix("Search.setIndex(").removesuffix(")")))


def test_search_index_stays_whole(built: str, html: Path) -> None:
    """Building once more writes a few pages only; the index is that of all pages all the same."""
    before = search_index(html)
    page = html / "reference" / "msrs.html"
    written = page.stat().st_mtime_ns
    subprocess.run([sys.executable, str(ROOT / "lab"), "docs", "--yes"], check=True,
                   stdout=subprocess.DEVNULL)
    assert page.stat().st_mtime_ns == written, "pages are written that did not change"
    assert search_index(html) == before
    assert [] not in before["terms"].values(), "a word that pages had once would still be known"


def test_pages_load_nothing_from_the_network(html: Path) -> None:
    outside = []
    for page in html.rglob("*.html"):
        outside += [f"{page.name}: {load}" for load in Links(page).loads
                    if re.match(r"(?:https?:)?//", load)]
    for style in html.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        outside += [f"{style.name}: {address}" for address in
                    re.findall(r"(?:@import|url\()\s*['\"]?((?:https?:)?//[^'\")]*)", text)]
    assert not outside, outside


def test_no_path_of_this_machine_is_in_the_book(html: Path) -> None:
    root = str(html.parents[2])
    for page in html.rglob("*.html"):
        assert root not in page.read_text(encoding="utf-8"), page.name
