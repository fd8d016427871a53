# SPDX-License-Identifier: GPL-2.0-only
"""A reader at the keyboard: ./lab on a terminal, with lines typed at its prompts."""
from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import time
from typing import Sequence

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
