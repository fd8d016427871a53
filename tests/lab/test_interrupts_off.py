# SPDX-License-Identifier: GPL-2.0-only
"""How long guests keep interrupts off: never longer than a tick, whatever they do.

A scope runs with interrupts off, and vtx_give_way() runs between any two. So the time between two
calls of it, which Linux's kprobes tell, is a little more than a scope took. Nothing of a step can
be traced, so these two were built with what tracing needs.
"""
from __future__ import annotations

import re

import guest_runs
import host_builds
from guest import OLDER, Case, Guest, in_guest
from results import write_row

TICK_US = 4000  # CONFIG_HZ=250, in both of Debian's kernels
MACHINES = (Guest(OLDER), Guest(OLDER, "penryn"))
#: Guests of guests/hostile.S: nothing but a jump, the same with interrupts off, floods of exits.
#: The last switches interrupts off once; at each further CLI Bochs would see one that is pending.
GUESTS = ("loop_endless", "loop_interrupts_off", "loop_vmcall", "loop_cpuid",
          "loop_vmcall_unknown")
LIMIT_MS = 200

#: And of guests/ept_registers.S: without exits, with interrupts off from the beginning.
GUESTS_07 = ("ept_loop_interrupts_off", "ept_loop_page_faults", "ept_loop_int1")
#: And of guests/boot_hostile.S: what the BIOS does takes long, if it moves the screen up or reads.
GUESTS_08 = ("loop_modes", "loop_teletype", "loop_scroll", "loop_disk", "loop_boots")
#: And of guests/boot_interrupts.S: storms of its timer. (Whoever waits for them wakes now and then,
#: so fewer scopes follow each other at once, and they have more time.)
GUESTS_09 = ("endless_storm", "endless_storm_masked", "endless_nested_storm", "endless_clock")

MEASURE = """
    cd /sys/kernel/tracing
    echo 8192 >buffer_size_kb
    switch() {
        echo $1 >events/kprobes/between_scopes/enable
        echo $1 >events/sched/sched_switch/enable
    }
    # measure NAME MODULE COMMAND …: the number of scopes, and the longest in microseconds
    measure() {
        name=$1 module=$2; shift 2
        echo "p:between_scopes $module:vtx_give_way" >kprobe_events || fail "no kprobe"
        switch 1
        "$@" >/dev/null
        switch 0
        # Between two scopes of a task without another task in between.
        sed -n 's/^.* \\([0-9]*\\)\\.\\([0-9]*\\): \\([a-z_]*\\): .*/\\1\\2 \\3/p' trace |
            awk -v name=$name '
                $2 == "sched_switch" { last = 0; next }
                last { n++; if ($1 - last > longest) longest = $1 - last }
                { last = $1 }
                END { print "scopes", name, n, longest }'
        echo >trace; echo >kprobe_events
    }"""

SCRIPT = f"""
    for step in step05_exits step06_vmxoff; do
        insmod /lab/traceable/$step.ko || fail "$step: $?"
    done
    {MEASURE}
    measure step06 step06_vmxoff sleep 0.3
    unload step06_vmxoff
    for guest in {' '.join(GUESTS)}; do
        measure $guest step05_exits lab-tool run {LIMIT_MS} /lab/guests/hostile/$guest.bin
    done
    unload step05_exits"""

SCRIPT_07 = f"""
    insmod /lab/traceable/step07_ept.ko memory_mb=3 || fail "step07: $?"
    export MODULE=step07_ept
    {MEASURE}
    for guest in {' '.join(GUESTS_07)}; do
        measure $guest $MODULE lab-tool run {LIMIT_MS} /lab/guests/ept_registers/$guest.bin
    done
    unload $MODULE"""

#: The image of loop_disk has 128 sectors: as much as one call reads.
SCRIPT_08 = f"""
    insmod /lab/traceable/step08_real_mode.ko memory_mb=1 || fail "step08: $?"
    export MODULE=step08_real_mode
    {MEASURE}
    dmesg -n 5
    for guest in {' '.join(GUESTS_08)}; do
        {{ cat /lab/guests/boot_hostile/$guest.bin; head -c 65024 /dev/zero; }} >/run/$guest.bin
        measure $guest $MODULE lab-tool run {LIMIT_MS} /run/$guest.bin
    done
    dmesg -n 8
    unload $MODULE"""

SCRIPT_09 = f"""
    insmod /lab/traceable/step09_interrupts.ko memory_mb=1 || fail "step09: $?"
    export MODULE=step09_interrupts
    {MEASURE}
    dmesg -n 5
    for guest in {' '.join(GUESTS_09)}; do
        measure $guest $MODULE lab-tool run {3 * LIMIT_MS} /lab/guests/boot_interrupts/$guest.bin
    done
    dmesg -n 8
    unload $MODULE"""


def files(*numbers: str) -> dict[str, object]:
    """The guests, and steps with ftrace's entries."""
    found = guest_runs.files("hostile", "ept_registers", "boot_hostile", "boot_interrupts")
    for number in numbers:
        step = host_builds.altered_step(f"traceable-{number}", number, OLDER, (
            "common/cxx.mk", "ccflags-remove-y += $(CC_FLAGS_FTRACE)\n", ""))
        found[f"lab/traceable/{step.name}"] = step
    return found


@in_guest(MACHINES, SCRIPT, files=lambda: files("05", "06"))
def test_interrupts_are_off_for_less_than_a_tick(case: Case) -> None:
    """A scope ends by the timer after a millisecond in the guest, or else by the next tick."""
    judge(case, ("step06", *GUESTS))


@in_guest(MACHINES[0], SCRIPT_07, files=lambda: files("07"))
def test_interrupts_are_off_for_less_than_a_tick_with_ept(case: Case) -> None:
    """The same for guests that have RFLAGS.IF for themselves."""
    judge(case, GUESTS_07)


@in_guest(MACHINES[0], SCRIPT_08, files=lambda: files("08"))
def test_interrupts_are_off_for_less_than_a_tick_in_real_mode(case: Case) -> None:
    """And while the BIOS works for a guest that asks for nothing else."""
    judge(case, GUESTS_08)


@in_guest(MACHINES[0], SCRIPT_09, files=lambda: files("09"))
def test_interrupts_are_off_for_less_than_a_tick_with_a_timer(case: Case) -> None:
    """And while a guest has more interrupts than it can handle."""
    judge(case, GUESTS_09)


def judge(case: Case, names: tuple[str, ...]) -> None:
    """Fails the test if a scope took too long."""
    assert case.rc == 0 and not case.trouble and not case.left, (case.output, case)
    seen = {name: (int(scopes), int(longest)) for name, scopes, longest in
            re.findall(r"^scopes (\w+) (\d+) (\d+)$", case.output, re.MULTILINE)}
    assert tuple(seen) == names, case.output
    for name, (scopes, longest) in seen.items():
        write_row("interrupts_off", {
            "guest": name, "kernel": case.guest.number, "cpu": case.guest.cpu, "scopes": scopes,
            "longest_us": longest, "tick_us": TICK_US}, ("guest", "kernel", "cpu"))
        assert scopes >= LIMIT_MS * 1000 // TICK_US - 10, (name, scopes, case)
        assert 0 < longest < 1.25 * TICK_US, (name, longest, case)
