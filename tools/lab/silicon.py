# SPDX-License-Identifier: GPL-2.0-only
"""What stands between the steps and this machine's own kernel, read from /proc, /sys and the like.

Every file is looked up below `Host.root`, so that a test can make up a machine in a folder.
"""
from __future__ import annotations

import fnmatch
import platform
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import platforms

OLDEST = (6, 1)
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
CAP_SYS_MODULE = 16
SECURE_BOOT_ON = "on (which by itself refuses no module: lockdown and sig_enforce do)"
NOT_SEEN = "not visible (securityfs is not mounted)"
LOCKDOWNS = ("integrity", "confidentiality")
LOCKED_FILES = (": even of a signed module, the files that start or stop a guest (guest, run) give"
                " EPERM")

#: Hypervisors as systemd-detect-virt calls them: their name, and what makes them pass VT-x on.
HYPERVISORS = {
    "kvm": ("KVM", "on its host load kvm_intel with nested=1, and give this machine the CPU"
            " host-passthrough (QEMU: -accel kvm -cpu host)"),
    "qemu": ("QEMU", "its own emulation (TCG) has no VT-x, so start it with -accel kvm -cpu host"),
    "vmware": ("VMware", 'tick "Virtualize Intel VT-x/EPT or AMD-V/RVI" in its processor settings'
               ' (vhv.enable = "TRUE" in the .vmx file)'),
    "oracle": ("VirtualBox", 'tick "Enable Nested VT-x/AMD-V" in its processor settings'
               " (VBoxManage modifyvm NAME --nested-hw-virt on)"),
    "microsoft": ("Hyper-V", "switch this machine off, then on the host"
                  " Set-VMProcessor -VMName NAME -ExposeVirtualizationExtensions $true"),
    "wsl": ("WSL2", "nestedVirtualization=true in .wslconfig would do that, but no package has"
            " its kernel's headers, so use the lab"),
    "xen": ("Xen", ""),
    "parallels": ("Parallels", ""),
    "amazon": ("Amazon EC2", ""),
    "google": ("Google Compute Engine", ""),
}
ANY_SWITCH = "switch nested virtualization on there for this machine, if possible"
#: How the machine's maker (DMI) or its model begins in a virtual machine.
MAKERS = {"VMware": "vmware", "innotek": "oracle", "VirtualBox": "oracle", "Microsoft": "microsoft",
          "KVM": "kvm", "QEMU": "kvm", "OpenStack": "kvm", "Xen": "xen", "Parallels": "parallels",
          "Amazon": "amazon", "Google": "google"}

#: How kernels are named, and what installs their build tree. common/step.mk knows the same.
KERNELS = (
    ("debian", "*-amd64", "sudo apt install linux-headers-{}"),
    ("ubuntu", "*.0-[1-9]*-[a-z]*", "sudo apt install linux-headers-{}"),
    ("fedora", "*.fc[0-9]*.x86_64", "sudo dnf install kernel-devel-{}"),
    ("arch", "*-arch[0-9]*", "sudo pacman -S linux-headers"),
    ("arch", "*-[0-9]-lts", "sudo pacman -S linux-lts-headers"),
    ("arch", "*-zen[0-9]*-zen", "sudo pacman -S linux-zen-headers"),
    ("suse", "*-default", "sudo zypper install kernel-default-devel"),
)
NAMES = {"debian": "Debian", "ubuntu": "Ubuntu", "fedora": "Fedora", "arch": "Arch",
         "suse": "openSUSE"}


