# SPDX-License-Identifier: GPL-2.0-only
"""What a guest of step 05 can rely on, clause by clause, and what its files do.

Most clauses are checked from within, by guests that end with status 0 if all was as promised
(guests/*.S); the others by what the module says of them.
"""
from __future__ import annotations

import re

import guest_runs
import pytest
from guest import NEWER, OLDER, Case, Guest, in_guest
from guest_runs import EIO, GuestRun, runs
from soak import often

import host_builds

#: Each kernel, with and without page-table isolation (KPTI). penryn has neither a preemption timer
#: nor EFER controls, EPT or unrestricted guests.
LIMIT = often(1800, 3600)
GUESTS = (Guest(OLDER, tag="guests", limit=LIMIT),
          Guest(OLDER, cpu="penryn", tag="guests", command_line="nopti", limit=LIMIT),
          Guest(NEWER, cpus=2, tag="guests", limit=LIMIT))
FILES = ("state", "hypercalls", "io", "cpuid", "registers", "msr", "instructions", "exceptions")

contract = in_guest(GUESTS, lambda: guest_runs.script(2000, *FILES), name="guest contract",
                    files=lambda: guest_runs.files(*FILES), seconds=120)

#: Guests that are not meant to end with status 0, and what is said of them.
ENDINGS = {
    "exit_with_1": r"the guest ended with status 0x1",
    "exit_with_a_large_status": r"the guest ended with status 0x8000000000000000",
    "runs_off_the_end_of_ram": r"the guest ended: #PF at RIP 0x10000 for address 0x10000, .*IDT",
    "string_outsb": r"the guest ended: INS or OUTS at RIP 0x100a; .*",
    "string_rep_outsb": r"the guest ended: INS or OUTS at RIP 0x100f; .*",
    "string_insb": r"the guest ended: INS or OUTS at RIP 0x100a; .*",
    "string_rep_insl": r"the guest ended: INS or OUTS at RIP 0x100f; .*",
    "idt_limit_one_less": r"the guest ended: #UD at RIP 0x1[0-9a-f]{3}, and no entry for it .*",
    "no_idt_ud": r"the guest ended: #UD at RIP 0x1000, and no entry for it .*",
    "no_idt_pf": r"the guest ended: #PF at RIP 0x1005 for address 0x12340, and no entry .*",
    "no_idt_gp": r"the guest ended: #GP at RIP 0x1005, and no entry for it .*",
    "no_idt_bp": r"the guest ended: #BP at RIP 0x1001, and no entry for it .*",
    "no_idt_de": r"the guest ended: #DE at RIP 0x1002, and no entry for it .*",
    "no_idt_nm": r"the guest ended: #NM at RIP 0x1000, and no entry for it .*",
    "no_idt_int_n": r"the guest ended: #GP at RIP 0x1000, and no entry for it .*",
    "triple_fault_by_gates": r"the guest ended: triple fault at RIP 0x1[0-9a-f]{3}",
    "triple_fault_by_stack": r"the guest ended: triple fault at RIP 0x1[0-9a-f]{3}",
    "triple_fault_by_idt": r"the guest ended: triple fault at RIP 0x1[0-9a-f]{3}",
    "double_fault_without_entry": r"the guest ended: #(PF|DF) at RIP 0x1[0-9a-f]{3}.*",
}


def run_of(case: Case, name: str) -> GuestRun:
    """One guest's run; fails the test if the case did not come to it."""
    assert name in runs(case), f"{name} did not run: {case.output[-500:]} {case}"
    return runs(case)[name]


def program_names() -> list[str]:
    """All guests of the contract."""
    return host_builds.names(*FILES)


@pytest.mark.parametrize("name", [name for name in program_names() if name not in ENDINGS])
@contract
def test_guest_finds_what_it_was_promised(name: str, case: Case) -> None:
    run = run_of(case, name)
    line = re.fullmatch(r"the guest ended with status (0x[0-9a-f]+)", run.verdict)
    assert not line, f"the check in line {int(line[1], 16)} of {name}'s file failed; {case}"
    assert run.result == guest_runs.size_of(name, FILES) and not run.verdict, f"{run}; {case}"


