# SPDX-License-Identifier: GPL-2.0-only
"""Makes docs/sdm.toml anew: a row for each key in use, from a table of the SDM's sections.

    python3 docs/update_sdm.py TABLE.tsv

TABLE has the columns key, volume, number, title, kind. It is not part of the repository, for most
of its rows nobody cites; a single row can be added to sdm.toml by hand. What a row says of recent
editions is written by hand too, and kept.
"""
from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_ext"))
sys.dont_write_bytecode = True

from vtxbook import sdm  # noqa: E402

HEAD = """\
# SPDX-License-Identifier: CC-BY-4.0
# The sections, tables and figures of the Intel SDM that this project cites: titles and numbers.
# Every key used in a page (:sdm:) or in a comment of the code (\\sdm) has a row here, and every
# row is used: the build of the book checks both. update_sdm.py writes this file.
#
# Three fields are for the reader of a recent edition, and only there if a public source proves
# them. They are written by hand, and update_sdm.py keeps them:
#   title_now   the title today, where it changed;
#   gone        or, if the place is no longer in its volume, what became of it;
#   seen        in which edition, and where in it. reference/sdm-editions.rst names the sources.

[edition]
number = "325384-059US"
date = "June 2016"
volume_2 = "325383-059US"

[sections]
"""


def quoted(text: str) -> str:
    """A TOML string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def line(section: sdm.Section) -> str:
    """A section's row."""
    names = ["volume", "number", "kind", "title", "title_now", "gone", "seen"]
    values = {name: getattr(section, name) for name in names}
    inside = ", ".join(f"{name} = {quoted(value)}" for name, value in values.items() if value)
    return f"{section.key} = {{ {inside} }}\n"


def file_text(table: dict[str, dict[str, str]], keys: Iterable[str],
              old: dict[str, sdm.Section]) -> str:
    """sdm.toml with a row for each key: from the table, and from the old file what is by hand."""
    rows = []
    for key in keys:
        row = table[key]
        rows.append(replace(old.get(key, sdm.Section(key, "", "", "", "")), volume=row["volume"],
                            number=row["number"], title=row["title"].strip(), kind=row["kind"]))
    return HEAD + "".join(line(section) for section in sorted(rows, key=sdm.Section.sort_key))


def main() -> int:
    """Writes the file; returns 1 if some key is not in the table."""
    with open(sys.argv[1], encoding="utf-8") as file:
        table = {row["key"]: row for row in csv.DictReader(file, delimiter="\t")}
    used = sdm.uses()
    keys = [key for key in table if key in used]
    (DOCS / "sdm.toml").write_text(file_text(table, keys, sdm.load()[1]), encoding="utf-8")
    unknown = sorted(used.keys() - table.keys())
    for key in unknown:
        print(f"{key}: not in the table; used in {', '.join(str(f) for f in used[key])}")
    print(f"{len(keys)} sections written.")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
