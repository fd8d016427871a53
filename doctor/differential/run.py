#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# long-file: build, run and judge share what they know of a case.
"""Runs the differential test of the entry checks on the CPU models of Bochs, and judges it.

For each VMCS the image prints the doctor's verdict and what the emulated processor did; Bochs's own
log says which check failed. This program compares the two, counts, and writes the summary.
"""
from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(HERE))

from lab import bochs, platforms  # noqa: E402
from messages import NOISE, matching_rules  # noqa: E402

BOCHS = platforms.debian().bochs
#: The lists of deviations, by the bit that deviations.hpp has for each.
VERSIONS = {"2.7": 1, "3.0": 2}
#: The models, likewise.
MODELS = {"penryn": 1, "sandy": 2, "haswell": 4, "skylake": 8, "tigerlake": 16}
if BOCHS.deviations != "2.7":
    MODELS["arrowlake"] = 32
#: The random pairs come from this seed, so that every run has the same cases.
SEED = 20160600
#: Of the mutations that are not essential, each model takes one in so many.
STRIDE = 10
#: What must be reached, or the test proves less than it says.
LEAST_CASES = 20_000
LEAST_RULES = 100

CASE = re.compile(r"C ([0-9a-f]+) ([0-9a-f]+) (\S) (\S+) (\S*) (\S+) (\S+) ([0-9a-f]+)"
                  r"(?: \| (.*))?$")
MARK = re.compile(r"RDMSR: Unknown register 0?x?7([0-9a-f]{7})\b")


def build(image: Path) -> None:
    """Compiles and links the image: freestanding, no vector registers, at the BIOS's address."""
    image.parent.mkdir(parents=True, exist_ok=True)
    work = image.parent
    compiler = os.environ.get("CXX", "g++")
    flags = ["-std=gnu++20", "-O2", "-ffreestanding", "-fno-exceptions", "-fno-rtti",
             "-fno-threadsafe-statics", "-mgeneral-regs-only", "-mno-red-zone", "-fno-pie",
             "-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables",
             "-Wall", "-Wextra", "-Wold-style-cast", "-Werror", f"-I{ROOT}", f"-I{ROOT / 'common'}"]
    objects = []
    for source in ("start.S", "differential.cpp"):
        target = work / (source + ".o")
        subprocess.run([compiler, *flags, "-c", HERE / source, "-o", target], check=True)
        objects.append(target)
    elf = work / "image.elf"
    subprocess.run(["ld", "-nostdlib", "--no-warn-rwx-segments", "-z", "max-page-size=4096", "-T",
                    HERE / "image.ld", *objects, "-o", elf], check=True)
    subprocess.run(["objcopy", "-O", "binary", elf, image], check=True)


def make_iso(folder: Path, image: bytes, model: str, seed: int, pairs: int, stride: int) -> None:
    """A CD whose boot image is this program, with the settings written into it."""
    at = image.index(b"VTXDIFF1") + 8
    settings = (VERSIONS[BOCHS.deviations], MODELS[model], seed, pairs, stride)
    numbers = b"".join(n.to_bytes(4, "little") for n in settings)
    tree = folder / "cd"
    tree.mkdir(exist_ok=True)
    (tree / "image.bin").write_bytes(image[:at] + numbers + image[at + len(numbers):])
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-o", folder / "image.iso",
                    "-b", "image.bin", "-no-emul-boot", "-boot-load-size", "4",
                    "-boot-info-table", tree],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@dataclass
class Report:
    """What one model gave."""

    model: str
    seconds: float = 0.0
    cases: int = 0
    panics: Counter[tuple[str, str]] = field(default_factory=Counter)  # rule, what -> cases
    kinds: Counter[str] = field(default_factory=Counter)     # agreement -> cases
    outcomes: Counter[str] = field(default_factory=Counter)  # what the processor did
    found: set[str] = field(default_factory=set)             # rules that the doctor saw broken
    broken: set[str] = field(default_factory=set)            # ... and the processor applied
    proved: set[str] = field(default_factory=set)            # ... alone, or named in Bochs's log
    kept: set[str] = field(default_factory=set)              # ... and got past with another value
    deviations: Counter[int] = field(default_factory=Counter)
    errors: Counter[int] = field(default_factory=Counter)    # of instructions that had to fail
    logged: int = 0                                          # cases whose log line was compared
    problems: list[str] = field(default_factory=list)
    processor: list[str] = field(default_factory=list)
    rules: list[list[str]] = field(default_factory=list)
    table: list[list[str]] = field(default_factory=list)     # the deviations, as the image has them

    def all_errors(self) -> Counter[int]:
        """VM-instruction errors: those of failed entries, too."""
        return self.errors + Counter({int(outcome.removeprefix("error "), 16): count
                                      for outcome, count in self.outcomes.items()
                                      if outcome.startswith("error ")})


