# SPDX-License-Identifier: GPL-2.0-only
"""The lab's own judgement, on made-up input: counts, endings, tables of files, normal forms."""
from __future__ import annotations

import gzip
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import bochs, clean, common, image, steps, test as lab_test, watch
from lab.common import LabError, UsageError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))

import expected  # noqa: E402

# --- counting ---------------------------------------------------------------------------------

SUITE = """<testsuites><testsuite name="x">
<testcase classname="a" name="good"/>
<testcase classname="a" name="bad"><failure message="no"/></testcase>
<testcase classname="a" name="broken"><error message="no"/></testcase>
<testcase classname="a" name="left out"><skipped/></testcase>
</testsuite></testsuites>"""


def entry(name: str, status: str) -> str:
    return f'<testcase name="{name}" classname="{name}" status="{status}"/>'


def test_count_sums_reports_and_suites_without_one(scratch: Path) -> None:
    (scratch / "junit").mkdir()
    (scratch / "junit" / "lab.xml").write_text(SUITE)
    (scratch / "ctest.xml").write_text("<testsuite>" + entry("lab", "fail") + entry("tables", "run")
                                       + entry("crashed", "fail") + "</testsuite>")
    count = lab_test.total(scratch / "junit", scratch / "ctest.xml")
    assert count.line() == "2 passed, 3 failed, 1 skipped"
    assert any("crashed" in failure for failure in count.failures)


def test_a_suite_that_dies_after_its_report_is_a_failure(scratch: Path) -> None:
    (scratch / "junit").mkdir()
    (scratch / "junit" / "lab.xml").write_text(
        '<testsuite><testcase classname="a" name="good"/></testsuite>')
    (scratch / "ctest.xml").write_text("<testsuite>" + entry("lab", "fail") + "</testsuite>")
    assert lab_test.total(scratch / "junit", scratch / "ctest.xml").line() == (
        "1 passed, 1 failed, 0 skipped")


def test_no_report_at_all_is_a_failure(scratch: Path) -> None:
    assert lab_test.total(scratch / "junit", scratch / "ctest.xml").failed == 1


# --- how a boot ends --------------------------------------------------------------------------

class FakeBoot(bochs.Boot):
    """A boot that never ran, to judge a log by."""

    def __init__(self, folder: Path, log: str) -> None:  # pylint: disable=super-init-not-called
        self.machine = bochs.Machine()
        self.log = folder / "bochs.log"
        self.console = folder / "console.log"
        self.log.write_text(log)


@pytest.mark.parametrize("log, status, kind", [
    ("00001p[ACPI  ] >>PANIC<< ACPI control: soft power off\n", 1, "off"),
    ("00001p[CPU0  ] >>PANIC<< exception(): 3rd (13) exception with no resolution\n", 1,
     "triple fault"),
    ("00001p[HD    ] >>PANIC<< could not open hard drive\n", 1, "emulator"),
    ("", 1, "emulator"),
    ("", -signal.SIGXFSZ, "log size"),
    ("", -signal.SIGKILL, "killed"),
])
def test_endings_are_told_apart(scratch: Path, log: str, status: int, kind: str) -> None:
    outcome = FakeBoot(scratch, log).ending(status)
    assert outcome.kind == kind
    assert outcome.good == (kind == "off")


def followed(scratch: Path, *texts: str) -> watch.Watch:
    """A watch that has seen some console lines."""
    console = scratch / "console"
    console.unlink(missing_ok=True)
    seen = watch.Watch(console, scratch / "results", lambda line: None, lambda line: None)
    for text in texts:
        with open(console, "a", encoding="utf-8") as file:
            file.write(text)
        seen.poll()
    return seen


def test_panic_and_trouble_are_noticed(scratch: Path) -> None:
    seen = followed(scratch, "[    1.0] WARNING: CPU: 0 PID: 1 at x\n",
                    "[    2.0] Kernel panic - not syncing: sysrq\n")
    assert len(seen.trouble) == 2 and seen.panic_at
    assert seen.verdict() is None, "the lines that follow a panic are still to come"
    seen.panic_at -= 10
    verdict = seen.verdict()
    assert verdict and verdict.kind == "panic"


