# SPDX-License-Identifier: GPL-2.0-only
"""Runs vmcs-doctor for the tests."""
from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SAMPLES = HERE / "samples"
PROGRAM = os.environ.get("VMCS_DOCTOR", str(ROOT / "build/default/doctor/vmcs-doctor"))


def doctor(*words: str | Path, text: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the program; output as text."""
    run = subprocess.run([PROGRAM, *map(str, words)], input=text, capture_output=True, timeout=60,
                         check=False)
    return subprocess.CompletedProcess(run.args, run.returncode, run.stdout.decode(),
                                       run.stderr.decode())


def examined(*words: str | Path, status: int, text: bytes | None = None) -> list[dict]:
    """The JSON report, after its exit status was checked."""
    run = doctor("--json", *words, text=text)
    assert run.returncode == status, run.stdout + run.stderr
    return json.loads(run.stdout)


def rules(report: dict, which: str = "broken") -> list[str]:
    """The ids of the rules that are broken, or possibly broken, or of what is suspicious."""
    return [finding["rule"] for finding in report["findings"] if finding["class"] == which]


def notes(report: dict) -> list[tuple[int, str]]:
    """What was not used of the input."""
    return [(note["line"], note["text"]) for note in report["notes"]]
