# SPDX-License-Identifier: GPL-2.0-only
"""Exercises in the book, from exercises/*.toml and the marked regions of the steps.

`.. exercises:: 03` all of a step: task and reading, and folded the hints, the solution and what
people get wrong. `.. exercise-list:: 03` only their names, as links, or of some of them:
`.. exercise-list:: 05-6 05-1`. `.. wrong-answer:: 05-1` a wrong answer of an exercise with what
comes of it: the first one, or that with `:number: 1`.
"""
from __future__ import annotations

import difflib
import re
import sys
import textwrap
from typing import Any, Iterable

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

from . import filled, paths

sys.path.insert(0, str(paths.ROOT / "tools"))
from lab import exercises as data  # noqa: E402

sys.path.pop(0)


def of_step(number: str) -> list[data.Exercise]:
    """The exercises of a step, in order."""
    return [data.load(name) for name in data.numbers() if name.startswith(number)]


def as_rst(text: str) -> str:
    """A data file's text: paragraphs, with `code` in single backquotes."""
    return re.sub(r"`([^`]+)`", r"``\1``", text.strip())


def solution(exercise: data.Exercise) -> str:
    """What turns the starting point into the step, as a diff without the marks."""
    before = data.MARK.sub("", data.starting_file(exercise, comment=False)).splitlines()
    after = data.MARK.sub("", (exercise.step / exercise.file).read_text(encoding="utf-8"))
    name = f"{exercise.step.name}/{exercise.file}"
    return "\n".join(difflib.unified_diff(before, after.splitlines(), f"a/{name}", f"b/{name}",
                                          lineterm=""))


def folded(title: str, body: Iterable[str]) -> list[str]:
    """A folded block."""
    return [f".. details:: {title}", "", *("   " + line for line in body), ""]


def told_wrong(wrong: data.Wrong) -> str:
    """A wrong answer in a list: the line that it leads to, or what it has, and what it means."""
    means = as_rst(" ".join(wrong.means.split()))
    without, written = (" ".join(part.split()) for part in wrong.change or ("", ""))
    first = f"``{wrong.log or written}``" if wrong.log or written else \
        f"without ``{without}``" if without else ""
    return f"* {first}: {means}." if first else f"* {means}."


def page(exercise: data.Exercise) -> list[str]:
    """One exercise, as lines of a page's source."""
    title = f"{exercise.number}: {exercise.title}"
    kind = data.KINDS[exercise.kind].capitalize()
    lines = [f".. _exercise-{exercise.number}:", "", title, "-" * len(title), "",
             f"*{kind}:* ``{exercise.step.name}/{exercise.file}``", "",
             ".. code-block:: console", "", f"   $ ./lab exercise {exercise.number}",
             f"   $ ./lab grade {exercise.number}", "", *as_rst(exercise.task).splitlines(), ""]
    if exercise.reading:
        lines += ["Read " + ", ".join(f":sdm:`{key}`" for key in exercise.reading) + ".", ""]
    if exercise.source:
        lines += [f"A mistake of this kind was reported: `the thread <{exercise.source}>`__.",
                  ""]
    lines += ["The grader looks for this:", ""]
    lines += [f"* {as_rst(check.expect)}" + (f" (on ``{check.on}``)" if check.on else "")
              for check in exercise.checks] or [
        "* the rule that you name is one that the doctor finds broken",
        "* the outcome that you predict is what the processor does"]
    lines.append("")
    if exercise.kind == "write":
        lines += [f"As you get it, the module does not load: ``{exercise.module}: "
                  f"{exercise.sentence()}``. The line that says so is in your file.", ""]
    for wrong in exercise.wrong:
        if wrong.is_start:
            lines += ["Take that line away and write nothing, and the log says:", "",
                      ".. code-block:: text", "", f"   {exercise.module}: {wrong.log}", "",
                      f"The log says this because {as_rst(' '.join(wrong.means.split()))}.", ""]
    for count, hint in enumerate(exercise.hints, 1):
        lines += folded(f"Hint {count}", as_rst(" ".join(hint.split())).splitlines())
    code = ["", *("   " + line for line in solution(exercise).splitlines())]
    if exercise.kind == "predict":
        lines += folded("The change, undone", [".. code-block:: diff", *code])
    else:
        lines += folded("Solution", [".. code-block:: diff", *code])
    told = [told_wrong(wrong) for wrong in exercise.wrong if not wrong.is_start]
    lines += folded("What people get wrong", [*as_rst(exercise.mistakes).splitlines(), "", *told])
    return lines


class Exercises(SphinxDirective):
    """All exercises of a step."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        lines = [line for exercise in of_step(self.arguments[0]) for line in page(exercise)]
        return self.parsed(lines)

    def parsed(self, lines: list[str]) -> list[nodes.Node]:
        """The nodes that a page with these lines would have."""
        node = nodes.section()
        node.document = self.state.document
        nested_parse_with_titles(self.state, StringList(lines, source="exercises"), node)
        return node.children


class ExerciseList(Exercises):
    """Their names, as links."""

    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        found = [exercise for number in self.arguments[0].split() for exercise in of_step(number)]
        lines = [f"* :ref:`exercise-{exercise.number}` ({data.KINDS[exercise.kind]})"
                 for exercise in found]
        if not found:
            return []
        example = found[0].number
        return self.parsed([*lines, "", ".. code-block:: console", "",
                            f"   $ ./lab exercise {example}", f"   $ ./lab grade {example}"])


class WrongAnswer(Exercises):
    """A wrong answer in place of the region, and what the log says then. A test tries each."""

    option_spec = {"number": directives.nonnegative_int}

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        exercise = data.load(self.arguments[0])
        wrong = exercise.wrong[self.options.get("number", 0)]
        text = wrong.change[1] if wrong.change else wrong.code or exercise.start
        code = textwrap.dedent(text).strip("\n").splitlines()
        means = as_rst(" ".join(wrong.means.split()))
        lines = [
            ".. code-block:: cpp", f"   :caption: wrong: {exercise.step.name}/{exercise.file}", "",
            *("   " + line for line in code), ""]
        if wrong.log:
            lines += [".. code-block:: text", "   :caption: the log", "   :class: output", "",
                      f"   {exercise.module}: {wrong.log}", "",
                      f"The log says this because {means}."]
        else:
            lines += [f"This is wrong because {means}."]
        return self.parsed(lines)


def setup(app: Sphinx) -> None:
    """Registers the directives."""
    filled.add_directive(app, "exercises", Exercises)
    filled.add_directive(app, "exercise-list", ExerciseList)
    filled.add_directive(app, "wrong-answer", WrongAnswer)
