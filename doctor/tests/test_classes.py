# SPDX-License-Identifier: GPL-2.0-only
"""Findings that are not certain: what is possible on some processors, and what is suspicious."""
from __future__ import annotations

from pathlib import Path

import pytest

from program import SAMPLES, doctor, examined, rules
from test_reading import DUMP, text_of

#: A dump that says that the entry failed, and breaks no rule.
SOUND = [line.replace("RFLAGS=0x00000002", "RFLAGS=0x00000202") for line in DUMP]


def changed(old: str, new: str) -> bytes:
    text = text_of(SOUND)
    assert text.count(old.encode()) == 1
    return text.replace(old.encode(), new.encode())


GDTR = "limit=0x0000007f, base=0xfffffe0000001000"
GUEST_CR4 = "actual=0x0000000000002660"


@pytest.mark.parametrize("old, new, rule, when, decided", [
    (GDTR, "limit=0x0000007f, base=0x001f000000000200", "D01", "with 48-bit linear addresses",
     "LINEAR_ADDRESS_WIDTH = 48"),
    (GUEST_CR4, "actual=0x0000000000006660", "G03", "without SMX",
     "IA32_VMX_CR4_FIXED1 = 0x3727ff\nIA32_VMX_CR0_FIXED1 = 0xffffffff"),
    ("CR3 = 0x000000010a5f2000", "CR3 = 0x000000810a5f2000", "G09", "with 39 address bits",
     "MAXPHYADDR = 39"),
    ("CR3 = 0x000000010a5f2000", "CR3 = 0x000400010a5f2000", "G09", "with 46 address bits",
     "MAXPHYADDR = 46"),
    (GUEST_CR4, "actual=0x0000000000003660", "G03", "without 5-level paging",
     "IA32_VMX_CR4_FIXED1 = 0x3727ff"),
])
def test_what_hangs_on_the_processor_is_possible(
        tmp_path: Path, old: str, new: str, rule: str, when: str, decided: str) -> None:
    """It is told if the dump says that the entry failed; --cpu decides it."""
    text = changed(old, new)
    report, = examined(text=text, status=1)
    assert rules(report) == [] and rules(report, "possible") == [rule]
    assert report["findings"][0]["when"] == "on processors " + when
    shown = doctor(text=text).stdout
    assert f"\n{rule}? " in shown and f"\n     possible on processors {when}: " in shown
    assert "0 findings, 1 possible; " in shown and "say so with --cpu" in shown
    processor = tmp_path / "some.cpu"
    processor.write_text(decided + "\n")
    assert rule in rules(examined("--cpu", processor, text=text, status=1)[0])
    entered = text.replace(b"reason=80000021", b"reason=0000000a")
    common = when.startswith("with 48")
    report, = examined(text=entered, status=0)
    assert rules(report, "possible") == ([rule] if common else [])


def test_only_what_fits_the_failure_is_possible() -> None:
    """With exit reason 33 the host's state was good."""
    text = changed("CR0=0000000080050033 CR3=000000011d2b4004 CR4=00000000003726e0",
                   "CR0=0000000080050033 CR3=000000011d2b4004 CR4=00000000003766e0")
    assert examined(text=text, status=0)[0]["findings"] == []


def test_a_dump_in_which_nothing_is_wrong_says_what_is_open() -> None:
    text = text_of(SOUND)
    assert examined(text=text, status=0)[0]["findings"] == []
    shown = doctor(text=text).stdout
    assert shown.endswith(
        "The dump says:    exit reason 33 with bit 31, qualification 0\n"
        "The doctor has not found the reason. Still open:\n"
        "  whether this processor has each control, feature and address bit that is used: say so "
        "with --cpu\n" + "".join(f"  {rule}  VMCS link pointer is unknown\n"
                                  for rule in ("L01", "L02", "L03")))


def test_a_finding_that_does_not_explain_the_failure() -> None:
    """Host state that is not valid gives error 8, and the dump tells of exit reason 33."""
    text = changed("FSBase=00007f2b11ffb6c0", "FSBase=0f007f2b11ffb6c0")
    report, = examined(text=text, status=1)
    assert rules(report) == ["H14"]
    assert "\nThese differ. A value may have been misread" in doctor(text=text).stdout
    assert "These differ" not in doctor(text=text_of(DUMP)).stdout


