# SPDX-License-Identifier: GPL-2.0-only
"""Step 07 where something is in its way: EPT that lacks something, too little memory; and the
mistakes that it makes on purpose. (Its other refusals are in test_refusals.py.)"""
from __future__ import annotations

import re

import host_builds
from attempts import attempts, write_row
from extras import files, in_guest
from guest import OLDER, Case, Guest
from guest import in_guest as in_plain_guest
from test_refusals import WITH_KVM

HASWELL = Guest(OLDER)

#: Capabilities that no processor here lacks alone are hidden from step 07: bits of the secondary
#: controls and of IA32_VMX_EPT_VPID_CAP, and what it says.
HIDE = (("module.c", "bool check;\n", """bool check;
unsigned long hide_secondary, hide_ept;
module_param(hide_secondary, ulong, 0400);
module_param(hide_ept, ulong, 0400);
"""), ("step.h", "extern bool check;\n",
        "extern bool check;\nextern unsigned long hide_secondary, hide_ept;\n"),
        ("vcpu.hpp", '#include "speculation.hpp"\n',
         '#include "speculation.hpp"\n#include "step.h"\n'),
        ("vcpu.hpp", "        if (const int error = choose_controls(vmx, controls))", """
        vmx.secondary.may_be_1 &= ~static_cast<std::uint32_t>(hide_secondary);
        vmx.ept_vpid &= ~std::uint64_t{hide_ept};
        if (const int error = choose_controls(vmx, controls))"""),
        ("core/vmx_operation.hpp", "if (read_capabilities(read_msr_safe) != vmx)", "if (false)"))
HIDDEN = {
    "hide_secondary=0x2": r'VMX lacks "Enable EPT" \(Secondary .*\), which this step needs',
    "hide_ept=0x40": r'EPT lacks "Page-walk length 4", which this step needs',
    "hide_ept=0x4000": r'EPT lacks "EPT structures in write-back memory", which this step needs',
    "hide_ept=0x10000": r'EPT lacks "2-MByte pages", which this step needs',
    "hide_ept=0x100000": r'EPT lacks "INVEPT instruction", which this step needs',
    "hide_ept=0x6000000": r"INVEPT has no type that this step knows",
    # It does without these: RDTSCP, VPID, INVPCID, INVVPID or types of it or of INVEPT.
    "hide_secondary=0x1028": "",
    "hide_ept=0x100000000": "",
    "hide_ept=0x20002000000": "",
    "hide_ept=0x60000000000": "",
}


def hiding_step() -> dict[str, object]:
    """Step 07 with parameters that hide capabilities."""
    return {**files(), "lab/extra/step07_ept.ko":
            host_builds.altered_step("hiding", "07", OLDER, *HIDE)}


@in_plain_guest(HASWELL, ". /lab/extra/library; M=$X; with_stranger\n" + "\n".join(
    f"attempt step07_ept {parameter}" for parameter in HIDDEN) + "\nrmmod stranger",
    files=hiding_step, seconds=120)
def test_ept_that_lacks_something(case: Case) -> None:
    seen = attempts(case.output)
    assert len(seen) == len(HIDDEN), case.output
    problems = []
    for attempt, (parameter, words) in zip(seen, HIDDEN.items()):
        expected = "ENOTSUP" if words else "loads"
        problems += [f"{parameter}: {text}" for text in attempt.problems(expected, words)]
        write_row(case.guest, f"a processor with less ({parameter})", attempt, expected)
    assert not problems, "\n".join([*problems, repr(case)])
    assert not case.trouble and not case.left, case


#: More than there is: the machine has 512 MiB, and Linux needs some.
@in_guest(HASWELL, """
    with_stranger
    sleep 1000 & other=$!
    attempt step07_ept memory_mb=512
    kill -0 $other && echo "nobody was killed"; kill $other
    attempt step07_ept memory_mb=64
    rmmod stranger""")
def test_more_memory_than_there_is(case: Case) -> None:
    """A sentence and ENOMEM, and no program is killed to find the rest."""
    seen = attempts(case.output)
    assert len(seen) == 2, case.output
    problems = seen[0].problems("ENOMEM", r"no memory for the guest: it wants 512 MiB .*memory_mb")
    problems += seen[1].problems("loads", "")
    assert not problems, "\n".join([*problems, repr(case)])
    write_row(case.guest, "memory_mb is more than there is", seen[0], "ENOMEM")
    assert "nobody was killed" in case.output and "oom" not in case.log.lower(), case
    assert not case.trouble and not case.left, case


#: The values of the parameter spoil, and what the log must say.
SPOILED_EPT = {
    "misconfig": r"the guest ended: EPT misconfiguration at guest-physical address 0x[0-9a-f]+, .*",
    "eptp": r"VMLAUNCH failed: VMfailValid, VM-instruction error 7: .*",
}


@in_guest(WITH_KVM, "with_stranger\n" + "\n".join(
    f"attempt step07_ept spoil={value}" for value in SPOILED_EPT) + "\nrmmod stranger")
def test_spoiled_ept_fails_as_asked(case: Case) -> None:
    seen = attempts(case.output)
    assert len(seen) == len(SPOILED_EPT), case.output
    for attempt, words in zip(seen, SPOILED_EPT.values()):
        texts = [text for _, text in attempt.lines]
        assert attempt.status == 0 and not attempt.changed, (attempt, case)
        assert sum(re.fullmatch(words, text) is not None for text in texts) == 1, (texts, case)
        assert any(text.startswith("spoiled on purpose: ") for text in texts), (texts, case)
    assert not case.trouble and not case.left, case
