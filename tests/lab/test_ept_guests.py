# SPDX-License-Identifier: GPL-2.0-only
"""Step 07: what a guest that owns its memory can rely on, and what it cannot do.

Its own guests (guests/ept.S, guests/ept_registers.S) check themselves, as those of step 05 do. And
all guests of step 05 run here, too, though few find what they were promised there: each must end in
some orderly way and leave the host as it was.
"""
from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import guest_runs
import host_builds
import pytest
import soak
from guest import OLDER, Case, Guest, in_guest
from guest_runs import EIO, ETIME, GuestRun
from results import write_row
from soak import often
from test_guest_contract import FILE_CHECKS, GUESTS as GUESTS_05
from test_hostile_guests import DIED, LATE, SOMEHOW, STOPPED, WELL, judge_random, random_script

MODULE = "step07_ept"
EXITS = f"/sys/kernel/debug/{MODULE}/exits"
#: Beside the guests of step 05, in the same boots, and on a CPU with neither XSAVE nor INVPCID.
GUESTS = (GUESTS_05[0], GUESTS_05[-1], Guest(OLDER, "arrandale"))
FILES = ("ept", "ept_registers")
OF_STEP_05 = ("state", "hypercalls", "io", "cpuid", "registers", "msr", "instructions",
              "exceptions", "hostile")
#: What the guests of ept.h count on.
MEGABYTES = 3
LIMIT_MS = 50
MORE_MS = 400  # to make 16 MiB ready and to log the end, beside the other CPU's work

#: Guests that are not meant to end with status 0, and what is said of them. RAM ends at 0x300000.
VIOLATION = r"the guest ended: EPT violation: {} guest-physical address {}, RIP {}"
ANY = r"0x[0-9a-f]+"
ENDINGS = {name: VIOLATION.format(*words) for name, words in {
    "ept_read_beyond": ("a read of", "0x300000", "0x1005"),
    "ept_write_beyond": ("a write to", "0x300000", "0x1005"),
    "ept_modify_beyond": ("a write to", "0x300000", "0x1005"),
    "ept_read_across": ("a read of", "0x300000", "0x1005"),
    "ept_write_across": ("a write to", "0x300000", "0x1005"),
    "ept_read_last_mapped": ("a read of", "0x3fffff", "0x1005"),
    "ept_fetch_beyond": ("a fetch from", "0x300000", "0x300000"),
    "ept_fetch_across": ("a fetch from", "0x300000", "0x2fffff"),
    "ept_push_beyond": ("a write to", "0x300000", "0x1005"),
    "ept_string_beyond": ("a write to", "0x300000", ANY),
    "ept_apic": ("a read of", "0xfee00020", ANY),
    "ept_host_memory": ("a read of", "0x1000000", ANY),
    "ept_highest_address": ("a read of", "0x[1248]0{9,12}", ANY),
    "ept_walk_of_cr3": ("a page walk to", "0x300000", "0x1008"),
    "ept_walk_of_highest_cr3": ("a page walk to", "0x[1248]0{9,12}", ANY),
    "ept_walk_of_pml4_entry": ("a page walk to", "0x300008", ANY),
    "ept_walk_of_pdpt_entry": ("a page walk to", "0x300018", ANY),
    "ept_walk_of_directory_entry": ("a page walk to", "0x301028", "0x40005000"),
    "ept_idt_beyond": ("a read of", "0x300060", ANY),
    "ept_gdt_beyond": ("a read of", "0x300010", ANY),
    "ept_stack_beyond": ("a write to", "0x300[0-9a-f]{3}", ANY),
    "ept_tss_beyond": ("a read of", "0x300024", ANY),
    "ept_all_linear_addresses": ("a read of", "0x1000000", ANY),
    "ept_all_physical_addresses": ("a read of", "0xfee00030", ANY),
}.items()}
#: Guests that would never end.
ENDLESS = [name for name in host_builds.names(*FILES) if name.startswith("ept_loop_")]
#: What guests print.
PRINTED = {"ept_hypercall_print_edges": ["last", "mid"]}


