# SPDX-License-Identifier: GPL-2.0-only
"""The steps as folders: what their READMEs claim about their files, diff, sync and copy."""
from __future__ import annotations

import difflib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import build, ui
from .common import ROOT, SHARED, LabError, UsageError, module_name, shown, step_folders

#: Not lesson files: a README describes its own step, expected/ holds what the step logs.
NOT_LESSONS = ("README.md", "expected")
HEADING = "## In this folder"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([\w./]+)"', re.MULTILINE)


@dataclass
class Row:
    """One line of a README's table of files."""

    name: str
    state: str  # "new", "changed" or "as in NN"
    what: str

    @property
    def origin(self) -> str:
        """NN of "as in NN", else nothing."""
        return self.state[6:] if self.state.startswith("as in ") else ""


def table(folder: Path) -> list[Row]:
    """The rows of a step's table; empty if the README has none."""
    readme = folder / "README.md"
    if not readme.exists():
        return []
    text = readme.read_text(encoding="utf-8")
    if HEADING not in text:
        return []
    section = text.split(HEADING, 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| *`([^`]+)` *\| *([^|]*?) *\| *(.*?) *\|$", section, re.MULTILINE)
    return [Row(*row) for row in rows]


def lesson_files(folder: Path) -> list[str]:
    """The files of a step that are part of the lesson."""
    return [str(name) for name in build.sources(folder) if name.parts[0] not in NOT_LESSONS]


def by_number(number: str) -> Path | None:
    """The folder of step NN, if it exists."""
    return next((f for f in step_folders() if f.name[4:6] == number), None)


def lies(folder: Path) -> list[str]:
    """Sentences about what a step's table says and the files do not; empty if it is true."""
    rows = table(folder)
    if not rows:
        return [f"{shown(folder)}/README.md has no table under '{HEADING}'"]
    found = []
    listed = [row.name for row in rows]
    found += [f"{folder.name}/{name} is listed twice" for name in sorted(set(listed))
              if listed.count(name) > 1]
    found += [f"{folder.name}/{name} is not in the table" for name in lesson_files(folder)
              if name not in listed]
    earlier = [f for f in step_folders() if f.name < folder.name]
    before = earlier[-1] if earlier else None
    for row in rows:
        if not (folder / row.name).is_file():
            found.append(f"{folder.name}/{row.name} is in the table but not in the folder")
        elif message := _state_lie(folder, row, before):
            found.append(f"{folder.name}/{row.name}: {message}")
    return found


def _state_lie(folder: Path, row: Row, before: Path | None) -> str:
    """What is wrong with the second column of a row, or nothing."""
    own = (folder / row.name).read_bytes()
    previous = before / row.name if before else None
    same = bool(previous and previous.is_file() and previous.read_bytes() == own)
    if row.origin:
        origin = by_number(row.origin)
        if not origin or origin >= folder:
            return f"'{row.state}' names no earlier step"
        if not (origin / row.name).is_file():
            return f"'{row.state}', but {origin.name} has no such file"
        if (origin / row.name).read_bytes() != own:
            return f"'{row.state}', but it differs from {origin.name}'s (./lab sync?)"
        if not same and before != origin:
            return f"'{row.state}', but it is not the same in {before.name if before else '?'}"
        return ""
    exists = bool(previous and previous.is_file())
    if row.state == "new":
        return f"'new', but {before.name} has it" if exists and before else ""
    if row.state == "changed":
        if not exists:
            return "'changed', but the step before has no such file"
        return f"'changed', but it is the same as in {before.name}" if same and before else ""
    return f"the second column says {row.state!r}, not new, changed or as in NN"


def diff(old: Path, new: Path, names: list[str], everything: bool, summary: bool) -> int:
    """Carries out ./lab diff."""
    if everything:
        listed = [str(name) for folder in (old, new) for name in build.sources(folder)]
    else:
        listed = lesson_files(old) + lesson_files(new)
    listed = sorted(set(listed))
    for name in names:
        if name not in listed:
            raise UsageError(f"Neither {old.name} nor {new.name} has a file {name!r}.")
    rows = {row.name: row for row in table(new)}
    for name in listed:
        if names and name not in names:
            continue
        before, after = _lines(old / name), _lines(new / name)
        if before == after:
            continue
        state = "new" if before is None else "gone" if after is None else "changed"
        what = f"  {rows[name].what}" if name in rows else ""
        ui.say(ui.bold(f"{state:8}{name}") + what)
        if not summary:
            for line in difflib.unified_diff(before or [], after or [], f"{old.name}/{name}",
                                             f"{new.name}/{name}", lineterm=""):
                ui.say(_coloured(line))
            ui.say()
    return 0


def _lines(path: Path) -> list[str] | None:
    if not path.is_file():
        return None
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _coloured(line: str) -> str:
    if line.startswith("+"):
        return ui.green(line)
    if line.startswith("-"):
        return ui.red(line)
    return ui.dim(line) if line.startswith("@@") else line


def sync(dry: bool) -> int:
    """Carries out ./lab sync: each `as in NN` file becomes what it is in step NN."""
    count = 0
    for folder in step_folders():
        for row in table(folder):
            origin = by_number(row.origin) if row.origin else None
            if not origin or origin >= folder or not (origin / row.name).is_file():
                continue
            source, target = origin / row.name, folder / row.name
            if target.is_file() and target.read_bytes() == source.read_bytes():
                continue
            if _modified(target) and not _modified(source):
                raise LabError(
                    f"{shown(target)} was edited, but its README says '{row.state}'. If the edit is"
                    f" meant for this step on, say `changed` there (and `as in {folder.name[4:6]}`"
                    f" in later steps); if for all, make it in {shown(source)} and undo it here.")
            ui.say(f"{shown(source)} → {shown(target)}")
            count += 1
            if not dry:
                shutil.copyfile(source, target)
    ui.say(f"{count} file{'' if count == 1 else 's'} {'would be ' if dry else ''}carried forward.")
    return 0


def _modified(path: Path) -> bool:
    """Whether git knows the file and sees it changed since the last commit."""
    result = subprocess.run(["git", "-C", str(ROOT), "diff", "--quiet", "HEAD", "--", str(path)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return result.returncode == 1


def copy(step: Path, target: Path) -> int:
    """Carries out ./lab copy: a step and what it shares with others, which builds where it lies."""
    if target.exists():
        raise UsageError(f"{target} exists already; the lab does not overwrite it.")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent} to make {target.name} in.")
    copy_to(step, target)
    ui.say(f"{step.name} and what it shares with other steps are in {target}. Build it by:"
           f" make -C {target}")
    ui.say(f"The module will be {module_name(step)}.ko there.")
    return 0


def shared_files(step: Path) -> list[Path]:
    """The files that a step includes, or compiles, from SHARED; relative to the tree."""
    common = ROOT / "common"
    found = {*common.glob("*.mk"), *(common / "freestanding").iterdir()}
    objects = re.findall(r"\bcommon-(\w+)\.o\b", (step / "Kbuild").read_text(encoding="utf-8"))
    todo = [common / "kernel" / f"{name}.c" for name in objects]
    todo += [common / "vmx" / f"{name}.c" for name in objects]
    todo = [file for file in todo if file.is_file()]
    found |= set(todo)
    todo += [step / name for name in build.sources(step)]
    while todo:
        file = todo.pop()
        for name in INCLUDE.findall(file.read_text(encoding="utf-8")):
            for path in {folder / name for folder in (file.parent, common, ROOT)} - found:
                if path.is_file() and any(shared in path.parents for shared in SHARED):
                    found.add(path)
                    todo.append(path)
    return sorted(path.relative_to(ROOT) for path in found)


def copy_to(step: Path, target: Path) -> None:
    """Copies a step and what it needs into one folder, and lets Makefile and Kbuild know."""
    for source, names in ((step, build.sources(step)), (ROOT, shared_files(step))):
        for name in names:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)
    for name in ("Makefile", "Kbuild"):
        path = target / name
        path.write_text(path.read_text(encoding="utf-8").replace("../common/", "common/"),
                        encoding="utf-8")
    for name in ("LICENSE", ".clang-format"):
        if (ROOT / name).exists():
            shutil.copyfile(ROOT / name, target / name)
