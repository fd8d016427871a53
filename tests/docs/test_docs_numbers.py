# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that chapters take apart, held against the logs and the tables in the code."""
from __future__ import annotations

import re

from lab.common import ROOT

#: Files whose numbers are those of the machine.
KINDS = (".c", ".h", ".hpp", ".cpp", ".S", ".def", ".txt")
BY_HAND = (ROOT / "tests/lab/modules/by_hand/sequence.S").read_text(encoding="utf-8")


def chapter(name: str) -> str:
    return (ROOT / "docs" / "steps" / f"{name}.rst").read_text(encoding="utf-8")


def log(folder: str) -> str:
    return (ROOT / folder / "expected" / "log.txt").read_text(encoding="utf-8")


def step08(name: str) -> str:
    return (ROOT / "step08-real-mode" / name).read_text(encoding="utf-8")


def row(table: str, name: str) -> list[str]:
    """The parts of a row of a .def file."""
    text = (ROOT / "common" / "vmx" / f"{table}.def").read_text(encoding="utf-8")
    found = re.search(rf"\(({name},.*)\)$", text, re.MULTILINE)
    assert found, name
    return [part.strip(' "') for part in found.group(1).split(",")]


def test_numbers_of_figures() -> None:
    """Each hexadecimal number in a figure stands in a log, in a session or in the code."""
    known = {int(number, 16) for folder in ("common", "doctor/rules", "docs/sessions", "step*")
             for file in ROOT.glob(f"{folder}/**/*.*") if file.suffix in KINDS
             for number in re.findall(r"\b0x([0-9a-fA-F]+)", file.read_text(encoding="utf-8"))}
    known |= {half for number in known for half in (number >> 32, number & 0xffffffff)}
    known |= {1 << 31 | reason for reason in (33, 34)}  # entry failures, by exit_reasons.def
    known.add(1 << 31 | 1 << 11 | 3 << 8 | 13)  # which the next test takes apart
    known |= {1 << 31 | 0x20, 0x21, 0xa1}  # of step 09: test_docs_numbers_09.py
    known |= {0x4378000, 0x8000000}  # of step 10: test_docs_numbers_10.py
    assert int(row("exit_reasons", "entry_failure_guest_state")[1]) == 33
    assert int(row("exit_reasons", "entry_failure_msr_loading")[1]) == 34
    for figure in (ROOT / "docs" / "figures").glob("*.svg"):
        text = re.sub("<[^>]*>", " ", figure.read_text(encoding="utf-8"))
        for number in re.findall(r"\b0x[0-9a-fA-F]+", text):
            assert int(number, 16) in known, f"{figure.name}: {number}"


def test_bits_of_the_injected_event() -> None:
    """The figure of an injected #GP has the bits of its word, from the left to the right."""
    text = (ROOT / "docs" / "figures" / "event-injection.svg").read_text(encoding="utf-8")
    word = 1 << 31 | 1 << 11 | 3 << 8 | 13
    assert f"0x{word:08X}" in text
    boxes = re.findall(r'class="mono b"[^>]*>([01 …]+)<', text)[:5]
    valid, reserved, code, kind, vector = (box.replace(" ", "") for box in boxes)
    assert set(reserved) == {"0", "…"}
    assert int(valid, 2) << 31 | int(code, 2) << 11 | int(kind, 2) << 8 | int(vector, 2) == word


def test_bits_of_cr4() -> None:
    """The rows of chapter 02's table add up to CR4 before VMXON, and with VMXE to CR4 inside."""
    rows = re.findall(r"^\**0x([0-9a-f]{6})\** +\**([\d, ]+?)\**  ", chapter("02-vmxon"),
                      re.MULTILINE)
    parts = [int(number, 16) for number, _ in rows]
    assert parts == [sum(1 << int(bit) for bit in bits.split(",")) for _, bits in rows]
    before, inside, after = re.findall(r"CR4 is 0x([0-9a-f]+)", log("step02-vmxon"))
    assert int(inside, 16) == sum(parts) and before == after
    assert int(inside, 16) ^ int(before, 16) == 1 << 13


