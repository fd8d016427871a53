# SPDX-License-Identifier: GPL-2.0-only
"""./lab shell, with every line that the book has a reader type in the emulated PC."""
from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from terminal import type_into

from lab.common import ROOT

PROMPT = "lab:~# "  # as the book has it
STATUS = "; echo status $?"
#: A file that the book has read, and what is in it.
SHOWN = {"step03_vmcs/vmcs": "VM-execution controls", "step05_exits/exits": "exits in all",
         "step06_vmxoff/cpus": "running", "step07_ept/exits": "EPT violation  0x181  0x100b",
         "step08_real_mode/screen": "What is your name? Ada",
         "step09_interrupts/status": "state=running"}
#: What the book has refused, by a part of the line, and in which words.
REFUSED = {"cat ud2.bin": "Input/output error", "cat jmp.bin": "Timer expired",
           "cat beyond.bin": "Input/output error", "cat ud2.img": "Input/output error",
           "fail_at=3": "Cannot allocate memory"}


def typed_in_the_book() -> list[tuple[str, list[str]]]:
    """The lines behind the prompt, by block: page and line of the first, and the lines."""
    blocks = []
    for page in sorted(ROOT.glob("docs/**/*.rst")):
        text = page.read_text(encoding="utf-8")
        for block in re.finditer(rf"(?:^ +{PROMPT}.*\n)+", text, re.MULTILINE):
            number = text.count("\n", 0, block.start()) + 1
            blocks.append((f"{page.relative_to(ROOT)}:{number}", [
                line.strip().removeprefix(PROMPT) for line in block[0].splitlines()]))
    return blocks


def make_guests(folder: Path) -> list[str]:
    """The guests of the how-to, by the commands that the how-to gives; options that take them into
    the emulated PC."""
    text = (ROOT / "docs/how-to/write-your-own-guest.rst").read_text(encoding="utf-8")
    commands = re.findall(r"\$ (gcc .* -o (\w+)\.bin \w+\.S)", text)
    assert [name for _, name in commands] == ["hello", "boot", "clock"]
    for command, name in commands:
        (folder / f"{name}.S").write_bytes((ROOT / f"docs/how-to/{name}.S").read_bytes())
        subprocess.run(command.split(), cwd=folder, check=True)
    return [word for _, name in commands for word in ("--file", str(folder / f"{name}.bin"))]


@pytest.mark.parametrize("cpus", [1, 2])
def test_shell_takes_what_the_book_types(cpus: int, tmp_path: Path) -> None:
    """One boot: the blocks one after the other, each leaving no module behind but
    one that the next block unloads itself. (Two processors,
    which take the emulator far longer, only for the step that is about them.)"""
    blocks = [(place, block) for place, block in typed_in_the_book()
              if any("step06" in line for line in block) == (cpus == 2)]
    assert blocks, "the book has lost its sessions in the shell"
    # Without the kernel's log on the console, which could come between the letters of a prompt.
    lines, owners, loaded = ["dmesg -n 1" + STATUS], ["dmesg"], set()
    for place, block in blocks:
        for line in [f"unload {name}" for name in loaded if f"unload {name}" != block[0]] + block:
            command, *names = line.split()
            if command == "unload":
                loaded -= set(names)
            elif command == "load" and not any(part in line for part in REFUSED):
                loaded.add(names[0])
            if line != "poweroff -f":
                lines.append(line + STATUS)
                owners.append(f"{place}: {line}")
    welcome, *answers = type_into(
        ["shell", "--cpus", str(cpus), *make_guests(tmp_path)], PROMPT, [*lines, "poweroff -f"])
    assert "load " in welcome and "poweroff -f" in welcome
    assert len(answers) == len(lines) + 1
    for owner, answer in zip(owners, answers):
        refusal = next((words for part, words in REFUSED.items() if part in owner), "")
        assert ("status 0\n" not in answer) == bool(refusal), f"{owner}: {answer}"
        assert refusal in answer, f"{owner}: {answer}"
        for file, words in SHOWN.items():
            assert not owner.endswith(file) or words in answer, f"{owner}: {answer}"
