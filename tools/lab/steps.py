# SPDX-License-Identifier: GPL-2.0-only
"""The steps as folders: what their READMEs claim about their files, diff, sync and copy.

A step of Part II has at the top of its folder what it introduces or changes, and in core/ what it
takes over unchanged. Files are compared by name, wherever they lie.
"""
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
#: The one subfolder for what a step of Part II takes over unchanged, and the first such step.
CORE = "core"
PART_TWO = "07"
#: Make and kbuild look for these at the top of a step, so they stay there.
PLUMBING = ("Kbuild", "Makefile")
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


def files(folder: Path) -> dict[str, Path]:
    """The lesson files of a step by name, wherever they lie."""
    return {Path(name).name: folder / name for name in lesson_files(folder)}


def is_part_two(folder: Path) -> bool:
    """Whether a step has core/, and takes over only what it uses."""
    return folder.name[4:6] >= PART_TWO


def nearest(folders: list[Path], name: str) -> Path | None:
    """The file of this name in the last of some steps that has one."""
    return next((found for folder in reversed(folders) if (found := files(folder).get(name))), None)


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
    for row in rows:
        if not (folder / row.name).is_file():
            found.append(f"{folder.name}/{row.name} is in the table but not in the folder")
        elif message := _place_lie(folder, row) or _state_lie(folder, row):
            found.append(f"{folder.name}/{row.name}: {message}")
    return found


def _place_lie(folder: Path, row: Row) -> str:
    """What is wrong with where a file lies, or nothing. It may still not be what the row says."""
    *places, name = Path(row.name).parts
    if not is_part_two(folder):
        return "a step of Part I has no subfolder for files of the lesson" if places else ""
    if places not in ([], [CORE]):
        return f"a step has no subfolder but {CORE}/"
    if places and (folder / name).exists():
        return "a file of this name is at the top, too"
    if places and (name in PLUMBING or not row.origin):
        return f"'{row.state}', but {CORE}/ has only what is taken over unchanged"
    if not places and row.origin and name not in PLUMBING:
        return f"'{row.state}', so its place is {CORE}/"
    return ""


def _state_lie(folder: Path, row: Row) -> str:
    """What is wrong with the second column of a row, or nothing."""
    own, name = (folder / row.name).read_bytes(), Path(row.name).name
    before = nearest([step for step in step_folders() if step < folder], name)
    same = before is not None and before.read_bytes() == own
    if row.origin:
        origin = by_number(row.origin)
        if not origin or origin >= folder:
            return f"'{row.state}' names no earlier step"
        source = files(origin).get(name)
        if not source:
            return f"'{row.state}', but {origin.name} has no such file"
        if source.read_bytes() != own:
            return f"'{row.state}', but it differs from {shown(source)} (./lab sync?)"
        return "" if same or not before else (
            f"'{row.state}', but it is not the same as {shown(before)}")
    if row.state == "new":
        return f"'new', but {shown(before.parent)} has it" if before else ""
    if row.state == "changed":
        if not before:
            return "'changed', but no earlier step has such a file"
        return f"'changed', but it is the same as {shown(before)}" if same else ""
    return f"the second column says {row.state!r}, not new, changed or as in NN"


def diff(old: Path, new: Path, names: list[str], everything: bool, summary: bool) -> int:
    """Carries out ./lab diff."""
    ours, theirs = files(old), files(new)
    if everything:
        for folder, found in ((old, ours), (new, theirs)):
            found |= {str(name): folder / name for name in build.sources(folder)
                      if name.parts[0] in NOT_LESSONS}
    if old < new:  # what `new` took over from a step before `old` is not new in it
        for name in theirs.keys() - ours.keys():
            if source := nearest([step for step in step_folders() if step < old], name):
                ours[name] = source
    names = [name.removeprefix(f"{CORE}/") for name in names]
    for name in names:
        if name not in {**ours, **theirs}:
            raise UsageError(f"Neither {old.name} nor {new.name} has a file {name!r}.")
    rows = {Path(row.name).name: row for row in table(new)}
    for name in sorted({**ours, **theirs}):
        if names and name not in names:
            continue
        before, after = _lines(ours.get(name)), _lines(theirs.get(name))
        if before == after or after is None and is_part_two(new) and name not in names:
            continue  # a step of Part II takes over only what it uses
        state = "new" if before is None else "gone" if after is None else "changed"
        what = f"  {rows[name].what}" if name in rows else ""
        ui.say(ui.bold(f"{state:8}{name}") + what)
        if not summary:
            for line in difflib.unified_diff(before or [], after or [],
                                             shown(ours.get(name, old / name)),
                                             shown(theirs.get(name, new / name)), lineterm=""):
                ui.say(_coloured(line))
            ui.say()
    return 0


def _lines(path: Path | None) -> list[str] | None:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path else None


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
            source = files(origin).get(Path(row.name).name) if origin else None
            target = folder / row.name
            if not origin or origin >= folder or not source:
                continue
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
                target.parent.mkdir(exist_ok=True)  # a row may be there before its file
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
