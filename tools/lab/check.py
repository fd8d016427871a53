# SPDX-License-Identifier: GPL-2.0-only
"""./lab check: what this machine can do. Reads only; changes nothing."""
from __future__ import annotations

import os
import platform
import re
import shutil
import struct
import subprocess
from pathlib import Path

from . import container, kernels, packages, ui
from .common import ROOT

DISK_NEEDED = 2 << 30  # bytes: kernels, builds for four header trees, logs
SECURE_BOOT = Path("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")
OTHER_HYPERVISORS = {"kvm_intel": "KVM", "kvm_amd": "KVM", "vboxdrv": "VirtualBox",
                     "vmmon": "VMware", "hv_vmbus": "Hyper-V"}


def run() -> int:
    """Prints the report; always succeeds."""
    ui.say(ui.bold("For the emulated machine (./lab run, ./lab test)"))
    ready = _emulator()
    ui.say()
    ui.say(ui.bold("For loading the modules into this machine's own kernel (make, insmod)"))
    hindrances = _silicon()
    ui.say()
    ui.say("./lab run: " + ("ready." if ready else "will first do what is said above."))
    if hindrances:
        ui.say("insmod on this machine: in the way: " + "; ".join(hindrances) + ".")
    else:
        ui.say("insmod on this machine: VMX is there. Only on a machine that you can afford to see"
               " freeze: save your work first.")
    return 0


def _row(name: str, value: str) -> None:
    ui.say(f"  {name:18} {value}")


def _emulator() -> bool:
    """Rows about what the emulated machine needs; True if nothing is to be installed."""
    ready = True
    _row("system", f"{container.system_name()}, {platform.machine()}")
    _row("user", "root" if os.geteuid() == 0 else "not root"
         + ("; packages are installed by sudo" if shutil.which("sudo") else "; no sudo"))
    if container.is_debian_12():
        for group in packages.GROUPS:
            trees = {"build": [kernels.DEFAULT], "test": kernels.ALL}.get(group, [])
            missing = packages.missing(packages.needed([group], trees))
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


def _silicon() -> list[str]:
    """Rows about VT-x on this machine; what stands in its way."""
    hindrances = []
    info = _read("/proc/cpuinfo")
    vendor = _field(info, "vendor_id")
    flags = set(_field(info, "flags").split())
    _row("CPU", f"{vendor}, {_field(info, 'model name')}")
    if "vmx" in flags:
        _row("VT-x", "yes (vmx in /proc/cpuinfo)")
    else:
        why = ("no: AMD's own extension is called SVM" if "svm" in flags or vendor == "AuthenticAMD"
               else "not to be seen: the CPU lacks it, or the firmware switched it off")
        _row("VT-x", why)
        hindrances.append("this CPU shows no VT-x")
    if "hypervisor" in flags:
        _row("hypervisor", "this machine is itself a virtual machine")
    _row("firmware lock", _firmware_lock())
    others = [f"{name} ({module}{_users(module)})" for module, name in OTHER_HYPERVISORS.items()
              if Path("/sys/module", module).exists()]
    _row("other hypervisors", ", ".join(others) if others else "none loaded")
    release = platform.release()
    if Path("/lib/modules", release, "build", "Makefile").exists():
        _row("kernel headers", f"there, for {release}")
    else:
        _row("kernel headers", f"missing for {release} (Debian: package linux-headers-{release})")
        hindrances.append("the running kernel's headers are missing")
    secure, lockdown = _secure_boot(), _lockdown()
    _row("Secure Boot", secure)
    _row("lockdown", lockdown)
    if secure == "on" or lockdown not in ("none", "not in this kernel", "not readable"):
        hindrances.append("Secure Boot or lockdown wants signed modules")
    return hindrances


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _field(info: str, name: str) -> str:
    found = re.search(rf"^{name}\s*: (.*)$", info, re.MULTILINE)
    return found.group(1) if found else "unknown"


def _users(module: str) -> str:
    """How many users a loaded module has, if that can be seen."""
    count = _read(f"/sys/module/{module}/refcnt").strip()
    return f", in use by {count}" if count not in ("", "0") else ""


def _firmware_lock() -> str:
    """What IA32_FEATURE_CONTROL says, where it may be read; else what the kernel log has of it."""
    try:
        with open("/dev/cpu/0/msr", "rb") as file:
            file.seek(0x3A)
            value = struct.unpack("<Q", file.read(8))[0]
        state = "locked" if value & 1 else "not locked"
        return f"{state}, VMX {'on' if value & 4 else 'off'} (IA32_FEATURE_CONTROL = {value:#x})"
    except OSError:
        pass
    log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                         errors="replace", check=False).stdout if shutil.which("dmesg") else ""
    for line in log.splitlines():
        if re.search(r"VMX.*disabled by BIOS", line):
            return f"the kernel log says: {line.split('] ', 1)[-1]}"
    return "not readable here (step 01 reads it)"


def _secure_boot() -> str:
    if not Path("/sys/firmware/efi").exists():
        return "no (not booted by UEFI)"
    try:
        return "on" if SECURE_BOOT.read_bytes()[-1] == 1 else "off"
    except OSError:
        return "not readable"


def _lockdown() -> str:
    path = Path("/sys/kernel/security/lockdown")
    if not path.exists():
        return "not in this kernel"
    found = re.search(r"\[(\w+)\]", _read(path))
    return found.group(1) if found else "not readable"
