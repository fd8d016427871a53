# SPDX-License-Identifier: GPL-2.0-only
"""The sessions of step 09's chapters: docs/sessions/*.txt, written and compared as those of
test_lab_book.py."""
from __future__ import annotations

import re
import subprocess

from guest import Case, in_guest
from test_lab_book import DEFAULT, SESSIONS, compare

from lab.common import BUILD, ROOT

MODULE = "step09_interrupts"
PAGES = ROOT / "docs"
#: "sleep" as a reader would type it, and the files of the step.
BEGIN = f"load {MODULE} || fail load; cd /sys/kernel/debug/{MODULE}; echo '@here' >/dev/kmsg"
END = f"cd /; unload {MODULE}"


def clock(*edit: str) -> bytes:
    """The guest of "Write your own guest", built by the page's command; `edit` is what somebody
    does to its source before that."""
    page = (PAGES / "how-to" / "write-your-own-guest.rst").read_text(encoding="utf-8")
    command = re.search(r"^   \$ (gcc .*) -o clock\.bin clock\.S$", page, re.MULTILINE)
    assert command, "the page no longer has its gcc line"
    place = BUILD / "lab" / "book" / "clock"
    place.mkdir(parents=True, exist_ok=True)
    source = (PAGES / "how-to" / "clock.S").read_text(encoding="utf-8")
    if edit:
        changed = subprocess.run(edit, input=source, capture_output=True, text=True,
                                 check=True).stdout
        assert changed != source, edit
        source = changed
    (place / "clock.S").write_text(source, encoding="utf-8")
    subprocess.run([*command.group(1).split(), "-o", "clock.bin", "clock.S"], cwd=place,
                   check=True)
    return (place / "clock.bin").read_bytes()


def without_eoi() -> bytes:
    """As the chapter makes it."""
    chapter = (PAGES / "steps" / "09-interrupts.rst").read_text(encoding="utf-8")
    command = re.search(r"^   \$ (sed \S+) clock\.S > no-eoi\.S$", chapter, re.MULTILINE)
    assert command, "the chapter no longer has its sed line"
    return clock(*command.group(1).split())


#: Switches the timer's interrupt on a second later than the timer, by the BIOS's clock of 18.2 Hz,
#: and ends after a hundred ticks.
WAIT = r"""s|^\tsti$|\
\tmovb $0, %ah; int $0x1a; movw %dx, %bx; addw $18, %bx\
2:\tmovb $0, %ah; int $0x1a; cmpw %bx, %dx; jne 2b\
\tsti|; s|^\tjnz\t1f$|&; xorl %eax, %eax; xorl %edi, %edi; vmcall|"""


def status(line: str) -> dict[str, str]:
    """The words of the file `status`."""
    return dict(word.split("=") for word in line.split())


@in_guest(DEFAULT, f"load {MODULE} && cat /sys/kernel/debug/{MODULE}/exits && unload {MODULE}")
def test_book_step09_exits(case: Case) -> None:
    """The rows of the guest "tasks" that do not depend on when an interrupt of the host's came."""
    assert case.rc == 0, case
    totals = {int(line.split()[1]): line for line in case.output.splitlines()
              if line.startswith("total ")}
    assert totals.keys() <= {1, 7, 12, 18, 30, 52}, case
    rows = [totals[reason] for reason in (12, 18, 30)]
    compare("tasks-exits", rows)
    assert (SESSIONS / "tasks-exits.txt").read_text(encoding="utf-8").splitlines() == rows, case


@in_guest(DEFAULT, f"""
    {BEGIN}
    echo '# cat no-eoi.bin > guest; sleep 1; cat status'; cat /root/no-eoi.bin >guest
    sleep 1; cat status
    echo '# echo 0 > run; cat status'; echo 0 >run; cat status; {END}""",
          files=lambda: {"root/no-eoi.bin": without_eoi()})
def test_book_step09_without_eoi(case: Case) -> None:
    """The guest gets one interrupt and no other, and sleeps."""
    assert case.rc == 0 and not case.trouble, case
    lines = case.output.splitlines()
    for line, state in zip(lines[1::2], ("running", "ended"), strict=True):
        assert status(line)["state"] == state and status(line)["injected"] == "1", case
        assert int(status(line)["exits"]) < 40, case
    compare("no-eoi", [*lines, *stopped(case)])


@in_guest(DEFAULT, f"""
    {BEGIN}
    echo '# cat clock.bin > guest; sleep 2; cat status'; cat /root/clock.bin >guest
    sleep 2; cat status
    echo '# cat clock.bin > guest'; cat /root/clock.bin 2>&1 >guest
    echo '# echo 0 > run; cat status'; echo 0 >run; cat status; {END}""",
          files=lambda: {"root/clock.bin": clock()})
def test_book_step09_status(case: Case) -> None:
    """A guest that runs while its reader does something else, and is stopped."""
    assert not case.trouble, case
    lines = case.output.splitlines()
    for line in (lines[1], lines[-1]):
        words = status(line)
        milliseconds, ticks = int(words["ms"]), int(words["injected"])
        assert abs(milliseconds - 10 * ticks) < 60, case
    said = [line for line in case.log_of(MODULE) if line == "guest: a second"]
    assert len(said) >= 2, case
    compare("clock", [*lines, *stopped(case)])


@in_guest(DEFAULT, f"""
    {BEGIN}
    echo '# cat late.bin > guest; sleep 2; cat status'; cat /root/late.bin >guest
    sleep 2; cat status; {END}""", files=lambda: {"root/late.bin": clock("sed", WAIT)})
def test_book_step09_late(case: Case) -> None:
    """All ticks of the second in which the guest took none arrive when it does."""
    assert case.rc == 0 and not case.trouble, case
    words = status(case.output.splitlines()[1])
    assert words["injected"] == "100" and words["end"] == "status", case
    assert 950 < int(words["ms"]) < 1100, case
    compare("late", case.output.splitlines())


def stopped(case: Case) -> list[str]:
    """What the log says of the guest's end."""
    return [f"{MODULE}: {line}" for line in case.log_of(MODULE) if line.startswith("the guest ")]
