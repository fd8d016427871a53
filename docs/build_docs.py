# SPDX-License-Identifier: GPL-2.0-only
"""Builds the book: Doxygen's XML for common/ and for each step, then HTML, EPUB and one page.

    python3 docs/build_docs.py [--out build/docs] [--tables vtx-tables] [--doctor vmcs-doctor]
                               [BUILDER…]

CMake's target `docs` and `./lab docs` call it. Any warning of Doxygen or Sphinx is an error.
"""
from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_ext"))
sys.dont_write_bytecode = True

from vtxbook import paths, stepdiff  # noqa: E402

BUILDERS = ("html", "epub", "singlehtml")

#: Words that Doxygen's parser of C++ does not know.
PREDEFINED = ["__init=", "__exit=", "__packed=", "__attribute__(x)=", "asm(x)=", "asm=",
              "module_init(x)=", "module_exit(x)=", "__cplusplus=202002L"]


def projects() -> dict[str, list[Path]]:
    """The headers of common/, and of each step those that it wrote or changed."""
    headers = (".h", ".hpp")
    common = [p for p in (paths.ROOT / "common").rglob("*") if p.suffix in headers
              and "freestanding" not in p.parts and not p.name.startswith(".")]
    # A project of its own: Doxygen confuses vtx::Failure and vtx::entry_checks::Failure.
    checks = [p for p in common if "entry_checks" in str(p)]
    # The rules themselves are rows of tables; what a caller uses is declared in these.
    public = [p for p in checks if p.stem in ("entry_checks", "verdict", "processor")]
    result = {"common": sorted(set(common) - set(checks)), "entry_checks": sorted(public)}
    for folder in paths.steps():
        own = [p for p in stepdiff.own_files(folder) if p.suffix in headers]
        result[f"step{folder.name[4:6]}"] = own
    return result


def doxyfile(name: str, files: list[Path], out: Path) -> str:
    """The configuration of one project."""
    options = {
        "PROJECT_NAME": name, "OUTPUT_DIRECTORY": out, "QUIET": "YES", "WARN_AS_ERROR":
        "FAIL_ON_WARNINGS",
        # In common/ every public name has its contract; in a step's plain structs a name says it.
        "WARN_IF_UNDOCUMENTED": "NO" if name.startswith("step") else "YES",
        "WARN_NO_PARAMDOC": "NO",
        "WARN_IF_INCOMPLETE_DOC": "NO", "EXCLUDE_SYMBOLS": "*::detail*",
        "WARNINGS": "YES", "INPUT": " ".join(f'"{f}"' for f in files),
        "GENERATE_HTML": "NO", "GENERATE_LATEX": "NO", "GENERATE_XML": "YES",
        "XML_OUTPUT": ".", "XML_PROGRAMLISTING": "NO", "EXTRACT_ALL": "NO",
        "EXTRACT_STATIC": "YES", "JAVADOC_AUTOBRIEF": "YES", "EXTENSION_MAPPING": "h=C++",
        "STRIP_FROM_PATH": paths.ROOT, "MACRO_EXPANSION": "YES", "EXPAND_ONLY_PREDEF": "YES",
        "PREDEFINED": " ".join(f'"{p}"' for p in PREDEFINED), "SEARCH_INCLUDES": "NO",
        "INPUT_FILTER": f'"{sys.executable} {DOCS / "doxygen_filter.py"}"',
        "MAX_INITIALIZER_LINES": 3, "SORT_MEMBER_DOCS": "NO", "AUTOLINK_SUPPORT": "NO",
        "ALIASES": r'"sdm{1}=\verbatim embed:rst:inline :sdm:`\1` \endverbatim"',
    }
    return "".join(f"{key} = {value}\n" for key, value in options.items())


def doxygen(name: str, files: list[Path], out: Path) -> str:
    """Runs Doxygen for one project, unless nothing changed. Returns its complaints."""
    folder = out / "xml" / name
    folder.mkdir(parents=True, exist_ok=True)
    config = doxyfile(name, files, folder)
    tables = sorted((paths.ROOT / "common").rglob("*.def")) + [DOCS / "doxygen_filter.py"]
    digest = hashlib.sha256(config.encode() + b"".join(f.read_bytes() for f in files + tables))
    stamp = folder / "stamp"
    if stamp.is_file() and stamp.read_text() == digest.hexdigest():
        return ""
    for old in folder.iterdir():
        old.unlink()
    if files:
        (folder / "Doxyfile").write_text(config, encoding="utf-8")
        run = subprocess.run(["doxygen", str(folder / "Doxyfile")], text=True, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if run.returncode != 0 or run.stdout.strip():
            return run.stdout.replace(f"{paths.ROOT}/", "") or f"doxygen failed for {name}\n"
    stamp.write_text(digest.hexdigest())
    return ""


def all_xml(out: Path) -> bool:
    """Doxygen for every project, two at a time. True if none complained."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        complaints = list(pool.map(lambda item: doxygen(*item, out), projects().items()))
    sys.stderr.write("".join(complaints))
    return not any(complaints)


def sphinx(builder: str, out: Path) -> bool:
    """Runs one of Sphinx's builders; they share what they read of the sources."""
    # All pages are written (-a), for a search index of some of them would lack index entries.
    command = [sys.executable, "-m", "sphinx", "-q", "-a", "-n", "-W", "--keep-going", "-j", "2",
               "-b", builder, "-d", str(out / "doctrees"), str(DOCS), str(out / builder)]
    environment = {**os.environ, "VTX_DOCS_BUILD": str(out), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=environment, check=False).returncode == 0


def write_output(command: list[str], file: Path) -> None:
    """Keeps what a program prints: tables, from the headers that the modules are compiled from."""
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    if not file.is_file() or file.read_bytes() != text:
        file.write_bytes(text)


def main() -> int:
    """Builds what is asked for; all of it without arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=paths.ROOT / "build" / "docs")
    parser.add_argument("--tables", help="the program vtx-tables")
    parser.add_argument("--doctor", help="the program vmcs-doctor")
    parser.add_argument("builders", nargs="*", default=list(BUILDERS))
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    good = True
    if args.tables:
        write_output([args.tables], out / "tables.json")
    if args.doctor:
        write_output([args.doctor, "--rules"], out / "rules.tsv")
    stages = [("Doxygen", lambda: all_xml(out))]
    stages += [(builder, lambda builder=builder: sphinx(builder, out))
               for builder in args.builders]
    for name, stage in stages:
        start = time.monotonic()
        good = stage() and good
        print(f"docs: {name}: {time.monotonic() - start:.1f} s", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
