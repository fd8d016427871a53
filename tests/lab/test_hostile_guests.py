# SPDX-License-Identifier: GPL-2.0-only
"""Guests that try to break out, to break something, or to hold on to the processor for ever.

Hand-written ones (guests/hostile.S), and thousands of random ones, made in the emulated machine
(programs/lab-tool/random.c). Every run must end within its limit with a verdict, and the host must
be as it was.
"""
from __future__ import annotations

import os
import re
from collections import Counter

import guest_runs
import pytest
from guest import Case, in_guest
from guest_runs import EIO, ETIME, runs
from results import write_row
from soak import often
from test_guest_contract import FILES, GUESTS, contract, run_of

LIMIT_MS = 50
RANDOM_LIMIT_MS = 3
#: Random guests a boot, by its number of CPUs. Another seed makes others, the same the same.
RANDOM_GUESTS = {1: often(1_500, 145_000), 2: often(500, 10_000)}
SEED = int(os.environ.get("VTX_RANDOM_SEED", "20240607"))

DIED = "died"      # EIO, after an exception or the like, with a sentence
LATE = "late"      # ETIME
WELL = "well"      # ended with status 0: what it tried did nothing
SOMEHOW = "somehow"  # any of these; what exactly depends on the CPU

#: How each hand-written guest ends, and what is said of it.
NO_ENTRY = r"the guest ended: #{} at RIP 0x[0-9a-f]+.*, and no entry for it in the guest's IDT"
GP, UD, PF, SS = (NO_ENTRY.format(name) for name in ("GP", "UD", "PF", "SS"))
STOPPED = r"the guest was stopped at RIP 0x[0-9a-f]+: its time was over .*"
TRIPLE = r"the guest ended: triple fault at RIP 0x[0-9a-f]+"
ENDS: dict[str, tuple[str, str]] = {
    **{name: (LATE, STOPPED) for name in """
        loop_endless loop_interrupts_off loop_cli loop_sti_cli loop_pause
        loop_pause_interrupts_off loop_cpuid loop_cpuid_interrupts_off loop_vmcall
        loop_vmcall_unknown loop_in loop_wbinvd loop_popf_interrupts_off loop_mov_ss
        loop_sti_shadow loop_rep_movsb loop_print_empty loop_print_full loop_faults loop_int3
        loop_msr_faults loop_single_step loop_swapgs loop_kernel_gs_base recursion_on_ist
        user_mode""".split()},
    **{name: (WELL, "") for name in """
        gate_to_data gate_to_null gate_to_32_bit_code gate_of_no_type
        gate_not_canonical ist_not_canonical ist_in_no_memory int_n_all self_modifying
        lgdt_not_canonical ltr_nonsense lldt_nonsense segment_nonsense compatibility_mode
        compatibility_mode_into compatibility_mode_wrap iret_nonsense iret_to_flags
        nested_task_flag far_jumps
        sysenter_games swapgs_games reset_by_keyboard reset_by_cf9
        print_wild_pointers prefetch_everything""".split()},
    **{name: (DIED, GP) for name in """
        jump_not_canonical return_not_canonical cr0_protection_off cr0_paging_off
        cr3_to_own_tables cr4_vmxe cr4_pae_off cr8_mask_interrupts dr7_breakpoints dr0_breakpoint
        efer_syscall lstar sysenter_eip apic_base_off microcode debugctl x2apic_self_ipi
        user_mode_without_tables too_long_an_instruction""".split()},
    **{name: (DIED, UD) for name in """
        invalid_opcodes vmx_in_vmx vmlaunch_here rsm_here lock_prefix""".split()},
    **{name: (DIED, PF) for name in """
        stack_at_zero jump_to_zero jump_to_the_kernel self_erasing all_ones zeroes cache_lines
        page_table_walk""".split()},
    **{name: (DIED, TRIPLE) for name in """
        recursion_on_the_stack recursion_of_page_faults stack_in_the_idt lgdt_nonsense
        lidt_in_the_kernel lidt_in_the_kernel_int lidt_all_memory
        user_mode_without_tss""".split()},
    "stack_not_canonical": (DIED, SS),
    "syscall_without_handlers": (DIED, f"{UD}|{PF}"),  # #PF: EFER.SCE is the host's (penryn)
    "xcr0_avx": (DIED, f"{UD}|{GP}"),
    "icebp": (DIED, NO_ENTRY.format("DB")),
    "rep_outsl_flood": (DIED, r"the guest ended: INS or OUTS at .*"),
    "print_the_kernel": (DIED, r"the guest ended with status 0xfffffffffffffff2"),
    "print_empty_lines": (SOMEHOW, ""),  # its time may be over when the first half is logged
    "stack_in_the_code": (SOMEHOW, ""),
    "syscall_with_handlers": (SOMEHOW, ""),  # penryn goes to the host's LSTAR, with its selectors
    "call_recursive": (SOMEHOW, ""),
    "sysret_games": (SOMEHOW, ""),
    "survivor": (SOMEHOW, ""),
}

