# SPDX-License-Identifier: GPL-2.0-only
"""Step 09: what a guest with interrupts and a timer finds, in each mode, and how it ends.

Its guests (guests/boot_interrupts*.S, guests/boot_string_io.S) are boot images that check
themselves, as those of step 08 do. What the step's files and its thread do is in
test_interrupt_thread.py.
"""
from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

import guest_runs
import host_builds
import pytest
import soak
from guest import OLDER, Case, Guest, in_guest
from guest_runs import EIO, ETIME, GuestRun
from results import write_row
from soak import often
from test_hostile_guests import judge_random, random_script
from test_real_mode_images import SURVIVOR

MODULE = "step09_interrupts"
GUEST = Guest(OLDER)
FILES = ("boot_interrupts", "boot_interrupts_modes", "boot_string_io")
LIMIT_MS = 60
MORE_MS = 500  # to log what was printed

NAMES = host_builds.names(*FILES)
#: Guests that would never end.
ENDLESS = [name for name in NAMES if name.startswith("endless_")]
FLOOD = "endless_flood"
#: These are run where their time is measured.
CLOCKS = ["clock_of_a_second", "clock_of_ten_seconds"]

VIOLATION = r"the guest ended: EPT violation: {} guest-physical address {}, RIP 0x[0-9a-f]+"
TRIPLE = r"the guest ended: triple fault at RIP 0x[0-9a-f]+"
#: Guests that are not meant to end with status 0: the word of `status`, and what is said of them.
ENDINGS = {
    "halt_with_if_0": ("halt", ""), "halt_with_a_request": ("halt", ""),
    **dict.fromkeys(("triple_fault_in_the_handler", "triple_fault_of_the_tick",
                     "triple_fault_in_protected_mode", "triple_fault_in_long_mode",
                     "triple_fault_without_a_gate"), ("triple-fault", TRIPLE)),
    "ends_iret_with_nt": ("failure", r"the guest ended: task switch at RIP 0x[0-9a-f]+; task .*"),
    **{name: ("failure", VIOLATION.format(*words)) for name, words in {
        "ends_stack_outside_ram": ("a write to", "0x3ffffffc"),
        "ends_outs_outside_ram": ("a read of", "0x40000000"),
        "ends_ins_outside_ram": ("a write to", "0xfee00020")}.items()},
}
#: What guests print. pit_calibration has a test of its own.
PRINTED = {
    "outs_prints": ["serial", "down", "esffs"], "outs_wraps": ["ab"],
    "string_paging_32": ["0123456"], "string_paging_pae": ["0123456"],
    "string_paging_long": ["0123456"], "string_paging_pse": ["pse"],
    "string_paging_large": ["lag", "lag"],
}


def script() -> str:
    """Those that wait have time; the endless ones have little. What a flood prints stays off the
    slow console."""
    path = {name: f"/lab/guests/{stem}/{name}.bin"
            for stem in FILES for name in host_builds.names(stem)}
    mine = [path[name] for name in NAMES if name not in (*ENDLESS, *CLOCKS)]
    return f"""
        {guest_runs.WITH_SNAPSHOT}
        export MODULE={MODULE}
        load $MODULE memory_mb=1 || fail "insmod: $?"
        lab-tool run 20000 {' '.join(mine)} || fail "lab-tool: $?"
        lab-tool run {LIMIT_MS} {' '.join(path[name] for name in ENDLESS if name != FLOOD)} ||
            fail "lab-tool: $?"
        dmesg -n 5
        lab-tool run {LIMIT_MS} {path[FLOOD]} || fail "lab-tool: $?"
        dmesg -n 8
        unload $MODULE; rmmod snapshot"""


interrupts = in_guest(GUEST, script, name="guests with interrupts", seconds=300,
                      files=lambda: guest_runs.with_snapshot(*FILES))


def run_of(case: Case, name: str) -> GuestRun:
    """One guest's run; fails the test if the case did not come to it."""
    found = guest_runs.runs(case, MODULE)
    assert name in found, f"{name} did not run: {case.output[-500:]} {case}"
    return found[name]


@lru_cache(maxsize=8)
def statuses(output: str) -> dict[str, dict[str, str]]:
    """What the file `status` said behind each guest: words by name."""
    return {name: dict(word.split("=") for word in words.split()) for name, words in
            re.findall(r"^status (\w+) (.*)$", output, re.MULTILINE)}


@pytest.mark.parametrize("name", [name for name in NAMES
                                  if name not in (*ENDINGS, *ENDLESS, *CLOCKS)])
