# SPDX-License-Identifier: GPL-2.0-only
"""Boots as in tests/lab, but only after the starting points of the exercises have been built."""
from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parents[1] / "lab"
sys.path.insert(0, str(LAB))
spec = importlib.util.spec_from_file_location("lab_conftest", LAB / "conftest.py")
lab_conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lab_conftest)

import starting_points  # noqa: E402

case, guest = lab_conftest.case, lab_conftest.guest
pytest_collection_modifyitems = lab_conftest.pytest_collection_modifyitems
pytest_unconfigure = lab_conftest.pytest_unconfigure


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds what the selected tests are about, then boots."""
    wanted = {item.callspec.params["exercise"] for item in session.items
              if hasattr(item, "callspec") and "exercise" in item.callspec.params}
    if not session.config.option.collectonly:
        starting_points.build(sorted(wanted, key=lambda exercise: exercise.number),
                              lab_conftest._write)
        lab_conftest.pytest_collection_finish(session)