def run_of(case: Case, name: str) -> GuestRun:
    """One guest's run; fails the test if the case did not come to it."""
    found = guest_runs.runs(case, MODULE)
    assert name in found, f"{name} did not run: {case.output[-500:]} {case}"
    return found[name]


def script() -> str:
    """Those that wait have time; the endless ones have little."""
    paths = guest_runs.paths(*FILES).split()
    late = [path for path in paths if "ept_loop_" in path]
    return f"""
        {guest_runs.WITH_SNAPSHOT}
        export MODULE={MODULE}
        load $MODULE memory_mb={MEGABYTES} || fail "insmod: $?"
        lab-tool run 20000 {' '.join(path for path in paths if path not in late)} ||
            fail "lab-tool: $?"
        lab-tool run {LIMIT_MS} {' '.join(late)} || fail "lab-tool: $?"
        lab-tool run {LIMIT_MS} /lab/guests/ept/ept_fetch_across.bin
        tail -n 1 {EXITS}
        unload $MODULE; rmmod snapshot"""


ept = in_guest(GUESTS, script, name="guests with EPT", seconds=300,
               files=lambda: guest_runs.with_snapshot(*FILES))


@pytest.mark.parametrize("name", [name for name in host_builds.names(*FILES)
                                  if name not in ENDINGS and name not in ENDLESS])
@ept
def test_ept_guest_finds_what_it_was_promised(name: str, case: Case) -> None:
    run = run_of(case, name)
    line = re.fullmatch(r"the guest ended with status (0x[0-9a-f]+)", run.verdict)
    assert not line, f"the check in line {int(line[1], 16)} of {name}'s file failed; {case}"
    assert run.result == guest_runs.size_of(name, FILES), f"{run}; {case}"
    assert run.printed == PRINTED.get(name, []), run


@pytest.mark.parametrize("name", list(ENDINGS))
@ept
def test_ept_guest_ends_with_a_word(name: str, case: Case) -> None:
    run = run_of(case, name)
    assert (run.result, run.error) == (-1, EIO), run
    assert re.fullmatch(ENDINGS[name], run.verdict), run


@pytest.mark.parametrize("name", ENDLESS)
@ept
def test_ept_guest_is_stopped(name: str, case: Case) -> None:
    run = run_of(case, name)
    if name == "ept_loop_xsetbv" and case.guest.cpu == "arrandale":
        assert run.verdict.startswith("the guest ended: triple fault"), run  # #UD
        return
    assert (run.result, run.error) == (-1, ETIME), run
    assert re.fullmatch(STOPPED, run.verdict), run
    assert run.milliseconds <= LIMIT_MS + MORE_MS, run


#: What these guests do is done by the processor alone; CPUID, where one asks for it, exits.
ALONE = {"ept_no_exits": set(), "ept_forgets": set(), "ept_page_faults": set(),
         "ept_write_protection": set(), "ept_recursive_tables": set(), "ept_self_modifying": set(),
         "ept_fpu_exceptions": set(), "ept_msrs_last": {10}, "ept_msrs_none_left": {10},
         "ept_invpcid": {10}, "ept_smep": {10}, "ept_no_execute": {32, 31}, "ept_syscall": {32}}


@pytest.mark.parametrize("name", list(ALONE))
@ept
def test_ept_guest_does_not_leave(name: str, case: Case) -> None:
    """But to end, and when the host wants the processor."""
    reasons = run_of(case, name).reasons
    assert set(reasons) - {1, 52} == {18} | ALONE[name] and reasons[18] == 1, (reasons, case)
    assert all(reasons.get(reason, 0) <= 3 for reason in ALONE[name]), reasons


@ept
def test_vector_registers_outlast_a_thousand_scopes(case: Case) -> None:
    """What ept_fpu_lasts saw unchanged was taken away and given back that often."""
    reasons = run_of(case, "ept_fpu_lasts").reasons
    assert reasons.get(1, 0) + reasons.get(52, 0) >= 1000, reasons


@ept
def test_file_exits_tells_of_the_violation(case: Case) -> None:
    assert case.output.splitlines()[-1] == (
        "end  EPT violation: a fetch from guest-physical address 0x300000, RIP 0x2fffff"), case


