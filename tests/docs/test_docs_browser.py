# SPDX-License-Identifier: GPL-2.0-only
"""The book in a browser, from the disk: accessible, searchable, without errors."""
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Iterator

import pytest

from browser import Browser, Page

from lab.common import ROOT

#: Examined in both themes, and with folded blocks opened.
SAMPLES = ["index.html", "steps/02-vmxon.html", "reference/controls.html"]
#: All pages. The dark theme's contrasts are weaker, so axe looks at each page in it.
PAGES = sorted(file.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
               for file in (ROOT / "docs").rglob("*.rst"))
#: The smallest size of a figure's text, in px as the reader sees it.
SMALLEST = """Math.min(...[...%s.querySelectorAll('text')].map(text => {
    const scale = text.getScreenCTM();
    return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(scale.a, scale.b);
}))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    browser.events.clear()
    opened = browser.page()
    yield opened
    opened.close()


@pytest.fixture
def narrow(browser: Browser) -> Iterator[Page]:
    browser.events.clear()
    opened = browser.page(width=390, height=700)
    yield opened
    opened.close()


@pytest.mark.parametrize("name, theme", [
    *((name, "light") for name in SAMPLES), *((name, "dark") for name in PAGES)])
def test_accessible(html: Path, page: Page, axe: str, name: str, theme: str) -> None:
    """axe-core finds nothing serious."""
    page.theme(theme)
    page.open(html / name)
    if name in SAMPLES:
        page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.run(axe + "; true")
    found = page.run("axe.run(document, {preload: false}).then(r => "
                     "r.violations.map(v => ({id: v.id, impact: "
                     "v.impact, nodes: v.nodes.slice(0, 5).map(n => n.target + ' ' + "
                     "(n.any[0] ? n.any[0].message : ''))})))")
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not serious, serious


@pytest.mark.parametrize("name", PAGES)
def test_narrow_screen(html: Path, narrow: Page, name: str) -> None:
    """On a telephone nothing makes the whole page scroll sideways, and figures can be read: their
    text is large enough, or a button opens them larger."""
    narrow.open(html / name)
    assert narrow.run("document.documentElement.scrollWidth") <= 391
    for number in range(narrow.run("document.querySelectorAll('figure > svg').length")):
        figure = f"document.querySelectorAll('figure > svg')[{number}]"
        if narrow.run(SMALLEST % figure) < 12:
            narrow.run(f"{figure}.nextElementSibling.click()")
            assert narrow.run(SMALLEST % "document.querySelector('dialog[open] svg')") >= 12, number
            narrow.run("document.querySelector('dialog[open] button').click()")
            narrow.wait_until("document.querySelector('dialog') === null")


@pytest.mark.parametrize("name", PAGES)
def test_wide_screen(html: Path, page: Page, name: str) -> None:
    """The theme's script has run, no error in the console, and no request but to files. At 1280 px
    no listing scrolls sideways, not even an unfolded one, and all text of figures has 12 px or
    more."""
    page.open(html / name)
    page.run("new Promise(done => setTimeout(done, 100))")
    assert not page.run("document.documentElement.classList.contains('no-js')")
    assert not page.complaints(), page.complaints()
    outside = [url for url in page.requests() if not url.startswith(("file:", "data:", "about:"))]
    assert not outside, outside
    page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    too_wide = page.run("[...document.querySelectorAll('article pre')].filter("
                        "pre => pre.scrollWidth > pre.clientWidth).map(pre => pre.innerText)")
    assert not too_wide, too_wide
    for number in range(page.run("document.querySelectorAll('figure > svg').length")):
        smallest = page.run(SMALLEST % f"document.querySelectorAll('figure > svg')[{number}]")
        assert smallest >= 12, f"figure {number} has text of {smallest} px"


def test_pages_of_sources(html: Path, page: Page) -> None:
    """The page of a file does not scroll, either, and marks the line that was asked for."""
    sources = sorted((html / "source").rglob("*.html"))
    assert len(sources) > 30
    for source in sources:
        page.open(source)
        assert page.run("[...document.querySelectorAll('article pre')].every("
                        "pre => pre.scrollWidth <= pre.clientWidth)"), source
    page.open(html / "steps" / "05-exits.html")
    page.forget_load()
    page.run("document.querySelector('.caption-text a').click()")
    page.wait_for_load()
    assert page.run("document.querySelector('span.line:target') !== null")


def test_figures_follow_the_theme(html: Path, page: Page) -> None:
    """Text is dark on light pages and light on dark ones, also when the reader chose the theme."""
    def ink() -> int:
        colour = page.run("getComputedStyle(document.querySelector('svg.figure text')).fill")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    page.theme("dark")
    page.open(html / "index.html")
    assert ink() > 450
    page.theme("light")
    assert ink() < 300
    page.run("document.body.dataset.theme = 'dark'")
    assert ink() > 450


def test_nothing_is_folded_on_paper(html: Path, page: Page) -> None:
    """When it is printed everything is open, and afterwards as before."""
    folded = "[...document.querySelectorAll('details')].filter(d => !d.open).length"
    page.open(html / "steps" / "04-launch.html")
    before = page.run(folded)
    assert before > 2
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert page.run(folded) == 0
    page.run("window.dispatchEvent(new Event('afterprint'))")
    assert page.run(folded) == before


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("steps/0")])
def test_copy_button_hides_nothing(html: Path, page: Page, name: str) -> None:
    """It lies over no letter of its listing, and can be seen before the pointer is there."""
    page.open(html / name)
    page.wait_until("document.querySelector('button.copybtn') !== null")
    covered = page.run("""[...document.querySelectorAll('button.copybtn')].filter(button => {
        const range = document.createRange(), box = button.getBoundingClientRect();
        range.selectNodeContents(button.parentElement.querySelector('pre'));
        return getComputedStyle(button).opacity !== '1' ||
            [...range.getClientRects()].some(r => r.left < box.right && r.right > box.left &&
                r.top < box.bottom && r.bottom > box.top);
    }).map(button => button.parentElement.innerText)""")
    assert not covered, covered


def test_skip_link_is_the_first_stop(html: Path, page: Page) -> None:
    page.open(html / "steps" / "02-vmxon.html")
    page.press("Tab", 9)
    assert "skip-to-content" in page.run("document.activeElement.className")
    page.press("Enter", 13)
    page.wait_until("location.hash === '#furo-main-content'")
    assert page.run("document.querySelector('article#furo-main-content') !== null")


def test_listings_can_be_reached_by_keyboard(html: Path, page: Page) -> None:
    page.open(html / "steps" / "02-vmxon.html")
    assert page.run("[...document.querySelectorAll('div.highlight pre')]"
                    ".every(pre => pre.tabIndex === 0)")


@pytest.mark.parametrize("name, prompt, copied", [
    ("quick-start.html", "$ ./lab run 04", ["./lab run 04", "./lab run 01 --cpu penryn"]),
    ("steps/03-vmcs.html", "lab:~# load", ["./lab shell", "load step03_vmcs"]),
    ("how-to/secure-boot.html", "$ openssl", ["openssl req", '-addext "extendedKeyUsage']),
])
def test_prompts_are_not_copied(html: Path, page: Page, name: str, prompt: str,
                                copied: list[str]) -> None:
    """The button gives the commands of a block, continued lines too, and no prompt."""
    page.open(html / name)
    page.wait_until("document.querySelector('.highlight-console button.copybtn') !== null")
    # A browser without a screen has no clipboard: what would be copied is what is selected.
    page.run("document.execCommand = () => { window.copied = document.activeElement.value; "
             "return true; }; true")
    page.run("[...document.querySelectorAll('.highlight-console')].find("
             f"block => block.innerText.includes({json.dumps(prompt)}))"
             ".querySelector('button.copybtn').click()")
    text = page.run("window.copied")
    for words in copied:
        assert any(line.lstrip().startswith(words) for line in text.splitlines()), text
    assert not re.search(r"^(?:\$|lab:)", text, re.MULTILINE), text


def first_result(html: Path, page: Page, words: str) -> str:
    """Types words into the sidebar's field and follows the first result. Returns its address."""
    page.open(html / "index.html")
    page.run("document.querySelector('input.sidebar-search').focus()")
    page.forget_load()
    page.type(words)
    page.press("Enter", 13)
    page.wait_for_load()
    page.wait_until("document.querySelector('#search-results li a') !== null")
    page.run("new Promise(done => setTimeout(done, 500))")
    page.forget_load()
    page.run("document.querySelector('#search-results li a').click()")
    page.wait_for_load()
    assert not page.complaints(), page.complaints()
    return page.run("location.href")


