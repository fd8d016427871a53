# SPDX-License-Identifier: GPL-2.0-only
"""Step 10: a guest Linux whose root tries to harm whoever runs it (programs/linux-init.c)."""
from __future__ import annotations

import guest_runs
from guest import OLDER, Case
from linux_guests import QUIET, judge_host, said, statuses
from test_linux_guests import PC, judge_boot, linux_in

#: What ends each guest at last, and the words for it that may follow in `status`. With timer and
#: controllers spoilt, or nowhere to go at a system call, Linux may stop anywhere.
ENDS = {"outside": ("failure",), "ports": ("stopped", "reboot", "power-off", "failure"),
        "syscall": ("reboot", "stopped", "failure")}

SCRIPT = f"""
    {guest_runs.WITH_SNAPSHOT}
    load_step memory_mb=96
    give {OLDER} "{QUIET} panic=-1 -- harm outside"
    linux 90 flood
    for end in ports syscall; do
        give {OLDER} "{QUIET} panic=-1 -- $end"
        linux 8
    done
    unload $MODULE; rmmod snapshot"""

hostile = linux_in(PC, SCRIPT, OLDER, name="hostile Linux")


@hostile
def test_root_of_a_guest_harms_nobody(case: Case) -> None:
    judge_host(case)
    for number in range(len(ENDS)):
        judge_boot(case, OLDER, number)
    lines = case.output.splitlines()
    assert lines.count("ok snapshot") == lines.count("ok pages") == len(ENDS), case.output[-1500:]
    seen = [status["end"] for status in statuses(case)]
    assert all(end in may for end, may in zip(seen, ENDS.values())), seen


@hostile
def test_root_of_a_guest_has_tried(case: Case) -> None:
    """It came to the end of its list."""
    assert said(case.output, "ports")[0] == "answer", case.output[-1500:]
    refused, _, accesses, _ = said(case.output, "msrs")[0].split()
    assert 2000 < int(refused) < int(accesses), case.output[-1500:]
    for words in ("@edge refused", "@sysrq pressed", "@flooded", "@nowhere"):
        assert words in case.output, (words, case.output[-1500:])


@hostile
def test_console_is_flooded_both_ways(case: Case) -> None:
    typed = [int(line.split()[1]) for line in case.output.splitlines() if line.startswith("typed")]
    assert typed[0] > 8192, typed


@hostile
def test_access_outside_of_memory_ends_linux(case: Case) -> None:
    assert "the guest ended: EPT violation: a write to guest-physical address 0xfee00020" \
        in case.log, case
