# SPDX-License-Identifier: GPL-2.0-only
# long-file: all that one program promises on its command line.
"""vmcs-doctor: reports on samples, exit statuses, bad input."""
from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from program import PROGRAM, ROOT, SAMPLES, doctor, examined, notes, rules

@pytest.mark.parametrize("name, broken", [
    ("kvm-6.1-sound.log", [[]]),
    ("kvm-6.1-efer-autoload.log", [[]]),
    ("kvm-6.1-interrupt.log", [["R05"]]),
    ("kvm-6.1-injected.log", [["R05"]]),
    ("kvm-6.1-limit.log", [["S19"]]),
    ("kvm-6.12-printed.log", [["R05"], ["S19"]]),
    ("kvm-6.12-segments.log", [["S18", "S20a"]]),
    ("kvm-6.12-controls.log", [["C08", "C18"]]),
    ("kvm-two.log", [[], ["I02"]]),
    ("own-sound.vmcs", [[]]),
    ("own-control.vmcs", [["C01", "L03"]]),
])
def test_sample(name: str, broken: list[list[str]]) -> None:
    """Each sample has the findings that were put into it, and no other."""
    status = 1 if any(broken) else 0
    reports = examined(SAMPLES / name, status=status)
    assert [rules(report) for report in reports] == broken


def test_finding_is_complete() -> None:
    """A finding has the field, its value, the bits, the rule and the place in the SDM."""
    report, = examined(SAMPLES / "kvm-6.1-interrupt.log", status=1)
    assert report["format"] == "kvm" and report["line"] == 2
    assert report["findings"] == [{
        "class": "broken", "rule": "R05", "field": "Guest RFLAGS", "encoding": "0x6820",
        "value": "0x2",
        "bits": "0x200", "entry": 0,
        "must": "injecting an external interrupt needs guest RFLAGS.IF",
        "outcome": "exit reason 33", "sdm_title": "Checks on Guest RIP and RFLAGS",
        "sdm_number": "26.3.1.4"}]
    assert report["prediction"]["qualifications_of_33"] == [0]
    assert report["observed"] == "exit reason 33 with bit 31, qualification 0"
    text = doctor(SAMPLES / "kvm-6.1-interrupt.log").stdout
    for words in ("R05", "Guest RFLAGS (6820H) = 0x2", "bits at fault 0x200", "26.3.1.4",
                  "exit qualification 0"):
        assert words in text


def test_example_of_the_book() -> None:
    """The book's worked example is what the program prints; VTX_ACCEPT=1 writes it."""
    session = ROOT / "docs/sessions/doctor-kvm.txt"
    sample = SAMPLES / "kvm-6.1-interrupt.log"
    seen = f"$ ./vmcs-doctor {sample.relative_to(ROOT)}\n" + doctor(sample).stdout
    if os.environ.get("VTX_ACCEPT"):
        session.write_text(seen, encoding="utf-8")
    assert seen == session.read_text(encoding="utf-8")


def test_fields_that_kvm_does_not_print_are_undecided() -> None:
    """The link pointer is one of them; nothing is held for or against it."""
    report, = examined(SAMPLES / "kvm-6.1-sound.log", status=0)
    undecided = {row["rule"]: row["because"] for row in report["undecided"]}
    assert undecided["L01"] == "VMCS link pointer is unknown"
    assert not report["prediction"]["certain"]
    assert set(undecided) == {"C05", "C07", "C17d", "C24b", "C28", "C29a", "C29b", "L01", "L02",
                              "L03", "W08"}
    text = doctor("--undecided", SAMPLES / "kvm-6.1-sound.log").stdout
    assert "L01  VMCS link pointer is unknown" in text


def test_effective_efer_is_not_the_field() -> None:
    """What KVM prints as (autoload) or (effective) is not what the VMCS holds."""
    report, = examined(SAMPLES / "kvm-6.1-efer-autoload.log", status=0)
    assert "G14a" in {row["rule"] for row in report["undecided"]}


# Of kvm-6.1-sound.log: what each line that dump_vmcs() prints into every dump holds, by its labels.
ALWAYS = {
    "Guest State": [
        "CR0", "CR4", "CR3", "RSP, RIP", "RFLAGS, DR7", "Sysenter RSP, CS:RIP", "CS", "DS", "SS",
        "ES", "FS", "GS", "GDTR", "LDTR", "IDTR", "TR", "EFER", "DebugCtl, DebugExceptions",
        "Interruptibility, ActivityState"],
    "Host State": [
        "RIP, RSP", "CS, SS, DS, ES, FS, GS, TR", "FSBase, GSBase, TRBase", "GDTBase, IDTBase",
        "CR0, CR3, CR4", "Sysenter RSP, CS:RIP"],
    "Control State": [
        "CPUBased, SecondaryExec", "PinBased, EntryControls, ExitControls",
        "ExceptionBitmap, PFECmask, PFECmatch", "VMEntry", "VMExit", "reason, qualification",
        "IDTVectoring", "TSC Offset"],
}


