# SPDX-License-Identifier: GPL-2.0-only
"""CPUs come and go while guests of steps 07 and 08 run. (Those before: test_machine_lives.py.)"""
from __future__ import annotations

import extras
import guest_runs
from guest import OLDER, Case, Guest, in_guest
from soak import often

TWO = Guest(OLDER, cpus=2)


def while_a_cpu_goes(step: str, parameters: str, image: str, then: str) -> str:
    """A guest of a later step on CPU 1, which goes offline and online, and NMIs."""
    return f"""
    . /lab/extra/library
    load {step} {parameters} limit_ms=600000 || fail "{step}: $?"
    taskset 2 $X/probe write /lab/guests/{image}.bin /sys/kernel/debug/{step}/guest & guest=$!
    online=/sys/devices/system/cpu/cpu1/online
    for i in $(seq {often(3, 20)}); do
        sleep 0.1; echo 0 >$online || fail offline
        sleep 0.1; echo 1 >$online || fail online
        [ -d /proc/$guest ] && taskset -p 2 $guest >/dev/null && echo "@ it runs on"
    done
    for i in 1 2 3; do echo l >/proc/sysrq-trigger; sleep 0.05; done >/dev/null
    {then}
    unload {step}"""


@in_guest(TWO, while_a_cpu_goes(
    "step07_ept", "memory_mb=3", "ept_registers/ept_fpu_lasts",
    'wait $guest || fail "the guest: $?"'),
    files=lambda: {**extras.files(), **guest_runs.files("ept_registers")}, seconds=240)
def test_cpu_goes_offline_under_step07(case: Case) -> None:
    """The guest goes on on the other CPU, with its vector registers and its memory as they were."""
    assert case.rc == 0, (case.output, case)
    assert case.output.count("@ it runs on") >= 2, case.output
    assert not case.left, case


@in_guest(TWO, while_a_cpu_goes(
    "step08_real_mode", "memory_mb=1", "boot_hostile/loop_modes_checked",
    'kill $guest && echo "@ it still runs"; wait $guest'),
    files=lambda: {**extras.files(), **guest_runs.files("boot_hostile")}, seconds=240)
def test_cpu_goes_offline_under_step08(case: Case) -> None:
    """The guest, which goes through all modes and checks what it finds, goes on as well."""
    assert case.rc == 0, (case.output, case)
    assert case.output.count("@ it runs on") >= 2 and "@ it still runs" in case.output, case.output
    assert "got a signal" in case.log and not case.left, case
