# SPDX-License-Identifier: GPL-2.0-only
"""./lab linux, with somebody at the keyboard; and step 10 as ./lab run shows it."""
from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from terminal import Session

from lab import guest_userland, kernels
from lab.common import ROOT

LAB = (sys.executable, str(ROOT / "lab"))
PROMPT = guest_userland.PROMPT


def test_reader_types_into_a_guest_and_leaves() -> None:
    """The prompt, an answer, Ctrl-C for the guest, a long paste; then Ctrl-] puts all back."""
    started = time.monotonic()
    with Session([*LAB, "linux", "--yes"]) as session:
        before = session.settings()
        session.wait_for("starts as a guest, with 128 MiB")
        boot = session.wait_for(PROMPT)
        print(f"to a prompt: {time.monotonic() - started:.0f} s")
        assert f"Linux version {kernels.release(kernels.DEFAULT)}" in boot
        assert "Try: " in boot
        session.type("uname -nr\r")
        answer = session.wait_for(PROMPT)
        assert f"guest {kernels.release(kernels.DEFAULT)}\n" in answer, answer
        session.type("echo begun; sleep 600\r")
        session.wait_for("\nbegun\n")
        time.sleep(1)
        session.type("\x03")
        session.wait_for(PROMPT)
        words = " ".join(str(number) for number in range(150))
        session.type(f"echo {words} | md5sum\r")
        session.wait_for("\n[0-9a-f]{32}  -\n")
        assert session.settings() != before, "the keys are not raw"
        session.type("\x1d")
        status, last = session.wait_for_the_end()
        assert status == 0 and "Left by Ctrl-]" in last
        assert session.settings() == before


def make_initrd(folder: Path) -> Path:
    """The initrd of the how-to, by the commands that the how-to gives."""
    text = (ROOT / "docs/how-to/linux-guest.rst").read_text(encoding="utf-8")
    commands = re.findall(r"^   \$ ((?!sudo|\./lab).*(?:guest/|cpio).*)$", text, re.MULTILINE)
    assert len(commands) == 4, commands
    (folder / "init").write_bytes((ROOT / "docs/how-to/guest-init.sh").read_bytes())
    subprocess.run(["sh", "-e", "-c", "\n".join(commands)], cwd=folder, check=True)
    return folder / "guest.cpio.gz"


def test_end_of_the_guest_is_told(tmp_path: Path) -> None:
    """With an initrd of the reader's own."""
    with Session([*LAB, "linux", "--yes", "--cmdline", "console=ttyS0 cryptomgr.notests quiet",
                  "--memory", "96", "--initrd", str(make_initrd(tmp_path))]) as session:
        before = session.settings()
        session.wait_for("with 96 MiB")
        session.wait_for("\n/ # ")
        session.type("exit\r")
        status, last = session.wait_for_the_end()
        assert status == 0
        assert "reboot: System halted\n" in last, "its last line was lost"
        assert "step10_linux: the guest has switched its machine off\n" in last
        assert "status: state=ended end=power-off ms=" in last
        assert session.settings() == before


def test_steps_own_sentence_is_shown() -> None:
    with Session([*LAB, "linux", "--yes", "--memory", "32"]) as session:
        status, text = session.wait_for_the_end(600)
    assert status == 1
    assert "lab: The guest was not started. The step says: memory_mb=32 is too little: " in text


def test_run_shows_the_guest() -> None:
    result = subprocess.run([*LAB, "run", "10", "--yes"], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stdout
    guest = [line.removeprefix("  | ") for line in lines if line.startswith("  | ")]
    assert guest[0].endswith(")") and "Linux version" in guest[0]
    assert guest[3].startswith("… ") and guest[3].endswith(" more lines")
    assert guest[7:9] == [f"{PROMPT}uname -a", guest[8]] and guest[8].startswith("Linux guest ")
    assert guest[-1].endswith("reboot: System halted")
    places = [next(number for number, line in enumerate(lines) if words in line) for words in (
        "  insmod step10_linux.ko", "step10_linux: ready: ", "Linux version", f"{PROMPT}free",
        "System halted", "step10_linux: the guest has switched its machine off",
        "state=ended end=power-off", "total  12 HLT", "  rmmod step10_linux",
        "step10_linux: unloaded: ", "step10-linux  ok ")]
    assert places == sorted(places), result.stdout