def line_of(part: str, labels: str, lines: list[str]) -> int:
    """Where the line with these labels stands."""
    first = next(i for i, line in enumerate(lines) if f"*** {part} ***" in line)
    start = re.compile(rf"\[[ .0-9]+\] +{re.escape(labels.split(',')[0])} ?[:=]")
    return next(i for i in range(first, len(lines)) if start.match(lines[i]))


@pytest.mark.parametrize("part, labels", [
    (part, labels) for part, lines in ALWAYS.items() for labels in lines])
def test_a_dump_without_a_line_that_kvm_always_prints_is_not_sound(part: str, labels: str) -> None:
    """It is incomplete: the line is named, and whole dumps around it do not hide that."""
    whole = (SAMPLES / "kvm-6.1-sound.log").read_text(encoding="utf-8").splitlines(True)
    left = list(whole)
    del left[line_of(part, labels, left)]
    reports = examined(text="".join(whole + left + whole).encode(), status=3)
    assert [report["missing"] for report in reports] == [[], [f"{part}: {labels}"], []]
    assert [report["prediction"]["enters"] for report in reports] == [True, False, True]
    text = doctor(text="".join(left).encode()).stdout
    assert "Incomplete: this dump lacks lines that KVM always prints" in text
    assert f"\n  {part}: {labels}\n" in text
    assert "A VM entry gives: unknown, because the dump is incomplete\n" in text


@pytest.mark.parametrize("controls", [
    None, "PinBased=000000ff CPUBased=b5a06dfa SecondaryExec=001237fa\n"
          "EntryControls=0000d3ff ExitControls=002befff\n"], ids=["since 6.1", "5.15"])
def test_other_lines_may_be_absent(controls: str | None) -> None:
    """What KVM prints on some machines only is not missed, nor is how Linux 5.15 splits lines."""
    lines = (SAMPLES / "kvm-6.1-sound.log").read_text(encoding="utf-8").splitlines(True)
    kept = {line_of(part, labels, lines) for part, held in ALWAYS.items() for labels in held}
    left = [line for i, line in enumerate(lines) if i in kept or "***" in line]
    if controls:
        left[-8:-6] = [controls]
    report, = examined(text="".join(left).encode(), status=0)
    assert len(left) < len(lines) and report["missing"] == []


@pytest.mark.parametrize("sample, missing", [
    ("kvm-cut-in-host.log", ["Host State: CR0, CR3, CR4, Sysenter RSP, CS:RIP",
                             "all of Control State"]),
    ("kvm-cut-start.log", ["all of Guest State"]),
])
def test_a_log_that_was_cut_off_is_incomplete(sample: str, missing: list[str]) -> None:
    """It is judged by what is left, and says what is not."""
    report, = examined(SAMPLES / sample, status=3)
    assert report["missing"] == missing and rules(report) == []


def test_lines_that_are_not_recognized_are_missing() -> None:
    """A changed word hides a line: no sound dump."""
    text = (SAMPLES / "kvm-6.1-interrupt.log").read_bytes().replace(b"sel=", b"selector=")
    report, = examined(text=text, status=1)
    assert report["missing"] == ["Guest State: CS, DS, SS, ES, FS, GS, LDTR, TR"]
    text = text.replace(b"VMEntry: ", b"Entry: ")
    report, = examined(text=text, status=3)
    assert report["missing"][1] == "Control State: VMEntry"
    assert "R05" in {row["rule"] for row in report["undecided"]}


def test_an_incomplete_dump_can_be_broken() -> None:
    """What is there is examined all the same."""
    text = (SAMPLES / "kvm-6.1-interrupt.log").read_text(encoding="utf-8")
    left = re.sub(r"(?m)^.*\] TR: .*\n", "", text).encode()
    report, = examined(text=left, status=1)
    assert rules(report) == ["R05"] and report["missing"] == ["Guest State: TR"]
    assert "1 finding in what is there" in doctor(text=left).stdout


def test_continued_lines() -> None:
    """What the kernel prints as one line may arrive as two, the second without any prefix."""
    text = (SAMPLES / "kvm-6.12-controls.log").read_bytes()
    one = re.sub(rb" \n[^\n]*?TPR Threshold", b" TPR Threshold", text)
    bare = one.replace(b"[   88.100350] kvm_intel: virt-APIC", b"virt-APIC")
    assert len({one, bare, text}) == 3
    for other in (one, bare):
        assert rules(examined(text=other, status=1)[0]) == ["C08", "C18"]


