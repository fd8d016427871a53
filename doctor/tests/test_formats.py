# SPDX-License-Identifier: GPL-2.0-only
"""One dump in the words of each kernel's KVM; and dumps that other programs print."""
from __future__ import annotations

import re

import pytest

from program import doctor, examined, notes, rules
from test_reading import DUMP, FIELDS, text_of

#: What a sound dump has of control registers and the like, for home-made lists.
FEW = {"GUEST_CR0": 0x80050033, "GUEST_CR4": 0x2020, "GUEST_RFLAGS": 0x202, "GUEST_CR3": 0x1aa000}


def replaced(lines: list[str], pattern: str, new: str) -> list[str]:
    """One line in another form; several, if the new one has line ends."""
    changed = [re.sub(pattern, new, line) for line in lines]
    assert changed != lines, pattern
    return "\n".join(changed).split("\n")


def joined_efer(lines: list[str]) -> list[str]:
    """To Linux 5.12: EFER and PAT in one line, in two forms."""
    text = re.sub(r"EFER= (0x\w+)\nPAT = ", r"EFER =     \1  PAT = ", "\n".join(lines), count=1)
    return re.sub(r"EFER= (0x\w+)\nPAT = ", r"EFER = \1  PAT = ", text).split("\n")


def old_controls(lines: list[str]) -> list[str]:
    """To Linux 5.19: no tertiary controls, other lines, no 0x."""
    lines = replaced(lines, r"^CPUBased=0x(\w+) SecondaryExec=0x(\w+) TertiaryExec=\w+$",
                     r"PinBased=000000ff CPUBased=\1 SecondaryExec=\2")
    return replaced(lines, r"^PinBased=0x\w+ Entry", "Entry")


def without(lines: list[str], *starts: str) -> list[str]:
    return [line for line in lines if not line.startswith(starts)]


OLD = old_controls(without(DUMP, "VMCS "))
CET = "S_CET = 0x0000000000000000, SSP = 0x0000000000000000, SSP TABLE = 0x0000000000000000"


def with_cet(lines: list[str]) -> list[str]:
    return replaced(replaced(lines, r"^(\*\*\* Host.*)$", rf"{CET}\n\1"),
                    r"^(\*\*\* Control.*)$", rf"{CET}\n\1")


STORE = "MSR guest autostore:\n   0: msr=0x00000010 value=0x0000000000000000"

#: Of each form: the lines, and how many fields there are more or less than in 6.1's dump.
FORMS: dict[str, tuple[list[str], int]] = {
    "4.4": (replaced(replaced(without(joined_efer(OLD), "PDPTR"), r"^SVI.*TPR", "TPR"),
                     r"^virt-APIC.*\n?", ""), -4 - 4 - 1),
    "4.4, CR3 targets": (replaced(without(joined_efer(OLD), "PDPTR"), r"^(PLE .*)$",
                                  r"CR3 target0=0000000000000000 target1=0000000000000000\n\1"),
                         -4 - 4 + 2),
    "5.2": (without(joined_efer(OLD), "PDPTR"), -4 - 4),
    "5.10": (joined_efer(OLD), -4),
    "5.13": (OLD, -1),
    "5.15": (old_controls(DUMP), -1),
    "6.1": (DUMP, 0),
    "6.1, x2APIC": (replaced(DUMP, r"^SVI\|RVI = 00\|00 ", r"SVI|RVI = 00|00 \n"), 0),
    "6.1, APIC accesses": (
        replaced(DUMP, r"^virt", "APIC-access addr = 0x00000000fee00000 virt"), 1),
    "6.1, autostore": (replaced(DUMP, r"^(\*\*\* Host.*)$", rf"{STORE}\n\1"), 0),
    "6.3": (["kvm_intel: " + line if not line.startswith("virt") else line for line in DUMP], 0),
    "6.10": (DUMP + ["VE info address = 0x0000000000001000",
                     "ve_info: 0x00000000 0x00000000 0x0000000000000000 0x0000000000000000 "
                     "0x0000000000000000 0x0000"], 1),
    "6.10, a corrupted page": (DUMP + ["VE info address = 0x0000000000001000(corrupted!)"], 1),
    "6.18": (with_cet(DUMP), 6),
    "7.0": (replaced(with_cet(DUMP), r"^(\*\*\* Host.*)$",
                     rf"{STORE.replace('guest ', '')}\n\1"), 6),
    "CET out of tree": (replaced(DUMP, r"^(\*\*\* Host.*)$", CET.replace(", ", "\n") + r"\n\1"), 3),
}