@pytest.mark.parametrize("name", list(ENDINGS))
@contract
def test_guest_ends_with_a_word(name: str, case: Case) -> None:
    run = run_of(case, name)
    assert (run.result, run.error) == (-1, EIO), run
    assert re.fullmatch(ENDINGS[name], run.verdict), run


@contract
def test_contract_guests_leave_the_host_alone(case: Case) -> None:
    assert case.rc == 0, f"{case.output[-500:]} {case}"
    assert not case.trouble, f"{case.trouble[:3]} {case}"
    assert not case.left, case
    assert len(runs(case)) == len(program_names()), case


#: The files' clauses, which lab-tool checks (programs/lab-tool/file.c).
FILE_CHECKS = """full_length full_length_again largest too_large far_too_large empty status_not_0
    bad_pointer offset offset_by_seek offset_0_again mode_of_guest mode_of_exits not_for_others
    time_limit time_limit_is_kept time_limit_1 time_limit_1_hlt time_limit_0 time_limit_negative
    time_limit_too_large time_limit_word time_limit_is_kept_after_refusal signal
    signal_ends_at_once kill_of_the_writer after_kill second_writer second_writer_waits
    first_writer second_writer_waits_on second_writer_is_killed first_writer_goes_on
    first_writer_is_ended exits_during_a_run unload_during_a_run unload_leaves_the_run_alone
    exits_after_the_run exits_in_pieces exits_is_read_only guest_is_write_only
    two_writers_and_a_reader""".split()

FILE_SCRIPT = f"""
    load {guest_runs.MODULE} limit_ms=0; echo "limit_ms=0 $?"
    load {guest_runs.MODULE} limit_ms=soon; echo "limit_ms=soon $?"
    load {guest_runs.MODULE} limit_ms=300 || fail "insmod"
    cat {{0}}parameters/limit_ms
    lab-tool file
    head -c 4096 /bin/busybox >/run/elf.bin
    lab-tool run 2000 /run/elf.bin
    lab-tool run 2000 /lab/guests/instructions/trace_sample.bin
    echo "exits of trace_sample"; cat {{1}}exits
    lab-tool run 2000 /lab/guests/instructions/trace_overflow.bin
    echo "exits of trace_overflow"; sed -n '1,5p' {{1}}exits; echo ...; tail -n 12 {{1}}exits
    unload {guest_runs.MODULE}
""".format(f"/sys/module/{guest_runs.MODULE}/", f"/sys/kernel/debug/{guest_runs.MODULE}/")

files = in_guest(GUESTS, FILE_SCRIPT, name="guest file", seconds=120,
                 files=lambda: guest_runs.files("instructions"))


@pytest.mark.parametrize("name", FILE_CHECKS)
@files
def test_file_keeps_its_promise(name: str, case: Case) -> None:
    said = [line for line in case.output.splitlines()
            if re.match(rf"(not )?ok {name}(:|$)", line)]
    assert said == [f"ok {name}"], f"{said or 'not checked'} {case.output[-300:]} {case}"


@files
def test_file_test_leaves_the_host_alone(case: Case) -> None:
    assert case.rc == 0, f"{case.output[-500:]} {case}"
    assert not case.trouble, f"{case.trouble[:3]} {case}"
    assert not case.left, case


@files
def test_limit_is_checked_when_the_module_is_loaded(case: Case) -> None:
    lines = case.output.splitlines()
    assert "limit_ms=0 22" in lines, case  # EINVAL
    assert "limit_ms=soon 22" in lines, case
    assert lines[lines.index("limit_ms=soon 22") + 1] == "300", case
    refusals = [line for line in case.lines if line.startswith(f"{guest_runs.MODULE}: limit_ms=")]
    wanted = r"\w+: limit_ms=(0|soon|-1|4294967296) is not possible: give the milliseconds .*"
    assert len(refusals) >= 2 and all(re.fullmatch(wanted, line) for line in refusals), refusals
    assert not [line for line in case.lines if line.startswith(" is not possible")], refusals


@files
def test_file_logs_why_a_guest_was_stopped(case: Case) -> None:
    log = case.log_of(guest_runs.MODULE)
    assert any(re.fullmatch(r"the guest was stopped at RIP 0x1000: its time was over .*", line)
               for line in log), case
    assert any(re.fullmatch(r"the guest was stopped at RIP 0x1000: the task .* got a signal", line)
               for line in log), case


