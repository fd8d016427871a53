# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that the chapters of step 09 take apart, held against its guests and the tables."""
from __future__ import annotations

import re

from test_docs_numbers import chapter, row

from lab.common import ROOT

GUESTS = (ROOT / "step09-interrupts" / "guests.S").read_text(encoding="utf-8")
CLOCK = (ROOT / "docs" / "how-to" / "clock.S").read_text(encoding="utf-8")
DEFINED = {name: int(value, 0) for name, value in
           re.findall(r"^#define (\w+) (0x\w+|\d+)\b", GUESTS, re.MULTILINE)}


def rows(page: str, *columns: str) -> list[list[str]]:
    """The rows of the page's table of bits that begins with these headings."""
    head = re.search(rf"^Bits +{' +'.join(columns)}\n[= ]+\n((?:.+\n)+?)=", page, re.MULTILINE)
    assert head, columns
    return [line.split(None, 2) for line in head.group(1).splitlines()]


def written(source: str) -> list[tuple[int, int]]:
    """The bytes that a guest writes to ports, before its first STI: port and value."""
    found = []
    for value, port in re.findall(r"movb\t\$(.+), %al\b.*\n\toutb\t%al, \$(\(.+?\)|\S+)",
                                  source[:source.index("\tsti")]):
        found.append((int(eval(port, {}, DEFINED)),  # pylint: disable=eval-used
                      int(eval(value, {}, DEFINED))))  # pylint: disable=eval-used
    return found


def test_word_of_the_tick() -> None:
    """The table makes 0x80000020, which is the guest's vector as an external interrupt."""
    page = chapter("09-interrupts")
    word = sum(int(value, 0) << int(bits.split(":")[-1])
               for bits, value, _ in rows(page, "Value", "Meaning"))
    assert word == 1 << 31 | 0 << 8 | DEFINED["BASE"]
    assert f"is {word:#x} (" in page and f"0x4016 <- {word:#x} " in page
    for name, number in (("primary_controls", "0x4002"), ("idt_vectoring_information", "0x4408"),
                         ("entry_interruption_information", "0x4016")):
        assert row("fields", name)[2] == number and number in page
    assert int(row("controls", "interrupt_window_exiting")[1]) == 2 and "with bit 2 " in page
    assert int(row("exit_reasons", "interrupt_window")[1]) == 7 and "exit reason 7 " in page


def test_words_of_the_controllers() -> None:
    """Both guests write what the page takes apart, and the bits are as it says."""
    page = chapter("09-interrupts")
    icw1, icw2, icw3, icw4, mask = [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0xfe)]
    for source in (GUESTS, CLOCK):
        assert written(source)[:5] == [icw1, icw2, icw3, icw4, mask]
    assert icw1[1] == 1 << 4 | 1 and icw2[1] == DEFINED["BASE"] and mask[1] == 0xff & ~1
    for value in ("0x11", "0x20", "0x04", "0x01", "0xfe"):
        assert value in page[page.index("The guest says that by five bytes"):], value
    assert DEFINED["EOI"] == 0b001 << 5 and "0x20 has bits 7:5 = 001" in page


def test_exits_of_the_tasks() -> None:
    """100 HLTs, an EOI for each tick and what sets the devices up; the BIOS prints."""
    session = (ROOT / "docs/sessions/tasks-exits.txt").read_text(encoding="utf-8")
    ticks = DEFINED["TICKS"]
    texts = [len(text.replace("\\r\\n", "\r\n")) for text in re.findall('asciz\t"(.*)"', GUESTS)]
    assert session == (f"total  12 HLT  {ticks}\n"
                       f"total  18 VMCALL  {2 * sum(texts[:2]) + texts[2] + 1}\n"
                       f"total  30 I/O instruction  {ticks + len(written(GUESTS))}\n")
    assert len(written(GUESTS)) == 8 and "The other eight OUTs" in chapter("09-interrupts")


def test_words_of_the_timer() -> None:
    page = chapter("09-time")
    control = sum(int(value, 2) << int(bits.split(":")[-1])
                  for bits, value, _ in rows(page, "Value", "Meaning"))
    count = DEFINED["COUNT"]
    for source in (GUESTS, CLOCK):
        assert written(source)[5:] == [(0x43, control), (0x40, count & 0xff), (0x40, count >> 8)]
    assert f"The control word {control:#x} to port 0x43" in page
    assert f"0x43 <- {control:#x} " in page
    assert f"the count {count:#x}, which is {count}:" in page
    assert f"0x40 <- {count & 0xff:#x} " in page and f"0x40 <- {count >> 8:#x} " in page
    hertz = int(re.search(r"hertz = (\d+);",  # type: ignore[index]
                          (ROOT / "step09-interrupts/pit.hpp").read_text(encoding="utf-8"))[1])
    assert f"{hertz:,} / {count} is {hertz / count:.4f} Hz" in page
    assert f"would be {hertz / 100:.2f}" in page
    late = count / hertz / 0.01 - 1
    assert f"{late * 1e6:.0f} millionths slow, {late * 3600 * 1000:.0f} ms in an hour" in page
    assert f"{hertz:,} / 65536 is {hertz / 65536:.1f}." in page
    assert row("fields", "preemption_timer_value")[2] == "0x482e" and "0x482e" in page
    assert int(row("exit_reasons", "preemption_timer_expired")[1]) == 52
    assert "exit reason 52" in page


def test_guest_that_is_late() -> None:
    """18 ticks of the BIOS's clock are 0.99 s, and 98 ticks of 10 ms are due then."""
    page = chapter("09-time")
    assert "waits for 18 ticks" in page and f"makes {18 * 65536 / 1193182:.2f} s" in page
    assert "So 98 of them were due" in page and 18 * 65536 // 11932 == 98


def test_ports_of_the_figure() -> None:
    """Those at which the code has its controllers, timer and port 0x61."""
    figure = (ROOT / "docs/figures/pic-pit.svg").read_text(encoding="utf-8")
    drawn = {int(port, 16) for port in re.findall("0x[0-9A-Fa-f]+", re.sub("<desc>.*?</desc>", "",
                                                                          figure))}
    pic, pit = ((ROOT / "step09-interrupts" / name).read_text(encoding="utf-8")
                for name in ("pic.hpp", "pit.hpp"))
    assert "return (port & ~0x81u) == 0x20;" in pic
    assert "return (port & ~3u) == 0x40 || port == 0x61;" in pit
    assert drawn == {port for port in range(0x100) if port & ~0x81 == 0x20} | {0x40, 0x43, 0x61}
