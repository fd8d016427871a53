#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the smaller differential test, a kernel module, on each Linux in the emulated machine."""
from __future__ import annotations

import argparse
import concurrent.futures
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from lab import bochs, build, kernels  # noqa: E402
from lab.common import BUILD, locked  # noqa: E402
from run import BOCHS, MODELS, VERSIONS  # noqa: E402

#: What the module needs beside itself, relative to the tree.
FOLDERS = ("common", "step04-launch", "doctor/rules", "doctor/differential")
LEAST_CASES = 2000
COUNTS = re.compile(r"(\d+) VMCSs: (\d+) agree, (\d+) deviate as listed, (\d+) undecided, "
                    r"(\d+) skipped, (\d+) unexplained")

SCRIPT = """\
stty -F /dev/ttyS1 115200 raw -echo
/lab/bin/insmod /lab/modules/vtx_differential.ko version={version} model={model} \
    stride={stride}
status=$?
dmesg | grep vtx_differential: >/dev/ttyS1
echo "STATUS $status" >/dev/ttyS1
"""


def compile_module(kernel: str) -> Path:
    """Builds the module in a mirror under build/, so that the sources stay clean."""
    # Named by the release: a Debian 12 and a Debian 13 may share build/, and both have "stable".
    place = BUILD / "kbuild" / "differential" / kernels.release(kernel)
    with locked(BUILD / "kbuild" / f"differential-{kernel}.lock"):
        for folder in FOLDERS:
            for name in build.sources(ROOT / folder):
                source, target = ROOT / folder / name, place / folder / name
                if not target.exists() or target.read_bytes() != source.read_bytes():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)
        module = place / "doctor/differential/module"
        subprocess.run(["make", "-C", str(kernels.headers(kernel)), f"M={module}",
                        "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"], check=True,
                       stdout=subprocess.DEVNULL)
        stripped = module / "stripped.ko.out"
        subprocess.run(["strip", "--strip-debug", "-o", stripped, module / "vtx_differential.ko"],
                       check=True)
    return stripped


def run(kernel: str, cpu: str, stride: int) -> tuple[dict, str, str]:
    """One boot. Returns the facts, what is wrong or nothing, and the module's log."""
    module = compile_module(kernel)
    boot = bochs.Boot(bochs.boot_folder(f"differential-{kernel}"),
                      bochs.Machine(kernel=kernel, cpu=cpu), {
                          "lab/modules/vtx_differential.ko": module,
                          "lab/scenario": SCRIPT.format(
                              version=VERSIONS[BOCHS.deviations], model=MODELS[cpu],
                              stride=stride)})
    lines: list[str] = []
    outcome = boot.run(on_result=lines.append)
    text = "\n".join(lines)
    found = COUNTS.search(text)
    problem = ""
    if not outcome.good or outcome.trouble:
        problem = boot.explain(outcome)
    elif not found or "STATUS 0" not in text:
        problem = "the module did not report, or failed"
    elif int(found[6]) != 0 or int(found[1]) < LEAST_CASES:
        problem = found[0]
    names = ("cases", "agree", "deviate", "undecided", "skipped", "unexplained")
    return {"role": kernel, "kernel": kernels.number(kernel), "bochs": BOCHS.version, "cpu": cpu,
            "seconds": round(outcome.seconds, 1),
            **(dict(zip(names, map(int, found.groups()))) if found else {})}, problem, text


def main() -> int:
    """Returns 0 if there was no unexplained disagreement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", default=",".join(kernels.BOOTABLE))
    parser.add_argument("--cpu", default="haswell", choices=MODELS)
    parser.add_argument("--stride", type=int, default=30)
    parser.add_argument("--results", type=Path, default=ROOT / "build/results")
    options = parser.parse_args()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda kernel: run(kernel, options.cpu, options.stride),
                             map(kernels.check_name, options.kernels.split(","))))
    (options.results / "junit").mkdir(parents=True, exist_ok=True)
    (options.results / "doctor-module.json").write_text(
        json.dumps([facts for facts, _, _ in runs], indent=1) + "\n", encoding="utf-8")
    cases = []
    for facts, problem, text in runs:
        print(text)
        message = quoteattr((problem + "\n" + text)[-3000:])
        failure = f"<failure message={message}/>" if problem else ""
        cases.append(f'<testcase classname="differential" name="module-{facts["role"]}" '
                     f'time="{facts["seconds"]}">{failure}</testcase>')
        if problem:
            print(f"{facts['role']}: {problem}", file=sys.stderr)
    wrong = sum(1 for _, problem, _ in runs if problem)
    (options.results / "junit/differential-module.xml").write_text(
        f'<testsuite name="differential-module" tests="{len(runs)}" failures="{wrong}">'
        + "".join(cases) + "</testsuite>\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