def test_encoding_of_guest_rip() -> None:
    """The figure has the bits of 0x681E, and that is Guest RIP in the table and by hand."""
    assert row("fields", "guest_rip")[2:] == ["0x681e", "Guest RIP"]
    figure = (ROOT / "docs/figures/field-encoding.svg").read_text(encoding="utf-8")
    drawn = re.findall(r'class="mono b" text-anchor="middle">([01])<', figure)[:16]
    assert int("".join(drawn), 2) == 0x681e
    assert "$0x681e, %r8" in BY_HAND


def test_other_encodings() -> None:
    assert row("fields", "exit_reason")[2] == "0x4402" and "0x4402" in chapter("03-vmcs")
    assert f"{0x4402:016b}" == "0100 0100 0000 0010".replace(" ", "")
    provoke = (ROOT / "step03-vmcs" / "provoke.hpp").read_text(encoding="utf-8")
    assert "unknown_field = 0x6ffe" in provoke and "0x6ffe" in chapter("03-vmcs")


def test_pin_based_controls() -> None:
    """What chapter 03 asks for and what must be 1 make the word of the log, on both machines."""
    names = [("external_interrupt_exiting", 0), ("nmi_exiting", 3),
             ("activate_preemption_timer", 6)]
    assert all(int(row("controls", name)[1]) == bit for name, bit in names)
    asked = sum(1 << bit for _, bit in names)
    assert (asked, asked & 0x7f | 0x16) == (0x49, 0x5f) and asked & 0x3f | 0x16 == 0x1f
    assert "pin-based controls 0x5f," in log("step03-vmcs")
    penryn = (ROOT / "docs/sessions/penryn-03.txt").read_text(encoding="utf-8")
    assert "pin-based controls 0x1f," in penryn
    for number in ("0x49", "0x16", "0x7f", "0x5f", "0x1f"):
        assert number in chapter("03-vmcs")


def test_revision_identifier_by_hand() -> None:
    """sequence.S has that of the machine whose log chapter 02 shows."""
    found = re.search(r"revision identifier (0x[0-9a-f]+)", log("step02-vmxon"))
    assert found and BY_HAND.count(f"movl\t${found.group(1)}, ") == 2


def test_ept_entries_by_hand() -> None:
    """Chapter 07's entries have the bits of ept.hpp, and its EPT pointer four levels."""
    code = (ROOT / "step07-ept" / "ept.hpp").read_text(encoding="utf-8")
    bits = {name: int(value) << int(shift)
            for name, value, shift in re.findall(r"(\w+) = (\d)ull << (\d)", code)}
    assert sorted(bits) == ["execute", "ignore_pat", "large", "read", "write", "write_back"]
    permissions = bits["read"] | bits["write"] | bits["execute"]
    page = chapter("07-ept")
    by_hand = [int(number, 16) for number in re.findall(r"entry 0 = 0x([0-9a-f]+)", page)]
    assert by_hand == [0x6000 | permissions, 0x7000 | permissions, 0x12600000 | sum(bits.values())]
    assert "levels = 4)" in code and "levels - 1} << 3 | 6" in code
    assert f"0x201a <- {0x5000 | 3 << 3 | 6:#x} " in page
    assert row("fields", "ept_pointer")[2] == "0x201a"


def test_control_registers_by_hand() -> None:
    """The second chapter of step 07 has CR0's mask and shadow of guest_state.hpp."""
    code = (ROOT / "step07-ept" / "guest_state.hpp").read_text(encoding="utf-8")
    registers = (ROOT / "common/x86/control_registers.def").read_text(encoding="utf-8")
    bit = {name: 1 << int(number)
           for name, number in re.findall(r"^VTX_CR0 *\((\w+), +(\d+)", registers, re.MULTILINE)}

    def word(begin: str) -> int:
        text = code[code.index(begin):]
        return sum(bit[name] for name in re.findall(r"Cr0::(\w+)", text[:text.index(";")]))

    page = chapter("07-owners")
    assert f"0x6000 <- ~{word('own_cr0 = '):#x} " in page
    assert f"0x6004 <- {word('t cr0 = '):#x} " in page
    for name, number in (("cr0_guest_host_mask", "0x6000"), ("cr0_read_shadow", "0x6004")):
        assert row("fields", name)[2] == number


