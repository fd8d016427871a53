# SPDX-License-Identifier: GPL-2.0-only
"""Step 10: what its files promise, and what a guest Linux says on its console and is told there."""
from __future__ import annotations

import re

import guest
import guest_runs
import pytest
from guest import OLDER, Case, Guest
from linux_guests import MODULE, judge_host, said, statuses
from test_linux_guests import PC, judge_boot, linux_in

ONE = Guest(OLDER)

#: What lab-tool checks (programs/lab-tool/linux_files.c), in its order.
PROMISES = (
    "mode_of_kernel", "mode_of_initrd", "mode_of_cmdline", "mode_of_run", "mode_of_status",
    "mode_of_console", "mode_of_exits", "idle", "default_cmdline", "run_without_a_kernel",
    "run_2", "run_word", "run_negative", "stop_without_a_run", "console_before", "poll_before",
    "type_before", "kernel_is_write_only", "kernel_in_pieces", "opening_empties", "no_kernel",
    "kernel_was_cut", "cmdline", "cmdline_is_read", "cmdline_appends", "cmdline_was_emptied",
    "cmdline_of_4098", "cmdline_of_2048", "cmdline_of_2047_and_a_newline",
    "too_little_for_the_kernel", "enough_for_the_kernel", "initrd", "too_little_for_the_initrd",
    "enough_for_the_initrd", "initrd_was_emptied", "more_than_there_is", "memory_mb_513",
    "runs_again", "more_initrd_than_there_is", "runs_without_it",
    "reset_by_the_keyboard_controller", "triple_fault", "outside_its_memory",
    "starts", "runs", "run_while_running", "open_kernel_while_running",
    "open_initrd_while_running", "open_cmdline_while_running", "write_kernel_while_running",
    "write_initrd_while_running", "write_cmdline_while_running", "read_cmdline_while_running",
    "unload_with_an_open_file", "unload_leaves_it_alone", "stop", "stop_is_quick", "stop_waits",
    "stop_again", "stop_again_changes_nothing", "echo_starts", "read_waits",
    "read_without_waiting", "poll_while_running", "type", "reader_of_the_console", "echo_ends",
    "poll_after", "console_after", "totals", "ports", "flood", "small_reads_lose_nothing",
    "lost_output_is_told", "kept_output", "flood_of_input", "poll_when_full", "write_waits",
    "writer_is_told_of_the_end", "reader_is_killed", "no_thread", "starts_at_last",
    "thread_is_called_vtx-guest", "unload_under_a_guest", "no_thread_after_unload",
    "no_files_after_unload")


promises = guest.in_guest(ONE, f"""
    load {MODULE} memory_mb=2 || fail "insmod: $?"
    MODULE={MODULE} lab-tool linux-files || fail "lab-tool: $?" """,
                          files=lambda: guest_runs.files(), name="files of step 10", seconds=120)


@pytest.mark.parametrize("name", PROMISES)
@promises
def test_files_of_step10_keep_their_promise(name: str, case: Case) -> None:
    said = [line for line in case.output.splitlines() if re.match(rf"(not )?ok {name}(:|$)", line)]
    assert said == [f"ok {name}"], f"{said or 'not checked'} {case.output[-300:]} {case}"
    assert case.rc == 0 and not case.trouble and not case.left, case


@promises
def test_log_of_step10_says_what_was_refused(case: Case) -> None:
    """One sentence each, with the number that is enough where memory is too little."""
    log = case.log_of(MODULE)
    for words, times in {
            "there is no kernel: write one to the file kernel first": 2,
            "memory_mb=4 is too little: this kernel and its initrd need at least 6": 1,
            "memory_mb=6 is too little: this kernel and its initrd need at least 7": 1,
            "no memory for the guest: it wants 512 MiB (parameter memory_mb)": 1,
            "the kernel cannot be loaded: it takes no command line of this length": 1,
            'the kernel cannot be loaded: it is neither a bzImage ("HdrS" at offset 0x202) nor an'
            " ELF file": 1,
            "the kernel cannot be loaded: it is shorter than its headers say: the file was cut": 1,
            "the guest has restarted its machine, which ends it here": 1}.items():
        assert log.count(words) == times, (words, log)
    assert log[-1] == "unloaded: no guest is running, and nothing is left", log


# ---- The console of a Linux ---------------------------------------------------------------------

@linux_in(PC, f"""
    load_step
    give {OLDER} "$(cat $F/cmdline) -- listen off"
    linux 60 "what is typed"
    cat $F/exits | grep -E '^(total|ports)'
    unload $MODULE""", OLDER)
def test_linux_hears_what_is_typed(case: Case) -> None:
    """With the step's own memory, entry and command line. `exits` counts what its devices cost."""
    judge_host(case)
    judge_boot(case, OLDER)
    assert said(case.output, "cmdline") == ["console=ttyS0 cryptomgr.notests -- listen off"]
    assert said(case.output, "heard") == ["what is typed"], case.output
    status, = statuses(case)
    assert status["end"] == "power-off" and int(status["injected"]) > 100, status
    totals = {int(reason): int(count) for reason, count in
              re.findall(r"^total  (\d+) .*?  (\d+)$", case.output, re.MULTILINE)}
    assert sum(totals.values()) == int(status["exits"]), (totals, status)
    ports = dict(re.findall(r"(\w+) (\d+)", re.search(r"^ports  (.*)$", case.output, re.M)[1]))
    assert sum(map(int, ports.values())) == totals[30], (ports, totals)
    assert all(int(ports[name]) > 0 for name in ("uart", "pic", "pit", "cmos")), ports
