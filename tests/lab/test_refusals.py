# SPDX-License-Identifier: GPL-2.0-only
# long-file: one matrix, whose rows use the same few helpers.
"""The refusal matrix: each step where something is in its way.

A step that cannot do its work must not load, must say why in one sentence at error level, must give
the errno of the contract, and must leave the machine as it was.
"""
from __future__ import annotations

import errno
import re

import extras
import pytest
from attempts import STEPS, attempts, expect, write_row
from extras import in_guest
from guest import NEWER, OLDER, Case, Guest

from lab import kernels
from lab.machine import models

KVM = ("irqbypass", "kvm", "kvm-intel")
WITH_KVM = tuple(Guest(kernel, kernel_modules=KVM, tag="kvm") for kernel in (OLDER, NEWER))
TWO = (Guest(OLDER, cpus=2), Guest(NEWER, cpus=2))
NO_VMX = (Guest(OLDER, "prescott"), Guest(OLDER, "venice"), Guest(NEWER, "trinity"))
PENRYN = Guest(OLDER, "penryn")
#: Steps that ask only of the CPU on which they are loaded.
ON_ONE_CPU = ("step03_vmcs", "step04_launch", "step05_exits", "step07_ept",
              "step08_real_mode", "step09_interrupts", "step10_linux")

EACH_STEP = "with_stranger; each_step; rmmod stranger"
ON_CPU_0, ON_CPU_1 = (f"taskset {mask} sh -c '. /lab/library; . /lab/extra/library; each_step'"
                      for mask in (1, 2))


@in_guest(NO_VMX, EACH_STEP)
def test_cpu_without_vmx(case: Case) -> None:
    expect(case, "the CPU has no VMX", "ENODEV", r"has no VMX .*\./lab run")


# ---- the firmware ----------------------------------------------------------------------------

LOCKED_OFF = Guest(OLDER, bios=extras.bios("locked off"), tag="locked-off")
UNLOCKED = Guest(OLDER, bios=extras.bios("unlocked"), tag="unlocked")
# Linux locks the register itself, with VMX on, but only on CPUs that call themselves Intel's.
UNLOCKED_STAYS = Guest(OLDER, "generic", bios=extras.bios("unlocked"), tag="unlocked")
HALF_LOCKED = Guest(OLDER, cpus=2, bios=extras.bios("locked off on others"), tag="half-locked")


@in_guest(LOCKED_OFF, EACH_STEP)
def test_firmware_locked_vmx_off(case: Case) -> None:
    expect(case, "the firmware locked VMX off", "EACCES", r"locked VMX off .*set-up")


@in_guest(UNLOCKED, EACH_STEP)
def test_firmware_left_vmx_to_linux(case: Case) -> None:
    expect(case, "the firmware left VMX unlocked; Linux locks it, with VMX on", "loads", "")


@pytest.mark.skipif(UNLOCKED_STAYS.model() not in models(),
                    reason="this Bochs has VMX only in models that call themselves Intel's")
@in_guest(UNLOCKED_STAYS, EACH_STEP)
def test_vmx_stays_unlocked(case: Case) -> None:
    expect(case, "the firmware left VMX unlocked, and Linux too", "EACCES",
           r"unlocked .*set-up")


@in_guest(HALF_LOCKED, f"with_stranger; {ON_CPU_1}; rmmod stranger")
def test_firmware_locked_vmx_off_on_one_cpu(case: Case) -> None:
    expect(case, "the firmware locked VMX off on CPU 1, where the step is loaded", "EACCES",
           r"locked VMX off .*set-up")


@in_guest(HALF_LOCKED, f"with_stranger; {ON_CPU_0}; rmmod stranger")
def test_firmware_locked_vmx_off_on_another_cpu(case: Case) -> None:
    expect(case, "the firmware locked VMX off on CPU 1, the step is loaded on CPU 0", "EACCES",
           r"locked VMX off .*set-up", spared=ON_ONE_CPU)


# ---- who else wants VMX ----------------------------------------------------------------------

#: Step 11 stays, so it refuses whoever may want VMX later, whether VMX is in use or not.
BESIDE_KVM = {"step11_late_launch": ("EBUSY", r"kvm_intel is loaded .*rmmod kvm_intel")}