@ept
def test_ept_guests_leave_the_host_alone(case: Case) -> None:
    assert case.rc == 0, f"{case.output[-500:]} {case}"
    assert not case.trouble, f"{case.trouble[:3]} {case}"
    assert not case.left, case
    assert {"ok snapshot", "ok pages"} <= set(case.output.splitlines()), case.output[-2000:]
    assert len(guest_runs.runs(case, MODULE)) == len(host_builds.names(*FILES)), case
    note(case)


# ---- The guests of step 05 --------------------------------------------------------------------


def script_of_step_05() -> str:
    """With 1 MiB, all of it single pages. What they print stays off the slow console."""
    return f"""
        dmesg -n 5
        {guest_runs.WITH_SNAPSHOT}
        {guest_runs.script(LIMIT_MS, *OF_STEP_05, module=MODULE, parameters="memory_mb=1")}
        rmmod snapshot; dmesg -n 8"""


of_step_05 = in_guest(GUESTS[:2], script_of_step_05, name="guests of step 05 with EPT", seconds=300,
                      files=lambda: guest_runs.with_snapshot(*OF_STEP_05))


#: How they end here. Those that check what is the same in both steps end well.
ENDS = {
    **dict.fromkeys("""
        entry_flags entry_selectors entry_tables entry_memory exit_with_0 exit_by_hlt
        exit_by_hlt_with_interrupts_on exit_by_hlt_with_interrupts_off runs_to_the_last_byte_of_ram
        print_lines print_escapes print_long_lines print_lengths hypercall_time hypercall_unknown
        port_e9_prints port_reads port_writes_are_ignored cpuid_hypervisor_name cpuid_features
        cpuid_vendor xcr0 debug_registers msr_apic_base msr_tsc msr_bases msr_bases_none_left avx
        monitor_mwait vmx_instructions rdpmc do_nothing rdtsc_runs trace_sample trace_overflow
        faults software_interrupts single_step frame idt_limit_exact fault_in_delivery mov_ss_shadow
        sti_shadow exception_in_shadow gate_to_data gate_to_null gate_to_32_bit_code
        gate_of_no_type gate_not_canonical ist_not_canonical ist_in_no_memory int_n_all
        self_modifying lgdt_not_canonical ltr_nonsense lldt_nonsense segment_nonsense
        compatibility_mode compatibility_mode_wrap compatibility_mode_into iret_nonsense
        iret_to_flags nested_task_flag far_jumps syscall_with_handlers sysret_games sysenter_games
        swapgs_games reset_by_keyboard reset_by_cf9 print_wild_pointers
        prefetch_everything""".split(), WELL),
    **dict.fromkeys("""
        loop_endless loop_interrupts_off loop_cli loop_sti_cli loop_pause
        loop_pause_interrupts_off loop_cpuid loop_cpuid_interrupts_off loop_vmcall
        loop_vmcall_unknown loop_in loop_wbinvd loop_popf_interrupts_off loop_mov_ss loop_sti_shadow
        loop_rep_movsb loop_print_empty loop_print_full loop_faults loop_int3 loop_msr_faults
        loop_single_step loop_swapgs loop_kernel_gs_base recursion_on_ist user_mode""".split(),
        LATE),
    # Their time may be over first, or they run through whatever lies there.
    **dict.fromkeys("""
        cr2 msr_bases_last page_table_walk print_empty_lines stack_in_the_code jump_to_zero
        call_recursive survivor""".split(), SOMEHOW),
}
#: How the others end: what step 05 did for them is their own affair here.
DIES = re.compile(r"the guest ended(?:"
                  r" with status 0x[0-9a-f]+"
                  r"|: triple fault at RIP 0x[0-9a-f]+"
                  r"|: EPT violation: a (?:read of|write to|fetch from|page walk to)"
                  r" guest-physical address 0x[0-9a-f]+, RIP 0x[0-9a-f]+"
                  r"|: INS or OUTS at RIP .*)")


