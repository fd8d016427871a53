# SPDX-License-Identifier: GPL-2.0-only
"""The figure of one boot's VM exits, drawn from docs/sessions/linux-exits.txt.

`./lab test --accept -k book` writes that file from a run, and then the figure; a test of the book
compares the two.
"""
from __future__ import annotations

import re

from .common import ROOT

SESSION = ROOT / "docs" / "sessions" / "linux-exits.txt"
FILE = ROOT / "docs" / "figures" / "linux-exits.svg"
#: The I/O instruction exits are drawn by device: the names in the file, and those in the figure.
PORTS = {"uart": "UART", "pic": "PIC", "pit": "PIT", "cmos": "CMOS", "others": "other ports"}
IO = 30


def numbers(text: str) -> tuple[dict[tuple[int, str], int], dict[str, int]]:
    """Exits by reason, and accesses to ports by device."""
    reasons = {(int(number), name): int(count) for number, name, count in re.findall(
        r"^total  (\d+) (.+)  (\d+)$", text, re.MULTILINE)}
    line = re.search(r"^ports  (.+)$", text, re.MULTILINE)
    assert line, "the session has no line of the ports"
    return reasons, {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", line[1])}


def chart() -> str:
    """Two groups of bars, each with the largest first: I/O by device, and all other reasons."""
    reasons, ports = numbers(SESSION.read_text(encoding="utf-8"))
    total = sum(reasons.values())
    groups = [
        (f"I/O instruction (30): {reasons[IO, 'I/O instruction']:,}", "amber",
         {PORTS[name]: count for name, count in ports.items()}),
        (f"all other reasons: {total - reasons[IO, 'I/O instruction']:,}", "blue",
         {f"{name} ({number})": count for (number, name), count in reasons.items()
          if number != IO})]
    left, wide, pitch, bar = 330, 420, 26, 17
    scale = wide / max(max(rows.values()) for _, _, rows in groups)
    body, y = [], 8
    for title, fill, rows in groups:
        body.append(f'<text class="b t{fill}" x="16" y="{y + 16}">{title}</text>')
        y += 34
        for name, count in sorted(rows.items(), key=lambda row: -row[1]):
            width = max(2, round(count * scale))
            body.append(f'<text class="small" x="{left - 12}" y="{y + 14}" text-anchor="end">'
                        f'{name}</text>')
            body.append(f'<rect class="{fill}" x="{left}" y="{y}" width="{width}"'
                        f' height="{bar}"/>')
            body.append(f'<text class="small" x="{left + width + 8}" y="{y + 14}">'
                        f'{count:,}</text>')
            y += pitch
        y += 14
    said = "; ".join(f"{title}: " + ", ".join(f"{name} {count:,}" for name, count in rows.items())
                     for title, _, rows in groups)
    return SVG.format(height=y, body="\n".join(body), said=said,
                      title=f"The {total:,} VM exits of one boot")


def keep() -> None:
    """Writes the figure."""
    FILE.write_text(chart(), encoding="utf-8")


SVG = """\
<?xml-stylesheet href="../_static/figures.css"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 {height}" width="840" height="{height}" \
role="img" class="figure">
<!-- SPDX-License-Identifier: CC-BY-4.0 -->
<title>{title}</title>
<desc>{said}</desc>
{body}
</svg>
"""
