# SPDX-License-Identifier: GPL-2.0-only
"""What the lab makes of a guest's console, on made-up lines: ./lab run 10, ./lab linux, the relay.
"""
from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import tty
from pathlib import Path

import pytest

from lab import guest_userland, linux, relay, run, run_late, run_linux
from lab.common import ROOT, UsageError

STEP, LATE = ROOT / "step10-linux", ROOT / "step11-late-launch"
PROMPT = guest_userland.PROMPT


def shown(capsys: pytest.CaptureFixture[str], *results: str) -> tuple[list[str], run.StepRun]:
    """What ./lab run says of lines of the second serial port, and what it keeps."""
    kept = run.StepRun(STEP, began=1.0, load=0, unload=0)
    reporter = run.Reporter([kept], verbose=False)
    reporter.console("@@BEGIN step10_linux")
    reporter.console("@@TYPED step10_linux insmod step10_linux.ko")
    reporter.result("@@GUEST")
    reporter.console("[    1.0] step10_linux: the guest has switched its machine off")
    for line in results:
        reporter.result(line)
    reporter.release()
    return capsys.readouterr().out.splitlines()[2:], kept


def test_guest_is_shown_by_its_first_and_last_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines, kept = shown(capsys, *(f"boot {number}" for number in range(20)), "", "\x1b[6n" + PROMPT
                        + "free", "Mem: 1", "@@STATUS state=ended end=power-off ms=1",
                        "total  12 HLT  1", "@@GUEST-END")
    assert lines == [
        "  insmod step10_linux.ko", "  | boot 0", "  | boot 1", "  | boot 2",
        "  | … 14 more lines", "  | boot 17", "  | boot 18", "  | boot 19", f"  | {PROMPT}free",
        "  | Mem: 1", "  step10_linux: the guest has switched its machine off",
        "  /sys/kernel/debug/step10_linux/status:", "  state=ended end=power-off ms=1",
        "  the end of /sys/kernel/debug/step10_linux/exits:", "  total  12 HLT  1",
        "  rmmod step10_linux"]
    assert kept.result() == "ok"


def test_guest_of_few_lines_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    lines, kept = shown(capsys, "a", "b", "c", "d", "@@STATUS state=ended end=reboot ms=1",
                        "@@GUEST-END")
    assert lines[1:5] == ["  | a", "  | b", "  | c", "  | d"]
    assert kept.result() == "guest: reboot"


def test_no_guest_is_not_ok(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "@@STATUS state=idle end=none ms=0", "@@GUEST-END")[1].result() == (
        "no guest ran")


def test_what_is_run_beside_step11_is_shown_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """What is typed and what it prints comes by the kernel's log, as the step's own lines do."""
    name, kept = run_late.MODULE, run.StepRun(LATE)
    reporter = run.Reporter([kept], verbose=False)
    for line in (f"@@BEGIN {name}", f"@@TYPED {name} ask-name", f"@@SAID {name} VMX: 1",
                 f"@@TYPED {name} insmod {name}.ko", f"{name}: cpu 0: on  as a guest",
                 f"@@LOADED {name} 0", f"@@SAID {name} 0  guest", f"@@UNLOADED {name} 0",
                 f"@@END {name}"):
        reporter.console(line)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  ask-name", "  | VMX: 1", f"  insmod {name}.ko", f"  {name}: cpu 0: on  as a guest",
        "  | 0  guest"]
    assert kept.result() == "ok"


def test_step11_script_asks_before_meanwhile_and_after() -> None:
    lines = [line.strip() for line in run.script([LATE], "").splitlines()]
    asked = [number for number, line in enumerate(lines) if line == "late ask-name"]
    loaded, gone = (next(number for number, line in enumerate(lines) if word in line)
                    for word in ("bin/insmod", "rmmod step11_late_launch >"))
    assert len(asked) == 3 and asked[0] < loaded < asked[1] < gone < asked[2]


