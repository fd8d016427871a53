# SPDX-License-Identifier: GPL-2.0-only
"""tools/console, with one end of a pseudo-terminal in place of the file of step 10."""
from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
import tty
from pathlib import Path
from typing import Iterator

import pytest

from lab.common import ROOT

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))

from terminal import Session  # noqa: E402

CONSOLE = str(ROOT / "tools/console")


@pytest.fixture
def guest() -> Iterator[tuple[int, str]]:
    """The guest's end of a console, and the name of ours."""
    end, ours = pty.openpty()
    tty.setraw(ours)
    yield end, os.ttyname(ours)
    os.close(ours)


def test_joins_and_leaves(guest: tuple[int, str]) -> None:
    """Bytes go both ways, Ctrl-C too; Ctrl-] leaves and puts the terminal back."""
    end, name = guest
    with Session([CONSOLE, name]) as session:
        before = session.settings()
        session.wait_for("Ctrl-] leaves")
        while session.settings() == before:
            time.sleep(0.05)
        os.write(end, b"login: ")
        session.wait_for("login: ")
        session.type("ada\r\x03")
        assert os.read(end, 100) == b"ada\r\x03"
        session.type("\x1d")
        status, last = session.wait_for_the_end()
        assert (status, session.settings()) == (0, before)
        assert "Left. The guest runs on." in last
    os.close(end)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_puts_the_terminal_back(guest: tuple[int, str], number: int) -> None:
    with Session([CONSOLE, guest[1]]) as session:
        before = session.settings()
        session.wait_for("Ctrl-] leaves")
        while session.settings() == before:
            time.sleep(0.05)
        session.signal(number)
        assert session.wait_for_the_end()[0] != 0
        assert session.settings() == before
    os.close(guest[0])


def test_ends_with_the_guest(guest: tuple[int, str]) -> None:
    """All that the guest has sent is shown first."""
    end, name = guest
    with Session([CONSOLE, name]) as session:
        before = session.settings()
        session.wait_for("Ctrl-] leaves")
        os.write(end, b"Power down\r\n")
        session.wait_for("Power down\n")
        os.close(end)
        status, last = session.wait_for_the_end()
        assert (status, session.settings()) == (0, before)
        assert "The guest has ended." in last


def test_refusals_are_sentences(tmp_path: Path) -> None:
    with Session([CONSOLE, str(tmp_path / "none")]) as session:
        status, text = session.wait_for_the_end()
    assert status == 1 and "there is no such file. Load the module first" in text
    without = subprocess.run([CONSOLE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
    assert without.returncode == 2 and "needs a terminal" in without.stdout
