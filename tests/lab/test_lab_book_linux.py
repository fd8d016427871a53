# SPDX-License-Identifier: GPL-2.0-only
"""The sessions of step 10's chapters: docs/sessions/linux-*.txt, written and compared as those of
test_lab_book.py, and the figure that is drawn from one of them."""
from __future__ import annotations

import re
from pathlib import Path

import expected
from guest import OLDER, Case, Guest, in_guest
from test_lab_book import compare

from lab import exits_chart, image, kernels

MODULE = "step10_linux"
#: The RAM of the guest, 128 MiB, comes out of this.
MACHINE = Guest(OLDER, memory=512 + 384, tag="linux")  # as in test_linux_guests.py: one boot

#: What the guest runs first: it says how long it took, and is a shell.
INIT = """\
#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
cat /proc/uptime
echo hello from init
exec setsid cttyhack sh -i
"""

SCRIPT = f"""
    load {MODULE} || fail load
    cd /sys/kernel/debug/{MODULE}
    cat /lab/guest/kernel >kernel && cat /lab/guest/initrd >initrd || fail files
    say() {{ while read -r line; do echo "$line" >console; sleep 0.5; done; }}
    shell() {{ while ! grep -q "built-in shell" /tmp/seen; do sleep 0.2; done; sleep 1; }}
    echo "@@first"; echo 1 >run; sleep 0.3; echo 0 >run; cat exits; cat console >/dev/null
    echo "@@boot"; echo 1 >run
    : >/tmp/seen; cat console >/tmp/seen & shell
    printf '%s\\n' 'uname -sr' 'poweroff -f' | say; wait
    cat /tmp/seen
    echo "@@status"; cat status; echo "@@exits"; cat exits
    echo "@@again"; echo 1 >run
    : >/tmp/seen; cat console >/tmp/seen & shell; echo 'reboot -f' | say; wait; tail -1 /tmp/seen
    echo "@@status2"; cat status; echo "@@exits2"; tail -20 exits
    P=/sys/module/{MODULE}/parameters
    echo "@@header"; busybox od -A x -t x1 -j 0x1f0 -N 0x20 /lab/guest/kernel
    echo "@@little"; echo '# echo 64 > '$P/memory_mb; echo 64 >$P/memory_mb
    echo '# echo 1 > run'; echo 1 2>&1 >run; echo 128 >$P/memory_mb
    echo "@@first64"; echo 64 >$P/entry; echo 1 >run; sleep 0.1; echo 0 >run; head -12 exits
    echo "@@silent"; echo 32 >$P/entry; cat cmdline >/tmp/cmdline
    echo '# echo console=ttyS1 > cmdline'; echo console=ttyS1 >cmdline
    echo '# echo 1 > run; sleep 3; cat status'; echo 1 >run; sleep 3; cat status
    echo '# echo 0 > run; cat console | wc -c'; echo 0 >run; cat console | wc -c
    cd /; unload {MODULE}
"""


def files() -> dict[str, image.Content]:
    """Debian's kernel, and an initrd with nothing but busybox."""
    busybox = Path("/bin/busybox")
    links = {f"bin/{name}": "busybox" for name in image._applets(busybox)}
    initrd = image.pack({"bin/busybox": busybox, "init": INIT}, ("dev", "proc", "root"), links)
    return {"lab/guest/kernel": kernels.image(OLDER).vmlinuz, "lab/guest/initrd": initrd}


def parts(case: Case) -> dict[str, list[str]]:
    """What the script printed, by its marks, without what a terminal does not show."""
    text = re.sub(r"\x1b\[[0-9;]*n", "", case.output.replace("\r", ""))
    found = re.split(r"^@@(\w+)\n", text, flags=re.MULTILINE)
    return {name: body.splitlines() for name, body in zip(found[1::2], found[2::2])}


def chosen(lines: list[str], *patterns: str) -> list[str]:
    """The first line for each pattern, in this order."""
    found = [next((line for line in lines if re.search(pattern, line)), "") for pattern in patterns]
    assert all(found), [pattern for pattern, line in zip(patterns, found) if not line]
    return found


def own(lines: list[str]) -> list[str]:
    """The heading and the exits that the guest itself has caused. When the host's interrupts and
    the VMX-preemption timer come is different in each run."""
    return [line for line in lines if re.match(r"# exit|\d+  (?!1 |7 |52 )", line)]


