# SPDX-License-Identifier: GPL-2.0-only
"""What a Linux guest costs: under step 10, beside KVM, and beside no hypervisor at all.

Bochs counts instructions, so what is measured repeats within two percent. The accepted figures,
with those of KVM, are in bench/figures_linux.json; `./lab bench --linux --accept` takes new ones.
"""
from __future__ import annotations

from typing import Any

import pytest
from guest import OLDER, Case, Guest, in_guest

from lab import bench_linux
from lab.bench_linux import accepted
from lab.bench_report import FOR_THE_BOOK

#: Uptime at the first process, of that without a hypervisor.
UPTIME = 1.05
#: Ticks and exits may grow by so much before somebody has to look at it.
GROWN = 1.05


def files() -> dict[str, Any]:
    return bench_linux.files(OLDER)


@in_guest(Guest(OLDER), f"""
    load step10_linux || fail "insmod: $?"
    {bench_linux.script(bench_linux.STEP10)}
    unload step10_linux""", files=files, name="linux costs", seconds=240)
def test_linux_costs_what_was_accepted(case: Case) -> None:
    """Both boots, the one that says all and the quiet one. The uptime is that of a guest which has
    all of its time, and the machine's own was measured with the same kernel."""
    assert case.rc == 0 and not case.trouble, (case.output[-1500:], case)
    found, then = bench_linux.read(case.output.splitlines()), accepted()[case.guest.number]
    for name in bench_linux.STEP10:
        now, before = found[name]["up"], then["runs"][name]["up"]
        grown = {what: now[what] for what in ("ticks", "exits")
                 if now[what] > GROWN * before[what]}
        assert not grown, (name, grown, before)
    uptime = found["step10-quiet"]["up"]["uptime"]
    assert uptime <= UPTIME * then["bare_uptime"], (uptime, then["bare_uptime"])


@pytest.mark.parametrize("number", accepted())
def test_linux_costs_less_than_under_kvm(number: str) -> None:
    """The guest's own work is in both, and is most of the ticks; so are the accesses to the UART.
    What each hypervisor adds to them differs more: with a quiet kernel step 10 has less than half
    of KVM's exits, and a program that prints costs a fifth of KVM's ticks."""
    found = accepted()[number]
    runs = found["runs"]
    assert runs["step10-quiet"]["up"]["uptime"] <= UPTIME * found["bare_uptime"]
    for ours, kvm in (("step10", "kvm"), ("step10-quiet", "kvm-quiet")):
        assert runs[ours]["up"]["ticks"] <= 0.85 * runs[kvm]["up"]["ticks"], ours
        assert runs[ours]["up"]["exits"] <= 0.7 * runs[kvm]["up"]["exits"], ours
    assert runs["step10-quiet"]["up"]["exits"] <= runs["kvm-quiet"]["up"]["exits"] / 2
    printed = {name: run["text-end"]["ticks"] - run["text"]["ticks"]
               for name, run in runs.items() if "text" in run}
    assert printed["step10-quiet"] <= printed["kvm-quiet"] / 5, printed


@pytest.mark.parametrize("number", accepted())
def test_book_shows_the_accepted_figures(number: str) -> None:
    shown = (FOR_THE_BOOK / f"linux-{number}.txt").read_text(encoding="utf-8")
    assert shown == bench_linux.text(accepted()[number]) + "\n"