@in_guest(WITH_KVM, "with_stranger; with_kvm; each_step; without_kvm; rmmod stranger")
def test_kvm_is_loaded(case: Case) -> None:
    """Newer kernels' KVM holds VMX as soon as it is loaded, older ones' only with a machine."""
    if kernels.described(case.guest.kernel).kvm_holds_vmx:
        expect(case, "kvm_intel is loaded", "EBUSY", r"CR4\.VMXE .*rmmod kvm_intel",
               others=BESIDE_KVM)
    else:
        expect(case, "kvm_intel is loaded", "loads", "", others=BESIDE_KVM)


@in_guest(WITH_KVM, """
    with_stranger; with_kvm; in_vm each_step; without_kvm; rmmod stranger""")
def test_kvm_runs_a_machine(case: Case) -> None:
    expect(case, "KVM runs a virtual machine", "EBUSY", r"CR4\.VMXE .*rmmod kvm_intel",
           others=BESIDE_KVM)


@in_guest(WITH_KVM, """
    with_stranger; with_kvm; in_vm true; without_kvm; each_step; rmmod stranger""")
def test_kvm_was_unloaded(case: Case) -> None:
    expect(case, "kvm_intel was loaded, and is unloaded again", "loads", "")


@in_guest(TWO[0], f"with_stranger; hold 1; {ON_CPU_1}; rmmod stranger")
def test_stranger_holds_vmx_here(case: Case) -> None:
    expect(case, "CR4.VMXE is set on CPU 1, where the step is loaded", "EBUSY", r"CR4\.VMXE")


@in_guest(TWO[0], f"with_stranger; hold 1; {ON_CPU_0}; rmmod stranger")
def test_stranger_holds_vmx_on_another_cpu(case: Case) -> None:
    expect(case, "CR4.VMXE is set on CPU 1, the step is loaded on CPU 0", "EBUSY", r"CR4\.VMXE",
           spared=ON_ONE_CPU)


#: A step with a guest that runs while another step is loaded.
NEIGHBOURS = {
    "step05_exits": """load step05_exits limit_ms=60000 || fail "step05: $?"
        $X/probe write $X/endless /sys/kernel/debug/step05_exits/guest & guest=$!""",
    "step06_vmxoff": """load step06_vmxoff || fail "step06: $?"
        guest=""",
}


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
@in_guest(TWO[1], lambda neighbour: f"""
    with_stranger
    {NEIGHBOURS[neighbour]}
    sleep 0.1; renice -n -19 $$ # the guest takes what is left
    for each in $STEPS; do [ $each = {neighbour} ] || attempt $each; done
    [ -z "$guest" ] || {{ kill $guest; wait $guest; echo "guest $?"; }}
    cat /sys/kernel/debug/step06_vmxoff/cpus 2>/dev/null
    unload {neighbour}; rmmod stranger""")
def test_another_step_runs_a_guest(neighbour: str, case: Case) -> None:
    """Both work: no scope sees the other's. Only step 11, which stays in VMX operation, refuses."""
    problems = []
    for attempt in attempts(case.output):
        expected = "EBUSY" if attempt.step == "step11_late_launch" else "loads"
        problems += attempt.problems(expected, rf"{neighbour} is loaded .*rmmod {neighbour}")
        write_row(case.guest, f"{neighbour} runs a guest", attempt, expected)
    assert not problems, "\n".join([*problems, repr(case)])
    assert len(attempts(case.output)) == len(STEPS) - 1, case.output
    assert not case.trouble and not case.left, case
    if neighbour == "step05_exits":
        assert f"guest {128 + 15}" in case.output or f"guest {errno.EINTR}" in case.output, \
            case.output
    else:
        assert len(re.findall(r"^\d+  running", case.output, re.MULTILINE)) == 2, case.output


# ---- how it is loaded ------------------------------------------------------------------------

@in_guest(PENRYN, EACH_STEP)
def test_cpu_with_the_least_vmx(case: Case) -> None:
    expect(case, "no EPT, no unrestricted guest, no VMX-preemption timer, no EFER controls",
           "loads", "", others={
               **dict.fromkeys(
                   ("step07_ept", "step08_real_mode", "step09_interrupts", "step10_linux"),
                   ("ENOTSUP", r'lacks "Activate VMX-preemption timer" .*needs')),
               "step11_late_launch": ("ENOTSUP", r'lacks "Enable EPT" .*needs')})


