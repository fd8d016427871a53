# SPDX-License-Identifier: GPL-2.0-only
"""./lab run --kvm: the same boot in QEMU, where this machine's processor runs VMX instructions.

KVM gives its virtual machine VT-x ("nested"). Without KVM, which only the tests want, QEMU emulates
a processor that has none.
"""
from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator

from . import bochs, kernels, machine
from .common import UsageError
from .silicon import Host
from .watch import Outcome, tail

GROUP = "kvm"
NESTED = "sys/module/kvm_intel/parameters/nested"
#: What KVM says when the processor does not do what it is told: then QEMU waits for ever.
KVM_FAILED = re.compile(r"^(?:KVM internal error|KVM: entry failed|error: kvm run failed).*$",
                        re.MULTILINE)


@dataclass(frozen=True)
class Machine(machine.Machine):
    """A virtual machine on this machine's own processor."""

    cpu: str = "host"
    accelerator: str = "kvm"
    host: Host = field(default_factory=Host, compare=False)

    def check(self) -> None:
        """Refuses, in words, what cannot boot."""
        self.check_kernel_and_number()
        if self.accelerator == "kvm" and (reason := in_the_way(self.host)):
            raise UsageError(f"--kvm: {reason}")

    def __str__(self) -> str:
        return (f"Linux {kernels.number(self.kernel)}, {self.accelerator.upper()},"
                f" {self.cpus} CPU{'s' if self.cpus > 1 else ''}")


def in_the_way(host: Host) -> str:
    """Why KVM cannot give VT-x to a virtual machine on this host, and what to do; empty if it can.
    """
    info = host.read("proc/cpuinfo")
    vendor = re.search(r"^vendor_id\s*: (.*)$", info, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.*)$", info, re.MULTILINE)
    contained = host.exists("run/.containerenv") or host.exists(".dockerenv")
    if not vendor:
        return "it needs an Intel processor, and this machine is not an x86 one."
    if vendor[1] in ("AuthenticAMD", "HygonGenuine"):
        return ("it needs an Intel processor. AMD's have SVM in place of VT-x. Leave --kvm out: the"
                " emulator needs no VT-x.")
    if not flags or "vmx" not in flags[1].split():
        return "this machine shows no VT-x. ./lab check says what keeps it away."
    if not host.exists("dev/kvm"):
        return ("there is no /dev/kvm in this container: it must be started with --device /dev/kvm."
                if contained else "there is no /dev/kvm. Load KVM: sudo modprobe kvm_intel")
    if not host.exists(NESTED):
        return "KVM is not loaded. On the host: sudo modprobe kvm_intel"
    if host.read(NESTED) not in ("Y", "1"):
        return ("KVM gives no VT-x to its virtual machines (nested is off). On the host, stop them,"
                " then: sudo rmmod kvm_intel; sudo modprobe kvm_intel nested=1. To keep it so, put"
                " the line `options kvm_intel nested=1` into /etc/modprobe.d/kvm.conf.")
    if not os.access(host.root / "dev/kvm", os.R_OK | os.W_OK):
        return ("you may not use /dev/kvm. " + (
            "The container must be given its group (--group-add)." if contained else
            "Join its group, then log in again: sudo usermod -aG kvm $USER"))
    return ""


class Boot(bochs.Boot):
    """One boot in QEMU. What is booted and how it is watched is as in Bochs."""

    EMULATOR = "QEMU"
    machine: Machine

    def prepare(self, com1: Path | None) -> None:
        """QEMU needs no file."""

    def command(self) -> list[str]:
        """QEMU with the serial ports in files. A reset ends it (-no-reboot)."""
        of = self.machine
        return ["qemu-system-x86_64", "-machine", f"q35,accel={of.accelerator}", "-cpu", of.cpu,
                "-smp", str(of.cpus), "-m", str(of.memory), "-cdrom", self.iso.name, "-boot", "d",
                "-nic", "none", "-no-reboot", "-display", "none",
                "-serial", f"file:{self.console.name}", "-serial", f"file:{self.results.name}"]

    def announcement(self) -> str:
        return f"Booting {self.machine} in QEMU (some seconds)"

    @contextlib.contextmanager
    def emulator(self) -> Iterator[tuple[subprocess.Popen[Any], int]]:
        """QEMU, which draws no screen. What it says goes to its log."""
        with open(self.log, "wb") as log, bochs.emulator(
                self.command(), self.folder, stdout=log, stderr=log) as (child, screen):
            self._child = child
            yield child, screen

    def stopped(self) -> Outcome | None:
        """An outcome if KVM gave up: then QEMU only waits."""
        found = KVM_FAILED.search(tail(self.log))
        return Outcome("emulator", f"KVM gave up: {found[0]}") if found else None

    def ending(self, status: int) -> Outcome:
        """Why QEMU has ended. Its status is 0 for a power-off and a reset alike; the kernel's last
        words tell them apart."""
        text, said = tail(self.console), tail(self.log).strip()
        if status == -signal.SIGXFSZ:
            return Outcome("log size", f"a log grew past {bochs.FILE_LIMIT >> 20} MiB")
        if status == -signal.SIGKILL or "terminating on signal" in said:
            return Outcome("killed", "QEMU was killed")
        if status != 0:
            return Outcome("emulator", f"QEMU ended with status {status}:"
                           f" {said.splitlines()[-1] if said else 'it gave no reason'}")
        if "reboot: Power down" in text:
            return Outcome("off", "it switched itself off")
        if "reboot: Restarting system" in text:
            return Outcome("reboot", "it rebooted")
        return Outcome("triple fault", "its CPU was reset, as a triple fault does")

    def likely_cause(self) -> str:
        return " Does it come up without --kvm?"
