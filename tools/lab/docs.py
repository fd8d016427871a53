# SPDX-License-Identifier: GPL-2.0-only
"""./lab docs: builds the book through CMake and says where it is."""
from __future__ import annotations

import os
import shutil
import subprocess
import webbrowser

from . import container, packages, platforms, proc, ui
from .common import BUILD, ROOT, LabError, shown

HTML = BUILD / "docs" / "html" / "index.html"
EPUB = BUILD / "docs" / "epub" / "VtxTutorial.epub"
ONE_PAGE = BUILD / "docs" / "singlehtml" / "index.html"

#: What the book needs where apt cannot be asked: commands, of each row one, and Python's modules.
COMMANDS = {"CMake": ("cmake",), "Ninja": ("ninja",), "Doxygen": ("doxygen",)}
COMPILERS = (os.environ.get("CXX", "c++"), "g++", "clang++")
MODULES = {"Sphinx": "sphinx", "Breathe": "breathe", "Furo": "furo",
           "sphinx-copybutton": "sphinx_copybutton"}
PYTHON = "/usr/bin/python3"  # the one that docs/CMakeLists.txt takes
FIND = "import importlib.util, sys; sys.exit(not importlib.util.find_spec(sys.argv[1]))"


def run(yes: bool, every_form: bool, show: bool) -> int:
    """Carries out ./lab docs; `show` opens the result in a browser. Returns the exit status."""
    target = "docs-all" if every_form else "docs"
    if platforms.here():
        packages.ensure(packages.needed(["docs"]), yes)
    elif lacking := missing():
        words = ["docs", *["--all"] * every_form, *["--yes"] * yes]
        return container.offer(words, yes, f"To build the book, {platforms.system_name()} lacks"
                                           f" {', '.join(lacking)}.")
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


def missing() -> list[str]:
    """What the book needs and this system has not, by the names that people know."""
    lacking = [name for name, commands in COMMANDS.items() if not any(map(shutil.which, commands))]
    compiler = next(filter(shutil.which, COMPILERS), "")
    if not compiler:
        lacking.append("a C++ compiler")
    if not compiler or not _succeeds(compiler, "-x", "c++", "-E", "-include",
                                     "gtest/gtest.h", os.devnull):
        lacking.append("GoogleTest")
    return lacking + [f"{name} for {PYTHON}" for name, module in MODULES.items()
                      if not _succeeds(PYTHON, "-c", FIND, module)]


def _succeeds(*command: str) -> bool:
    """Whether a command is there and does what it should."""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def _tell(line: str) -> None:
    """Passes on what a person wants to see of the build."""
    if line.startswith("docs: ") or "WARNING" in line or "rror" in line:
        ui.say(line)


def _open() -> None:
    """Opens the book; as root a browser may refuse, so the path was printed before."""
    if not (shutil.which("xdg-open") and webbrowser.open(HTML.as_uri())):
        ui.say("There is no browser to open it in: open the path above in one.")
