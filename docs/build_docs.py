# SPDX-License-Identifier: GPL-2.0-only
"""Builds the book: Doxygen's XML for common/ and each step, then HTML; EPUB and one page if asked.

    python3 docs/build_docs.py [--all] [--out build/docs] [--tables vtx-tables]
                               [--doctor vmcs-doctor]

CMake's targets `docs` and `docs-all`, which `./lab docs [--all]` builds, call it. Any warning of
Doxygen or Sphinx is an error.
"""
from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS / "_ext")]
sys.dont_write_bytecode = True

import doxygen_filter  # noqa: E402
from vtxbook import paths, stepdiff  # noqa: E402

#: Words that Doxygen's parser of C++ does not know.
PREDEFINED = ["__init=", "__exit=", "__packed=", "__attribute__(x)=", "asm(x)=", "asm=",
              "module_init(x)=", "module_exit(x)=", "__cplusplus=202002L"]


def projects() -> dict[str, list[Path]]:
    """The headers of common/ and of the doctor's rules, a project for each page about them, and of
    each step its own."""
    headers = (".h", ".hpp")
    result: dict[str, list[Path]] = {"kernel": [], "vmx": [], "x86": [], "entry_checks": []}
    for file in sorted((paths.ROOT / "common").rglob("*")):
        if file.suffix not in headers or "freestanding" in file.parts or file.name.startswith("."):
            continue
        if file.parent.name == "kernel":
            continue  # what the files there share among themselves
        result[file.parent.name if file.parent.name in result else "kernel"].append(file)
    # The rules themselves are rows of tables; what a caller uses is declared in these. A project of
    # its own: Doxygen confuses vtx::Failure and vtx::entry_checks::Failure.
    result["entry_checks"] = [paths.ROOT / f"doctor/rules/{name}.hpp"
                              for name in ("entry_checks", "verdict", "processor", "ept_walk")]
    for folder in paths.steps():
        own = [p for p in stepdiff.own_files(folder) if p.suffix in headers]
        result[f"step{folder.name[4:6]}"] = own
    return result


def doxyfile(name: str, files: list[Path], out: Path) -> str:
    """The configuration of one project, whose files lie below out/source/."""
    options = {
        "PROJECT_NAME": name, "OUTPUT_DIRECTORY": out / "xml" / name, "QUIET": "YES",
        "WARN_AS_ERROR": "FAIL_ON_WARNINGS",
        # In common/ every public name has its contract; in a step's plain structs a name says it.
        "WARN_IF_UNDOCUMENTED": "NO" if name.startswith("step") else "YES",
        "WARN_NO_PARAMDOC": "NO",
        "WARN_IF_INCOMPLETE_DOC": "NO", "EXCLUDE_SYMBOLS": "*::detail*",
        "WARNINGS": "YES", "INPUT": " ".join(f'"{f}"' for f in files),
        "GENERATE_HTML": "NO", "GENERATE_LATEX": "NO", "GENERATE_XML": "YES",
        "XML_OUTPUT": ".", "XML_PROGRAMLISTING": "NO", "EXTRACT_ALL": "NO",
        "DISTRIBUTE_GROUP_DOC": "YES",
        "EXTRACT_STATIC": "YES", "JAVADOC_AUTOBRIEF": "YES", "EXTENSION_MAPPING": "h=C++",
        "STRIP_FROM_PATH": out / "source", "MACRO_EXPANSION": "YES", "EXPAND_ONLY_PREDEF": "YES",
        "PREDEFINED": " ".join(f'"{p}"' for p in PREDEFINED), "SEARCH_INCLUDES": "NO",
        "MAX_INITIALIZER_LINES": 3, "SORT_MEMBER_DOCS": "NO", "AUTOLINK_SUPPORT": "NO",
        "ALIASES": r'"sdm{1}=\verbatim embed:rst:inline :sdm:`\1` \endverbatim"',
    }
    return "".join(f"{key} = {value}\n" for key, value in options.items())