def test_a_clock_that_goes_back_is_a_reboot(scratch: Path) -> None:
    seen = followed(scratch, "[    9.0] @@READY 6.1\n[   12.0] x\n", "[   11.9] y\n")
    assert seen.verdict() is None
    seen = followed(scratch, "[    9.0] x\n", "[    0.1] x\n")
    assert seen.verdict() is None, "before it was up, the clock says nothing"
    seen = followed(scratch, "[    9.0] @@READY 6.1\n", "[    0.1] [Firmware Bug]: x\n")
    verdict = seen.verdict()
    assert verdict and verdict.kind == "reboot"


def test_half_a_line_waits_for_its_end(scratch: Path) -> None:
    follower = watch.Follower(scratch / "file")
    assert follower.lines() == []
    (scratch / "file").write_bytes(b"one\r\ntw")
    assert follower.lines() == ["one"]
    (scratch / "file").write_bytes(b"one\r\ntwo\n")
    assert follower.lines() == ["two"]


def test_times_are_cut_off() -> None:
    assert watch.without_time("[   13.506375] @@READY") == "@@READY"
    assert watch.without_time("[   13.506375][  T123] text") == "text"
    assert watch.without_time("text [ 1.0] text") == "text [ 1.0] text"


# --- the initramfs ----------------------------------------------------------------------------

