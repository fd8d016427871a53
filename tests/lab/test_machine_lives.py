# SPDX-License-Identifier: GPL-2.0-only
"""The machine goes on living while guests run: hotplug, NMIs, KVM, unload, load."""
from __future__ import annotations

import errno
import re

from extras import in_guest
from guest import NEWER, OLDER, Case, Guest
from soak import often

from lab import kernels
from lab.common import module_name, step_folders

TWO = (Guest(OLDER, cpus=2), Guest(NEWER, cpus=2))
KVM = ("irqbypass", "kvm", "kvm-intel")
WITH_KVM = tuple(Guest(kernel, kernel_modules=KVM, tag="kvm") for kernel in (OLDER, NEWER))
CPUS = "/sys/kernel/debug/step06_vmxoff/cpus"
PROGRAM = "/sys/kernel/debug/step05_exits/guest"


def counts(text: str) -> dict[int, tuple[str, int]]:
    """The file `cpus`: state and count of the guest of each CPU."""
    rows = re.findall(r"^(\d+)  (\w+)  \d+  \d+  \d+  \d+  (\d+)$", text, re.MULTILINE)
    return {int(cpu): (state, int(count)) for cpu, state, count in rows}


# ---- CPU hotplug -----------------------------------------------------------------------------

@in_guest(TWO, f"""
    load step06_vmxoff || fail "step06: $?"
    online=/sys/devices/system/cpu/cpu1/online
    cat {CPUS}
    for i in $(seq {often(5, 20)}); do
        echo 0 >$online || fail "offline"; echo "@ offline"; cat {CPUS}
        sleep 0.1; echo "@ still offline"; cat {CPUS}
        echo 1 >$online || fail "online"; sleep 0.2; echo "@ online"; cat {CPUS}
    done
    unload step06_vmxoff""")
def test_cpu_goes_offline_and_online_under_step06(case: Case) -> None:
    """Offline, the guest is parked; online again, its count goes on."""
    assert case.rc == 0, (case.output, case)
    first, *later = [part for part in re.split(r"^@ (?=\w)", case.output, flags=re.MULTILINE)]
    before = counts(first)
    for offline, still, online in zip(later[::3], later[1::3], later[2::3]):
        parked, stopped, running = counts(offline), counts(still), counts(online)
        assert parked[1][0] == stopped[1][0] == "parked" and running[1][0] == "running", online
        assert before[1][1] <= parked[1][1] == stopped[1][1] < running[1][1], (before, online)
        assert before[0][1] < stopped[0][1] < running[0][1], "the other guest stands still"
        before = running
    assert "VMXOFF faults on every logical processor (2)" in case.log, case
    assert not case.trouble and not case.left, case


@in_guest(TWO[0], f"""
    load step05_exits limit_ms=600000 || fail "step05: $?"
    taskset 2 $X/probe write $X/endless {PROGRAM} & guest=$!
    online=/sys/devices/system/cpu/cpu1/online
    for i in $(seq {often(3, 20)}); do
        sleep 0.1; echo 0 >$online || fail offline
        sleep 0.1; echo 1 >$online || fail online
    done
    [ -d /proc/$guest ] || fail "the guest has ended"
    kill $guest; wait $guest
    probe write $X/exit {PROGRAM} || fail "a new guest: $?"
    unload step05_exits""")
def test_cpu_goes_offline_under_step05(case: Case) -> None:
    """The guest goes on on the other CPU."""
    assert case.rc == 0, (case.output, case)
    assert not case.trouble and not case.left, case


LATE = Guest(OLDER, cpus=2, command_line="maxcpus=1", tag="late-cpu")


@in_guest(LATE, f"""
    load step06_vmxoff || fail "step06: $?"
    cat {CPUS}; echo "@ then"
    echo 1 >/sys/devices/system/cpu/cpu1/online || fail online
    sleep 0.5; cat {CPUS}
    unload step06_vmxoff; echo "unload $?"
    load step06_vmxoff; unload step06_vmxoff || fail "a second time" """)
def test_cpu_first_seen_later_gets_a_guest(case: Case) -> None:
    assert case.rc == 0, (case.output, case)
    first, then = case.output.split("@ then")
    assert list(counts(first)) == [0] and list(counts(then)) == [0, 1], case.output
    assert counts(then)[1][0] == "running" and counts(then)[1][1] > 100, case.output
    assert "cpu 1 has come online and gets a guest" in case.log, case
    assert "VMXOFF faults on every logical processor (2)" in case.log, case
    assert not case.trouble and not case.left, case


# ---- guests that end, modules that go ----------------------------------------------------------

@in_guest(TWO[0], f"""
    load step06_vmxoff dying_cpu=1 || fail "step06: $?"
    sleep 0.3; cat {CPUS}; echo "@ then"; sleep 0.1; cat {CPUS}
    unload step06_vmxoff""")
