# SPDX-License-Identifier: GPL-2.0-only
"""Step 09: the thread in which a guest runs, its files, and the time that the guest has.

The guest's clock must be right whatever the host does meanwhile: busy loops, threads that move from
CPU to CPU, CPUs that go, NMIs, KVM.
"""
from __future__ import annotations

import re

import extras
import guest
import guest_runs
import host_builds
import pytest
from guest import OLDER, Case, Guest
from results import write_row
from soak import often
from test_interrupt_guests import MODULE, statuses
from test_machine_lives import WITH_KVM

ONE, TWO = Guest(OLDER), Guest(OLDER, cpus=2)
FOLDER = f"/sys/kernel/debug/{MODULE}"

#: Shell functions for scripts that start guests by themselves.
THREAD = f"""
    . /lab/extra/library
    G=/lab/guests/boot_interrupts
    # start NAME: $pid is its thread then
    start() {{
        probe write $G/$1.bin {FOLDER}/guest || fail "$1: $?"
        pid=$(grep -lx vtx-guest /proc/[0-9]*/comm | sed 's|/proc/||; s|/comm||')
    }}
    status() {{ echo "status $1 $(cat {FOLDER}/status)"; }}
    running() {{ grep -q state=running {FOLDER}/status; }}
    stop() {{ echo 0 >{FOLDER}/run; status $1; }}
    # Nanoseconds that the thread has run, and what time it is in milliseconds.
    used() {{ cut -d' ' -f1 /proc/$pid/schedstat; }}
    now() {{ awk '{{ printf "%d\\n", $1 * 1000 }}' /proc/uptime; }}"""


def in_thread(guests: Guest, script: str, *, name: str = "",
              seconds: int = 240) -> pytest.MarkDecorator:
    """A script with these functions."""
    return guest.in_guest(guests, THREAD + script, name=name, seconds=seconds, files=lambda: {
        **extras.files(), **guest_runs.files("boot_interrupts")})


# ---- The files ----------------------------------------------------------------------------------

_RUN = ("starts", "runs", "thread_is_called_vtx-guest", "busy", "run_1", "run_word",
        "run_negative", "ms_counts", "stop", "stop_is_quick", "stop_waits",
        "thread_goes_before_stop_returns", "stop_again", "stop_again_changes_nothing",
        "starts_again", "runs_again", "unload_with_an_open_file", "unload_leaves_it_alone",
        "stop_at_last")
#: What lab-tool checks (programs/lab-tool/thread.c): once, and for each kind of endless guest.
ONCE = ("mode_of_guest", "mode_of_run", "mode_of_status", "empty", "too_large", "too_small",
        "no_signature", "nothing_has_run", "largest", "largest_ends", "ends_halt", "ends_status",
        "ends_triple_fault", "ends_failure", "thread_is_gone", "storm", "stop_after_the_storm",
        "no_thread_after_the_storm", "starts_at_last", "runs_at_last", "unload_under_a_guest",
        "no_thread_after_unload", "no_files_after_unload")
KINDS = 3


@pytest.mark.parametrize("name", [*ONCE, *_RUN])
@guest.in_guest(ONE, f"""
    load {MODULE} memory_mb=1 || fail "insmod: $?"
    MODULE={MODULE} lab-tool thread-file || fail "lab-tool: $?" """,
                files=lambda: guest_runs.files(), name="files of a guest's thread", seconds=120)
def test_files_of_the_thread_keep_their_promise(name: str, case: Case) -> None:
    said = [line for line in case.output.splitlines()
            if re.match(rf"(not )?ok {name}(:|$)", line)]
    wanted = [f"ok {name}"] * (1 if name in ONCE else KINDS)
    assert said == wanted, f"{said or 'not checked'} {case.output[-300:]} {case}"
    assert case.rc == 0 and not case.trouble and not case.left, case
    assert "unloaded: no guest is running, and nothing is left" in case.log, case


@in_thread(ONE, f"""
    status early
    sleep 0.3; load {MODULE} memory_mb=1 & sleep 0.6
    pid=$(grep -lx insmod /proc/[0-9]*/comm | sed 's|/proc/||; s|/comm||')
    kill -9 $pid; wait
    grep {MODULE} /proc/modules && fail "it is loaded"
    load {MODULE} memory_mb=1 || fail "again: $?"
    unload {MODULE}""")
