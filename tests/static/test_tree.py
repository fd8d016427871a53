# SPDX-License-Identifier: GPL-2.0-only
"""The rules of the house, as far as a program can see them in the tree."""
from __future__ import annotations

import contextlib
import fnmatch
import io
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from lab import build, cli, platforms, steps
from lab.common import ROOT, step_folders

#: Kinds of file that carry an SPDX line. (Books and READMEs are CC-BY-4.0 as a whole: LICENSE.)
SOURCES = ("*.c", "*.cpp", "*.hpp", "*.h", "*.S", "*.def", "*.py", "*.mk", "*.cmake", "*.sh",
           "*.yml", "Makefile", "Kbuild", "CMakeLists.txt", "Containerfile", "lab", "run",
           "console",
           ".editorconfig", ".clang-format", ".clang-tidy", ".gitignore", "*.ini")
LONGEST = 300  # lines of a source file without a reason


def all_files() -> list[Path]:
    """The files of the checkout: what git tracks or would, else all but what is built."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        check=False)
    if listed.returncode == 0:
        names = [Path(os.fsdecode(name)) for name in listed.stdout.split(b"\0") if name]
    else:
        names = [name for name in build.sources(ROOT) if name.parts[0] != "build"]
    return sorted({ROOT / name for name in names if (ROOT / name).exists()})


FILES = all_files()
TEXTS = [path for path in FILES if b"\0" not in path.read_bytes()[:8192]]
SOURCE_FILES = [path for path in TEXTS
                if any(fnmatch.fnmatch(path.name, pattern) for pattern in SOURCES)]


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def none(found: list[str], hint: str = "") -> None:
    """Fails with the whole list of what should not be there, one a line."""
    if found:
        pytest.fail("\n".join([hint, *found]).strip(), pytrace=False)


def test_there_are_files_to_look_at() -> None:
    """Guards the others, which would succeed on an empty list."""
    assert len(SOURCE_FILES) > 20
    assert ROOT / "lab" in SOURCE_FILES


def test_every_source_file_has_an_spdx_line() -> None:
    bare = [path for path in SOURCE_FILES
            if not any("SPDX-License-Identifier: " in line
                       for line in path.read_text(encoding="utf-8").splitlines()[:2])]
    none(names(bare))


def test_there_are_no_symbolic_links() -> None:
    none(names([path for path in FILES if path.is_symlink()]))


def test_long_files_say_why() -> None:
    """A source file of more than 300 lines has a comment `long-file: reason` near its top."""
    silent = [path for path in SOURCE_FILES
              if len(lines := path.read_text(encoding="utf-8").splitlines()) > LONGEST
              and not any(re.search(r"long-file: \w", line) for line in lines[:30])]
    none(names(silent))


def test_no_absolute_path_of_one_machine() -> None:
    """Scripts that run in the guest, and pages that show them, may name its /tmp and /root."""
    anywhere = re.compile(r"(?<![\w.~$}])/(work|home|farm)/\w")
    on_the_host = re.compile(r"(?<![\w.~$}])/(tmp|work|home|root|farm)/\w")
    found = []
    for path in TEXTS:
        place = path.relative_to(ROOT)
        pattern = anywhere if place.parts[:2] == ("tests", "lab") or place.parts[0] == "docs" else (
            on_the_host)
        found += [f"{place}:{number}: {line.strip()[:80]}" for number, line
                  in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
                  if pattern.search(line)]
    none(found)


@pytest.mark.parametrize("folder", step_folders(), ids=lambda folder: folder.name)
def test_readme_tells_the_truth_about_its_files(folder: Path) -> None:
    """The table "In this folder": complete, and new / changed / as in NN byte for byte."""
    none(steps.lies(folder))


def editorconfig() -> list[tuple[list[str], dict[str, str]]]:
    """The sections of .editorconfig: patterns and settings."""
    sections: list[tuple[list[str], dict[str, str]]] = []
    for line in (ROOT / ".editorconfig").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"\[(.*)\]", line):
            inner = re.fullmatch(r"(.*)\{(.*)\}", heading.group(1))
            patterns = ([inner.group(1) + word for word in inner.group(2).split(",")] if inner
                        else [heading.group(1)])
            sections.append((patterns, {}))
        elif "=" in line and sections:
            name, value = line.split("=", 1)
            sections[-1][1][name.strip()] = value.strip()
    return sections


def style_faults(path: Path, settings: dict[str, str]) -> list[str]:
    """Where a file breaks its settings."""
    text = path.read_bytes().decode("utf-8")
    faults = []
    if settings.get("end_of_line") == "lf" and "\r" in text:
        faults.append("carriage return")
    if settings.get("insert_final_newline") == "true" and text and not text.endswith("\n"):
        faults.append("no newline at the end")
    longest = int(settings.get("max_line_length", "100000"))
    table = False  # a table aligned in columns may be as wide as it needs
    for number, line in enumerate(text.splitlines(), 1):
        table = "clang-format off" in line or (table and "clang-format on" not in line)
        if settings.get("trim_trailing_whitespace") == "true" and line != line.rstrip():
            faults.append(f"line {number}: space at its end")
        if settings.get("indent_style") == "space" and re.match(r" *\t", line):
            faults.append(f"line {number}: tab")
        if settings.get("indent_style") == "tab" and line.startswith(" " * 8):
            faults.append(f"line {number}: spaces for a tab")
        if len(line.expandtabs(8)) > longest and not table:
            faults.append(f"line {number}: longer than {longest}")
    return faults


def test_editorconfig_is_kept() -> None:
    sections = editorconfig()
    faults = []
    for path in TEXTS:
        settings: dict[str, str] = {}
        for patterns, values in sections:
            if any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns):
                settings.update(values)
        faults += [f"{path.relative_to(ROOT)}: {fault}" for fault in style_faults(path, settings)]
    none(faults)


def test_clang_format_is_kept() -> None:
    """By one Debian's clang-format: later ones indent `requires` and break macros otherwise."""
    if platforms.debian() != (first := platforms.known()[0]):
        pytest.skip(f"the sources are formatted by the clang-format of {first}")
    files = [str(path) for path in SOURCE_FILES if path.suffix in (".cpp", ".hpp")]
    assert files
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *files],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            check=False)
    wrong = sorted({line.split(":")[0] for line in result.stdout.splitlines() if "error:" in line})
    none(names([Path(name) for name in wrong]),
         "run: git ls-files '*.cpp' '*.hpp' | xargs clang-format -i")
    assert result.returncode == 0, result.stdout


