# SPDX-License-Identifier: GPL-2.0-only
"""The book, built once for all its checks, and what the checks need."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import docs, packages  # noqa: E402
from lab.common import BUILD, ROOT  # noqa: E402

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What building the book said. A failure fails the tests that need the book.

    The book shows the results of the tests. It gets a copy of them, because other suites run at the
    same time, and two builds would differ.
    """
    packages.ensure(packages.needed(["docs", "docs-test"]), yes=True)
    if os.environ.get("VTX_BOOK_IS_BUILT"):  # to work on a check without building each time
        return ""
    results = tmp_path_factory.mktemp("docs") / "results"
    (BUILD / "results").mkdir(parents=True, exist_ok=True)
    shutil.copytree(BUILD / "results", results)
    os.environ["VTX_DOCS_RESULTS"] = str(results)
    run = subprocess.run([sys.executable, str(ROOT / "lab"), "docs", "--all", "--yes"], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert run.returncode == 0, run.stdout
    return run.stdout


@pytest.fixture(scope="session")
def html(built: str) -> Path:
    """The folder of the HTML pages."""
    return docs.HTML.parent


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, in the version that package-lock.json names."""
    place = BUILD / "docs" / "npm"
    script = place / "node_modules" / "axe-core" / "axe.min.js"
    lock = place / "package-lock.json"
    if not script.exists() or lock.read_bytes() != (HERE / "package-lock.json").read_bytes():
        place.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(HERE / name, place / name)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=place,
                       check=True, stdout=subprocess.DEVNULL)
    return script.read_text(encoding="utf-8")
