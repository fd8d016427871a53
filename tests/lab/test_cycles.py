# SPDX-License-Identifier: GPL-2.0-only
"""Steps loaded and unloaded many times, and made to fail at each point, leave no memory behind."""
from __future__ import annotations

import re

import pytest
from extras import in_guest
from guest import OLDER, Case, Guest
from results import write_row
from soak import often

from lab.common import module_name, step_folders

STEPS = [module_name(folder) for folder in step_folders()]
CYCLES = 50
EARLY = 10
GUEST = Guest(OLDER, tag="cycles")
#: Rounds through all points before the early and before the late measurement. Two show what is
#: lost at many points, or many pages at one; 14 show three pages at one.
ROUNDS = (1, often(2, 14))
SLACK = 30  # pages; about a dozen come and go by themselves,
FIRST_SLACK = 36  # and about 32 while the first module of a boot comes and goes
KEY = ("step", "kernel")
#: With less RAM a guest is ready sooner.
PARAMETERS = {"step07_ept": "memory_mb=2", "step08_real_mode": "memory_mb=2",
              "step09_interrupts": "memory_mb=2"}

#: Shell functions: what the kernel says of its memory, in pages, kB or bytes.
MEASURE = """
count() { sed -n "s/^$2[: ] *\\([0-9]*\\).*/$1 \\1/p" $3; }
measure() {
  sleep 0.2; sync; echo 3 >/proc/sys/vm/drop_caches; sleep 0.2
  cat /proc/sys/vm/stat_refresh
  # The pages that each CPU keeps at hand are free, too.
  awk '$1 == "pages" && $2 == "free" { n += $3 } $1 == "count:" { n += $2 }
       END { print "'$1' free", n }' /proc/zoneinfo
  count "$1 slab" SUnreclaim /proc/meminfo
  count "$1 percpu" Percpu /proc/meminfo
  echo "$1 vmalloc $(grep -c 'vtx_\\|step[01][0-9]_' /proc/vmallocinfo)"
  # Our own only: those of the kernel come and go by themselves.
  echo "$1 threads $(cat /proc/[0-9]*/comm 2>/dev/null | grep -c ^vtx-guest)"
}
quiet() { dmesg -n 1; }
loud() { dmesg -n 8; kernel_log | grep -E 'WARNING|BUG:|Oops|Call Trace' | sed 's/^/@trouble /'; }
"""


def measures(output: str, when: str) -> dict[str, int]:
    """What MEASURE's `measure` printed."""
    return {name: int(value)
            for name, value in re.findall(rf"^{when} (\w+) (\d+)$", output, re.MULTILINE)}


def grown(output: str, slack_pages: int) -> list[str]:
    """What grew between the early and the late measurement. The kernel's own caches breathe by a
    few pages; what is counted exactly must be equal."""
    early, late = measures(output, "early"), measures(output, "late")
    assert set(early) == set(late) == {"free", "slab", "percpu", "vmalloc", "threads"}, output
    found = []
    if early["free"] - late["free"] > slack_pages:
        found.append(f"{early['free'] - late['free']} free pages fewer")
    if late["slab"] - early["slab"] > slack_pages * 4:
        found.append(f"{late['slab'] - early['slab']} kB of slab more")
    for name in ("percpu", "vmalloc", "threads"):
        if late[name] > early[name]:
            found.append(f"{name} was {early[name]} and is {late[name]}")
    return found


@pytest.mark.parametrize("step", STEPS)
@in_guest(GUEST, lambda step: f"""{MEASURE}
    cycle() {{
        probe insmod $M/{step}.ko {PARAMETERS.get(step, "")} || fail "cycle $i: insmod $?"
        rmmod {step} || fail "cycle $i: rmmod"
    }}
    quiet; i=0
    while [ $i -lt {CYCLES} ]; do
        cycle; i=$((i + 1)); [ $((i % 10)) = 0 ] && echo $i
        [ $i = {EARLY} ] && measure early
    done
    measure late; loud""", seconds=600)
def test_many_cycles(step: str, case: Case) -> None:
    """Between cycle 10 and the last nothing grows; a page lost in each would be 40."""
    assert case.rc == 0, (case.output, case)
    assert "@trouble" not in case.output, (case.output, case)
    assert not grown(case.output, FIRST_SLACK), (grown(case.output, FIRST_SLACK), case.output)
    write_row("cycles", {"step": step, "kernel": case.guest.number, "cycles": CYCLES}, KEY)


#: Steps 07 to 09 go on without a piece of 2 MiB, and have a point for each page of 4 KiB: their
#: tests of failing allocations are further down. And the point at which they ask for that piece.
MANY_POINTS = {"step07_ept": 15, "step08_real_mode": 15, "step09_interrupts": 15}