@dataclass(frozen=True)
class Host:
    """A machine: the one that this runs on, or one that a test made up."""

    root: Path = Path("/")
    release: str = field(default_factory=platform.release)
    virt: str = ""  # what systemd-detect-virt says
    log: str = ""   # what dmesg says

    @classmethod
    def here(cls) -> Host:
        return cls(virt=_output("systemd-detect-virt", "--vm"), log=_output("dmesg"))

    def exists(self, path: str) -> bool:
        return (self.root / path).exists()

    def read(self, path: str) -> str:
        """A file's text without spaces around it; empty if there is none or it may not be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""


@dataclass
class Findings:
    """What was seen, what of it is in the way, and what may be. The last two name a page each."""

    rows: dict[str, str] = field(default_factory=dict)
    in_the_way: list[tuple[str, str]] = field(default_factory=list)
    perhaps: list[tuple[str, str]] = field(default_factory=list)

    def verdict(self) -> str:
        """The last line of the report."""
        certain, perhaps = ("; ".join(f"{text} [docs/{page}.rst]" for text, page in things)
                            for things in (self.in_the_way, self.perhaps))
        perhaps = perhaps and f" Perhaps in the way: {perhaps}."
        if certain:
            return f"in the way: {certain}.{perhaps}"
        return (f"VMX is there, and nothing is known to be in its way.{perhaps} Only on a machine"
                " that you can afford to see freeze: save your work first"
                " [docs/how-to/own-machine.rst].")


def look(host: Host) -> Findings:
    """All findings about a machine."""
    found = Findings()
    _processor(host, found)
    _other_hypervisors(host, found)
    _kernel(host, found)
    _loading(host, found)
    return found


def _output(*command: str) -> str:
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          errors="replace", check=False).stdout.strip()


def _field(info: str, name: str) -> str:
    found = re.search(rf"^{name}\s*: (.*)$", info, re.MULTILINE)
    return found.group(1) if found else "unknown"


def _flags(host: Host) -> set[str]:
    return set(_field(host.read("proc/cpuinfo"), "flags").split())


def _processor(host: Host, found: Findings) -> None:
    """VT-x, and if it is not there, who keeps it away."""
    info, flags, below = host.read("proc/cpuinfo"), _flags(host), hypervisor(host)
    vendor, (lock, locked_off) = _field(info, "vendor_id"), _firmware_lock(host)
    name, switch = HYPERVISORS.get(below, ("an unknown one", ""))
    found.rows["CPU"] = f"{vendor}, {_field(info, 'model name')}"
    if "vmx" in flags:
        value, cause, page = "yes (vmx in /proc/cpuinfo)", "", ""
    elif vendor in ("AuthenticAMD", "HygonGenuine") or "svm" in flags:
        value = "no: AMD's processors have SVM instead, another instruction set"
        cause, page = "this CPU has no VT-x, so use the lab", "quick-start"
    elif below:
        value = (f"not passed on by the hypervisor below ({name}): nested virtualization is off"
                 " there, or it has none")
        cause = f"the hypervisor below ({name}) does not pass VT-x on: {switch or ANY_SWITCH}"
        page = "how-to/virtual-machine"
    elif locked_off:
        value, page = "switched off by the firmware", "how-to/own-machine"
        cause = ("the firmware switched VT-x off: allow it in the set-up menu, then switch the"
                 " power off")
    else:
        value = "not visible: the CPU lacks it, or the firmware switched it off"
        cause, page = "this CPU shows no VT-x", "how-to/own-machine"
    found.rows["VT-x"] = value
    if cause:
        found.in_the_way.append((cause, page))
    if below:
        found.rows["hypervisor"] = f"this machine is itself a virtual machine ({name})"
    found.rows["firmware lock"] = lock


def hypervisor(host: Host) -> str:
    """What this machine runs on: a key of HYPERVISORS, "other", or nothing on a real one."""
    if re.search("microsoft-standard|-Microsoft|WSL", host.release + host.read("proc/version")):
        return "wsl"  # it is Hyper-V that says so of itself, but the switch is another
    if host.read("sys/hypervisor/type") == "xen":
        return "xen"
    if "hypervisor" not in _flags(host):
        return ""  # step 01 would not call it a virtual machine, either
    if host.virt in HYPERVISORS:
        return host.virt
    makers = [host.read(f"sys/class/dmi/id/{name}") for name in ("product_name", "sys_vendor")]
    return next((key for text in makers for start, key in MAKERS.items()
                 if text.startswith(start)), "other")


def _firmware_lock(host: Host) -> tuple[str, bool]:
    """What IA32_FEATURE_CONTROL says, else what the kernel's log has of it; if VMX is off there."""
    try:
        with open(host.root / "dev/cpu/0/msr", "rb") as file:
            file.seek(0x3A)
            value = struct.unpack("<Q", file.read(8))[0]
        state, on = "locked" if value & 1 else "not locked", bool(value & 4)
        return (f"{state}, VMX {'on' if on else 'off'} (IA32_FEATURE_CONTROL = {value:#x})",
                bool(value & 1) and not on)
    except (OSError, struct.error):
        pass
    for line in host.log.splitlines():
        if re.search(r"VMX.*disabled by BIOS", line):
            return f"the kernel log says: {line.split('] ', 1)[-1]}", True
    return "not readable here (step 01 reads it)", False


