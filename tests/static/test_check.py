# SPDX-License-Identifier: GPL-2.0-only
"""./lab check on made-up machines: what it says, and what it must not say."""
from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest

from lab import check, silicon
from lab.common import ROOT

DEBIAN = "6.12.41+deb13-amd64"
WSL = "6.6.87.2-microsoft-standard-WSL2"
DMI = "sys/class/dmi/id/"
SIG = "sys/module/module/parameters/sig_enforce"
LOCKDOWN = "sys/kernel/security/lockdown"
AT_LOAD = "sys/module/kvm/parameters/enable_virt_at_load"
KVM_LOADED = {"sys/module/kvm_intel/refcnt": "0\n", AT_LOAD: "Y\n"}
SECURE_BOOT = {silicon.SECURE_BOOT: "\6\0\0\0\1"}
READY = "nothing is known to be in its way"


def cpu(flags: str, vendor: str = "GenuineIntel") -> dict[str, str]:
    return {"proc/cpuinfo": f"processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: made up\n"
                            f"flags\t\t: fpu lm {flags}\n"}


def system(name: str, like: str = "") -> dict[str, str]:
    return {"etc/os-release": f'PRETTY_NAME="{name} made up"\nID={name}\nID_LIKE="{like}"\n'}


#: An Intel machine with Debian 13 and its headers, on which nothing is in the way.
GOOD: dict[str, str | None] = {
    **cpu("vmx ept"), **system("debian"), "proc/modules": "", SIG: "N\n",
    LOCKDOWN: "[none] integrity confidentiality\n", f"lib/modules/{DEBIAN}/build/Makefile": "",
    "proc/self/status": "CapBnd:\t000001ffffffffff\n"}
VM = cpu("hypervisor")
BARE: dict[str, str | None] = {f"lib/modules/{DEBIAN}/build/Makefile": None}  # no headers

