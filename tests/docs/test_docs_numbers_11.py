# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that the chapters of step 11 take apart, held against its code and its sessions."""
from __future__ import annotations

import re

from test_docs_numbers import chapter, row
from test_docs_numbers_09 import rows

from lab.common import ROOT


def session(name: str) -> str:
    return (ROOT / "docs" / "sessions" / f"turned-{name}.txt").read_text(encoding="utf-8")


def source(name: str) -> str:
    return (ROOT / "step11-late-launch" / name).read_text(encoding="utf-8")


def test_fields_by_hand() -> None:
    for page in ("11-late-launch", "11-coming-back"):
        text = chapter(page)
        named = re.findall(r"vmwrite +(0x\w+) <- .*; (?:guest|host)_(\w+)", text)
        assert named or page == "11-coming-back"
        for number, _ in named:
            word = re.search(rf"{number} <- .*; (\w+)", text)
            assert word and row("fields", word[1])[2] == number, number
    page = chapter("11-coming-back")
    for number, name in (("0x681e", "guest_rip"), ("0x440c", "exit_instruction_length"),
                         ("0x681c", "guest_rsp"), ("0x6820", "guest_rflags"),
                         ("0x802", "guest_cs_selector"), ("0x804", "guest_ss_selector")):
        assert number in page and int(row("fields", name)[2], 16) == int(number, 16), name


def test_entries_of_ept() -> None:
    """The table's bits make its entries, and the watched page and the devices are a session's."""
    page, code = chapter("11-late-launch"), source("ept.hpp")
    for name, bit in (("read", 0), ("write", 1), ("execute", 2), ("large", 7)):
        assert re.search(rf"{name} = 1ull << {bit};", code), name
    types = dict(re.findall(r"(\w+) = (\d),", source("memory_types.hpp")))
    assert types["uncacheable"] == "0" and types["write_back"] == "6" and "(type) << 3" in code
    entries = re.findall(r"^(0x[0-9a-f]+) +([01]) ([01]) ([01]{3}) ([01]{3}) ", page, re.MULTILINE)
    assert [entry[1:] for entry in entries] == [("1", "0", "110", "111"), ("1", "0", "000", "111"),
                                                ("0", "0", "110", "101")]
    for value, *bits in entries:
        assert int(value, 16) & 0xff == int("".join(bits), 2), value
    watched = re.search(r"guest-physical address (0x\w+)", session("store"))
    assert watched and int(entries[2][0], 16) & ~0xfff == int(watched[1], 16)
    devices = re.search(r"base=(0x\w+) .*uncachable", session("mtrr"))
    assert devices and int(entries[1][0], 16) & ~0xfff == int(devices[1], 16)


def test_bit_of_feature_control() -> None:
    page = " ".join(chapter("11-late-launch").split())
    byte, bit = divmod(0x3a, 8)
    assert f"58 / 8 is {byte}, remainder {bit}" in page
    assert f"bit {bit} of byte {byte} stands" in page and f"2048 + {byte} = {2048 + byte}" in page
    assert "writes = 2048;" in source("msr_bitmap.hpp")


def test_qualification_of_the_watched_page() -> None:
    page = chapter("11-coming-back")
    value = sum(int(number) << int(bits.split(":")[-1])
                for bits, number, _ in rows(page, "Value", "Meaning"))
    assert f"qualification {value:#x}" in " ".join(page.split())
    assert f"detail {value:#x}," in session("store")


def test_detail_of_the_mtrr() -> None:
    found = re.search(r"default_type = (0x\w+)", source("memory_types.hpp"))
    assert found and f"detail {found[1]}," in session("mtrr")
    assert f"{found[1]}, which switches" in chapter("11-coming-back")