def tick(lines: list[str]) -> list[str]:
    """The exits from the first access of the interrupt handler to the one that unmasks the line."""
    records = [line for line in lines if re.match(r"\d+  ", line)]
    ports = ["0x210048", "0x210040", "0x200040", "0x400040", "0x800040", "0x400040", "0x800040",
             "0x210040"]
    for at in range(len(records)):
        some = records[at:at + len(ports)]
        if all(port in line for port, line in zip(ports, some)) and len(some) == len(ports):
            return some
    return []


#: One boot for all of them.
RUN = in_guest(MACHINE, SCRIPT, name="book-linux", files=files, seconds=240)


@RUN
def test_book_step10_boot(case: Case) -> None:
    """From the first line to the last."""
    assert case.rc == 0 and not case.trouble, case
    console = parts(case)["boot"]
    first = chosen(console, r"Linux version", r"Command line:", r"tsc: Detected",
                   r"console \[ttyS0\] enabled", r"ttyS0 at I/O", r"setting system clock",
                   r"Run /init", r"^\d+\.\d+ \d+\.\d+$", r"^hello from init")
    shell = console.index(next(line for line in console if "built-in shell" in line))
    first[0] = re.sub(r" \(debian-kernel.*", " …", first[0])
    compare("linux-boot", [*first, *(line for line in console[shell:] if line),
                           *(f"{MODULE}: {line}" for line in case.log_of(MODULE)
                             if "switched its machine off" in line)])


@RUN
def test_book_step10_machine(case: Case) -> None:
    """What Linux concludes from what is not there."""
    compare("linux-machine", chosen(
        parts(case)["boot"], r"DMI not present", r"MTRRs disabled", r"A valid RSDP was not found",
        r"No local APIC present", r"Booting paravirtualized kernel on", r"APIC: Keep in PIC mode",
        r"PCI: System does not support PCI", r"i8042: No controller found"))


@RUN
def test_book_step10_memory(case: Case) -> None:
    """The map, and what Linux made of it."""
    console = parts(case)["boot"]
    compare("linux-memory", [line for line in console if "BIOS-e820: " in line] + chosen(
        console, r"RAMDISK:", r"Memory: \d+K"))


@RUN
def test_book_step10_exits(case: Case) -> None:
    """The totals of a boot, from which the figure is drawn, and its end."""
    said = parts(case)
    exits = said["exits"]
    totals = [line for line in exits if re.match("total|ports", line)]
    assert sum(int(line.split()[-1]) for line in totals if line.startswith("total")) == int(
        re.search(r"exits=(\d+)", said["status"][0])[1])  # type: ignore[index]
    compare("linux-exits", [*said["status"], *totals])
    if expected.accepts():
        exits_chart.keep()
    compare("linux-off", own(exits)[-3:])


@RUN
def test_book_step10_first(case: Case) -> None:
    """How a guest begins."""
    compare("linux-first", own(parts(case)["first"])[:13])


@RUN
def test_book_step10_tick(case: Case) -> None:
    """What Linux does at a tick, while it has little else to do."""
    compare("linux-tick", tick(parts(case)["exits"]))


@RUN
def test_book_step10_first_in_64_bit_code(case: Case) -> None:
    compare("linux-first-64", own(parts(case)["first64"])[:13])


@RUN
def test_book_step10_header(case: Case) -> None:
    """Two lines of the kernel's file, which the chapter takes apart. In the next kernel of Debian
    the sizes may be others, but not the places of the marks."""
    lines = parts(case)["header"]
    header = bytes.fromhex("".join(re.findall(r"^000\w{3} (.+)$", "\n".join(lines), re.MULTILINE)))
    assert header[0xe:0x10] == b"\x55\xaa" and header[0x12:0x16] == b"HdrS", lines
    compare("linux-header", lines, lambda line: re.sub(r"\b[0-9a-f]{2}\b", "#", line))


@RUN
def test_book_step10_little_memory(case: Case) -> None:
    compare("linux-little", [*parts(case)["little"], *(
        f"{MODULE}: {line}" for line in case.log_of(MODULE) if "is too little" in line)])


@RUN
def test_book_step10_silent(case: Case) -> None:
    """A guest whose console is at a port without a device."""
    silent = parts(case)["silent"]
    assert "state=running" in silent[2] and silent[-1].strip() == "0", case
    compare("linux-silent", silent)


@RUN
def test_book_step10_reboot(case: Case) -> None:
    said = parts(case)
    compare("linux-reboot", [*said["again"], *own(said["exits2"])[-3:], *said["status2"],
                             *(f"{MODULE}: {line}" for line in case.log_of(MODULE)
                               if "restarted its machine" in line)])