def test_one_guest_dies_and_the_other_goes_on(case: Case) -> None:
    first, then = (counts(part) for part in case.output.split("@ then"))
    assert first[1] == then[1] and first[1][0] == "ended", case.output
    assert first[0][0] == "running" and first[0][1] < then[0][1], case.output
    assert case.log.count("the guest ended: #UD") == 1, case
    assert not case.trouble and not case.left, case


@in_guest(TWO[0], f"""
    load step06_vmxoff && load step05_exits limit_ms=60000 || fail "load: $?"
    $X/probe write $X/endless {PROGRAM} & guest=$!
    sleep 0.2
    rmmod step05_exits 2>&1 && fail "step05 went away under its guest"
    unload step06_vmxoff || fail "step06 does not unload"
    kill -9 $guest; wait $guest
    sleep 0.1; unload step05_exits""")
def test_modules_are_unloaded_while_guests_run(case: Case) -> None:
    """Step 06 stops its guests; step 05 says that it is busy, for somebody waits for its guest."""
    assert case.rc == 0 and "temporarily unavailable" in case.output, (case.output, case)
    assert "the guest was stopped" in case.log, case
    assert not case.trouble and not case.left, case


# ---- KVM beside a running step -----------------------------------------------------------------

@in_guest(WITH_KVM, f"""
    load step06_vmxoff || fail "step06: $?"
    with_kvm
    show() {{ sleep 0.2; cat {CPUS}; }}
    in_vm show
    unload step06_vmxoff || fail "step06 does not unload"
    in_vm true
    without_kvm
    load step06_vmxoff || fail "step06 again: $?"
    unload step06_vmxoff""")
def test_kvm_comes_while_step06_runs(case: Case) -> None:
    """KVM gets VMX; the guest ends with the sentence for it; KVM is not harmed by the unload."""
    assert case.rc == 0, (case.output, case)
    assert [state for state, _ in counts(case.output).values()] == ["ended"], case.output
    assert re.search(r"CR4\.VMXE is set.*rmmod kvm_intel", case.log), case
    assert not case.trouble and not case.left, case


@in_guest(WITH_KVM[0], f"""
    load step05_exits limit_ms=60000 || fail "step05: $?"
    $X/probe write $X/endless {PROGRAM} & guest=$!
    sleep 0.1; with_kvm; sleep 0.1
    [ -d /proc/$guest ] && echo "it runs on beside KVM"
    the_end() {{ wait $guest; echo "guest $?"; }}
    in_vm the_end
    in_vm true
    without_kvm
    probe write $X/exit {PROGRAM} || fail "afterwards: $?"
    unload step05_exits""")
def test_kvm_comes_while_a_guest_of_step05_runs(case: Case) -> None:
    """The guest ends when KVM takes VMX: as soon as it is loaded, or when it runs a machine."""
    assert case.rc == 0 and f"guest {errno.EBUSY}" in case.output, (case.output, case)
    runs_on = "it runs on beside KVM" in case.output
    assert runs_on != kernels.described(case.guest.kernel).kvm_holds_vmx, (case.output, case)
    assert re.search(r"CR4\.VMXE is set.*rmmod kvm_intel", case.log), case
    assert not case.trouble and not case.left, case


# ---- the rest of the kernel ------------------------------------------------------------------

@in_guest(WITH_KVM, f"""
    load step06_vmxoff && load step05_exits limit_ms=60000 || fail "load: $?"
    $X/probe write $X/endless {PROGRAM} & guest=$!
    cd /sys/kernel/tracing/instances && mkdir t || fail "no tracing"
    (echo schedule >t/set_ftrace_filter; echo function >t/current_tracer
     echo nop >t/current_tracer; rmdir t) &
    for i in $(seq 30); do [ -d t ] || break; sleep 0.5; done
    [ -d t ] && echo "tracing waits for a guest"
    [ -d /proc/$guest ] || echo "the guest has ended"
    kill $guest; wait $guest
    unload step05_exits && unload step06_vmxoff; wait""")
def test_tracing_does_not_wait_for_guests(case: Case) -> None:
    """Who frees traced code waits until all tasks have once given up their CPU (RCU-tasks)."""
    assert case.rc == 0 and not re.search("waits|ended", case.output), (case.output, case)
    assert not case.trouble and not case.left, case


# ---- a guest that never ends, and NMIs --------------------------------------------------------

@in_guest(WITH_KVM[0], f"""
    echo 0 >/sys/kernel/rcu_expedited
    load step05_exits limit_ms=30000 || fail "step05: $?"
    cat /proc/uptime; $X/probe write $X/endless {PROGRAM} & guest=$!
    while [ -d /proc/$guest ] && [ "$(cut -d' ' -f3 /proc/$guest/stat)" != Z ]; do
        sleep 1; ticks=$((ticks + 1)); echo second
    done
    wait $guest; echo "guest $?"; cat /proc/uptime; echo "ticks $ticks"
    unload step05_exits""")
