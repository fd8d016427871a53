# SPDX-License-Identifier: GPL-2.0-only
"""What the lab's tests build on the host: guest programs, C programs and a kernel module.

Everything goes to build/tests/, is built again only when a source is newer, and is built once even
if several test runs want it at the same time.
"""
from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Callable, Iterable

from lab import build, kernels, steps
from lab.common import BUILD, ROOT, LabError, locked, module_name, shown

HERE = Path(__file__).resolve().parent
OUTPUT = BUILD / "tests"

#: A guest lies at 0x1000, whatever came before it in the file: so each section starts there. A boot
#: image (of guests/boot_*.S) lies where a BIOS loads it.
LOAD_ADDRESS, BOOT_ADDRESS = 0x1000, 0x7c00
SECTOR, IMAGE_SECTORS = 512, 15  # the latter as in guests/boot.h


def guest_names(source: Path) -> list[str]:
    """The guests that a file in guests/ defines, in its order."""
    text = source.read_text(encoding="utf-8")
    return re.findall(r"^(?:guest|boot)(?:_\w+)? (\w+)\b", text, re.MULTILINE)


def bootable(program: bytes) -> bytes:
    """A boot image: one sector with 55h AAh at its end, or several, the first of which has them."""
    if len(program) <= SECTOR - 2:
        return program.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"
    assert program[SECTOR - 2:SECTOR] == b"\x55\xaa" and len(program) <= IMAGE_SECTORS * SECTOR
    return program.ljust(IMAGE_SECTORS * SECTOR, b"\0")


def names(*stems: str) -> list[str]:
    """The names of all guests in some files of guests/, in order."""
    found = [name for stem in stems for name in guest_names(HERE / "guests" / f"{stem}.S")]
    assert len(found) == len(set(found)), f"two guests have the same name: {found}"
    return found


@cache
def guests(*stems: str) -> dict[str, bytes]:
    """The flat binaries of all guests in some files of guests/, by name, in order."""
    assert names(*stems)
    return {name: program for stem in stems
            for name, program in _assembled(HERE / "guests" / f"{stem}.S").items()}


def _assembled(source: Path) -> dict[str, bytes]:
    """Assembles one file and cuts it into its guests."""
    names = guest_names(source)
    folder = OUTPUT / "guests" / source.stem
    boots = source.stem.startswith("boot_")
    address = BOOT_ADDRESS if boots else LOAD_ADDRESS

    def binary(name: str) -> Path:
        return folder / f"{name}.bin"

    def build() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f".guest.{name} {address:#x} : {{ *(.guest.{name}) }}" for name in names]
        script = "\n".join(["SECTIONS {", *lines, "}", ""])
        (folder / "script.ld").write_text(script, encoding="ascii")
        linked = folder / "linked.elf"
        _do("gcc", "-c", "-Wa,--fatal-warnings", "-o", folder / "guests.o", source)
        _do("ld", "-nostdlib", "--no-check-sections", "--no-warn-rwx-segments", "-e", "0",
            "-T", folder / "script.ld", "-o", linked, folder / "guests.o")
        for name in names:
            _do("objcopy", "-O", "binary", "-j", f".guest.{name}", linked, binary(name))

    _build_if_older(folder, [source, *(HERE / "guests").glob("*.h")], build)
    programs = {name: binary(name).read_bytes() for name in names}
    return {name: bootable(one) for name, one in programs.items()} if boots else programs


@cache
def lab_tool() -> Path:
    """The program by which tests speak to the modules: programs/lab-tool/, one static binary."""
    folder = OUTPUT / "programs"
    sources = sorted((HERE / "programs" / "lab-tool").glob("*.c"))
    headers = [*sorted((HERE / "programs" / "lab-tool").glob("*.h")),
               HERE / "programs" / "linux-filler.h"]

    def build() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _do("gcc", "-static", "-O2", "-s", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o",
            folder / "lab-tool", *sources)

    _build_if_older(folder, sources + headers, build)
    return folder / "lab-tool"


