# SPDX-License-Identifier: GPL-2.0-only
"""The README, held against the steps, the book's data and the files that it names."""
from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from lab import platforms
from lab.common import ROOT, module_name, step_folders

README = (ROOT / "README.md").read_text(encoding="utf-8")
STEPS = step_folders()
TAGLINE = ("**A hypervisor in twelve steps: C++ Linux kernel modules, from an empty Makefile to a"
           " Linux that boots as a guest. No\nVT-x needed.**")
#: What a reader meets, from top to bottom.
ORDER = ("# VtxTutorial\n", TAGLINE, "```text\nstep00_makefile: ", "./lab run ", "./lab test ",
         "spare machine", "sudo insmod ", "## The steps", "| Step |", "## What you must know",
         "## Where next", "## The book",
         "./lab docs", "## What makes it different", "## How it is tested",
         "## Safety", "## What was never tried", "## What lies where", "LICENSE")
#: What the table says of steps.toml's long answers to "needs VT-x?".
SHORT = {"not used": "no", "looked for": "no", "needed": "yes"}


def expected_module() -> ModuleType:
    """tests/lab/expected.py, which knows what of a log differs from run to run."""
    spec = importlib.util.spec_from_file_location("expected", ROOT / "tests/lab/expected.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


expected = expected_module()


def section(heading: str) -> str:
    """The text under a heading of the second level."""
    return README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def log_lines() -> list[str]:
    """The lines of the log on the first screen."""
    return README.split("```text\n", 1)[1].split("```", 1)[0].splitlines()


def test_first_screen_has_its_order() -> None:
    assert README.startswith(f"# VtxTutorial\n\n{TAGLINE}\n")
    places = []
    for text in ORDER:
        assert text in README[places[-1] if places else 0:], f"{text!r} is missing, or too early"
        places.append(README.index(text, places[-1] if places else 0))


def test_log_is_a_dozen_lines_and_has_vmcall_and_vmxoff() -> None:
    lines = log_lines()
    assert 11 <= len(lines) <= 13
    assert any(line.startswith("step06_vmxoff: VMXOFF faults") for line in lines)
    assert any(line.endswith("exit reason 18: VMCALL") for line in lines)
    assert {line.split("_")[0] for line in lines} == {folder.name[:6] for folder in STEPS}


def test_log_is_what_the_steps_log() -> None:
    """Each line occurs in a step's expected/log.txt, all of them in the order of a run."""
    wanted = [expected.normalised(line) for line in log_lines()]
    paths = [folder / "expected" / "log.txt" for folder in STEPS]
    absent = [str(path.relative_to(ROOT)) for path in paths if not path.exists()]
    assert not absent, f"./lab test --accept writes them: {absent}"
    logged = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    unknown = [line for line in wanted if line not in logged]
    assert not unknown, "not in any expected/log.txt:\n" + "\n".join(unknown)
    positions = [logged.index(line) for line in wanted]
    assert positions == sorted(positions), "the lines are not in the order of a run"


def test_lines_of_the_linux_guest_are_those_of_its_session() -> None:
    """On the first screen, in step 10's README and, by a directive, in the book."""
    session = (ROOT / "docs/sessions/linux-boot.txt").read_text(encoding="utf-8").splitlines()
    shown = README.split("```text\n", 2)[2].split("```", 1)[0].splitlines()
    shown += re.findall(r"^    (\[ .*)$", (ROOT / "step10-linux/README.md").read_text(
        encoding="utf-8"), re.MULTILINE)
    assert len(shown) > 6 and set(shown) <= set(session)


@pytest.mark.parametrize("folder", STEPS, ids=lambda folder: folder.name)
def test_log_in_a_steps_readme_is_what_the_step_logs(folder: Path) -> None:
    """The few lines that a step's own README shows are in one of its expected logs."""
    shown = re.findall(rf"^    ({module_name(folder)}: .*)$",
                       (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    logged = [line for path in sorted((folder / "expected").glob("log*.txt"))
              for line in path.read_text(encoding="utf-8").splitlines()]
    unknown = [line for line in map(expected.normalised, shown) if line not in logged]
    assert not unknown, "not in any expected log:\n" + "\n".join(unknown)


def table() -> list[list[str]]:
    """The cells of the table of steps, without its head."""
    rows = [line for line in section("The steps").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_table_has_each_step_in_order() -> None:
    named = [re.match(r"\[\d\d [\w-]+\]\((step\d\d-[\w-]+)/README\.md\)$", row[0])
             for row in table()]
    assert [found and found[1] for found in named] == [folder.name for folder in STEPS]
    for row, folder in zip(table(), STEPS):
        assert row[0].startswith(f"[{folder.name[4:].replace('-', ' ', 1)}]"), row[0]


def test_table_says_what_the_book_says() -> None:
    """The book's table is made from docs/steps.toml, so both say the same of each step."""
    data = tomllib.loads((ROOT / "docs/steps.toml").read_text(encoding="utf-8"))
    for row, folder in zip(table(), STEPS):
        step = data[folder.name[4:6]]
        needs = next(word for start, word in SHORT.items() if step["vtx"].startswith(start))
        assert row[1:] == [step["does"].rstrip("."), step["see"].rstrip("."), needs,
                           step["time"].removesuffix(" minutes")], folder.name


def commands() -> list[str]:
    """The lines of all shell blocks of the README, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def test_both_commands_are_there_as_one_types_them() -> None:
    assert "./lab run" in commands() and "./lab test" in commands()


@pytest.mark.parametrize("command", commands())
def test_command_names_what_exists(command: str) -> None:
    """Folders of make, modules of insmod and rmmod. (./lab commands: test_tree.py.)"""
    words = command.removeprefix("sudo ").split()
    modules = {module_name(folder): folder for folder in STEPS}
    if words[0] == "make":
        assert words[1] == "-C" and (ROOT / words[2] / "Makefile").exists()
    elif words[0] == "insmod":
        path = Path(words[1])
        assert path.suffix == ".ko" and modules[path.stem].name == str(path.parent)
    elif words[0] == "rmmod":
        assert words[1] in (*modules, "kvm_intel")
    else:
        assert words[0] in ("./lab", "sync", "dmesg", "apt", "dnf", "pacman", "zypper"), (
            f"unknown command: {command}")


def test_kernels_under_test_are_named() -> None:
    for debian in platforms.known():
        for kernel in debian.kernels:
            assert re.search(rf"{debian} .*\b{re.escape(kernel.number)}\b",
                             section("How it is tested"))


def test_what_is_measured_is_a_number() -> None:
    """Minutes and MB, and no place left for them."""
    text = section("Run it without VT-x")
    assert len(re.findall(r"\d+ MB", text)) == 2 and len(re.findall(r"minutes", text)) == 2
    assert not re.search(r"\b(TODO|TBD|XXX|[A-Z]+_(MB|GB|MINUTES|TABLE))\b", README)


def test_every_folder_at_the_top_is_explained() -> None:
    listed = section("What lies where")
    folders = [path.name for path in sorted(ROOT.iterdir())
               if path.is_dir() and not path.name.startswith((".", "step"))]
    missing = [name for name in folders if not re.search(rf"^{name}/ ", listed, re.MULTILINE)]
    assert not missing
    named = re.findall(r"^([\w-]+)/? ", listed, re.MULTILINE)
    assert named and all((ROOT / name).exists() for name in named if name != "build"), named
    assert STEPS[0].name in listed and STEPS[-1].name in listed
