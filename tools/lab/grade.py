# SPDX-License-Identifier: GPL-2.0-only
"""./lab exercise, ./lab grade, ./lab progress: hand out an exercise, judge it, keep the score."""
from __future__ import annotations

import json
import shutil
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from . import bochs, exercises, grading, packages, trial, ui
from .common import UsageError, shown
from .exercises import Exercise


@dataclass
class Progress:
    """What is kept of an exercise, in progress.json of its work folder."""

    tries: int = 0
    hints: int = 0
    done: str = ""  # the day

    @classmethod
    def of(cls, exercise: Exercise) -> "Progress":
        path = exercise.work / "progress.json"
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else cls()

    def keep(self, exercise: Exercise) -> None:
        (exercise.work / "progress.json").write_text(json.dumps(asdict(self)) + "\n",
                                                     encoding="utf-8")

    def words(self) -> str:
        """Where the reader stands."""
        tries = f"{self.tries} {'try' if self.tries == 1 else 'tries'}"
        return f"✓ done {self.done}, {tries}" if self.done else f"begun, {tries}"


# ---- ./lab exercise and ./lab progress -------------------------------------------------------

def start(number: str, again: bool) -> int:
    """Carries out ./lab exercise: makes the work folder unless it is there, and shows the task."""
    if not number:
        return list_all("Begin one: ./lab exercise NN-N")
    exercise = exercises.load(number)
    place = shown(exercise.work)
    if exercise.work.exists() and again:
        old = exercise.work.with_name(f"{number}.old")
        shutil.rmtree(old, ignore_errors=True)
        exercise.work.rename(old)
        ui.say(f"What you had is in {shown(old)}/ now.")
    if exercise.work.exists():
        ui.say(f"{place}/ is there already, and stays as it is. (--again begins anew.)")
    else:
        exercises.make_work(exercise, exercise.work)
        Progress().keep(exercise)
        (exercise.work / "TASK.txt").write_text(_task(exercise), encoding="utf-8")
    ui.say()
    ui.say(_task(exercise).rstrip())
    return 0


def _task(exercise: Exercise) -> str:
    """The task as text for a terminal."""
    place = shown(exercise.work)
    title = f"Exercise {exercise.number}: {exercise.title} ({exercises.KINDS[exercise.kind]})"
    text = [title, "=" * len(title), ""]
    for part in exercise.task.strip().split("\n\n"):
        text += [*textwrap.wrap(" ".join(part.split()), 90), ""]
    where = f"{place}/{exercise.file}, between the two lines [exercise {exercise.number}]"
    text += [{"write": f"Write it in {where}.", "repair": f"It is in {where}.",
              "predict": f"The change is in {where}.\nYour answer goes into {place}/answer.toml."}
             [exercise.kind], ""]
    if exercise.reading:
        text += ["Read in the SDM:", *[f"  {title}" for title in exercises.sdm(exercise)], ""]
    if exercise.source:
        text += ["A mistake of this kind was reported in public:", f"  {exercise.source}", ""]
    text += [f"Then:    ./lab grade {exercise.number}",
             f"A hint:  ./lab grade {exercise.number} --hint", ""]
    return "\n".join(text)


def list_all(close: str = "") -> int:
    """Carries out ./lab progress: every exercise and where the reader stands."""
    done, step = 0, ""
    everything = exercises.load_all()
    for exercise in everything:
        if exercise.step.name != step:
            step = exercise.step.name
            ui.say(ui.bold(step))
        progress = Progress.of(exercise)
        done += bool(progress.done)
        state = progress.words() if exercise.work.exists() else ""
        state = ui.green(state) if progress.done else state
        ui.say(f"  {exercise.number}  {exercise.kind:8} {exercise.title:48} {state}".rstrip())
    ui.say(f"{done} of {len(everything)} done." + (f" {close}" if close else ""))
    return 0


# ---- ./lab grade -----------------------------------------------------------------------------