@files
def test_elf_file_is_refused_in_words(case: Case) -> None:
    """An ELF header is no instruction: without this the guest would end with a page fault."""
    run = guest_runs.runs(case)["elf"]
    assert (run.result, run.error) == (-1, guest_runs.ENOEXEC), run
    assert run.verdict.startswith("this guest is an ELF file, and a flat binary is wanted"), run


def exits_of(case: Case, name: str) -> list[str]:
    """What the file `exits` held after a guest."""
    lines = case.output.splitlines()
    begin = lines.index(f"exits of {name}") + 1
    end = next((i for i in range(begin, len(lines)) if lines[i].startswith(("guest ", "exits of"))),
               len(lines))
    return lines[begin:end]


@files
def test_exits_shows_each_exit_and_the_totals(case: Case) -> None:
    """An external interrupt or the timer may come between any two, and takes its turn."""
    text = exits_of(case, "trace_sample")
    rows = [re.split(r"  +", line) for line in text if re.match(r"\d", line)]
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1)), text
    ours = [row[1:4] for row in rows if not row[1].startswith(("1 ", "52 "))]
    assert ours == [
        ["10 CPUID", "0x0", "0x1000"],
        ["28 Control-register accesses", "0x313", "0x1002"],  # from CR3, into register 3
        ["30 I/O instruction", "0x800040", "0x1005"],  # port 80h, immediate, one byte, out
        ["18 VMCALL", "0x0", "0x100c"],
        ["40 PAUSE", "0x0", "0x100f"],
        ["12 HLT", "0x0", "0x1011"]], text
    times = [int(row[4]) for row in rows]
    assert times == sorted(set(times)) and times[0] > 0, text
    assert f"# {len(rows)} exits in all" in text
    totals = dict(re.findall(r"^total  (\d+) .*?  (\d+)$", "\n".join(text), re.MULTILINE))
    assert sum(map(int, totals.values())) == len(rows), text
    assert {"10", "12", "18", "28", "30", "40"} <= set(totals) <= {"1", "52", *totals}, text


@files
def test_exits_keeps_the_last_ones_of_a_long_run(case: Case) -> None:
    text = exits_of(case, "trace_overflow")
    total = next(int(found[1]) for line in text
                 if (found := re.fullmatch(r"# (\d+) exits in all", line)))
    assert total >= 3001, text
    rows = [re.split(r"  +", line) for line in text if re.match(r"\d", line)]
    assert int(rows[-1][0]) == total and rows[-1][1] == "12 HLT", text
    gone = next(int(found[1]) for line in text
                if (found := re.fullmatch(r"# the first (\d+) exits are no longer kept", line)))
    assert int(rows[0][0]) == gone + 1 and total - gone == 1024, text


#: What the guests of hypercalls.S and io.S print.
PRINTED = {
    "print_lines": ["first line", "second line", "two", "in one, and half a line",
                    "no end of line"],
    "print_escapes": [r"tab\x09 bell\x07 nul\x00 escape\x1b[31m percent %s%n high\xff tilde~"
                      " back\\slash\\x0d"],
    "port_e9_prints": ["byte by byte!"],
    "print_bad_pointers": [],
}


@pytest.mark.parametrize("name", list(PRINTED))
@contract
def test_guest_is_logged_by_line(name: str, case: Case) -> None:
    assert run_of(case, name).printed == PRINTED[name], case


@contract
def test_long_lines_are_broken(case: Case) -> None:
    printed = run_of(case, "print_long_lines").printed
    assert "".join(printed) == 200 * "a" + 160 * "b" + "end", printed
    assert printed[-1] == "end" and all(len(line) <= 164 for line in printed), printed
    assert "" not in printed, "an empty line follows a line that is just as long as one may be"


@contract
def test_output_of_every_length_is_logged(case: Case) -> None:
    assert "".join(run_of(case, "print_lengths").printed) == 4095 * "." + "last"
    full = "".join(run_of(case, "print_until_full").printed)
    assert len(full) == 16 * 1024 - 4 and set(full) == {"x"}, len(full)
