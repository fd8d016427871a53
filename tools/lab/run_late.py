# SPDX-License-Identifier: GPL-2.0-only
"""What ./lab run shows of step 11: who a program meets below it, before, meanwhile and after."""
from __future__ import annotations

from pathlib import Path
from typing import Mapping

from . import bench, image
from .common import ROOT, module_name

MODULE = "step11_late_launch"
FOLDER = f"/sys/kernel/debug/{MODULE}"
#: The book shows it, too.
PROGRAM = ROOT / "docs" / "sessions" / "ask-name.cpp"

#: late COMMAND: runs it and puts it into the kernel log with what it prints, so that the order of
#: that and of the step's own lines is exact.
BEFORE = f"""\
late() {{
  mark TYPED {MODULE} "$1"
  sh -c "$1" 2>&1 | while read -r line; do mark SAID {MODULE} "$line"; done
}}
late ask-name"""
LOADED = f"""\
  late ask-name
  cd {FOLDER}
  late 'printf abc >watched; cat watched'
  late 'cat cpus'
  cd /"""
AFTER = "  late ask-name"


def contents(steps: list[Path]) -> Mapping[str, image.Content]:
    """What the PC needs for it; nothing if step 11 is not among the steps."""
    if MODULE not in map(module_name, steps):
        return {}
    return {"lab/bin/ask-name": bench.host_program("ask-name", PROGRAM)}
