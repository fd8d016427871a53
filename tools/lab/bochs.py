# SPDX-License-Identifier: GPL-2.0-only
"""Runs the emulated PC: writes Bochs's configuration, starts it, watches it, says how it ended."""
from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

from . import image, kernels, proc
from .common import BUILD, UsageError, shown
from .watch import Outcome, Watch

#: Short names for the CPU models in which a reader is interested.
CPU_ALIASES = {
    "penryn": "core2_penryn_t9600",
    "arrandale": "corei5_arrandale_m520",
    "sandy": "corei7_sandy_bridge_2600k",
    "ivy": "corei7_ivy_bridge_3770k",
    "haswell": "corei7_haswell_4770",
    "broadwell": "broadwell_ult",
    "skylake": "corei7_skylake_x",
    "cannonlake": "corei3_cnl",
    "icelake": "corei7_icelake_u",
    "tigerlake": "tigerlake",
    "generic": "bx_generic",
    "prescott": "p4_prescott_celeron_336",
    "trinity": "trinity_apu",
    "zambezi": "zambezi",
    "venice": "athlon64_venice",
}
DEFAULT_CPU = "haswell"
#: Models on which Linux 6.1 prints nothing at all.
ONLY_6_12 = ("corei7_icelake_u", "tigerlake")
#: Models that are of no use here: 32-bit ones, and ones on which Linux says nothing.
UNUSABLE = ("pentium", "pentium_mmx", "amd_k6_2_chomper", "p2_klamath", "p3_katmai",
            "p4_willamette", "core_duo_t2400_yonah", "phenom_8650_toliman", "ryzen")

FILE_LIMIT = 64 << 20  # bytes that any file written by Bochs may reach


CONFIGURATION = """\
display_library: term
megs: {memory}
cpu: model={model}, count={cpus}, ips={ips}, quantum=32, reset_on_triple_fault=0
romimage: file={bios}
vgaromimage: file={vgabios}
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, {com1}
com2: enabled=1, mode=file, dev={com2}
log: {log}
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
clock: sync=none
speaker: enabled=0
sound: waveoutdrv=dummy
{extra}
"""


@dataclass(frozen=True)
class Machine:
    """An emulated PC and the kernel that it boots. Equal machines can share a boot."""

    kernel: str = kernels.DEFAULT
    cpu: str = DEFAULT_CPU
    cpus: int = 1
    command_line: str = ""
    memory: int = 512
    bios: Path | None = None
    bochsrc: tuple[str, ...] = ()

    def model(self) -> str:
        """The name that Bochs has for the CPU."""
        return CPU_ALIASES.get(self.cpu, self.cpu)

    def ips(self) -> int:
        """Instructions in an emulated second. With one CPU Bochs skips time in which there is
        nothing to do. With more it does not: a waiting CPU costs as much as one that works, so
        there a second is shorter."""
        return 100_000_000 if self.cpus == 1 else 25_000_000

    def check(self) -> None:
        """Refuses, in words, what cannot boot."""
        kernels.check_name(self.kernel, kernels.BOOTABLE)
        if self.model() not in CPU_ALIASES.values() and self.model() not in _models():
            raise UsageError(f"Bochs has no CPU model {self.cpu!r}. Short names: "
                             f"{', '.join(CPU_ALIASES)}; `bochs -help cpu` lists all.")
        if self.model() in UNUSABLE:
            raise UsageError(f"64-bit Linux does not start on the model {self.model()}.")
        if self.model() in ONLY_6_12 and self.kernel != "6.12":
            raise UsageError(f"Linux {self.kernel} does not start on {self.cpu};"
                             " add --kernel 6.12.")
        if not 1 <= self.cpus <= 8:
            raise UsageError(f"--cpus {self.cpus}: the lab takes 1 to 8;"
                             " each one slows the others.")

    def __str__(self) -> str:
        return f"Linux {self.kernel}, {self.cpu}, {self.cpus} CPU{'s' if self.cpus > 1 else ''}"


