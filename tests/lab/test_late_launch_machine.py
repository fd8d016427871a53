# SPDX-License-Identifier: GPL-2.0-only
"""Step 11 and the machine: processors that come and go, NMIs, MTRRs, KVM, and how it ends."""
from __future__ import annotations

import errno
import re

import extras
from attempts import attempts, write_row
from guest import OLDER, Case, Guest
from late_guests import ALONE, AS_GUEST, MODULE, judge, late_guest, parts, states
from soak import often
from test_refusals import WITH_KVM


ONE, TWO = Guest(OLDER), Guest(OLDER, cpus=2)
# As in test_machine_ends.py: what Bochs needs in order to start a second time.
UNLOCKED = extras.bios("unlocked")
PANICS = Guest(OLDER, cpus=2, tag="late-panic", bios=UNLOCKED,
               command_line="panic=-1 hpet=disable")
#: Three of the processors have never run when the module comes, and so cost little until then.
#: With MWAIT more than two of them wait for each other for seconds in Bochs.
FOUR = Guest(OLDER, cpus=4, tag="late", bios=UNLOCKED, command_line="maxcpus=1 idle=halt")
ONLINE = "/sys/devices/system/cpu/cpu{}/online"

# ---- processors come and go ---------------------------------------------------------------------


@late_guest(TWO, f"""
    begin; cat $L/cpus
    late work {often(30, 500)} & work=$!
    for i in $(seq {often(8, 100)}); do
        echo 0 >{ONLINE.format(1)} || fail offline; echo "@ offline $i"; cat $L/cpus
        echo 1 >{ONLINE.format(1)} || fail online; echo "@ online $i"; cat $L/cpus
    done
    wait $work || fail "the work: $?"; taskset 2 late cpuid; end""", seconds=240)
def test_cpu_goes_offline_and_online_under_step11(case: Case) -> None:
    """It leaves before, and is a guest again after; programs work on meanwhile."""
    judge(case)
    times = 0
    for heading, text in parts(case).items():
        wanted = "outside" if heading.startswith("offline") else "guest"
        assert [state for state, _ in states(text)] == ["guest", wanted], (heading, text)
        times += wanted == "outside"
    assert times == often(8, 100), case.output
    log = case.log_of(MODULE)
    assert sum(line.startswith("cpu 1: back, ") for line in log) == times + 1, log
    assert log.count("cpu 1: Linux goes on as a guest") == times + 1, log


REFUSES = "$X/late_refuses.ko"


@late_guest(TWO, f"""
    with_snapshot
    cat /sys/kernel/debug/snapshot/cpu1 | grep '^CR4' >/run/before
    probe insmod {REFUSES}; echo "insmod $?"; taskset 1 late cpuid; taskset 2 late cpuid
    cat /sys/kernel/debug/snapshot/cpu1 | grep '^CR4' | diff /run/before - || fail "CR4"
    echo 0 >{ONLINE.format(1)}
    begin {REFUSES}; echo 1 >{ONLINE.format(1)} || fail "it does not come online"
    echo "@ later"; taskset 1 late cpuid; taskset 2 late cpuid; cat $L/cpus
    rmmod snapshot; end""", altered=("late_refuses",))
def test_one_processor_that_refuses(case: Case) -> None:
    """When the module comes, all others are brought back. One that comes online later stays
    outside, and goes online all the same."""
    judge(case)
    first = case.output.splitlines()[:3]
    assert first == [f"insmod {errno.EIO}", ALONE, ALONE], case.output
    later = parts(case)["later"]
    assert later.startswith(f"{AS_GUEST}\n{ALONE}\n"), case.output
    assert [state for state, _ in states(later)] == ["guest", "outside"], case.output
    log = "\n".join(case.log_of(MODULE))
    refusal = r"VM entry failed: exit reason 0x80000021.*\n"
    assert re.search(r"cpu 0: Linux goes on as a guest\n" + refusal + r"cpu 0: back, .*\n"
                     r"not all processors could join, so none has \(error -5\)\n", log), log
    assert re.search(refusal + r"cpu 1: stays outside VMX operation \(error -5\)\n", log), log


