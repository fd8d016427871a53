# SPDX-License-Identifier: GPL-2.0-only
"""What it costs Linux to be the guest of step 11: next to nothing, as nearly nothing exits.

Bochs counts instructions, so what is measured repeats. The accepted figures are in
bench/figures_late.json; `./lab bench --late --accept` takes new ones.
"""
from __future__ import annotations

import pytest
from guest import OLDER, Case, Guest, in_guest

from lab import bench_late
from lab.bench_late import MODULE, MOST, accepted, ratio
from lab.bench_report import FOR_THE_BOOK

#: To join and to part may take so much more before somebody has to look at it.
GROWN = 1.2


@in_guest(Guest(OLDER), bench_late.script(f"load {MODULE}", rounds=2), files=bench_late.files,
          name="late costs")
def test_late_launch_costs_what_was_accepted(case: Case) -> None:
    """The work takes as long as without, and only CPUID exits: programs ask it as they start."""
    assert case.rc == 0 and not case.trouble, (case.output[-1500:], case)
    found, then = bench_late.read(case.output.splitlines()), accepted()[case.guest.number]
    slow = {name: row for name, row in found["work"].items() if ratio(row) > MOST}
    assert not slow, found
    assert set(found["exits"]) == {"CPUID"}, found
    for what in ("join", "part"):
        assert found[what] <= GROWN * then[what], (what, found, then)


@pytest.mark.parametrize("number", accepted())
def test_accepted_figures_are_within_what_was_promised(number: str) -> None:
    work = accepted()[number]["work"]
    assert set(work) == set(bench_late.WORK)
    assert all(ratio(row) <= MOST for row in work.values())


@pytest.mark.parametrize("number", accepted())
def test_book_shows_the_accepted_figures(number: str) -> None:
    shown = (FOR_THE_BOOK / f"late-{number}.txt").read_text(encoding="utf-8")
    assert shown == bench_late.text(accepted()[number]) + "\n"
