# SPDX-License-Identifier: GPL-2.0-only
"""./lab run --kvm: when it is refused, and its way through QEMU, here without KVM and without VMX.

Nothing here shows what --kvm does on an Intel processor.
"""
from __future__ import annotations

import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from lab import bochs, build, packages, qemu, run as lab_run
from lab.common import UsageError, choose_steps
from lab.silicon import Host

GOOD = {"proc/cpuinfo": "vendor_id\t: GenuineIntel\nflags\t\t: fpu vmx sse\n", "dev/kvm": "",
        qemu.NESTED: "Y\n"}
OF_A_CONTAINER = {"run/.containerenv": ""}


def made_up(root: Path, files: dict[str, str | None]) -> Host:
    """A machine on which --kvm works, but for some files. None: there is none."""
    for name, text in {**GOOD, **files}.items():
        if text is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return Host(root=root)


@pytest.mark.parametrize("files, reason", [
    ({"proc/cpuinfo": "CPU implementer\t: 0x41\n"}, "not an x86 one"),
    ({"proc/cpuinfo": "vendor_id\t: AuthenticAMD\nflags\t: svm\n"}, "AMD's have SVM"),
    ({"proc/cpuinfo": "vendor_id\t: GenuineIntel\nflags\t: fpu\n"}, "shows no VT-x. ./lab check"),
    ({"dev/kvm": None}, "no /dev/kvm. Load KVM: sudo modprobe kvm_intel"),
    ({"dev/kvm": None, **OF_A_CONTAINER}, "must be started with --device /dev/kvm"),
    ({qemu.NESTED: None}, "KVM is not loaded"),
    ({qemu.NESTED: "N\n"}, "nested is off.*rmmod kvm_intel; .*`options kvm_intel nested=1"),
    ({qemu.NESTED: "0\n"}, "nested is off"),
])
def test_what_cannot_be_is_refused_in_words(
        tmp_path: Path, files: dict[str, str | None], reason: str) -> None:
    with pytest.raises(UsageError, match=f"--kvm: .*{reason}"):
        qemu.Machine(host=made_up(tmp_path, files)).check()


@pytest.mark.parametrize("files, cure", [({}, "usermod -aG kvm"), (OF_A_CONTAINER, "--group-add")])
def test_who_may_not_use_kvm_is_told_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                         files: dict[str, str | None], cure: str) -> None:
    machine = qemu.Machine(host=made_up(tmp_path, files))
    machine.check()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: (
        path != tmp_path / "dev/kvm" and allowed(path, mode)))
    with pytest.raises(UsageError, match=cure):
        machine.check()


@pytest.mark.parametrize("nested", ["Y\n", "1\n"])
def test_an_intel_host_with_nested_vmx_is_accepted(tmp_path: Path, nested: str) -> None:
    qemu.Machine(host=made_up(tmp_path, {qemu.NESTED: nested})).check()


def test_a_refusal_comes_before_anything_is_done(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((bochs, "boot_folder"), (build, "build"), (packages, "ensure")):
        monkeypatch.setattr(module, name, lambda *args: pytest.fail("not before the refusal"))
    with pytest.raises(UsageError, match="nested"):
        lab_run.run(choose_steps(["00"]), qemu.Machine(host=made_up(tmp_path, {qemu.NESTED: "N"})),
                    [])


# --- the way through QEMU ---------------------------------------------------------------------

EMULATED = qemu.Machine(accelerator="tcg", cpu="max")
SYSRQ = "echo 1 >/proc/sys/kernel/sysrq; echo {} >/proc/sysrq-trigger; sleep 9\n"


def test_steps_run_in_qemu_and_find_no_vmx(capsys: pytest.CaptureFixture[str]) -> None:
    """The kernel, the initramfs and the script of ./lab run are what Bochs gets."""
    assert lab_run.run(choose_steps(["00", "01", "02"]), EMULATED, [], yes=True) == 1
    said = capsys.readouterr().out
    assert re.search(r"^Booted Linux [\d.]+, TCG, 1 CPU: ", said, re.MULTILINE), said
    assert "step01_vmx_check: CPUID.1:ECX[5] is 0: this CPU has no VMX" in said
    results = re.findall(r"^step(\d\d)\S+ +(ok|refused: \w+)", said, re.MULTILINE)
    assert results == [("00", "ok"), ("01", "ok"), ("02", "refused: ENODEV")], said


@pytest.mark.parametrize("kind, scenario, command_line", [
    ("panic", SYSRQ.format("c"), ""),
    ("reboot", "reboot -f; sleep 9\n", ""),
    ("triple fault", SYSRQ.format("b"), "reboot=t"),  # Linux resets the machine by one
], ids=["panic", "reboot", "triple fault"])
def test_ends_of_qemu_are_told_apart(kind: str, scenario: str, command_line: str) -> None:
    """Its exit status is 0 for each of them, and for a power-off."""
    machine = replace(EMULATED, command_line=command_line)
    boot = qemu.Boot(bochs.boot_folder("qemu"), machine, {"lab/scenario": scenario})
    outcome = boot.run(limit=300)
    assert outcome.kind == kind and outcome.came_up, boot.explain(outcome)


@pytest.mark.parametrize("said, status, kind, words", [
    ("qemu-system-x86_64: no such disk\n", 1, "emulator", "status 1: qemu-system-x86_64: no such"),
    ("qemu-system-x86_64: terminating on signal 15 from pid 1 (sh)\n", 0, "killed", "killed"),
    ("", -signal.SIGXFSZ, "log size", "MiB"),
])
def test_what_qemu_says_is_passed_on(
        tmp_path: Path, said: str, status: int, kind: str, words: str) -> None:
    outcome = of_a_log(tmp_path, said).ending(status)
    assert outcome.kind == kind and words in outcome.sentence


def test_qemu_that_only_waits_is_noticed(tmp_path: Path) -> None:
    """That is what it does when KVM gives up."""
    assert of_a_log(tmp_path, "qemu-system-x86_64: warning: x\n").stopped() is None
    outcome = of_a_log(tmp_path, "KVM: entry failed, hardware error 0x80000021\nEAX=1\n").stopped()
    assert outcome and outcome.sentence.endswith("hardware error 0x80000021")


def of_a_log(folder: Path, text: str) -> qemu.Boot:
    """A boot that never ran, with what QEMU said in it."""
    boot = object.__new__(qemu.Boot)
    boot.log, boot.console = folder / "qemu.log", folder / "console.log"
    boot.log.write_text(text)
    return boot