#: Parameters with values that are refused, and the words for it (our own or the kernel's).
BAD = (
    ("step04_launch", "spoil=nonsense", "spoil=nonsense is unknown: give none, control,"),
    ("step04_launch", "spoil=", "spoil= is unknown"),
    ("step05_exits", "limit_ms=0", "limit_ms=0 is not possible: .*1 or more"),
    ("step05_exits", "limit_ms=-1", "limit_ms=-1 is not possible"),
    ("step05_exits", "limit_ms=4294967296", "limit_ms=4294967296 is not possible"),
    ("step05_exits", "limit_ms=soon", "limit_ms=soon is not possible"),
    ("step05_exits", "trace=perhaps", "invalid for parameter `trace'"),
    *((step, parameter, f"{parameter} is not possible: {words}")
      for step in ("step07_ept", "step08_real_mode", "step09_interrupts", "step10_linux")
      for parameter, words in (
          ("memory_mb=0", ".* 1 to 512"), ("memory_mb=513", ".* 1 to 512"), ("memory_mb=-1", ""),
          ("memory_mb=x", ""))),
    ("step08_real_mode", "limit_ms=0", "limit_ms=0 is not possible: .*1 or more"),
    ("step07_ept", "spoil=guest", "spoil=guest is unknown: give none, misconfig or eptp"),
    *((step, "keys=é", "keys= is not possible: give characters of ASCII, and .r")
      for step in ("step08_real_mode", "step09_interrupts")),
    *(("step10_linux", f"entry={value}", f"entry={value} is not possible: give 32 or 64")
      for value in ("0", "16", "x")),
    ("step06_vmxoff", "dying_cpu=none", "invalid for parameter `dying_cpu'"),
    *((step, f"fail_at={value}", "invalid for parameter `fail_at'") for step in STEPS[1:]
      for value in ("garbage", "-1")),
)


@in_guest(WITH_KVM[1], "with_stranger\n" + "\n".join(
    f"attempt {step} '{parameter}'" for step, parameter, _ in BAD) + "\nrmmod stranger")
def test_bad_parameters(case: Case) -> None:
    seen = attempts(case.output)
    assert len(seen) == len(BAD), case.output
    problems = []
    for attempt, (step, parameter, words) in zip(seen, BAD):
        assert attempt.step == step
        problems += [f"{parameter}: {text}" for text in attempt.problems("EINVAL", words)]
        write_row(case.guest, f"parameter {parameter}", attempt, "EINVAL")
    assert not problems, "\n".join([*problems, repr(case)])
    assert not case.trouble and not case.left, case


@in_guest(WITH_KVM[1], """
    with_stranger; for each in $STEPS; do attempt -u $each; done; rmmod stranger""")
def test_loading_without_root(case: Case) -> None:
    """Linux refuses before the module is looked at, so there is no line of ours."""
    expect(case, "insmod by a user without privileges", "EPERM", "", modest="EPERM")


DEBUGFS_OFF = Guest(OLDER, command_line="debugfs=off", tag="debugfs-off")


@in_guest(DEBUGFS_OFF, EACH_STEP)
def test_debugfs_is_off(case: Case) -> None:
    expect(case, "debugfs=off on the kernel's command line", "loads", "")
    for attempt in attempts(case.output):
        with_files = attempt.step not in ("step00_makefile", "step02_vmxon", "step04_launch")
        said = [text for _, text in attempt.lines if "debugfs is switched off" in text]
        assert len(said) == with_files, (attempt, case)


LOCKED_DOWN = Guest(OLDER, tag="locked-down")


@in_guest(LOCKED_DOWN, """
    load step05_exits || fail "step05: $?"
    load step09_interrupts memory_mb=1 || fail "step09: $?"
    mount -t securityfs none /sys/kernel/security
    cat /sys/kernel/security/lockdown
    echo integrity >/sys/kernel/security/lockdown
    grep -c . /sys/kernel/debug/step05_exits/exits
    probe write $X/exit /sys/kernel/debug/step05_exits/guest; echo "guest $?"
    probe write $X/exit /sys/kernel/debug/step09_interrupts/guest; echo "guest of step 09: $?"
    echo 0 >/run/zero; probe write /run/zero /sys/kernel/debug/step09_interrupts/run
    echo "run of step 09: $?"
    grep -c state= /sys/kernel/debug/step09_interrupts/status
    unload step09_interrupts && unload step05_exits || fail "unload: $?"
    each_step
    echo "@signatures"
    echo 1 >/sys/module/module/parameters/sig_enforce
    each_step
    """)
