# SPDX-License-Identifier: GPL-2.0-only
"""The VMCS doctor inside the steps, and what the command-line doctor makes of step 03's file."""
from __future__ import annotations

import json
import os
import re
import subprocess

import host_builds
from attempts import attempts
from extras import in_guest
from guest import NEWER, OLDER, Case, Guest
from guest import in_guest as in_plain_guest

from lab.common import ROOT

HASWELL = Guest(OLDER)
WITH_KVM = tuple(Guest(kernel, kernel_modules=("irqbypass", "kvm", "kvm-intel"), tag="kvm")
                 for kernel in (OLDER, NEWER))
PENRYN = Guest(OLDER, "penryn")
DOCTOR = os.environ.get("VMCS_DOCTOR", str(ROOT / "build/default/doctor/vmcs-doctor"))
#: Parameters of step 04's spoil=, and the rule that each breaks.
BROKEN = {"control": "C11", "host": "H12", "guest": "R03", "msr": "M01"}


@in_guest(HASWELL, "\n".join(f"attempt {step} check=1" for step in (
    "step04_launch", "step05_exits", "step06_vmxoff", "step07_ept", "step08_real_mode",
    "step09_interrupts")))
def test_sound_vmcs_is_told_and_entered(case: Case) -> None:
    """With check=1 each step's own VMCS is examined, found sound in every rule, and entered."""
    seen = attempts(case.output)
    for attempt in seen:
        texts = [text for _, text in attempt.lines]
        assert attempt.status == 0 and not attempt.changed, case
        if attempt.step != "step05_exits":  # which has no guest of its own
            assert any(re.fullmatch(r"doctor: none of \d+ rules of VM entry is broken, 0 could not "
                                    "be decided", text) for text in texts), (attempt, case)
    assert len(seen) == 6 and not case.trouble, case


@in_guest(HASWELL, "\n".join(
    f'attempt step04_launch "check=1 spoil={value}"' for value in BROKEN))
def test_unsound_vmcs_is_refused_before_the_entry(case: Case) -> None:
    """With check=1 a broken VMCS is named and not entered: no word of the processor follows."""
    seen = attempts(case.output)
    for attempt, rule in zip(seen, BROKEN.values()):
        texts = [text for _, text in attempt.lines]
        assert attempt.name == "EIO" and not attempt.changed, (attempt, case)
        found = [text for text in texts if re.match(r"[A-Z]\d\d[a-z]?: ", text)]
        assert len(found) == 1 and found[0].startswith(rule + ": "), (texts, case)
        assert "not entered" in attempt.last, (texts, case)
        assert not any("VMLAUNCH" in text or "exit reason" in text for text in texts), (texts, case)
    assert len(seen) == len(BROKEN) and not case.trouble, case


@in_guest(HASWELL, 'attempt step07_ept "check=1 spoil=eptp"')
def test_unsound_ept_pointer_is_refused_before_the_entry(case: Case) -> None:
    """The same of step 07, whose mistake with the EPT pointer the doctor names."""
    attempt, = attempts(case.output)
    texts = [text for _, text in attempt.lines]
    assert attempt.name == "EIO" and not attempt.changed, (attempt, case)
    found = [text for text in texts if re.match(r"[A-Z]\d\d[a-z]?: ", text)]
    assert len(found) == 1 and "EPT pointer" in found[0], (texts, case)
    assert "not entered" in attempt.last, (texts, case)
    assert not any("VMLAUNCH" in text for text in texts) and not case.trouble, (texts, case)


@in_guest(HASWELL, "attempt step05_exits check=1; load step05_exits check=1 && "
          "cp $X/exit /sys/kernel/debug/step05_exits/guest; unload step05_exits")
def test_guests_of_a_reader_are_examined(case: Case) -> None:
    """Step 05 examines the VMCS of a guest that is written to its file."""
    assert "doctor: none of" in case.log and not case.trouble, case


@in_guest(WITH_KVM, """
    with_kvm
    echo 1 >/sys/module/kvm_intel/parameters/dump_invalid_vmcs
    echo @@DUMPS >/dev/kmsg
    probe kvm-fails interrupt && probe kvm-fails limit && echo "both failed"
    without_kvm
    dmesg | sed 1,/@@DUMPS/d""")
def test_what_kvm_prints_is_read(case: Case) -> None:
    """Two entries that the processor refuses, in the words of this kernel's KVM."""
    assert "both failed" in case.output and "hardware 0x80000021" in case.output, case
    run = subprocess.run([DOCTOR, "--json"], input=case.output, capture_output=True, text=True,
                         check=False)
    assert run.returncode == 1, run.stderr + run.stdout
    reports = json.loads(run.stdout)
    assert [[finding["rule"] for finding in report["findings"]] for report in reports] == [
        ["R05"], ["S19"]], run.stdout
    for report in reports:
        assert report["missing"] == [] and report["notes"] == [], run.stdout
        assert report["observed"] == "exit reason 33 with bit 31, qualification 0", run.stdout


def step_without_tss() -> dict[str, object]:
    """Step 04 with the commonest deadly mistake: the host's TR base is not written."""
    field = "vmcs.write_checked(FieldNatural::host_tr_base, "
    return {"lab/extra/no-tss.ko": host_builds.altered_step(
        "no-tss", "04", OLDER, ("host_state.hpp", f"{field}tr_base)", f"{field}tr_base * 0)"))}


@in_plain_guest(HASWELL, "/lab/bin/insmod /lab/extra/no-tss.ko; rmmod step04_launch; "
          "/lab/bin/insmod /lab/extra/no-tss.ko check=1",
          files=step_without_tss)
def test_what_the_processor_does_not_check_is_told(case: Case) -> None:
    """The guest runs, for HostRepair mends it; but the log names what would have killed the host.
    With check=1 it is not entered."""
    found = [line for line in case.log_of("step04_launch") if line.startswith("W")]
    assert len(found) == 2 and all(line.startswith("W03: Host TR base (6c0aH) is 0x0: ")
                                   for line in found), case
    assert "exit reason 18: VMCALL" in case.log and "not entered" in case.log, case


@in_guest([HASWELL, PENRYN], "load step03_vmcs; cat /sys/kernel/debug/step03_vmcs/vmcs; "
          "unload step03_vmcs")
def test_file_of_step03_is_what_the_doctor_reads(case: Case) -> None:
    """Every line is understood, and the VMCS that step 03 fills breaks no rule. It would not come
    back from a VM exit, for it has no host RIP and RSP: that is suspicious."""
    run = subprocess.run([DOCTOR, "--format=own"], input=case.output, capture_output=True,
                         text=True, check=False)
    assert run.returncode == 1, run.stderr + run.stdout
    assert re.findall(r"^W\d\d", run.stdout, re.MULTILINE) == ["W06", "W07"], run.stdout
    shown = len(re.findall(r"^[^#].* = 0x?[0-9a-f]+$", case.output, re.MULTILINE))
    assert f"{shown} of" in run.stdout and "0 findings" in run.stdout, run.stdout
