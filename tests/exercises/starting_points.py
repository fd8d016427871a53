# SPDX-License-Identifier: GPL-2.0-only
"""The starting points of all exercises, made and built as a reader would have them."""
from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Callable

import soak

from lab import bochs, exercises, trial
from lab.exercises import Exercise

#: What came of each build, by the exercise's number.
made: dict[str, trial.Made] = {}


def place() -> Path:
    """Where all of them are."""
    return bochs.session_folder() / "exercises"


def folder(exercise: Exercise) -> Path:
    """Where the starting point's sources are."""
    return place() / exercise.number


def module(exercise: Exercise) -> Path:
    """Its module."""
    return place() / f"{exercise.number}-module" / f"{exercise.module}.ko"


def wrong_folder(exercise: Exercise, index: int) -> Path:
    """Where the sources of a wrong answer are."""
    return place() / f"{exercise.number}-wrong-{index}"


def wrong_module(exercise: Exercise, index: int) -> Path:
    """Its module."""
    return place() / f"{exercise.number}-wrong-{index}-module" / f"{exercise.module}.ko"


def build(wanted: list[Exercise], write: Callable[[str], None]) -> None:
    """Makes and builds them, two steps at a time. One that fails leaves an empty module."""
    started = time.monotonic()
    place().mkdir(exist_ok=True)
    steps = [list(group) for _, group in groupby(wanted, lambda exercise: exercise.step)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_build_step, steps))
    if wanted:
        write(f"{len(wanted)} starting points built: {time.monotonic() - started:.0f} s")


def _build_step(group: list[Exercise]) -> None:
    for exercise in group:
        exercises.make_work(exercise, folder(exercise))
        made[exercise.number] = trial.compile_work(exercise, folder(exercise), module(exercise))
        if not made[exercise.number].good:
            module(exercise).parent.mkdir(parents=True, exist_ok=True)
            module(exercise).touch()
        for index, wrong in enumerate(exercise.wrong if soak.ON else []):
            target, built = wrong_folder(exercise, index), wrong_module(exercise, index)
            exercises.make_work(exercise, target)
            (target / exercise.file).write_text(exercises.wrong_file(exercise, wrong),
                                                encoding="utf-8")
            if not trial.compile_work(exercise, target, built).good:
                built.parent.mkdir(parents=True, exist_ok=True)
                built.touch()
