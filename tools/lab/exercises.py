# SPDX-License-Identifier: GPL-2.0-only
"""Exercises as data: exercises/NN-N.toml, and the region of a step's file that each is about.

The region lies between two comment lines `[exercise NN-N]`. A reader's starting point is the step
with the region replaced; the solution is the region. exercises/README.md says how one is written.
"""
from __future__ import annotations

import os
import re
import textwrap
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from . import steps
from .common import ROOT, LabError, UsageError, module_name, shown

FOLDER = ROOT / "exercises"
#: The readers' own folders; tests use others.
WORK = Path(os.environ.get("VTX_WORK") or FOLDER / "work").resolve()
KINDS = {"write": "write it", "repair": "repair it", "predict": "predict it"}
MARK = re.compile(r"^[ \t]*(?://|#|/\*) \[exercise ((?:\d\d-\d ?)+)\](?: \*/)?[ \t]*\n",
                  re.MULTILINE)
WIDTH = 100


@dataclass(frozen=True)
class Check:
    """One thing that the grader looks for. Exactly one of `log`, `prints` and `insmod` is given."""

    expect: str  # in words
    log: str = ""  # a pattern that must match in the module's log, without the module's name
    prints: str = ""  # a pattern that must match in what the script printed
    insmod: str = ""  # the errno with which insmod must fail: "ENODEV"
    never: bool = False  # the pattern must not match
    near: str = ""  # a pattern for the lines that show what was seen instead
    on: str = ""  # only on this CPU
    broken: bool = False  # of a repair: the mistake fails it


@dataclass(frozen=True)
class Wrong:
    """A wrong answer that readers give. The grader knows it by what it leads to: `log`, or if many
    lead to the same line, `prints`."""

    means: str  # in words
    log: str = ""  # a whole line of the module's log, without its name
    prints: str = ""  # a pattern that matches in what the script printed
    code: str = ""  # in place of the region; without it the starting point's own code
    # Instead of code: what stands once in the region, and what the wrong answer has in its place.
    change: tuple[str, str] | None = None

    @property
    def is_start(self) -> bool:
        """Whether the starting point's own code is this wrong answer."""
        return not self.code and not self.change


@dataclass(frozen=True, eq=False)
class Exercise:
    """One exercise. The names are those of the data file."""

    number: str  # of the file's name: "03-2"
    title: str
    kind: str  # of KINDS
    file: str  # of the step's folder
    start: str  # the code that stands in place of the region
    task: str
    hints: list[str]  # three
    mistakes: str  # what people get wrong
    checks: tuple[Check, ...]
    reading: list[str]  # keys of docs/sdm.toml; none in step 00, which has nothing of VT-x
    wrong: tuple[Wrong, ...] = ()
    source: str = ""  # of a repair: the public thread in which the mistake was told
    script: str = "load && unload"
    cpus: tuple[str, ...] = ("haswell",)
    processors: int = 1
    guests: tuple[tuple[str, str], ...] = ()  # programs for step 05: name and assembly
    broken: tuple[str, ...] = ()  # of a repair: "loads", "kernel" if the mistake fails these checks
    # Of a repair: on the first CPU the mistake ends the machine ("panic", "triple fault"), or kills
    # insmod with a fault ("oops").
    ends: str = ""

    @property
    def step(self) -> Path:
        folder = steps.by_number(self.number[:2])
        if folder is None:
            raise LabError(f"Exercise {self.number}: there is no step {self.number[:2]}.")
        return folder

    @property
    def module(self) -> str:
        return module_name(self.step)

    @property
    def work(self) -> Path:
        return WORK / self.number

    @property
    def boots_linux(self) -> bool:
        """Whether its step boots a Linux as a guest, which takes the emulator a while."""
        return self.number[:2] == "10"

    def sentence(self) -> str:
        """What a `write` starting point says: in its region, and in the log as insmod fails."""
        return f"exercise {self.number} is yet to be written"

    def is_unwritten(self) -> bool:
        """Whether the sentence still stands in the reader's file."""
        return self.kind == "write" and self.sentence() in _read(self.work / self.file)


