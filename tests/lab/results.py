# SPDX-License-Identifier: GPL-2.0-only
"""The figures that the book's page "How this is tested" shows: build/results/lab/NAME.json."""
from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Iterable, Mapping

from lab.common import BUILD, locked

if TYPE_CHECKING:
    from boots import BootOfCases

FOLDER = BUILD / "results" / "lab"


def write_row(name: str, row: Mapping[str, Any], key: tuple[str, ...]) -> None:
    """Adds a row to a table, in place of the one with the same values in the columns `key`."""
    path = FOLDER / f"{name}.json"
    with locked(FOLDER / f"{name}.lock"):
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
        rows = [old for old in rows if any(old[word] != row[word] for word in key)] + [dict(row)]
        path.write_text(json.dumps({"rows": rows}, indent=1, ensure_ascii=False) + "\n",
                        encoding="utf-8")


def write_boots(boots: Iterable[BootOfCases]) -> None:
    """The tables that come from what all boots did and logged, and where the time went."""
    machines: Counter[tuple[str, str, int]] = Counter()
    cases: Counter[tuple[str, str, int]] = Counter()
    errors: Counter[int] = Counter()
    for boot in boots:
        machine = (boot.guest.number, boot.guest.cpu, boot.guest.cpus)
        machines[machine] += 1
        cases[machine] += boot.finished
        for case in boot.cases.values():
            errors.update(int(number) for number in re.findall(
                r"VM(?:failValid, |-instruction )error (\d+): VM", case.log))
    for (kernel, cpu, cpus), count in machines.items():
        write_row("machines", {"kernel": kernel, "cpu": cpu, "cpus": cpus, "boots": count,
                               "cases": cases[kernel, cpu, cpus]}, ("kernel", "cpu", "cpus"))
    for error, count in errors.items():
        write_row("instruction_errors", {"error": error, "seen": count}, ("error",))
    (FOLDER / "times.json").write_text(
        json.dumps([boot.times() for boot in boots], indent=1) + "\n", encoding="utf-8")
