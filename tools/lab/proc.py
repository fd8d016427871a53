# SPDX-License-Identifier: GPL-2.0-only
"""Child processes that never outlive the lab: each in its own session, killed as a whole."""
from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

_children: set[subprocess.Popen[Any]] = set()
_lock = threading.RLock()  # a signal handler may come while the main thread holds it
_stopping = False


class Interrupted(Exception):
    """The lab is being stopped, so nothing new is started."""


def spawn(command: Sequence[str], *, death_signal: str = "TERM", file_size: int | None = None,
          **options: Any) -> subprocess.Popen[Any]:
    """Starts a command that gets `death_signal` even if the lab itself is killed.

    setpriv and prlimit (util-linux) arrange that in the child, which is safe with threads where
    Python's preexec_fn is not. The kernel sends the signal when the *thread* that started the
    child ends: start a child from the thread that waits for it.
    """
    wrapped = ["setpriv", "--pdeathsig", death_signal]
    if file_size is not None:
        wrapped += ["prlimit", f"--fsize={file_size}"]
    options.setdefault("stdin", subprocess.DEVNULL)
    with _lock:
        if _stopping:
            raise Interrupted
        child = subprocess.Popen([*wrapped, *command], start_new_session=True, **options)
        _children.add(child)
    return child


def stop(child: subprocess.Popen[Any], patience: float = 5.0,
         first: signal.Signals = signal.SIGTERM) -> None:
    """Ends a child and all that it started: asked at first, then killed."""
    for number in (first, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
            if not _group_lives(child.pid, 0.5):
                break
    with _lock:
        _children.discard(child)


def _group_lives(group: int, patience: float) -> bool:
    """Whether some process of the group is left after a moment."""
    end = time.monotonic() + patience
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        if time.monotonic() > end:
            return True
        time.sleep(0.02)


def interrupt() -> None:
    """Tells every child to end and lets no new one start, without waiting. For signal handlers."""
    global _stopping
    _stopping = True
    for child in list(_children):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)


def stop_all() -> None:
    """Ends every child, and lets no new one start. For Ctrl-C and fatal errors."""
    global _stopping
    with _lock:
        _stopping = True
        children = list(_children)
    for child in children:
        stop(child, 2.0)


@contextlib.contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A child for the length of a with block; whatever happens in it, the child ends with it."""
    child = spawn(command, **options)
    try:
        yield child
    finally:
        if child.poll() is None:
            stop(child)
        with _lock:
            _children.discard(child)


def run_logged(command: Sequence[str], log: Path, *, on_line: Callable[[str], None] | None = None,
               **options: Any) -> int:
    """Runs a command with both outputs in a log file; `on_line` sees each line as it comes."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as file:
        file.write("$ " + " ".join(command) + "\n")
        file.flush()
        with running(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                     errors="replace", **options) as child:
            assert child.stdout is not None
            for line in child.stdout:
                file.write(line)
                file.flush()
                if on_line:
                    on_line(line.rstrip("\n"))
            return child.wait()


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has taken; 0 if there is none with this number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    times = stat.rpartition(")")[2].split()[11:13]  # utime and stime
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