@pytest.mark.parametrize("step", [step for step in STEPS[1:] if step not in MANY_POINTS])
@in_guest(GUEST, lambda step: f"""{MEASURE}
    fail_everywhere() {{
        n=1
        echo all points
        while probe insmod $M/{step}.ko fail_at=$n; status=$?; [ $status = 12 ]; do
            [ $n -lt 100 ] || fail "it fails for ever"
            grep "^{step} " /proc/modules && fail "fail_at=$n: it is loaded"
            n=$((n + 1))
        done
        [ $status = 0 ] || fail "fail_at=$n: errno $status"
        rmmod {step} || fail "fail_at=$n: rmmod"
    }}
    with_stranger; cr4=$(cr4)
    fail_everywhere; echo "points $((n - 1))"
    quiet
    rounds() {{ i=0; while [ $i -lt $1 ]; do fail_everywhere; i=$((i + 1)); done; }}
    rounds {ROUNDS[0]}; measure early; rounds {ROUNDS[1]}; measure late
    [ "$cr4" = "$(cr4)" ] || fail "CR4 was $cr4 and is $(cr4)"
    rmmod stranger; loud""", seconds=600)
def test_allocations_fail_at_each_point(step: str, case: Case) -> None:
    """ENOMEM for each point and everything undone; past the last one success, with the count."""
    assert case.rc == 0, (case.output, case)
    assert "@trouble" not in case.output and not case.trouble, (case.output, case)
    found = re.search(r"^points (\d+)$", case.output, re.MULTILINE)
    assert found and int(found[1]) >= 1, case.output
    points = int(found[1])
    log = case.log_of(step)
    refusals = [line for line in log if line.startswith(("no memory", "the threads that run",
                                                         "not all processors could join"))]
    assert len(refusals) == points, (points, log)
    assert f"fail_at={points + 1}: nothing failed, this load has {points} points that can" in log
    assert not grown(case.output, SLACK), (grown(case.output, SLACK), case.output)
    write_row("faults", {"step": step, "kernel": case.guest.number, "points": points,
                         "rounds": sum(ROUNDS) + 1}, KEY)


def fail_at_many_points(step: str) -> str:
    """With 2 MiB each point by itself. With 1 MiB, 256 single pages: the last point before them,
    the first ones, one in the middle, and the last ones."""
    return f"""{MEASURE}
    # fail_at POINT MEGABYTES: loads, unloads if it loaded, and prints the errno
    fail_at() {{
        probe insmod $M/{step}.ko "memory_mb=$2 fail_at=$1"; status=$?
        [ $status = 0 ] && {{ rmmod {step} || fail "rmmod"; }}
        grep "^{step} " /proc/modules && fail "it is still loaded"
        [ $status = 0 ] || [ $status = 12 ] || fail "fail_at=$1: errno $status"
    }}
    # each_point MEGABYTES POINT …
    each_point() {{ mb=$1; shift; for n; do fail_at $n $mb; echo "$mb $n $status"; done; }}
    with_stranger; cr4=$(cr4)
    fail_at 999 2; fail_at 999 1
    quiet
    sample="14 15 16 17 18 100 271 272 273"
    rounds() {{ for i in $(seq $1); do each_point 2 $(seq 17); each_point 1 $sample; done; }}
    rounds {ROUNDS[0]}; measure early; rounds {ROUNDS[1]} >/dev/null; measure late
    [ "$cr4" = "$(cr4)" ] || fail "CR4 was $cr4 and is $(cr4)"
    rmmod stranger; loud"""


@in_guest(GUEST, fail_at_many_points("step07_ept"), seconds=600)
def test_allocations_fail_at_each_point_of_step07(case: Case) -> None:
    judge_many_points("step07_ept", case)


@in_guest(GUEST, fail_at_many_points("step08_real_mode"), seconds=600)
def test_allocations_fail_at_each_point_of_step08(case: Case) -> None:
    judge_many_points("step08_real_mode", case)


@in_guest(GUEST, fail_at_many_points("step09_interrupts"), seconds=600)
def test_allocations_fail_at_each_point_of_step09(case: Case) -> None:
    judge_many_points("step09_interrupts", case)


def judge_many_points(step: str, case: Case) -> None:
    """ENOMEM and everything undone; without a piece of 2 MiB it takes pages and loads."""
    assert case.rc == 0, (case.output, case)
    assert "@trouble" not in case.output and not case.trouble, (case.output, case)
    log = case.log_of(step)
    points = {2: 0, 1: 0}
    counted = re.findall(r"fail_at=999: nothing failed, this load has (\d+) points", "\n".join(log))
    points[2], points[1] = map(int, counted)
    # A list, a table and 256 pages instead of one piece.
    assert points[1] - points[2] == 257, points
    for megabytes, at, status in re.findall(r"^(\d) (\d+) (\d+)$", case.output, re.MULTILINE):
        fails = int(at) <= points[int(megabytes)]
        without_a_piece = megabytes == "2" and int(at) == MANY_POINTS[step]
        assert (status == "12") == (fails and not without_a_piece), (megabytes, at, status, points)
    assert not grown(case.output, SLACK), (grown(case.output, SLACK), case.output)
    write_row("faults", {"step": step, "kernel": case.guest.number, "points": points[2],
                         "rounds": sum(ROUNDS) + 1}, KEY)