@pytest.mark.parametrize("name", host_builds.names(*OF_STEP_05))
@of_step_05
def test_guest_of_step_05_ends_in_some_orderly_way(name: str, case: Case) -> None:
    run = run_of(case, name)
    how = WELL if run.result == guest_runs.size_of(name, OF_STEP_05) else \
        {EIO: DIED, ETIME: LATE}.get(run.error, "")
    assert how and (run.result > 0 or run.result == -1), run
    assert how == ENDS.get(name, DIED) or ENDS.get(name) == SOMEHOW, run
    wanted = {WELL: "", LATE: STOPPED, DIED: DIES}[how]
    assert re.fullmatch(wanted, run.verdict), run
    assert run.milliseconds <= LIMIT_MS + MORE_MS or name == "print_empty_lines", run


@of_step_05
def test_guests_of_step_05_leave_the_host_alone(case: Case) -> None:
    assert case.rc == 0, f"{case.output[-500:]} {case}"
    assert not case.trouble, f"{case.trouble[:3]} {case}"
    assert not case.left, case
    assert {"ok snapshot", "ok pages"} <= set(case.output.splitlines()), case.output[-2000:]
    assert len(guest_runs.runs(case, MODULE)) == len(host_builds.names(*OF_STEP_05)), case
    note(case)


#: Every basic exit reason that guests cause with the controls of step 07: no more INVLPG (14) and
#: PAUSE (40), but triple faults (2), EPT violations (48) and, where there is XSAVE, XSETBV (55).
REASONS = {0, 1, 2, 10, 12, 13, 15, *range(18, 33), 36, 39, 48, 50, 52, 53, 54, 55}

seen: dict[str, Counter[int]] = {}


def note(case: Case) -> None:
    """Adds the exits of a case to the table."""
    for run in guest_runs.runs(case, MODULE).values():
        seen.setdefault(case.guest.id(), Counter()).update(run.reasons)


@of_step_05
def test_every_exit_reason_of_step_07_was_seen(case: Case) -> None:
    """Behind both cases of its boot."""
    counts = seen.get(case.guest.id(), Counter())
    for reason, count in sorted(counts.items()):
        write_row("exit_reasons_ept", {"machine": case.guest.id(), "reason": reason, "seen": count},
                  ("machine", "reason"))
    assert set(counts) == REASONS, set(counts) ^ REASONS


# ---- Random guests, and the file that takes them ------------------------------------------------

RANDOM_GUESTS = {1: often(200, 100_000), 2: 200}  # a boot, by its number of CPUs
#: Bochs calls faults that stay in the guest errors. Those of 100,000 guests are too much for a log.
QUIET = [replace(machine, bochsrc=("error: action=ignore",) * soak.ON) for machine in GUESTS[:2]]


@in_guest(QUIET, lambda: random_script(RANDOM_GUESTS, *FILES, *OF_STEP_05, module=MODULE,
                                       parameters="memory_mb=1"),
          name="random guests with EPT", seconds=often(300, 9000),
          files=lambda: guest_runs.with_snapshot(*FILES, *OF_STEP_05))
def test_random_guests_with_ept(case: Case) -> None:
    write_row("random_guests_ept", judge_random(case, RANDOM_GUESTS), ("machine",))


FILE_SCRIPT = f"""
    load {MODULE} memory_mb=1 limit_ms=300 || fail "insmod: $?"
    MODULE={MODULE} lab-tool file
    unload {MODULE}"""

file_07 = in_guest(GUESTS[0], FILE_SCRIPT, name="guest file of step 07", seconds=120,
                   files=lambda: guest_runs.files())


@pytest.mark.parametrize("name", FILE_CHECKS)
@file_07
def test_file_of_step_07_keeps_its_promise(name: str, case: Case) -> None:
    """Among them a program of 64 KiB, and one of a byte more (EFBIG)."""
    said = [line for line in case.output.splitlines()
            if re.match(rf"(not )?ok {name}(:|$)", line)]
    assert said == [f"ok {name}"], f"{said or 'not checked'} {case.output[-300:]} {case}"
    assert case.rc == 0 and not case.trouble and not case.left, case