@pytest.mark.parametrize("form", FORMS)
def test_dumps_of_all_kernels(form: str) -> None:
    """Nothing that such a kernel always prints is missed, and all that it prints is read."""
    lines, more = FORMS[form]
    report, = examined(text=text_of(lines), status=1)
    assert rules(report) == ["R05"] and report["missing"] == [] and report["notes"] == []
    assert report["fields_known"] == FIELDS + more
    joined = text_of([line + " " for line in lines]).replace(b"\n", b"")
    report, = examined(text=joined, status=1)  # everything in one line
    assert rules(report) == ["R05"] and report["fields_known"] == FIELDS + more


def test_efer_of_the_host_and_of_the_guest_before_5_13() -> None:
    lines = joined_efer(OLD)
    lines = replaced(lines, r"^(EFER =     0x0000000000000)d01", r"\g<1>801")
    assert rules(examined(text=text_of(lines), status=1)[0]) == ["G14b", "R05"]
    lines = replaced(joined_efer(OLD), r"^(EFER = 0x0000000000000)d01", r"\g<1>801")
    assert rules(examined(text=text_of(lines), status=1)[0]) == ["H08b", "R05"]


def test_efer_is_missed_from_5_14_on() -> None:
    report, = examined(text=text_of(without(DUMP, "EFER")), status=1)
    assert report["missing"] == ["Guest State: EFER"]
    report, = examined(text=text_of(without(OLD, "EFER", "PAT")), status=1)
    assert report["missing"] == []


REFUSED = {
    "AMD": ("[  123.45] SVM: VMCB 00000000c0ffee00, last attempted VMRUN on CPU 3\n", "AMD's SVM"),
    "AMD, old": ("> KVM: FAILED VMRUN WITH VMCB:\n> VMCB Control Area:\n", "AMD's SVM"),
    "AMD, a part": ("kvm_amd: cs:   s: f000 a: 009b l: 0000ffff b: 00000000ffff0000\n",
                    "AMD's SVM"),
    "AMD, the gate": ("set kvm_amd.dump_invalid_vmcb=1 to dump internal KVM state.\n", "AMD's SVM"),
    "Xen": ("(XEN) *** Guest State ***\n(XEN) CR3 = 0x0000000012345000\n", "line 1: Xen printed"),
    "Xen, quoted": ("> > (XEN) [2019-11-02 14:09:46] *** Guest State ***\n", "line 1: Xen printed"),
    "Xen, later": ("(XEN) d12v0 vmentry failure (reason 0x80000021): Invalid guest state (0)\n"
                   "(XEN) ************* VMCS Area **************\n", "line 1: Xen printed"),
    "Xen, no prefix": ("*** Guest State ***\nPDPTE0 = 0x0000000000000000  PDPTE1 = 0x"
                       "0000000000000000\n", "line 2: Xen printed"),
    "VirtualBox": ("00:00:05.485406 HM: CPU[0] HM error = 0x23a (570)\n", "VirtualBox printed"),
    "VirtualBox, capabilities": ("00:00:01.017380 HM: MSR_IA32_VMX_PROCBASED_CTLS       = "
                                 "0xfff9fffe0401e172\n", "VirtualBox printed"),
    "HyperKit": ("VMCS_PIN_BASED_CTLS:           0x000000000000003f\n"
                 "VMCS_GUEST_CR0:           0x0000000080050033\n" * 4, "HyperKit or xhyve printed"),
    "bhyve": ("vm exit[0]\n\treason\t\tVMX\n\trip\t\t0x0000000000001000\n",
              "a report of a VM exit"),
    "Jailhouse": ("FATAL: VM-Entry failure, reason 33\n", "Jailhouse printed"),
    "QEMU": ("KVM: entry failed, hardware error 0x80000021\n\nEAX=00000000 EBX=00000000\n",
             "QEMU's view of the registers"),
    "KVM's gate": ("[ 12.5] set kvm_intel.dump_invalid_vmcs=1 to dump internal KVM state.\n",
                   "echo 1 | sudo tee"),
}


