# SPDX-License-Identifier: GPL-2.0-only
"""What every part of the lab needs: where things lie, errors that a person reads, file locks."""
from __future__ import annotations

import contextlib
import fcntl
import secrets
from pathlib import Path
from typing import IO, Iterator

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
#: What the steps share.
SHARED = (ROOT / "common", ROOT / "doctor/rules")


class LabError(Exception):
    """Something went wrong that a person can act on: printed as a sentence, without a trace."""

    status = 1


class UsageError(LabError):
    """The command line cannot be carried out as given: exit status 2."""

    status = 2


def shown(path: Path) -> str:
    """The path as a person standing in the checkout would type it."""
    try:
        return str(path.relative_to(ROOT))
    except ValueError:
        return str(path)


def step_folders() -> list[Path]:
    """The folders of the steps that exist, in order."""
    return sorted(path.parent for path in ROOT.glob("step[0-9][0-9]-*/Makefile"))


def module_name(folder: Path) -> str:
    """The name of the kernel module that a step's folder builds."""
    return folder.name.replace("-", "_")


def choose_steps(numbers: list[str]) -> list[Path]:
    """The folders for numbers such as 4, 04 or step04-launch; all steps if none is given."""
    folders = step_folders()
    if not folders:
        raise LabError("This checkout holds no stepNN-name folder.")
    if not numbers:
        return folders
    chosen = []
    for number in numbers:
        name = number.strip("/")
        found = [f for f in folders
                 if f.name == name or (name.isdigit() and int(f.name[4:6]) == int(name))]
        if not found:
            known = ", ".join(f.name[4:6] for f in folders)
            raise UsageError(f"There is no step {number!r}; the steps here are {known}.")
        chosen += [f for f in found if f not in chosen]
    return chosen


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file, so that two labs do not write the same thing at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


_holding: list[IO[str]] = []


def hold(folder: Path) -> None:
    """Says that this process uses the folder, until it ends in whatever way.

    The kernel drops the lock with the process. A process number would not do: containers that share
    the folder number their processes anew.
    """
    file = open(folder / "lock", "w", encoding="ascii")
    fcntl.flock(file, fcntl.LOCK_EX)
    _holding.append(file)


def is_held(folder: Path) -> bool:
    """Whether some process that lives uses the folder."""
    try:
        with open(folder / "lock", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        pass
    return False


def unique() -> str:
    """A part of a name that nobody else has."""
    return secrets.token_hex(4)


def write_if_changed(path: Path, content: bytes) -> bool:
    """Writes the file, whole or not at all, unless it already holds the content."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{unique()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
    return True