#: Every basic exit reason that a guest can cause with the controls of step 05: exceptions,
#: external interrupts, CPUID, HLT, INVD, INVLPG, RDPMC, VMCALL, the VMX
#: instructions, CR and DR accesses, I/O, RDMSR, WRMSR, MWAIT, MONITOR, PAUSE, INVEPT, INVVPID
#: (Bochs lets these exit on a CPU without EPT, too), WBINVD. Not a triple fault (2): the second of
#: its exceptions has left the guest, before it comes to the third.
REASONS = {0, 1, 10, 12, 13, 14, 15, *range(18, 33), 36, 39, 40, 50, 53, 54}
#: The preemption timer, where the CPU has one.
REASONS_WITHOUT_PENRYN = {52}

#: Nothing that a guest does may lead to one of these.
NEVER_SAID = re.compile(r"failed|which nothing here handles|machine check|hypervisor holds|faulted"
                        r"|no memory|signal")

seen: dict[str, Counter[int]] = {}


def hostile_script() -> str:
    """The guests one after the other, between two snapshots. What they print stays off the slow
    console."""
    return (f"dmesg -n 5\n{guest_runs.WITH_SNAPSHOT}\n{guest_runs.script(LIMIT_MS, 'hostile')}\n"
            "rmmod snapshot; dmesg -n 8")


hostile = in_guest(GUESTS, hostile_script, name="hostile guests",
                   files=lambda: guest_runs.with_snapshot("hostile"), seconds=300)


def random_script(counts: dict[int, int], *stems: str, module: str = guest_runs.MODULE,
                  parameters: str = "",
                  survivor: str = "/lab/guests/hostile/survivor.bin") -> str:
    """Random guests, among them changed ones of some files, beside the snapshot module. lab-tool
    unloads the step itself."""
    return f"""
        {guest_runs.WITH_SNAPSHOT}
        load {module} {parameters} || fail 'insmod'
        count={counts[2]}; [ $(nproc) = 1 ] && count={counts[1]}
        dmesg -n 1
        MODULE={module} lab-tool random {SEED} $count {RANDOM_LIMIT_MS} \\
            {survivor} {guest_runs.paths(*stems)}
        status=$?
        dmesg -n 8
        rmmod snapshot && exit $status"""


@pytest.mark.parametrize("name", list(ENDS))
@hostile
def test_hostile_guest_ends_with_a_verdict(name: str, case: Case) -> None:
    how, words = ENDS[name]
    run = run_of(case, name)
    well = run.result == guest_runs.size_of(name, ["hostile"])
    assert well or (run.result, run.error) in ((-1, EIO), (-1, ETIME)), run
    assert how == SOMEHOW or how == (WELL if well else DIED if run.error == EIO else LATE), run
    assert how == SOMEHOW or re.fullmatch(words, run.verdict), run
    assert not NEVER_SAID.search(run.verdict), run
    more = 3_000_000 * 1000 // case.guest.ips()  # ms: to log what was printed takes its time
    assert run.milliseconds <= LIMIT_MS + more or name == "print_empty_lines", run


