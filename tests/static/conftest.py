# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the tests that need no emulated machine (but for a few of the command line)."""
from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Callable, Iterator

import pytest

import trees
from lab import kernels
from lab.common import BUILD


@pytest.fixture
def scratch(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder of the test's own under build/, removed afterwards."""
    name = re.sub(r"[^\w.]", "-", request.node.name[:40])  # [ and ] mean something to make
    folder = BUILD / "scratch" / f"{os.getpid()}-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def built() -> Iterator[Callable[[str], trees.Tree]]:
    """Gives the build of the steps for a kernel; made on first use, removed at the end."""
    made: dict[str, trees.Tree] = {}

    def once(kernel: str) -> trees.Tree:
        if kernel not in made:
            made[kernel] = trees.from_nothing(kernel)
        return made[kernel]

    yield once
    for kernel in kernels.ALL:
        shutil.rmtree(trees.place(kernel), ignore_errors=True)
