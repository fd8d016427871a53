# SPDX-License-Identifier: GPL-2.0-only
"""Every step on a CPU on which Linux enforces indirect-branch tracking: each function that is
called through a pointer must begin with ENDBR64, or the kernel stops."""
from __future__ import annotations

import re

from attempts import STEPS
from extras import in_guest
from guest import NEWER, Case, Guest

# Debian's 6.12.117 warns of itself ("CPA detected W^X violation" in apply_retpolines()) when it
# patches a module against Indirect Target Selection on this model: so that is off.
TIGERLAKE = Guest(NEWER, "tigerlake", command_line="indirect_target_selection=off")


@in_guest(TIGERLAKE, """
    dmesg | grep 'Indirect Branch Tracking'
    with_stranger; each_step
    load step05_exits || fail "step05: $?"
    cat /sys/kernel/debug/step05_exits/exits | tail -n 1
    probe write $X/exit /sys/kernel/debug/step05_exits/guest || fail "a guest: $?"
    unload step05_exits; rmmod stranger""")
def test_steps_run_under_indirect_branch_tracking(case: Case) -> None:
    assert case.rc == 0, (case.output, case)
    assert "CET detected: Indirect Branch Tracking enabled" in case.output, case.output
    tries = re.findall(r"^@try (\w+) (\d+)", case.output, re.MULTILINE)
    assert len(tries) == len(STEPS) and all(status == "0" for _, status in tries), (tries, case)
    assert "Missing ENDBR" not in case.log and not case.trouble and not case.left, case
