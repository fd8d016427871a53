# SPDX-License-Identifier: GPL-2.0-only
"""pytest's side of guest.py and boots.py: boots what the selected tests need."""
from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import results  # noqa: E402
import soak  # noqa: E402
from boots import Runner  # noqa: E402
from guest import Case, Guest  # noqa: E402

from lab.common import LabError  # noqa: E402

RUNNER = pytest.StashKey[Runner]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test marked in_guest runs once a guest."""
    mark = metafunc.definition.get_closest_marker("in_guest")
    if mark and "guest" in metafunc.fixturenames:
        guests = mark.kwargs["guests"]
        metafunc.parametrize("guest", guests, ids=[one.id() for one in guests], scope="session")


def _write(text: str) -> None:
    """Prints a line at once, also while pytest captures what tests print."""
    os.write(1, f"\n{text}".encode())


#: What ./lab soak runs, with larger numbers than ./lab test (soak.py).
SOAK = {"": ("test_random_guests", "test_allocations_fail", "test_nmi_storm", "goes_offline",
             "come_and_go_under_load"),
        "07": ("test_random_guests_with_ept", "at_each_point_of_step07", "under_step07",
               "less_than_a_tick_with_ept"),
        "08": ("test_random_guests_in_real_mode", "at_each_point_of_step08", "under_step08",
               "less_than_a_tick_in_real_mode"),
        "09": ("test_random_guests_with_interrupts", "at_each_point_of_step09", "under_step09"),
        "10": ("thread_is_moved", "test_everybody_may_use_the_files_at_once"),
        "11": ("test_programs_do_their_work", "test_many_launches_and_returns", "under_step11",
               "nmi_storm_on_a_processor"),
        "answers": ("test_wrong_answer_is_known",)}

#: What nothing but the soak runs: a later step does the same to the same code each day; a Linux
#: that boots on two processors takes the emulator minutes; and answers seldom change.
SOAK_ONLY = ("at_each_point_of_step07", "at_each_point_of_step08", "thread_is_moved",
             "less_than_a_tick_with_ept", "less_than_a_tick_in_real_mode", *SOAK["answers"])


def _choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the tests of the day or, for ./lab soak, those of the soak."""
    if not soak.ON:
        items[:] = [item for item in items if not any(part in item.nodeid for part in SOAK_ONLY)]
        return

    def is_of(step: str, item: pytest.Item) -> bool:
        return any(part in item.nodeid for part in SOAK[step])

    others = [step for step in SOAK if step not in ("", soak.STEP)]
    left_out = [item for item in items if not is_of(soak.STEP, item) or any(
        is_of(step, item) for step in others)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """After the selection: one boot for each guest that is left, tests in the boots' order."""
    _choose(session.config, items)
    runner = session.config.stash[RUNNER] = Runner(_write)
    cases = {item: runner.case_for(item) for item in items}
    places = {boot.guest: place for place, boot in enumerate(runner.order())}
    items.sort(key=lambda item: places[case.guest] if (case := cases[item]) else -1)


def pytest_collection_finish(session: pytest.Session) -> None:
    if not session.config.option.collectonly and RUNNER in session.config.stash:
        session.config.stash[RUNNER].start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if RUNNER in config.stash:
        config.stash[RUNNER].stop()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Where the time went: each boot, with its dearest cases."""
    if RUNNER not in config.stash:
        return
    booted = [boot for boot in config.stash[RUNNER].order() if boot.spent]
    for times in (boot.times() for boot in booted):
        dearest = [f"{name} {cost:.0f} s" for name, cost in list(times["cases"].items())[:3]]
        terminalreporter.write_line(f"{times['boot']}: {times['wall']} s, of the processor"
                                    f" {times['processor']} s: {', '.join(dearest)}")
    if booted:
        results.write_boots(booted)


@pytest.fixture(scope="session")
def guest(request: pytest.FixtureRequest) -> Guest:
    """The emulated machine that the test's script runs on."""
    return request.param


@pytest.fixture
def case(request: pytest.FixtureRequest, guest: Guest) -> Iterator[Case]:
    """What the test's script did; waits for the boot. Fails the test if the machine died."""
    found: Any = request.config.stash[RUNNER].case_for(request.node)
    error = found.done.exception()  # waits
    if isinstance(error, LabError):
        pytest.fail(str(error), pytrace=False)
    elif error:
        raise error
    yield found