@late_guest(FOUR, f"""
    begin; echo "@ one"; late cpuid; cat $L/cpus
    for cpu in 1 2 3; do echo 1 >/sys/devices/system/cpu/cpu$cpu/online || fail "online"; done
    echo "@ four"; for mask in 1 2 4 8; do taskset $mask late cpuid; done
    taskset 8 sh -c "printf x >$L/watched"; cat $L/watched $L/cpus
    rmmod {MODULE} || fail "rmmod"; begin
    echo "@ again"; for mask in 1 2 4 8; do taskset $mask late cpuid; done
    late work 3; cat $L/cpus; rmmod {MODULE} || fail "rmmod"
    echo "@ alone"; for mask in 1 2 4 8; do taskset $mask late cpuid; done""", seconds=300)
def test_four_processors(case: Case) -> None:
    """Three of them start for the first time while another one is a guest; then all at once."""
    judge(case)
    said = parts(case)
    for what, count in (("one", 1), ("four", 4), ("again", 4)):
        assert [state for state, _ in states(said[what])] == ["guest"] * count, case.output
        assert said[what].count(AS_GUEST) == count, case.output
    assert "byte=0x78 writes=1" in said["four"] and "work is done" in said["again"], case.output
    assert said["alone"].count(ALONE) == 4, case.output


# ---- NMIs, MTRRs, sleep, KVM --------------------------------------------------------------------

STORM = often(12, 120)


@late_guest(TWO, f"""
    nmis() {{ awk '$1 == "NMI:" {{ print $'$(($1 + 2))' }}' /proc/interrupts; }}
    # nmi CPU: one more to it, sent from the other one, which waits for the answer
    nmi() {{
        before=$(nmis $1)
        taskset $((2 - $1)) sh -c 'echo l >/proc/sysrq-trigger'
        [ $(nmis $1) = $((before + 1)) ] || fail "NMI $i to cpu $1 is lost"
    }}
    begin; cat $L/cpus; echo "@ storm"
    taskset 2 late flood & flood=$!
    dmesg -n 1
    for i in $(seq {STORM}); do nmi 1; done
    kill -0 $flood || fail "the flood has ended"
    kill $flood; cat $L/cpus; rmmod {MODULE} || fail "rmmod"
    with_snapshot; rm -f /run/cycles
    late cycles {often(5, 40)} 2 $M/{MODULE}.ko >/run/cycles & cycles=$!
    until [ -s /run/cycles ]; do i=$((i + 1)); nmi 0; done
    wait $cycles || fail "$(cat /run/cycles)"
    dmesg -n 8; echo "sent $i"; echo "answered $(kernel_log | grep -c 'NMI backtrace for cpu')"
    kernel_log | grep -E 'WARNING|BUG:|Oops' && fail "trouble"
    rmmod snapshot""", seconds=300)
def test_nmi_storm_on_a_processor_in_root_operation(case: Case) -> None:
    """A program that does nothing but CPUID has its processor in root operation nearly always, so
    nearly each NMI arrives there. Then the other processor gets them while the module comes and
    goes. Linux counts what arrives, and waits for an answer to each."""
    judge(case)
    before, after = (states(text)[1][1].get(10, 0) for text in case.output.split("@ storm"))
    assert after - before > 100 * STORM, case.output
    sent, answered = (int(re.search(rf"^{word} (\d+)$", case.output, re.MULTILINE)[1])
                      for word in ("sent", "answered"))
    # Who sends one answers, too.
    assert sent > STORM and answered == 2 * sent, case.output


@late_guest(TWO, f"""
    begin
    echo "base=0x40000000 size=0x1000000 type=uncachable" >/proc/mtrr || fail "no MTRR"
    late cpuid; cat $L/cpus; cat /proc/mtrr
    echo 0 >{ONLINE.format(1)}; echo 1 >{ONLINE.format(1)} || fail "it does not come online"
    echo "@ online"; taskset 2 late cpuid; rmmod {MODULE} || fail "rmmod"
    number=$(sed -n 's/^reg0*\\([0-9]*\\): base=0x0*40000000 .*/\\1/p' /proc/mtrr)
    begin; echo "@ again"; late cpuid
    rmmod {MODULE}; echo "disable=$number" >/proc/mtrr || fail "the MTRR stays" """)
