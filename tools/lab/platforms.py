# SPDX-License-Identifier: GPL-2.0-only
"""Reads platforms.toml: each Debian on which the lab runs, and which of them this machine is.

Run by itself (python3 platforms.py packages), it prints the packages of all groups: Containerfile
uses that.
"""
from __future__ import annotations

import os
import platform
import sys
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("platforms.toml")


@dataclass(frozen=True)
class Kernel:
    """A kernel of Debian's, by its role."""

    role: str
    number: str
    headers: str
    image: tuple[str, ...]
    vmlinuz: str
    modules: str
    suite: str = ""
    silent_on: tuple[str, ...] = ()
    kvm_holds_vmx: bool = True
    handles_machine_checks: bool = True
    packed_by: str = ""

    def __str__(self) -> str:
        return f"{self.role} ({self.number})"


@dataclass(frozen=True)
class Bochs:
    """The emulator of a Debian: its version, the list of its deviations, models of no use."""

    version: str
    deviations: str
    unusable: tuple[str, ...]
    breakpoints_hang: bool = False


@dataclass(frozen=True)
class Debian:
    """A Debian on which the lab runs. Its first kernel is the one that it ships."""

    version: str
    suite: str
    suites: tuple[str, ...]
    compiler: str
    packages: dict[str, tuple[str, ...]] = field(hash=False)
    bochs: Bochs
    kernels: tuple[Kernel, ...]

    def __str__(self) -> str:
        return f"Debian {self.version}"


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    """The table with tuples in place of lists."""
    return {key: tuple(value) if isinstance(value, list) else value
            for key, value in table.items()}


@cache
def _table() -> dict[str, Any]:
    with open(TABLE, "rb") as file:
        return tomllib.load(file)


@cache
def known() -> tuple[Debian, ...]:
    """Every Debian of the table, the oldest first."""
    shared = _table()["packages"]
    found = []
    for row in _table()["debian"]:
        own = row.pop("packages")
        kernels = tuple(Kernel(**_tuples(kernel)) for kernel in row.pop("kernel"))
        found.append(Debian(
            packages={group: (*own.get(group, ()), *names) for group, names in shared.items()},
            bochs=Bochs(**_tuples(row.pop("bochs"))), kernels=kernels, **_tuples(row)))
    return tuple(found)


def cpu_models() -> dict[str, str]:
    """The full names of Bochs's models by our short ones."""
    return dict(_table()["cpus"])


def os_release(usual: Path = Path("/etc/os-release")) -> dict[str, str]:
    """What the system says of itself."""
    path = Path(os.environ.get("VTX_OS_RELEASE", usual))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name: value.strip("\"'") for name, value in pairs}


def system_name() -> str:
    """What a person calls this system."""
    return os_release().get("PRETTY_NAME", platform.system())


def here() -> Debian | None:
    """The Debian that this machine runs, if the lab runs on it."""
    release = os_release()
    if release.get("ID") != "debian":
        return None
    return next((one for one in known() if one.version == release.get("VERSION_ID")), None)


def debian() -> Debian:
    """This machine's Debian; elsewhere the newest one, which is what the container has."""
    return here() or known()[-1]


def names() -> str:
    """The names of all, for a sentence: "Debian 12 or 13"."""
    return "Debian " + " or ".join(one.version for one in known())


if __name__ == "__main__":
    print("\n".join(dict.fromkeys(
        name for group in debian().packages.values() for name in group)), file=sys.stdout)
