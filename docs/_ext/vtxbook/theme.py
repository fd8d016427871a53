# SPDX-License-Identifier: GPL-2.0-only
"""Repairs of the theme as Debian ships it, after its files were copied, for pages on a disk.

The style sheet lost the rule by which the dark theme follows the system's. In Debian 12 it asks for
a file below /javascript/, where Debian's web servers have it and a disk does not. In Debian 13 the
script is a module, which a browser does not load from a disk, and what it imports is none.
And what one page does not have.
"""
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from . import sourcefiles

STYLE = Path("_static") / "styles" / "furo.css"
IMPORT = "@import url(/javascript/normalize.css/normalize.css);"
NORMALIZE = Path("/usr/share/javascript/normalize.css/normalize.css")
SCRIPT = Path("_static") / "scripts" / "furo.js"
SCRIPT_IMPORT = 'import * as Gumshoe from "./gumshoe-patched.js";'
DARK = re.compile(r'body\[data-theme="dark"\] \{(.*?)\}', re.DOTALL)
FOLLOWS = re.compile(r'prefers-color-scheme: dark\) \{\s*body:not\(\[data-theme="?light"?\]\)')

FOLLOW_SYSTEM = """
@media not print {{
  @media (prefers-color-scheme: dark) {{
    body:not([data-theme="light"]) {{{colours}}}
    body[data-theme="auto"] .only-light {{ display: none !important; }}
    body[data-theme="auto"] .only-dark {{ display: block !important; }}
  }}
}}
"""


def repaired(style: str) -> str:
    """The style sheet without the request, and with the dark theme by the system's choice."""
    normalize = NORMALIZE.read_text(encoding="utf-8") if NORMALIZE.is_file() else ""
    style = style.replace(IMPORT, normalize)
    dark = DARK.search(style)
    if dark and not FOLLOWS.search(style):
        style += FOLLOW_SYSTEM.format(colours=dark.group(1))
    return style


def repair(app: Sphinx, exception: Exception | None) -> None:
    """Called by Sphinx when it has written everything."""
    file = Path(app.outdir) / STYLE
    if exception is None and file.is_file():
        file.write_text(repaired(file.read_text(encoding="utf-8")), encoding="utf-8")
    file = Path(app.outdir) / SCRIPT
    if exception is None and file.is_file():
        script = file.read_text(encoding="utf-8")
        if SCRIPT_IMPORT in script:
            imported = file.with_name("gumshoe-patched.js").read_text(encoding="utf-8")
            file.write_text(imported + script.replace(SCRIPT_IMPORT, ""), encoding="utf-8")


def load_no_modules(app: Sphinx, page: str, template: str, context: dict[str, Any],
                    _: object) -> None:
    """The theme's script is none, once repair() has joined it with what it imports."""
    for script in context.get("script_files", []):
        if script.filename and script.filename.endswith(SCRIPT.name):
            script.attributes.pop("type", None)


def remove_stale_pages(app: Sphinx, exception: Exception | None) -> None:
    """Pages whose source is gone would be found by links and by readers."""
    if exception is not None or app.builder.name != "html":
        return
    kept = {"genindex", "search"}
    sources = {Path(app.outdir) / f"{sourcefiles.page_of(name)}.html"
               for name in sourcefiles.shown()}
    for page in Path(app.outdir).rglob("*.html"):
        name = page.relative_to(app.outdir).with_suffix("").as_posix()
        if not (name in app.env.found_docs or name in kept or page in sources):
            page.unlink()


def let_names_break(app: Sphinx, page: str, template: str, context: dict[str, Any],
                    _: object) -> None:
    """In a narrow column a name may go on in the next line behind "_", "::" and "/"."""
    if app.builder.format == "html" and app.builder.name != "epub" and "body" in context:
        joint = re.compile(r"(?<=[A-Za-z0-9])(_|::|/)(?=\w)")
        context["body"] = re.sub(r'(?<=<span class="pre">)[^<]*',
                                 lambda name: joint.sub(r"\1<wbr>", name[0]), context["body"])


def leave_out_search(app: Sphinx, page: str, template: str, context: dict[str, Any],
                     _: object) -> None:
    """The one page has no search and no index: no field in its sidebar, and no links to them."""
    if app.builder.name == "singlehtml":
        context["sidebars"] = [part for part in context["sidebars"] if "search" not in part]
        known = context["hasdoc"]
        context["hasdoc"] = lambda name: name not in ("genindex", "search") and known(name)


def setup(app: Sphinx) -> None:
    """Registers all of them."""
    app.connect("html-page-context", leave_out_search)
    app.connect("html-page-context", load_no_modules)
    app.connect("html-page-context", let_names_break)
    app.connect("build-finished", repair)
    app.connect("build-finished", remove_stale_pages)