def test_endless_guest_disturbs_nobody(case: Case) -> None:
    """30 s on the only CPU: others get their share, and RCU and the lockup detectors are quiet."""
    assert f"guest {errno.ETIME}" in case.output, (case.output, case)
    begin, end = (float(text) for text in re.findall(r"^([\d.]+) [\d.]+$", case.output,
                                                     re.MULTILINE))
    assert 29.5 < end - begin < 34, case.output
    ticks = re.search(r"ticks (\d+)", case.output)
    assert ticks and 22 <= int(ticks[1]) <= 34, case.output
    assert not case.trouble and "stall" not in case.log and "lockup" not in case.log, case


STORM = often(8, 30)


@in_guest(TWO, f"""
    load step06_vmxoff && load step05_exits limit_ms=600000 || fail "load: $?"
    taskset 2 $X/probe write $X/endless {PROGRAM} & guest=$!
    cat {CPUS}; sleep 0.2
    dmesg -n 1
    for i in $(seq {STORM}); do echo l >/proc/sysrq-trigger; sleep 0.05; done
    dmesg -n 8
    kernel_log | grep -c 'NMI backtrace for cpu'
    kernel_log | grep -E 'WARNING|BUG:|Oops' && fail "trouble"
    [ -d /proc/$guest ] || fail "the guest has ended"
    kill $guest; wait $guest
    grep '^total  0 ' /sys/kernel/debug/step05_exits/exits || fail "no NMI left the guest"
    echo "@ then"; cat {CPUS}
    unload step05_exits && unload step06_vmxoff""")
def test_nmi_storm(case: Case) -> None:
    """sysrq-l interrupts all CPUs by NMIs while guests run on both; Linux answers each."""
    assert case.rc == 0, (case.output, case)
    backtraces = re.search(r"^(\d+)$", case.output, re.MULTILINE)
    assert backtraces and int(backtraces[1]) == 2 * STORM, case.output
    first, then = (counts(part) for part in case.output.split("@ then"))
    assert all(then[cpu][0] == "running" and then[cpu][1] > first[cpu][1] for cpu in (0, 1))
    assert "VMXOFF faults on every logical processor (2)" in case.log, case


# ---- beside other work, and where Linux checks every indirect jump ----------------------------

def load_under_work(steps: str) -> str:
    """Loads and unloads steps while a program keeps each CPU busy."""
    return f"""
        for cpu in 1 2; do nice -n 10 taskset $cpu sha256sum /dev/zero & busy="$busy $!"; done
        with_stranger
        for each in {steps}; do attempt $each; done
        kill $busy; rmmod stranger"""


#: All of them take the emulator minutes.
UNDER_LOAD = [name for name in map(module_name, step_folders())
              if often(name[4:6] in ("02", "06", "09"), True)]


@in_guest(TWO, load_under_work(" ".join(UNDER_LOAD)))
def test_steps_come_and_go_under_load(case: Case) -> None:
    tries = re.findall(r"^@try (\w+) (\d+)", case.output, re.MULTILINE)
    assert [name for name, _ in tries] == UNDER_LOAD, (tries, case)
    assert all(status == "0" for _, status in tries), (tries, case)
    assert "@cr4" not in case.output, case.output
    assert not case.trouble and not case.left, case


# A CPU without INVPCID: Linux flushes the TLB by writing CR4 twice, from a copy that it keeps. It
# does so each time a module comes or goes. Were VMXE ever set with interrupts on, that would #GP.
@in_guest(Guest(OLDER, "sandy"), f"""
    grep -q invpcid /proc/cpuinfo && fail "this CPU has INVPCID"
    load step06_vmxoff && load step05_exits limit_ms=600000 || fail "load: $?"
    $X/probe write $X/endless {PROGRAM} & guest=$!
    renice -n -19 $$
    with_stranger
    for i in 1 2 3 4 5; do
        for each in step00_makefile step02_vmxon step04_launch; do attempt $each; done
    done
    [ -d /proc/$guest ] || fail "the guest has ended"
    cat {CPUS}
    kill $guest; wait $guest; rmmod stranger
    unload step05_exits && unload step06_vmxoff""")
def test_tlb_flushes_by_cr4_while_guests_run(case: Case) -> None:
    assert case.rc == 0, (case.output, case)
    tries = re.findall(r"^@try (\w+) (\d+)", case.output, re.MULTILINE)
    assert len(tries) == 15 and all(status == "0" for _, status in tries), (tries, case)
    assert "@cr4" not in case.output, case.output
    assert counts(case.output)[0][0] == "running", case.output
    assert not case.trouble and not case.left, case
