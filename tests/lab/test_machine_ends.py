# SPDX-License-Identifier: GPL-2.0-only
"""The machine ends while guests run: reboot, panic, power-off, as without the modules."""
from __future__ import annotations

import re

import extras
import pytest
from extras import in_guest
from guest import NEWER, OLDER, Case, Guest

PROGRAM = "/sys/kernel/debug/step05_exits/guest"
#: What ends the machine, the command for it, and how the lab then sees it end.
ENDS = {
    "reboot": ("reboot -f", "reboot"),
    "panic": ("echo c >/proc/sysrq-trigger", "reboot"),  # by panic=-1
    "power": ("poweroff -f", "off"),
}


def _ending(what: str) -> pytest.MarkDecorator:
    command, ends = ENDS[what]
    # Bochs 2.7 keeps IA32_FEATURE_CONTROL through a reset, and its BIOS faults when it locks the
    # register a second time, with or without us. So here the BIOS leaves that to Linux.
    # And who panics does not switch the HPET off, which then keeps the BIOS's timer from ticking.
    guest = Guest(NEWER if what == "panic" else OLDER, cpus=1 if what == "power" else 2, tag=what,
                  command_line="panic=-1 hpet=disable", bios=extras.bios("unlocked"))
    return in_guest(guest, f"""
        load step06_vmxoff && load step05_exits limit_ms=60000 || fail "load: $?"
        $X/probe write $X/endless {PROGRAM} &
        sleep 0.2; echo 1 >/proc/sys/kernel/sysrq
        {command}; sleep 100""", ends=ends)


def judge_ending(case: Case, what: str) -> None:
    """The machine ended as a machine without the modules does."""
    assert case.ended == ENDS[what][1], case
    assert not case.trouble or what == "panic", case
    log = (case.console.parent / "bochs.log").read_text(encoding="utf-8", errors="replace")
    assert not re.search(r"triple fault|exception with no resolution", log), case


@_ending("reboot")
def test_reboot_while_guests_run(case: Case) -> None:
    judge_ending(case, "reboot")


@_ending("panic")
def test_panic_while_guests_run(case: Case) -> None:
    judge_ending(case, "panic")
    assert "Kernel panic - not syncing" in case.log, case


@_ending("power")
def test_power_off_while_guests_run(case: Case) -> None:
    judge_ending(case, "power")