def _models() -> set[str]:
    """The CPU models that this Bochs has, by its own help."""
    try:
        result = subprocess.run(["bochs", "-help", "cpu"], stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        return set()
    return set(result.stdout.split())


def boot_folder(kind: str) -> Path:
    """A new folder under build/lab/ for one boot; the oldest ones of the same kind go."""
    parent = BUILD / "lab"
    parent.mkdir(parents=True, exist_ok=True)
    for old in sorted(parent.glob(f"{kind}-*-*"), key=lambda path: path.stat().st_mtime)[:-10]:
        if not Path("/proc", old.name.rsplit("-", 1)[1]).exists():
            shutil.rmtree(old, ignore_errors=True)
    folder = parent / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    folder.mkdir()
    return folder


class Boot:
    """One boot of a machine in a folder of its own, with its logs and what it booted."""

    def __init__(self, folder: Path, machine: Machine, files: Mapping[str, image.Content],
                 com1: Path | None = None) -> None:
        machine.check()
        self.folder = folder
        self.machine = machine
        self.console = folder / "console.log"
        self.results = folder / "results.log"
        self.log = folder / "bochs.log"
        self.iso = folder / "boot.iso"
        self._child: subprocess.Popen[Any] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        kernel = kernels.image(machine.kernel)
        image.make_iso(self.iso, kernel, files, machine.command_line)
        bios = machine.bios or Path("/usr/share/bochs/BIOS-bochs-latest")
        serial = f"mode=term, dev={com1}" if com1 else f"mode=file, dev={self.console.name}"
        (folder / "bochsrc").write_text(CONFIGURATION.format(
            memory=machine.memory, model=machine.model(), cpus=machine.cpus,
            ips=machine.ips(), bios=bios,
            vgabios="/usr/share/bochs/VGABIOS-lgpl-latest", iso=self.iso.name, com1=serial,
            com2=self.results.name, log=self.log.name, extra="\n".join(machine.bochsrc)),
            encoding="utf-8")
        # Debian builds Bochs with its debugger, which waits at a prompt for "continue".
        (folder / "debugger").write_text("c\n", encoding="ascii")

    def announcement(self) -> str:
        """What to say while it boots. Each CPU is emulated in turn, on one of ours."""
        return f"Booting {self.machine} in the Bochs emulator (about {20 * self.machine.cpus} s)"

    def run(self, limit: float, on_console: Callable[[str], None] = lambda line: None,
            on_result: Callable[[str], None] = lambda line: None, silence: float = 300.0,
            tick: Callable[[], None] = lambda: None) -> Outcome:
        """Boots and waits for the end, for at most `limit` seconds of wall time.

        The callbacks get each line of the console (kernel log) and of the second serial port
        (results) as it comes. `silence` bounds the time without any output. `tick` is called
        several times a second.
        """
        started = time.monotonic()
        watch = Watch(self.console, self.results, on_console, on_result,
                      panic_is_the_end="panic=-1" not in self.machine.command_line)
        outcome = None
        with self.emulator() as (child, screen):
            while outcome is None:
                drain(screen)
                tick()
                ended = child.poll() is not None
                watch.poll()
                outcome = watch.verdict()
                if ended:
                    outcome = outcome or self.ending(child.returncode)
                elif time.monotonic() - started > limit:
                    outcome = Outcome("timeout", f"it was not done after {limit:.0f} s")
                elif time.monotonic() - watch.heard > silence:
                    outcome = Outcome("timeout", f"it printed nothing for {silence:.0f} s"
                                      + (f" after: {watch.last}" if watch.last else ""))
        outcome.seconds = time.monotonic() - started
        outcome.trouble = watch.trouble
        if outcome.good:
            self.forget_cd()
        return outcome

    @contextlib.contextmanager
    def emulator(self) -> Iterator[tuple[subprocess.Popen[Any], int]]:
        """Bochs for the length of a with block, and the descriptor on which it draws its screen.

        The screen is a terminal of our own, which must be drained (drain()).
        """
        screen, terminal = pty.openpty()
        try:
            with proc.running(["bochs", "-q", "-f", "bochsrc", "-rc", "debugger"],
                              death_signal="KILL", file_size=FILE_LIMIT, cwd=self.folder,
                              stdin=terminal, stdout=terminal, stderr=terminal,
                              env={**os.environ, "TERM": "vt100", "LINES": "30",
                                   "COLUMNS": "90"}) as child:
                os.close(terminal)
                terminal = -1
                self._child = child
                yield child, screen
        finally:
            os.close(screen)
            if terminal >= 0:
                os.close(terminal)

    def cpu_seconds(self) -> float:
        """The processor time that Bochs has taken: unlike the wall clock, it does not depend on
        what else the machine does. 0 when Bochs has ended."""
        try:
            stat = Path(f"/proc/{self._child.pid}/stat").read_text() if self._child else ""
        except OSError:
            return 0.0
        times = stat.rpartition(")")[2].split()[11:13]  # utime and stime
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    def forget_cd(self) -> None:
        """Removes what is only of use to look into a failure."""
        self.iso.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "cd", ignore_errors=True)

    def ending(self, status: int) -> Outcome:
        """Why Bochs has ended, by its exit status and the end of its own log."""
        if status == -signal.SIGXFSZ:
            return Outcome("log size", f"a log grew past {FILE_LIMIT >> 20} MiB (a fault loop?)")
        tail = _tail(self.log)
        if "ACPI control: soft power off" in tail:
            return Outcome("off", "it switched itself off")
        if "3rd" in tail and "exception with no resolution" in tail or "triple fault" in tail:
            return Outcome("triple fault", "its CPU stopped with a triple fault")
        panics = re.findall(r"^\d+p\[(.*?)\] (?:>>PANIC<< )?(.*)$", tail, re.MULTILINE)
        if panics:
            return Outcome("emulator", f"Bochs gave up: {panics[-1][1].strip()}")
        if status in (-signal.SIGKILL, -signal.SIGTERM):
            return Outcome("killed", "Bochs was killed")
        return Outcome("emulator", f"Bochs ended with status {status} and gave no reason")

    def explain(self, outcome: Outcome) -> str:
        """One sentence for a person: what happened and where to look."""
        text = f"The emulated machine ({self.machine}) did not end well: {outcome.sentence}."
        if outcome.trouble:
            text += f" The kernel had said: {outcome.trouble[0]}."
        return f"{text} Logs: {shown(self.console)}, {shown(self.log)}"


def drain(descriptor: int, wait: float = 0.1) -> None:
    """Throws away what Bochs draws on its screen, so that it never waits for a reader."""
    if not select.select([descriptor], [], [], wait)[0]:
        return
    try:
        os.read(descriptor, 65536)
    except OSError:  # EIO: Bochs has closed its side
        time.sleep(wait)


def _tail(path: Path, size: int = 16384) -> str:
    """The end of a file as text."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