def test_another_hypervisor_is_refused() -> None:
    """Xen's dump has the same headings, and another format."""
    for quote in (b"", b"> "):
        run = doctor(text=quote + b"(XEN) *** Guest State ***\n(XEN) CR3 = 0x8000000012345000\n")
        assert run.returncode == 2 and "line 1: Xen printed this VMCS" in run.stderr


def test_every_cut_ends_well() -> None:
    """Whatever a log was cut to, there is a verdict on the rest or an error with its line.

    The rest is not called sound before the last of the lines that KVM always prints.
    """
    text = (SAMPLES / "kvm-6.12-controls.log").read_bytes()
    last = text.index(b"TSC Offset")
    for length in range(0, len(text), 41):
        run = doctor("--json", text=text[:length])
        assert run.returncode in ((2, 3) if length < last else (0, 1, 2)), length
        if run.returncode == 2:
            assert run.stdout == "" and run.stderr.startswith("vmcs-doctor: standard input")
        else:
            json.loads(run.stdout)


@pytest.mark.parametrize("name, words", [
    ("bad-twice.vmcs", "line 2: Guest CR3 was given before with another value"),
    ("bad-name.vmcs", 'line 2: no VMCS field and no capability MSR is called "Guest CR9"'),
    ("bad-width.vmcs", "line 1: Guest CS selector has only 16 bits"),
    ("bad-number.vmcs", "line 1:"),
    ("bad-equals.vmcs", "line 1: this is neither a line of a dump of KVM's nor NAME = VALUE"),
    ("bad-no-vmcs.vmcs", "describes a processor, but no VMCS"),
    ("bad-empty.vmcs", "there is no VMCS in the input"),
])
def test_unusable_input(name: str, words: str) -> None:
    """Exit status 2, one line on standard error, nothing on standard output."""
    run = doctor(SAMPLES / name)
    assert run.returncode == 2
    assert run.stdout == ""
    assert words in run.stderr and run.stderr.count("\n") == 1


def test_contradiction_in_a_log() -> None:
    """A field printed twice with different values is no field."""
    text = (SAMPLES / "kvm-6.1-sound.log").read_bytes()
    line = re.search(rb"(?m)^.*RFLAGS=.*\n", text)
    assert line
    twice = text.replace(line[0], line[0] + line[0].replace(b"246", b"202"))
    run = doctor(text=twice)
    assert run.returncode == 2 and "Guest RFLAGS has another value in line 9" in run.stderr


@pytest.mark.parametrize("name, status, note", [
    ("bad-binary.vmcs", 0, (2, "is longer than 4096 bytes or no text, and was passed over")),
    ("kvm-cut-in-number.log", 3, (30, "is cut off before the value of Host GDTR base"))])
def test_bad_lines_are_passed_over(name: str, status: int, note: tuple[int, str]) -> None:
    """They cost what is in them, and the report says so."""
    report, = examined(SAMPLES / name, status=status)
    assert notes(report) == [note]
    assert f"\nMind:\n  line {note[0]} {note[1]}\n" in doctor(SAMPLES / name).stdout


def test_huge_input() -> None:
    """A hundred megabytes are refused in words, and in time."""
    run = doctor(text=b"# nothing\n" * (10 << 20))
    assert run.returncode == 2 and "longer than 64 MiB" in run.stderr
    run = doctor(text=b"x" * (1 << 20))
    assert run.returncode == 2 and "longer than 4096 bytes" in run.stderr


def test_long_log_around_a_dump() -> None:
    """Forty megabytes of other lines do not hide a dump, nor take long."""
    noise = b"[    1.000000] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n" * 500_000
    report, = examined(text=noise + (SAMPLES / "kvm-6.1-interrupt.log").read_bytes(), status=1)
    assert rules(report) == ["R05"] and report["line"] == 500_002


