# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that the chapters of step 10 take apart, held against its code and its sessions."""
from __future__ import annotations

import re

import pytest
from test_docs_numbers import chapter, row
from test_docs_numbers_09 import rows

from lab import exits_chart
from lab.common import ROOT


def session(name: str) -> str:
    return (ROOT / "docs" / "sessions" / f"linux-{name}.txt").read_text(encoding="utf-8")


def source(name: str) -> str:
    return (ROOT / "step10-linux" / name).read_text(encoding="utf-8")


def records(name: str) -> list[tuple[int, int, int]]:
    """Reason, qualification and TSC of each exit in a session."""
    return [(int(reason), int(qualification, 16), int(tsc)) for reason, qualification, tsc in
            re.findall(r"^\d+  (\d+) .*?  (0x\w+)  0x\w+  (\d+)$", session(name), re.MULTILINE)]


#: The kernel's header, from offset 0x1f0 on, and two fields behind the session's end.
HEADER = bytes.fromhex("".join(re.findall(r"^000[12][0f]0 (.+)$", session("header"), re.MULTILINE)))
PLACE, MEMORY = 0x1000000, 0x3378000


def about(pattern: str, page: str, value: float, part: float = 0.05) -> None:
    """The page gives a number as it is from run to run: about this one."""
    found = re.search(pattern, page)
    assert found, pattern
    said = float(found[1].replace(",", ""))
    assert abs(said - value) <= part * value, (pattern, said, value)


def field(offset: int, size: int) -> int:
    return int.from_bytes(HEADER[offset - 0x1f0:offset - 0x1f0 + size], "little")


def test_figure_is_drawn_from_the_session() -> None:
    """`./lab test --accept -k book` writes both."""
    assert exits_chart.FILE.read_text(encoding="utf-8") == exits_chart.chart()


def test_header_of_the_kernel() -> None:
    page = chapter("10-boot-protocol")
    for offset, words in re.findall(r"^(0x2?1?[0-9a-f]{2,3}) +((?:[0-9a-f]{2} )+)", page,
                                    re.MULTILINE):
        value = bytes.fromhex(words)
        assert HEADER[int(offset, 16) - 0x1f0:][:len(value)] == value, offset
    sectors, size = field(0x1f1, 1), field(0x1f4, 4)
    assert f"{sectors} sectors of code" in page and f"begins at {(sectors + 1) * 512:#x}" in page
    assert f"{size:#x} * 16 is {size * 16:#x}" in page and field(0x1fe, 2) == 0xaa55
    assert f"version {field(0x206, 2) >> 8}.{field(0x206, 2) & 0xff} of the protocol" in page
    assert f"is {PLACE:#x}, and ``init_size`` is {MEMORY:#x}" in page
    assert f"all up to {PLACE + MEMORY:#x}, which is {(PLACE + MEMORY) / 2 ** 20:.1f} MiB" in page
    assert f"file has {size * 16 / 2 ** 20:.1f}." in page


def test_lines_of_the_figure() -> None:
    """Timer and serial line raise the interrupts that the figure of the machine names."""
    figure = (ROOT / "docs/figures/linux-machine.svg").read_text(encoding="utf-8")
    irq = re.search(r"irq = (\d+);", source("uart.hpp"))
    assert irq and set(re.findall(r">IRQ (\d+)<", figure)) == {"0", irq[1]}


def test_memory_of_the_figure() -> None:
    """Its addresses are those of the code, of the guest's own map, and of the kernel's header."""
    figure = (ROOT / "docs/figures/linux-memory.svg").read_text(encoding="utf-8")
    low = source("load_linux.hpp")
    for name, address in (("gdt", "0x6000"), ("boot_params", "0x7000"), ("page_tables", "0x8000"),
                          ("command_line", "0x20000"), ("end", "0x9fc00")):
        assert re.search(rf"std::uint64_t {name} = {address};", low), name
        assert address in figure, name
    first, last = re.findall(r"RAMDISK: \[mem 0x0*(\w+)-0x0*(\w+)\]", session("memory"))[0]
    assert f"0x{first}" in figure and f"{int(last, 16) + 1:#x}" in figure
    assert f"{PLACE:#x}" in figure and f"{PLACE + MEMORY:#x}" in figure
    needed = PLACE + MEMORY + int(last, 16) + 1 - int(first, 16)
    assert f"need at least {(needed + 0xfffff) >> 20}" in session("little")