def boot(folder: Path, model: str, limit: float) -> float:
    """Runs Bochs in the folder until it ends. Returns the seconds."""
    printer = 'parport1: enabled=1, file="out.txt"'
    bochs.configure(folder, bochs.Machine(cpu=model, memory=32, bochsrc=(printer,)), "image.iso")
    for name in ("out.txt", "bochs.log"):
        (folder / name).unlink(missing_ok=True)
    started = time.monotonic()
    with bochs.emulator(bochs.BOCHS, folder) as (child, screen):
        while child.poll() is None and time.monotonic() - started < limit:
            bochs.drain(screen)
    return time.monotonic() - started


def log_by_case(path: Path) -> dict[int, list[str]]:
    """The lines of Bochs's log that belong to each case: those behind its mark."""
    lines: dict[int, list[str]] = {}
    number = 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            mark = MARK.search(line)
            if mark:
                number = int(mark.group(1), 16)
                lines[number] = []
            elif number and re.match(r"\d+[ep]\[CPU0", line):
                lines[number].append(line.split("] ", 1)[1].strip())
    return lines


def judge_log(report: Report, number: int, seen: str, kept: set[str], lines: list[str]) -> None:
    """Compares the check that Bochs logged with the doctor's set of broken rules."""
    if seen[0] not in "egm":
        return
    texts = [text for text in lines if not NOISE.search(text)]
    if not texts:
        report.problems.append(f"case {number:x}: no line in Bochs's log for {seen}")
        return
    rules = matching_rules(texts[0])
    if rules is None:
        report.problems.append(f"case {number:x}: unknown line in Bochs's log: {texts[0]}")
        return
    base = {re.sub(r"[a-z]$", "", rule) for rule in kept}
    if rules:
        report.logged += 1
        report.proved |= {rule for rule in kept if {re.sub(r"[a-z]$", "", rule)} == rules & base}
        if not rules & base:
            report.problems.append(f"case {number:x}: Bochs logged {texts[0]!r}, the doctor has "
                                   f"{','.join(sorted(kept)) or 'nothing'}")


def read_output(report: Report, folder: Path) -> None:
    """Reads what the image printed, and compares it with Bochs's log."""
    log = log_by_case(folder / "bochs.log")
    ended = False
    with open(folder / "out.txt", encoding="ascii", errors="replace") as file:
        for line in file:
            kind, _, rest = line.rstrip("\n").partition(" ")
            if kind == "C":
                read_case(report, line.rstrip("\n"), log)
            elif kind == "P":
                report.processor.append(rest)
            elif kind == "R":
                report.rules.append(rest.split("\t"))
            elif kind == "D":
                report.table.append(rest.split("\t"))
            elif kind == "K":
                rule, count, what = rest.split("\t")
                report.panics[rule, what] = int(count, 16)
            elif kind == "E":
                read_error(report, rest)
            elif kind == "H":
                report.kept = set(rest.split(","))
            elif kind == "N":
                cases = int(rest.removeprefix("= 0x"), 16)
                if cases != report.cases:
                    report.problems.append(f"{report.cases} of {cases} cases were reported")
            elif kind == "FAILED":
                report.problems.append(rest)
            elif kind == "END":
                ended = True
    if ended and not report.errors:
        report.problems.append("no instruction was made to fail")
    if not ended:
        tail = (folder / "bochs.log").read_text(encoding="utf-8", errors="replace")[-600:]
        report.problems.append(f"the image did not end well; the end of Bochs's log: {tail}")


def read_case(report: Report, line: str, log: dict[int, list[str]]) -> None:
    """Counts one case."""
    match = CASE.match(line)
    if not match:
        report.problems.append(f"unreadable: {line}")
        return
    number = int(match.group(1), 16)
    agreement, seen, foreseen, broken, kept_text = match.group(3, 4, 5, 6, 7)
    kept = set() if kept_text == "-" else set(kept_text.split(","))
    report.cases += 1
    report.kinds[agreement] += 1
    report.outcomes[re.sub(r"^m.*", "34", re.sub(r"^g", "33:", re.sub(r"^e", "error ", seen)))
                    if seen[0] != "v" else "entered"] += 1
    if agreement == "X":
        report.problems.append(f"case {number:x}: saw {seen}, foreseen {foreseen} "
                               f"(broken {broken}; applied {kept_text}) {match.group(9)}; log: "
                               f"{' / '.join(log.get(number, []))[:300]}")
        return
    if agreement in "!~":
        used = int(match.group(8), 16)
        for bit in range(used.bit_length()):
            if (used >> bit) & 1:
                report.deviations[bit] += 1
    poison = {"M01"}
    report.found |= set(broken.split(","))
    report.broken |= kept
    if len(kept - poison) == 1 and agreement == "=":
        report.proved |= kept - poison
    if agreement in "=!":
        judge_log(report, number, seen, kept | additions_of(report, match.group(8)),
                  log.get(number, []))


