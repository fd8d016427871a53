# SPDX-License-Identifier: GPL-2.0-only
"""What the lab prints: headings, dimmed text, and a sign of life for whatever takes long."""
from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from typing import Callable, Iterator

_lock = threading.RLock()
_busy_line = ""


def is_terminal() -> bool:
    """True if a person watches: only then are colours and moving lines used."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _styled(code: str, text: str) -> str:
    if not is_terminal() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{code}m{text}\033[0m"


def bold(text: str) -> str:
    return _styled("1", text)


def dim(text: str) -> str:
    return _styled("2", text)


def green(text: str) -> str:
    return _styled("32", text)


def red(text: str) -> str:
    return _styled("31", text)


def say(text: str = "") -> None:
    """Prints a line at once, also where the output is a pipe."""
    with _lock:
        if _busy_line:
            sys.stdout.write("\r\033[K")
        print(text, flush=True)
        if _busy_line:
            sys.stdout.write(_busy_line)
            sys.stdout.flush()


def warn(text: str) -> None:
    """Prints a line to stderr."""
    with _lock:
        if _busy_line:
            sys.stdout.write("\r\033[K")
            sys.stdout.flush()
        print(text, file=sys.stderr, flush=True)


class Busy:
    """One thing that takes a while. `detail` may be changed from any thread while it runs."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self.started = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def line(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.title}{detail} … {self.seconds():.0f} s"


def _show_busy(text: str) -> None:
    global _busy_line
    width = shutil.get_terminal_size((80, 24)).columns
    with _lock:
        _busy_line = "\r\033[K" + dim(text[: width - 1]) if text else ""
        sys.stdout.write(_busy_line or "\r\033[K")
        sys.stdout.flush()


class Waiting(Busy):
    """Shows that something goes on: a moving line on a terminal, else a line every few seconds.

    A context manager; `finish` ends the show early and leaves one line.
    """

    def __init__(self, title: str, every: float = 10.0) -> None:
        super().__init__(title)
        self._moving = is_terminal()
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Waiting":
        if self._moving:
            _show_busy(self.line())
        else:
            say(f"{self.title} …")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def _tick(self) -> None:
        while not self._stop.wait(0.5 if self._moving else self._every):
            if self._moving:
                _show_busy(self.line())
            else:
                say(self.line())

    def finish(self, text: str = "") -> None:
        """Stops showing progress; prints a last line if one is given."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        if self._moving:
            _show_busy("")
        if text:
            say(text)


@contextlib.contextmanager
def busy(title: str, done: Callable[[Busy], str] | None = None,
         every: float = 10.0) -> Iterator[Busy]:
    """Shows progress for the length of a with block; if it ends well, one line with the time stays.

    `done` may word that line.
    """
    with Waiting(title, every) as thing:
        yield thing
        thing.finish(done(thing) if done else f"{title}: {thing.seconds():.0f} s")


def ask(question: str) -> bool:
    """Asks a yes-or-no question; yes is the default. Only call it where a person can answer."""
    with _lock:
        try:
            answer = input(f"{question} [Y/n] ")
        except EOFError:
            return False
    return answer.strip().lower() in ("", "y", "yes")


def can_ask() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