def test_memory_types_that_change_end_it(case: Case) -> None:
    """Linux writes the MTRRs of all processors at once, with caches and interrupts off. Each
    leaves with a report, and the write happens. One that comes online does not join, because the
    EPT has the old types; a new load has the new ones."""
    judge(case)
    assert case.output.startswith(ALONE), case.output
    assert [state for state, _ in states(case.output)] == ["left", "left"], case.output
    assert re.search(r"base=0x0*40000000 .*size= *16MB.*: uncachable", case.output), case.output
    assert parts(case)["online"].startswith(ALONE), case.output
    assert "cpu 1: its MTRRs are not as they were when the step was loaded" in case.log, case
    assert parts(case)["again"].startswith(AS_GUEST), case.output
    for cpu in (0, 1):
        assert re.search(rf"cpu {cpu}: left VMX operation at VM exit 32 \(WRMSR\), which nothing "
                         r"here handles: RIP 0xffff[0-9a-f]+, detail 0x2", case.log), case


#: Who opens this device is about to write all memory to a disk, or to fetch it from there: Linux
#: tells all drivers, and tells them again when it is closed.
@late_guest(ONE, """
    begin
    exec 3</dev/snapshot || fail "no hibernation"; echo "@ hibernates"; late cpuid; cat $L/cpus
    exec 3<&-; echo "@ goes on"; late cpuid; cat $L/cpus
    exec 3>/dev/snapshot || fail "no restoring"; echo "@ restores"; late cpuid; cat $L/cpus
    exec 3>&-; echo "@ goes on again"; late cpuid; cat $L/cpus; end""")
def test_machine_that_gets_ready_to_sleep(case: Case) -> None:
    """The processor leaves before, and is a guest again when the machine goes on."""
    judge(case)
    for what, text in parts(case).items():
        goes_on = what.startswith("goes on")
        assert text.startswith(AS_GUEST if goes_on else ALONE), (what, text)
        assert [state for state, _ in states(text)] == ["guest" if goes_on else "outside"], text
    assert len(parts(case)) == 4, case.output


@late_guest(WITH_KVM, """
    begin
    [ -e /lab/kernel/irqbypass.ko ] && insmod /lab/kernel/irqbypass.ko
    insmod /lab/kernel/kvm.ko || fail "kvm"
    probe insmod /lab/kernel/kvm-intel.ko; echo "kvm_intel $?"; late cpuid
    end
    probe insmod /lab/kernel/kvm-intel.ko || fail "kvm_intel: $?"
    without_kvm""")
def test_kvm_comes_while_linux_is_a_guest(case: Case) -> None:
    """KVM asks CPUID, finds no VMX, and refuses by itself. Later it loads."""
    judge(case)
    found = re.search(r"^kvm_intel (\d+)\n(.*)$", case.output, re.MULTILINE)
    assert found and int(found[1]) in (errno.EOPNOTSUPP, errno.EIO), case.output
    assert found[2] == AS_GUEST, case.output
    assert re.search(r"kvm.*(no hardware support|VMX not supported)", case.log), case


@late_guest(Guest(OLDER, "sandy"), f"with_stranger; attempt {MODULE}; rmmod stranger")
def test_ept_without_pages_of_1_gib(case: Case) -> None:
    judge(case)
    attempt, = attempts(case.output)
    assert not attempt.problems("ENOTSUP", r'EPT lacks "1-GByte pages", which this step needs'), (
        attempt, case)
    write_row(case.guest, "EPT has no pages of 1 GiB", attempt, "ENOTSUP")


# ---- the machine ends ---------------------------------------------------------------------------

@late_guest(FOUR, "begin; reboot -f; sleep 100", ends="reboot")
def test_reboot_while_linux_is_a_guest(case: Case) -> None:
    """All processors leave before: one in VMX operation would not take the INIT of a restart."""
    assert case.ended == "reboot" and not case.trouble, case
    log = case.log_of(MODULE)
    joined = sum("goes on as a guest" in line for line in log)
    assert joined >= 1 and sum(": back, " in line for line in log) == joined, log
    assert "reboot: Restarting system" in case.log, case


@late_guest(PANICS, "begin; taskset 2 sh -c 'echo c >/proc/sysrq-trigger'; sleep 100",
            ends="reboot")
def test_panic_while_linux_is_a_guest(case: Case) -> None:
    """The processor that panics leaves by itself; the others have stopped, and the machine
    restarts."""
    assert case.ended == "reboot" and "Kernel panic - not syncing" in case.log, case
    assert [line[:6] for line in case.log_of(MODULE) if ": back, " in line] == ["cpu 1:"], case
    log = (case.console.parent / "bochs.log").read_text(encoding="utf-8", errors="replace")
    assert not re.search(r"triple fault|exception with no resolution", log), case