def doxygen(name: str, files: list[Path], out: Path) -> str:
    """Runs Doxygen for one project, unless nothing changed. Returns its complaints."""
    folder = out / "xml" / name
    folder.mkdir(parents=True, exist_ok=True)
    texts = {out / "source" / file.relative_to(paths.ROOT):
             doxygen_filter.expanded(file.read_text(encoding="utf-8")) for file in files}
    config = doxyfile(name, list(texts), out)
    digest = hashlib.sha256("\0".join([config, *texts.values()]).encode()).hexdigest()
    stamp = folder / "stamp"
    if stamp.is_file() and stamp.read_text() == digest:
        return ""
    for old in folder.iterdir():
        old.unlink()
    for copy, text in texts.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8")
    if texts:
        (folder / "Doxyfile").write_text(config, encoding="utf-8")
        run = subprocess.run(["doxygen", str(folder / "Doxyfile")], text=True, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if run.returncode != 0 or run.stdout.strip():
            return run.stdout.replace(f"{out / 'source'}/", "") or f"doxygen failed for {name}\n"
    stamp.write_text(digest)
    return ""


def all_xml(out: Path) -> bool:
    """Doxygen for every project, two at a time. True if none complained."""
    before = set((out / "xml").rglob("*.xml"))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        complaints = list(pool.map(lambda item: doxygen(*item, out), projects().items()))
    if before - set((out / "xml").rglob("*.xml")):
        # Breathe looks for all files that it read the last time, and fails if a header is gone.
        shutil.rmtree(out / "doctrees", ignore_errors=True)
    sys.stderr.write("".join(complaints))
    return not any(complaints)


def sphinx(builder: str, out: Path, doctrees: Path, *options: str) -> bool:
    """Runs one of Sphinx's builders. In one process: a second one would cost more than it saves."""
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", *options,
               "-b", builder, "-d", str(doctrees), str(DOCS), str(out / builder)]
    environment = {**os.environ, "VTX_DOCS_BUILD": str(out), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=environment, check=False).returncode == 0


def html(out: Path) -> bool:
    """The pages; only those that changed, if there are others already."""
    good = sphinx("html", out, out / "doctrees")
    if not good:
        # What was read is not read again, so its warnings would be forgotten the next time.
        shutil.rmtree(out / "doctrees")
    return good


def other_forms(out: Path) -> bool:
    """EPUB and one page, at the same time, each from a copy of what was read for the pages."""
    def make(builder: str) -> bool:
        doctrees = out / f"doctrees-{builder}"
        shutil.rmtree(doctrees, ignore_errors=True)
        shutil.copytree(out / "doctrees", doctrees)
        return sphinx(builder, out, doctrees, "-a")

    with ThreadPoolExecutor(2) as pool:
        return all(list(pool.map(make, ("epub", "singlehtml"))))


def write_output(command: list[str], file: Path) -> None:
    """Keeps what a program prints: tables, from the headers that the modules are compiled from."""
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    if not file.is_file() or file.read_bytes() != text:
        file.write_bytes(text)


def main() -> int:
    """Builds what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=paths.ROOT / "build" / "docs")
    parser.add_argument("--tables", help="the program vtx-tables")
    parser.add_argument("--doctor", help="the program vmcs-doctor")
    parser.add_argument("--all", action="store_true", help="an EPUB and one page, too")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if args.tables:
        write_output([args.tables], out / "tables.json")
    if args.doctor:
        write_output([args.doctor, "--rules"], out / "rules.tsv")
    stages = [("Doxygen", all_xml), ("HTML", html)]
    if args.all:
        stages.append(("EPUB and one page", other_forms))
    good = True
    for name, stage in stages:
        start = time.monotonic()
        good = good and stage(out)
        print(f"docs: {name}: {time.monotonic() - start:.1f} s", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
