# SPDX-License-Identifier: GPL-2.0-only
"""The reader's terminal and the first serial port of the emulated PC, joined."""
from __future__ import annotations

import contextlib
import os
import pty
import select
import sys
import termios
import time
import tty
from pathlib import Path
from typing import IO, Any, Callable, Iterator

from . import bochs, ui
from .common import LabError
from .watch import Outcome, Watch

LEAVE = b"\x1d"  # Ctrl-]


def has_terminal() -> bool:
    """Whether there is a person to join to it."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def serial_port() -> tuple[int, Path]:
    """A serial port for a Boot: our end of it, and the terminal at which Bochs takes the other."""
    serial, terminal = pty.openpty()
    tty.setraw(terminal)
    os.set_blocking(serial, False)
    return serial, Path(os.ttyname(terminal))


class Relay:
    """Carries bytes between the reader's terminal and the first serial port of the PC."""

    def __init__(self, serial: int, screen: int, log: IO[bytes], child: Any) -> None:
        self.serial = serial
        self.screen = screen
        self.log = log
        self.child = child
        self.left = False
        self._typed = b""  # what the PC has not taken yet

    def _read(self, wait: float, keyboard: bool) -> tuple[bytes, bytes]:
        """What has come from the PC, and from the keyboard. Gives the PC what was typed."""
        sources = [self.serial, self.screen] + ([sys.stdin.fileno()] if keyboard else [])
        ready, takes, _ = select.select(sources, [self.serial] if self._typed else [], [], wait)
        if self.screen in ready:
            bochs.drain(self.screen, 0)
        output = os.read(self.serial, 65536) if self.serial in ready else b""
        self.log.write(output)
        typed = os.read(sys.stdin.fileno(), 1024) if sys.stdin.fileno() in ready else b""
        if takes:
            self._typed = self._typed[os.write(self.serial, self._typed):]
        return output, typed

    def wait_until(self, boot: bochs.Boot, seen: Watch, done: Callable[[], bool]) -> None:
        """Waits for something in the logs, or until the emulator has ended. Raises what a person
        should read if the machine does not come up."""
        started = time.monotonic()
        while not done():
            self._read(0.5, keyboard=False)
            if self.child.poll() is not None:
                return
            seen.poll()
            outcome = seen.verdict() or boot.stopped() or boot.hang(seen)
            if time.monotonic() - started > bochs.LIMIT:
                outcome = Outcome("timeout", f"it did not boot in {bochs.LIMIT:.0f} s")
            if outcome:
                raise LabError(boot.explain(seen.completed(outcome)))

    def wait_for_boot(self, boot: bochs.Boot, seen: Watch, then: str = "") -> None:
        """Shows progress until the first process of the PC runs. `then` follows in the same line.
        """
        started = time.monotonic()
        with ui.Waiting(boot.announcement()) as waiting:
            self.wait_until(boot, seen, lambda: seen.ready)
            if seen.ready:
                waiting.finish(f"Booted {boot.machine}: {time.monotonic() - started:.0f} s.{then}")

    def until_the_end(self, ended: Callable[[], bool] = lambda: False) -> None:
        """Relays until the PC is off, the reader leaves, or something else has ended."""
        with _raw_keys():
            while self.child.poll() is None and not self.left and not ended():
                output, typed = self._read(0.2, keyboard=True)
                show(output)
                if LEAVE in typed:
                    self.left = True
                else:
                    self._typed += typed
            while not self.left and (output := self._read(0, keyboard=False)[0]):
                show(output)


def show(output: bytes) -> None:
    """Writes to the reader's terminal, all of it."""
    while output:
        output = output[os.write(1, output):]


@contextlib.contextmanager
def _raw_keys() -> Iterator[None]:
    """Gives all keys to us for a with block, Ctrl-C too. The terminal is put back afterwards."""
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