def run(number: str, hint: bool, yes: bool) -> int:
    """Carries out ./lab grade. 0: all is as expected; 1: something is not."""
    exercise = exercises.load(number or _latest())
    if not exercise.work.exists():
        raise UsageError(f"There is no {shown(exercise.work)}/ yet: ./lab exercise"
                         f" {exercise.number} makes it.")
    progress = Progress.of(exercise)
    if hint:
        return _hint(exercise, progress)
    ui.say(ui.bold(f"Exercise {exercise.number}: {exercise.title}"))
    good = _graded(exercise, yes)
    progress.tries += 1
    progress.done = progress.done or (time.strftime("%Y-%m-%d") if good else "")
    progress.keep(exercise)
    if good:
        ui.say(ui.green(f"Exercise {exercise.number} is done."))
        return 0
    left = len(exercise.hints) - progress.hints
    ui.say(f"Not yet. A hint: ./lab grade {exercise.number} --hint ({left} left)")
    return 1


def _latest() -> str:
    """The exercise whose work folder was touched last."""
    found = [path for number in exercises.numbers()
             if (path := exercises.WORK / number).is_dir()]
    if not found:
        raise UsageError("No exercise is begun: ./lab exercise lists them.")
    return max(found, key=lambda path: max(
        file.stat().st_mtime for file in path.rglob("*") if file.name != "progress.json")).name


def _hint(exercise: Exercise, progress: Progress) -> int:
    """One more hint than last time."""
    progress.hints = min(progress.hints + 1, len(exercise.hints))
    progress.keep(exercise)
    for count, text in enumerate(exercise.hints[:progress.hints], 1):
        ui.say("\n".join(textwrap.wrap(" ".join(text.split()), 90,
                                       initial_indent=f"Hint {count} of {len(exercise.hints)}: ",
                                       subsequent_indent="  ")))
    return 0


def _graded(exercise: Exercise, yes: bool) -> bool:
    """Builds, boots, reports."""
    answer = None
    if exercise.kind == "predict":
        answer = grading.read_answer(exercise.work / "answer.toml")
        if not (answer.rules and answer.outcome):
            _line(grading.Verdict("answer.toml holds a prediction", False,
                                  f"rule or outcome is empty in {shown(exercise.work)}"))
            return False
    packages.ensure(packages.needed(["build", "lab"]), yes)
    folder = bochs.boot_folder("grade")
    module = folder / f"{exercise.module}.ko"
    made = trial.compile_work(exercise, exercise.work, module)
    _line(grading.Verdict(f"{exercise.file} compiles", made.good))
    if not made.good:
        for line in made.words:
            ui.say("    " + line)
        return False
    if exercise.is_unwritten():
        _line(grading.Verdict("the exercise is written", False, exercise.sentence()))
        ui.say(f"    Write it in {shown(exercise.work / exercise.file)}, and remove the line"
               " that says so.")
        return False
    about = bochs.Machine(cpus=exercise.processors).boot_seconds()
    title = f"Booting {' and '.join(exercise.cpus)} in the Bochs emulator (about {about} s)"
    with ui.busy(title), ThreadPoolExecutor() as pool:
        runs = [pool.submit(trial.boot, exercise, cpu, module, folder / cpu)
                for cpu in exercise.cpus]
        seen = [run.result() for run in runs]
    good = True
    for cpu, one in zip(exercise.cpus, seen):
        if len(exercise.cpus) > 1:
            ui.say(ui.bold(cpu))
        good = _report(exercise, grading.judge(exercise, cpu, one, answer), one) and good
    if not good:
        ui.say(f"All logs: {shown(folder)}/")
    return good


def _report(exercise: Exercise, verdicts: list[grading.Verdict], seen: grading.Seen) -> bool:
    """One line for each check; if one failed, what doctor, kernel and emulator said."""
    for verdict in verdicts:
        _line(verdict)
    good = all(verdict.good for verdict in verdicts)
    if not good or exercise.kind == "predict":
        for who, lines in (("the doctor", seen.findings), ("the module", seen.decoded),
                           ("the kernel", seen.trouble), ("Bochs", seen.bochs)):
            for line in lines[:4]:
                ui.say(ui.dim(f"    {who}: {line}"))
    if not good:
        for words in grading.explained(exercise, seen):
            ui.say("\n".join(textwrap.wrap(f"A wrong answer that gives these lines: {words}", 90,
                                           initial_indent="    ", subsequent_indent="    ")))
    return good


def _line(verdict: grading.Verdict) -> None:
    if verdict.good:
        ui.say(f"  {ui.green('✓')} {verdict.expect}")
    else:
        ui.say(f"  {ui.red('✗')} {verdict.expect}" + (f". Seen: {verdict.seen}" if verdict.seen
                                                     else ""))
