# SPDX-License-Identifier: GPL-2.0-only
"""The host as a program sees it, and its registers, while guests run: nothing of it changes."""
from __future__ import annotations

import re

import guest_runs
import host_builds
from guest import Case, in_guest
from test_ept_guests import GUESTS as EPT_GUESTS
from test_ept_guests import MODULE as MODULE_07
from test_guest_contract import GUESTS
from test_real_mode_guests import MODULE as MODULE_08

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
#: The same for step 07, and guests that fill all vector registers, XCR0, SYSCALL's MSRs and TSC_AUX
#: and leave them so.
PROGRAMS_07 = {
    "ept_registers": ("ept_fpu_fills", "ept_cr0", "ept_cr4", "ept_cr2", "ept_debug_exceptions",
                      "ept_alignment_check", "ept_xcr0", "ept_msrs_last", "ept_efer",
                      "ept_syscall", "ept_fpu_begins_empty", "ept_fpu_exceptions",
                      "ept_no_exits", "ept_loop_interrupts_off", "ept_loop_page_faults"),
    "ept": ("ept_fetch_beyond", "ept_all_linear_addresses"),
    "hostile": ("loop_kernel_gs_base", "ltr_nonsense", "lldt_nonsense", "segment_nonsense",
                "swapgs_games", "lgdt_nonsense", "user_mode", "compatibility_mode"),
}
#: For step 08: guests that leave every mode behind, control registers, debug exceptions, segments
#: of all kinds, and what the BIOS does.
PROGRAMS_08 = {
    "boot_modes": ("modes_cache_bits", "modes_round_and_round", "modes_long",
                   "modes_paging_pae", "modes_unreal", "modes_stale_upper_halves"),
    "boot_events": ("v86", "user_mode", "single_step", "faults_in_real_mode",
                    "triple_fault_in_long_mode", "task_switch_by_jump", "fpu_error_without_ne"),
    "boot_bios": ("boot_screen_last_place", "boot_disk_of_one_sector", "boot_unknown_services"),
    "boot_hostile": ("loop_modes", "loop_single_step", "loop_v86", "loop_long",
                     "segment_registers_of_all_kinds", "descriptor_tables_in_the_screen",
                     "long_mode_into_nothing"),
}
GUESTS_07 = EPT_GUESTS[:1]  # on other machines the one of step 05 looks
ROUNDS = 25  # each program once in each state, and each state begins with the next one
CHECKS = 30  # lines "ok" of the witness: a check that did not happen is a failure, too
BREAKPOINT_CHECKS = 5  # of these
HANGS = platforms.debian().bochs.breakpoints_hang  # in machines with more than one CPU


def witness(module: str, programs: dict[str, tuple[str, ...]], parameters: str = "") -> str:
    """Runs the witness beside the module that shows a CPU's registers."""
    paths = [f"/lab/guests/{stem}/{name}.bin" for stem, names in programs.items() for name in names]
    return f"""
        export MODULE={module}
        echo "KPTI: $(cat /sys/devices/system/cpu/vulnerabilities/meltdown)"
        {guest_runs.WITH_SNAPSHOT}
        cat /sys/kernel/debug/snapshot/cpu0 > /run/loaded
        load $MODULE {parameters} || fail 'insmod'
        dmesg -n 5
        [ $(nproc) = 1 ] || several={'-without-breakpoints' if HANGS else ''}
        lab-tool witness$several {ROUNDS} {' '.join(paths)}
        status=$?
        witness32 2; echo "32-bit program: $?"
        witness32 2 /sys/kernel/debug/$MODULE/guest
        echo "32-bit program that runs guests: $?"
        dmesg -n 8
        unload $MODULE
        cat /sys/kernel/debug/snapshot/cpu0 > /run/unloaded
        # CR2, CR3 and FS_BASE are the task's own, and Linux leaves DR0 to DR3 and DR7.GE behind
        # when a breakpoint goes; the witness has compared all of these within one task.
        grep -v '^CR[23] \\|^DR[0-37] \\|^IA32_FS_BASE ' /run/loaded > /run/before
        grep -v '^CR[23] \\|^DR[0-37] \\|^IA32_FS_BASE ' /run/unloaded | diff /run/before - \
            && echo 'same after unload'
        cat /run/loaded
        rmmod snapshot
        exit $status"""


def witness_files(*stems: str) -> dict[str, object]:
    return {**guest_runs.with_snapshot(*stems), "lab/bin/witness32": host_builds.program_32()}


@in_guest(GUESTS, lambda: witness(guest_runs.MODULE, PROGRAMS), name="host witness", seconds=400,
          files=lambda: witness_files(*PROGRAMS))
def test_host_is_unharmed(case: Case) -> None:
    """On each kernel, with and without page-table isolation."""
    judge(case)


@in_guest(GUESTS_07, lambda: witness(MODULE_07, PROGRAMS_07, "memory_mb=3"), seconds=400,
          name="host witness of step 07", files=lambda: witness_files(*PROGRAMS_07))
def test_host_is_unharmed_by_guests_with_ept(case: Case) -> None:
    """Its vector registers, up to the upper halves of AVX's, XCR0 and TSC_AUX among the rest."""
    judge(case)
    assert "vector registers: ymm" in case.output, case.output[:500]
    for register in ("XCR0", "IA32_TSC_AUX", "IA32_STAR", "IA32_CSTAR", "IA32_FMASK", "IA32_PAT"):
        assert re.search(rf"^{register} ", case.output, re.MULTILINE), register


@in_guest(GUESTS_07, lambda: witness(MODULE_08, PROGRAMS_08, "memory_mb=1"), seconds=400,
          name="host witness of step 08", files=lambda: witness_files(*PROGRAMS_08))
def test_host_is_unharmed_by_guests_in_real_mode(case: Case) -> None:
    judge(case)


def judge(case: Case) -> None:
    """All checks were made and none failed."""
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
