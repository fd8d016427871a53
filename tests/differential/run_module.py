#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the smaller differential test, a kernel module, on Linux in the emulated machine."""
from __future__ import annotations

import argparse
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
from run import MODELS  # noqa: E402

#: What the module needs beside itself, relative to the tree.
FOLDERS = ("common", "step04-launch", "tests/differential")
LEAST_CASES = 2000

SCRIPT = """\
stty -F /dev/ttyS1 115200 raw -echo
/lab/bin/insmod /lab/modules/vtx_differential.ko model={bit} stride={stride}
status=$?
dmesg | grep vtx_differential: >/dev/ttyS1
echo "STATUS $status" >/dev/ttyS1
"""


def compile_module(kernel: str) -> Path:
    """Builds the module in a mirror under build/, so that the sources stay clean."""
    place = BUILD / "kbuild" / "differential" / kernel
    with locked(BUILD / "kbuild" / f"differential-{kernel}.lock"):
        for folder in FOLDERS:
            for name in build.sources(ROOT / folder):
                source, target = ROOT / folder / name, place / folder / name
                if not target.exists() or target.read_bytes() != source.read_bytes():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)
        module = place / "tests/differential/module"
        subprocess.run(["make", "-C", str(kernels.headers(kernel)), f"M={module}",
                        "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"], check=True,
                       stdout=subprocess.DEVNULL)
        stripped = module / "stripped.ko.out"
        subprocess.run(["strip", "--strip-debug", "-o", stripped, module / "vtx_differential.ko"],
                       check=True)
    return stripped


def main() -> int:
    """Returns 0 if there was no unexplained disagreement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", default="6.1", choices=kernels.BOOTABLE)
    parser.add_argument("--cpu", default="haswell", choices=MODELS)
    parser.add_argument("--stride", type=int, default=30)
    parser.add_argument("--results", type=Path, default=ROOT / "build/results")
    options = parser.parse_args()
    module = compile_module(options.kernel)
    boot = bochs.Boot(bochs.boot_folder("differential"),
                      bochs.Machine(kernel=options.kernel, cpu=options.cpu), {
                          "lab/modules/vtx_differential.ko": module,
                          "lab/scenario": SCRIPT.format(bit=MODELS[options.cpu],
                                                        stride=options.stride)})
    lines: list[str] = []
    outcome = boot.run(600, on_result=lines.append)
    text = "\n".join(lines)
    print(text)
    found = re.search(r"(\d+) VMCSs: (\d+) agree, (\d+) deviate as listed, (\d+) undecided, "
                      r"(\d+) skipped, (\d+) unexplained", text)
    problem = ""
    if not outcome.good or outcome.trouble:
        problem = boot.explain(outcome)
    elif not found or "STATUS 0" not in text:
        problem = "the module did not report, or failed"
    elif int(found[6]) != 0 or int(found[1]) < LEAST_CASES:
        problem = found[0]
    names = ("cases", "agree", "deviate", "undecided", "skipped", "unexplained")
    facts = {"kernel": options.kernel, "cpu": options.cpu, "seconds": round(outcome.seconds, 1),
             **(dict(zip(names, map(int, found.groups()))) if found else {})}
    (options.results / "junit").mkdir(parents=True, exist_ok=True)
    (options.results / "doctor-module.json").write_text(json.dumps(facts, indent=1) + "\n",
                                                        encoding="utf-8")
    message = quoteattr((problem + "\n" + text)[-3000:])
    failure = f"<failure message={message}/>" if problem else ""
    (options.results / "junit/differential-module.xml").write_text(
        f'<testsuite name="differential-module" tests="1" failures="{int(bool(problem))}">'
        f'<testcase classname="differential" name="module" time="{outcome.seconds:.1f}">{failure}'
        "</testcase></testsuite>\n", encoding="utf-8")
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
