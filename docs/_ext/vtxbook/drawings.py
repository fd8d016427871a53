# SPDX-License-Identifier: GPL-2.0-only
"""Figures: the SVG of docs/figures/ becomes part of the page, so its colours follow the theme.

Colours are those of _static/figures.css. An e-book takes a copy of the file with that style in it,
in the colours of a light page, because its readers know neither the theme nor light-dark().
"""
from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from . import paths

STYLE = paths.DOCS / "_static" / "figures.css"


def inline(name: str, svg: str, alt: str) -> str:
    """The element <svg> for a page. Its identifiers begin with the figure's name: a page may have
    several figures. The description is the figure's `:alt:`, so the file's own is left out."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<!--.*?-->\n|<title>.*?</title>\n|<desc>.*?</desc>\n", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="|url\(#|href="#', rf"\g<0>{name}-", svg)
    return svg.replace("<svg ", f'<svg aria-label="{escape(alt)}" ', 1)


def with_style(svg: str) -> str:
    """The file with its style inside, in the colours of a light page."""
    style = re.sub(r"light-dark\((.*?), .*?\)", r"\1", STYLE.read_text(encoding="utf-8"))
    return svg[svg.index("<svg"):].replace("</desc>", f"</desc>\n<style>{style}</style>", 1)


class DrawFigures(SphinxPostTransform):
    """Puts each figure where its image stands."""

    default_priority = 5  # before Sphinx looks which images a builder can take
    formats = ("html",)

    def run(self, **_: Any) -> None:
        for image in list(self.document.findall(nodes.image)):
            file = paths.DOCS / image["uri"]
            if file.parent != paths.DOCS / "figures":
                continue
            svg = file.read_text(encoding="utf-8")
            if self.app.builder.name == "epub":
                copy = Path(self.app.doctreedir) / "figures" / file.name
                copy.parent.mkdir(exist_ok=True)
                copy.write_text(with_style(svg), encoding="utf-8")
                self.env.images.add_file(self.env.docname, str(copy))
                image["uri"] = str(copy)
                image["candidates"] = {"*": str(copy)}
            else:
                image.replace_self(nodes.raw("", inline(file.stem, svg, image["alt"]),
                                             format="html"))


def setup(app: Sphinx) -> None:
    """Registers the transform. (That a page depends on its figures, Sphinx knows by itself.)"""
    app.add_post_transform(DrawFigures)
