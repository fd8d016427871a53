# SPDX-License-Identifier: GPL-2.0-only
"""The host as a program sees it, and its registers, while guests run: nothing of it changes."""
from __future__ import annotations

import guest_runs
import host_builds
from guest import Case, in_guest
from test_guest_contract import GUESTS

from lab import platforms

#: Guests that touch what a VM exit does not give back: CR2, KERNEL_GS_BASE, descriptor tables, TR,
#: LDTR, segments, debug registers, FPU instructions, and one that lives through several scopes.
PROGRAMS = {
    "registers": ("cr0", "cr2", "cr3", "cr8", "debug_registers"),
    "msr": ("msr_bases",),
    "instructions": ("x87", "sse", "avx", "do_nothing"),
    "exceptions": ("faults", "page_faults", "double_fault", "single_step"),
    "hostile": ("loop_endless", "loop_kernel_gs_base", "ltr_nonsense", "lldt_nonsense",
                "segment_nonsense", "swapgs_games", "lgdt_nonsense", "user_mode",
                "compatibility_mode", "syscall_with_handlers"),
}
ROUNDS = 25  # each program once in each state, and each state begins with the next one
CHECKS = 30  # lines "ok" of the witness: a check that did not happen is a failure, too
BREAKPOINT_CHECKS = 5  # of these
HANGS = platforms.debian().bochs.breakpoints_hang  # in machines with more than one CPU


def witness() -> str:
    """Runs the witness beside the module that shows a CPU's registers."""
    paths = [f"/lab/guests/{stem}/{name}.bin" for stem, names in PROGRAMS.items() for name in names]
    return f"""
        echo "KPTI: $(cat /sys/devices/system/cpu/vulnerabilities/meltdown)"
        {guest_runs.WITH_SNAPSHOT}
        cat /sys/kernel/debug/snapshot/cpu0 > /run/loaded
        load {guest_runs.MODULE} || fail 'insmod'
        dmesg -n 5
        [ $(nproc) = 1 ] || several={'-without-breakpoints' if HANGS else ''}
        lab-tool witness$several {ROUNDS} {' '.join(paths)}
        status=$?
        witness32 2; echo "32-bit program: $?"
        witness32 2 /sys/kernel/debug/{guest_runs.MODULE}/guest
        echo "32-bit program that runs guests: $?"
        dmesg -n 8
        unload {guest_runs.MODULE}
        cat /sys/kernel/debug/snapshot/cpu0 > /run/unloaded
        # CR2, CR3 and FS_BASE are the task's own, and Linux leaves DR0 to DR3 and DR7.GE behind
        # when a breakpoint goes; the witness has compared all of these within one task.
        grep -v '^CR[23] \\|^DR[0-37] \\|^IA32_FS_BASE ' /run/loaded > /run/before
        grep -v '^CR[23] \\|^DR[0-37] \\|^IA32_FS_BASE ' /run/unloaded | diff /run/before - \
            && echo 'same after unload'
        cat /run/loaded
        rmmod snapshot
        exit $status"""


def witness_files() -> dict[str, object]:
    return {**guest_runs.with_snapshot(*PROGRAMS), "lab/bin/witness32": host_builds.program_32()}


@in_guest(GUESTS, witness, name="host witness", files=witness_files, seconds=400)
def test_host_is_unharmed(case: Case) -> None:
    """On each kernel, with and without page-table isolation."""
    isolated = "nopti" not in case.guest.command_line
    assert f"KPTI: {'Mitigation: PTI' if isolated else 'Vulnerable'}" in case.output, case.output
    lines = case.output.splitlines()
    bad = [line for line in lines if line.startswith(("not ok", "difference", "lab-tool: "))]
    assert not bad, f"{bad[:6]} {case}"
    assert case.rc == 0, f"{case.output[-1500:]} {case}"
    # One at a time: in Bochs 2.7 two 32-bit programs at once crash each other by SYSENTER, also
    # without any module (the stack segment is a 16-bit one after SYSRET).
    assert "32-bit program: 0" in lines and "32-bit program that runs guests: 0" in lines, case
    assert "same after unload" in lines, f"{case.output[-1500:]} {case}"
    missed = BREAKPOINT_CHECKS if HANGS and case.guest.cpus > 1 else 0
    assert sum(line.startswith("ok ") for line in lines) == CHECKS - missed, case.output
    assert not case.trouble, f"{case.trouble[:3]} {case}"
    for register in "CR0 CR3 CR4 CR8 DR7 GDTR.limit IDTR.limit LDTR TR IA32_LSTAR".split():
        assert any(line.startswith(register + " ") for line in lines), register
