# SPDX-License-Identifier: GPL-2.0-only
"""What Sphinx needs to write only the pages that changed, and leave no other page stale.

Every page shows the titles of all pages beside its text, and links to places on other pages. So if
a title, a place or the order of pages changed, all are written. And the search index, which Sphinx
continues from the last build, forgets the index entries of pages that are not written, and keeps
words that no page has any more.
"""
from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from . import paths

Fingerprint = list[Any]


def version() -> int:
    """A number that changes with these extensions and the data they use: all is read anew then."""
    files = sorted([*Path(__file__).parent.glob("*.py"), *paths.DOCS.glob("*.toml")])
    return zlib.crc32(b"".join(file.read_bytes() for file in files))


def fingerprint(env: Any) -> Fingerprint:
    """What pages show of each other: titles, the order of pages, and the places to link to."""
    titles = sorted((name, title.astext()) for name, title in env.titles.items())
    places = sorted(str(place) for domain in env.domains.values() for place in domain.get_objects())
    return [titles, sorted(env.toctree_includes.items()), places]


def remember(app: Sphinx, env: Any, _: list[str]) -> None:
    """Before reading."""
    app.vtx_before = fingerprint(env)  # type: ignore[attr-defined]


def write_all_if_needed(app: Sphinx, env: Any) -> list[str]:
    """After reading: the pages to be written besides those that changed."""
    before = getattr(app, "vtx_before", None)
    return sorted(env.all_docs) if before != fingerprint(env) else []


def complete_search_index(app: Sphinx) -> list[Any]:
    """Adds the index entries of the pages that were not written, and drops words without a page.

    Called where pages could be added; adds none.
    """
    indexer = getattr(app.builder, "indexer", None)
    if indexer is not None:
        known = indexer._index_entries
        for page, entries in app.env.get_domain("index").entries.items():
            known.setdefault(page, sorted({(part.strip(), target or "", main)
                                           for _, words, target, main, _ in entries
                                           for part in words.split(";")}))
        for words_of in (indexer._mapping, indexer._title_mapping):
            for word in [word for word, pages in words_of.items() if not pages]:
                del words_of[word]
    return []


def setup(app: Sphinx) -> None:
    """Registers all three."""
    app.connect("env-before-read-docs", remember)
    app.connect("env-updated", write_all_if_needed)
    app.connect("html-collect-pages", complete_search_index)