@pytest.mark.parametrize("who", REFUSED)
def test_other_dumps_are_refused_in_a_sentence(who: str) -> None:
    text, words = REFUSED[who]
    for quote in ("", "> ", "Nov 20 09:14:07 host kernel: "):
        run = doctor(text=re.sub("(?m)^(?=.)", quote, text).encode())
        assert run.returncode == 2 and words in run.stderr, run.stderr + run.stdout
        assert run.stdout == "" and run.stderr.count("\n") == 1


def test_a_dump_of_kvms_among_other_things_is_read() -> None:
    """QEMU's words before it, and the sentence of a kernel that did not print one before."""
    text = (REFUSED["KVM's gate"][0] + REFUSED["QEMU"][0]).encode() + text_of(DUMP)
    assert rules(examined(text=text, status=1)[0]) == ["R05"]


LISTS = {
    "HAXM": "haxm_warning: {encoding:04x} VMX_X: {value:x}",
    "HAXM, old": "haxm_error:{encoding:04x} GUEST_X: {value:x}",
    "DebugView": "00008242\t1.46414709\thaxm_error: {encoding:04x} GUEST_X: {value:x}\t",
    "OpenBSD": "vmm: G. X ({encoding:#x}): {value:#018x}",
    "colon": "{name}: {value:#x}", "blank, colon": "{name} : {value:#x}",
    "upper case": "{name}: 0x{value:X}", "VMCS_": "[  12.3] hv: VMCS_{name}: {value:#018x}",
    "VMX_VMCS_": "VMX_VMCS_{name} : {value:#x}", "hash": "[ 9021.3]  # {name} = {value:#x}",
    "dmesg": "[   12.345678] my_hypervisor: {name} = {value:#x}", "H": "{name} = 0{value:X}H",
    "own, quoted": "> {name} = {value:#x}", "encoding": "{encoding:#06x} = {value:#x}",
    "encoding, prefix": "[ 12.5] {encoding:#06x}: {value:#x}",
}
ENCODINGS = {"GUEST_CR0": 0x6800, "GUEST_CR4": 0x6804, "GUEST_RFLAGS": 0x6820, "GUEST_CR3": 0x6802}


@pytest.mark.parametrize("form", LISTS)
def test_lists_of_fields(form: str) -> None:
    """Names or encodings, and values that can mean one thing only."""
    for flags, broken in ((0x202, []), (0x200, ["R03"])):
        values = {**FEW, "GUEST_RFLAGS": flags}
        text = "".join(LISTS[form].format(name=name, encoding=ENCODINGS[name], value=value) + "\n"
                       for name, value in values.items())
        report, = examined(text=text.encode(), status=1 if broken else 0)
        assert report["fields_known"] == 4 and rules(report) == broken


def test_two_fields_on_a_line() -> None:
    report, = examined(text=b"x: GUEST_CR0: 0x80050033, GUEST_CR4: 0x2020\n"
                            b"y GUEST_RFLAGS=0x200 GUEST_CR3=0x1aa000\n", status=1)
    assert report["fields_known"] == 4 and rules(report) == ["R03"]


def test_two_lists_that_are_mixed_are_refused() -> None:
    text = b"".join(b"haxm_error: %s\n" % line for line in (
        b"4000 VMX_PIN_CONTROLS: 1f", b"6800 GUEST_CR0: 31", b"6804 GUEST_CR4: 2020",
        b"6800 GUEST_CR0: 30"))
    run = doctor(text=text)
    assert run.returncode == 2 and "line 4: Guest CR0 was given before" in run.stderr


