# SPDX-License-Identifier: GPL-2.0-only
"""What the sources of the book may contain: no code that is typed, no line numbers."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab import bench_report
from lab.common import ROOT, SHARED, shown

PAGES = sorted((ROOT / "docs").rglob("*.rst"))
CHAPTERS = sorted((ROOT / "docs" / "steps").glob("[0-9]*.rst"))
#: What may be typed into a page: what a person types or reads in a terminal.
TYPED = {"console", "text"}
#: The order of a chapter. Step 00 has no numbers of VT-x; of several pages about one step, the last
#: one says what changed.
ORDER = ["What you will build", "The idea", "By hand", "In our code", "Numbers decoded", "Break it",
         "Exercises", "Check yourself", "Invariants that hold from here on", "What changed", "Next"]
NEEDED = {"The idea", "By hand", "In our code", "Break it", "Check yourself", "Next"}
STEPS = sorted(path.name[4:] for path in ROOT.glob("step[0-9][0-9]-*"))


def page_id(path: Path) -> str:
    return path.relative_to(ROOT / "docs").as_posix()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_code_is_typed_into_a_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for language in re.findall(r"^\s*\.\. (?:code-block|sourcecode|highlight|code)::\s*(\S*)", text,
                               re.MULTILINE):
        assert language in TYPED, f"{shown(page)}: include {language} from the file that is built"
    assert not re.search(r"^\s*\.\. (?:raw|parsed-literal)::", text, re.MULTILINE), shown(page)
    for line in text.splitlines():
        assert line.lstrip().startswith("..") or not line.rstrip().endswith("::"), \
            f"{shown(page)}: a literal block is typed: {line!r}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_listings_are_chosen_by_markers(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"^\s+:(?:lines|emphasize-lines|lineno-match|diff):", text,
                         re.MULTILINE), f"{shown(page)}: line numbers go stale unnoticed"


@pytest.mark.parametrize("page", CHAPTERS, ids=page_id)
def test_chapters_have_the_same_order(page: Path) -> None:
    titles = re.findall(r"^(.+)\n-{4,}$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert titles == [title for title in ORDER if title in titles]
    assert NEEDED <= set(titles)
    assert "Numbers decoded" in titles or page.name[:2] == "00"


@pytest.mark.parametrize("step", STEPS)
def test_chapters_leave_nothing_out(step: str) -> None:
    """Facts, figure, real output, what changed, what to read: a step's chapters have them."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in CHAPTERS
                     if page.stem[:2] == step[:2])
    for words in (".. facts::", ".. figure::", ".. stepdiff::",
                  f".. output:: step{step}/expected/log.txt"):
        assert words in text, words
    assert ".. sdm-reading::" in text or "nothing yet" in text


@pytest.mark.parametrize("page", CHAPTERS, ids=page_id)
def test_chapters_ask_three_to_five_questions(page: Path) -> None:
    assert 3 <= page.read_text(encoding="utf-8").count(".. details:: Answer") <= 5


def test_every_step_has_a_chapter() -> None:
    """Of its own name. A step may have more than one."""
    names = {page.stem for page in CHAPTERS}
    assert set(STEPS) <= names
    assert {name[:2] for name in names} == {step[:2] for step in STEPS}