def _other_hypervisors(host: Host, found: Findings) -> None:
    """Modules of this kernel that hold VMX, or may."""
    page, loaded = "how-to/kvm-in-the-way", []
    if "vmx" not in _flags(host):  # a KVM that is built in may be there and have given up at boot
        found.rows["other hypervisors"] = "do not matter without VT-x"
        return
    if host.exists("sys/module/kvm_intel"):
        users = host.read("sys/module/kvm_intel/refcnt")  # none if it is built in
        at_load = host.read("sys/module/kvm/parameters/enable_virt_at_load") == "Y"
        in_use = users not in ("", "0")
        does = "holds VMX from the moment it is loaded" if at_load else (
            "holds VMX while a virtual machine runs")
        loaded.append(f"KVM (kvm_intel{f', in use by {users}' if in_use else ''}): it {does}")
        if at_load or in_use:
            cure = "stop its virtual machines, then " if in_use else ""
            cure += "sudo rmmod kvm_intel" if users else (
                "it is built into this kernel, so boot with kvm.enable_virt_at_load=0")
            found.in_the_way.append((f"KVM {'holds VMX' if at_load else 'is in use'}: {cure}",
                                     page))
    for module, name in (("vboxdrv", "VirtualBox"), ("vmmon", "VMware")):
        if host.exists(f"sys/module/{module}"):
            loaded.append(f"{name} ({module}): it may hold VMX while a virtual machine runs")
            found.perhaps.append((f"{name} ({module} is loaded): stop its virtual machines", page))
    found.rows["other hypervisors"] = "; ".join(loaded) or "none loaded"


def _kernel(host: Host, found: Findings) -> None:
    """Its release, and the tree that modules are built with."""
    page = "how-to/own-machine"
    version = re.match(r"(\d+)\.(\d+)", host.release)
    if version and (int(version[1]), int(version[2])) < OLDEST:
        found.perhaps.append(("this kernel is older than Linux 6.1, the oldest one tested", page))
    tree = host.root / "lib/modules" / host.release / "build"
    if (tree / "Makefile").exists():
        found.rows["kernel headers"] = f"there, for {host.release}"
        return
    help_ = headers_help(host)
    dangling = f" (build points to {tree.readlink()}, where none are)" if tree.is_symlink() else ""
    found.rows["kernel headers"] = f"missing; {help_}{dangling}"
    if hypervisor(host) == "wsl":
        page = "how-to/virtual-machine"
    found.in_the_way.append((f"the running kernel's headers are missing ({help_})", page))


def headers_help(host: Host) -> str:
    """What brings the running kernel's build tree; never a package that does not exist."""
    system = platforms.os_release(host.root / "etc/os-release")
    ids = [system.get("ID", ""), *system.get("ID_LIKE", "").split()]
    for key, pattern, command in KERNELS:
        if key in ids and fnmatch.fnmatchcase(host.release, pattern):
            return command.format(host.release)
    whose = next((NAMES[key] for key in ids if key in NAMES), "")
    if hypervisor(host) == "wsl":
        return (f"this kernel is not {whose or 'the distribution'}'s but Microsoft's (WSL2), and no"
                " package has its build tree, so use the lab")
    if whose:
        return f"this kernel is not {whose}'s: its build tree comes from whoever built it"
    return f"which package of {system.get('PRETTY_NAME', 'this system')} has them is not known here"


def _loading(host: Host, found: Findings) -> None:
    """Whether the kernel takes a module, and an unsigned one."""
    page = "how-to/secure-boot"
    secure, lockdown = _secure_boot(host), _lockdown(host)
    enforce = host.read("sys/module/module/parameters/sig_enforce")
    found.rows["Secure Boot"] = secure
    found.rows["lockdown"] = lockdown + (LOCKED_FILES if lockdown in LOCKDOWNS else "")
    found.rows["sig_enforce"] = enforce or "not in this kernel"
    refusers = ["module.sig_enforce"] if enforce == "Y" else []
    if lockdown in LOCKDOWNS:
        refusers.append(f"lockdown ({lockdown})")
    if refusers:
        found.in_the_way.append((f"unsigned modules are refused by {' and '.join(refusers)}", page))
    elif secure == SECURE_BOOT_ON and lockdown == NOT_SEEN:
        found.perhaps.append(("Secure Boot is on, and whether lockdown came with it cannot be read",
                              page))
    rights = re.search(r"^CapBnd:\s*(\w+)", host.read("proc/self/status"), re.MULTILINE)
    for so, text in ((not host.exists("proc/modules"), "this kernel cannot load any module"),
                     (host.read("proc/sys/kernel/modules_disabled") == "1",
                      "kernel.modules_disabled is 1: no more modules until the next boot"),
                     (rights and not int(rights[1], 16) >> CAP_SYS_MODULE & 1,
                      "not even root may load modules here: a container?")):
        if so:
            found.in_the_way.append((text, "how-to/own-machine"))


def _secure_boot(host: Host) -> str:
    if not host.exists("sys/firmware/efi"):
        return "no (not booted by UEFI)"
    try:
        return SECURE_BOOT_ON if (host.root / SECURE_BOOT).read_bytes()[-1] == 1 else "off"
    except (OSError, IndexError):
        return "not readable"


def _lockdown(host: Host) -> str:
    text = host.read("sys/kernel/security/lockdown")
    if found := re.search(r"\[(\w+)\]", text):
        return found[1]
    # The list of security modules is there whenever securityfs is mounted.
    return "not in this kernel" if host.exists("sys/kernel/security/lsm") else NOT_SEEN