def commands_in_texts() -> list[tuple[str, str]]:
    """Where a README or a page of the book shows a ./lab command, and the command."""
    found = []
    for path in TEXTS:
        if path.suffix not in (".md", ".rst"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for command in re.findall(r"(?:^\s*|`|\$ )(\./lab(?: [^`#|]*)?)(?:`|#|\||$)", line):
                found.append((f"{path.relative_to(ROOT)}:{number}", command.strip()))
    return found


@pytest.mark.parametrize("place, command", commands_in_texts(), ids=lambda value: value)
def test_shown_lab_command_exists(place: str, command: str) -> None:
    """Whatever a text tells the reader to type is accepted by the command line."""
    words = [word for word in shlex.split(command.replace("[", "").replace("]", ""))[1:]
             if word != "…"]
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            cli._parser().parse_args(words)
    except SystemExit as end:
        assert not end.code, f"{place}: {command}: {errors.getvalue().splitlines()[-1]}"


def test_shown_make_folders_exist() -> None:
    wrong = []
    for path in TEXTS:
        if path.suffix in (".md", ".rst"):
            for folder in re.findall(r"make -C (step\d\d-[\w-]+)",
                                     path.read_text(encoding="utf-8")):
                if not (ROOT / folder).is_dir():
                    wrong.append(f"{path.relative_to(ROOT)}: {folder}")
    none(wrong)
