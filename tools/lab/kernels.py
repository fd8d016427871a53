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
    """The release (as `uname -r` prints it) whose headers the lab has for a short name."""
    if kernel in packages.INSTALLED_HEADERS:
        name = packages.HEADERS[kernel]
        found = _dependencies(["dpkg-query", "-W", "-f", "${Depends}", name])
        if not found:
            raise LabError(f"Package {name} is not installed; ./lab setup does it.")
        return found[0].removeprefix("linux-headers-")
    return _extracted_headers(kernel).name.removeprefix("linux-headers-")


def headers(kernel: str) -> Path:
    """The kernel build tree, as KDIR= takes it."""
    if kernel not in packages.INSTALLED_HEADERS:
        return _extracted_headers(kernel)
    tree = Path("/usr/src") / f"linux-headers-{release(kernel)}"
    if not (tree / "Makefile").exists():
        raise LabError(f"{tree} is missing although {packages.HEADERS[kernel]} is installed;"
                       f" run: apt-get install --reinstall linux-headers-{release(kernel)}")
    return tree


def _dependencies(command: list[str]) -> list[str]:
    """The header and kbuild packages that a command of dpkg or apt names, in order."""
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            check=False, env={**os.environ, "LC_ALL": "C"})
    asked = {command[-1]}
    return [name for name in re.findall(r"linux-(?:headers|kbuild)-[^\s,]+", result.stdout)
            if name not in asked]


def _extracted_headers(kernel: str, renew: bool = False) -> Path:
    """The build tree of a kernel whose header packages are not installed but extracted."""
    top = CACHE / f"headers-{kernel}"
    with locked(CACHE / f"headers-{kernel}.lock"):
        if renew:
            shutil.rmtree(top, ignore_errors=True)
        if not top.is_dir():
            _extract_headers(packages.HEADERS[kernel], top)
    return next(tree for tree in sorted((top / "usr" / "src").iterdir())
                if not tree.name.endswith("-common"))


def _extract_headers(meta: str, top: Path) -> None:
    """Downloads what a header package stands for, and makes the tree work where it lies."""
    packages.refuse_unknown([meta])
    newest = _dependencies(["apt-cache", "depends", meta])[0]
    names = [newest, *dict.fromkeys(_dependencies(["apt-cache", "depends", newest]))]
    with ui.busy(f"Downloading {newest} (about 15 MB, not installed)"):
        work = _download_and_extract(names, newest)
        makefile = work / "usr" / "src" / newest / "Makefile"
        makefile.write_text(makefile.read_text(encoding="ascii").replace(
            "include /usr/src/", "include $(dir $(lastword $(MAKEFILE_LIST)))../"),
            encoding="ascii")
        work.rename(top)
    shutil.rmtree(work.parent, ignore_errors=True)


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
            if kernel in packages.INSTALLED_HEADERS:
                packages.install([packages.HEADERS[kernel]], yes)
            else:
                _extracted_headers(kernel, renew=True)
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
    with ui.busy(f"Downloading the kernel to boot, {package} (about 30 MB, not installed)"):
        work = _download_and_extract([package], package)
        work.rename(CACHE / package)
    shutil.rmtree(work.parent, ignore_errors=True)
    found = _extracted(name)
    assert found
    return found


def _download_and_extract(names: list[str], what: str) -> Path:
    """Fetches packages by apt and extracts them into a new folder `tree` of a working folder."""
    work = CACHE / f".{what}.{os.getpid()}.tmp"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    log = CACHE / f"{what}.log"
    command = ["apt-get", "download", "-o", "Acquire::Retries=3", *names]
    if os.geteuid() == 0:
        # apt's own user cannot write into the checkout.
        command[2:2] = ["-o", "APT::Sandbox::User=root"]
    try:
        if proc.run_logged(command, log, cwd=work, env={**os.environ, "LC_ALL": "C"}) != 0:
            raise LabError(f"apt could not download {what}. Log: {shown(log)}")
        for archive in sorted(work.glob("*.deb")):
            if proc.run_logged(["dpkg", "-x", str(archive), str(work / "tree")], log) != 0:
                raise LabError(f"{archive.name} could not be extracted. Log: {shown(log)}")
            archive.unlink()
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return work / "tree"


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
