# SPDX-License-Identifier: GPL-2.0-only
"""The sessions of step 11's chapters: docs/sessions/turned-*.txt, written and compared as those of
test_lab_book.py. All of them come from one boot."""
from __future__ import annotations

import re

import host_builds
from guest import OLDER, Case, Guest, in_guest
from test_lab_book import compare, plain

from lab import bench, image
from lab.run_late import MODULE, PROGRAM

MACHINE = Guest(OLDER, cpus=2, tag="book-late", kernel_modules=("irqbypass", "kvm", "kvm-intel"))

#: A reader types `# command`, and sees what follows.
SCRIPT = f"""
    D=/sys/kernel/debug/{MODULE}; online=/sys/devices/system/cpu/cpu1/online
    name() {{ echo "# ask-name"; /lab/bin/ask-name; }}
    begin() {{ echo "# load {MODULE}"; load {MODULE} || fail load; cd $D; }}
    end() {{ cd /; echo "# unload {MODULE}"; unload {MODULE} || fail unload; }}
    cpus() {{ echo "# cat cpus"; cat cpus; }}
    echo "@@name"; name; begin; name; end; name
    echo "@@cpus"; begin; cpus; echo "# printf abc > watched; cat watched"
    printf abc >watched; cat watched; cpus
    echo "@@others"; echo "# load step02_vmxon"; load step02_vmxon 2>&1
    insmod /lab/kernel/irqbypass.ko; insmod /lab/kernel/kvm.ko
    echo "# insmod kvm-intel.ko"; insmod /lab/kernel/kvm-intel.ko 2>&1; rmmod kvm irqbypass
    echo "@@hotplug"; echo "# echo 0 >$online; cat cpus"; echo 0 >$online; cat cpus
    echo "# echo 1 >$online; cat cpus"; echo 1 >$online; cat cpus
    echo "@@mtrr"; echo "# cat /proc/mtrr"; cat /proc/mtrr
    echo "# echo 'base=0x100000000 size=0x10000000 type=uncachable' >/proc/mtrr"
    echo 'base=0x100000000 size=0x10000000 type=uncachable' 2>&1 >/proc/mtrr
    sleep 0.1; cpus; name; end
    echo "@@store"; echo "# load {MODULE}"; insmod /lab/extra/store.ko || fail store; cd $D
    echo "# printf a > watched; cat watched; cat cpus"; printf a >watched; sleep 0.1; cat watched
    cat cpus; end
    echo "@@rflags"; echo "# load {MODULE}"; insmod /lab/extra/rflags.ko 2>&1; true
"""

#: Mistakes that the chapters make on purpose: the file, what is there, and what they write.
STORE = ("watched_page.hpp", "watched_store(page_.bytes(), byte);",
         "page_.bytes()[0] = static_cast<std::byte>(byte);")
RFLAGS = ("running_state.hpp", "guest_rflags, Rflags::always_1);",
          "guest_rflags, std::uint64_t{0});")


def files() -> dict[str, image.Content]:
    return {"lab/bin/ask-name": bench.host_program("ask-name", PROGRAM),
            **{f"lab/extra/{name}.ko": host_builds.altered_step(name, "11", OLDER, change)
               for name, change in (("store", STORE), ("rflags", RFLAGS))}}


def like(line: str) -> str:
    """Which processor ran what is chance, so in a line of `cpus` only the processor counts."""
    return plain(re.sub(r"^(\d)  (guest|left|outside)  .*", r"\1", line))


def states(lines: list[str]) -> list[str]:
    """Where the processors were, by the lines of `cpus`."""
    return re.findall(r"^\d  (\w+)", "\n".join(lines), re.MULTILINE)


@in_guest(MACHINE, SCRIPT, files=files)
def test_book_step11(case: Case) -> None:
    assert case.rc == 0, case
    found = re.split(r"^@@(\w+)\n", case.output, flags=re.MULTILINE)
    parts = {name: body.replace("/lab/modules/", "").replace("/lab/extra/", "").replace(
        "/lab/kernel/", "").replace("rflags.ko", f"{MODULE}.ko").splitlines()
        for name, body in zip(found[1::2], found[2::2])}
    log = [line for line in case.lines if re.match(r"(step\w+|kvm): ", line)]

    def put(name: str, command: str, *patterns: str) -> None:
        """Puts lines of the log where a reader would have seen them: behind this command."""
        lines = [line for pattern in patterns for line in log if re.search(pattern, line)]
        lines = list(dict.fromkeys(lines))  # insmod may try twice
        at = next(at for at, line in enumerate(parts[name]) if line.startswith(command))
        assert len(lines) >= len(patterns), (name, lines)
        parts[name][at + 1:at + 1] = lines

    put("others", "# insmod", "^kvm: no hardware support")
    put("others", "# load", "^step02_vmxon: ")
    put("mtrr", "# echo", r"cpu 0: left .*\(WRMSR\)", r"cpu 1: left .*\(WRMSR\)")
    put("store", "# printf", r"left .*\(EPT violation\)")
    put("rflags", "# load", "VM entry failed", "not all processors")
    for number in ("0x1aa,", "0x2ff,"):  # which the chapter explains
        assert any(f"detail {number}" in line for line in log), case
    assert sum(int(count) for count in re.findall(
        r"EPT violation: (\d+)", "\n".join(parts["cpus"]))) == 3, case
    assert states(parts["hotplug"]) == ["guest", "outside", "guest", "guest"], case
    assert states(parts["mtrr"]) == ["left", "left"], case
    assert sorted(states(parts["store"])) == ["guest", "left"], case
    for name, lines in parts.items():
        compare(f"turned-{name}", lines, like)
