# SPDX-License-Identifier: GPL-2.0-only
"""Step 10: Linux boots as a guest, each time proven by what its own first process says.

Which kernel, by which entry, in how much memory, with which initrd and command line, and what the
host does meanwhile. What the step's files do is in test_linux_files.py.
"""
from __future__ import annotations

import re
import struct

import guest
import pytest
from guest import NEWER, OLDER, Case, Guest
from linux_guests import (CAN_UNPACK, LINUX, QUIET, boots, files, judge_host, said,
                          statuses)
from results import write_row
from soak import often
from test_cycles import MEASURE, grown
from test_machine_lives import WITH_KVM

#: With the memory that `./lab linux` gives a PC whose guest has 512 MiB.
PC = Guest(OLDER, memory=512 + 384, tag="linux")
TWO = Guest(OLDER, cpus=2)
MIB = 1 << 20
FULL = 2047  # characters of a command line
FILLER_MB = 60


def linux_in(guests: Guest, script: str, *kernels: str, name: str = "",
             seconds: int = 240) -> pytest.MarkDecorator:
    """A script with the functions of LINUX, and these kernels."""
    return guest.in_guest(guests, LINUX + script, name=name, seconds=seconds,
                          files=lambda: files(*kernels))


def judge_boot(case: Case, kernel: str, number: int = 0) -> float:
    """A guest's first process has said what kernel it has. Returns the time then, in seconds."""
    hello = said(case.output, "up")
    assert len(hello) > number, (case.output[-1500:], case)
    assert re.fullmatch(boots(kernel), hello[number]), hello
    return float(hello[number].split()[1])


def judge_memory(case: Case, megabytes: int) -> None:
    """The guest has found all of its memory, but what its kernel itself takes."""
    lines = said(case.output, "memory")
    assert lines, case.output[-1500:]
    for words in lines:
        found = int(words.split()[1]) / 1024
        assert megabytes - 64 < found < megabytes, (found, megabytes)


# ---- Each kernel, by each entry -----------------------------------------------------------------

def full_line(end: str) -> str:
    """A command line of full length, for a guest that ends in a certain way."""
    words = f" -- kaslr {end}"
    return f"{QUIET} fill=".ljust(FULL - len(words), "x") + words


@linux_in(PC, f"""
    {MEASURE}
    load_step memory_mb=96 entry=64
    boot() {{ give {OLDER} "$1"; linux 60; }}
    boot "{full_line('off')}"; measure early
    boot "{full_line('reboot')}"
    boot "{full_line('triple')}"; measure late
    give {OLDER} "{full_line('off')}x"
    lab-tool linux-run 60
    unload $MODULE""", OLDER)
def test_linux_boots_three_times_in_a_row(case: Case) -> None:
    """A bzImage by its 64-bit entry, in 96 MiB, with a command line of full length. No page is
    lost. Each run ends in another way, and each has its kernel in another place."""
    judge_host(case)
    for number in range(3):
        judge_boot(case, OLDER, number)
    judge_memory(case, 96)
    ends = ("off", "reboot", "triple")
    assert said(case.output, "cmdline") == [full_line(end) for end in ends], case.output[-1500:]
    assert [status["end"] for status in statuses(case)] == ["power-off", "reboot", "reboot"]
    assert "the guest has restarted its machine, which ends it here" in case.log, case
    assert "the guest has restarted its machine by a triple fault at RIP 0x" in case.log, case
    places = said(case.output, "text")
    assert len(set(places)) > 1, places
    assert not grown(case.output, 60), (grown(case.output, 60), case.output[-1500:])
    # A line that is longer by one character is refused.
    assert "\nerrno 8\n" in case.output, case.output[-1500:]
    assert "the kernel cannot be loaded: it takes no command line of this length" in case.log, case


@pytest.mark.skipif(not CAN_UNPACK, reason="the tests can unpack LZ4 only")
@linux_in(PC, f"""
    load_step memory_mb=128 check=1
    give {OLDER} "{QUIET} nokaslr -- kaslr off"
    lab-tool linux-kernel /lab/linux/{OLDER} >$F/kernel || fail "linux-kernel: $?"
    linux 20
    unload $MODULE""", OLDER)
def test_linux_boots_from_an_elf_file(case: Case) -> None:
    """The vmlinux that is packed in the bzImage."""
    judge_host(case)
    judge_boot(case, OLDER)
    judge_memory(case, 128)
    assert said(case.output, "code")[0].startswith("01000000-"), case.output
    assert re.search(r"doctor: none of \d+ rules of VM entry is broken, 0 could not be decided",
                     case.log), case
    assert [status["end"] for status in statuses(case)] == ["power-off"], case.output


@linux_in(PC, f"""
    load_step memory_mb=512 entry=32
    give {OLDER} "{QUIET} -- filler off"
    lab-tool linux-initrd /lab/linux/initrd {FILLER_MB} >$F/initrd || fail "linux-initrd: $?"
    linux 60
    unload $MODULE""", OLDER)
def test_linux_boots_with_a_large_initrd(case: Case) -> None:
    """A bzImage by its 32-bit entry, in 512 MiB; what is in the initrd arrives whole."""
    judge_host(case)
    judge_boot(case, OLDER)
    judge_memory(case, 512)
    assert said(case.output, "filler") == [f"{FILLER_MB * MIB} equal"], case.output
    assert [status["end"] for status in statuses(case)] == ["power-off"], case.output


