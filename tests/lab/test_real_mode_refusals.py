# SPDX-License-Identifier: GPL-2.0-only
"""Step 08 where something is in its way: a processor without unrestricted guest, or with less of
EPT; too little memory. (Its other refusals are in test_refusals.py.)"""
from __future__ import annotations

import host_builds
from attempts import attempts, write_row
from extras import files, in_guest
from guest import OLDER, Case, Guest
from guest import in_guest as in_plain_guest
from test_ept_refusals import HIDE

HASWELL = Guest(OLDER)

#: Each CPU here with EPT and a preemption timer has unrestricted guests, too: so that is hidden, as
#: in test_ept_refusals.py, and bit 5 of IA32_VMX_MISC.
MORE = (("hide_secondary, hide_ept", "hide_secondary, hide_ept, hide_misc"),
        ("module_param(hide_ept, ulong, 0400);\n",
         "module_param(hide_ept, ulong, 0400);\nmodule_param(hide_misc, ulong, 0400);\n"),
        ("vmx.ept_vpid &=", "vmx.misc &= ~std::uint64_t{hide_misc};\nvmx.ept_vpid &="))


def hide_more(change: tuple[str, str, str]) -> tuple[str, str, str]:
    """A change of HIDE, with a third parameter."""
    file, old, new = change
    for less, more in MORE:
        new = new.replace(less, more)
    return file, old, new


HIDDEN = {
    "hide_secondary=0x80": r'VMX lacks "Unrestricted guest" \(Secondary .*\), which this step',
    "hide_misc=0x20": r"VM exits do not store IA32_EFER\.LMA \(IA32_VMX_MISC bit 5\), which this",
    "hide_ept=0x10000": r'EPT lacks "2-MByte pages", which this step needs',
    # It does without these: RDTSCP, VPID, INVPCID, WBINVD exiting; INVVPID.
    "hide_secondary=0x1068": "",
    "hide_ept=0x100000000": "",
}


def hiding_step() -> dict[str, object]:
    """Step 08 with parameters that hide capabilities."""
    return {**files(), "lab/extra/step08_real_mode.ko":
            host_builds.altered_step("hiding-08", "08", OLDER, *map(hide_more, HIDE))}


@in_plain_guest(HASWELL, ". /lab/extra/library; M=$X; with_stranger\n" + "\n".join(
    f"attempt step08_real_mode '{parameter} memory_mb=1'" for parameter in HIDDEN)
    + "\nrmmod stranger", files=hiding_step, seconds=120)
def test_unrestricted_guest_that_is_missing(case: Case) -> None:
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
    attempt step08_real_mode memory_mb=512
    attempt step08_real_mode memory_mb=64
    rmmod stranger""")
def test_more_memory_for_real_mode_than_there_is(case: Case) -> None:
    seen = attempts(case.output)
    assert len(seen) == 2, case.output
    problems = seen[0].problems("ENOMEM", r"no memory for the guest: it wants 512 MiB .*memory_mb")
    problems += seen[1].problems("loads", "")
    assert not problems, "\n".join([*problems, repr(case)])
    assert "oom" not in case.log.lower() and not case.trouble and not case.left, case
