# SPDX-License-Identifier: GPL-2.0-only
"""Every exercise, in both directions: its starting point fails as promised, the step passes."""
from __future__ import annotations

import errno
import re
from dataclasses import replace
from pathlib import Path

import pytest
import starting_points
from guest import OLDER, Case, Guest, in_guest

from lab import build, exercises, grading, steps
from lab.common import ROOT, step_folders
from lab.exercises import Exercise

EXERCISES = exercises.load_all()
LEFT_OUT = ("Kbuild", "Makefile")  # where a free-standing copy has common/ elsewhere


def number_of(value: object) -> str | None:
    return value.number if isinstance(value, Exercise) else None


def each() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("exercise", EXERCISES, ids=number_of)


def ends_on(exercise: Exercise, cpu: str) -> str:
    """How the mistake ends the machine; only on the first of the CPUs."""
    return exercise.ends if cpu == exercise.cpus[0] else ""


def limit(exercise: Exercise) -> int:
    """Seconds of wall time for a boot. Those of step 10 boot a Linux in each case."""
    return (1200 if exercise.boots_linux else 300) * exercise.processors


def shared(exercise: Exercise, direction: str, cpu: str) -> str:
    """The tag of the boot that carries it with others. Where there are many, the two directions
    boot side by side."""
    if exercise.boots_linux:
        return "exercises-linux"
    usual = cpu == "haswell" and exercise.processors == 1
    return f"exercises-{direction}" if usual else "exercises"


def booted(direction: str, *kinds: str) -> pytest.MarkDecorator:
    """Each exercise on each of its CPUs: as its starting point, or as the step has it."""
    cases = []
    for exercise in EXERCISES:
        if exercise.kind not in kinds:
            continue
        inside = f"lab/modules/{exercise.module}.ko"
        files = dict(grading.files(exercise))
        if direction == "start":
            inside = f"lab/exercises/{exercise.number}/{exercise.module}.ko"
            files[inside] = starting_points.module(exercise)
        for cpu in exercise.cpus:
            ends = ends_on(exercise, cpu) if direction == "start" else ""
            # What spoils the machine has one of its own.
            tag = exercise.number if ends else shared(exercise, direction, cpu)
            machine = Guest(OLDER, cpu, exercise.processors, tag=tag, limit=limit(exercise))
            mark = in_guest(machine, grading.script(exercise, f"/{inside}"), files=files,
                            ends=ends if ends != "oops" else "",
                            name=f"{direction} {exercise.number}")
            cases.append(pytest.param(exercise, machine, marks=mark,
                                      id=f"{exercise.number}-{cpu}"))
    return pytest.mark.parametrize("exercise, guest", cases, scope="session")


def wrong() -> pytest.MarkDecorator:
    """Each wrong answer that a data file tells of, on the first CPU, as a module of its own."""
    cases = []
    for exercise in EXERCISES:
        for index in range(len(exercise.wrong)):
            inside = f"lab/exercises/{exercise.number}-wrong-{index}/{exercise.module}.ko"
            files = {**grading.files(exercise),
                     inside: starting_points.wrong_module(exercise, index)}
            machine = Guest(OLDER, exercise.cpus[0], exercise.processors,
                            tag=shared(exercise, "start", exercise.cpus[0]), limit=limit(exercise))
            mark = in_guest(machine, grading.script(exercise, f"/{inside}"), files=files,
                            name=f"wrong {exercise.number} {index}")
            cases.append(pytest.param(exercise, index, machine, marks=mark,
                                      id=f"{exercise.number}-{index}"))
    return pytest.mark.parametrize("exercise, index, guest", cases, scope="session")


def run_of(exercise: Exercise, case: Case) -> grading.Seen:
    return grading.seen(exercise, case.lines, case.output, case.ended)


def failing(exercise: Exercise, case: Case, answer: grading.Answer | None = None) -> list[str]:
    """What the grader has to say against a run."""
    return [f"{verdict.expect}: {verdict.seen}" for verdict in
            grading.judge(exercise, case.guest.cpu, run_of(exercise, case), answer)
            if not verdict.good]


def test_there_are_exercises() -> None:
    assert len(EXERCISES) >= 4
    assert {exercise.kind for exercise in EXERCISES} == set(exercises.KINDS)


def test_every_mark_belongs_to_an_exercise() -> None:
    """In the step of its number, in the file that the exercise names, and nowhere else anew."""
    wanted = {(e.number, e.step.name, e.file) for e in EXERCISES}
    found = set()
    for folder in step_folders():
        for name in build.sources(folder):
            for mark in exercises.MARK.findall((folder / name).read_text(encoding="utf-8")):
                for number in mark.split():
                    if folder.name[4:6] <= number[:2]:
                        found.add((number, folder.name, str(name)))
    assert found == wanted