@cache
def probe() -> Path:
    """What the tests need of user space beside busybox: programs/probe.c."""
    folder = OUTPUT / "probe"
    source = HERE / "programs" / "probe.c"

    def build() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _do("gcc", "-O1", "-static", "-s", "-Wall", "-Werror", "-o", folder / "probe", source)

    _build_if_older(folder, [source], build)
    return folder / "probe"


@cache
def late() -> Path:
    """The program that runs while step 11 keeps its Linux as a guest: programs/late/."""
    folder = OUTPUT / "late"
    sources = sorted((HERE / "programs" / "late").glob("*.c"))

    def build() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _do("gcc", "-O1", "-static", "-s", "-no-pie", "-Wall", "-Wextra", "-Werror", "-o",
            folder / "late", *sources)

    _build_if_older(folder, [*sources, HERE / "programs" / "late" / "late.h"], build)
    return folder / "late"


@cache
def linux_init() -> Path:
    """The first process of a guest Linux: programs/linux-init.c."""
    folder = OUTPUT / "linux-init"
    source, header = (HERE / "programs" / name for name in ("linux-init.c", "linux-filler.h"))

    def build() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _do("gcc", "-O1", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-o", folder / "init",
            source)

    _build_if_older(folder, [source, header], build)
    return folder / "init"


@cache
def program_32() -> Path:
    """The 32-bit program (programs/witness32.S), which needs no library."""
    folder = OUTPUT / "programs32"
    source = HERE / "programs" / "witness32.S"

    def build() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _do("gcc", "-m32", "-c", "-o", folder / "witness32.o", source)
        _do("ld", "-m", "elf_i386", "-s", "-o", folder / "witness32", folder / "witness32.o")

    _build_if_older(folder, [source], build)
    return folder / "witness32"


@cache
def kernel_module(name: str, kernel: str) -> Path:
    """A module of modules/, built for a kernel of the lab, without debug information."""
    source = HERE / "modules" / name
    folder = OUTPUT / "modules" / kernel / name
    files = sorted(path for path in source.iterdir() if path.is_file())

    def build() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            (folder / path.name).write_bytes(path.read_bytes())
        _do("make", "-C", kernels.headers(kernel), f"M={folder}", "W=1",
            "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules")
        _do("strip", "--strip-debug", folder / f"{name}.ko")

    _build_if_older(folder, files, build)
    return folder / f"{name}.ko"


@cache
def altered_step(name: str, number: str, kernel: str, *changes: tuple[str, str, str]) -> Path:
    """The module of a step that was changed: in a file (of the step, or below common/) one text,
    which occurs there once, becomes another. For what no processor here ever does."""
    step = steps.by_number(number)
    assert step
    folder = OUTPUT / "altered" / kernel / name
    sources = [step / path for path in build.sources(step)]
    sources += [ROOT / path for path in steps.shared_files(step)]

    def make() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        steps.copy_to(step, folder)
        for path, old, new in changes:
            text = (folder / path).read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{path} does not have once: {old}"
            (folder / path).write_text(text.replace(old, new), encoding="utf-8")
        _do("make", f"KDIR={kernels.headers(kernel)}", "-C", folder)
        _do("strip", "--strip-debug", folder / f"{module_name(step)}.ko")

    _build_if_older(folder, sources, make)
    return folder / f"{module_name(step)}.ko"


def _build_if_older(folder: Path, sources: Iterable[Path], build: Callable[[], None]) -> None:
    """Builds unless the folder's stamp is newer than all sources (and than this file)."""
    stamp = folder / ".stamp"
    newest = max(path.stat().st_mtime for path in [*sources, Path(__file__)])
    with locked(folder.with_name(f"{folder.name}.lock")):
        if stamp.exists() and stamp.stat().st_mtime >= newest:
            return
        build()
        stamp.touch()


def _do(*words: str | Path) -> None:
    """Runs a tool of the host, which must succeed."""
    result = subprocess.run([str(word) for word in words], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        raise LabError(f"{words[0]} failed for {shown(Path(words[-1]))}: {result.stdout[-2000:]}")