#: What differs from GOOD (None: the file is missing; the others are fields of Host), what the
#: report has, and what it has not.
MACHINES: dict[str, tuple[dict[str, str | None], dict[str, str], list[str], list[str]]] = {
    "good": ({}, {}, [READY, "yes (vmx", "there, for " + DEBIAN],
             ["in the way:", "Perhaps", "EPERM"]),
    # KVM and its like
    "KVM loaded": (KVM_LOADED, {}, ["in the way: KVM holds VMX: sudo rmmod kvm_intel",
                                    "how-to/kvm-in-the-way"], [READY, "stop its"]),
    "KVM loaded, in use": ({**KVM_LOADED, "sys/module/kvm_intel/refcnt": "4"}, {},
                           ["stop its virtual machines, then sudo rmmod kvm_intel"], [READY]),
    "KVM built in": ({AT_LOAD: "Y", "sys/module/kvm_intel/parameters/nested": "Y"}, {},
                     ["KVM holds VMX", "kvm.enable_virt_at_load=0"], ["rmmod"]),
    "KVM built in, but no VMX": ({**VM, AT_LOAD: "Y", "sys/module/kvm_intel/parameters/ept": "Y"},
                                 {"virt": "vmware"}, ["(VMware) does not pass"], ["KVM", "rmmod"]),
    "KVM told to wait": ({**KVM_LOADED, AT_LOAD: "N"}, {}, [READY, "KVM (kvm_intel)"], ["rmmod"]),
    "older KVM, idle": ({"sys/module/kvm_intel/refcnt": "0"}, {}, [READY, "while a virtual"], []),
    "older KVM, in use": ({"sys/module/kvm_intel/refcnt": "3"}, {},
                          ["in the way: KVM is in use", "in use by 3", "how-to/kvm"], [READY]),
    "VirtualBox and VMware": ({"sys/module/vboxdrv/refcnt": "1", "sys/module/vmmon/refcnt": "0"},
                              {}, ["VirtualBox (vboxdrv): it may", "Perhaps in the way: VirtualBox",
                                   "VMware (vmmon is loaded)", READY], ["in the way: KVM"]),
    # processors
    "AMD": (cpu("svm", "AuthenticAMD"), {}, ["SVM", "has no VT-x"], ["nested", READY]),
    "AMD in a VM": (cpu("hypervisor", "AuthenticAMD"), {"virt": "kvm"},
                    ["SVM", "has no VT-x", "virtual machine (KVM)"],
                    ["nested", "does not pass", "how-to/virtual-machine"]),
    "no VMX": (cpu(""), {}, ["the CPU lacks it, or the firmware", "shows no VT-x"], ["below"]),
    "firmware, by the log": (cpu(""), {"log": "[ 0.1] x86/cpu: VMX (outside TXT) disabled by BIOS"},
                             ["log says: x86/cpu: VMX", "the firmware switched VT-x off"], [READY]),
    # virtual machines
    "VM with VMX": (cpu("vmx hypervisor"), {"virt": "kvm"}, [READY, "a virtual machine (KVM)"],
                    ["does not pass"]),
    "KVM below": (VM, {"virt": "kvm"}, ["(KVM)", "nested=1", "host-passthrough", "-cpu host",
                                        "nested virtualization is off"], ["firmware switched"]),
    "QEMU's TCG below": (VM, {"virt": "qemu"}, ["TCG", "-accel kvm -cpu host"], ["nested=1"]),
    "QEMU by DMI": ({**VM, DMI + "sys_vendor": "QEMU"}, {}, ["(KVM)", "host-passthrough"], []),
    "VMware by DMI": ({**VM, DMI + "sys_vendor": "VMware, Inc."}, {"virt": "none"},
                      ["(VMware) does not pass", "Virtualize Intel VT-x/EPT or AMD-V/RVI",
                       'vhv.enable = "TRUE"', "how-to/virtual-machine"], ["KVM"]),
    "VirtualBox by DMI": ({**VM, DMI + "sys_vendor": "innotek GmbH"}, {},
                          ["Enable Nested VT-x/AMD-V", "--nested-hw-virt on"], ["KVM"]),
    "VirtualBox": (VM, {"virt": "oracle"}, ["modifyvm NAME --nested-hw-virt on"], []),
    "Hyper-V by DMI": ({**VM, DMI + "sys_vendor": "Microsoft Corporation",
                        DMI + "product_name": "Virtual Machine"}, {},
                       ["(Hyper-V)", "-ExposeVirtualizationExtensions $true"], ["WSL"]),
    "WSL2": ({**VM, "proc/version": f"Linux version {WSL}"}, {"virt": "microsoft", "release": WSL},
             ["(WSL2)", "nestedVirtualization=true", "missing; this kernel is not Debian's",
              "use the lab", "how-to/virtual-machine"], ["Set-VMProcessor", "apt install"]),
    "Xen": ({**cpu(""), "sys/hypervisor/type": "xen"}, {}, ["(Xen)", silicon.ANY_SWITCH], []),
    "an unknown hypervisor": (VM, {"virt": "vm-other"}, ["an unknown one", silicon.ANY_SWITCH], []),
    # kernels
    "no headers": (BARE, {}, ["missing; sudo apt install linux-headers-" + DEBIAN,
                              "own-machine"], [READY, "points to"]),
    "old": ({}, {"release": "5.10.0-30-amd64"}, ["older than Linux 6.1"], [READY]),
    "nobody's distribution": (system("gentoo"), {"release": "6.12.1-gentoo"},
                              ["which package of gentoo made up"], ["install linux"]),
    # who may load what
    "sig_enforce": ({SIG: "Y"}, {}, ["unsigned modules are refused by module.sig_enforce",
                                     "how-to/secure-boot"], [READY, "by lockdown"]),
    "lockdown": ({LOCKDOWN: "none [integrity] confidentiality"}, {},
                 ["refused by lockdown (integrity)", "integrity: even of a signed module",
                  "(guest, run) give EPERM"], [READY, "module.sig_enforce"]),
    "lockdown and sig_enforce": ({LOCKDOWN: "none integrity [confidentiality]", SIG: "Y"}, {},
                                 ["module.sig_enforce and lockdown (confidentiality)"], [READY]),
    "Secure Boot alone": (SECURE_BOOT, {}, [READY, "on (which by itself refuses no module"],
                          ["unsigned"]),
    "Secure Boot, lockdown unseen": ({**SECURE_BOOT, LOCKDOWN: None}, {},
                                     ["Perhaps in the way: Secure Boot is on", READY], ["EPERM"]),
    "no lockdown in this kernel": ({LOCKDOWN: None, SIG: None, "sys/kernel/security/lsm": "yama"},
                                   {}, [READY, "not in this kernel"], ["not visible"]),
    "a kernel without modules": ({"proc/modules": None}, {}, ["cannot load any module"], [READY]),
    "modules_disabled": ({"proc/sys/kernel/modules_disabled": "1\n"}, {},
                         ["modules_disabled is 1"], [READY]),
    "a container": ({"proc/self/status": "CapBnd:\t00000000a80425fb\n"}, {}, ["a container?"],
                    [READY]),
    "all at once": ({**KVM_LOADED, **BARE, SIG: "Y"}, {}, ["KVM holds VMX", "headers are missing",
                                                           "refused by module.sig"], [READY]),
}


