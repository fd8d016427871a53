# SPDX-License-Identifier: GPL-2.0-only
"""What a visitor finds beside the README: links, licences, citation, changelog, templates."""
from __future__ import annotations

import re
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from lab import docs, steps
from lab.common import ROOT, step_folders

DEMANDED = ("README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "SECURITY.md",
            "CONTRIBUTING.md", "Containerfile", ".editorconfig", ".clang-format", ".clang-tidy",
            ".ci/run", ".github/workflows/test.yml", ".github/ISSUE_TEMPLATE/bug.yml")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("step*/README.md"),
                *ROOT.glob("t*/**/README.md")])
FORMS = sorted(path for path in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml")
               if path.name != "config.yml")
LICENCES = {path.stem for path in (ROOT / "LICENSES").glob("*.txt")}
#: Files without an SPDX line that LICENSE puts under one of the two.
CODE = (r"\.(json|html|vmcs|log|dict|cpu)$", r"^(tests|doctor)/.*\.txt$")
TEXT = (r"\.(md|rst)$", r"^docs/.*\.txt$", r"^step[^/]*/expected/.*\.txt$")
THEMSELVES = (r"^LICENSE$", r"^LICENSES/")


def tracked() -> list[str]:
    """The files that git tracks, or would; without git (a copy of the tree), none."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        check=False)
    names = [name.decode() for name in listed.stdout.split(b"\0") if name]
    return [name for name in names if (ROOT / name).is_file()]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DEMANDED)
def test_file_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


def without_code(text: str) -> str:
    """Markdown without its blocks and spans of code, where brackets are no links."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        parts = urllib.parse.urlsplit(link)
        if parts.scheme:
            continue
        target = page.parent / parts.path if parts.path else page
        if not target.exists():
            broken.append(f"{link}: no such file")
        elif target.suffix == ".rst":
            broken.append(f"{link}: a code host shows the directives of the book's sources raw")
        elif parts.fragment and parts.fragment not in anchors(target):
            broken.append(f"{link}: no such heading")
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(page: Path) -> None:
    """A path in code font, such as `tests/unit/` or `docs/steps.toml`, is there."""
    here = {"docs", "tests", "tools", "common", ".github", ".ci"}
    spans = re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8"))
    paths = [span for span in spans if "/" in span and "NN" not in span
             and (span.split("/")[0] in here or re.match(r"step\d\d-", span))
             and not span.endswith(".ko")]
    missing = [path for path in paths
               if not (ROOT / path).exists() and not (page.parent / path).exists()]
    assert not missing


def test_every_file_is_under_a_licence_whose_text_is_here() -> None:
    """By its SPDX line, or by the kinds of file that LICENSE names."""
    assert LICENCES == {"GPL-2.0-only", "CC-BY-4.0"}
    for name in LICENCES:
        assert f"SPDX: {name}" in read("LICENSE") and f"LICENSES/{name}.txt" in read("LICENSE")
    wrong = []
    for name in tracked():
        head = (ROOT / name).read_bytes()[:2000].decode("utf-8", "replace")
        found = re.search(r"SPDX-License-Identifier: ([\w.-]+)", head)
        if found and name.endswith((".md", ".rst")):
            found = None  # a page that speaks of the line
        if found and found[1] not in LICENCES:
            wrong.append(f"{name}: {found[1]}")
        elif not found and not any(re.search(kind, name) for kind in CODE + TEXT + THEMSELVES):
            wrong.append(f"{name}: no SPDX line, and LICENSE does not say what it is")
    assert not wrong, "\n".join(wrong)


def test_licence_texts_are_whole() -> None:
    gpl, cc_by = read("LICENSES/GPL-2.0-only.txt"), read("LICENSES/CC-BY-4.0.txt")
    assert "Version 2, June 1991" in gpl and "END OF TERMS AND CONDITIONS" in gpl
    assert all(f"\nSection {number} – " in cc_by for number in range(1, 9))
    assert cc_by.startswith("Creative Commons Attribution 4.0 International\n")
    assert cc_by.endswith("Creative Commons may be contacted at creativecommons.org.\n")


def test_modules_say_the_same_licence() -> None:
    for folder in step_folders():
        module = steps.files(folder)["module.c"]
        assert 'MODULE_LICENSE("GPL");' in module.read_text(encoding="utf-8")


