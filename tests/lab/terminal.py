# SPDX-License-Identifier: GPL-2.0-only
"""A reader at the keyboard: ./lab on a terminal, with lines typed at its prompts."""
from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import termios
import time
from typing import Any, Sequence

from lab.common import ROOT

#: What a terminal would take as colours, cursor movements and the like.
CONTROL = re.compile(r"\x1b\[[?0-9;]*[a-zA-Z]|\r")


def type_into(arguments: Sequence[str], prompt: str, lines: Sequence[str],
              limit: float = 1500.0) -> list[str]:
    """Runs ./lab with these arguments, and types a line at each prompt (a regular expression).

    Returns what was on the screen before the first prompt, and then what each line gave. The last
    line must end the command.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, str(ROOT / "lab"), *arguments, "--yes"])
    answers, waiting, screen, end = [], list(lines), "", time.monotonic() + limit
    try:
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 0.5)[0]:
                continue
            try:
                screen += os.read(terminal, 65536).decode("latin-1")
            except OSError:  # the other side was closed
                return [*answers, CONTROL.sub("", screen)]
            text = CONTROL.sub("", screen)
            if waiting and re.search(prompt, text):  # a line of the kernel's log may be behind it
                answers.append(text)
                screen = ""
                os.write(terminal, waiting.pop(0).encode() + b"\n")
        raise AssertionError(f"./lab {' '.join(arguments)}: {len(waiting)} lines were not typed, "
                             f"or it did not end: …{CONTROL.sub('', screen)[-700:]}")
    finally:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        os.close(terminal)


class Session:
    """A command on a terminal of its own, for a with block."""

    def __init__(self, command: Sequence[str]) -> None:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execvp(command[0], command)
        self._waits = True  # for us, as a process that has ended
        self.screen = ""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if self._waits:
            os.kill(self._pid, signal.SIGTERM)
            os.waitpid(self._pid, 0)
        os.close(self._terminal)

    def signal(self, number: int) -> None:
        """Sends the command a signal."""
        os.kill(self._pid, number)

    def settings(self) -> list[Any]:
        """The terminal's settings."""
        return termios.tcgetattr(self._terminal)

    def type(self, text: str) -> None:
        """Types it."""
        os.write(self._terminal, text.encode("latin-1"))

    def wait_for(self, pattern: str, limit: float = 300.0) -> str:
        """What appeared until something matched; what follows it is for the next call."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            text = CONTROL.sub("", self.screen)
            if found := re.search(pattern, text):
                self.screen = text[found.end():]
                return text[:found.end()]
            if not self._read():
                raise AssertionError(f"it ended before {pattern!r}: {self.screen[-2000:]}")
        raise AssertionError(f"no {pattern!r} in {limit:.0f} s: {self.screen[-2000:]}")

    def wait_for_the_end(self, limit: float = 60.0) -> tuple[int, str]:
        """The exit status, and what else appeared."""
        end = time.monotonic() + limit
        while self._read():
            assert time.monotonic() < end, f"it did not end in {limit:.0f} s: {self.screen[-700:]}"
        self._waits = False
        status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return status, CONTROL.sub("", self.screen)

    def _read(self) -> bool:
        """Takes what there is, and waits a little for it. False at the end."""
        if select.select([self._terminal], [], [], 0.5)[0]:
            try:
                self.screen += os.read(self._terminal, 65536).decode("latin-1")
            except OSError:  # the other side was closed
                return False
        return True
