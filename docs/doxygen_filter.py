# SPDX-License-Identifier: GPL-2.0-only
"""What Doxygen reads of a source file: the file with its .def tables written out.

    #define VTX_MSR(name, number, linux_name, sdm_name) name = number,
    #include "x86/msr.def"

becomes one documented enumerator a row; tables of initialisers and of assertions become nothing.
What needs no words is dropped: functions that are only forbidden or defaulted, operators of one
line, deduction guides, and declarations repeated from kernel.h.
"""
from __future__ import annotations

import re
from pathlib import Path

COMMON = Path(__file__).resolve().parents[1] / "common"
MACRO = re.compile(r"#define (VTX_\w+)\(([^)]*)\)\s*(.*)$", re.DOTALL)
ALIAS = re.compile(r"#define (VTX_\w+) (VTX_\w+)\s*$")
INCLUDE = re.compile(r'#include "((?:\w+/)?\w+\.def)"')
#: An operator in one line, a deduction guide, a declaration for C.
OPERATOR = re.compile(r"\boperator *(?:\(\)|[^\w\s(]+|\w[\w ]*)\(.*[;}]$")
GUIDE = re.compile(r"^template <.*> \w+\(.*\) -> \w+<.*>;$")
PLACEHOLDER = re.compile(r"<(\w+)>")
Macro = tuple[list[str], str]


def arguments(text: str) -> list[str]:
    """Splits the arguments of a macro call, minding strings."""
    found = re.findall(r'\s*("(?:[^"\\]|\\.)*"|[^,"]*)\s*(?:,|$)', text)
    return [part.strip() for part in found][:-1]


def rows(table: Path, macro: str) -> list[tuple[list[str], bool]]:
    """The calls of a macro in a table; true for those of its _NEW form, without a Linux name."""
    result = []
    for line in table.read_text(encoding="utf-8").splitlines():
        if not re.match(rf"\s*{macro}(_NEW)?\b", line):
            continue
        found = re.match(rf"\s*{macro}(_NEW)?\s*\((.*)\)\s*(?://.*)?$", line)
        if found is None:
            raise ValueError(f"{table.name}: the book would lose this row: {line}")
        result.append((arguments(found.group(2)), bool(found.group(1))))
    return result


def expand(name: str, macro: Macro, table: Path) -> list[str]:
    """The lines that a table's rows become, each with the SDM's words as its comment."""
    parameters, body = macro
    if body.startswith(("{", "static_assert")):
        return []
    lines = []
    for values, is_new in rows(table, name):
        names = [p for p in parameters if not (is_new and p == "linux_name")]
        named = dict(zip(names, values))
        text = re.sub(r"\w+", lambda m: named.get(m.group(0), m.group(0)), body)
        words = values[-1].strip('"').replace("#", "\\#")
        lines.append(f"    {text} ///< {words}")
    return lines


def logical_lines(text: str) -> list[str]:
    """Lines, with those that end in a backslash joined."""
    return re.sub(r"[ \t]*\\\n[ \t]*", " ", text).splitlines()


def is_obvious(line: str) -> bool:
    """True for a declaration that has nothing to be said of it."""
    code = line.split("//")[0].rstrip()
    return bool(code.endswith(("= delete;", "= default;")) or OPERATOR.search(code)
                or GUIDE.match(code) or code.startswith(('extern "C" int', "#undef VTX_")))


def expanded(text: str) -> str:
    """A source text as Doxygen shall see it."""
    result: list[str] = []
    macros: dict[str, Macro] = {}
    pending: list[str] = []
    for line in logical_lines(text):
        macro, alias, include = MACRO.match(line), ALIAS.match(line), INCLUDE.match(line)
        if macro:
            macros[macro.group(1)] = ([p.strip() for p in macro.group(2).split(",")],
                                      macro.group(3).strip())
            pending.append(macro.group(1))
        elif alias and alias.group(2) in macros:
            macros[alias.group(1)] = macros[alias.group(2)]
            pending.append(alias.group(1))
        elif include:
            for name in pending:
                result += expand(name, macros[name], COMMON / include.group(1))
            pending = []
        elif is_obvious(line):
            continue
        elif re.match(r"\s*friend constexpr bool(?: operator==\(.*)?$", line):
            result += ["    /// True if all members are equal.", line]
        elif inside := re.match(r"(\s*.* = \{)\s*///< (.*)$", line):
            result += ["    /// " + inside.group(2), inside.group(1)]
        elif re.match(r"\s*(?:/?\*\*? |///)", line):
            result.append(PLACEHOLDER.sub(r"\\<\1\\>", line))
        else:
            result.append(line)
    return "\n".join(result) + "\n"
