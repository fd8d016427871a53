# SPDX-License-Identifier: GPL-2.0-only
"""Builds the steps' modules for a kernel, in a mirror under build/ so that sources stay clean."""
from __future__ import annotations

import concurrent.futures
import fnmatch
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import kernels, packages, platforms, proc, ui
from .common import BUILD, ROOT, SHARED, LabError, locked, module_name, shown, step_folders

#: What kbuild leaves in a folder. None of it is a source, so none of it is mirrored or copied.
PRODUCTS = (".*", "*.o", "*.ko", "*.mod", "*.mod.c", "*.cmd", "*.order", "*.symvers", "*.d", "*.a",
            "*~", "*.swp", "__pycache__")


@dataclass
class Built:
    """The module of one step."""

    step: Path
    module: Path
    seconds: float
    warnings: int


def is_source(name: str) -> bool:
    """Whether a file of this name belongs to the lesson, as opposed to what a build leaves."""
    return not any(fnmatch.fnmatch(name, pattern) for pattern in PRODUCTS)


def sources(folder: Path) -> list[Path]:
    """All source files of a folder, relative to it."""
    found = []
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if is_source(name))
        found += [Path(directory, name).relative_to(folder) for name in sorted(names)
                  if is_source(name)]
    return found


def tree(kernel: str) -> Path:
    """Where the modules for a kernel are built."""
    return BUILD / "kbuild" / kernel


def prepare(kernel: str) -> Path:
    """Brings the mirror of the steps and what they share up to date. Hold the kernel's lock."""
    target = tree(kernel)
    stamp = target / ".release"
    release = f"{kernels.release(kernel)} {platforms.debian().compiler}"
    if target.exists() and (not stamp.exists() or stamp.read_text(encoding="ascii") != release):
        shutil.rmtree(target)  # objects of another kernel: kbuild would not notice each time
    target.mkdir(parents=True, exist_ok=True)
    stamp.write_text(release, encoding="ascii")
    manifest = target / ".mirror.json"
    before = set(json.loads(manifest.read_text(encoding="utf-8"))) if manifest.exists() else set()
    now: set[str] = set()
    for folder in [*SHARED, *step_folders(), ROOT / "bench"]:
        for name in sources(folder):
            source = folder / name
            relative = source.relative_to(ROOT)
            now.add(str(relative))
            copy_if_changed(source, target / relative)
    for gone in before - now:
        (target / gone).unlink(missing_ok=True)
    manifest.write_text(json.dumps(sorted(now)), encoding="utf-8")
    return target


def copy_if_changed(source: Path, target: Path) -> None:
    """Copies a file unless the copy has the same bytes, so that make sees only real changes."""
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def build(kernel: str, steps: list[Path], yes: bool = False, collect: Path | None = None,
          extra: tuple[str, ...] = ()) -> list[Built]:
    """Builds the modules of some steps for a kernel, two at a time.

    With `collect`, stripped copies are put there before the lock is given back, so that another
    lab's build cannot change them. `extra` is given to make.
    """
    packages.ensure(packages.needed(["build"]), yes)
    kdir = kernels.headers(kernel)
    label = (f"Building {len(steps)} module{'s' if len(steps) > 1 else ''} for Linux"
             f" {kernels.number(kernel)} ({kernel})")
    workers = max(1, min(len(steps), os.cpu_count() or 1))
    with locked(BUILD / "kbuild" / f"{kernel}.lock"), ui.busy(label, _summary) as progress:
        mirror = prepare(kernel)
        jobs = max(1, (os.cpu_count() or 1) // workers)
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(_make, mirror / step.relative_to(ROOT), step, kdir, kernel, jobs,
                                   extra)
                       for step in steps]
            built = []
            for future in concurrent.futures.as_completed(futures):
                built.append(future.result())
                progress.detail = f"{len(built)} of {len(steps)}, {built[-1].step.name} done"
        built.sort(key=lambda item: item.step)
        if collect:
            collect.mkdir(parents=True, exist_ok=True)
            for item in built:
                strip(item.module, collect / item.module.name)
    return built


def is_warning(line: str) -> bool:
    """Whether a line of a build warns of our code; that pahole is not the kernel's is no defect."""
    return "warning:" in line.lower() and not line.startswith("warning: pahole")


def _summary(progress: ui.Busy) -> str:
    return f"{progress.title}: {progress.seconds():.0f} s"


def _make(folder: Path, step: Path, kdir: Path, kernel: str, jobs: int,
          extra: tuple[str, ...]) -> Built:
    """Runs make for one step in the mirror."""
    started = time.monotonic()
    log = BUILD / "kbuild" / f"{kernel}-{step.name}.log"
    lines: list[str] = []
    status = proc.run_logged(["make", f"-j{jobs}", "-C", str(folder), f"KDIR={kdir}", *extra], log,
                             on_line=lines.append, env={**os.environ, "LC_ALL": "C"})
    module = folder / f"{module_name(step)}.ko"
    if status != 0 or not module.exists():
        raise LabError(f"{step.name} does not build for Linux {kernels.number(kernel)}"
                       f"{_first_error(lines)}. Log: {shown(log)}")
    warnings = sum(map(is_warning, lines))
    return Built(step, module, time.monotonic() - started, warnings)


def _first_error(lines: list[str]) -> str:
    """The first line that a compiler, objtool or modpost calls an error, shortened to the point."""
    for line in lines:
        if "error:" in line.lower() or "static constructor" in line:
            return ": " + line.replace(str(BUILD / "kbuild") + "/", "").strip().rstrip(".")
    return ""


def strip(module: Path, target: Path) -> None:
    """Copies a module without debug information, which would only make the boot slower."""
    subprocess.run(["strip", "--strip-debug", "-o", str(target), str(module)], check=True)
