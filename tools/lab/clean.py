# SPDX-License-Identifier: GPL-2.0-only
"""./lab clean: removes what the lab and kbuild have written."""
from __future__ import annotations

import shutil
from pathlib import Path

from . import build, ui
from .common import BUILD, ROOT, SHARED, UsageError, is_held, shown, step_folders


def run(everything: bool) -> int:
    """Removes build/, but the downloads in build/cache/ only if everything is to go."""
    for folder in sorted((BUILD / "lab").glob("*")):
        if is_held(folder):
            raise UsageError(f"A lab is still running in {shown(folder)}/; let it end first.")
    removed = 0
    for path in _products():
        removed += 1
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if BUILD.is_dir():
        for path in BUILD.iterdir():
            if everything or path.name != "cache":
                removed += 1
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    kept = BUILD / "cache"
    ui.say("Removed what was built." if removed else "There was nothing to remove.")
    if kept.is_dir() and not everything:
        ui.say(f"Kept {shown(kept)}/ (downloaded kernels); ./lab clean --all removes it, too.")
    return 0


def _products() -> list[Path]:
    """What kbuild left beside the sources; only kinds of file that are never sources."""
    found = [path for folder in [*SHARED, *step_folders()] for path in folder.rglob("*")
             if path.is_file() and not build.is_source(path.name) and _is_kbuilds(path.name)]
    return found + [path for path in [ROOT / "compile_commands.json"] if path.exists()]


def _is_kbuilds(name: str) -> bool:
    return (name.endswith((".o", ".ko", ".mod", ".mod.c", ".cmd", ".order", ".symvers", ".d", ".a"))
            or name.startswith(".tmp_"))