def test_archive_is_what_cpio_reads(scratch: Path) -> None:
    packed = image.pack({"lab/a": "text", "/lab/deep/b": b"\0\1"}, ("proc",), {"bin/sh": "busybox"})
    assert packed == image.pack({"lab/a": "text", "/lab/deep/b": b"\0\1"}, ("proc",),
                                {"bin/sh": "busybox"}), "the same input gives the same bytes"
    listed = subprocess.run(["/bin/busybox", "cpio", "-idv"], input=gzip.decompress(packed),
                            cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    assert (scratch / "lab/a").read_text() == "text", listed.stderr
    assert (scratch / "lab/deep/b").read_bytes() == b"\0\1"
    assert (scratch / "proc").is_dir() and (scratch / "bin/sh").is_symlink()


# --- the tables of files ----------------------------------------------------------------------

README = "# Step\n\n## In this folder\n\n| File | New? | What it is |\n|---|---|---|\n"


@pytest.fixture
def tree(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small steps whose tables tell the truth."""
    for module in (common, steps):
        monkeypatch.setattr(module, "ROOT", scratch)
    write(scratch, "step01-one", {"Makefile": "m", "same.hpp": "s", "other.hpp": "o"},
          {"Makefile": "new", "same.hpp": "new", "other.hpp": "new"})
    write(scratch, "step02-two", {"Makefile": "m", "same.hpp": "s", "other.hpp": "p"},
          {"Makefile": "as in 01", "same.hpp": "as in 01", "other.hpp": "changed"})
    return scratch


def write(root: Path, step: str, files: dict[str, str], states: dict[str, str]) -> None:
    (root / step).mkdir(exist_ok=True)
    for name, text in files.items():
        (root / step / name).write_text(text)
    rows = "".join(f"| `{name}` | {state} | what |\n" for name, state in states.items())
    (root / step / "README.md").write_text(README + rows + "\n## Run it\n")


def test_true_tables_are_accepted(tree: Path) -> None:
    assert not steps.lies(tree / "step01-one") + steps.lies(tree / "step02-two")


@pytest.mark.parametrize("states, complaint", [
    ({"Makefile": "as in 01", "same.hpp": "as in 01"}, "other.hpp is not in the table"),
    ({"Makefile": "as in 01", "same.hpp": "as in 01", "other.hpp": "as in 01"}, "differs from"),
    ({"Makefile": "as in 01", "same.hpp": "changed", "other.hpp": "changed"}, "it is the same"),
    ({"Makefile": "as in 01", "same.hpp": "new", "other.hpp": "changed"}, "has it"),
    ({"Makefile": "as in 02", "same.hpp": "as in 01", "other.hpp": "changed"}, "no earlier step"),
    ({"Makefile": "as in 01", "same.hpp": "as in 01", "other.hpp": "changed", "gone.hpp": "new"},
     "not in the folder"),
    ({"Makefile": "as in 01", "same.hpp": "maybe", "other.hpp": "changed"}, "second column"),
])
def test_each_lie_is_found(tree: Path, states: dict[str, str], complaint: str) -> None:
    write(tree, "step02-two", {}, states)
    found = steps.lies(tree / "step02-two")
    assert len(found) == 1 and complaint in found[0], found


def test_sync_carries_an_edit_forward(tree: Path) -> None:
    (tree / "step01-one" / "same.hpp").write_text("better")
    (tree / "step01-one" / "other.hpp").write_text("better")
    assert steps.sync(dry=True) == 0
    assert (tree / "step02-two" / "same.hpp").read_text() == "s"
    assert steps.sync(dry=False) == 0
    assert (tree / "step02-two" / "same.hpp").read_text() == "better"
    assert (tree / "step02-two" / "other.hpp").read_text() == "p", "`changed` is not touched"


def test_sync_does_not_undo_an_edit_made_in_the_copy(tree: Path) -> None:
    git = ["git", "-C", str(tree), "-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    (tree / "step02-two" / "same.hpp").write_text("edited here")
    with pytest.raises(LabError, match="was edited"):
        steps.sync(dry=False)
    assert (tree / "step02-two" / "same.hpp").read_text() == "edited here"


def test_copy_refuses_to_overwrite(tree: Path) -> None:
    (tree / "mine").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        steps.copy(tree / "step01-one", tree / "mine")


# --- cleaning ---------------------------------------------------------------------------------

@pytest.fixture
def built(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The two steps after make, with something in build/."""
    monkeypatch.setattr(clean, "ROOT", tree)
    monkeypatch.setattr(clean, "BUILD", tree / "build")
    for name in ("step01-one/step01_one.ko", "step01-one/.step.o.cmd", "step01-one/Module.symvers",
                 "build/kbuild/x", "build/cache/kernel", "compile_commands.json"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("x")
    return tree


def test_clean_removes_products_and_keeps_sources(built: Path) -> None:
    assert clean.run(everything=False) == 0
    left = {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()}
    sources = {f"{step}/{name}" for step in ("step01-one", "step02-two")
               for name in ("Makefile", "same.hpp", "other.hpp", "README.md")}
    assert left == sources | {"build/cache/kernel"}
    assert clean.run(everything=True) == 0
    assert not (built / "build" / "cache").exists()


def test_clean_waits_for_a_lab_that_runs(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (built / "build" / "lab" / "run-20250101-000000-1").mkdir(parents=True)
    monkeypatch.setattr(clean, "_command", lambda pid: b"python3./labrun")
    with pytest.raises(UsageError, match="still running"):
        clean.run(everything=False)
    assert (built / "build" / "kbuild" / "x").exists()


# --- expected logs ----------------------------------------------------------------------------

@pytest.mark.parametrize("line, normal", [
    ("loaded into Linux 6.1.0-56-cloud-amd64", "loaded into Linux 6.1.0-N-cloud-amd64"),
    ("at 0xffff8880012ab000", "at 0xffff…"),
    ("VMXON region at 0x1f3a000", "VMXON region at 0x…000"),
    ("guest RIP 0x1000, reason 18", "guest RIP 0x1000, reason 18"),
    ("took 12.5 ms", "took N ms"),
    ("revision 0x2b, CR4 0x3506e0", "revision 0x2b, CR4 0x3506e0"),
    ("standard 202002", "standard 202002"),
    ("after 3 VM exits: 1 VMLAUNCH", "after 3 VM exits: 1 VMLAUNCH"),
    ("counted to 24795: 1043 scopes, 25838 VM exits", "counted to N: N scopes, N VM exits"),
])
def test_only_what_varies_is_normalised(line: str, normal: str) -> None:
    assert expected.normalised(line) == normal


def test_shapes_ignore_numbers_only() -> None:
    one = expected.shape("on 1 CPU of Linux 6.1.0-56-cloud-amd64: CR4 0x3506e0")
    two = expected.shape("on 2 CPUs of Linux 6.12.117+deb12-cloud-amd64: CR4 0x3526e0")
    assert one == two
    assert expected.shape("1 guest is running") == expected.shape("2 guests are running")
    assert one != expected.shape("off 1 CPU of Linux 6.1.0-56-cloud-amd64: CR4 0x3506e0")