@each()
def test_exercise_is_complete(exercise: Exercise) -> None:
    assert len(exercise.hints) == 3 and all(exercise.hints)
    assert bool(exercise.reading) == (exercise.number[:2] != "00"), "step 00 has nothing of VT-x"
    assert len(exercises.sdm(exercise)) == len(exercise.reading)
    assert exercise.task.strip() and exercise.mistakes.strip()
    assert exercise.file in {str(name) for name in build.sources(exercise.step)}
    assert len(exercise.title) <= 48
    assert bool(exercise.source) == (exercise.kind == "repair"), "a repair names its thread"
    assert not exercise.source or exercise.source.startswith("https://")
    for check in exercise.checks:
        assert [bool(check.log), bool(check.prints), bool(check.insmod)].count(True) == 1, check
        assert check.on in ("", *exercise.cpus)
        re.compile(check.log + check.prints + check.near)
    for wrong in exercise.wrong:
        assert bool(wrong.log) != bool(wrong.prints), wrong
        assert not (wrong.code and wrong.change), wrong
        if wrong.change:
            assert exercises.region(exercise).count(wrong.change[0]) == 1, wrong
    lines = [wrong.log + wrong.prints for wrong in exercise.wrong]
    assert len(set(lines)) == len(lines), "a line tells of one wrong answer"
    if exercise.kind == "predict":
        assert not exercise.checks
    else:
        assert exercise.checks or exercise.broken
    broken = exercise.ends or exercise.broken or any(check.broken for check in exercise.checks)
    assert bool(broken) == (exercise.kind == "repair"), "a repair says what its mistake breaks"


@each()
def test_starting_point_builds_without_a_warning(exercise: Exercise) -> None:
    made = starting_points.made[exercise.number]
    assert made.good, "\n".join(made.words)
    assert made.warnings == 0


@each()
def test_region_put_back_is_the_step(exercise: Exercise) -> None:
    """To the byte: in the exercise's file, and in all others of the step and that it shares."""
    start = starting_points.folder(exercise)
    text = (start / exercise.file).read_text(encoding="utf-8")
    original = (exercise.step / exercise.file).read_text(encoding="utf-8")
    assert text != original
    assert exercises.put_back(text, exercise) == original
    shared = set(steps.shared_files(exercise.step))
    for source, names in ((exercise.step, build.sources(exercise.step)), (ROOT, shared)):
        for name in names:
            if str(name) != exercise.file and str(name) not in LEFT_OUT:
                assert (source / name).read_bytes() == (start / name).read_bytes(), name
    own = {Path("exercise.c"), Path("answer.toml"), Path("LICENSE")}
    assert set(build.sources(start)) - shared - own == set(build.sources(exercise.step))


@booted("start", *exercises.KINDS)
def test_starting_point_fails_as_promised(exercise: Exercise, guest: Guest, case: Case) -> None:
    run = run_of(exercise, case)
    if ends := ends_on(exercise, guest.cpu):
        assert case.ended == ends.replace("oops", ""), case
        assert len(failing(exercise, case)) == 1 and run.death, case
    elif exercise.kind == "write":
        statuses = grading.statuses(run, "insmod")
        assert statuses and set(statuses) == {errno.ENOSYS}, case
        assert set(run.log) == {exercise.sentence()} and not run.trouble, case
        assert failing(exercise, case)
    elif exercise.kind == "repair":
        promised = {check.expect for check in exercise.checks
                    if check.broken and check.on in ("", guest.cpu)}
        promised |= {grading.AUTOMATIC[name] for name in exercise.broken}
        found = {verdict.expect for verdict in grading.judge(exercise, guest.cpu, run)
                 if not verdict.good}
        assert found == promised, f"{failing(exercise, case)}; {case}"
    else:
        assert len(failing(exercise, case)) == 2, case  # no answer yet


@wrong()
def test_wrong_answer_is_known(exercise: Exercise, index: int, guest: Guest, case: Case) -> None:
    """It fails as the data file says, and the grader says what was done."""
    run = run_of(exercise, case)
    answer = exercise.wrong[index]
    assert not answer.log or answer.log in run.log, case
    assert failing(exercise, case)
    assert grading.explained(exercise, run) == [answer.means]


@booted("start", "predict")
def test_prediction_is_judged(exercise: Exercise, guest: Guest, case: Case) -> None:
    """The right answer passes, whatever it is; each half of a wrong one fails."""
    right = grading.truth(run_of(exercise, case))
    known = r"error [78]|exit 3[34]|exit 4[89] at 0x[0-9a-f]+|enters"
    assert re.fullmatch(known, right.outcome), case
    told = next((line for line in case.lines if "doctor: a VM entry gives" in line), "")
    words = right.outcome.replace("exit", "reason")
    entered = right.outcome == "enters" or right.outcome.startswith("exit 4")
    assert words in told or right.rules == ("none",) and entered, (right, told)
    for rule in right.rules:
        assert not failing(exercise, case, replace(right, rules=(rule,)))
    assert len(failing(exercise, case, replace(right, rules=("X99",)))) == 1
    assert len(failing(exercise, case, grading.Answer(right.rules[:1], "error 26"))) == 1


@booted("step", *exercises.KINDS)
def test_step_passes(exercise: Exercise, guest: Guest, case: Case) -> None:
    """What is put back by the test above is the step: so the step's own module is graded."""
    answer = grading.Answer(("none",), "enters") if exercise.kind == "predict" else None
    assert not failing(exercise, case, answer), case
