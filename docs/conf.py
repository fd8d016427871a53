# SPDX-License-Identifier: GPL-2.0-only
"""Sphinx's configuration of the book. build_docs.py calls Sphinx; see there for how."""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "_ext"))

from vtxbook import paths  # noqa: E402

project = "VtxTutorial"
author = "the authors of VtxTutorial"
copyright = "the authors of VtxTutorial; text and figures CC BY 4.0, code GPL-2.0-only"
version = release = "1.0"
language = "en"

extensions = ["breathe", "sphinx_copybutton", "vtxbook"]
exclude_patterns = ["_*", "README*"]
templates_path = ["_templates"]
primary_domain = "cpp"
highlight_language = "text"
nitpicky = True
# Types in signatures: those of the C++ library have no page here, and a step's API, which lies in a
# namespace of its own, does not find common/'s. They are shown without a link.
nitpick_ignore_regex = [("cpp:identifier", ".*"), ("c:identifier", ".*")]
smartquotes = False

breathe_projects = {name: str(paths.BUILD / "xml" / name) for name in
                    ["kernel", "vmx", "x86", "entry_checks",
                     *(f"step{s.name[4:6]}" for s in paths.steps())]}
breathe_default_project = "vmx"
breathe_default_members = ("members",)
breathe_show_include = False
breathe_show_enumvalue_initializer = True
breathe_implementation_filename_extensions = [".none"]

html_theme = "furo"
html_title = "VtxTutorial"
html_static_path = ["_static"]
html_css_files = ["book.css", "figures.css"]
html_js_files = ["book.js"]
html_copy_source = False
html_show_sphinx = False
# Without summaries a search asks for no file, which a page opened from a disk may not.
html_show_search_summary = False
html_search_scorer = str(Path(__file__).resolve().parent / "scorer.js")
html_theme_options = {"navigation_with_keys": True}
pygments_style = "default"
pygments_dark_style = "github-dark"

copybutton_prompt_text = r"\$ |lab:\S+# |<bochs:\d+> "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"
copybutton_only_copy_prompt_lines = True
copybutton_selector = "div.highlight pre:not(.output pre, .stepdiff pre, .highlight-source pre)"

epub_title = "VtxTutorial: a hypervisor in twelve steps"
epub_author = author
epub_show_urls = "no"
epub_use_index = False
epub_exclude_files = ["_static/book.js"]

os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
