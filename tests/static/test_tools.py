# SPDX-License-Identifier: GPL-2.0-only
# long-file: each part of the lab that judges needs a few made-up inputs.
"""The lab's own judgement, on made-up input: counts, endings, tables of files, normal forms."""
from __future__ import annotations

import contextlib
import dataclasses
import gzip
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator

import pytest

from lab import bochs, clean, common, image, platforms, steps, test as lab_test, watch
from lab.common import LabError, UsageError
from trees import write_step as write

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

    spent = 0.0

    def __init__(self, folder: Path, log: str = "", cpu: str = bochs.DEFAULT_CPU) -> None:
        # pylint: disable=super-init-not-called
        self.machine = bochs.Machine(cpu=cpu)
        self.log = folder / "bochs.log"
        self.console = folder / "console.log"
        self.log.write_text(log)
        self._lines, self._first, self._last = 0, 3.0, 0.0

    def cpu_seconds(self) -> float:
        return self.spent


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
    seen = watch.Watch(console, scratch / "results")
    for text in texts:
        with open(console, "a", encoding="utf-8") as file:
            file.write(text)
        seen.poll()
    return seen


@pytest.mark.parametrize("trouble", ["WARNING: CPU: 0 PID: 1 at x", "divide error: 0000 [#1] SMP",
                                     "Oops: divide error: 0000 [#1] SMP"])
@pytest.mark.parametrize("panic", ["[    2.0] Kernel panic - not syncing: sysrq",
                                   "PANIC: early exception 0x00 IP 10:ffffffff82a error 0 cr2 0x0"])
def test_panic_and_trouble_are_noticed(scratch: Path, trouble: str, panic: str) -> None:
    seen = followed(scratch, f"[    1.0] {trouble}\n", f"{panic}\n")
    assert len(seen.trouble) == 2 and seen.panic_at
    assert seen.verdict() is None, "the lines that follow a panic are still to come"
    ended = seen.verdict(ended=True)
    assert ended and ended.kind == "panic", "the emulator's own last words count less"
    seen.panic_at -= 10
    verdict = seen.verdict()
    assert verdict and verdict.kind == "panic"


def test_a_kernel_that_does_not_come_up_is_noticed(scratch: Path) -> None:
    """By the processor time that it takes without a word. Later, tests may be silent for long."""
    boot, seen = FakeBoot(scratch), followed(scratch, "one...\n")
    boot.spent = 5
    assert boot.hang(seen) is None
    boot.spent += 5 * bochs.PATIENCE
    assert boot.hang(seen) is None
    boot.spent += 1
    outcome = boot.hang(seen)
    assert outcome and outcome.kind == "silent" and outcome.sentence.endswith("after: one")
    seen = followed(scratch, "[    0.1] @@READY\n")
    assert boot.hang(seen) is None
    boot.spent *= 3
    assert boot.hang(seen) is None


def test_a_busy_machine_does_not_age_a_boot(scratch: Path) -> None:
    """What counts is the emulator's processor time, unless it stands still."""
    boot = FakeBoot(scratch)
    boot.spent = 30
    boot._started = time.monotonic() - 100
    assert boot.age() == 30
    boot._started = time.monotonic() - 400
    assert 100 <= boot.age() < 110


@pytest.mark.parametrize("cpu, text, cause", [
    (bochs.DEFAULT_CPU, "[    0.1] x\n", "Perhaps this Bochs"),
    ("penryn", "[    0.1] x\n", "does not run on penryn: try another --kernel"),
    ("penryn", "[    0.1] @@READY\n", ""),
])
def test_the_likely_cause_is_named(scratch: Path, cpu: str, text: str, cause: str) -> None:
    outcome = followed(scratch, text).completed(watch.Outcome("panic", "its kernel panicked"))
    said = FakeBoot(scratch, cpu=cpu).explain(outcome)
    assert cause in said and ("Perhaps" in said) == bool(cause), said


