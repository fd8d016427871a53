# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernels under test, by role: header trees and images, extracted, never installed."""
from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path

from . import apt, platforms, ui
from .common import LabError, UsageError, locked

#: Kernels that the lab boots here. The others, ROLE-generic, are only built for.
BOOTABLE = tuple(kernel.role for kernel in platforms.debian().kernels)
GENERIC = "-generic"
ALL = (*BOOTABLE, *(role + GENERIC for role in BOOTABLE))
DEFAULT = BOOTABLE[0]


@dataclass(frozen=True)
class Image:
    """An extracted kernel."""

    release: str
    vmlinuz: Path
    modules: Path


def check_name(name: str, known: tuple[str, ...] = ALL) -> str:
    """The role for a role or a number; refuses a kernel that the lab does not have here."""
    for role in known:
        if name in (role, role.replace(role.removesuffix(GENERIC), number(role))):
            return role
    have = ", ".join(f"{role} ({number(role)})" for role in known)
    raise UsageError(f"The lab has no kernel {name!r} on {platforms.debian()}; it has {have}.")


def described(kernel: str) -> platforms.Kernel:
    """What platforms.toml says of a kernel or of the one that a -generic one goes with."""
    role = kernel.removesuffix(GENERIC)
    return next(one for one in platforms.debian().kernels if one.role == role)


def number(kernel: str) -> str:
    """The number by which people know it, such as 6.12."""
    return described(kernel).number


def tree(kernel: str) -> Path:
    """The folder that holds what was downloaded of a kernel; fetched on first use."""
    top = apt.cache() / kernel
    with locked(apt.cache() / f"{kernel}.lock"):
        if not top.is_dir():
            _fetch(kernel, top)
    return top


def _fetch(kernel: str, top: Path) -> None:
    """Downloads headers and, of a kernel to boot, its image; makes the headers work there."""
    table = described(kernel)
    bootable = kernel in BOOTABLE
    meta = table.headers if bootable else table.headers.replace("-cloud", "")
    what = "headers and image, about 60 MB" if bootable else "headers, about 15 MB"
    with ui.busy(f"Downloading Linux {number(kernel)} ({kernel}: {what}; not installed)"):
        newest = _among(apt.depends(meta, table.suite))[0]
        wanted = [newest, *_among(apt.depends(newest))]
        name = newest.removeprefix("linux-headers-")
        if bootable:
            wanted += [package.format(release=name) for package in table.image]
        apt.download(wanted, top)
        makefile = top / "usr" / "src" / newest / "Makefile"
        makefile.write_text(makefile.read_text(encoding="ascii").replace(
            "/usr/src/", "$(dir $(lastword $(MAKEFILE_LIST)))../"), encoding="ascii")


def _among(names: list[str]) -> list[str]:
    """The header and kbuild packages among those that a package needs."""
    return [name for name in names if name.startswith(("linux-headers-", "linux-kbuild-"))]


def headers(kernel: str) -> Path:
    """The kernel build tree, as KDIR= takes it."""
    return next(folder for folder in sorted((tree(kernel) / "usr" / "src").iterdir())
                if folder.name.startswith("linux-headers-")
                and not folder.name.endswith("-common"))


def release(kernel: str) -> str:
    """The release, as `uname -r` prints it."""
    return headers(kernel).name.removeprefix("linux-headers-")


def image(kernel: str) -> Image:
    """The kernel to boot."""
    table, top, name = described(kernel), tree(kernel), release(kernel)
    return Image(name, top / table.vmlinuz.format(release=name),
                 top / table.modules.format(release=name))


def module_file(kernel: str, name: str) -> bytes:
    """One of Debian's own modules, such as kvm-intel, for a kernel that the lab boots."""
    for path in image(kernel).modules.rglob(f"{name}.ko*"):
        data = path.read_bytes()
        return _unsigned(lzma.decompress(data) if path.suffix == ".xz" else data)
    raise LabError(f"Linux {number(kernel)} has no module {name}.")


def _unsigned(module: bytes) -> bytes:
    """A module without its signature, which the emulated machine would take seconds to check."""
    magic = b"~Module signature appended~\n"
    if not module.endswith(magic):
        return module
    # Before the magic words lies struct module_signature, whose last field is the length.
    end = len(module) - len(magic)
    return module[:end - 12 - int.from_bytes(module[end - 4:end], "big")]
