# SPDX-License-Identifier: GPL-2.0-only
"""Makes docs/sdm.toml anew: a row for each key in use, from a table of the SDM's sections.

    python3 docs/update_sdm.py TABLE.tsv

TABLE has the columns key, volume, number, title, kind. It is not part of the repository, for most
of its rows nobody cites; a single row can be added to sdm.toml by hand.
"""
from __future__ import annotations

import csv
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_ext"))
sys.dont_write_bytecode = True

from vtxbook import sdm  # noqa: E402

HEAD = """\
# SPDX-License-Identifier: CC-BY-4.0
# The sections, tables and figures of the Intel SDM that this project cites: titles and numbers.
# Every key used in a page (:sdm:) or in a comment of the code (\\\\sdm) has a row here, and every
# row is used: the build of the book checks both. update_sdm.py writes this file.

[edition]
number = "325384-059US"
date = "June 2016"
volume_2 = "325383-059US"

[sections]
"""


def quoted(text: str) -> str:
    """A TOML string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main() -> int:
    """Writes the file; returns 1 if some key is not in the table."""
    with open(sys.argv[1], encoding="utf-8") as file:
        table = {row["key"]: row for row in csv.DictReader(file, delimiter="\t")}
    used = sdm.uses()
    rows = [sdm.Section(key, row["volume"], row["number"], row["title"].strip(), row["kind"])
            for key, row in table.items() if key in used]
    lines = [f"{s.key} = {{ volume = {quoted(s.volume)}, number = {quoted(s.number)}, "
             f"kind = {quoted(s.kind)}, title = {quoted(s.title)} }}\n"
             for s in sorted(rows, key=sdm.Section.sort_key)]
    (DOCS / "sdm.toml").write_text(HEAD.replace("\\\\", "\\") + "".join(lines), encoding="utf-8")
    unknown = sorted(used.keys() - table.keys())
    for key in unknown:
        print(f"{key}: not in the table; used in {', '.join(str(f) for f in used[key])}")
    print(f"{len(rows)} sections written.")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