def citation() -> dict[str, str | list[str]]:
    """CITATION.cff, as far as ours goes: keys with a word, or with a list of words."""
    data: dict[str, str | list[str]] = {}
    key = ""
    for line in read("CITATION.cff").splitlines():
        if line.startswith("#"):
            continue
        if item := re.fullmatch(r"  - (.+)", line):
            values = data[key] or []
            assert isinstance(values, list), f"{key} has a value and a list"
            data[key] = [*values, item[1].strip('"')]
        else:
            pair = re.fullmatch(r"([a-z-]+):(?: (.+))?", line)
            assert pair, f"not understood: {line}"
            key = pair[1]
            assert key not in data, f"{key} is there twice"
            data[key] = (pair[2] or "").strip('"')
    return data


def test_citation_is_valid() -> None:
    """The rules of the Citation File Format 1.2.0 that concern the keys that we use."""
    data = citation()
    assert data["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= data.keys()
    assert data.keys() <= {"cff-version", "message", "title", "authors", "abstract", "type",
                           "license", "keywords", "version", "date-released"}
    assert data["type"] == "software"
    assert data["authors"] == ['name: "The VtxTutorial authors']
    assert set(data["license"]) == LICENCES
    assert len(set(data["keywords"])) == len(data["keywords"]) > 0


def test_changelog_has_its_form() -> None:
    text = read("CHANGELOG.md")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    for heading in headings[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading), heading
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert text.split("\n## [Unreleased]\n")[1].count("\n* ") > 0


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_form_is_valid(path: Path) -> None:
    """What GitHub wants of a form: a name, a description, fields with labels and own ids."""
    text = path.read_text(encoding="utf-8")
    assert re.search(r"^name: \S", text, re.MULTILINE)
    assert re.search(r"^description: \S", text, re.MULTILINE)
    body = text.split("\nbody:\n", 1)[1]
    fields = re.split(r"^  - type: ", body, flags=re.MULTILINE)[1:]
    ids = re.findall(r"^    id: (\w+)$", body, re.MULTILINE)
    assert fields and len(ids) == len(set(ids))
    for field in fields:
        kind = field.split("\n", 1)[0]
        assert kind in ("markdown", "textarea", "input", "dropdown", "checkboxes"), kind
        assert ("value: " if kind == "markdown" else "label: ") in field
        assert kind == "markdown" or re.search(r"required: (true|false)", field)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_form_asks_for_lab_check(path: Path) -> None:
    field = path.read_text(encoding="utf-8").split("    id: check\n", 1)[1].split("  - type: ")[0]
    assert "./lab check" in field
    assert path.name == "question.yml" or "required: true" in field


def test_bug_form_sends_security_reports_elsewhere() -> None:
    assert "SECURITY.md" in read(".github/ISSUE_TEMPLATE/bug.yml")
    assert "A guest that reaches the host is the report we want" in read("SECURITY.md")


def test_workflow_calls_the_one_test_command() -> None:
    """Nothing but .ci/run tests, and that is ./lab test. (The job silicon only reports.)"""
    tests, _, _ = read(".github/workflows/test.yml").partition("\n  silicon:\n")
    runs = re.findall(r"- run: (.*)", tests)
    assert ".ci/run" in runs
    assert all(line == ".ci/run" or line.startswith("apt-get update") for line in runs), runs
    assert re.search(r"exec \./lab test --yes$", read(".ci/run"), re.MULTILINE)


def test_workflow_keeps_and_publishes_the_book() -> None:
    """The folder is the one that ./lab docs writes, and README says how to switch the site on."""
    workflow = read(".github/workflows/test.yml")
    assert re.search(r"^        run: \./lab docs --all --yes$", workflow, re.MULTILINE)
    html = docs.HTML.parent.relative_to(ROOT).as_posix()
    assert workflow.count(f"{html}\n") == 2, "once for the artifact, once for the site"
    assert "actions/deploy-pages@" in workflow and '"repos/$GITHUB_REPOSITORY/pages"' in workflow
    assert "Settings → Pages" in read("README.md")


def test_contributing_tells_how() -> None:
    text = read("CONTRIBUTING.md")
    for words in ("./lab test -k", "./lab sync", "./lab diff", "./lab copy", "## Make a step",
                  "## Rules of the house", "## Commit messages", "--accept"):
        assert words in text, words
    assert len(re.findall(r"^\d+\. \*\*", text, re.MULTILINE)) == 11
