# SPDX-License-Identifier: GPL-2.0-only
"""What tests put into the emulated machine beside the steps: programs, modules, BIOS images."""
from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, Dict, Iterable, Union

import guest
import pytest

import host_builds
from lab import kernels
from lab.common import BUILD, LabError

Files = Dict[str, Union[bytes, str, Path]]

PLACE = BUILD / "tests" / "bios"
BIOS = Path("/usr/share/bochs/BIOS-bochs-latest")

#: MOV ECX, 3Ah; RDMSR; OR EAX, 5; WRMSR: the BIOS allows VMX and locks IA32_FEATURE_CONTROL. With
#: operand-size prefixes it is 16-bit code, which the processors started by the first one run.
_LOCKING = re.compile(rb"(\x66?)\xb9\x3a\x00\x00\x00\x0f\x32\x66?\x83\xc8\x05\x0f\x30")


def bios(kind: str) -> Path:
    """A BIOS image whose firmware treats VMX in another way than Debian's, made from Debian's.

    "locked off": VMX is not allowed, and IA32_FEATURE_CONTROL is locked. "locked off on others":
    the same on all processors but the first. "unlocked": the register stays as after reset.
    """
    image = BIOS.read_bytes()
    sites = list(_LOCKING.finditer(image))
    if sorted(len(site[1]) for site in sites) != [0, 1]:
        raise LabError(f"{BIOS} has no longer two places that lock IA32_FEATURE_CONTROL")
    patched = bytearray(image)
    for site in sites:
        if kind == "locked off" or kind == "locked off on others" and site[1]:
            patched[site.end() - 3] = 1  # OR EAX, 1: the lock bit alone
        elif kind == "unlocked":
            patched[site.end() - 2:site.end()] = b"\x90\x90"  # NOPs for WRMSR
    target = PLACE / kind.replace(" ", "-")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_bytes() != patched:
        target.write_bytes(patched)
    return target


#: Shell functions for scripts that use what files() brings.
LIBRARY = r"""
X=/lab/extra
VERSION=$(uname -r | cut -d. -f1,2)
# probe WORDS …: programs/probe.c; in the background call $X/probe, whose process is then $!
probe() { $X/probe "$@"; }
# with_stranger: the module that shows CR4 and can hold VMX
with_stranger() { insmod $X/stranger-$VERSION.ko || fail "no stranger"; }
hold() { echo $1 >/sys/module/stranger/parameters/hold || fail "cannot hold VMX on cpu $1"; }
cr4() { cat /sys/module/stranger/parameters/cr4 2>/dev/null; }
# pages: how many are free, with those that each CPU keeps at hand
pages() {
  cat /proc/sys/vm/stat_refresh
  awk '$1 == "pages" && $2 == "free" { n += $3 } $1 == "count:" { n += $2 } END { print n }' \
    /proc/zoneinfo
}
# with_kvm, without_kvm: Debian's KVM
with_kvm() {
  [ -e /lab/kernel/irqbypass.ko ] && insmod /lab/kernel/irqbypass.ko
  insmod /lab/kernel/kvm.ko && insmod /lab/kernel/kvm-intel.ko || fail "no KVM"
}
without_kvm() {
  rmmod kvm_intel && rmmod kvm || fail "KVM does not unload"
  [ -e /lab/kernel/irqbypass.ko ] && rmmod irqbypass
  true
}
# in_vm COMMAND …: the command while a virtual machine of KVM exists
in_vm() {
  $X/probe kvm 600 >/run/vm & vm=$!
  for i in $(seq 60); do grep -q running /run/vm && break; sleep 0.5; done
  grep -q running /run/vm || fail "KVM runs no virtual machine: $(cat /run/vm)"
  "$@"
  kill $vm; wait $vm
}
STEPS="step00_makefile step01_vmx_check step02_vmxon step03_vmcs step04_launch step05_exits
       step06_vmxoff step07_ept step08_real_mode step09_interrupts step10_linux
       step11_late_launch"
# attempt [-u] STEP [PARAMETERS]: loads a step and unloads it again. Prints what happened in a form
# that tests read: errno, CR4 of all CPUs, free pages, and the step's lines in the log. (Not by
# busybox's insmod: it tries a second time when the first one fails, so refusals come twice.)
attempt() {
  word=insmod
  [ "$1" = -u ] && { word=insmod-unprivileged; shift; }
  step=$1; cr4=$(cr4); free=$(pages); number=$((number + 1))
  echo "@@TRY $CASE.$$.$number" >/dev/kmsg
  probe $word $M/$step.ko "$2"; status=$?
  after=$(cr4)
  listed=$(grep -c "^$step " /proc/modules)
  if [ $status = 0 ]; then sleep 0.1; rmmod $step || echo "rmmod $step failed"; fi
  sleep 0.1
  [ "$(cr4)" = "$after" ] || after="$after, then $(cr4)"
  echo "@try $step $status $listed $(($free - $(pages))) $cr4"
  [ "$after" = "$cr4" ] || echo "@cr4 $after"
  dmesg -r | sed "1,/@@TRY $CASE\.$$\.$number\$/d" |
    sed -n "s/^\(<[0-9]*>\)\[[^]]*\] $step: /@log \1 /p"
}
each_step() { for each in $STEPS; do attempt $each; done; }
"""


def files() -> Files:
    """What LIBRARY uses; for every kernel, since a test's files do not depend on its guest."""
    found: Files = {"lab/extra/probe": host_builds.probe(), "lab/extra/library": LIBRARY,
                    "lab/extra/endless": b"\xeb\xfe",  # guests of step 05: jmp .
                    "lab/extra/exit": b"\xf4"}  # and hlt
    for kernel in kernels.BOOTABLE:
        name = f"lab/extra/stranger-{kernels.number(kernel)}.ko"
        found[name] = host_builds.kernel_module("stranger", kernel)
    return found


def in_guest(guests: guest.Guest | Iterable[guest.Guest], script: guest.Script, *,
             seconds: int = 240, ends: str = "") -> pytest.MarkDecorator:
    """guest.in_guest() for a script that uses LIBRARY."""
    def whole(**values: Any) -> str:
        text = script(**values) if callable(script) else script
        return f". /lab/extra/library\n{text}"

    if callable(script):
        whole.__signature__ = inspect.signature(script)  # type: ignore[attr-defined]
    else:
        whole.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
    return guest.in_guest(guests, whole, files=files, seconds=seconds, ends=ends)