def numbers() -> list[str]:
    """The numbers of all exercises, in order."""
    return sorted(path.stem for path in FOLDER.glob("[0-9][0-9]-[0-9].toml"))


def load(number: str) -> Exercise:
    """The exercise with this number."""
    import tomllib  # Python 3.11, which Debian 12 has

    path = FOLDER / f"{number}.toml"
    if not path.is_file():
        raise UsageError(f"There is no exercise {number!r}; ./lab exercise lists them.")
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    checks = data.pop("check", [])
    wrong = data.pop("wrong", [])
    for name in ("cpus", "broken"):
        if name in data:
            data[name] = tuple(data[name])
    data["guests"] = tuple(data.get("guests", {}).items())
    _expect_names(path, data, Exercise, {"number", "checks"})
    for check in checks:
        _expect_names(path, check, Check, set())
    for row in wrong:
        _expect_names(path, row, Wrong, set())
        if "change" in row:
            row["change"] = tuple(row["change"])
    try:
        exercise = Exercise(number=number, checks=tuple(Check(**row) for row in checks),
                            wrong=tuple(Wrong(**row) for row in wrong), **data)
    except TypeError as error:
        raise LabError(f"{shown(path)}: {str(error).split('() ')[-1]}") from None
    if exercise.kind not in KINDS:
        raise LabError(f"{shown(path)}: kind is {exercise.kind!r}, not one of {', '.join(KINDS)}")
    return exercise


def load_all() -> list[Exercise]:
    """Every exercise, in order."""
    return [load(number) for number in numbers()]