@pytest.mark.parametrize("words, where", [
    ("VMXON", "steps/02-"),
    ("how do I read a VMCS field", "steps/03-"),
    ("error 7", "instruction-errors.html#error-7"),
])
def test_search_finds(html: Path, page: Page, words: str, where: str) -> None:
    """The first result leads to the right place; test_docs_search.py asks for many more."""
    address = first_result(html, page, words)
    assert where in address, address
    assert words.split()[-1].lower() in page.run("document.body.innerText").lower()


@pytest.mark.parametrize("typed, shown, where", [
    *((typed, "0x681e", "fields.html#field-guest-rip")
      for typed in ("0x681e", "681Eh", "681EH", "0000681EH", "0x0000681e")),
    ("800h", "0x0800", "fields.html#field-guest-es-selector"),
    *((typed, "0x480", "msrs.html") for typed in ("480h", "0x00000480", "MSR 480h")),
    *((typed, "0x80000021", "exit-reasons.html") for typed in ("0x80000021", "80000021h")),
    *((typed, "0xffff", "html") for typed in ("0xFFFF", "FFFFh")),
    ("each", "each", "html"),
])
def test_search_finds_numbers(html: Path, page: Page, typed: str, shown: str,
                              where: str) -> None:
    """The book's notation or the SDM's, zeros in front or none; and a word is no number."""
    address = first_result(html, page, typed)
    assert where in address, address
    text = page.run("document.querySelector('article').innerText").lower()
    assert re.search(rf"(?<!\w){shown}(?!\w)", text), address
