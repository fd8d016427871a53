# SPDX-License-Identifier: GPL-2.0-only
"""Directives that make something: what comes out empty is a warning, which fails the build.

A table whose source was renamed would otherwise vanish from its page, and nobody would notice.
"""
from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)


def missing(made: list[nodes.Node]) -> str:
    """What a directive's nodes lack, in words; "" if they lack nothing."""
    if not any(node.astext().strip() for node in made):
        return "made nothing"
    if any(not body.children for node in made for body in node.findall(nodes.tbody)):
        return "made a table without rows"
    if any(not block.astext().strip() for node in made
           for block in node.findall(nodes.literal_block)):
        return "made a listing without lines"
    return ""


def add_directive(app: Sphinx, name: str, directive: type[SphinxDirective]) -> None:
    """Registers a directive of the book that must not come out empty."""
    def run(self: SphinxDirective) -> list[nodes.Node]:
        made = directive.run(self)
        if lack := missing(made):
            words = " ".join([name, *self.arguments])
            log.warning("the directive %r %s", words, lack, location=self.get_location())
        return made

    app.add_directive(name, type(directive.__name__, (directive,), {"run": run}))