def _expect_names(path: Path, data: dict[str, Any], kind: type, hidden: set[str]) -> None:
    """Refuses a key that means nothing, which is a slip of the pen."""
    known = {field.name for field in fields(kind)} - hidden
    if unknown := sorted(set(data) - known):
        raise LabError(f"{shown(path)}: unknown {', '.join(unknown)}; known: {', '.join(known)}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LabError(f"{shown(path)} is missing.") from None


# ---- the region ------------------------------------------------------------------------------

def split(text: str, number: str) -> tuple[str, str, str]:
    """A file's text up to and with the first mark, the region, and the rest from the last mark."""
    marks = [mark for mark in MARK.finditer(text) if number in mark[1].split()]
    if len(marks) != 2:
        raise LabError(f"{len(marks)} lines are marked [exercise {number}]; there must be two.")
    first, last = marks
    return text[:first.end()], text[first.end():last.start()], text[last.start():]


def region(exercise: Exercise) -> str:
    """The step's own code: the solution."""
    return split(_read(exercise.step / exercise.file), exercise.number)[1]


def starting_file(exercise: Exercise, comment: bool = True) -> str:
    """The text of the exercise's file as the reader finds it."""
    text = _read(exercise.step / exercise.file)
    before, _, after = split(text, exercise.number)
    indent = re.search(r"([ \t]*)\S[^\n]*\n$", before)
    words = _comment(exercise, indent[1] if indent else "") if comment else ""
    return before + words + exercise.start + after


def wrong_file(exercise: Exercise, wrong: Wrong) -> str:
    """The text of the exercise's file with a wrong answer in it."""
    before, own, after = split(_read(exercise.step / exercise.file), exercise.number)
    if wrong.change:
        return before + own.replace(*wrong.change) + after
    return before + (wrong.code or exercise.start) + after


def put_back(text: str, exercise: Exercise) -> str:
    """A reader's file with the step's own region in its place."""
    before, _, after = split(text, exercise.number)
    return before + region(exercise) + after


def _comment(exercise: Exercise, indent: str) -> str:
    """The comment with which a region begins: what to do, and what to read."""
    if exercise.kind == "write":
        first = [f"To do: {exercise.sentence()}. (Remove this line when it is written.)"]
    elif exercise.kind == "repair":
        first = [f"Exercise {exercise.number}: there is a mistake between the two marks. Mend it."]
    else:
        first = [f"Exercise {exercise.number}: this was changed. Predict what comes of it."]
    prose = exercise.task.strip().split("\n\n")
    if exercise.reading:
        prose.append("Read: " + "; ".join(sdm(exercise)) + ".")
    is_c = exercise.file.endswith((".c", ".S", ".h"))
    leader = " * " if is_c else "# " if exercise.file in ("Kbuild", "Makefile") else "// "
    width = WIDTH - len(indent.expandtabs(8)) - len(leader)
    lines = first + [line for part in prose
                     for line in ["", *textwrap.wrap(" ".join(part.split()), width,
                                                     break_long_words=False)]]
    text = [f"{indent}{leader}{line}".rstrip() for line in lines]
    if is_c:
        text = [f"{indent}/*", *text, f"{indent} */"]
    return "\n".join(text) + "\n"


def sdm(exercise: Exercise) -> list[str]:
    """What to read in the SDM: titles, with volume and number."""
    import tomllib

    rows = tomllib.loads(_read(ROOT / "docs" / "sdm.toml"))["sections"]
    if unknown := [key for key in exercise.reading if key not in rows]:
        raise LabError(f"Exercise {exercise.number}: no {unknown[0]!r} in docs/sdm.toml.")
    return [f"\"{rows[key]['title']}\" (volume {rows[key]['volume']}, "
            f"{rows[key]['number'].split(':')[0]})"
            for key in exercise.reading]


# ---- the work folder -------------------------------------------------------------------------

#: What the work folder of a `write` exercise has besides the step: insmod fails in words.
UNWRITTEN = """\
// SPDX-License-Identifier: GPL-2.0-only
/* What insmod starts as long as the exercise is yet to be written; see the end of Kbuild. */
#include "kernel.h"

int exercise_start(void);

int exercise_start(void)
{{
\tvtx_log_error("{sentence}");
\treturn -VTX_ENOSYS;
}}
"""

KBUILD = """
# As long as {file} says so, insmod starts exercise.c instead of the step.
ifneq ($(shell grep -F '{sentence}' $(src)/{file}),)
CFLAGS_{object} := -Dstep_start=exercise_start
{module}-y += exercise.o
endif
"""

ANSWER = """\
# Your prediction. ./lab grade {number} compares it with what the doctor and the processor say.

# Which rule of VM entry is broken? Its identifier, such as "G05", or "none". The rules are
# in doctor/rules/ here, and in the book's reference under "Entry checks".
rule = ""

# And then? "error 7", "error 8", "exit 33", "exit 34", or "enters".{more}
outcome = ""
"""

#: A further outcome, from the step on that has EPT.
ANSWER_EPT = """
# If it enters, and EPT then ends the guest: "exit 48 at 0x1000", or "exit 49 at 0x1000", with the
# guest-physical address."""


def make_work(exercise: Exercise, target: Path) -> None:
    """Makes the reader's folder: a free-standing copy of the step with the starting point in it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    steps.copy_to(exercise.step, target)
    (target / exercise.file).write_text(starting_file(exercise), encoding="utf-8")
    of_module_c = steps.files(exercise.step)["module.c"].with_suffix(".o")
    words = {"sentence": exercise.sentence(), "file": exercise.file, "module": exercise.module,
             "number": exercise.number, "object": str(of_module_c.relative_to(exercise.step)),
             "more": ANSWER_EPT if exercise.number > "07" else ""}
    if exercise.kind == "write":
        (target / "exercise.c").write_text(UNWRITTEN.format(**words), encoding="utf-8")
        with open(target / "Kbuild", "a", encoding="utf-8") as kbuild:
            kbuild.write(KBUILD.format(**words))
    elif exercise.kind == "predict":
        (target / "answer.toml").write_text(ANSWER.format(**words), encoding="utf-8")