def test_exception_bitmap_and_msr_bitmap() -> None:
    """The rest of what that chapter takes apart: 0x60002, and the place of LSTAR's bits."""
    page = chapter("07-owners")
    vectors = (ROOT / "common/x86/exceptions.hpp").read_text(encoding="utf-8")
    controls = (ROOT / "step07-ept" / "vmcs_controls.hpp").read_text(encoding="utf-8")
    text = controls[controls.index("exiting_exceptions ="):]
    numbers = [int(re.search(rf"\b{name} = (\d+)", vectors)[1])  # type: ignore[index]
               for name in re.findall(r"Vector::(\w+)", text[:text.index(";")])]
    assert f"The exception bitmap is {sum(1 << number for number in numbers):#x}:" in page
    for number in numbers:
        assert re.search(rf"^{number} +0x0*{1 << number:x} ", page, re.MULTILINE), number
    byte, remainder = divmod(0xC0000082 & 0x1fff, 8)
    assert f"/ 8 is {byte}, remainder {remainder}: bit {remainder} of byte" in page
    assert f"= {1024 + byte}." in page and f"= {3072 + byte}." in page
    msrs = (ROOT / "common/x86/msr.def").read_text(encoding="utf-8")
    assert re.search(r"\(lstar, +0xc0000082,", msrs) and "has the number 0xC0000082" in page


def test_colours_of_the_owners() -> None:
    """The figure gives each bit of CR0 and each exception to the one to whom the code gives it."""
    figure = (ROOT / "docs/figures/owners.svg").read_text(encoding="utf-8")
    colours = {name: colour for colour, name in re.findall(
        r'<rect class="(\w+)"[^>]*/>\n<text [^>]*>([\w ]+)</text>', figure)}
    state, registers, controls = ((ROOT / "step07-ept" / name).read_text(encoding="utf-8")
                                  for name in ("guest_state.hpp", "handle_registers.hpp",
                                               "vmcs_controls.hpp"))

    def names(code: str, begin: str, kind: str) -> set[str]:
        text = code[code.index(begin):]
        return set(re.findall(rf"{kind}::(\w+)", text[:text.index(";")]))

    own, shadow = names(state, "own_cr0 = ", "Cr0"), names(registers, "in_the_shadow = ", "Cr0")
    for name in ("pg", "cd", "nw", "am", "wp", "ne", "ts", "em", "mp", "pe"):
        wanted = "green" if name in own else "amber" if name in shadow else "grey"
        assert colours[name.upper()] == wanted, name
    cr4 = names(state, "own_cr4 = ", "Cr4") | names(state, "own = (own_cr4", "Cr4")
    for name in cr4:
        assert colours[name.upper()] == "green", name
    assert {colours[name] for name in ("PAE", "MCE", "VMXE", "all others")} == {"grey"}
    assert names(controls, "exiting_exceptions =", "Vector") == {
        "machine_check", "debug", "alignment_check"}
    wanted_events = {1: "amber", 17: "amber", 2: "grey", 18: "grey"}
    for vector in range(32):
        assert colours[str(vector)] == wanted_events.get(vector, "green"), vector


def bits_of(registers: str) -> dict[str, int]:
    """CR0_PE and the like, by control_registers.def."""
    text = (ROOT / "common/x86/control_registers.def").read_text(encoding="utf-8")
    return {name: 1 << int(number) for name, number in re.findall(
        rf"^VTX_{registers} *\((\w+), +(\d+)", text, re.MULTILINE)}


def test_mode_switches_by_hand() -> None:
    """Chapter 08 has the constants and the VMCS fields of step 08, and counts its guest's writes
    and calls as they are."""
    page, guest = chapter("08-real-mode"), step08("guests.S")
    constants = {name: int(number, 16) if number else 1 << int(bit) for name, number, bit in
                 re.findall(r"^#define (\w+) (?:(0x\w+)|\(1 << (\d+)\))$", guest, re.MULTILINE)}
    for words in (f"or     cr0, {constants['CR0_PE']:#x} ",
                  f"or     cr4, {constants['CR4_PAE']:#x} ",
                  f"mov    cr3, {constants['PML4']:#x} ",
                  f"or     efer, {constants['EFER_LME']:#x} ",
                  f"or     cr0, {constants['CR0_PG']:#x} ",
                  f"jmp    {constants['CODE32']:#04x}:code32",
                  f"jmp    {constants['CODE64']:#x}:code64",
                  f"retf   to {constants['CODE16']:#x}:code16"):
        assert words in page, words
    counts = [len(re.findall(pattern, guest)) for pattern in
              (r"%eax, %cr0\b", r"%eax, %cr3\b", r"%eax, %cr4\b", r"\bwrmsr\b")]
    assert counts == [4, 1, 1, 2], "the page says so in words"
    printed = sum(len(text.replace("\\r\\n", "\r\n"))
                  for text in re.findall('asciz\t"(.*)"', guest))
    session = (ROOT / "docs/sessions/modes-exits.txt").read_text(encoding="utf-8")
    assert f"total  18 VMCALL  {printed + guest.count('vmcall')}\n" in session


