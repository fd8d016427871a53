# SPDX-License-Identifier: GPL-2.0-only
"""The machines that can be had: which CPU of Bochs's, how many, and which kernel boots on it."""
from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import kernels, platforms
from .common import UsageError

#: Short names for the CPU models in which a reader is interested.
CPU_ALIASES = platforms.cpu_models()
DEFAULT_CPU = "haswell"


@dataclass(frozen=True)
class Machine:
    """An emulated PC and the kernel that it boots. Equal machines can share a boot."""

    kernel: str = kernels.DEFAULT
    cpu: str = DEFAULT_CPU
    cpus: int = 1
    command_line: str = ""
    memory: int = 512
    bios: Path | None = None
    bochsrc: tuple[str, ...] = ()

    def model(self) -> str:
        """The name that Bochs has for the CPU."""
        return CPU_ALIASES.get(self.cpu, self.cpu)

    def ips(self) -> int:
        """Instructions in an emulated second. With one CPU Bochs skips time in which there is
        nothing to do. With more it does not: a waiting CPU costs as much as one that works, so
        there a second is shorter."""
        return 100_000_000 if self.cpus == 1 else 25_000_000

    def boot_seconds(self) -> int:
        """About how long a boot takes: each CPU is emulated in turn, on one of ours."""
        return 20 * self.cpus

    def check(self) -> None:
        """Refuses, in words, what cannot boot."""
        self.check_kernel_and_number()
        model, debian = self.model(), platforms.debian()
        known = models() or set(CPU_ALIASES.values())  # none: Bochs is not installed yet
        if model not in known:
            names = [name for name, full in CPU_ALIASES.items() if full in known]
            raise UsageError(f"Bochs has no CPU model {self.cpu!r} here. Short names:"
                             f" {', '.join(names)}; `bochs -help cpu` lists all.")
        if model in debian.bochs.unusable:
            raise UsageError(f"64-bit Linux does not start on the model {model}.")
        silent = [kernel for kernel in debian.kernels
                  if model in (CPU_ALIASES.get(name, name) for name in kernel.silent_on)]
        if kernels.described(self.kernel) in silent:
            others = [kernel.role for kernel in debian.kernels if kernel not in silent]
            raise UsageError(f"Linux {kernels.number(self.kernel)} does not start on {self.cpu}; "
                             + (f"add --kernel {others[0]}." if others else "take another model."))

    def check_kernel_and_number(self) -> None:
        """The part of check() that does not depend on the emulator."""
        kernels.check_name(self.kernel, kernels.BOOTABLE)
        if not 1 <= self.cpus <= 8:
            raise UsageError(f"--cpus {self.cpus}: the lab takes 1 to 8;"
                             " each one slows the others.")

    def __str__(self) -> str:
        return (f"Linux {kernels.number(self.kernel)}, {self.cpu},"
                f" {self.cpus} CPU{'s' if self.cpus > 1 else ''}")


def _help(*topic: str) -> str:
    """What Bochs says of a topic and of itself; nothing if it is not installed."""
    try:
        return subprocess.run(["bochs", "-help", *topic], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              check=False).stdout
    except FileNotFoundError:
        return ""


def version() -> str:
    """Bochs's own, such as 2.7."""
    found = re.search(r"Bochs x86 Emulator (\S+)", _help())
    return found[1] if found else "of unknown version"


def models() -> set[str]:
    """The CPU models that this Bochs has, by its own help."""
    return set(_help("cpu").split())


def debugger_flags() -> tuple[str, ...]:
    """What starts Bochs in its debugger. Older versions always do, and have no flag for it."""
    return tuple({"-debugger"}.intersection(_help().split()))
