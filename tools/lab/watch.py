# SPDX-License-Identifier: GPL-2.0-only
"""Follows a boot by what its serial ports print, and notices what ends it before its time."""
from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

#: What the kernel prints when something is wrong with it.
TROUBLE = re.compile(r"Kernel panic|early exception|\bBUG:|\bOops\b|[a-z]: [0-9a-f]{4} \[#\d"
                     r"|general protection fault|WARNING:|Call Trace|unable to handle|soft lockup"
                     r"|rcu: INFO")
#: After this it does nothing more. The second comes before there is a console but earlyprintk's.
_PANIC = re.compile(r"Kernel panic - not syncing|PANIC: early exception")
#: What the kernel's first part says, by nokaslr and earlyprintk of image.COMMAND_LINE.
_UNPACKED = "KASLR disabled: "
_TIME = re.compile(r"^\[ *(\d+\.\d+)\](?:\[ *[CT]\d+\])? ?")


@dataclass
class Outcome:
    """How a boot ended. `kind` is "off" if the guest switched itself off, as it should."""

    kind: str
    sentence: str
    seconds: float = 0.0
    trouble: list[str] = field(default_factory=list)
    came_up: bool = True  # whether the kernel reached its first process

    @property
    def good(self) -> bool:
        return self.kind == "off"


class Watch:
    """Follows the two serial ports' files and notices what ends a boot before its time."""

    def __init__(self, console: Path, results: Path,
                 on_console: Callable[[str], None] = lambda line: None,
                 on_result: Callable[[str], None] = lambda line: None,
                 panic_is_the_end: bool = True) -> None:
        self.console = Follower(console)
        self.results = Follower(results)
        self.on_console = on_console
        self.on_result = on_result
        self.heard = time.monotonic()
        self.last = ""
        self.lines = 0
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
            self.lines += 1
            self._notice_reboot(line)
            self.ready = self.ready or text.startswith("@@READY")
            if TROUBLE.search(text) and len(self.trouble) < 20:
                self.trouble.append(text)
            if _PANIC.search(text):
                self.panic_at = self.panic_at or time.monotonic()
            self.on_console(line)

    def _notice_reboot(self, line: str) -> None:
        """A kernel that was up and is unpacked, or whose clock goes back, has booted again."""
        stamp = _TIME.match(line)
        again = stamp and float(stamp[1]) + 2 < self.clock or line.startswith(_UNPACKED)
        self.rebooted = self.rebooted or self.ready and bool(again)
        if stamp:
            self.clock = max(self.clock, float(stamp[1]))

    def verdict(self, ended: bool = False) -> Outcome | None:
        """An outcome if the guest can do nothing more. A panic counts at once if the emulator has
        ended: Bochs 3.0 gave up by "internal keyboard buffer full" after a panic of Linux 7.3.
        """
        if self.panic_at and self.panic_is_the_end and (
                ended or time.monotonic() - self.panic_at > 3):
            return Outcome("panic", "its kernel panicked")
        if self.rebooted:
            return Outcome("reboot", "it rebooted")
        return None

    def after(self) -> str:
        """The kernel's last words, for the end of a sentence."""
        return f"after: {self.last.rstrip('.')}" if self.last else "from the beginning"

    def completed(self, outcome: Outcome) -> Outcome:
        """The outcome with what the kernel did and said until then."""
        outcome.trouble = self.trouble
        outcome.came_up = self.ready
        return outcome


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


def tail(path: Path, size: int = 16384) -> str:
    """The end of a file as text."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
