# SPDX-License-Identifier: GPL-2.0-only
"""./lab check: what this machine can do. Reads only; changes nothing."""
from __future__ import annotations

import os
import platform
import shutil

from . import container, packages, platforms, silicon, ui
from .common import ROOT

DISK_NEEDED = 2 << 30  # bytes: kernels, builds for four header trees, logs


def run() -> int:
    """Prints the report; always succeeds."""
    ui.say(ui.bold("For the emulated machine (./lab run, ./lab test)"))
    ready = _emulator()
    ui.say()
    ui.say(ui.bold("For loading the modules into this machine's own kernel (make, insmod)"))
    found = _silicon()
    ui.say()
    ui.say("./lab run: " + ("ready." if ready else "will first get what is missing above."))
    ui.say("insmod on this machine: " + found.verdict())
    return 0


def _row(name: str, value: str) -> None:
    ui.say(f"  {name:18} {value}")


def _emulator() -> bool:
    """Rows about what the emulated machine needs; True if nothing is to be installed."""
    ready = True
    _row("system", f"{platforms.system_name()}, {platform.machine()}")
    _row("user", "root" if os.geteuid() == 0 else "not root"
         + ("; packages are installed by sudo" if shutil.which("sudo") else "; no sudo"))
    if platforms.here():
        for group in packages.groups():
            missing = packages.missing(packages.needed([group]))
            _row(f"packages: {group}", "missing: " + " ".join(missing) if missing else "all there")
            ready = ready and (not missing or group not in ("build", "lab"))
    else:
        engine = container.engine()
        _row("container engine", engine or f"none; install {container.engine_package()}")
        ready = False
    free = shutil.disk_usage(ROOT).free
    _row("disk", f"{free / (1 << 30):.0f} GiB free"
         + ("" if free > DISK_NEEDED else f"; up to {DISK_NEEDED >> 30} GiB are needed"))
    _row("CPUs", str(os.cpu_count()))
    return ready


def _silicon(host: silicon.Host | None = None) -> silicon.Findings:
    """Rows about VT-x and the kernel of this machine, or of a made-up one."""
    found = silicon.look(host or silicon.Host.here())
    for name, value in found.rows.items():
        _row(name, value)
    return found
