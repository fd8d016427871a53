# SPDX-License-Identifier: GPL-2.0-only
"""`.. details:: Summary` folds its content, by HTML's own <details>: no script is needed."""
from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import filled


class details(nodes.General, nodes.Element):  # noqa: N801 (docutils' nodes are lower case)
    """A folded block; attribute `summary` is the line that stays."""


def make(summary: str, children: list[nodes.Node], classes: tuple[str, ...] = ()) -> details:
    """A folded block around nodes."""
    node = details("", *children, classes=list(classes))
    node["summary"] = summary
    return node


class Details(SphinxDirective):
    """The directive."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        node = make(self.arguments[0], [])
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


def visit_html(self: Any, node: details) -> None:
    """Open on paper and in e-books, where nobody can unfold it."""
    opened = {} if self.builder.name == "html" else {"open": "open"}
    self.body.append(self.starttag(node, "details", **opened))
    self.body.append(f"<summary>{self.encode(node['summary'])}</summary>\n")


def depart_html(self: Any, _: details) -> None:
    """Closes what visit_html opened."""
    self.body.append("</details>\n")


def visit_text(self: Any, node: details) -> None:
    """For builders without folding (the search index, doctests)."""


def depart_text(self: Any, node: details) -> None:
    """Nothing to close."""


def setup(app: Sphinx) -> None:
    """Registers the node and the directive."""
    app.add_node(details, html=(visit_html, depart_html), epub=(visit_html, depart_html),
                 text=(visit_text, depart_text))
    filled.add_directive(app, "details", Details)