@hostile
def test_hostile_guests_leave_the_host_alone(case: Case) -> None:
    assert case.rc == 0, f"{case.output[-500:]} {case}"
    assert not case.trouble, f"{case.trouble[:3]} {case}"
    assert not case.left, case
    assert sorted(runs(case)) == sorted(ENDS), case
    assert {"ok snapshot", "ok pages"} <= set(case.output.splitlines()), case.output[-2000:]
    assert len(ENDS) >= 40
    write_row("hostile_guests", {"machine": case.guest.id(), "guests": len(runs(case))},
              ("machine",))
    note(case)


@contract
def test_contract_guests_count_for_the_table(case: Case) -> None:
    note(case)


def note(case: Case) -> None:
    """Adds the exits of a case to the table."""
    counts = seen.setdefault(case.guest.id(), Counter())
    for run in runs(case).values():
        counts.update(run.reasons)


@in_guest(GUESTS, lambda: random_script(RANDOM_GUESTS, *FILES, "hostile"), name="random guests",
          seconds=often(1200, 9000), files=lambda: guest_runs.with_snapshot(*FILES, "hostile"))
def test_random_guests(case: Case) -> None:
    """What random guests may lead to, and what not."""
    summary = judge_random(case, RANDOM_GUESTS)
    counts = seen.setdefault(case.guest.id(), Counter())
    counts.update({int(reason): int(count) for reason, count in re.findall(
        r"^reason (\d+) (\d+)$", case.output, re.MULTILINE)})
    write_row("random_guests", summary, ("machine",))


def judge_random(case: Case, counts: dict[int, int]) -> dict[str, object]:
    """Fails the test if random guests led to what they may not. Returns a row for a table."""
    output = case.output.splitlines()
    bad = [line for line in output if line.startswith(("not ok", "complaint", "difference"))]
    assert not bad, f"{bad[:5]} {case}"
    assert case.rc == 0, f"{case.output[-500:]} {case}"
    assert not case.trouble, f"{case.trouble[:3]} {case}"
    summary = {words[1]: int(words[2]) for words in map(str.split, output)
               if words and words[0] == "summary"}
    assert summary["guests"] >= counts[case.guest.cpus] and summary["other"] == 0, summary
    assert summary["lost_log_records"] == 0, summary
    assert {"ok snapshot", "ok unload", "ok snapshot after unload"} <= set(output), output[-40:]
    # What takes longest is not to run but to log: 16 KiB of output may be 16384 lines.
    logging_ms = 150_000_000 * 1000 // case.guest.ips()
    assert summary["longest_ms"] <= RANDOM_LIMIT_MS + logging_ms, summary
    assert summary["pages_before"] - summary["pages_after"] <= 64 * case.guest.cpus, summary
    verdicts = {words[2]: int(words[1]) for words in (line.split(maxsplit=2) for line in output)
                if words and words[0] == "verdict"}
    wrong = {text: count for text, count in verdicts.items() if NEVER_SAID.search(text)}
    assert not wrong, wrong
    told = sum(verdicts.values())
    assert told == summary["failed"] + summary["late"], (told, summary)
    return {"machine": case.guest.id(), **{
        name: summary[name] for name in ("guests", "full", "failed", "late", "exits")},
        "verdicts": len(verdicts)}


@hostile
def test_every_exit_reason_was_seen(case: Case) -> None:
    """Last in its boot: the table of reasons and how often each was seen, for the book."""
    counts = seen.get(case.guest.id(), Counter())
    for reason, count in sorted(counts.items()):
        write_row("exit_reasons", {"machine": case.guest.id(), "reason": reason, "seen": count},
                  ("machine", "reason"))
    wanted = REASONS | (set() if case.guest.cpu == "penryn" else REASONS_WITHOUT_PENRYN)
    missing = wanted - set(counts)
    assert not missing, f"never seen: {sorted(missing)}"
    assert set(counts) <= wanted | {2}, f"not expected: {sorted(set(counts) - wanted)}"
