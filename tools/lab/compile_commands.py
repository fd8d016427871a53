# SPDX-License-Identifier: GPL-2.0-only
"""./lab compile-commands: compile_commands.json, for clangd, from kbuild's records."""
from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from . import build, kernels, ui
from .common import ROOT, LabError, shown, step_folders

#: Flags of gcc that clang does not know, or that make it refuse headers it could read.
GCC_ONLY = re.compile(
    r"-fconserve-stack|-mrecord-mcount|-fno-allow-store-data-races|-mindirect-branch.*"
    r"|-mfunction-return=.*|-fzero-call-used-regs=.*|-mharden-sls=.*|-fpatchable-function-entry=.*"
    r"|-mpreferred-stack-boundary=.*|-mskip-rax-setup|-fno-var-tracking-assignments"
    r"|-falign-jumps=.*|-falign-loops=.*|-fno-ipa-cp-clone|-fno-partial-inlining"
    r"|-mno-fp-ret-in-387|-mno-80387|-Wno-maybe-uninitialized|-Wno-alloc-size-larger-than"
    r"|-Wimplicit-fallthrough=.*|-Wno-stringop-.*|-Wno-restrict|-Wno-packed-not-aligned"
    r"|-Wno-format-(truncation|overflow)|-Wno-dangling-pointer|-Wno-array-bounds"
    r"|-Wno-main|-Wno-unused-but-set-variable|-ftrivial-auto-var-init=.*"
    r"|-fmin-function-alignment=.*"
    r"|-fsanitize=.*|-fno-stack-clash-protection|-Wp,.*|-DCC_USING_.*|-pg|-mfentry"
    r"|-Wno-frame-address|-Wno-unused-const-variable|-Wno-override-init|-Wno-alloc.*")


def entries(kernel: str) -> list[dict[str, object]]:
    """One entry a source file that kbuild compiled in the mirror for a kernel."""
    mirror = build.tree(kernel)
    found: dict[str, dict[str, object]] = {}
    for record in sorted(mirror.glob("step*/**/.*.o.cmd")):
        line = record.read_text(encoding="utf-8").split("\n", 1)[0]
        match = re.match(r"(?:saved)?cmd_\S+ := (.*)$", line)
        if not match:
            continue
        command = re.split(r"\s*;\s*", match.group(1), maxsplit=1)[0]
        words = [word for word in shlex.split(command) if not GCC_ONLY.fullmatch(word)]
        source = words[-1]
        if (not source.endswith((".c", ".cpp")) or str(mirror) not in source
                or not build.is_source(Path(source).name)):
            continue
        # The sources themselves, not their copies in the mirror, by their plain names.
        words = [re.sub(r"/step[^/]*/\.\./", "/", word.replace(str(mirror), str(ROOT)))
                 for word in words]
        file = words[-1]
        found.setdefault(file, {"directory": str(kernels.headers(kernel)), "file": file,
                                "arguments": words})
    return list(found.values())


def run(kernel: str, yes: bool) -> int:
    """Carries out ./lab compile-commands."""
    build.build(kernel, step_folders(), yes)
    listed = entries(kernel)
    if not listed:
        raise LabError(f"kbuild left no record of its commands in {shown(build.tree(kernel))}.")
    target = ROOT / "compile_commands.json"
    target.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    ui.say(f"{shown(target)}: {len(listed)} files, as compiled for Linux {kernels.number(kernel)}.")
    return 0
