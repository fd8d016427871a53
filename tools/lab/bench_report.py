# SPDX-License-Identifier: GPL-2.0-only
"""What ./lab bench says of its figures: a table, JSON, and for the book a file and a bar chart."""
from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import platforms
from .common import ROOT, UsageError

#: What makes the guest exit, by the names in bench/guest.S.
ROWS = {
    "vmcall": "VMCALL",
    "cpuid": "CPUID",
    "rdmsr": "RDMSR of IA32_APIC_BASE",
    "out": "OUT to a port",
    "cr4": "MOV to CR4, gives #GP",
    "ud": "UD2, gives #UD",
}
#: Who answers, by the names in bench/measure.sh.
WHO = {
    "floor": "floor",
    "step05-no-trace": "no trace",
    "step05": "step 05",
    "step07": "step 07",
    "kvm": "KVM",
}
#: What bench/interrupt.S measures: from the OUT that unmasks a waiting line to the handler, and the
#: same OUT when nothing waits.
INTERRUPT = ("irq", "mask")
INTERRUPT_WHO = {"step09": "step 09", "kvm-pc": "KVM"}
#: The figures that were accepted: what the book shows, and what tests compare with.
FIGURES = ROOT / "bench" / "figures.json"
FOR_THE_BOOK = ROOT / "docs" / "exit-costs"
#: The bar chart of the first kernel's figures.
CHART_FILE = ROOT / "docs" / "figures" / "exit-costs.svg"


def accepted() -> dict[str, Any]:
    """The accepted figures, by kernel."""
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}


def check_accept(accept: bool) -> None:
    """Refuses to replace the book's figures by those of another compiler and emulator."""
    if accept and platforms.debian() != platforms.known()[0]:
        raise UsageError(f"The book shows the figures of {platforms.known()[0]}: accept there.")


def number(value: float) -> str:
    """1124 or 77.5, without a zero behind the point."""
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def columns(rows: list[list[str]]) -> str:
    """A table as text: the first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join([line[0].ljust(widths[0]), *(
        cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]) for line in rows)


@dataclass
class Costs:
    """Ticks or cycles of a round trip, by who answers and what made the guest exit."""

    machine: str
    least: dict[str, dict[str, float]]
    #: On a processor: median, and the tenth and ninetieth of a hundred.
    spread: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    #: An interrupt: the least ticks, by who delivers it and the rows of INTERRUPT.
    interrupts: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        return "cycles (silicon)" if self.spread else "ticks (Bochs: instructions)"

    def data(self) -> dict[str, Any]:
        """For --json."""
        found: dict[str, Any] = {"machine": self.machine, "unit": self.unit, "least": self.least}
        return {**found, **({"median_p10_p90": self.spread} if self.spread else {}),
                **({"interrupts": self.interrupts} if self.interrupts else {})}

    def text(self) -> str:
        """For a person."""
        names = [who for who in WHO if who in self.least]
        head = ["exit and way back", *(WHO[who] for who in names)]
        wanted = (("step05-no-trace", "floor"), ("kvm", "step05-no-trace"), ("kvm", "step05"))
        ratios = [(above, below) for above, below in wanted if above in names and below in names]
        head += [f"{WHO[above]} / {WHO[below]}" for above, below in ratios]
        rows = [head]
        for row, title in ROWS.items():
            cells = [self._cell(who, row) for who in names]
            cells += [f"{self._value(above, row) / self._value(below, row):.1f}"
                      for above, below in ratios]
            rows.append([title, *cells])
        note = ("no trace: step 05 with trace=0"
                + ("; step 07: its guest gets #UD without an exit" if "step07" in names else ""))
        return "\n".join([f"{self.machine}: {self.unit}", "", columns(rows), "", note,
                          *(["", self._interrupt_text()] if self.interrupts else [])])

    def _interrupt_text(self) -> str:
        each = [f"{INTERRUPT_WHO[who]} {rows['irq']} (without an interrupt: {rows['mask']})"
                for who, rows in self.interrupts.items()]
        return f"from the OUT that unmasks a line to the handler: {', '.join(each)}"

    def _value(self, who: str, row: str) -> float:
        return self.spread[who][row][0] if self.spread else self.least[who][row]

    def _cell(self, who: str, row: str) -> str:
        if not self.spread:
            return number(self.least[who][row])
        median, low, high = self.spread[who][row]
        return f"{median:.0f} ({low:.0f}-{high:.0f})"

    def keep(self, kernel: str) -> None:
        """Writes what the book and the tests read."""
        figures = accepted()
        figures[kernel] = self.data()
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        (FOR_THE_BOOK / f"costs-{kernel}.txt").write_text(self.text() + "\n", encoding="utf-8")
        if kernel == next(iter(figures)):
            CHART_FILE.write_text(self.chart(), encoding="utf-8")

    def chart(self) -> str:
        """A bar for each cell of the table; one that dwarfs all others is cut, and shows where."""
        bar, pitch, gap, left, wide, top = 15, 20, 14, 172, 590, 46
        names = [who for who in WHO if who in self.least]
        values = sorted(value for rows in self.least.values() for value in rows.values())
        while values[-1] > 3 * values[-2]:
            values.pop()
        scale = 0.9 * wide / values[-1]
        fills = {"floor": "grey", "step05-no-trace": "white eblue", "step05": "blue",
                 "step07": "green", "kvm": "amber"}
        body = []
        for place, who in enumerate(names):
            x = left + place * 130
            body.append(f'<rect class="{fills[who]}" x="{x}" y="10" width="16" height="16"/>')
            body.append(f'<text class="small" x="{x + 24}" y="24">{WHO[who]}</text>')
        y = top
        for row, title in ROWS.items():
            lines = textwrap.wrap(title, 15)
            middle = y + (len(names) * pitch - pitch + bar) // 2 + 6 - 11 * (len(lines) - 1)
            body += [f'<text x="{left - 14}" y="{middle + 22 * place}" text-anchor="end">'
                     f'{line}</text>' for place, line in enumerate(lines)]
            for who in names:
                value = self.least[who][row]
                cut = value > values[-1]
                width = wide if cut else max(2, round(value * scale))
                body.append(_cut_bar(fills[who], left, y, width, bar) if cut else
                            f'<rect class="{fills[who]}" x="{left}" y="{y}" width="{width}"'
                            f' height="{bar}"/>')
                body.append(f'<text class="small" x="{left + width + 8}" y="{y + 13}">'
                            f'{number(value)}</text>')
                y += pitch
            y += gap
        said = "; ".join(
            f"{title}: " + ", ".join(f"{WHO[who]} {number(self.least[who][row])}" for who in names)
            for row, title in ROWS.items())
        title = f"Cost of a VM exit and the way back: {self.unit}; {self.machine}"
        return CHART.format(width=840, height=y - gap + 4, body="\n".join(body), title=title,
                            said=said)


def _cut_bar(fill: str, x: int, y: int, width: int, height: int) -> str:
    """A bar of two pieces with a slanting gap between them: it is longer than it is drawn."""
    end, below = x + width, y + height
    gap = end - 60
    return (f'<path class="{fill}" d="M{x} {y} H{gap + 6} L{gap - 6} {below} H{x} z'
            f' M{gap + 16} {y} H{end} V{below} H{gap + 4} z"/>')


CHART = """\
<?xml-stylesheet href="../_static/figures.css"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" \
height="{height}" role="img" class="figure">
<!-- SPDX-License-Identifier: CC-BY-4.0 -->
<title>{title}</title>
<desc>{said}</desc>
{body}
</svg>
"""
