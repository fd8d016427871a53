# SPDX-License-Identifier: GPL-2.0-only
"""The command line: help, refusals in words, and that nothing is left behind."""
from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import bochs, cli, packages, proc
from lab.common import BUILD, ROOT, LabError, UsageError, is_held

COMMANDS = ("run", "linux", "shell", "debug", "test", "soak", "bench", "build", "diff", "sync",
            "copy", "compile-commands", "exercise", "grade", "progress", "check", "setup", "docs",
            "clean")


def lab(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs ./lab without a terminal."""
    environment = {**os.environ, **options.pop("env", {})}  # type: ignore[dict-item]
    return subprocess.run([str(ROOT / "lab"), *words], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          env=environment, **options)  # type: ignore[call-overload]


def test_no_arguments_print_help() -> None:
    result = lab()
    assert result.returncode == 0
    assert all(f" {command} " in result.stdout or f"{command}\n" in result.stdout
               for command in COMMANDS), result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_examples(command: str) -> None:
    result = lab(command, "--help")
    assert result.returncode == 0
    assert "Examples:" in result.stdout and f"./lab {command}" in result.stdout


@pytest.mark.parametrize("words, reason", [
    (["fly"], "invalid choice"),
    (["run", "99"], "no step '99'"),
    (["run", "--cpus", "0"], "--cpus 0"),
    (["run", "--cpus", "many"], "invalid int"),
    (["run", "--kvm", "--cpu", "haswell"], "--cpu and --kvm"),
    (["run", "--kvm", "--cpus", "9"], "--cpus 9"),
    (["run", "--cpu", "z80"], "no CPU model 'z80'"),
    (["run", "--cpu", "ryzen"], "does not start"),
    (["run", "--kernel", "2.6"], "no kernel '2.6'"),
    (["run", "00", "--param", "nonsense"], "NAME=VALUE"),
    (["build", "--kernel", "nope"], "no kernel 'nope'"),
    (["setup", "kitchen"], "no group 'kitchen'"),
    (["diff", "00"], "required"),
    (["diff", "00", "01", "nothing.here"], "nothing.here"),
    (["copy", "00", "/"], "exists already"),
    (["copy", "00", "/nowhere/at/all"], "no folder"),
    (["shell"], "needs a terminal"),
    (["linux"], "needs a terminal"),
    (["linux", "--memory", "0"], "--memory 0: a guest of step 10 has 1 to 512 MiB"),
    (["linux", "--memory", "513"], "--memory 513"),
    (["linux", "--initrd", "nothing.here"], "--initrd nothing.here: there is no such file"),
    (["linux", "--initrd", "lab", "--memory", "0"], "--memory 0"),
    (["linux", "--kernel", "2.6"], "no kernel '2.6'"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_bad_arguments_are_refused_in_a_sentence(words: list[str], reason: str) -> None:
    result = lab(*words)
    assert result.returncode == 2
    assert reason in result.stderr, result.stderr
    assert "Traceback" not in result.stderr


def test_check_changes_nothing_and_succeeds() -> None:
    result = lab("check")
    assert result.returncode == 0
    for word in ("VT-x", "kernel headers", "Secure Boot", "packages: lab", "other hypervisors"):
        assert word in result.stdout


def test_without_rights_the_exact_line_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not root, nobody to ask, no --yes: exit status 2 and the line to type."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(packages.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(sys, "stdin", open(os.devnull, encoding="ascii"))
    with pytest.raises(UsageError) as refusal:
        packages.install(["bochs-term", "xorriso"], yes=False)
    assert "sudo apt-get install --no-install-recommends bochs-term xorriso" in str(refusal.value)
    assert refusal.value.status == 2


def test_only_what_is_missing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[str] = []
    every = packages.needed(["build"])
    monkeypatch.setattr(packages, "installed", lambda: set(every[1:]))
    monkeypatch.setattr(packages, "install", lambda names, yes: wanted.extend(names))
    packages.ensure(every, yes=True)
    assert wanted == every[:1]


def test_unknown_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_unknown", lambda names: list(names))
    with pytest.raises(LabError, match="Is there an archive of Debian"):
        packages.refuse_unknown(["bochs"])


def boot_folders() -> set[Path]:
    return set((BUILD / "lab").glob("run-*"))


def processes_in(folders: set[Path]) -> list[str]:
    """Processes whose working directory is one of some boot folders: Bochs, if it still runs."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if Path(os.readlink(link)) in folders:
                found.append(link.parent.name)
        except OSError:
            continue
    return found


def start_and_wait_for_bochs() -> tuple[subprocess.Popen[str], set[Path]]:
    """Starts ./lab run 00 and waits until the emulator runs."""
    before = boot_folders()
    child = subprocess.Popen([str(ROOT / "lab"), "run", "00"], stdin=subprocess.DEVNULL, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             start_new_session=True)
    end = time.monotonic() + 180
    while time.monotonic() < end and child.poll() is None:
        new = {path for path in boot_folders() - before if is_held(path)}
        if new and processes_in(new) and (new.copy().pop() / "bochs.log").exists():
            return child, new
        time.sleep(0.1)
    child.kill()
    pytest.fail(f"no emulator: {child.communicate()[0]}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_stopped_lab_leaves_no_process(number: signal.Signals) -> None:
    """Ctrl-C, a closed terminal, even kill -9: the emulator goes with the lab."""
    child, folders = start_and_wait_for_bochs()
    os.kill(child.pid, number)
    output = child.communicate(timeout=30)[0]
    end = time.monotonic() + 5
    while processes_in(folders) and time.monotonic() < end:
        time.sleep(0.1)
    assert not processes_in(folders)
    if number != signal.SIGKILL:
        assert child.returncode == 130
        assert "nothing is left running" in output and "Traceback" not in output


def test_two_labs_at_once_do_not_disturb_each_other() -> None:
    children = [subprocess.Popen([str(ROOT / "lab"), "run", "00"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                for _ in range(2)]
    outputs = [child.communicate(timeout=600)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    assert len({re.findall(r"Kernel log: (\S+)", output)[0] for output in outputs}) == 2
    assert all(re.search(r"^step00-makefile +ok", output, re.MULTILINE) for output in outputs)


def test_files_of_the_emulator_are_bounded(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    """A fault loop once wrote 2.9 GB: with a small bound, the boot ends and says why."""
    monkeypatch.setattr(bochs, "FILE_LIMIT", 4096)
    boot = bochs.Boot(scratch / "boot", bochs.Machine(), {"lab/scenario": "true\n"})
    outcome = boot.run(limit=120)
    assert outcome.kind == "log size", outcome
    assert max(path.stat().st_size for path in (boot.log, boot.console) if path.exists()) <= 4096
    assert "log" in boot.explain(outcome)


def test_time_of_the_emulator_is_bounded(scratch: Path) -> None:
    boot = bochs.Boot(scratch / "boot", bochs.Machine(), {"lab/scenario": "true\n"})
    outcome = boot.run(limit=2)
    assert outcome.kind == "timeout" and outcome.seconds < 15
    assert not processes_in({boot.folder})


def test_grandchildren_end_with_their_parent(scratch: Path) -> None:
    """stop() reaches what a child has started, too."""
    child = proc.spawn(["sh", "-c", "sleep 600 & echo $! >pid; wait"], cwd=scratch)
    while not (scratch / "pid").exists() or not (scratch / "pid").read_text().strip():
        time.sleep(0.05)
    grandchild = (scratch / "pid").read_text().strip()
    proc.stop(child)
    status = Path("/proc", grandchild, "stat")
    assert not status.exists() or status.read_text().split()[2] == "Z"


def lab_commands_in_the_text() -> list[tuple[str, str]]:
    """Where a page or a README gives a command of the lab, and its arguments."""
    pages = [*ROOT.glob("docs/**/*.rst"), *ROOT.glob("*.md"), *ROOT.glob("*/README.md")]
    return [(f"{page.relative_to(ROOT)}: {found[0]}", re.sub(r"\s+#.*", "", found[1]))
            for page in pages
            for found in re.finditer(r"(?:^ *\$ |^|`)\./lab( [^`\n]*)?", page.read_text("utf-8"),
                                     re.MULTILINE) if found[1]]


def test_commands_in_the_text_are_commands(capsys: pytest.CaptureFixture[str]) -> None:
    commands = lab_commands_in_the_text()
    assert len(commands) > 100
    wrong = []
    for where, arguments in commands:
        try:
            cli._parser().parse_args(shlex.split(arguments))
        except SystemExit as end:
            if end.code:
                wrong.append(f"{where}: {capsys.readouterr().err.splitlines()[-1]}")
    assert not wrong, "\n".join(wrong)