@linux_in(Guest(NEWER), f"""
    load_step entry=64
    give {NEWER} "console=ttyS0 cryptomgr.notests -- off"
    linux 60
    unload $MODULE""", NEWER)
def test_newer_linux_boots_on_its_like(case: Case) -> None:
    """Guest and host have the same kernel, the newer one of this Debian; 64-bit entry. On the
    command line is only what the step itself has there."""
    judge_host(case)
    judge_boot(case, NEWER)
    judge_memory(case, 128)
    assert [status["end"] for status in statuses(case)] == ["power-off"], case.output


# ---- What the host does meanwhile ---------------------------------------------------------------

@linux_in(TWO, f"""
    load_step memory_mb=96
    give {OLDER} "{QUIET} -- off"
    linux 120 & run=$!
    until [ -n "$(thread)" ]; do sleep 0.05; done
    while pid=$(thread); [ -n "$pid" ]; do
        taskset -p $((moved % 2 + 1)) $pid >/dev/null 2>&1 && moved=$((moved + 1))
        sleep 0.2
    done
    wait $run || fail "the run: $?"
    echo "moved $moved"
    unload $MODULE""", OLDER)
def test_linux_boots_while_its_thread_is_moved(case: Case) -> None:
    judge_host(case)
    judge_boot(case, OLDER)
    moved = re.search(r"^moved (\d+)$", case.output, re.MULTILINE)
    assert moved and int(moved[1]) >= 20, case.output
    assert [status["end"] for status in statuses(case)] == ["power-off"], case.output
    write_row("linux_moved", {"machine": case.guest.id(), "moved": int(moved[1]),
                              "scopes": int(statuses(case)[0]["scopes"])}, ("machine",))


#: A kernel of one part and five instructions, as an ELF file: MOV DX, 3F8h; OUT DX, AL; JMP to OUT.
CHATTERBOX = struct.pack(
    "<4s4B8xHHIQQQIHHHHHH IIQQQQQQ", b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, 0x100000, 64, 0, 0, 64, 56,
    1, 0, 0, 0, 1, 5, 120, 0, 0x100000, 7, 0x1000, 0x1000) + bytes.fromhex("66baf803eeebfd")


@guest.in_guest(TWO, f"""{LINUX}
    load_step memory_mb=2
    write_kernel() {{ cat /lab/linux/chatterbox >$F/kernel; }}
    write_kernel; touch /run/crowd
    while [ -e /run/crowd ]; do cat $F/console $F/status $F/exits; done >/dev/null 2>&1 &
    while [ -e /run/crowd ]; do echo typed >$F/console; done >/dev/null 2>&1 &
    while [ -e /run/crowd ]; do write_kernel; sleep 0.01; done >/dev/null 2>&1 &
    for starter in 1 2; do
        ( exec 2>/dev/null; starts=0
          for i in $(seq {often(25, 60)}); do
              echo 1 >$F/run && starts=$((starts + 1)); echo 0 >$F/run
          done
          echo "starts $starts" ) &
        starters="$starters $!"
    done
    wait $starters; rm /run/crowd; wait
    write_kernel; echo 1 >$F/run || fail "it does not start any more"
    head -c 100 $F/console >/dev/null; echo 0 >$F/run
    unload $MODULE""", files=lambda: {**files(), "lab/linux/chatterbox": CHATTERBOX},
                name="a crowd at the files of step 10", seconds=120)
def test_everybody_may_use_the_files_at_once(case: Case) -> None:
    """Two start and stop guests, one reads their output, one types, one writes kernels."""
    judge_host(case)
    starts = [int(number) for number in re.findall(r"^starts (\d+)$", case.output, re.MULTILINE)]
    assert len(starts) == 2 and sum(starts) > 10, case.output


@linux_in(WITH_KVM[0], f"""
    load_step memory_mb=96
    give {OLDER} "{QUIET} -- listen off"
    echo 1 >$F/run; sleep 1
    grep -q state=running $F/status && echo "it boots"
    unload $MODULE || fail "unload: $?"
    [ -z "$(thread)" ] || fail "there is a thread"
    with_kvm; in_vm echo "KVM runs"; without_kvm
    load_step memory_mb=96
    give {OLDER} "{QUIET} -- listen off"
    linux 60 >/run/console & run=$!
    for i in $(seq 600); do grep -q @listening /run/console && break; sleep 0.1; done
    with_kvm
    in_vm wait $run
    cat /run/console
    in_vm echo "KVM runs on"; without_kvm
    unload $MODULE""", OLDER)
def test_kvm_comes_after_and_beside_linux(case: Case) -> None:
    """The module goes while Linux boots, and KVM has VMX then. A guest that runs when KVM takes VMX
    ends with a sentence, and KVM goes on."""
    judge_host(case)
    assert re.search("^it boots\nKVM runs\n(.*\n)*KVM runs on$", case.output, re.MULTILINE), \
        case.output
    assert "the guest was stopped at RIP 0x" in case.log, case
    judge_boot(case, OLDER)
    assert [status["end"] for status in statuses(case)] == ["failure"], case.output
    assert re.search(r"CR4\.VMXE is set.*rmmod kvm_intel", case.log), case
