# SPDX-License-Identifier: GPL-2.0-only
"""Builds of the steps from nothing, each made once for all tests that look at it; made-up steps."""
from __future__ import annotations

import concurrent.futures
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import build, kernels
from lab.common import BUILD, ROOT, SHARED, step_folders

STEPS = step_folders()
#: GCC's reports on each function, from which test_quality.py reads. They change no code.
REPORTS = "KCFLAGS=-fstack-usage -fcallgraph-info=su,da -Wvla"


@dataclass
class Tree:
    """A fresh build of some steps for one kernel, with W=1."""

    kernel: str
    folder: Path
    kdir: Path
    outputs: dict[str, str]  # a step's name: what make said
    steps: list[Path]

    def make(self, step: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Again, as it was built."""
        return make(self.folder / step.name, self.kdir, *words_for(self.kernel), *words)


def make(folder: Path, kdir: Path | str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs make in a folder; both outputs are in stdout."""
    return subprocess.run(["make", "-C", str(folder), f"KDIR={kdir}", *words], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env={**os.environ, "LC_ALL": "C"})


def words_for(kernel: str) -> list[str]:
    """What make is told. Sparse (C=1) reads the C files once, for the default kernel."""
    checked = kernel == kernels.DEFAULT and shutil.which("sparse")
    return ["W=1", REPORTS, *(["C=1", "CF=-D__CHECK_ENDIAN__"] if checked else [])]


def copy_sources(target: Path, folders: list[Path]) -> None:
    """Copies some steps and what they share, sources only."""
    for folder in [*SHARED, *folders]:
        place = target / folder.relative_to(ROOT)
        for name in build.sources(folder):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, place / name)


def write_step(root: Path, step: str, files: dict[str, str], states: dict[str, str]) -> None:
    """A made-up step: some files, and a README with the second column of its table."""
    (root / step).mkdir(exist_ok=True)
    for name, text in files.items():
        (root / step / name).parent.mkdir(exist_ok=True)
        (root / step / name).write_text(text, encoding="utf-8")
    head = "# Step\n\n## In this folder\n\n| File | New? | What it is |\n|---|---|---|\n"
    rows = "".join(f"| `{name}` | {state} | what |\n" for name, state in states.items())
    (root / step / "README.md").write_text(head + rows + "\n## Run it\n", encoding="utf-8")


def shared_objects(step: Path) -> set[str]:
    """The files of common/ that a step compiles, as its Kbuild names them."""
    return set(re.findall(r"\bcommon-\w+\.o\b", (step / "Kbuild").read_text(encoding="utf-8")))


def steps_for(kernel: str) -> list[Path]:
    """All steps; but for the default kernel, the fewest last ones that compile each file of
    common/.

    Other headers and other exported symbols are seen by C only, and nearly all C is there. The lab
    builds all steps for each kernel that it boots, without W=1.
    """
    if kernel == kernels.DEFAULT:
        return STEPS
    chosen: list[Path] = []
    seen: set[str] = set()
    for step in reversed(STEPS):
        if not shared_objects(step) <= seen:
            chosen.insert(0, step)
            seen |= shared_objects(step)
    return chosen


def place(kernel: str) -> Path:
    """Where this run of the tests builds for a kernel."""
    return BUILD / "scratch" / f"{os.getpid()}-{kernel}"


def from_nothing(kernel: str) -> Tree:
    """Builds the steps for a kernel, two at the same time, as a reader would by make W=1."""
    folder, wanted = place(kernel), steps_for(kernel)
    shutil.rmtree(folder, ignore_errors=True)
    copy_sources(folder, wanted)
    tree = Tree(kernel, folder, kernels.headers(kernel), {}, wanted)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:  # the longest ones first
        results = dict(zip(reversed(wanted), pool.map(tree.make, reversed(wanted))))
    tree.outputs = {step.name: results[step].stdout for step in wanted}
    failed = [step.name for step in wanted if results[step].returncode]
    assert not failed, tree.outputs[failed[0]][-3000:]
    return tree