def test_a_model_on_which_a_kernel_is_silent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    here = platforms.debian()
    silent, other = (dataclasses.replace(kernel, silent_on=silent_on) for kernel, silent_on
                     in zip(here.kernels, [("penryn",), ()]))
    monkeypatch.setattr(platforms, "debian",
                        lambda: dataclasses.replace(here, kernels=(silent, other)))
    for cpu in ("penryn", platforms.cpu_models()["penryn"]):
        with pytest.raises(UsageError, match=f"{silent.number} does not start on {cpu}; add"
                           f" --kernel {other.role}"):
            bochs.Machine(kernel=silent.role, cpu=cpu).check()
    bochs.Machine(kernel=other.role, cpu="penryn").check()
    bochs.Machine(kernel=silent.role, cpu="haswell").check()


def test_a_bochs_that_divides_wrongly_is_refused(
        scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This one divides right, so once the probe has a wrong idea of a quotient."""
    monkeypatch.setattr(bochs, "BUILD", scratch)
    bochs.refuse_wrong_divisions()
    wrong = bochs.PROBE.read_text().replace("-7, -142857142", "-7, -142857143")
    assert wrong != bochs.PROBE.read_text()
    (scratch / "probe.S").write_text(wrong)
    monkeypatch.setattr(bochs, "PROBE", scratch / "probe.S")
    with pytest.raises(LabError, match=r"divides 64-bit numbers wrongly.* Debian 12 or 13"):
        bochs.refuse_wrong_divisions()
    monkeypatch.setattr(bochs, "_probe", lambda folder: pytest.fail("it is not probed again"))
    with pytest.raises(LabError, match="divides"):
        bochs.refuse_wrong_divisions()


@pytest.mark.parametrize("again", ["[    0.1] [Firmware Bug]: x", "KASLR disabled: 'nokaslr'"])
def test_a_kernel_that_begins_again_is_a_reboot(scratch: Path, again: str) -> None:
    seen = followed(scratch, "[    9.0] @@READY 6.1\n[   12.0] x\n", "[   11.9] y\n")
    assert seen.verdict() is None
    seen = followed(scratch, "[    9.0] x\n", f"{again}\n")
    assert seen.verdict() is None, "before it was up, that says nothing"
    seen = followed(scratch, "[    9.0] @@READY 6.1\n", f"{again}\n")
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


@contextlib.contextmanager
def lab_in(folder: Path) -> Iterator[None]:
    """Another process that uses a boot folder, until it is killed."""
    folder.mkdir(parents=True)
    code = ("import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
            "from lab.common import hold; hold(Path(sys.argv[2])); print(flush=True); input()")
    with subprocess.Popen([sys.executable, "-c", code, Path(common.__file__).parents[1], folder],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdout.readline()
        yield
        child.kill()


def test_clean_waits_for_a_lab_that_runs(built: Path) -> None:
    """And for no longer than it lives, in whatever way it ends."""
    folder = built / "build" / "lab" / "run-20250101-000000-0"
    with lab_in(folder):
        with pytest.raises(UsageError, match="still running"):
            clean.run(everything=False)
        assert (built / "build" / "kbuild" / "x").exists()
    assert clean.run(everything=False) == 0
    assert not folder.exists()


def test_old_boot_folders_go_but_for_one_in_use(
        scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bochs, "BUILD", scratch)
    for number in range(11):
        (scratch / "lab" / f"run-20250101-00000{number:x}-0").mkdir(parents=True)
    oldest = scratch / "lab" / "run-20240101-000000-0"
    with lab_in(oldest):
        mine = [bochs.boot_folder("run") for _ in range(2)]
        assert oldest.exists() and len(list((scratch / "lab").iterdir())) == 1 + 10 + 1
        assert all(common.is_held(folder) for folder in mine)
    mine.append(bochs.boot_folder("run"))
    assert not oldest.exists() and all(folder.is_dir() for folder in mine)


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
