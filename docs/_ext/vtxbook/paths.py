# SPDX-License-Identifier: GPL-2.0-only
"""Where things lie: the checkout, the build folder, the steps and their files."""
from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
BUILD = Path(os.environ.get("VTX_DOCS_BUILD", ROOT / "build" / "docs"))
RESULTS = Path(os.environ.get("VTX_DOCS_RESULTS", ROOT / "build" / "results"))

#: Files of a step that a reader of the code reads. README.md and expected/ are text about it.
CODE = {".c", ".h", ".cpp", ".hpp", ".S", ".def", ".mk", ".lds"}
NAMES = {"Kbuild", "Makefile"}

LANGUAGES = {".c": "c", ".h": "cpp", ".cpp": "cpp", ".hpp": "cpp", ".def": "cpp", ".S": "c",
             ".mk": "make", ".py": "python", ".txt": "text", ".toml": "toml", ".cmake": "cmake"}


def steps() -> list[Path]:
    """The folders of the steps, in order."""
    return sorted(p for p in ROOT.glob("step[0-9][0-9]-*") if p.is_dir())


def step(number: str) -> Path:
    """The folder of a step by its two digits."""
    for folder in steps():
        if folder.name[4:6] == number:
            return folder
    raise ValueError(f"there is no step {number}")


def chapter(number: str) -> list[Path]:
    """The pages about a step, in their order: the one with the folder's name is the first."""
    first = {folder.name[4:] for folder in steps()}
    return sorted(DOCS.glob(f"steps/{number}-*.rst"),
                  key=lambda page: (page.stem not in first, page))


def code_files(folder: Path) -> list[Path]:
    """The source files of a step, those in its core/ too; not what kbuild leaves there."""
    return sorted(p for place in (folder, folder / "core") for p in place.glob("*")
                  if p.is_file() and is_code(p))


def step_of(file: Path) -> Path | None:
    """The folder of the step to which a file belongs."""
    return next((folder for folder in steps() if folder in file.parents), None)


def is_code(path: Path) -> bool:
    """True for a source file, false for what a build made and for text."""
    return (path.suffix in CODE or path.name in NAMES) and not path.name.endswith(".mod.c") \
        and not path.name.startswith(".")


def language(path: Path) -> str:
    """The name of the Pygments lexer for a file."""
    if path.name in NAMES:
        return "make"
    return LANGUAGES.get(path.suffix, "text")


def sources() -> list[Path]:
    """Every source file whose comments the book shows: what the steps share, and the steps."""
    shared = [p for folder in ("common", "doctor/rules") for p in (ROOT / folder).rglob("*")
              if p.is_file() and is_code(p)]
    return sorted(shared) + [p for folder in steps() for p in code_files(folder)]


def exercises() -> list[Path]:
    """The exercises' data files."""
    return sorted((ROOT / "exercises").glob("*.toml"))


def pages() -> list[Path]:
    """The book's pages, as written."""
    return sorted(DOCS.rglob("*.rst"))