def test_fields_by_hand() -> None:
    page = chapter("10-boot-protocol")
    names = re.findall(r"vmwrite +(0x\w+) <- \S+ +; (\w+)", page)
    assert len(names) == 7 and all(row("fields", name)[2] == number for number, name in names)
    code, data = 0xb | 1 << 4 | 1 << 7 | 1 << 14 | 1 << 15, 0x3 | 1 << 4 | 1 << 7 | 3 << 14
    assert f"0x4816 <- {code:#x} " in page and f"0x481a <- {data:#x} " in page
    assert f"0x6800 <- {1 | 1 << 4 | 1 << 5:#x} " in page  # PE, ET, NE


@pytest.mark.parametrize("page, name, word", [("10-linux", "0x3f80000", None),
                                              ("10-why-it-boots", "0x640040", "reboot")])
def test_qualification(page: str, name: str, word: str | None) -> None:
    """The table of bits makes the qualification; that of the reboot is the last exit's."""
    text = chapter(page)
    value = sum(int(bits_value, 0) << int(bits.split(":")[-1])
                for bits, bits_value, _ in rows(chapter(page), "Value", "Meaning"))
    assert f"{value:#x}" == name and name in text
    if word:
        assert records(word)[-1][1] == value


def test_causes_of_the_uart() -> None:
    page, uart = chapter("10-linux"), source("uart.hpp")
    assert "data_received = 4," in uart and "fifo_mark = 0xc0;" in uart
    assert f"the cause {0xc0 | 4:#x}" in page and f"would be {0xc0 | 1:#x}" in page


def test_what_one_boot_costs() -> None:
    """The counts of the text are about those of the session, and so is what is calculated from
    them. They differ a little from run to run, and from one of Debian's kernels to the next."""
    page = " ".join(chapter("10-why-it-boots").split())
    totals, ports = exits_chart.numbers(session("exits"))
    words = dict(re.findall(r"(\w+)=(\w+)", session("exits").split("\n", 1)[0]))
    exits, scopes = int(words["exits"]), int(words["scopes"])
    ticks = int(words["ms"]) * 100_000
    assert sum(totals.values()) == exits
    assert "more than 1,000 CPUIDs" in page and 1000 < totals[10, "CPUID"] < 1300
    assert "more than 1,000 injected interrupts" in page and 1000 < int(words["injected"]) < 2000
    about(r"The UART had about ([\d,]+) accesses", page, ports["uart"])
    about(r"about (\d+) interrupt windows", page, totals[7, "Interrupt window"], 0.2)
    about(r"existed for about ([\d.]+) s", page, ticks / 1e8)
    about(r"s, or (\d+) million ticks", page, ticks / 1e6)
    about(r"For about ([\d,]+) exits", page, exits)
    about(r"There were about ([\d,]+) scopes", page, scopes)

    first = records("first")
    apart = [after[2] - before[2] for before, after in zip(first[:7], first[1:8])
             if before[0] == after[0] == 10]
    tick = records("tick")
    behind_40 = [after[2] - before[2] for before, after in zip(tick, tick[1:])
                 if before[1] == 0x400040]
    behind_80 = tick[5][2] - tick[4][2]
    assert len(apart) == 5 and len(behind_40) == 2 and tick[4][1] == 0x800040
    for count in apart:
        about(r"are about (\d+) ticks apart", page, count)
    for count in behind_40:
        about(r"counts about ([\d,]+) until", page, count)
    about(r"only about (\d+)\. A write", page, behind_80)
    about(r"A scope costs about ([\d,]+) ticks", page, behind_40[0] - behind_80)

    each, scope = sum(apart) / len(apart), behind_40[0] - behind_80
    about(r"exits that would be (\d+) million", page, exits * each / 1e6)
    about(r"or ([\d.]+)% of the time", page, exits * each * 100 / ticks)
    about(r"scopes: (\d+) million", page, scopes * scope / 1e6)
    about(r"million ticks, or ([\d.]+)%\. So in", page, scopes * scope * 100 / ticks)
    about(r"in about (\d+) of 100", page, 100 - (exits * each + scopes * scope) * 100 / ticks, 0.01)
    assert totals[30, "I/O instruction"] > 0.8 * exits and ports["uart"] > exits / 2


def test_reboot_waits_for_a_controller() -> None:
    """Its exits beside those of the other boot."""
    own = int(re.search(r"exits=(\d+)", session("reboot"))[1])  # type: ignore[index]
    other = int(re.search(r"exits=(\d+)", session("exits"))[1])  # type: ignore[index]
    assert abs(own - other - 65536) < 1000 and "tries 65,536 times" in " ".join(
        chapter("10-why-it-boots").split())
    assert "reset_command = 0xfe;" in source("devices.hpp")
