# SPDX-License-Identifier: GPL-2.0-only
"""What all test suites share: the lab's code on the path, and an end with whoever started them."""
from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

_PR_SET_PDEATHSIG = 1


def pytest_configure(config: pytest.Config) -> None:
    """Takes -k from ./lab test, which reaches the suites through ctest.

    And when ctest is killed, the suites that it started end, and with them what they started.
    """
    config.option.keyword = config.option.keyword or os.environ.get("VTX_TEST_K", "")
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # What a shell runs in the background ignores SIGINT, by which ./lab soak ends its tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A suite of which ./lab test -k selects nothing has not failed."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and os.environ.get("VTX_TEST_K"):
        session.exitstatus = pytest.ExitCode.OK
