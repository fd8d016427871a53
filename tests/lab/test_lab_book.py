# SPDX-License-Identifier: GPL-2.0-only
"""The sessions that the book shows beside the steps' own logs: docs/sessions/*.txt.

    ./lab test --accept -k book

writes them from a run. Numbers may differ from run to run, so the comparison leaves them out.
"""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Callable

import expected
import host_builds
from guest import OLDER, Case, Guest, in_guest
from terminal import type_into

from lab import kernels
from lab.common import BUILD, ROOT, shown

SESSIONS = ROOT / "docs" / "sessions"
DEFAULT = Guest(OLDER)
TWO = Guest(OLDER, cpus=2)
NO_VMX = Guest(OLDER, "prescott")
PENRYN = Guest(OLDER, "penryn")


def plain(line: str) -> str:
    """A line as two runs are compared: without numbers, and without the spaces in front of the
    seconds in a kernel's line, of which there are fewer from 10 s on."""
    return expected.shape(re.sub(r"^\[ +(?=\d)", "[", line))


def compare(name: str, lines: list[str], like: Callable[[str], str] = plain) -> None:
    """Compares a session with its file, apart from numbers; with --accept, writes it instead.
    `like` leaves out what may differ from run to run, or from one kernel to the next."""
    path = SESSIONS / f"{name}.txt"
    lines = [line.rstrip() for line in lines]
    if expected.accepts():
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert path.exists(), f"{shown(path)} is missing; ./lab test --accept -k book writes it"
    seen = [like(line) for line in lines]
    wanted = [like(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert seen == wanted, (f"the session differs from {shown(path)}; if it should, "
                            "./lab test --accept -k book writes it anew")


def logged(case: Case, module: str) -> list[str]:
    """A module's lines, with its prefix, normalised."""
    return [expected.normalised(f"{module}: {line}") for line in case.log_of(module)]


@in_guest(NO_VMX, "load step01_vmx_check && unload step01_vmx_check")
def test_book_step01_without_vmx(case: Case) -> None:
    assert case.rc == 0, case
    compare("no-vmx-01", logged(case, "step01_vmx_check"))


@in_guest(DEFAULT, """
    load step01_vmx_check || fail load
    sed -n '/^Pin-based/,/^$/p' /sys/kernel/debug/step01_vmx_check/capabilities
    unload step01_vmx_check""")
def test_book_step01_pin_controls(case: Case) -> None:
    """Chapter 01 takes this MSR apart bit by bit, so here its value counts."""
    assert case.rc == 0, case
    lines = case.output.strip().splitlines()
    assert lines[0].endswith("= 0x0000007f00000016"), case
    compare("pin-controls", lines)


@in_guest(NO_VMX, "load step02_vmxon")
def test_book_step02_without_vmx(case: Case) -> None:
    error = case.output.strip().replace("'/lab/modules/", "'")
    compare("no-vmx-02", logged(case, "step02_vmxon") + ["$ insmod step02_vmxon.ko", error])


@in_guest(DEFAULT, "insmod /lab/extra/by_hand.ko && rmmod by_hand",
          files=lambda: {"lab/extra/by_hand.ko": host_builds.kernel_module("by_hand", OLDER)})
def test_book_by_hand(case: Case) -> None:
    """The bare instructions of chapters 02 and 03 do what the chapters say."""
    assert case.rc == 0 and not case.trouble, case
    assert case.log_of("by_hand") == ["Guest RIP reads 0x1000, CR4 is as before"], case


@in_guest(PENRYN, "load step03_vmcs && unload step03_vmcs")
def test_book_step03_on_penryn(case: Case) -> None:
    assert case.rc == 0, case
    compare("penryn-03", logged(case, "step03_vmcs"))


@in_guest(DEFAULT, """
    load step05_exits && cat /sys/kernel/debug/step05_exits/exits && unload step05_exits""")
def test_book_step05_exits(case: Case) -> None:
    assert case.rc == 0, case
    compare("exits", case.output.splitlines())


BAD_GUESTS = r"""
    load step05_exits limit_ms=100 || fail load
    cd /sys/kernel/debug/step05_exits
    try() { echo "# $1"; printf "$2" >/tmp/bad; cat /tmp/bad >guest; }
    echo "@here" >/dev/kmsg
    try "ud2" '\017\013' 2>&1
    try "movb %al, 0x20000" '\210\004\045\000\000\002\000' 2>&1
    try "jmp ." '\353\376' 2>&1
    echo "# hlt"; printf '\364' >/tmp/good; cat /tmp/good >guest && echo "the write succeeds"
    cd /; unload step05_exits
"""


@in_guest(DEFAULT, BAD_GUESTS)
def test_book_step05_bad_guests(case: Case) -> None:
    assert case.rc == 0 and not case.trouble, case
    told = [line for line in case.log_of("step05_exits") if line.startswith("the guest ")]
    lines = []
    for line in case.output.splitlines():
        lines.append(line)
        if line.startswith("cat: "):
            lines.append("step05_exits: " + told.pop(0))
    compare("bad-guests", lines)


def own_guest(name: str) -> bytes:
    """A guest of "Write your own guest", built by the page's own command."""
    page = (ROOT / "docs" / "how-to" / "write-your-own-guest.rst").read_text(encoding="utf-8")
    command = re.search(rf"^   \$ (gcc .*) -o {name}\.bin {name}\.S$", page, re.MULTILINE)
    assert command, "the page no longer has its gcc line"
    place = BUILD / "lab" / "book"
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run([*command.group(1).split(), "-o", str(place / f"{name}.bin"),
                    str(ROOT / "docs" / "how-to" / f"{name}.S")], check=True)
    return (place / f"{name}.bin").read_bytes()


@in_guest(DEFAULT, """
    load step05_exits && cat /root/hello.bin >/sys/kernel/debug/step05_exits/guest &&
    cat /sys/kernel/debug/step05_exits/exits && unload step05_exits""",
          files=lambda: {"root/hello.bin": own_guest("hello")})
def test_book_own_guest(case: Case) -> None:
    assert case.rc == 0, case
    said = [line for line in case.log_of("step05_exits") if "my own guest" in line]
    compare("own-guest", [f"step05_exits: {line}" for line in said] + case.output.splitlines())


@in_guest(TWO, """
    load step06_vmxoff || fail load
    cd /sys/kernel/debug/step06_vmxoff; online=/sys/devices/system/cpu/cpu1/online
    echo "# cat cpus"; cat cpus
    echo 0 >$online; echo "# echo 0 >$online; cat cpus"; cat cpus
    echo 1 >$online; sleep 0.2; echo "# echo 1 >$online; cat cpus"; cat cpus
    cd /; unload step06_vmxoff""")
def test_book_step06_hotplug(case: Case) -> None:
    assert case.rc == 0 and not case.trouble, case
    compare("hotplug", case.output.splitlines())


@in_guest(TWO, """
    load step06_vmxoff dying_cpu=1 || fail load
    sleep 0.2; echo "# cat cpus"; cat /sys/kernel/debug/step06_vmxoff/cpus
    unload step06_vmxoff""")
def test_book_step06_dying_guest(case: Case) -> None:
    assert case.rc == 0 and not case.trouble, case
    died = [line for line in case.log_of("step06_vmxoff") if "the guest ended" in line]
    compare("dying-guest", [f"step06_vmxoff: {line}" for line in died] + case.output.splitlines())


@in_guest(DEFAULT, """
    load step07_ept && cat /sys/kernel/debug/step07_ept/exits && unload step07_ept""")
def test_book_step07_exits(case: Case) -> None:
    assert case.rc == 0, case
    compare("owner-exits", case.output.splitlines())


WALLS = r"""
    load step07_ept limit_ms=100 || fail load
    cd /sys/kernel/debug/step07_ept
    try() {
      echo "# $1"; printf "$2" >/tmp/bad; cat /tmp/bad >guest; sed -n '/^[1-9e]/p' exits
    }
    echo "@here" >/dev/kmsg
    try "movl \$0x1000083, 0x72040; movb 0x1000000, %al" \
      '\307\004\045\100\040\007\000\203\000\000\001\212\004\045\000\000\000\001' 2>&1
    try "movl \$0x1000000, %eax; movq %rax, %cr3" '\270\000\000\000\001\017\042\330' 2>&1
    try "cli; jmp ." '\372\353\376' 2>&1 | grep -v '^[1-9]'
    cd /; unload step07_ept
"""


@in_guest(DEFAULT, WALLS)
def test_book_step07_walls(case: Case) -> None:
    """Two guests that leave their RAM and one that keeps the processor. The chapter takes the
    qualifications of the first two apart, so here their values count."""
    assert case.rc == 0 and not case.trouble, case
    told = [line for line in case.log_of("step07_ept") if line.startswith("the guest ")]
    lines = []
    for line in case.output.splitlines():
        lines.append(line)
        if line.startswith("cat: "):
            lines.append("step07_ept: " + told.pop(0))
    assert any(re.match(r"1  48 EPT violation  0x181  0x100b ", line) for line in lines), case
    assert any(re.match(r"1  48 EPT violation  0x81  0x1008 ", line) for line in lines), case
    compare("walls", lines)


def test_book_static_constructor() -> None:
    """A static object with a constructor breaks the build, with the words that chapter 00 shows."""
    place = BUILD / "lab" / "book" / "static-constructor"
    subprocess.run(["rm", "-rf", str(place)], check=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, str(ROOT / "lab"), "copy", "00", str(place)], check=True,
                   stdout=subprocess.DEVNULL)
    with open(place / "step.cpp", "a", encoding="utf-8") as file:
        file.write((SESSIONS / "static-constructor.cpp").read_text(encoding="utf-8"))
    run = subprocess.run(["make", "-C", str(place), f"KDIR={kernels.headers(OLDER)}"], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert run.returncode != 0
    lines = run.stdout.replace(f"{place}/", "").splitlines()
    compare("static-constructor", [line for line in lines
                                   if re.match(r"  CXX|step\.cpp: error", line)])


def test_book_vmexitbp() -> None:
    """Bochs's debugger stops at step 04's VM exit, and shows what the how-to says. An interrupt of
    the host may have come before it."""
    lines = ["r", "sreg", "u /4", "c"]
    screen = "".join(type_into(["debug", "04"], r"<bochs:\d+> ?", 4 * lines))
    begin = screen.rindex("(0) Caught VMEXIT", 0, screen.index("600d600d"))
    session = re.split(r"=====|\n(?=\(0\) Caught)", screen[begin:])[0]
    assert "rbx: 00000000_600d600d" in session
    assert "gdtr:base=" in session and "limit=0xffff" in session and "0x30000067" in session
    path = SESSIONS / "vmexitbp.txt"
    if expected.accepts():
        path.write_text(session.expandtabs(4), encoding="utf-8")
    first_words = [re.split(r"[\s:=\[]", line)[0] for line in session.splitlines()]
    wanted = [re.split(r"[\s:=\[]", line)[0]
              for line in path.read_text(encoding="utf-8").splitlines()]
    strip = re.compile(r"^[0-9a-f]{16}$")
    assert [strip.sub("address", w) for w in first_words] == \
        [strip.sub("address", w) for w in wanted]
