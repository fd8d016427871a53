# SPDX-License-Identifier: GPL-2.0-only
"""Step 11 as programs see it: they run as before while their Linux is a guest, whatever they try,
and after it. (The machine around it: test_late_launch_machine.py.)"""
from __future__ import annotations

import errno
import re
import signal

from guest import NEWER, OLDER, Case, Guest
from late_guests import ALONE, AS_GUEST, FILES, MODULE, judge, late_guest, parts, states
from soak import often

ONE, TWO = Guest(OLDER), Guest(OLDER, cpus=2)
EACH = (ONE, Guest(NEWER, cpus=2))
CPUID, VMCALL, EPT_VIOLATION, XSETBV = 10, 18, 48, 55
#: And the VMX instructions of the hostile program. (XSETBV: Bochs 2.7, see handle_xsetbv().)
EXPECTED = {CPUID, VMCALL, EPT_VIOLATION, XSETBV, *range(19, 28), 50, 53}

# ---- programs at work ---------------------------------------------------------------------------

#: Everything that a Linux does beside it. Tests below read what each part printed.
EVERYTHING = f"""
    echo "@ alone"; late cpuid; late hostile
    begin
    echo "@ guest"; late cpuid; late hostile
    echo "@ work"; late registers 0; late work {often(20, 500)}; late step; late perf
    echo "@ modules"
    for each in step00_makefile step01_vmx_check; do
        load $each && unload $each; echo "$each $?"
    done
    for each in step02_vmxon step05_exits step06_vmxoff; do
        probe insmod $M/$each.ko; echo "$each $?"
    done
    echo "@ tracing"
    cd /sys/kernel/tracing/instances && mkdir t && cd t || fail "no tracing"
    echo 'schedule ksys_read' >set_ftrace_filter; echo function >current_tracer
    late work 5; echo 0 >tracing_on; grep -c schedule trace; echo nop >current_tracer
    cd ..; rmdir t; cd /
    echo "@ watched"
    cat $L/watched; printf abc >$L/watched; cat $L/watched
    for mask in 1 $(( $(nproc) )); do taskset $mask sh -c "printf xyz >$L/watched"; done
    cat $L/watched
    echo "@ cpus"; cat $L/cpus
    echo "@ end"; end; late registers 0; late hostile"""
everything = late_guest(EACH, EVERYTHING, name="step 11 beside everything", seconds=240)


@everything
def test_cpuid_shows_the_hypervisor_only_while_it_is_loaded(case: Case) -> None:
    judge(case)
    said = parts(case)
    assert said["alone"].startswith(ALONE + "\n"), case.output
    assert said["guest"].startswith(AS_GUEST + "\n"), case.output
    assert said["end"].startswith(ALONE + "\n"), case.output


@everything
def test_programs_do_their_work(case: Case) -> None:
    """Forks, signals, page faults, vector registers in parallel, single step, perf."""
    assert parts(case)["work"].splitlines() == [
        "registers are the same", "work is done", "stepped", "perf has its samples"], case.output
    assert "registers are the same" in parts(case)["end"], case.output


@everything
def test_forbidden_instructions_give_the_signals_of_a_machine_without_vmx(case: Case) -> None:
    """Also VMCALL, by which the module itself leaves."""
    said = parts(case)
    ill, segv = int(signal.SIGILL), int(signal.SIGSEGV)
    got = dict(re.findall(r"^([\w-]+) (\d+)$", said["guest"], re.MULTILINE))
    assert len(got) == 19, case.output
    others = ("xsetbv", "invd", "rdmsr", "wrmsr", "mov-to-cr4")
    assert got == {name: str(segv if name in others else ill) for name in got}, case.output
    for when in ("alone", "end"):
        assert dict(re.findall(r"^([\w-]+) (\d+)$", said[when], re.MULTILINE)) == got, case.output


@everything
def test_modules_come_and_go_and_find_no_vmx(case: Case) -> None:
    """Steps that need VMX refuse as in any virtual machine."""
    assert parts(case)["modules"].splitlines() == [
        "step00_makefile 0", "step01_vmx_check 0", f"step02_vmxon {errno.ENODEV}",
        f"step05_exits {errno.ENODEV}", f"step06_vmxoff {errno.ENODEV}"], case.output
    assert case.log.count("it is a virtual one, so let its hypervisor pass VMX on") >= 3, case


@everything
def test_functions_are_traced(case: Case) -> None:
    """The tracer rewrites code of the kernel while all processors run it."""
    said = parts(case)["tracing"].splitlines()
    assert said[0] == "work is done" and int(said[1]) > 0, case.output


@everything
def test_writes_to_the_watched_page_are_counted(case: Case) -> None:
    """On whichever processor; each is stored, and reading leaves the guest not at all."""
    assert parts(case)["watched"].splitlines() == [
        "byte=0x0 writes=0", f"byte={ord('c'):#x} writes=3", f"byte={ord('z'):#x} writes=9"], \
        case.output