@pytest.mark.parametrize("text, base, flags", [
    (b"GUEST_CR0 = 80050033\nGUEST_CR4 = 2020\nGUEST_RFLAGS = 202\n", "hexadecimal", []),
    (b"GUEST_CR0 = 0x80050033\nGUEST_CR4 = 0x2020\nGUEST_RFLAGS = 514\n", "decimal", []),
])
def test_numbers_without_0x_are_never_read_in_silence(
        text: bytes, base: str, flags: list[str]) -> None:
    report, = examined(text=text, status=0)
    assert rules(report) == flags
    (_, note), = notes(report)
    assert f"read as {base} (--base=" in note
    number = "10" if base == "hexadecimal" else "16"
    assert examined("--base=" + number, text=text, status=1)[0]["notes"] == []


def test_one_letter_decides() -> None:
    """If one number is hexadecimal, all without 0x are."""
    text = b"GUEST_CR0 = 8005003b\nGUEST_CR4 = 0x2020\nGUEST_RFLAGS = 202\n"
    (_, note), = notes(examined(text=text, status=0)[0])
    assert "such numbers, 2 in all, were read as hexadecimal" in note
    run = doctor("--base=10", text=text)
    assert run.returncode == 2 and '"8005003b" is not a number' in run.stderr


def test_one_digit_is_the_same_in_both() -> None:
    report, = examined(text=b"CR3-target count = 4\nMAXPHYADDR = 39\n", status=0)
    assert report["notes"] == []


@pytest.mark.parametrize("text, value", [
    (b"VMCS_LINK_POINTER = 0xffffffff\nVMCS_LINK_POINTER_HIGH = 0xffffffff\n", "-1"),
    (b"VMCS_LINK_POINTER_FULL: 0xffffffff\nVMCS_LINK_POINTER_HIGH: 0xffffffff\nx: VPID: 0x1\n",
     "-1"),
    (b"VMCS_LINK_POINTER_LOW = 0xffffffff\nvmcs link pointer (high) = 0xffffffff\n", "-1"),
    (b"0x2800 = 0xffffffff\n0x2801 = 0xffffffff\n", "-1"),
    (b"VMCS_LINK_POINTER = 0xffffffffffffffff\nVMCS_LINK_POINTER_HIGH = 0xffffffff\n", "-1"),
    (b"VMCS_LINK_POINTER = 0x1001\nVMCS_LINK_POINTER_HIGH = 0x0\n", "0x1001")])
def test_halves_of_fields_are_put_together(text: bytes, value: str) -> None:
    report, = examined(text=text, status=0 if value == "-1" else 1)
    values = [finding["value"] for finding in report["findings"]]
    assert values == ([] if value == "-1" else [value])
    assert "VMCS link pointer is unknown" not in str(report["undecided"])


def test_a_half_alone_is_not_the_field() -> None:
    """0xffffffff for the link pointer is what a 32-bit print makes of all ones."""
    report, = examined(text=b"VMCS_LINK_POINTER = 0xffffffff\nVPID = 1\n", status=0)
    assert "0xffffffff is its lower half" in notes(report)[0][1]
    report, = examined(text=b"TSC_OFFSET_HIGH = 0x1\nVPID = 1\n", status=0)
    assert "TSC offset is not used: only its upper half" in notes(report)[0][1]
    run = doctor(text=b"TSC_OFFSET = 0x200000000\nTSC_OFFSET_HIGH = 0x1\n")
    assert run.returncode == 2 and "is not that of the whole" in run.stderr


def test_a_greeting_before_the_own_format() -> None:
    text = b"Hello,\nthis is my VMCS:\n\nGuest CR0 = 0x31\nGuest CR4 = 0x2020\nGuest RFLAGS = 0x0\n"
    report, = examined(text=text, status=1)
    assert rules(report) == ["R03"] and notes(report) == [(1, "is not NAME = VALUE")]