def test_insmod_is_killed_while_its_guest_runs(case: Case) -> None:
    """The guest ends, and nothing is loaded."""
    assert case.rc == 0, (case.output, case)
    assert "the task that runs it got a signal" in case.log, case
    assert not case.trouble and not case.left, case


def without_threads() -> dict[str, object]:
    """The step, where no thread can be made: once it is loaded, fail_at= reaches none."""
    return {**extras.files(), **guest_runs.files("boot_interrupts"),
            f"lab/extra/{MODULE}.ko": host_builds.altered_step("no-thread", "09", OLDER, (
                "common/kernel/one_thread.c", "if (vtx_fails_here())", "if (true)"))}


@guest.in_guest(ONE, f"""
    {THREAD}
    insmod $X/{MODULE}.ko memory_mb=1 || fail "insmod: $?"
    status before
    for i in 1 2 3; do probe write $G/halt_with_if_0.bin {FOLDER}/guest; echo "errno $?"; done
    status after
    stop stopped
    unload {MODULE}""", files=without_threads)
def test_no_thread_can_be_made(case: Case) -> None:
    """ENOMEM each time, not EBUSY; the files go on showing the run before."""
    assert case.rc == 0 and case.output.count("errno 12\n") == 3, (case.output, case)
    seen = statuses(case.output)
    assert seen["before"] == seen["after"] == seen["stopped"], case.output
    assert case.log.count("no thread for the guest: error 12") == 3, case
    assert not case.trouble and not case.left, case


# ---- Time ---------------------------------------------------------------------------------------

time_of_a_guest = in_thread(ONE, f"""
    load {MODULE} memory_mb=1 || fail "insmod: $?"
    # share NAME: how much of the CPU it takes for two seconds
    share() {{
        start $1; sleep 0.2; a=$(used); b=$(now); sleep 2; c=$(used); d=$(now); stop $1
        echo "share $1 $((c - a)) $((d - b))"
    }}
    share endless_sleep; share endless_ticks; share endless_clock
    start clock_of_a_second; while running; do sleep 0.1; done; status clock_of_a_second
    dmesg | sed -n 's/^\\[ *\\([0-9.]*\\)\\] {MODULE}: guest: \\([12]\\)$/printed \\2 \\1/p'
    unload {MODULE}""", name="time of a guest")


@time_of_a_guest
def test_guest_that_sleeps_takes_no_time(case: Case) -> None:
    """Measured: nearly nothing without ticks, little with 100 a second, all with a loop."""
    assert case.rc == 0 and not case.trouble and not case.left, (case.output, case)
    shares = {name: int(nanoseconds) / 1e6 / int(milliseconds) for name, nanoseconds, milliseconds
              in re.findall(r"^share (\w+) (\d+) (\d+)$", case.output, re.MULTILINE)}
    write_row("guest_sleeps", {"machine": case.guest.id(), **{
        name: round(share, 4) for name, share in shares.items()}}, ("machine",))
    assert shares["endless_sleep"] < 0.005, shares
    assert 0 < shares["endless_ticks"] < 0.05, shares
    assert shares["endless_clock"] > 0.5, shares


@time_of_a_guest
def test_guest_and_host_agree_about_a_second(case: Case) -> None:
    """100 ticks of 100 Hz between two lines, to which Linux gives its time."""
    times = {number: float(time) for number, time in re.findall(
        r"^printed (\d) ([\d.]+)$", case.output, re.MULTILINE)}
    second = 100 * 11932 / 1193182
    assert abs((times["2"] - times["1"]) / second - 1) < 0.01, case.output
    status = statuses(case.output)["clock_of_a_second"]
    assert abs(int(status["ms"]) / (1100 * second) - 1) < 0.01, status
    assert status["injected"] == "110" and status["end"] == "status", status