def read_error(report: Report, line: str) -> None:
    """Counts an instruction that failed on purpose."""
    expected, seen, what = line.split(" ", 2)
    report.errors[int(seen, 16)] += 1
    if expected != seen:
        report.problems.append(f"{what}: VM-instruction error {int(seen, 16)}, not "
                               f"{int(expected, 16)}")


def additions_of(report: Report, used: str) -> set[str]:
    """The rules under which the demands that only Bochs makes are listed."""
    bits = int(used, 16)
    return {row[1] for number, row in enumerate(report.table)
            if row[0] == "adds" and (bits >> number) & 1}


def run_model(model: str, image: bytes, work: Path, pairs: int, stride: int,
              limit: float) -> Report:
    """One model, from the CD to the judgement."""
    folder = work / model
    folder.mkdir(parents=True, exist_ok=True)
    make_iso(folder, image, model, SEED, pairs, stride)
    report = Report(model)
    report.seconds = boot(folder, model, limit)
    if not (folder / "out.txt").exists():
        report.problems.append("nothing was printed")
        return report
    read_output(report, folder)
    for number, row in enumerate(report.table):
        if row[2] == "1" and not report.deviations[number] and stride <= STRIDE:
            report.problems.append(f"the deviation {row[0]} {row[1]} ({row[3]}) never showed")
    return report


def summary(reports: list[Report], seconds: float) -> dict:
    """The facts, for the book and for the closing note."""
    rules = reports[0].rules if reports else []
    proved = set().union(*(report.proved for report in reports)) if reports else set()
    kept = set().union(*(report.kept for report in reports)) if reports else set()
    proved &= {row[0] for row in rules}
    broken = set().union(*(report.broken for report in reports)) if reports else set()
    found = set().union(*(report.found for report in reports)) if reports else set()
    table = reports[0].table if reports else []
    listed = {number for report in reports for number, row in enumerate(report.table)
              if row[2] == "1"}
    return {
        "bochs": BOCHS.version,
        "rules": len(rules),
        "rules_exercised_both_ways": len(proved & kept),
        "rules_exercised_one_way": sorted(proved - kept),
        "rules_that_only_deviate": sorted(found - broken - {"-"}),
        "rules_never_told_apart": sorted(broken - proved),
        "rules_only_unit_tested": sorted({row[0] for row in rules} - found - proved),
        "cases": sum(report.cases for report in reports),
        "agree": sum(report.kinds["="] for report in reports),
        "deviate": sum(report.kinds["!"] for report in reports),
        "undecided": sum(report.kinds["~"] for report in reports),
        "unexplained": sum(report.kinds["X"] for report in reports),
        "skipped_because_bochs_panics": sum(report.panics.total() for report in reports),
        "panics": [{"rule": rule, "what": what, "cases": count} for (rule, what), count in
                   sum((report.panics for report in reports), Counter()).items()],
        "log_lines_compared": sum(report.logged for report in reports),
        "seed": SEED,
        "seconds": round(seconds, 1),
        "models": {report.model: {
            "cases": report.cases, "seconds": round(report.seconds, 1),
            "agree": report.kinds["="], "deviate": report.kinds["!"],
            "undecided": report.kinds["~"], "unexplained": report.kinds["X"],
            "skipped": report.panics.total(), "log_lines_compared": report.logged,
            "outcomes": dict(sorted(report.outcomes.items())),
            "instruction_errors": dict(sorted(report.all_errors().items())),
        } for report in reports},
        "deviations": [{
            "kind": row[0], "rule": row[1], "what": row[3],
            "cases": {report.model: report.deviations[number] for report in reports
                      if len(report.table) > number and report.table[number][2] == "1"},
        } for number, row in enumerate(table) if number in listed],
        "problems": [f"{report.model}: {problem}" for report in reports
                     for problem in report.problems][:200],
    }