def test_little_is_known() -> None:
    """Two fields are no clean bill."""
    report, = examined(text=b"Guest CR3 = 0x1000\nVPID = 1\n", status=0)
    assert report["prediction"]["text"] == "unknown, because most rules could not be decided"


@pytest.mark.parametrize("number, words, possible", [
    ("2", "loading the PDPTEs", []), ("3", "NMI injection while STI blocks events", []),
    ("4", "VMCS link pointer", ["L01", "L02", "L03"])])
def test_qualifications_of_exit_reason_33(number: str, words: str, possible: list[str]) -> None:
    """They say which part of the guest's state it was, known or not."""
    text = changed("qualification=0000000000000000", f"qualification=000000000000000{number}")
    report, = examined(text=text, status=1 if possible else 0)
    assert report["observed"].endswith(f"qualification {number} ({words})")
    assert rules(report, "possible") == possible
    for finding in report["findings"]:
        assert finding["field"] == "VMCS link pointer" and finding["value"] is None
        assert finding["when"] == f"by the exit qualification {number}, {words}"


def test_a_link_pointer_of_0_is_named() -> None:
    """Though the memory at that address is not given."""
    report, = examined(SAMPLES / "own-link-pointer-0.vmcs", status=1)
    assert rules(report) == [] and rules(report, "possible") == ["L02", "L03"]
    assert rules(report, "suspicious") == ["W06", "W07", "W08"]
    shown = doctor(SAMPLES / "own-link-pointer-0.vmcs").stdout
    assert "\nW08  VMCS link pointer (2800H) = 0x0\n" in shown
    assert "\nL02? VMCS link pointer (2800H) = 0x0\n" in shown


def test_an_error_code_that_nearly_all_processors_demand() -> None:
    """Where bit 56 of IA32_VMX_BASIC is 0. That is told even if the dump knows of no failure."""
    sample = SAMPLES / "own-no-error-code.vmcs"
    report, = examined(sample, status=1)
    assert rules(report, "possible") == ["N04"]
    assert report["findings"][-1]["when"] == (
        "on processors with bit 56 of IA32_VMX_BASIC clear")
    text = sample.read_bytes() + b"IA32_VMX_BASIC = 0x00da04000000002b\n"
    assert rules(examined(text=text, status=1)[0]) == ["N04"]
    text = sample.read_bytes() + b"IA32_VMX_BASIC = 0x01da04000000002b\n"
    report, = examined(text=text, status=1)
    assert rules(report, "possible") == [] and rules(report, "suspicious") == ["W06", "W07"]


@pytest.mark.parametrize("old, new, rule", [
    ("CR3=000000011d2b4004", "CR3=0000000000000000", "W01"),
    ("GSBase=ffff9c1e5fb80000", "GSBase=0000000000000000", "W02"),
    ("TRBase=fffffe57dfc45000", "TRBase=0000000000000000", "W03"),
    ("GDTBase=fffffe57dfc43000", "GDTBase=0000000000012000", "W04"),
    ("IDTBase=fffffe0000000000", "IDTBase=0000000000000000", "W05"),
    ("RIP = 0xffffffffc0d21b40", "RIP = 0x0000000000000000", "W06"),
    ("RSP = 0xffffb6a5c1e3fc98", "RSP = 0x0000000000000000", "W07")])
def test_legal_and_deadly(old: str, new: str, rule: str) -> None:
    """A finding, and no failure of the entry."""
    text = changed(old, new).replace(b"reason=80000021", b"reason=0000000a")
    report, = examined(text=text, status=1)
    assert rules(report, "suspicious") == [rule] and len(report["findings"]) == 1
    assert report["prediction"]["enters"]
    shown = doctor(text=text).stdout
    assert "suspicious: legal, but hardly meant; SDM" in shown
    assert "0 findings, 1 suspicious; " in shown
    assert "bits at fault" not in shown
