# SPDX-License-Identifier: GPL-2.0-only
"""`.. stepdiff:: 05` what a step changed against those before: counts, then each file, folded.

Files are compared by name, wherever they lie: a step of Part II has in core/ what it took over.
"""
from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import details, exercises, filled, paths


@dataclass
class Change:
    """One file of a step against the nearest earlier step that has it."""

    path: Path
    kind: str  # "new", "changed", "same", "gone"
    since: str = ""  # for "same": the step that has had the file since
    added: int = 0
    removed: int = 0
    diff: list[str] = field(default_factory=list)


def earlier(file: Path) -> Path | None:
    """The file of the same name in the nearest earlier step that has one."""
    folder = paths.step_of(file)
    return next((old for before in reversed(paths.steps()) if folder and before < folder
                 for old in paths.code_files(before) if old.name == file.name), None)


@lru_cache
def changes(folder: Path) -> list[Change]:
    """Every file of a step, and those of the step before that it dropped; found once a build.

    A step with core/ takes over only what it uses: there it says nothing that a file is gone.
    """
    files = paths.code_files(folder)
    result = [_change(file) for file in files]
    before = [step for step in paths.steps() if step < folder][-1:]
    if before and not (folder / "core").is_dir():
        names = {file.name for file in files}
        result += [Change(old, "gone", removed=len(_lines(old)))
                   for old in paths.code_files(before[0]) if old.name not in names]
    return result


def own_files(folder: Path) -> list[Path]:
    """The files that a step wrote or changed."""
    return [c.path for c in changes(folder) if c.kind in ("new", "changed")]


def _change(file: Path) -> Change:
    old = earlier(file)
    if old is None:
        return Change(file, "new", added=len(_lines(file)))
    if old.read_bytes() == file.read_bytes():
        return Change(file, "same", since=_origin(file))
    diff = list(difflib.unified_diff(_lines(old), _lines(file), f"a/{_shown(old)}",
                                     f"b/{_shown(file)}", lineterm=""))
    return Change(file, "changed", added=sum(d.startswith("+") for d in diff) - 1,
                  removed=sum(d.startswith("-") for d in diff) - 1, diff=diff)


def _origin(file: Path) -> str:
    """The number of the earliest step from which the file has come unchanged."""
    content = file.read_bytes()
    while (old := earlier(file)) and old.read_bytes() == content:
        file = old
    return _shown(file)[4:6]


def _name(path: Path) -> str:
    """A file's path in its step, as the README's table has it."""
    return _shown(path).split("/", 1)[1]


def _shown(path: Path) -> str:
    return path.relative_to(paths.ROOT).as_posix()


def _lines(path: Path) -> list[str]:
    return exercises.data.MARK.sub("", path.read_text(encoding="utf-8")).splitlines()


def counts(found: list[Change]) -> str:
    """One sentence: "2 files changed (+74 −3 lines), 1 new (120 lines), 5 as before"."""
    parts = []
    changed = [c for c in found if c.kind == "changed"]
    new = [c for c in found if c.kind == "new"]
    same = [c for c in found if c.kind == "same"]
    gone = [c for c in found if c.kind == "gone"]
    if new:
        parts.append(f"{_files(new)} new (+{sum(c.added for c in new)} lines)")
    if changed:
        parts.append(f"{_files(changed)} changed (+{sum(c.added for c in changed)} "
                     f"−{sum(c.removed for c in changed)} lines)")
    if gone:
        parts.append(f"{_files(gone)} gone (−{sum(c.removed for c in gone)} lines)")
    if same:
        parts.append(f"{_files(same)} as before")
    return ", ".join(parts) + "."


def _files(found: list[Change]) -> str:
    return f"{len(found)} file{'s' if len(found) != 1 else ''}"


class StepDiff(SphinxDirective):
    """The directive."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        folder = paths.step(self.arguments[0])
        found = changes(folder)
        if not found:
            return []
        result: list[nodes.Node] = [nodes.paragraph("", "", nodes.strong("", counts(found)))]
        for change in found:
            if change.kind == "new":
                result.append(self._folded(change, f"new, {change.added} lines",
                                           "\n".join(_lines(change.path)) + "\n",
                                           paths.language(change.path)))
            elif change.kind == "changed":
                result.append(self._folded(change, f"+{change.added} −{change.removed}",
                                           "\n".join(change.diff) + "\n", "diff"))
            elif change.kind == "gone":
                result.append(nodes.paragraph("", "", nodes.literal("", _name(change.path)),
                                              nodes.Text(": no longer here")))
        same = [c for c in found if c.kind == "same"]
        if same:
            items = nodes.bullet_list()
            for change in same:
                items += nodes.list_item("", nodes.paragraph(
                    "", "", nodes.literal("", _name(change.path)),
                    nodes.Text(f": as in step {change.since}")))
            result.append(items)
        return result

    def _folded(self, change: Change, note: str, text: str, language: str) -> nodes.Node:
        block = nodes.literal_block(text, text, language=language)
        block["highlight_args"] = {}
        block["force"] = change.path.suffix == ".S"  # as in listing.py
        return details.make(f"{_name(change.path)} ({note})", [block], ("stepdiff",))


def setup(app: Sphinx) -> None:
    """Registers the directive."""
    filled.add_directive(app, "stepdiff", StepDiff)
