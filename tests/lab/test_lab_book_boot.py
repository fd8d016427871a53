# SPDX-License-Identifier: GPL-2.0-only
"""The sessions of step 08's chapters: docs/sessions/*.txt, written and compared as those of
test_lab_book.py."""
from __future__ import annotations

import re
import subprocess

from guest import Case, in_guest
from test_lab_book import DEFAULT, compare, logged, own_guest

from lab.common import BUILD, ROOT


@in_guest(DEFAULT, """
    load step08_real_mode && cat /sys/kernel/debug/step08_real_mode/exits &&
    unload step08_real_mode""")
def test_book_step08_exits(case: Case) -> None:
    """The chapter says that no change of modes exits, so there are exits of four kinds only. How
    many interrupts came differs from run to run: their rows are not in the session."""
    assert case.rc == 0, case
    totals = [line for line in case.output.splitlines() if line.startswith("total ")]
    reasons = {int(line.split()[1]) for line in totals}
    assert {12, 18} <= reasons <= {1, 12, 18, 52}, case
    compare("modes-exits", [line for line in totals if line.split()[1] in ("12", "18")])


def without_pae() -> bytes:
    """The guest "modes" without the line that sets CR4.PAE."""
    lines = (ROOT / "step08-real-mode/guests.S").read_text(encoding="utf-8").splitlines(True)
    left = [line for line in lines if line != "\torl\t$CR4_PAE, %eax\n"]
    assert len(left) == len(lines) - 1
    place = BUILD / "lab" / "book"
    place.mkdir(parents=True, exist_ok=True)
    (place / "no-pae.S").write_text("".join(left), encoding="utf-8")
    for command in (["gcc", "-c", "no-pae.S"],
                    ["objcopy", "-O", "binary", "-j", ".rodata", "no-pae.o", "no-pae.bin"]):
        subprocess.run(command, cwd=place, check=True)
    return (place / "no-pae.bin").read_bytes()


@in_guest(DEFAULT, """
    load step08_real_mode || fail load
    cat /root/no-pae.bin >/sys/kernel/debug/step08_real_mode/guest
    unload step08_real_mode""", files=lambda: {"root/no-pae.bin": without_pae()})
def test_book_step08_without_pae(case: Case) -> None:
    """The guest dies of the MOV to CR0 that should have switched paging on."""
    assert not case.trouble, case
    told = logged(case, "step08_real_mode")
    end = next(number for number, line in enumerate(told) if "the guest ended" in line)
    found = re.search("triple fault at RIP 0x7c([0-9a-f]{2})$", told[end])
    assert found, case
    at = int(found[1], 16)
    assert without_pae()[at:at + 3] == b"\x0f\x22\xc0", "MOV CR0, EAX"
    compare("no-pae", told[end - 2:end + 1])


#: Boot sectors, made as the book makes one: the first bytes, zeroes, 55h AAh.
BOOT_SECTORS = r"""
    load step08_real_mode keys='Ada\r' || fail load
    cd /sys/kernel/debug/step08_real_mode
    try() {
      echo "# $1"; printf "$2" >/tmp/boot; truncate -s 510 /tmp/boot; printf "$3" >>/tmp/boot
      cat /tmp/boot >guest
    }
    echo "@here" >/dev/kmsg
    echo "# boot.bin"; cat /root/boot.bin >guest; sed '/^$/d' screen
    try "movb \$1, %ah; int \$0x14; hlt" '\264\1\315\24\364' '\125\252'; grep unknown exits
    try "ud2" '\17\13' '\125\252' 2>&1
    echo >/sys/module/step08_real_mode/parameters/keys
    echo "# boot.bin, without keys"; cat /root/boot.bin 2>&1 >guest
    try "hlt, without 55h AAh" '\364' '\0\0' 2>&1
    cd /; unload step08_real_mode
"""


@in_guest(DEFAULT, BOOT_SECTORS, files=lambda: {"root/boot.bin": own_guest("boot")})
def test_book_step08_boot_sectors(case: Case) -> None:
    assert not case.trouble, case
    told = [line for line in case.log_of("step08_real_mode")
            if line.startswith(("the guest ", "this is no boot image"))]
    lines = []
    for line in case.output.splitlines():
        lines.append(line)
        if line.startswith("cat: "):
            lines.append("step08_real_mode: " + told.pop(0))
    compare("boot-sectors", lines)
