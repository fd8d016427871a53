# SPDX-License-Identifier: GPL-2.0-only
"""The files stepNN/expected/*.txt: what a step logs, without what differs from run to run.

`log.txt` is the log of loading and unloading a step with no parameters on the default machine of
the oldest Debian; `log.NAME=VALUE.txt` the same with a parameter. The book shows these files;
`./lab test --accept` writes them from a real run.
"""
from __future__ import annotations

import os
import re
from pathlib import Path

from lab import platforms

#: What varies, and what stands for it.
_VARYING = (
    (r"\b0xffff[0-9a-f]{12}\b", "0xffff…"),            # addresses in the kernel
    (r"\b0x0*[1-9a-f][0-9a-f]{2,6}000\b", "0x…000"),   # physical addresses of pages
    (r"(\(201aH\) is 0x)[0-9a-f]+(?=[0-9a-f]{3}:)", r"\1…"),  # the page in the EPT pointer
    (r"(EPT \w+ at \S+ is 0x)[0-9a-f]+(?=[0-9a-f]{3}:)", r"\1…"),  # and in an EPT entry
    (r"\b(\d+\.\d+\.\d+)-\d+(-[\w-]*amd64)", r"\1-N\2"),   # 6.1.0-56-cloud-amd64
    (r"\b(\d+\.\d+)\.\d+(\+deb\d+-[\w-]*amd64)", r"\1.N\2"),
    (r"\(Debian [^)]*\)", "(Debian …)"),
    (r"\b\d+(\.\d+)? ?(ns|us|µs|ms|s|ticks|cycles)\b", r"N \2"),
    (r"\bcounted to \d+", "counted to N"),               # how far a guest came in the time it had
    (r"\b\d{3,} (scopes|VM exits)\b", r"N \1"),
    (r"\b\d{8,}\b", "N"),                                  # TSC values and other large counts
)


def normalised(line: str) -> str:
    """A log line without addresses, times and versions that change."""
    for pattern, word in _VARYING:
        line = re.sub(pattern, word, line)
    return line


def shape(line: str) -> str:
    """A log line without any number, to compare different kernels and CPU counts."""
    line = re.sub(r"\d+\.\d+\S*amd64", "RELEASE", normalised(line))
    line = line.replace("x86_64-linux-gnu-gcc", "gcc")  # as some headers call it
    line = re.sub(r"0x[0-9a-f…]+|\b[0-9a-f]{2,}h\b|\d+", "#", line)
    line = re.sub(r"\b(guest)s are\b", r"\1 is", line)
    return re.sub(r"\b(CPU|logical processor|time|page|exit|guest)s\b", r"\1", line)


def comparable(line: str) -> str:
    """A log line as two runs on the same machine are compared. How many scopes and exits there were
    depends on when an interrupt came, so their numbers do not count."""
    return shape(line) if re.search(r"\bscopes?\b|\bVM exits\b", line) else normalised(line)


def is_exact() -> bool:
    """Whether this Debian is the one whose logs the files hold; on others, numbers differ."""
    return platforms.debian() == platforms.known()[0]


def accepts() -> bool:
    """Whether files are to be written from this run (./lab test --accept)."""
    if not os.environ.get("VTX_ACCEPT"):
        return False
    assert is_exact(), f"the book shows what {platforms.known()[0]} gives: accept there"
    return True


def files(folder: Path) -> list[Path]:
    """The expected logs of a step."""
    return sorted((folder / "expected").glob("log*.txt"))


def parameters(path: Path) -> list[str]:
    """The module parameters that an expected log's name tells."""
    return [word for word in path.stem.split(".")[1:] if "=" in word]
