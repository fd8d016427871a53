# SPDX-License-Identifier: GPL-2.0-only
"""Citations are quiet: one in parentheses goes from its sentence to a note that ends the paragraph.

In the source it stays beside what it proves: "VMXON fails (:sdm:`vmxon-enter-vmx-operation`)."
"""
from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from . import sdm


class QuietCitations(SphinxTransform):
    """Citations in parentheses, "(:sdm:`a`, :sdm:`b`)", become a note that ends the paragraph."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        for paragraph in list(self.document.findall(
                lambda node: isinstance(node, (nodes.paragraph, nodes.caption)))):
            notes = [node for group in parenthesised(paragraph) for node in group]
            if notes:
                note = nodes.inline("", "", nodes.Text("SDM: "), classes=["sdm-note"])
                for number, citation in enumerate(notes):
                    section = sdm.load()[1][citation["reftarget"]]
                    citation[0] = nodes.inline("", f"{section.title} ({section.place()})")
                    note += [nodes.Text("; "), citation] if number else citation
                paragraph += note


def is_citation(node: nodes.Node) -> bool:
    """True for what the role makes."""
    return isinstance(node, addnodes.pending_xref) and node.get("reftype") == "sdm"


def parenthesised(paragraph: nodes.Element) -> list[list[nodes.Node]]:
    """Takes each pair of parentheses that has only citations in it out of a paragraph."""
    groups: list[list[nodes.Node]] = []
    kept: list[nodes.Node] = []
    rest = list(paragraph.children)
    while rest:
        node = rest.pop(0)
        if not (kept and is_citation(node) and kept[-1].astext().endswith("(")):
            kept.append(node)
            continue
        group = [node]
        while len(rest) > 1 and rest[0].astext() == ", " and is_citation(rest[1]):
            group.append(rest[1])
            del rest[:2]
        if rest and isinstance(rest[0], nodes.Text) and rest[0].astext().startswith(")"):
            before = kept.pop().astext()[:-1].rstrip()
            after = rest.pop(0).astext()[1:]
            kept.append(nodes.Text(before + after))
            groups.append(group)
        else:
            kept.append(group.pop(0))
            rest[:0] = [part for other in group for part in (nodes.Text(", "), other)]
    if groups:
        paragraph.clear()
        paragraph += kept
    return groups


def setup(app: Sphinx) -> None:
    """Registers the transform."""
    app.add_transform(QuietCitations)
