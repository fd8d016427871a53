# SPDX-License-Identifier: GPL-2.0-only
"""What platforms.toml holds, and that no other file names a Debian, its kernels or its packages."""
from __future__ import annotations

import re

import pytest

from lab import apt, kernels, platforms
from lab.common import ROOT, LabError, UsageError
from test_tree import TEXTS

SUITES = "|".join(one.suite for one in platforms.known())
NUMBERS = "|".join(re.escape(kernel.number) for one in platforms.known() for kernel in one.kernels)
MODELS = "|".join(model for name, model in platforms.cpu_models().items() if model != name)
#: What only the table may say: suites, models of Bochs, versions of tools, packages, kernels.
NAMES = re.compile(rf"{SUITES}|{MODELS}|\b(gcc|g\+\+|clang[a-z-]*|rt)-[0-9]+\b"
                   rf"|linux-(image|headers|binary|modules)-[a-z0-9]"
                   rf"|[\"']({NUMBERS})(-generic)?[\"']")
#: An archive's host has no place anywhere.
HOSTS = re.compile(r"\b(deb|ftp|security|snapshot|archive)\.debian\.org|archive\.ubuntu")
PLACES = re.compile(r"(tools|tests|bench)/.*\.(py|sh|cmake|cpp|hpp|c|h|S|toml)$|.*CMakeLists\.txt$"
                    r"|Containerfile|\.github/.*\.yml|lab$|\.ci/run")
#: They may: data of other systems than those that the lab runs on.
EXCEPT = ("tools/lab/platforms.toml", "tests/static/test_platforms.py",
          "tests/static/test_check.py",     # made-up machines of many distributions
          "tests/static/test_cxx_mk.py",    # made-up compilers
          "tests/docs/test_docs_figures.py",  # made-up results
          "tools/lab/silicon.py")           # other distributions' packages of headers


def said(pattern: re.Pattern[str], places: re.Pattern[str], but: tuple[str, ...]) -> list[str]:
    """Lines of the tree that say what they should not."""
    found = []
    for path in TEXTS:
        name = path.relative_to(ROOT).as_posix()
        if not places.fullmatch(name) or name in but:
            continue
        text = path.read_text(encoding="utf-8")
        found += [f"{name}: {line.strip()}" for line in text.splitlines() if pattern.search(line)]
    return found


def test_nothing_else_names_what_the_table_has() -> None:
    assert platforms.TABLE.relative_to(ROOT).as_posix() == EXCEPT[0]
    assert not said(NAMES, PLACES, EXCEPT)


def test_no_archive_is_named() -> None:
    every = re.compile(r".*\.(py|sh|md|rst|toml|yml|txt)|Containerfile")
    assert not said(HOSTS, every, EXCEPT[1:2])


def test_each_debian_has_two_kernels_by_role() -> None:
    for debian in platforms.known():
        assert len({kernel.role for kernel in debian.kernels}) == 2, debian
        assert {kernel.role for kernel in debian.kernels} <= {"oldest", "stable", "newest"}
        assert all(set(kernel.silent_on) <= set(platforms.cpu_models())
                   for kernel in debian.kernels)


def test_a_kernel_goes_by_role_and_by_number() -> None:
    for role in kernels.BOOTABLE:
        number = kernels.number(role)
        assert kernels.check_name(role) == kernels.check_name(number) == role
        assert kernels.check_name(f"{number}-generic") == f"{role}-generic"
        assert kernels.release(role).startswith(number)
        with pytest.raises(UsageError, match="has no kernel"):
            kernels.check_name(f"{role}-generic", kernels.BOOTABLE)


DEBIAN = platforms.known()[0]
MAIN, SECURITY = "http://one/debian", "http://two/debian-security"


@pytest.mark.parametrize("known, missing", [
    ({DEBIAN.suite: MAIN, f"{DEBIAN.suite}-security": SECURITY}, set()),
    ({"stable": MAIN, "stable-security": SECURITY}, set()),
    ({DEBIAN.suite: MAIN}, {f"{DEBIAN.suite}-security"}),
    ({"noble": "http://three/ubuntu"}, set(DEBIAN.suites)),
], ids=["both", "by another name", "no security", "no Debian"])
def test_suites_come_from_the_mirrors_of_this_machine(known: dict[str, str],
                                                      missing: set[str]) -> None:
    found = apt.sources(DEBIAN, known)
    assert set(DEBIAN.suites) - set(found) == missing
    assert all(address == (SECURITY if "security" in suite else MAIN)
               for suite, address in found.items())


def test_without_a_mirror_the_line_to_add_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "mirrors", lambda: {})
    with pytest.raises(LabError, match=f"deb .*/debian {platforms.debian().suite} main"):
        apt.depends("bochs")


def test_a_missing_suite_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "_prepare", lambda: [])
    monkeypatch.setattr(apt, "_update", lambda options, even_if_new=False: False)
    monkeypatch.setattr(apt, "_depends", lambda options, package, suite: None)
    monkeypatch.setattr(apt, "mirrors", lambda: {platforms.debian().suite: MAIN})
    with pytest.raises(LabError, match=f"{platforms.debian().suite}-security main"):
        apt.depends("linux-of-tomorrow")


def test_apt_of_the_lab_leaves_the_system_alone() -> None:
    """It knows the newest headers, from lists below build/ alone."""
    before = {path: path.stat().st_mtime_ns for path in apt.Path("/var/lib/apt/lists").glob("*")}
    table = platforms.debian().kernels[0]
    found = apt.depends(table.headers, table.suite)
    assert any(name.startswith(f"linux-headers-{table.number}.") for name in found), found
    assert before == {path: path.stat().st_mtime_ns
                      for path in apt.Path("/var/lib/apt/lists").glob("*")}
    listed = list((apt.cache() / "apt" / "state" / "lists").glob("*Packages*"))
    assert len(listed) >= len(platforms.debian().suites) - 1, listed