def test_lockdown(case: Case) -> None:
    """Linux refuses unsigned modules, and lets the files of loaded ones be read but not written."""
    before, _, enforced = case.output.partition("@signatures")
    assert "guest 1\n" in before, case.output  # EPERM
    assert "guest of step 09: 1\nrun of step 09: 1\n1\n" in before, case.output
    assert re.search(r"^[1-9]\d*$", before, re.MULTILINE), "exits could not be read"
    for situation, output, expected in (("lockdown=integrity", before, "EPERM"),
                                        ("module.sig_enforce=1", enforced, "EKEYREJECTED")):
        seen = attempts(output)
        assert [attempt.step for attempt in seen] == STEPS, output
        problems = []
        for attempt in seen:
            problems += attempt.problems(expected, "")
            write_row(case.guest, f"{situation}, and the module is not signed", attempt, expected)
        assert not problems, "\n".join([*problems, repr(case)])
    assert "unsigned module loading is restricted" in case.log, case
    assert not case.trouble, case


# ---- what steps ask for on purpose ------------------------------------------------------------

#: The values of step 04's parameter spoil, and what the log must name.
SPOILED = {
    "control": "VMfailValid, VM-instruction error 7:",
    "host": "VMfailValid, VM-instruction error 8:",
    "guest": "VM entry failed: exit reason 0x80000021",
    "msr": "VM entry failed: exit reason 0x80000022",
}


@in_guest([*WITH_KVM, PENRYN], "with_stranger\n" + "\n".join(
    f"attempt step04_launch spoil={value}" for value in SPOILED) + "\nrmmod stranger")
def test_spoiled_entries_fail_as_asked(case: Case) -> None:
    seen = attempts(case.output)
    assert len(seen) == len(SPOILED), case.output
    for attempt, (value, words) in zip(seen, SPOILED.items()):
        texts = [text for _, text in attempt.lines]
        assert attempt.status == 0, (value, attempt, case)
        assert not attempt.changed, (value, attempt, case)
        named = [text for text in texts for other in SPOILED.values() if other in text]
        assert len(named) == 1 and words in named[0], (value, texts, case)
    assert not case.trouble and not case.left, case


# ---- VMX taken away while a guest runs --------------------------------------------------------

@in_guest(TWO[0], """
    with_stranger
    load step05_exits limit_ms=60000 || fail "step05: $?"
    taskset 2 $X/probe write $X/endless /sys/kernel/debug/step05_exits/guest & guest=$!
    sleep 0.3; hold 1
    wait $guest; echo "guest $?"
    hold -1
    probe write $X/exit /sys/kernel/debug/step05_exits/guest; echo "again $?"
    unload step05_exits; rmmod stranger""")
def test_vmx_is_taken_from_a_guest_of_step05(case: Case) -> None:
    assert f"guest {errno.EBUSY}" in case.output and "again 0" in case.output, case.output
    assert "CR4.VMXE" in case.log and not case.trouble, case


@in_guest(TWO[0], """
    with_stranger
    load step06_vmxoff || fail "step06: $?"
    hold 1; sleep 0.3
    cat /sys/kernel/debug/step06_vmxoff/cpus; sleep 0.2; echo
    cat /sys/kernel/debug/step06_vmxoff/cpus
    cr4
    hold -1; unload step06_vmxoff; rmmod stranger""")
def test_vmx_is_taken_from_a_guest_of_step06(case: Case) -> None:
    first, second = (dict(re.findall(r"^(\d)  (\w+  \d+)", part, re.MULTILINE))
                     for part in case.output.split("\n\n"))
    assert first["0"].startswith("running") and first["0"] != second["0"], case.output
    assert first["1"].startswith("ended") and first["1"] == second["1"], case.output
    assert len(re.findall(r"CR4\.VMXE", case.log)) == 1, case
    assert "VMXOFF faults on every logical processor (2)" in case.log and not case.trouble, case
