# SPDX-License-Identifier: GPL-2.0-only
"""The VMCS doctor inside the steps, and what the command-line doctor makes of step 03's file."""
from __future__ import annotations

import os
import re
import subprocess

from attempts import attempts
from extras import in_guest
from guest import OLDER, Case, Guest

from lab.common import ROOT

HASWELL = Guest(OLDER)
PENRYN = Guest(OLDER, "penryn")
DOCTOR = os.environ.get("VMCS_DOCTOR", str(ROOT / "build/default/doctor/vmcs-doctor"))
#: Parameters of step 04's spoil=, and the rule that each breaks.
BROKEN = {"control": "C11", "host": "H12", "guest": "R03", "msr": "M01"}


@in_guest(HASWELL, "\n".join(f"attempt {step} check=1" for step in (
    "step04_launch", "step05_exits", "step06_vmxoff")))
def test_sound_vmcs_is_told_and_entered(case: Case) -> None:
    """With check=1 each step's own VMCS is examined, found sound in every rule, and entered."""
    seen = attempts(case.output)
    for attempt in seen:
        texts = [text for _, text in attempt.lines]
        assert attempt.status == 0 and not attempt.changed, case
        if attempt.step != "step05_exits":  # which has no guest of its own
            assert any(re.fullmatch(r"doctor: none of \d+ rules of VM entry is broken, 0 could not "
                                    "be decided", text) for text in texts), (attempt, case)
    assert len(seen) == 3 and not case.trouble, case


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


@in_guest(HASWELL, "attempt step05_exits check=1; load step05_exits check=1 && "
          "cp $X/exit /sys/kernel/debug/step05_exits/guest; unload step05_exits")
def test_guests_of_a_reader_are_examined(case: Case) -> None:
    """Step 05 examines the VMCS of a guest that is written to its file."""
    assert "doctor: none of" in case.log and not case.trouble, case


@in_guest([HASWELL, PENRYN], "load step03_vmcs; cat /sys/kernel/debug/step03_vmcs/vmcs; "
          "unload step03_vmcs")
def test_file_of_step03_is_what_the_doctor_reads(case: Case) -> None:
    """Every line of the file is understood, and the VMCS that step 03 fills is sound."""
    run = subprocess.run([DOCTOR, "--format=own"], input=case.output, capture_output=True,
                         text=True, check=False)
    assert run.returncode == 0, run.stderr + run.stdout
    shown = len(re.findall(r"^[^#].* = 0x?[0-9a-f]+$", case.output, re.MULTILINE))
    assert f"{shown} of" in run.stdout and "0 findings" in run.stdout, run.stdout