def human_table(facts: dict) -> str:
    """The same for people."""
    rows = [f"{'model':<12}{'cases':>8}{'agree':>8}{'deviate':>9}{'undecided':>11}"
            f"{'unexplained':>13}{'skipped':>9}{'log lines':>11}{'seconds':>9}"]
    for model, one in facts["models"].items():
        rows.append(f"{model:<12}{one['cases']:>8}{one['agree']:>8}{one['deviate']:>9}"
                    f"{one['undecided']:>11}{one['unexplained']:>13}{one['skipped']:>9}"
                    f"{one['log_lines_compared']:>11}{one['seconds']:>9}")
    rows += ["", f"{facts['rules']} rules, of which {facts['rules_exercised_both_ways']} were "
             "exercised both ways: the processor refused a value", "because of this rule alone, or "
             "its log named it, and let another value of the same field pass."]
    for title, key in (("Exercised one way", "rules_exercised_one_way"),
                       ("Broken, but only together with others", "rules_never_told_apart"),
                       ("Broken, but Bochs does not apply them", "rules_that_only_deviate"),
                       ("Only unit-tested", "rules_only_unit_tested")):
        rows += textwrap.wrap(f"{title} ({len(facts[key])}): {', '.join(facts[key]) or 'none'}",
                              96, subsequent_indent="  ")
    rows += ["", f"Cases in which Bochs {facts['bochs']} would end with a panic, foretold by the "
             "doctor and skipped:"]
    rows += [f"  {one['rule']:<5}{one['cases']:>5}  {one['what']}" for one in facts["panics"]]
    rows += ["", f"Deviations of Bochs {facts['bochs']}, and in how many cases each was needed:"]
    for one in facts["deviations"]:
        counts = ", ".join(f"{model} {count}" for model, count in one["cases"].items())
        rows.append(f"  {one['rule']:<5}{one['kind']:<10}{one['what']}\n{'':>17}{counts}")
    return "\n".join(rows) + "\n"


def write_junit(path: Path, facts: dict) -> None:
    """A test case for each model, and one for the numbers that must be reached."""
    cases = []
    for model, one in facts["models"].items():
        wrong = [text for text in facts["problems"] if text.startswith(model + ":")]
        failure = f"<failure message={quoteattr(chr(10).join(wrong)[:4000])}/>" if wrong else ""
        cases.append(f'<testcase classname="differential" name="{model}" '
                     f'time="{one["seconds"]}">{failure}</testcase>')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'<testsuite name="differential" tests="{len(cases)}" failures="'
                    f'{sum("<failure" in case for case in cases)}">' + "".join(cases) +
                    "</testsuite>\n", encoding="utf-8")


def main() -> int:
    """Returns 0 if there is no unexplained disagreement, and enough was compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="some of " + ",".join(MODELS))
    parser.add_argument("--pairs", type=int, default=150, help="random pairs for each guest")
    parser.add_argument("--stride", type=int, default=STRIDE,
                        help="of the single mutations that are not essential, take every n-th")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--limit", type=float, default=240.0, help="seconds for each model")
    parser.add_argument("--work", type=Path, default=ROOT / "build/differential")
    parser.add_argument("--results", type=Path, default=ROOT / "build/results")
    options = parser.parse_args()
    started = time.monotonic()
    image = options.work / "image.bin"
    build(image)
    models = options.models.split(",")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        reports = list(pool.map(lambda model: run_model(
            model, image.read_bytes(), options.work, options.pairs, options.stride,
            options.limit), models))
    facts = summary(reports, time.monotonic() - started)
    if options.stride <= STRIDE and set(models) == set(MODELS):
        if facts["cases"] < LEAST_CASES:
            facts["problems"].append(f"only {facts['cases']} cases, of at least {LEAST_CASES}")
        if facts["rules_exercised_both_ways"] < LEAST_RULES:
            facts["problems"].append(f"only {facts['rules_exercised_both_ways']} rules were "
                                     "exercised both ways")
        facts["problems"] += [f"the panic of {one['rule']} ({one['what']}) was never foretold"
                              for one in facts["panics"] if one["cases"] == 0]
    table = human_table(facts)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "doctor.json").write_text(json.dumps(facts, indent=1) + "\n",
                                                 encoding="utf-8")
    (options.results / "doctor.txt").write_text(table, encoding="utf-8")
    for report in reports:
        (options.results / f"doctor-{report.model}.cpu").write_text(
            f"# The CPU model {platforms.cpu_models()[report.model]} of Bochs {BOCHS.version}\n" +
            "\n".join(report.processor) + "\n", encoding="utf-8")
    write_junit(options.results / "junit/differential.xml", facts)
    print(table)
    for problem in facts["problems"][:60]:
        print(problem)
    return 1 if facts["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