def test_program_of_chapter_01_says_what_cpuid_says(tmp_path: Path) -> None:
    """It builds as a reader would build it, and prints ECX of leaf 1 and bit 5 of that."""
    source = ROOT / "docs" / "sessions" / "ask-cpuid.cpp"
    program = tmp_path / "ask-cpuid"
    subprocess.run(["g++", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
    said = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.fullmatch(r"ECX is ([0-9a-f]{8}), its bit 5 is ([01])\n", said)
    assert found and int(found[1], 16) >> 5 & 1 == int(found[2]), said


def test_assembly_of_the_book_assembles(tmp_path: Path) -> None:
    """What a chapter shows by hand is no part of a step, so nothing else would notice a slip."""
    sources = sorted((ROOT / "docs" / "sessions").glob("*.S"))
    assert sources
    for source in sources:
        subprocess.run(["gcc", "-c", "-Wa,--fatal-warnings", str(source), "-o",
                        str(tmp_path / "made.o")], check=True)


def test_figures_have_alternative_text() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        figures = re.findall(r"^\.\. (?:figure|image):: \S+\n   :alt: \S", text, re.MULTILINE)
        assert len(figures) == len(re.findall(r"^\.\. (?:figure|image)::", text, re.MULTILINE)), \
            shown(page)


FIGURES = sorted((ROOT / "docs" / "figures").glob("*.svg"))


@pytest.mark.parametrize("figure", FIGURES, ids=page_id)
def test_figures_have_the_style_of_all(figure: Path) -> None:
    """Nothing from outside; no colour, font or class but those of figures.css, so that both themes
    are right; a width that the page has room for; and used once."""
    text = figure.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "http" not in text and "<title>" in text and "<desc>" in text
    assert not re.search(r'#[0-9a-fA-F]{3,8}\b|font-|fill=|stroke="|<style', text)
    assert int(re.search(r'viewBox="0 0 (\d+) \d+"', text)[1]) <= 840  # type: ignore[index]
    style = (ROOT / "docs" / "_static" / "figures.css").read_text(encoding="utf-8")
    for name in {name for names in re.findall(r'class="([^"]*)"', text) for name in names.split()}:
        assert f".{name} " in style or name == "figure", name
    uses = [page for page in PAGES if f"figures/{figure.name}" in page.read_text(encoding="utf-8")]
    assert len(uses) == 1, uses


def test_the_exit_that_is_followed_is_in_the_record() -> None:
    """"VT-x in ten minutes" types the numbers of one exit; a test wrote them into a session."""
    def numbers(row: str) -> tuple[str, ...]:
        found = re.fullmatch(r"\d+  (\d+) [\w /-]+  (0x\w+)  (0x\w+)  \d+", row)
        assert found, row
        return found.groups()

    rows = (ROOT / "docs" / "sessions" / "exits.txt").read_text(encoding="utf-8").splitlines()
    at = next(at for at, row in enumerate(rows) if row.startswith("7  30 I/O instruction"))
    reason, qualification, rip = numbers(rows[at])
    after = numbers(rows[at + 1])[2]
    length = int(after, 16) - int(rip, 16)
    assert int(qualification, 16) == 0x60 << 16 | 1 << 6 | 1 << 3
    page = (ROOT / "docs" / "ten-minutes.rst").read_text(encoding="utf-8")
    figure = (ROOT / "docs" / "figures" / "exit-timeline.svg").read_text(encoding="utf-8")
    for text in (page, figure):
        for words in (f"reason {reason}", f"qualification {qualification}", f"length {length}",
                      f"{rip} + {length}", after, "0x60"):
            assert words in text, words
        typed = set(re.findall(r"\b0x1[0-9a-f]{3}\b", text))
        assert typed == {rip, after}, typed


def sentences(source: str) -> list[str]:
    """The sentences that a file gives to vtx_log_error, each from all its literals."""
    calls = re.findall(r'vtx_log_error\(\s*(.*?)\);', source, re.DOTALL)
    runs = [run for call in calls for run in re.findall(r'(?:"(?:[^"\\]|\\.)*"\s*)+', call)]
    return ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', run)).replace('\\"', '"') for run in runs]


def test_every_refusal_is_among_the_symptoms() -> None:
    """What a step says when it refuses or fails is found on the page that says what to do then.

    Values differ from case to case, so the page must have one of the pieces between them.
    """
    page = " ".join((ROOT / "docs/troubleshooting.rst").read_text(encoding="utf-8").split())
    sources = [path for folder in (*SHARED, *sorted(ROOT.glob("step[0-9][0-9]-*")))
               for path in folder.rglob("*") if path.suffix in (".c", ".hpp", ".cpp")]
    found, missing = 0, set()
    for sentence in {s for path in sources for s in sentences(path.read_text(encoding="utf-8"))}:
        pieces = re.split(r"%[-#.*0-9l]*[a-z]|[:;(\"]", sentence.removesuffix("\\n"))
        pieces = sorted((piece.strip() for piece in pieces), key=len, reverse=True)
        long = [piece for piece in pieces if len(piece.split()) >= 3] or pieces[:1]
        found += 1
        if not any(piece in page for piece in long) and not sentence.startswith("no memory for"):
            missing.add(sentence)
    assert found > 40 and not missing, missing


def test_pages_that_tools_name_exist() -> None:
    """What ./lab says sends readers to a page: by its path below docs/, or by its title."""
    paths = {page_id(page).removesuffix(".rst") for page in PAGES}
    titles = {page.read_text(encoding="utf-8").split("\n", 1)[0] for page in PAGES}
    source = "".join(file.read_text(encoding="utf-8")
                     for file in sorted((ROOT / "tools" / "lab").glob("*.py")))
    by_path = re.findall(r"\b((?:about|concepts|how-to|steps)/[a-z0-9-]+)", source)
    by_title = re.findall(r"book's \w+ under \"([^\"]+)\"", source)
    assert by_path and by_title
    assert not set(by_path) - paths and not set(by_title) - titles, \
        f"{set(by_path) - paths} {set(by_title) - titles}"


def test_the_price_in_the_chapter_on_kvm_is_the_accepted_one() -> None:
    """`./lab bench --accept` does not write this table."""
    page = (ROOT / "docs/steps/kvm-differently.rst").read_text(encoding="utf-8")
    kernel = re.search(r"on\s+Linux ([0-9.]+):", page)
    assert kernel
    least = bench_report.accepted()[kernel[1]]["least"]
    for row, title in bench_report.ROWS.items():
        wanted = [bench_report.number(least[who][row])
                  for who in ("floor", "step05-no-trace", "kvm")]
        found = re.search(rf"^{re.escape(title)} +(.*)$", page, re.MULTILINE)
        assert found and found[1].split() == wanted, title


def test_bar_chart_is_drawn_from_the_accepted_figures() -> None:
    """A change of the drawing or of the figures is not complete without the file."""
    found = next(iter(bench_report.accepted().values()))
    costs = bench_report.Costs(found["machine"], found["least"])
    assert bench_report.CHART_FILE.read_text(encoding="utf-8") == costs.chart()


def test_hexadecimal_numbers_have_one_notation() -> None:
    """0xFFFF, as the logs have it: who searches for one must not miss FFFFh. A service of the BIOS
    has a name in the other notation, which everybody uses: INT 10h, AH = 0Eh. So has a VMCS field
    in a line of the doctor's: (4016H)."""
    files = [*ROOT.glob("docs/**/*.rst"), *ROOT.glob("docs/*.toml"), *ROOT.glob("docs/figures/*"),
             *ROOT.glob("*.md"), *ROOT.glob("exercises/*.*"), *ROOT.glob("step[0-9]*/*.*"),
             *ROOT.glob("common/**/*.*"), *ROOT.glob("doctor/rules/*.*")]
    texts = {shown(file): file.read_text(encoding="utf-8") for file in files
             if file.suffix in (".rst", ".toml", ".svg", ".md", ".c", ".h", ".hpp", ".cpp", ".S")}
    found = {f"{name}: {number}" for name, text in texts.items()
             for number in re.findall(
                 r"\b(?:[0-9A-F]+h|(?:[1-9][0-9A-F]*|[A-F]{3,})H)\b",
                 re.sub(r"\b(?:INT|E?A[HX](?: =)?) [0-9A-F]{2,4}h\b|\([0-9a-f]{4}H\)", "", text))}
    assert len(texts) > 200 and not found, found


def sdm_problems(tmp_path: Path, page: str, keys: str) -> str:
    """What the check of SDM keys says of a page and a table."""
    script = f"""
import sys
sys.path.insert(0, {str(ROOT / "docs" / "_ext")!r})
from pathlib import Path
from vtxbook import paths, sdm
paths.DOCS = Path({str(tmp_path)!r})
paths.ROOT = Path({str(tmp_path)!r})
sdm.log.warning = lambda text, *values: print(text % values)
sdm.check(None)
"""
    (tmp_path / "page.rst").write_text(page, encoding="utf-8")
    (tmp_path / "sdm.toml").write_text("edition = {}\n[sections]\n" + keys, encoding="utf-8")
    return subprocess.run([sys.executable, "-c", script], text=True, check=True,
                          stdout=subprocess.PIPE).stdout


ROW = 'volume = "3C", number = "24.2", kind = "section", title = "Format"'


def test_sdm_keys_are_checked(tmp_path: Path) -> None:
    assert sdm_problems(tmp_path, "See :sdm:`format`.", f"format = {{ {ROW} }}\n") == ""
    assert "'other' is not in" in sdm_problems(tmp_path, "See :sdm:`other`.", "")
    assert "'format' in docs/sdm.toml is used nowhere" in \
        sdm_problems(tmp_path, "Nothing.", f"format = {{ {ROW} }}\n")


@pytest.mark.parametrize("fields, fault", [
    ('title_now = "Layout", seen = "2026"', ""),
    ('gone = "dropped", seen = "2026"', ""),
    ('title_now = "Layout", gone = "dropped", seen = "2026"', "it can only be one of them"),
    ('title_new = "Layout"', "has a field 'title_new'"),
    ('title_now = "Layout"', "needs title_now or gone, and seen"),
    ('seen = "2026"', "needs title_now or gone, and seen"),
    ('title_now = "Format", seen = "2026"', "that is its title"),
    ('gone = "", seen = "2026"', "has an empty 'gone'"),
])
def test_sdm_rows_are_checked(tmp_path: Path, fields: str, fault: str) -> None:
    said = sdm_problems(tmp_path, "See :sdm:`format`.", f"format = {{ {ROW}, {fields} }}\n")
    assert (fault in said) if fault else said == ""


def test_sdm_rows_keep_what_is_written_by_hand() -> None:
    """update_sdm.py makes sdm.toml of a table that knows nothing of recent editions."""
    script = f"""
import sys
sys.path.insert(0, {str(ROOT / "docs")!r})
import update_sdm
rows = update_sdm.sdm.load()[1]
table = {{key: {{"volume": row.volume, "number": row.number, "title": row.title, "kind": row.kind}}
         for key, row in rows.items()}}
print(update_sdm.file_text(table, rows, rows), end="")
"""
    made = subprocess.run([sys.executable, "-c", script], text=True, check=True,
                          stdout=subprocess.PIPE).stdout
    assert made == (ROOT / "docs" / "sdm.toml").read_text(encoding="utf-8")
    assert "title_now = " in made and "gone = " in made
