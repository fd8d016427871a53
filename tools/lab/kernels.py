# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernels under test: their exact names, header trees, and images (never installed)."""
from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import packages, proc, ui
from .common import BUILD, LabError, UsageError, locked, shown

#: Kernels that the lab boots. The -generic ones are only built for.
BOOTABLE = ("6.1", "6.12")
ALL = tuple(packages.HEADERS)
DEFAULT = "6.1"
CACHE = BUILD / "cache"


@dataclass(frozen=True)
class Image:
    """An extracted kernel image package."""

    release: str
    vmlinuz: Path
    modules: Path


def check_name(name: str, known: tuple[str, ...] = ALL) -> str:
    """Refuses a kernel that the lab does not know."""
    if name not in known:
        raise UsageError(f"The lab knows no kernel {name!r} here; it has {', '.join(known)}.")
    return name


def release(kernel: str) -> str:
    """The release (as `uname -r` prints it) whose headers are installed for a short name."""
    headers = packages.HEADERS[kernel]
    result = subprocess.run(["dpkg-query", "-W", "-f", "${Depends}", headers], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    found = re.search(r"linux-headers-(\S+)", result.stdout)
    if result.returncode != 0 or not found:
        raise LabError(f"Package {headers} is not installed; ./lab setup does it.")
    return found.group(1)


def headers(kernel: str) -> Path:
    """The kernel build tree, as KDIR= takes it."""
    tree = Path("/usr/src") / f"linux-headers-{release(kernel)}"
    if not (tree / "Makefile").exists():
        raise LabError(f"{tree} is missing although {packages.HEADERS[kernel]} is installed;"
                       f" run: apt-get install --reinstall linux-headers-{release(kernel)}")
    return tree


def image(kernel: str, yes: bool = False) -> Image:
    """The kernel to boot, downloaded and extracted on first use; matches the installed headers."""
    with locked(CACHE / f"kernel-{kernel}.lock"):
        found = _extracted(release(kernel))
        if found:
            return found
        try:
            return _download(release(kernel))
        except LabError:
            # Headers older than the archive: its images are gone, so both move to the newest.
            packages.install([packages.HEADERS[kernel]], yes)
            return _extracted(release(kernel)) or _download(release(kernel))


def _extracted(name: str) -> Image | None:
    """The image of a release, if the cache holds it."""
    tree = CACHE / f"linux-image-{name}"
    if not tree.is_dir():
        return None
    return Image(name, tree / "boot" / f"vmlinuz-{name}", tree / "lib" / "modules" / name)


def _download(name: str) -> Image:
    """Fetches the image package of a release by apt and extracts it into the cache."""
    package = f"linux-image-{name}"
    work = CACHE / f".{package}.{os.getpid()}.tmp"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    log = CACHE / f"{package}.log"
    command = ["apt-get", "download", "-o", "Acquire::Retries=3", package]
    if os.geteuid() == 0:
        # apt's own user cannot write into the checkout.
        command[2:2] = ["-o", "APT::Sandbox::User=root"]
    try:
        with ui.busy(f"Downloading the kernel to boot, {package} (about 30 MB, not installed)"):
            if proc.run_logged(command, log, cwd=work, env={**os.environ, "LC_ALL": "C"}) != 0:
                raise LabError(f"apt could not download {package}. Log: {shown(log)}")
            archive = next(work.glob("*.deb"))
            if proc.run_logged(["dpkg", "-x", str(archive), str(work / "tree")], log) != 0:
                raise LabError(f"{archive.name} could not be extracted. Log: {shown(log)}")
        (work / "tree").rename(CACHE / package)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    found = _extracted(name)
    assert found
    return found


def module_file(kernel: str, name: str) -> bytes:
    """One of Debian's own modules, such as kvm-intel, for a kernel that the lab boots."""
    tree = image(kernel).modules
    for path in tree.rglob(f"{name}.ko*"):
        data = path.read_bytes()
        return _unsigned(lzma.decompress(data) if path.suffix == ".xz" else data)
    raise LabError(f"Linux {kernel} has no module {name}.")


def _unsigned(module: bytes) -> bytes:
    """A module without its signature, which the emulated machine would take seconds to check."""
    magic = b"~Module signature appended~\n"
    if not module.endswith(magic):
        return module
    # Before the magic words lies struct module_signature, whose last field is the length.
    end = len(module) - len(magic)
    return module[:end - 12 - int.from_bytes(module[end - 4:end], "big")]
