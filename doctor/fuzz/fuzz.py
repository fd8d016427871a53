#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs a fuzzer for a bounded time, and writes down how far it got: that of the doctor's reader, or
one with another name."""
from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Returns 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--name", default="doctor")
    parser.add_argument("--junit", type=Path)
    parser.add_argument("--result", type=Path)
    options = parser.parse_args()
    found = options.work / "new"
    found.mkdir(parents=True, exist_ok=True)
    # New inputs go to the first folder; the other two are only read.
    own = ([HERE / "corpus", HERE.parent / "tests/samples", "-max_len=16384",
            f"-dict={HERE / 'fuzz.dict'}"] if options.name == "doctor" else
           ["-max_len=64", "-len_control=0"])
    run = subprocess.run(
        [options.program.resolve(), found.resolve(), *own, f"-max_total_time={options.seconds}",
         "-timeout=5", "-rss_limit_mb=1024", "-seed=1", "-print_final_stats=1"],
        cwd=options.work, capture_output=True, text=True, errors="replace", check=False)
    count = re.search(r"stat::number_of_executed_units: *(\d+)", run.stderr)
    coverage = re.findall(r"cov: (\d+)", run.stderr)
    facts = {"executions": int(count.group(1)) if count else 0, "seconds": options.seconds,
             "edges": int(coverage[-1]) if coverage else 0, "found": run.returncode != 0}
    print(json.dumps(facts))
    enough = facts["executions"] > 1000
    if run.returncode != 0 or not enough:
        print(run.stderr[-8000:], file=sys.stderr)
    if options.result:
        options.result.parent.mkdir(parents=True, exist_ok=True)
        options.result.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    if options.junit:
        options.junit.parent.mkdir(parents=True, exist_ok=True)
        failed = run.returncode != 0 or not enough
        failure = f"<failure message={quoteattr(run.stderr[-2000:])}/>" if failed else ""
        options.junit.write_text(
            f'<testsuite name="{options.name}-fuzz" tests="1" failures="{int(failed)}">'
            f'<testcase classname="{options.name}" name="fuzz" time="{options.seconds}">{failure}'
            "</testcase></testsuite>\n", encoding="utf-8")
    return 0 if run.returncode == 0 and enough else 1


if __name__ == "__main__":
    sys.exit(main())
