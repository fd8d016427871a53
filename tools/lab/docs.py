# SPDX-License-Identifier: GPL-2.0-only
"""./lab docs: builds the book through CMake and says where it is."""
from __future__ import annotations

import shutil
import webbrowser

from . import packages, proc, ui
from .common import BUILD, ROOT, LabError, shown

HTML = BUILD / "docs" / "html" / "index.html"
EPUB = BUILD / "docs" / "epub" / "VtxTutorial.epub"
ONE_PAGE = BUILD / "docs" / "singlehtml" / "index.html"


def run(yes: bool, every_form: bool, show: bool) -> int:
    """Carries out ./lab docs; `show` opens the result in a browser. Returns the exit status."""
    target = "docs-all" if every_form else "docs"
    packages.ensure(packages.needed(["docs"]), yes)
    for command in (["cmake", "--preset", "default"],
                    ["cmake", "--build", "--preset", "default", "--target", target]):
        log = BUILD / "docs.log"
        if proc.run_logged(command, log, on_line=_tell, cwd=ROOT) != 0:
            raise LabError(f"The book was not built without complaints. The log: {shown(log)}")
    ui.say(f"The book:      {shown(HTML)}")
    if every_form:
        ui.say(f"For printing:  {shown(ONE_PAGE)}")
        ui.say(f"As an e-book:  {shown(EPUB)}")
    if show:
        _open()
    return 0


def _tell(line: str) -> None:
    """Passes on what a person wants to see of the build."""
    if line.startswith("docs: ") or "WARNING" in line or "rror" in line:
        ui.say(line)


def _open() -> None:
    """Opens the book; as root a browser may refuse, so the path was printed before."""
    if not (shutil.which("xdg-open") and webbrowser.open(HTML.as_uri())):
        ui.say("There is no browser to open it in: open the path above in one.")
