# SPDX-License-Identifier: GPL-2.0-only
"""Runs the emulated PC: writes Bochs's configuration, starts it, watches it, says how it ended."""
from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

from . import image, kernels, platforms, proc
from .common import BUILD, LabError, hold, is_held, locked, shown, unique, write_if_changed
from .machine import DEFAULT_CPU, Machine, version
from .watch import Outcome, Watch, tail

GROUP = "lab"  # of packages
FILE_LIMIT = 64 << 20  # bytes that any file written by the emulator may reach
#: A kernel that boots says something within so many times the processor time that the emulator took
#: until its first line: in our boots it is at most 8. So a slow machine gets more time.
PATIENCE = 20
LIMIT = 900.0  # seconds for a boot and what it does (see Boot.run), where nothing else is said
BOCHS = ("bochs", "-q", "-f", "bochsrc", "-rc", "debugger")
BIOS = Path("/usr/share/bochs/BIOS-bochs-latest")
TRIPLE_FAULT = "exception with no resolution"
PROBE = Path(__file__).with_name("probe.S")

CONFIGURATION = """\
display_library: term
megs: {memory}
cpu: model={model}, count={cpus}, ips={ips}, quantum=32, reset_on_triple_fault=0
romimage: file={bios}
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, {com1}
com2: enabled=1, mode=file, dev=results.log
log: bochs.log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
clock: sync=none
speaker: enabled=0
sound: waveoutdrv=dummy
{extra}
"""


def boot_folder(kind: str) -> Path:
    """A new folder under build/lab/ for one boot; the oldest ones of the same kind go."""
    parent = BUILD / "lab"
    parent.mkdir(parents=True, exist_ok=True)
    for old in sorted(parent.glob(f"{kind}-*-*"))[:-10]:
        if not is_held(old):
            shutil.rmtree(old, ignore_errors=True)
    folder = parent / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}-{unique()}"
    folder.mkdir()
    hold(folder)
    return folder


@functools.cache
def session_folder() -> Path:
    """The one folder for all boots of a session of tests."""
    return boot_folder("test")


@contextlib.contextmanager
def emulator(command: Sequence[str], folder: Path,
             **options: Any) -> Iterator[tuple[subprocess.Popen[Any], int]]:
    """An emulator for a with block, and the descriptor of its screen, which wants drain()."""
    screen, terminal = pty.openpty()
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal, **options}
    try:
        with proc.running(command, death_signal="KILL", file_size=FILE_LIMIT, cwd=folder,
                          env={**os.environ, "TERM": "vt100", "LINES": "30", "COLUMNS": "90"},
                          **streams) as child:
            os.close(terminal)
            terminal = -1
            yield child, screen
    finally:
        os.close(screen)
        if terminal >= 0:
            os.close(terminal)


def refuse_wrong_divisions() -> None:
    """Refuses a Bochs that cannot boot Linux since it divides wrongly (bochs-emu/Bochs#668).

    Each bochs is probed once, by a firmware of ours that takes half a second.
    """
    program = Path(shutil.which("bochs") or "bochs").resolve()
    if not program.exists():
        return  # to be installed, or missed at the boot
    facts = program.stat()
    key = f"{program} {facts.st_size} {facts.st_mtime_ns} {PROBE.read_text(encoding='utf-8')}"
    verdict = BUILD / "cache" / f"bochs-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    with locked(BUILD / "cache" / "bochs-probe.lock"):
        if not verdict.exists():
            write_if_changed(verdict, _probe(BUILD / "cache" / "bochs-probe").encode())
    if verdict.read_bytes() == b"wrong":
        raise LabError(
            f"Bochs {version()} ({program}) cannot boot Linux: it divides 64-bit numbers wrongly,"
            " if GCC 15 or later built it (Bochs's bug 668). Take the package bochs of"
            f" {platforms.names()}, or run the lab in its container, which has that one.")