def judge_clock(first: dict[str, str], last: dict[str, str]) -> None:
    """No tick is lost between two statuses of endless_clock, and none is made up."""
    passed, ticks = (int(last[name]) - int(first[name]) for name in ("ms", "injected"))
    assert passed > 1000 and abs(ticks - passed * 1193.182 / 1193) <= 5, (first, last)


@in_thread(TWO, f"""
    load {MODULE} memory_mb=1 || fail "insmod: $?"
    for cpu in 1 2; do taskset $cpu sha256sum /dev/zero & busy="$busy $!"; done
    start clock_of_ten_seconds
    i=0
    while running; do
        taskset -p $((i % 2 + 1)) $pid >/dev/null && i=$((i + 1)); sleep 0.15
    done
    kill $busy; echo "moved $i"
    status clock_of_ten_seconds
    unload {MODULE}""")
def test_no_tick_is_lost_in_ten_seconds(case: Case) -> None:
    """10,000 ticks take 10 s, while the host is busy and the thread is moved from CPU to CPU."""
    assert case.rc == 0 and not case.trouble and not case.left, (case.output, case)
    status = statuses(case.output)["clock_of_ten_seconds"]
    moved = re.search(r"^moved (\d+)$", case.output, re.MULTILINE)
    assert moved and int(moved[1]) >= 20, case.output
    assert status["end"] == "status" and status["injected"] == "10000", status
    exact = 10000 * 1193 / 1193.182
    assert exact - 1 <= int(status["ms"]) < exact + 500, status  # the last one may come late
    write_row("ten_seconds", {"machine": case.guest.id(), "moved": int(moved[1]),
                              "milliseconds": int(status["ms"])}, ("machine",))


@in_thread(TWO, f"""
    load {MODULE} memory_mb=1 || fail "insmod: $?"
    start endless_clock
    sleep 0.2; status first
    taskset -p 2 $pid >/dev/null || fail taskset
    online=/sys/devices/system/cpu/cpu1/online
    for i in $(seq {often(3, 20)}); do
        sleep 0.1; echo 0 >$online || fail offline
        sleep 0.1; echo 1 >$online || fail online
        running && taskset -p 2 $pid >/dev/null && echo "@ it runs on"
    done
    dmesg -n 1
    for i in $(seq {often(10, 40)}); do echo l >/proc/sysrq-trigger; sleep 0.05; done
    dmesg -n 8
    kernel_log | grep -c 'NMI backtrace for cpu'
    kernel_log | grep -E 'WARNING|BUG:|Oops' && fail "trouble"
    sleep 0.1; status last; stop stopped
    grep '^total  0 ' {FOLDER}/exits || fail "no NMI left the guest"
    unload {MODULE}""")
def test_cpu_goes_offline_and_nmis_come_under_step09(case: Case) -> None:
    """The guest goes on on the other CPU, and hears each tick."""
    assert case.rc == 0 and not case.left, (case.output, case)
    assert case.output.count("@ it runs on") == often(3, 20), case.output
    backtraces = re.search(r"^(\d+)$", case.output, re.MULTILINE)
    assert backtraces and int(backtraces[1]) == 2 * often(10, 40), case.output
    seen = statuses(case.output)
    judge_clock(seen["first"], seen["last"])


@in_thread(WITH_KVM[0], f"""
    load {MODULE} memory_mb=1 || fail "insmod: $?"
    start endless_clock
    sleep 0.1; with_kvm; sleep 0.1
    running && echo "it runs on beside KVM"
    the_end() {{ for i in $(seq 50); do running || break; sleep 0.1; done; status kvm; }}
    in_vm the_end
    without_kvm
    start clock_of_a_second; while running; do sleep 0.1; done; status again
    unload {MODULE}""")
def test_kvm_comes_while_a_guest_of_step09_runs(case: Case) -> None:
    """The guest ends when KVM takes VMX, with a sentence, and the next one runs."""
    assert case.rc == 0, (case.output, case)
    assert "it runs on beside KVM" in case.output, (case.output, case)
    assert statuses(case.output)["kvm"]["end"] == "failure", case.output
    assert statuses(case.output)["again"]["end"] == "status", case.output
    assert re.search(r"CR4\.VMXE is set.*rmmod kvm_intel", case.log), case
    assert not case.trouble and not case.left, case