def test_files_that_block_or_cannot_be_read_are_left_out(scratch: Path) -> None:
    """The part of the script that reads the files, on files of ours."""
    lines = run.script([STEP], "").splitlines()
    first = next(number for number, line in enumerate(lines) if "/sys/kernel/debug/" in line
                 and line.startswith("  for file"))
    last = lines.index("  done", first)
    loop = "\n".join(lines[first:last + 1]).replace("/sys/kernel/debug/step10_linux", str(scratch))
    for name, mode in (("console", 0o600), ("exits", 0o400), ("run", 0o200), ("status", 0o600)):
        (scratch / name).write_text(f"{name}\n")
        (scratch / name).chmod(mode)
    seen = subprocess.run(["/bin/busybox", "sh", "-c", loop.replace("/dev/ttyS1", "/dev/stdout")],
                          text=True, check=True, stdout=subprocess.PIPE).stdout
    named = [Path(line.split()[1]).name for line in seen.splitlines() if "@@FILE" in line]
    assert named == ["exits", "status"]


def test_initrd_larger_than_the_memory_is_refused(scratch: Path) -> None:
    with open(scratch / "initrd", "wb") as file:
        file.truncate(129 << 20)
    with pytest.raises(UsageError, match="has 129 MiB, more than the guest's memory: 128 MiB"):
        linux.Guest(initrd=scratch / "initrd").check()
    linux.Guest(initrd=scratch / "initrd", memory=512).check()
    assert linux.Guest(initrd=scratch / "initrd").machine().memory == 128 + 384 + 129


#: A PC that takes its time, echoes what it gets, and says when it has got all.
SLOW = """
import os, sys, time
port = os.open(sys.argv[1], os.O_RDWR)
time.sleep(0.5)
left = 300000
while left > 0:
    keys = os.read(port, 1000)
    left -= len(keys)
    os.write(port, keys)
os.write(port, b"done")
time.sleep(600)
"""
PASTE = """
import os
text = b"x" * 300000
while text:
    text = text[os.write(0, text):]
"""


def test_long_paste_does_not_stop_the_relay(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    """A PC that nobody reads stops reading, so the relay may not wait for it."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(30)
    seen: list[bytes] = []
    keyboard, ours = pty.openpty()
    tty.setraw(ours)
    serial, name = relay.serial_port()
    screen, _ = pty.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(ours, encoding="ascii"))
    monkeypatch.setattr(relay, "show", seen.append)
    with (open(scratch / "log", "wb", 0) as log,
          subprocess.Popen([sys.executable, "-c", SLOW, str(name)]) as pc,
          subprocess.Popen([sys.executable, "-c", PASTE], stdin=keyboard)):
        try:
            relay.Relay(serial, screen, log, pc).until_the_end(
                lambda: b"".join(seen).endswith(b"done"))
        except KeyboardInterrupt:
            pytest.fail("the relay waits for ever")
        finally:
            signal.alarm(0)
            pc.kill()
            os.close(keyboard)
    assert b"".join(seen) == b"x" * 300000 + b"done"


def test_relay_puts_the_terminal_back(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    """After Ctrl-], and after whatever else."""
    keyboard, ours = pty.openpty()
    before = termios.tcgetattr(ours)
    serial, _ = relay.serial_port()
    screen, _ = pty.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(ours, encoding="ascii"))
    during: list[list[object]] = []

    def look() -> bool:
        during.append(termios.tcgetattr(ours))
        if len(during) == 1:
            os.write(keyboard, relay.LEAVE)
        return len(during) > 20

    def stop() -> bool:
        raise KeyboardInterrupt

    with open(scratch / "log", "wb", 0) as log, subprocess.Popen(["sleep", "60"]) as pc:
        joined = relay.Relay(serial, screen, log, pc)
        joined.until_the_end(look)
        left, afterwards = joined.left, termios.tcgetattr(ours)
        joined.left = False
        with pytest.raises(KeyboardInterrupt):
            joined.until_the_end(stop)
        pc.kill()
    assert left and during[0] != before
    assert afterwards == termios.tcgetattr(ours) == before
