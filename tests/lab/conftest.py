# SPDX-License-Identifier: GPL-2.0-only
"""pytest's side of guest.py and boots.py: boots what the selected tests need."""
from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from boots import Runner  # noqa: E402
from guest import Case, Guest  # noqa: E402

from lab.common import LabError  # noqa: E402

RUNNER = pytest.StashKey[Runner]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test marked in_guest runs once a guest."""
    mark = metafunc.definition.get_closest_marker("in_guest")
    if mark and "guest" in metafunc.fixturenames:
        metafunc.parametrize("guest", mark.kwargs["guests"], ids=Guest.id, scope="session")


def _write(text: str) -> None:
    """Prints a line at once, also while pytest captures what tests print."""
    os.write(1, f"\n{text}".encode())


#: What takes too long for every day: ./lab soak runs it, ./lab test does not.
SOAK = ("test_host_witness.py", "test_many_cycles", "test_random_guests", "test_endless_guest",
        "test_nmi_storm", "test_tracing", "test_panic", "under_load", "test_every_exit_reason")
#: Two emulated CPUs cost five times as much as one. Daily they run what needs two, on one kernel;
#: on the other kernel, the steps themselves.
SOAK_MACHINE, DAILY_THERE = "6.12-haswell-2cpus", "test_lab_steps.py"


def _soaks(name: str) -> bool:
    """True for a test, by its full name, that ./lab test leaves out."""
    return any(part in name for part in SOAK) or (SOAK_MACHINE in name and DAILY_THERE not in name)


def _choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves either the tests of every day or, for ./lab soak, those of the soak."""
    for item in items:
        if _soaks(item.nodeid):
            item.add_marker("soak")
    wanted = bool(os.environ.get("VTX_SOAK"))
    left_out = [item for item in items if (item.get_closest_marker("soak") is None) == wanted]
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
