# SPDX-License-Identifier: GPL-2.0-only
"""Listings: literalinclude with the file's path as caption, and parts of files by marker.

A part lies between two comment lines that both read `// [name]` (`# [name]` in a Makefile):

    .. listing:: step02-vmxon/step.cpp
       :part: scope

Without `:part:` the whole file is shown, from the first line after the licence's.
`.. output:: step02-vmxon/expected/log.txt` shows what a test wrote or compared.
"""
from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.directives.code import LiteralInclude
from sphinx.util.docutils import SphinxDirective

from . import filled, paths, sourcefiles

NAMESPACE_END = re.compile(r"\n\} +// namespace[^\n]*\s*(#endif\s*)?$")


def comment_leader(path: Path) -> str:
    """What starts a comment to the end of the line in a file of this kind."""
    hash_files = path.name in paths.NAMES or path.suffix in (".mk", ".py", ".toml", ".sh")
    return "#" if hash_files else "//"


class Listing(LiteralInclude):
    """Part of a source file, or all of it."""

    option_spec = {
        "part": directives.unchanged_required,
        "caption": directives.unchanged,
        "start-at": directives.unchanged_required,
        "start-after": directives.unchanged_required,
        "end-before": directives.unchanged_required,
        "end-at": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        path = paths.ROOT / name
        caption = self.options.get("caption")
        self.options["caption"] = f"{name}: {caption}" if caption else name
        self.options["language"] = paths.language(path)
        self.options["dedent"] = None
        if path.suffix == ".S":
            self.options["force"] = None  # the lexer of C does not know the macros of assembly
        part = self.options.pop("part", None)
        if part:
            marker = f"{comment_leader(path)} [{part}]"
            self.options["start-after"] = marker
            self.options["end-before"] = marker
        elif not any(o in self.options for o in ("start-at", "start-after")):
            self.options["start-after"] = "SPDX-License-Identifier"
        self.arguments[0] = "/../" + name
        result = super().run()
        for node in result:
            for block in node.traverse(nodes.literal_block):
                text = NAMESPACE_END.sub("", sourcefiles.MARKER.sub("", block.astext()))
                shown = text.strip("\n").splitlines()
                begin = self.options.get("start-at", self.options.get("start-after", ""))
                numbers = sourcefiles.numbers(path, shown, begin)
                changed = sourcefiles.changed(path)
                block["lines"] = [(number, number in changed) for number in numbers]
                _replace(block, "\n".join(shown) + "\n")
                for title in node.traverse(nodes.caption):
                    title["source"], title["line"] = sourcefiles.page_of(name), numbers[0]
                    if changed.intersection(numbers):
                        title += nodes.inline("", "bar: not in the step before",
                                              classes=["changed"])
        return result


class Output(LiteralInclude):
    """What a test wrote: a kernel log or a command's output."""

    option_spec = {
        "caption": directives.unchanged,
        "start-at": directives.unchanged_required,
        "start-after": directives.unchanged_required,
        "end-before": directives.unchanged_required,
        "end-at": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        self.options.setdefault("caption", name)
        self.options["language"] = "text"
        self.options["class"] = ["output"]
        self.arguments[0] = "/../" + name
        return super().run()


class WholeOutput(SphinxDirective):
    """`.. if-file:: path` shows its content only if the file exists (results of a test run)."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        node = nodes.container()
        if (paths.ROOT / self.arguments[0]).is_file():
            self.state.nested_parse(self.content, self.content_offset, node)
        return node.children


def _replace(block: nodes.literal_block, text: str) -> None:
    block.rawsource = text
    block[:] = [nodes.Text(text)]


def setup(app: Sphinx) -> None:
    """Registers the directives."""
    filled.add_directive(app, "listing", Listing)
    filled.add_directive(app, "output", Output)
    app.add_directive("if-file", WholeOutput)
