# SPDX-License-Identifier: GPL-2.0-only
"""The lab on other systems: the container, the book, the trees of Debian, the workflow."""
from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lab import container, debian_tree, docs, platforms, test
from lab.common import ROOT

CALLS = '#!/bin/sh\necho "$(basename "$0") $*" >>"$(dirname "$0")/called"\n'


def on(scratch: Path, system: str, words: list[str], path: str | None = None
       ) -> subprocess.CompletedProcess[str]:
    """Runs ./lab without a terminal on a system that calls itself so."""
    (scratch / "os-release").write_text(f'ID={system}\nPRETTY_NAME="{system.title()} Linux"\n')
    environment = {**os.environ, "VTX_OS_RELEASE": str(scratch / "os-release"),
                   "PATH": path or f"{scratch}:{os.environ['PATH']}"}
    return subprocess.run([str(ROOT / "lab"), *words], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          env=environment)


def program(scratch: Path, name: str, text: str = CALLS) -> Path:
    """A program in a folder that comes first in PATH."""
    (scratch / name).write_text(text)
    (scratch / name).chmod(0o755)
    return scratch / "called"


def test_the_container_is_offered(scratch: Path) -> None:
    """With podman there: its commands are shown; with --yes they run, with the same words."""
    called = program(scratch, "podman")
    shown = on(scratch, "fedora", ["run", "04"])
    assert shown.returncode == 2 and "Fedora Linux" in shown.stdout
    assert platforms.names() in shown.stdout
    assert "podman build" in shown.stderr and "./lab run 04" in shown.stderr
    assert not called.exists()
    assert on(scratch, "fedora", ["run", "04", "--yes"]).returncode == 0
    build, run = called.read_text().splitlines()
    assert "build" in build and "Containerfile" in build
    assert run.endswith("./lab run 04 --yes") and f"-v {ROOT}:{ROOT}" in run
    assert "--device" not in run


def test_without_an_engine_its_package_is_named(scratch: Path) -> None:
    (scratch / "python3").symlink_to(sys.executable)
    (scratch / "env").symlink_to("/usr/bin/env")
    result = on(scratch, "arch", ["run"], path=str(scratch))
    assert result.returncode == 2
    assert "pacman -S podman" in result.stderr


@pytest.mark.parametrize("arguments, there, given", [
    (["run", "--kvm"], True, True), (["run", "--kvm"], False, False), (["run"], True, False)])