@pytest.mark.parametrize("begin, kind", [
    (b"\x1f\x8b\x08\0", "gzip"), (b"PK\3\4", "zip"), (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh9", "bzip2")])
def test_packed_files(begin: bytes, kind: str) -> None:
    """They have to be unpacked."""
    run = doctor(text=begin + bytes(range(1, 32)) * 10)
    assert run.returncode == 2 and f"packed by {kind}: unpack it first" in run.stderr


def test_random_bytes() -> None:
    """Noise is an error, never a crash."""
    state = 1
    for size in (1, 100, 5000):
        noise = bytearray()
        for _ in range(size):
            state = (state * 6364136223846793005 + 1442695040888963407) & (2**64 - 1)
            noise.append(state >> 56)
        assert doctor(text=bytes(noise)).returncode == 2


def test_processor_from_a_file() -> None:
    """A control that this model lacks is found only if the model is described."""
    assert examined(SAMPLES / "kvm-6.1-sound.log", status=0)
    report, = examined("--cpu", SAMPLES / "skylake_x.cpu", SAMPLES / "kvm-6.1-sound.log", status=1)
    found = {finding["rule"]: finding["bits"] for finding in report["findings"]}
    assert found["C01"] == "0x80"  # no posted interrupts there
    assert "skylake_x.cpu" in report["processor"]


def test_processor_files_can_be_bad() -> None:
    """So can the description of a processor."""
    run = doctor("--cpu", SAMPLES / "bad-name.vmcs", SAMPLES / "own-sound.vmcs")
    assert run.returncode == 2 and "bad-name.vmcs, line 2" in run.stderr
    run = doctor("--cpu", "/nonexistent", SAMPLES / "own-sound.vmcs")
    assert run.returncode == 2 and "/nonexistent" in run.stderr
    run = doctor("--cpu", SAMPLES / "own-sound.vmcs", SAMPLES / "own-sound.vmcs")
    assert run.returncode == 2 and "no description of a processor" in run.stderr


@pytest.mark.parametrize("words", [["--nonsense"], ["--format=xml"], ["--cpu"], ["a", "b"],
                                   ["/nonexistent/file"], ["/"]])
def test_bad_command_lines(words: list[str]) -> None:
    """One line that says what is wrong."""
    run = doctor(*words)
    assert run.returncode == 2
    assert run.stderr.startswith("vmcs-doctor: ") and run.stderr.count("\n") == 1


def test_full_disk() -> None:
    """A report that cannot be written is a failure."""
    with open("/dev/full", "wb") as full:
        run = subprocess.run([PROGRAM, SAMPLES / "own-sound.vmcs"], stdout=full,
                             stderr=subprocess.PIPE, check=False)
    assert run.returncode == 2 and b"could not be written" in run.stderr


def test_help_and_manual_agree() -> None:
    """Each option of --help is in the manual, and the manual renders without complaint."""
    help_text = doctor("--help").stdout
    manual = (ROOT / "doctor/cli/vmcs-doctor.1").read_text(encoding="utf-8")
    options = set(re.findall(r"--[a-z][a-z-]*", help_text))
    assert options and options == set(re.findall(r"--[a-z][a-z-]*", manual))


def test_example_of_the_readme() -> None:
    """It is what the program prints; VTX_ACCEPT=1 writes it."""
    page = ROOT / "doctor/README.md"
    text = page.read_text(encoding="utf-8")
    before, example, after = re.split(r"(?s)(?<=```text\n)(.*?)(?=```)", text, maxsplit=1)
    sample = SAMPLES / "kvm-6.1-limit.log"
    seen = f"$ ./vmcs-doctor {sample.relative_to(ROOT)}\n" + doctor(sample).stdout
    if os.environ.get("VTX_ACCEPT"):
        page.write_text(before + seen + after, encoding="utf-8")
        example = seen
    assert seen == example
    lines = sample.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 45 and all(
        line in lines for line in re.findall(r"(?m)^    (\[.*)$", text))


@pytest.mark.parametrize("page", ["doctor/README.md", "docs/how-to/use-the-doctor.rst"])
def test_it_is_built_as_the_page_says(page: str, tmp_path: Path) -> None:
    """One command, with a compiler and nothing else, makes the program."""
    command, = re.findall(r"^ +(?:\$ )?(g\+\+ .*) -o vmcs-doctor$", (ROOT / page).read_text(),
                          re.MULTILINE)
    subprocess.run(f"{command.replace('-O2', '-O0')} -o {tmp_path}/vmcs-doctor", shell=True,
                   cwd=ROOT, check=True)
    assert subprocess.run([tmp_path / "vmcs-doctor", "--help"], check=False,
                          stdout=subprocess.PIPE).stdout.startswith(b"usage: vmcs-doctor")


def test_rules_are_listed() -> None:
    """--rules prints a row for each rule, with unique ids."""
    rows = [line.split("\t") for line in doctor("--rules").stdout.splitlines()]
    assert all(len(row) == 5 for row in rows)
    assert len({row[0] for row in rows}) == len(rows) > 170
    source = "".join(path.read_text(encoding="utf-8")
                     for path in (ROOT / "doctor/rules").glob("*.hpp"))
    assert len(rows) == len(re.findall(r'^ *"[A-Z]\d\d[a-f]?", ', source, re.MULTILINE)) + len(
        re.findall(r'rule<[^;]*?>\("S01"', source))
