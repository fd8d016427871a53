# SPDX-License-Identifier: GPL-2.0-only
"""Follows a boot by what its serial ports print, and notices what ends it before its time."""
from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

#: What the kernel prints when something is wrong with it.
TROUBLE = re.compile(r"Kernel panic|\bBUG:|\bOops\b|general protection fault|WARNING:|Call Trace"
                     r"|unable to handle|soft lockup|rcu: INFO")
_TIME = re.compile(r"^\[ *(\d+\.\d+)\](?:\[ *[CT]\d+\])? ?")


@dataclass
class Outcome:
    """How a boot ended. `kind` is "off" if the guest switched itself off, as it should."""

    kind: str
    sentence: str
    seconds: float = 0.0
    trouble: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.kind == "off"


class Watch:
    """Follows the two serial ports' files and notices what ends a boot before its time."""

    def __init__(self, console: Path, results: Path, on_console: Callable[[str], None],
                 on_result: Callable[[str], None], panic_is_the_end: bool = True) -> None:
        self.console = Follower(console)
        self.results = Follower(results)
        self.on_console = on_console
        self.on_result = on_result
        self.heard = time.monotonic()
        self.last = ""
        self.trouble: list[str] = []
        self.panic_at = 0.0
        self.ready = False
        self.clock = 0.0
        self.rebooted = False
        # With panic=-1 the kernel resets the machine: then what matters is whether it boots again.
        self.panic_is_the_end = panic_is_the_end

    def poll(self) -> None:
        """Passes on whatever is new."""
        for line in self.results.lines():
            self.heard = time.monotonic()
            self.on_result(line)
        for line in self.console.lines():
            self.heard = time.monotonic()
            text = without_time(line)
            self.last = text or self.last
            self._follow_clock(line)
            self.ready = self.ready or text.startswith("@@READY")
            if TROUBLE.search(text) and len(self.trouble) < 20:
                self.trouble.append(text)
            if "Kernel panic - not syncing" in text:
                self.panic_at = self.panic_at or time.monotonic()
            self.on_console(line)

    def _follow_clock(self, line: str) -> None:
        """A kernel whose clock goes back, after it was up, has booted again."""
        stamp = _TIME.match(line)
        if stamp:
            self.rebooted = self.rebooted or self.ready and float(stamp[1]) + 2 < self.clock
            self.clock = max(self.clock, float(stamp[1]))

    def verdict(self) -> Outcome | None:
        """An outcome if the guest can do nothing more."""
        if self.panic_at and self.panic_is_the_end and time.monotonic() - self.panic_at > 3:
            return Outcome("panic", "its kernel panicked")
        if self.rebooted:
            return Outcome("reboot", "it rebooted")
        return None


class Follower:
    """Reads a growing file by lines. A line that is not complete yet is kept for later."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.rest = b""

    def lines(self) -> list[str]:
        """The complete lines that came since the last call."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self.offset += len(data)
        *complete, self.rest = (self.rest + data).split(b"\n")
        return [line.rstrip(b"\r").decode("utf-8", "replace") for line in complete]


def without_time(line: str) -> str:
    """A kernel log line without its time stamp."""
    return _TIME.sub("", line)