@everything
def test_exits_are_counted_by_reason(case: Case) -> None:
    """CPUID above all, on each processor; no exit that is not meant to be."""
    seen = states(parts(case)["cpus"])
    assert [state for state, _ in seen] == ["guest"] * case.guest.cpus, case.output
    for _, exits in seen:
        assert exits[CPUID] >= 20, case.output
        assert set(exits) <= EXPECTED, case.output
    assert sum(exits.get(EPT_VIOLATION, 0) for _, exits in seen) == 9, case.output
    assert sum(exits.get(VMCALL, 0) for _, exits in seen) == 1, "the hostile program's"


# ---- MSRs ---------------------------------------------------------------------------------------

@late_guest(EACH, f"""
    insmod $X/msr-$VERSION.ko || fail "no msr"
    echo "@ alone"; late msrs
    begin
    echo "@ guest"; late msrs
    end; rmmod msr""", kernel_modules=("msr",))
def test_msrs_of_vmx_are_not_there(case: Case) -> None:
    """Neither are numbers for which the MSR bitmap has no bit; others are as they were."""
    judge(case)
    alone, guest = (dict(re.findall(r"^read (\w+) (.*)$", parts(case)[when], re.MULTILINE))
                    for when in ("alone", "guest"))
    nothing = f"errno {errno.EIO}"
    assert alone["0x480"].startswith("0x") and int(alone["0x3a"], 16) == 5, case.output
    assert [guest[number] for number in ("0x480", "0x48d", "0x40000000", "0x12345678")] == \
        [nothing] * 4, case.output
    assert int(guest["0x3a"], 16) == 1, "locked, with VMX off"
    assert guest["0xc0000080"] == alone["0xc0000080"], case.output
    assert "write 0x3a Input/output error" in parts(case)["guest"], case.output


# ---- coming back --------------------------------------------------------------------------------

@late_guest((ONE, TWO), f"""
    with_snapshot; late registers 0
    late cycles {often(20, 300)} $(nproc) $M/{MODULE}.ko
    late cpuid; late registers 0; rmmod snapshot""", seconds=300)
def test_many_launches_and_returns_leave_no_trace(case: Case) -> None:
    """All registers of each processor are equal to the byte, and TR's limit too. (50 of them in a
    row, and the memory that they take, are in test_cycles.py.)"""
    judge(case)
    assert re.search(r"^\d+ cycles, 0 differences$", case.output, re.MULTILINE), case.output
    assert case.output.count("registers are the same") == 2 and ALONE in case.output, case.output


TROUBLE = "$X/late_trouble.ko"


@late_guest((ONE, TWO), f"""
    begin {TROUBLE}
    echo "@ unhandled"; late cpuid; taskset 1 late registers 0x12345678; taskset 1 late cpuid
    cat $L/cpus; late work 5; end
    echo "@ at once"
    for i in 1 2 3; do
        begin {TROUBLE}
        for mask in $(seq $(nproc)); do taskset $mask late registers 0x12345678 & done; wait
        rmmod {MODULE}
    done
    for leaf in 9 a b; do
        begin {TROUBLE}; echo "@ $leaf"; taskset 1 late registers 0x1234567$leaf
        taskset 1 late cpuid; cat $L/cpus; end
    done
    begin {TROUBLE}
    echo "@ write"; taskset 1 sh -c "printf x >$L/watched"; cat $L/watched
    taskset 1 late cpuid; cat $L/cpus; end
    begin; echo "@ again"; late cpuid; end""", altered=("late_trouble",))
def test_what_nobody_handles_takes_the_processor_out(case: Case) -> None:
    """From a program and from the kernel: the instruction is executed for real, and the report
    comes. The other processor stays a guest."""
    judge(case)
    said = parts(case)
    rest = ["guest"] * (case.guest.cpus - 1)
    for what in ("unhandled", "9", "a", "b", "write"):
        assert [state for state, _ in states(said[what])] == ["left", *rest], (what, case.output)
        assert said[what].count(ALONE) == 2, (what, case.output)
        assert ("registers are the same" in said[what]) == (what != "write"), (what, case.output)
    assert said["at once"].count("registers are the same") == 3 * case.guest.cpus, case.output
    assert said["write"].startswith(f"byte={ord('x'):#x} writes=0\n"), case.output
    assert said["again"].splitlines() == [AS_GUEST, ALONE], case.output
    log = "\n".join(case.log_of(MODULE))
    assert len(re.findall(r"cpu 0: left VMX operation at VM exit 10 \(CPUID\), which nothing here "
                          r"handles: RIP 0x[0-9a-f]{6}, detail 0x12345678,", log)) >= 1, log
    assert re.search(r"cpu 0: left VMX operation: #UD in the exit handler, after the exit at RIP "
                     r"0x[0-9a-f]{6}; this is a mistake in the step", log), log
    assert "VM entry failed: exit reason 0x80000021" in log, log
    assert "VMRESUME failed: VMfailValid, VM-instruction error 7" in log, log
    assert re.search(r"cpu 0: left VMX operation at VM exit 48 \(EPT violation\), which nothing "
                     r"here handles: RIP 0xffff", log), log