def test_vmcs_of_real_mode_by_hand() -> None:
    page, state = chapter("08-real-mode"), step08("guest_state.hpp")
    cr0 = bits_of("CR0")
    masked = re.search(r"host_cr0 = ([\w:| ]+);", state)
    assert masked
    host = sum(cr0[name] for name in re.findall(r"Cr0::(\w+)", masked[1]))
    for field, number, value in (
            ("guest_cr0", "0x6800", cr0["et"] | cr0["ne"]), ("cr0_guest_host_mask", "0x6000", host),
            ("cr0_read_shadow", "0x6004", 0), ("guest_efer", "0x2806", 0),
            ("guest_cs_access_rights", "0x4816", 0x93)):
        assert row("fields", field)[2] == number
        assert f"{number} <- {value:#x} " in page, field
    assert "data, Field16::guest_cs_selector" in state, "0x93: a data segment"
    assert row("fields", "entry_controls")[2] == "0x4012"
    assert "0x4012 <- as it was, without bit 9 " in page
    assert int(row("controls", "ia32e_mode_guest")[1]) == 9
    assert "Cr0::et | (vmx.cr0_fixed0 & ~modes)" in state
    assert ".cr0_shadow = 0" in state and "Field64::guest_efer, std::uint64_t{0}" in state
    assert int(row("controls", "unrestricted_guest")[1]) == 7 and "with bit 7 " in page


def test_bits_of_the_descriptor() -> None:
    """The rows of the table make the word of guests.S, the other two differ as the page says."""
    page, guest = chapter("08-real-mode"), step08("guests.S")
    code32, data, code64, code16, data16 = (int(word, 16) for word in
                                            re.findall(r"\.quad\t(0x\w{16})", guest))
    rows = re.findall(r"^(\d+)(?::(\d+))? +(0x\w+|\d) ", page, re.MULTILINE)
    assert len(rows) == 12
    assert sum(int(value, 0) << int(low or high) for high, low, value in rows) == code32
    assert f"is {code32:#018x} (" in page and f"is {code16:#018x}:" in page
    assert code64 == code32 - (0xc << 52) + (0xa << 52)
    assert code16 >> 48 == 0 and {word >> 40 & 0xff for word in (code32, code64, code16)} == {0x9b}
    assert data >> 40 & 0xff == data16 >> 40 & 0xff == 0x93 and data16 >> 48 == 0


def test_bios_by_hand() -> None:
    """Chapter 08's second page: entry 10h and the sector that CX and DX name."""
    page, bios = chapter("08-services"), step08("bios.hpp")
    assert "segment = 0xf000" in bios and "entry_size = 4" in bios
    assert "at 0x40    (entry 0x10: 4 * 0x10)  40 00 00 f0 " in page
    assert f"at {0xf000 * 16 + 0x10 * 4:#x} (0xf000 * 16 + 0x40)" in page
    disk = step08("disk.hpp")
    geometry = re.search(r"sectors_a_track = (\d+), sides = (\d+)", disk)
    assert geometry
    sectors, sides = map(int, geometry.groups())
    cx, dx = (int(found, 16) for found in re.findall(r"[CD]X = 0x(\w+)", page))
    track = (cx >> 8 | (cx & 0xc0) << 2) * sides + (dx >> 8)
    sector = track * sectors + (cx & 0x3f) - 1
    assert f"= {track}, and" in page and f"= {sector} of the image" in page
    assert f"byte {sector} × 512 = {sector * 512}." in page
