# SPDX-License-Identifier: GPL-2.0-only
"""What only real processors do, provoked by steps that were altered for it: machine checks, VMXOFF
and VMCLEAR that fail, a processor that is not like the others, perf's precise events."""
from __future__ import annotations

import re
from typing import Sequence

import host_builds
import pytest
from extras import files as library_files
from guest import NEWER, OLDER, Case, Guest, in_guest

from lab import kernels
from lab.common import module_name
from lab.steps import by_number

GUEST_FILE = "/sys/kernel/debug/step05_exits/guest"
READ = "read_capabilities(read_msr_safe)"

#: Altered steps: number, and per change the file, what it says, and what it says then.
ALTERED: dict[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    # A guest's #UD is taken for a machine check.
    "mc_in_guest": ("05", (("handle_events.hpp", "event.is_exception(Vector::machine_check)",
                            "event.is_exception(Vector::invalid_opcode)"),)),
    # So is exit reason 33 for 41, which spoil=guest provokes.
    "mc_at_entry": ("04", (("common/vmx/failure.hpp",
                            "ExitReason::entry_failure_machine_check",
                            "ExitReason::entry_failure_guest_state"),)),
    # VMXOFF and VMCLEAR do their work, and the step is told that they did not.
    "vmxoff_fails": ("02", (("vmx_operation.hpp", "const Result left = vmxoff();",
                             "static_cast<void>(vmxoff()); write_cr4(cr4_before_);"
                             "const Result left{Instruction::vmxoff, Status::fail_valid, 23};"),)),
    "vmclear_fails": ("05", (("vmcs.hpp", "if (!note(vmclear(physical())))",
                              "static_cast<void>(vmclear(physical()));"
                              "if (!note(Result{Instruction::vmclear, Status::fail_valid, 2}))"),)),
    # The handler of CPUID writes a field that no processor has.
    "write_fails": ("05", (("handle.hpp", "    registers.rax = result.eax;",
                            "    exit.vmcs.write(Field32{0x4ffe}, 0u);"
                            "    registers.rax = result.eax;"),)),
    "perf_samples": ("04", (("vmx_operation.hpp",
                             "read_msr_safe(Msr::pebs_enable).value_or(0) != 0", "true"),)),
    # On cpu 1 one bit of IA32_VMX_MISC is another.
    **{f"cpu_1_differs_{number}": (number, (("vmx_operation.hpp", f"if ({READ} != vmx)",
                                             f"auto here = {READ}; if (vtx_current_cpu() == 1)"
                                             " here->misc ^= 1; if (here != vmx)"),))
       for number in ("02", "06")},
}


def path(name: str) -> str:
    """Where an altered step lies in the emulated machine."""
    step = by_number(ALTERED[name][0])
    assert step
    return f"/lab/altered/{name}/{module_name(step)}.ko"


def altered(guests: Sequence[Guest], script: str, *, ends: str = "") -> pytest.MarkDecorator:
    """A script that loads altered steps, whose paths it has from path()."""
    def files() -> dict[str, object]:
        found: dict[str, object] = {**library_files(), "lab/extra/ud2": b"\x0f\x0b"}
        for name, (number, changes) in ALTERED.items():
            if path(name) in script:
                found[path(name)] = host_builds.altered_step(
                    name, number, guests[0].kernel, *changes)
        return found

    return in_guest(guests, f". /lab/extra/library\n{script}", files=files, ends=ends)


def errors(case: Case, module: str) -> str:
    """The module's part of the log as one text."""
    assert not case.trouble, case
    return "\n".join(case.log_of(module))


FIRST = Guest(OLDER)
#: Kernels by whether they handle machine checks. A Debian may have none of one kind.
NO_HANDLER, HANDLER = (
    [Guest(role) for role in (OLDER, NEWER)
     if kernels.described(role).handles_machine_checks == whether] for whether in (False, True))
TWO = Guest(OLDER, cpus=2)
UNHANDLED = "this kernel has no handler for it (CR4.MCE is 0), so none was called"