def test_the_container_gets_kvm_when_it_is_asked_for(
        arguments: list[str], there: bool, given: bool, scratch: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    device = scratch / "kvm"
    if there:
        device.touch()
    monkeypatch.setattr(container, "KVM", device)
    for engine in ("podman", "docker"):
        assert (f"--device {device}" in " ".join(container._start(engine, arguments))) == given


def test_the_container_has_the_newest_debian_and_its_packages(scratch: Path) -> None:
    """Containerfile takes its list from platforms.py, run as a program in that Debian."""
    newest = platforms.known()[-1]
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    assert re.findall(r"^FROM (\S+)$", text, re.MULTILINE) == [
        f"docker.io/library/debian:{newest.version}"]
    (copied,) = re.findall(r"^COPY (.*) /opt/$", text, re.MULTILINE)
    for name in copied.split():
        (scratch / Path(name).name).write_bytes((ROOT / name).read_bytes())
    (scratch / "os-release").write_text(f"ID=debian\nVERSION_ID={newest.version}\n")
    (command,) = re.findall(r"\$\(python3 /opt/(\S+)\)", text)
    listed = subprocess.run(
        [sys.executable, str(scratch / command)], text=True, stdout=subprocess.PIPE, check=True,
        env={**os.environ, "VTX_OS_RELEASE": str(scratch / "os-release")}).stdout.split()
    assert sorted(listed) == sorted({name for names in newest.packages.values() for name in names})


def test_the_workflow_runs_every_debian() -> None:
    text = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    assert re.findall(r"^ +- debian: (\d+)$", text, re.MULTILINE) == [
        debian.version for debian in platforms.known()]
    assert "image: debian:${{ matrix.debian }}" in text and "--privileged" in text


def test_the_book_is_built_wherever_its_tools_are(scratch: Path) -> None:
    """CMake is asked at once, since nothing is missing; here its place is taken."""
    program(scratch, "cmake")
    called = program(scratch, "podman")
    result = on(scratch, "fedora", ["docs"])
    assert result.returncode == 0, result.stdout + result.stderr
    assert called.read_text().splitlines() == [
        "cmake --preset default", "cmake --build --preset default --target docs"]


def test_what_the_book_lacks_is_named_before_the_container(scratch: Path) -> None:
    for name in ("python3", "env", "setpriv"):
        (scratch / name).symlink_to(sys.executable if name == "python3" else f"/usr/bin/{name}")
    called = program(scratch, "podman")
    result = on(scratch, "fedora", ["docs", "--all"], path=str(scratch))
    assert result.returncode == 2
    for name in ("Fedora Linux", *docs.COMMANDS, "a C++ compiler", "GoogleTest"):
        assert name in result.stdout
    assert "./lab docs --all" in result.stderr and not called.exists()


def test_python_modules_that_the_book_lacks_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not docs.missing()
    monkeypatch.setitem(docs.MODULES, "Nothing", "vtx_no_such_module")
    assert docs.missing() == [f"Nothing for {docs.PYTHON}"]


def test_a_command_runs_in_a_tree_and_leaves_no_mount(scratch: Path) -> None:
    """The tree is this system's /usr in an empty folder. Skipped where nobody may mount."""
    if why := debian_tree.obstacle():
        pytest.skip(why)
    for name in ("proc", "sys", "dev", "usr", "mine", "theirs"):
        (scratch / name).mkdir()
    for name in ("bin", "lib", "lib64", "sbin"):
        (scratch / name).symlink_to(f"usr/{name}")
    command = debian_tree.command_in(
        scratch, ["sh", "-c", "mount; touch /fixed/x; touch /own/y; unshare --mount"
                  " --propagation private true && echo nested; exit 7"],
        binds=(("ro", Path("/usr"), "usr"), ("ro", scratch / "theirs", "fixed"),
               ("rw", scratch / "mine", "own")))
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            check=False)
    assert result.returncode == 7, result.stdout
    assert " on /proc type proc (ro" in result.stdout and "nested" in result.stdout
    assert "cannot touch '/fixed/x'" in result.stdout and not list((scratch / "theirs").iterdir())
    assert (scratch / "mine" / "y").exists()
    assert str(scratch) not in Path("/proc/self/mounts").read_text(encoding="utf-8")


@pytest.fixture
def suite(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tests/debian13/run.py, whose commands run here in place of a tree."""
    spec = importlib.util.spec_from_file_location("debian13", ROOT / "tests/debian13/run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "debian13", module)  # dataclasses look there
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "OWN_BUILD", scratch)
    monkeypatch.setattr(debian_tree, "command_in", lambda tree, command, **_: command[4:])
    monkeypatch.delenv("VTX_TEST_K", raising=False)
    monkeypatch.setattr(sys, "argv", ["run.py", "--junit", str(scratch / "debian13.xml")])
    return module


def counted(scratch: Path) -> str:
    (scratch / "ctest.xml").write_text("<testsuite/>")
    return test.total(scratch, scratch / "ctest.xml").line()


@pytest.mark.parametrize("script, report, counts", [
    ("exit 0", "", "1 passed, 0 failed, 0 skipped"),
    ("exit 3", "", "0 passed, 1 failed, 0 skipped"),
    ("exit 0", "<s><testcase/><testcase/></s>", "2 passed, 0 failed, 0 skipped"),
    ("exit 1", "<s><testcase/><testcase><error/></testcase></s>", "1 passed, 1 failed, 0 skipped"),
    ("exit 2", "<s><testcase/></s>", "1 passed, 1 failed, 0 skipped"),
    ("exit 0", "<s/>", "0 passed, 1 failed, 0 skipped"),
    ("exit 0", "none", "0 passed, 1 failed, 0 skipped"),
])
def test_parts_of_the_suite_are_counted(script: str, report: str, counts: str, scratch: Path,
                                        suite: ModuleType) -> None:
    write = f"echo '{report}' >{scratch}/own; " if report.startswith("<") else ""
    part = suite.Part("part", ["sh", "-c", write + script], "own" if report else "")
    suite.write(scratch / "debian13.xml", suite.carry_out(part))
    assert counted(scratch) == counts


def test_a_skip_of_the_suite_is_told_and_counted(
        scratch: Path, suite: ModuleType, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(debian_tree, "obstacle", lambda: "there is no root here")
    assert suite.main() == 0
    assert "SKIPPED: there is no root here" in capsys.readouterr().out
    assert counted(scratch) == "0 passed, 0 failed, 1 skipped"
