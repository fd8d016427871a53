# SPDX-License-Identifier: GPL-2.0-only
"""Lines of the sources: their numbers beside each listing, and a page for each file shown.

A listing's caption leads to its lines on the page of the file, `source/<path>.html`. Lines that the
nearest earlier step with a file of the same name does not have in it are marked.
"""
from __future__ import annotations

import difflib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from . import paths, stepdiff

#: Also the marks of exercises, which no listing shows.
MARKER = re.compile(r"^[ \t]*(?://|#|/\*) \[[a-z0-9 -]+\](?: \*/)?[ \t]*\n", re.MULTILINE)
SHOWN = re.compile(r"^ *\.\. listing:: (\S+)", re.MULTILINE)
PRE = re.compile(r"(<pre>(?:<span></span>)?)(.*?)\n*(</pre>)", re.DOTALL)


@lru_cache
def changed(path: Path) -> frozenset[int]:
    """The numbers of the lines that a step's file does not have from an earlier step."""
    before = stepdiff.earlier(path)
    if before is None:
        return frozenset()
    old, new = (file.read_text(encoding="utf-8").splitlines() for file in (before, path))
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return frozenset(line for kind, _, _, first, end in blocks if kind in ("insert", "replace")
                     for line in range(first + 1, end + 1))


def numbers(path: Path, wanted: list[str], after: str) -> list[int]:
    """The number of each line wanted, which are consecutive but for the marks between them.

    `after` is in the line where the search begins.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    begin = next(at for at, line in enumerate(lines) if after in line)
    wanted = [line.strip() for line in wanted]
    for first in range(begin, len(lines)):
        found, at = [], first
        while len(found) < len(wanted) and at < len(lines):
            if lines[at].strip() == wanted[len(found)]:
                found.append(at + 1)
            elif not MARKER.fullmatch(lines[at] + "\n"):
                break
            at += 1
        if len(found) == len(wanted):
            return found
    raise ValueError(f"{path}: these lines are not in it: {wanted}")


def with_numbers(html: str, lines: list[tuple[int, bool]], anchors: bool = False) -> str:
    """A highlighted block, each line with its number, which CSS shows and no copy takes along."""
    def line(text: str, number: int, is_changed: bool) -> str:
        place = f' id="L{number}"' if anchors else ""
        kind = "line changed" if is_changed else "line"
        return f'<span class="{kind}" data-line="{number}"{place}>{text}</span>\n'

    def block(found: re.Match[str]) -> str:
        text = found[2].split("\n")
        assert len(text) == len(lines), (len(text), len(lines), found[2])
        return found[1] + "".join(line(t, *n) for t, n in zip(text, lines)) + found[3]

    return PRE.sub(block, html, 1)


def visit_literal_block(self: Any, node: nodes.literal_block) -> None:
    """As Sphinx does it, and a listing's lines get their numbers."""
    try:
        type(self).visit_literal_block(self, node)
    except nodes.SkipNode:
        if "lines" in node:
            self.body[-1] = with_numbers(self.body[-1], node["lines"])
        raise


def depart_literal_block(self: Any, node: nodes.literal_block) -> None:
    """As Sphinx does it."""
    type(self).depart_literal_block(self, node)


class LinkCaptions(SphinxPostTransform):
    """A listing's caption leads to the page of its file; in an e-book it is only text."""

    default_priority = 5
    formats = ("html",)

    def run(self, **_: Any) -> None:
        if self.app.builder.name != "html":
            return
        for caption in self.document.findall(nodes.caption):
            if "source" in caption:
                uri = self.app.builder.get_relative_uri(self.env.docname, caption["source"])
                link = nodes.reference("", caption[0].astext(),
                                       refuri=f"{uri}#L{caption['line']}")
                caption.replace(caption[0], link)


def page_of(name: str) -> str:
    """The name of a file's page."""
    return f"source/{name}"


def shown() -> list[str]:
    """The files of which the book shows a part."""
    return sorted({name for page in paths.pages()
                   for name in SHOWN.findall(page.read_text(encoding="utf-8"))})


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each of these files."""
    for name in shown() if app.builder.name == "html" else ():
        path = paths.ROOT / name
        text = path.read_text(encoding="utf-8").rstrip("\n")
        lines = [(n, n in changed(path)) for n in range(1, len(text.splitlines()) + 1)]
        html = app.builder.highlighter.highlight_block(text, paths.language(path), force=True)
        mark = "<p>Lines with a bar are not in the step before.</p>" if changed(path) else ""
        yield page_of(name), {
            "title": name, "parents": [], "meta": {},
            "body": f'<h1>{name}</h1>{mark}<div class="highlight-source">'
                    f"{with_numbers(html, lines, anchors=True)}</div>",
        }, "page.html"


def setup(app: Sphinx) -> None:
    """Registers all three."""
    app.add_post_transform(LinkCaptions)
    app.add_node(nodes.literal_block, override=True,
                 html=(visit_literal_block, depart_literal_block),
                 epub=(visit_literal_block, depart_literal_block))
    app.connect("html-collect-pages", pages)