def make(folder: Path, changes: dict[str, str | None], **about: str) -> silicon.Host:
    """A machine in a folder: GOOD with changes."""
    for path, text in {**GOOD, **changes}.items():
        if text is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    return silicon.Host(folder, **{"release": DEBIAN, **about})


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_said_of_a_machine(name: str, tmp_path: Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    changes, about, has, has_not = MACHINES[name]
    verdict = check._silicon(make(tmp_path, changes, **about)).verdict()
    report = capsys.readouterr().out + verdict
    assert [words for words in has if words not in report] == [], report
    assert [words for words in has_not if words in report] == [], report
    named = re.findall(r"\[docs/(\S+)\]", verdict)
    assert named and all((ROOT / "docs" / page).exists() for page in named), verdict


@pytest.mark.parametrize("value, words", [
    (0x1, ["locked, VMX off", "the firmware switched VT-x off"]), (0x5, ["locked, VMX on"]),
    (0x0, ["not locked", "shows no VT-x"])])
def test_the_firmware_lock_is_read(value: int, words: list[str], tmp_path: Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    host = make(tmp_path, {**cpu(""), "dev/cpu/0/msr": None})
    (tmp_path / "dev/cpu/0").mkdir(parents=True)
    (tmp_path / "dev/cpu/0/msr").write_bytes(bytes(0x3A) + struct.pack("<Q", value))
    report = check._silicon(host).verdict() + capsys.readouterr().out
    assert all(word in report for word in words), report


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    host = make(tmp_path, BARE)
    (tmp_path / "lib/modules" / DEBIAN).mkdir(parents=True)
    (tmp_path / "lib/modules" / DEBIAN / "build").symlink_to(tmp_path / "usr/src/gone")
    assert "usr/src/gone, where none are" in silicon.look(host).rows["kernel headers"]


@pytest.mark.parametrize("distribution, like, release, command", [
    ("debian", "", DEBIAN, "apt install linux-headers-" + DEBIAN),
    ("debian", "", "6.1.0-56-cloud-amd64", "apt install linux-headers-6.1.0-56-cloud-amd64"),
    ("kali", "debian", "6.12.25-amd64", "apt install linux-headers-6.12.25-amd64"),
    ("debian", "", "6.8.12-4-pve", ""), ("debian", "", WSL, ""), ("debian", "", "6.12.0", ""),
    ("ubuntu", "debian", "6.14.0-24-generic", "apt install linux-headers-6.14.0-24-generic"),
    ("mint", "ubuntu debian", "6.8.0-51-generic", "apt install linux-headers-6.8.0-51-generic"),
    ("ubuntu", "debian", "6.8.0-1015-azure", "apt install linux-headers-6.8.0-1015-azure"),
    ("ubuntu", "debian", "6.12.0-061200-generic", ""), ("ubuntu", "debian", WSL, ""),
    ("pop", "ubuntu debian", "6.9.3-76060903-generic", ""),
    ("fedora", "", "6.18.8-200.fc43.x86_64", "dnf install kernel-devel-6.18.8-200.fc43.x86_64"),
    ("fedora", "", "6.18.0", ""),
    ("arch", "", "6.18.13-arch1-1", "pacman -S linux-headers"),
    ("arch", "", "6.12.70-1-lts", "pacman -S linux-lts-headers"),
    ("endeavouros", "arch", "6.18.1-zen1-1-zen", "pacman -S linux-zen-headers"),
    ("cachyos", "arch", "6.12.7-2-cachyos-lts", ""), ("manjaro", "arch", "6.12.4-1-MANJARO", ""),
    ("opensuse-tumbleweed", "opensuse suse", "6.18.2-1-default",
     "zypper install kernel-default-devel"),
    ("gentoo", "", "6.12.1-gentoo", ""),
])
def test_headers_have_one_package_or_none(distribution: str, like: str, release: str, command: str,
                                          tmp_path: Path) -> None:
    """./lab check and make say the same, and name no package that does not exist."""
    host = make(tmp_path, {**BARE, **system(distribution, like)}, release=release)
    said = subprocess.run(
        ["make", "-s", "-C", ROOT / "step02-vmxon", "KDIR=/nowhere", f"release={release}",
         f"OS_RELEASE={tmp_path}/etc/os-release"], capture_output=True, text=True, check=False)
    for text in (said.stderr.splitlines()[0], silicon.headers_help(host)):
        assert ("sudo " in text) == bool(command) and command in text, text
        assert command or not re.search(r"-headers|-devel|install", text), text


def test_the_page_names_the_same_switches() -> None:
    """In a virtual machine: the book and ./lab check agree on every name and every switch."""
    page = (ROOT / "docs/how-to/virtual-machine.rst").read_text(encoding="utf-8")
    switches = ["nested=1", "host-passthrough", "-cpu host", 'vhv.enable = "TRUE"',
                "Virtualize Intel VT-x/EPT or AMD-V/RVI", "--nested-hw-virt on",
                "Enable Nested VT-x/AMD-V", "-ExposeVirtualizationExtensions $true",
                "nestedVirtualization=true"]
    said = " ".join(how for _, how in silicon.HYPERVISORS.values())
    names = [name for name, _ in silicon.HYPERVISORS.values()]
    assert [words for words in switches + names if words not in page] == []
    assert [words for words in switches if words not in said] == []
