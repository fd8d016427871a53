# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the tests that need no emulated machine (but for a few of the command line)."""
from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Iterator

import pytest

from lab.common import BUILD


@pytest.fixture
def scratch(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder of the test's own under build/, removed afterwards."""
    folder = BUILD / "scratch" / f"{os.getpid()}-{request.node.name[:40].replace('/', '-')}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
