# SPDX-License-Identifier: GPL-2.0-only
"""What all test suites share: the lab's code on the path, and an end with whoever started them."""
from __future__ import annotations

import ctypes
import signal
import sys
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

_PR_SET_PDEATHSIG = 1


def pytest_configure() -> None:
    """When ctest is killed, the suites that it started stop as by Ctrl-C, and clean up."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