@pytest.mark.skipif(not NO_HANDLER, reason="each kernel of this Debian handles machine checks")
@altered(NO_HANDLER, f"""
    probe insmod {path("mc_in_guest")} || fail "insmod $?"
    probe write $X/ud2 {GUEST_FILE}; echo "write $?"
    probe write $X/exit {GUEST_FILE} || fail "exit"
    rmmod step05_exits; probe insmod {path("mc_at_entry")} spoil=guest; echo "insmod $?" """)
def test_machine_check_without_a_handler(case: Case) -> None:
    """INT 18 would crash such a kernel. Nothing is raised, and it is said."""
    assert case.rc == 0 and "write 5" in case.output, f"{case.output} {case}"
    assert UNHANDLED in errors(case, "step05_exits")
    assert UNHANDLED in errors(case, "step04_launch")


@altered(HANDLER[-1:], f"""
    probe insmod {path("mc_in_guest")} || fail "insmod $?"
    probe write $X/ud2 {GUEST_FILE}; fail "it went on: $?" """, ends="panic")
def test_machine_check_in_the_guest_reaches_linux(case: Case) -> None:
    """As INT 18 after the scope. No bank has a report, for it was made up: so Linux panics."""
    assert case.ended == "panic", case
    assert "Kernel panic - not syncing: Fatal machine check from unknown source" in case.log, case


@altered([Guest(NEWER, tag="entry")], f"""
    probe insmod {path("mc_at_entry")} spoil=guest; fail "it went on: $?" """, ends="panic")
def test_machine_check_at_the_entry_reaches_linux(case: Case) -> None:
    assert case.ended == "panic", case
    assert "Kernel panic - not syncing: Fatal machine check from unknown source" in case.log, case


@altered([FIRST], f"""probe insmod {path("write_fails")}; echo "insmod $?" """)
def test_guest_is_not_entered_after_a_failed_access(case: Case) -> None:
    """It would go on with half of a state: here to the greeting that follows CPUID."""
    assert case.rc == 0 and "insmod 5" in case.output, f"{case.output} {case}"
    log = errors(case, "step05_exits")
    assert re.search(r"VMWRITE of \S.* failed: VMfailValid, VM-instruction error 12", log), log
    assert "Hello" not in log, log


@altered([FIRST], f"""
    for i in 1 2 3; do probe insmod {path("vmxoff_fails")}; echo "insmod $?"; done
    probe insmod {path("vmclear_fails")}; echo "insmod $?" """)
def test_vmxoff_and_vmclear_that_fail_are_loud(case: Case) -> None:
    """The load fails with words, and the page is kept: no later load is given it."""
    assert case.output.count("insmod 5") == 4, f"{case.output} {case}"
    log = errors(case, "step02_vmxon")
    assert log.count("VMXOFF failed: VMfailValid, VM-instruction error 23") == 3
    regions = re.findall(r"VMXON region at (\S+),", log)
    assert len(set(regions)) == 3, regions
    assert re.findall(r"the page at (\S+) stays taken, .* \(1 so far\)", log) == regions
    log = errors(case, "step05_exits")
    assert "VMCLEAR failed: VMfailValid, VM-instruction error 2" in log
    assert re.search(r"the page at \S+ stays taken, .* \(1 so far\)", log)


@pytest.mark.parametrize("number", ["02", "06"])
@altered([TWO], f"""
    probe insmod {path("cpu_1_differs_02")}; echo "02 $?"
    probe insmod {path("cpu_1_differs_06")}; echo "06 $?" """)
def test_processor_that_is_not_like_the_others_refuses(number: str, case: Case) -> None:
    step = by_number(number)
    assert step and f"{number} 95" in case.output, f"{case.output} {case}"
    assert "this CPU's VMX capabilities are not those" in errors(case, module_name(step))


@altered([FIRST], f"""probe insmod {path("perf_samples")}; echo "insmod $?" """)
def test_precise_events_of_perf_refuse(case: Case) -> None:
    assert "insmod 16" in case.output, f"{case.output} {case}"
    assert "perf samples a precise event on this CPU" in errors(case, "step04_launch")