@interrupts
def test_guest_finds_what_a_pc_has(name: str, case: Case) -> None:
    run = run_of(case, name)
    line = re.fullmatch(r"the guest ended with status (0x[0-9a-f]+)", run.verdict)
    assert not line, f"the check in line {int(line[1], 16)} of {name}'s file failed; {case}"
    assert run.result == guest_runs.size_of(name, FILES), f"{run}; {case}"
    assert name == "pit_calibration" or run.printed == PRINTED.get(name, []), run
    assert statuses(case.output)[name]["end"] == "status", statuses(case.output)[name]


@pytest.mark.parametrize("name", list(ENDINGS))
@interrupts
def test_guest_with_interrupts_ends_with_a_word(name: str, case: Case) -> None:
    run = run_of(case, name)
    word, words = ENDINGS[name]
    assert run.error == (0 if word == "halt" else EIO), run
    assert re.fullmatch(words, run.verdict), run
    assert statuses(case.output)[name]["end"] == word, statuses(case.output)[name]


@pytest.mark.parametrize("name", ENDLESS)
@interrupts
def test_guest_with_interrupts_is_stopped(name: str, case: Case) -> None:
    run, status = run_of(case, name), statuses(case.output)[name]
    assert (run.result, run.error, status["end"]) == (-1, ETIME, "stopped"), (run, status)
    assert run.milliseconds <= LIMIT_MS + MORE_MS, run
    assert name == FLOOD or re.fullmatch(
        r"the guest was stopped at RIP 0x[0-9a-f]+", run.verdict), run


@interrupts
def test_numbers_in_the_status_are_those_of_the_run(case: Case) -> None:
    """Exits as the file `exits` has them; interrupts as the guest has counted them."""
    for name, run in guest_runs.runs(case, MODULE).items():
        status = statuses(case.output)[name]
        assert status["state"] == "ended", (name, status)
        assert int(status["exits"]) == run.exits >= int(status["scopes"]) - 1, (name, status, run)
    counted = {"storm_of_count_1": 3000, "storm_of_count_2": 3000, "pic_level": 500,
               "irq_alignment_check": 1, "pending_behind_imr": 1, "pic_poll": 1, "irq_entry": 0,
               "storm_masked": (0, 3), "halt_with_a_request": 0, "endless_sleep": 0}
    for name, number in counted.items():
        low, high = number if isinstance(number, tuple) else (number, number)
        assert low <= int(statuses(case.output)[name]["injected"]) <= high, name


@interrupts
def test_exception_in_a_delivery_is_the_one_that_exits(case: Case) -> None:
    """Of irq_alignment_check: #AC left while IRQ 0 was delivered, and that was injected again."""
    assert run_of(case, "irq_alignment_check").reasons[0] == 1


@interrupts
def test_timer_is_as_fast_as_linux_finds_it(case: Case) -> None:
    """50 ms by channel 2, in ticks of the TSC, which counts the emulator's instructions."""
    printed = run_of(case, "pit_calibration").printed
    wanted = case.guest.ips() * 59659 / 1193182
    assert len(printed) == 1 and abs(int(printed[0], 16) / wanted - 1) < 0.01, (printed, wanted)


@interrupts
def test_guests_with_interrupts_leave_the_host_alone(case: Case) -> None:
    assert case.rc == 0, f"{case.output[-500:]} {case}"
    assert not case.trouble, f"{case.trouble[:3]} {case}"
    assert not case.left, case
    lines = case.output.splitlines()
    assert lines.count("ok snapshot") == lines.count("ok pages") == 3, case.output[-2000:]
    assert len(guest_runs.runs(case, MODULE)) == len(NAMES) - len(CLOCKS), case


# ---- Random guests ------------------------------------------------------------------------------

RANDOM_GUESTS = {1: often(200, 100_000)}
#: Bochs calls faults that stay in the guest errors. Those of 100,000 guests are too much for a log.
QUIET = replace(GUEST, bochsrc=("error: action=ignore",) * soak.ON)


def random_interrupts() -> str:
    """Among them changed ones of each file, and with two counts for those of two CPUs."""
    return random_script({**RANDOM_GUESTS, 2: 200}, *FILES, module=MODULE,
                         parameters="memory_mb=1", survivor=SURVIVOR)


@in_guest(QUIET, random_interrupts, name="random guests with interrupts",
          seconds=often(300, 9000),
          files=lambda: guest_runs.with_snapshot(*FILES, "boot_hostile"))
def test_random_guests_with_interrupts(case: Case) -> None:
    write_row("random_guests_interrupts", judge_random(case, RANDOM_GUESTS), ("machine",))