def _probe(folder: Path) -> str:
    """Whether this Bochs divides right or wrong, by probe.S in place of its BIOS."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "bochs.log"
    log.unlink(missing_ok=True)
    if proc.run_logged([platforms.debian().compiler, "-nostdlib", "-static", "-no-pie",
                        "-Wl,--oformat=binary,-Ttext=0xf0000,--build-id=none", "-o",
                        str(folder / "probe.rom"), str(PROBE)], folder / "build.log") != 0:
        raise LabError(f"{PROBE.name} does not build. Log: {shown(folder / 'build.log')}")
    configure(folder, Machine(memory=32, bios=Path("probe.rom")), "none")
    with emulator(BOCHS, folder) as (child, screen):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            drain(screen)
            ended, text = child.poll() is not None, tail(log)
            if "Shutdown port" in text:
                return "right"
            if TRIPLE_FAULT in text:
                return "wrong"
            if ended:
                break
    raise LabError(f"Bochs does not start. Log: {shown(log)}")


def configure(folder: Path, machine: Machine, iso: str, com1: str = "mode=null") -> None:
    """Writes what Bochs reads: for BOCHS, run in this folder by emulator()."""
    (folder / "bochsrc").write_text(CONFIGURATION.format(
        memory=machine.memory, model=machine.model(), cpus=machine.cpus, ips=machine.ips(),
        bios=machine.bios or BIOS, iso=iso, com1=com1, extra="\n".join(machine.bochsrc)),
        encoding="utf-8")
    # Debian builds Bochs with its debugger, which waits at a prompt for "continue".
    (folder / "debugger").write_text("c\n", encoding="ascii")


class Boot:
    """One boot of a machine in a folder of its own, with its logs and what it booted."""

    EMULATOR = "Bochs"

    def __init__(self, folder: Path, machine: Machine, files: Mapping[str, image.Content],
                 com1: Path | None = None) -> None:
        machine.check()
        self.folder = folder
        self.machine = machine
        self.console = folder / "console.log"
        self.results = folder / "results.log"
        self.log = folder / f"{self.EMULATOR.lower()}.log"
        self.iso = folder / "boot.iso"
        self.flags: tuple[str, ...] = ()  # more for the emulator
        self._child: subprocess.Popen[Any] | None = None
        self._started = 0.0
        self._lines, self._first, self._last = 0, 3.0, 0.0  # see hang()
        folder.mkdir(parents=True, exist_ok=True)
        self.prepare(com1)
        self.make_cd(files)

    def make_cd(self, files: Mapping[str, image.Content]) -> None:
        """What it boots: the machine's kernel, with the lab's own files and these."""
        kernel = kernels.image(self.machine.kernel)
        image.make_iso(self.iso, kernel, files, self.machine.command_line)

    def prepare(self, com1: Path | None) -> None:
        """What the emulator itself needs. `com1` is a terminal for the first serial port."""
        refuse_wrong_divisions()
        configure(self.folder, self.machine, self.iso.name,
                  f"mode=term, dev={com1}" if com1 else f"mode=file, dev={self.console.name}")

    def announcement(self) -> str:
        """What to say while it boots."""
        about = self.machine.boot_seconds()
        return f"Booting {self.machine} in the Bochs emulator (about {about} s)"

    def run(self, limit: float = LIMIT, on_console: Callable[[str], None] = lambda line: None,
            on_result: Callable[[str], None] = lambda line: None, silence: float = 900.0,
            tick: Callable[[], None] = lambda: None) -> Outcome:
        """Boots and waits for the end, for at most `limit` seconds as age() counts them.

        The callbacks get each line of the console (kernel log) and of the second serial port
        (results) as it comes. `silence` bounds the time without any output. `tick` is called
        several times a second.
        """
        self._started = time.monotonic()
        watch = Watch(self.console, self.results, on_console, on_result,
                      panic_is_the_end="panic=-1" not in self.machine.command_line)
        outcome = None
        with self.emulator() as (child, screen):
            while outcome is None:
                drain(screen)
                tick()
                ended = child.poll() is not None
                watch.poll()
                outcome = watch.verdict(ended) or self.stopped() or self.hang(watch)
                if ended:
                    outcome = outcome or self.ending(child.returncode)
                elif self.age() > limit:
                    outcome = Outcome("timeout", f"it was not done after {limit:.0f} s")
                elif time.monotonic() - watch.heard > silence:
                    outcome = Outcome("timeout", f"it printed nothing for {silence:.0f} s"
                                      f" {watch.after()}")
        outcome.seconds = time.monotonic() - self._started
        if outcome.good:
            self.forget_cd()
        return watch.completed(outcome)

    @contextlib.contextmanager
    def emulator(self) -> Iterator[tuple[subprocess.Popen[Any], int]]:
        """As the function emulator(), for this boot."""
        with emulator((*BOCHS, *self.flags), self.folder) as (child, screen):
            self._child = child
            yield child, screen

    def hang(self, watch: Watch) -> Outcome | None:
        """An outcome if a kernel that boots has said nothing for too long."""
        now = self.cpu_seconds()
        if watch.lines != self._lines:
            self._first = self._first if self._lines else max(now, self._first)
            self._lines, self._last = watch.lines, now
        if watch.ready or now - self._last <= PATIENCE * self._first * self.machine.cpus:
            return None
        return Outcome("silent", "its kernel does not come up, and said nothing more"
                       f" {watch.after()}")

    def age(self) -> float:
        """The emulator's processor time or, should it stand still, a quarter of the wall time."""
        return max(self.cpu_seconds(), (time.monotonic() - self._started) / 4)

    def cpu_seconds(self) -> float:
        """The processor time that the emulator has taken: unlike the wall clock, it does not depend
        on what else the machine does. 0 when it has ended."""
        return proc.cpu_seconds(self._child.pid) if self._child else 0.0

    def forget_cd(self) -> None:
        """Removes what is only of use to look into a failure."""
        self.iso.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "cd", ignore_errors=True)

    def stopped(self) -> Outcome | None:
        """An outcome if its CPU has stopped for good. Bochs 2.7 and 3.0 end by it, not 3.1."""
        if TRIPLE_FAULT in tail(self.log):
            return Outcome("triple fault", "its CPU stopped with a triple fault")
        return None

    def ending(self, status: int) -> Outcome:
        """Why Bochs has ended, by its exit status and the end of its own log."""
        if status == -signal.SIGXFSZ:
            return Outcome("log size", f"a log grew past {FILE_LIMIT >> 20} MiB (a fault loop?)")
        if stopped := self.stopped():
            return stopped
        text = tail(self.log)
        if "ACPI control: soft power off" in text:
            return Outcome("off", "it switched itself off")
        panics = re.findall(r"^\d+p\[(.*?)\] (?:>>PANIC<< )?(.*)$", text, re.MULTILINE)
        if panics:
            return Outcome("emulator", f"Bochs gave up: {panics[-1][1].strip()}")
        if status in (-signal.SIGKILL, -signal.SIGTERM):
            return Outcome("killed", "Bochs was killed")
        return Outcome("emulator", f"Bochs ended with status {status} and gave no reason")

    def explain(self, outcome: Outcome) -> str:
        """One sentence for a person: what happened and where to look."""
        text = f"The machine ({self.machine}) did not end well: {outcome.sentence}."
        if outcome.trouble:
            text += f" The kernel had said: {outcome.trouble[0]}."
        if not outcome.came_up and outcome.kind in ("silent", "panic", "triple fault"):
            text += self.likely_cause()
        return f"{text} Logs: {shown(self.console)}, {shown(self.log)}"

    def likely_cause(self) -> str:
        """What most often keeps a kernel from coming up."""
        if self.machine.cpu != DEFAULT_CPU:
            return (f" Perhaps this kernel does not run on {self.machine.cpu}: try another"
                    f" --kernel, or leave --cpu out, which gives {DEFAULT_CPU}.")
        return (f" Perhaps this Bochs ({version()}) is broken: take the package bochs of"
                f" {platforms.names()}.")


def drain(descriptor: int, wait: float = 0.1) -> None:
    """Throws away what Bochs draws on its screen, so that it never waits for a reader."""
    if not select.select([descriptor], [], [], wait)[0]:
        return
    try:
        os.read(descriptor, 65536)
    except OSError:  # EIO: Bochs has closed its side
        time.sleep(wait)
