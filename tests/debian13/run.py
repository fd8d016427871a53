# SPDX-License-Identifier: GPL-2.0-only
"""The suite debian13: on an older Debian, runs tests of the other suites in a tree of the newest.

The tree is made once, in build/cache/debian13-tree/. There the lab installs what it needs, as it
does for a reader.
The checkout is bound into the tree read-only, with a build/ of the tree's own. Where mounting is
not possible, the suite counts as skipped, and says why.
"""
from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from lab import debian_tree, platforms  # noqa: E402
from lab.common import BUILD, LabError, locked  # noqa: E402

DEBIAN = platforms.known()[-1]
NAME = f"debian{DEBIAN.version}"
TREE = BUILD / "cache" / f"{NAME}-tree"  # so that ./lab clean keeps it
CHECKOUT = "/srv/VtxTutorial"  # in the tree
OWN_BUILD = TREE / "srv" / "build"


@dataclass
class Part:
    """A command to run in the tree, and the report that it leaves in its build/, if it does."""

    title: str
    command: list[str]
    report: str = ""


def tests(title: str, selection: str, *files: str) -> Part:
    """A part that runs some tests of these files."""
    report = f"results/{NAME}-{title}.xml"
    return Part(title, ["/usr/bin/python3", "-m", "pytest", "-v", f"--junitxml=build/{report}",
                        "-k", selection, *files], report)


PARTS = (
    Part("packages", ["./lab", "setup", "--yes", "build", "lab", "docs"]),
    # The older kernel of this Debian is the newer one of the other, and the steps are built for it
    # below anyway.
    tests("build", "not stable and not generic and not clang_tidy", "tests/static/test_build.py"),
    tests("steps", "1cpu and (loads_and_unloads_twice or complain_of) or test_kvm_is_loaded",
          "tests/lab/test_lab_steps.py", "tests/lab/test_refusals.py"),
    tests("linux", "newer_linux_boots_on_its_like", "tests/lab/test_linux_guests.py"),
    Part("book", ["./lab", "docs", "--yes"]),
    Part("differential", ["/usr/bin/python3", "doctor/differential/run.py",
                          "--models", "penryn,skylake,arrowlake",
                          "--work", "build/differential", "--results", "build/results"],
         "results/junit/differential.xml"),
)


def say(text: str) -> None:
    print(f"{NAME}: {text}", flush=True)


def case(title: str) -> xml.Element:
    """A test case of this program's own, as JUnit has it."""
    return xml.Element("testcase", {"classname": "tests.debian13", "name": title})


def verdict(title: str, kind: str, message: str) -> xml.Element:
    """A case that was "skipped" or is a "failure"."""
    one = case(title)
    xml.SubElement(one, kind, {"message": message})
    return one


def write(path: Path, cases: list[xml.Element]) -> None:
    """The report, from which ./lab test counts."""
    suite = xml.Element("testsuite", {"name": NAME, "tests": str(len(cases))})
    suite.extend(cases)
    path.parent.mkdir(parents=True, exist_ok=True)
    xml.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def has_failed(one: xml.Element) -> bool:
    return one.find("failure") is not None or one.find("error") is not None


def carry_out(part: Part) -> list[xml.Element]:
    """Runs one part in the tree. Returns its cases; a part without a report is one case."""
    report = OWN_BUILD / part.report
    if part.report:
        report.unlink(missing_ok=True)
    command = debian_tree.command_in(
        TREE, ["sh", "-c", f'cd {CHECKOUT} && exec "$@"', "sh", *part.command],
        binds=(("ro", ROOT, CHECKOUT), ("rw", OWN_BUILD, f"{CHECKOUT}/build")),
        variables=("PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"))
    status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    cases = list(xml.parse(report).getroot().iter("testcase")) if report.is_file() else []
    if status != 0 and not any(map(has_failed, cases)):
        why = f"exit status {status}: {shlex.join(part.command)}"
        return [*cases, verdict(part.title, "failure", why)]
    if part.report and not cases:
        return [verdict(part.title, "failure", "it left no report, or one without a test")]
    return cases or [case(part.title)]


def run_all(parts: list[Part]) -> list[xml.Element]:
    """Makes the tree if need be, and runs each part, with the time that it took."""
    pytest_package = [name for name in DEBIAN.packages["test"] if "pytest" in name]
    cases: list[xml.Element] = []
    with locked(TREE.with_suffix(".lock")):
        if not TREE.exists():
            say(f"making {TREE.relative_to(ROOT)}/ by debootstrap, which takes some minutes once")
        debian_tree.make(DEBIAN, TREE, ["python3", "ca-certificates", *pytest_package],
                         TREE.with_suffix(".log"))
        OWN_BUILD.mkdir(exist_ok=True)
        for part in parts:
            started = time.monotonic()
            say(f"{part.title}: {shlex.join(part.command)}")
            own = carry_out(part)
            cases += own
            failed = sum(map(has_failed, own))
            say(f"{part.title}: {len(own)} cases, {failed} failed,"
                f" {time.monotonic() - started:.0f} s")
            if failed and part is PARTS[0]:
                break  # without packages nothing else can go
    return cases


def main() -> int:
    """Runs the suite; the exit status is that of its tests."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--junit", type=Path, default=BUILD / "results" / "junit" / f"{NAME}.xml")
    parser.add_argument("--only", action="append", default=[], choices=[p.title for p in PARTS])
    args = parser.parse_args()
    expression = os.environ.get("VTX_TEST_K", "")
    if expression and NAME not in expression:
        say(f"not selected; ./lab test -k {NAME} runs it")
        write(args.junit, [])
        return 0
    if why := debian_tree.obstacle():
        say(f"SKIPPED: {why}.")
        write(args.junit, [verdict("all of it", "skipped", why)])
        return 0
    try:
        cases = run_all([part for part in PARTS if not args.only or part.title in args.only])
    except LabError as error:
        say(str(error))
        cases = [verdict("tree", "failure", str(error))]
    write(args.junit, cases)
    return 1 if any(map(has_failed, cases)) else 0


if __name__ == "__main__":
    sys.exit(main())
