# SPDX-License-Identifier: GPL-2.0-only
"""The machinery behind guest.py: which cases share a boot, and the boots, a few at a time."""
from __future__ import annotations

import inspect
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Mapping

import pytest
from guest import LIBRARY, Case, Guest

from lab import bochs, build, image, kernels, proc
from lab.common import LabError, step_folders
from lab.watch import Outcome, without_time

#: The boot's main script: every case between marks, on the kernel log and on the second port.
DRIVER = """\
stty -F /dev/ttyS1 115200 raw -echo
exec 5>/dev/ttyS1
echo 1 >/sys/kernel/rcu_expedited  # else modules take seconds to go where there are two CPUs
run_case() {
  echo "@@BEGIN $1" >/dev/kmsg; echo "@@BEGIN $1" >&5
  CASE=$1 timeout -k 5 $2 sh -c ". /lab/library; . /lab/cases/$1" >&5 2>&1 </dev/null
  echo "
@@END $1 $?" >&5
  for module in $(lsmod | sed -n 's/^\\(step[0-9][0-9]_[a-z_]*\\) .*/\\1/p' | sort -r); do
    echo "@@LEFT $1 $module" >&5; rmmod $module 2>/dev/null
  done
  rmmod snapshot 2>/dev/null; rmmod stranger 2>/dev/null  # the tests' own, if a case failed
  echo "@@END $1" >/dev/kmsg
}
"""


class BootOfCases:
    """The cases that share a guest, and their boot."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.cases: dict[str, Case] = {}
        self.number = 0
        self.current: Case | None = None
        self.finished = 0
        self.started = self.wall = self.spent = 0.0
        self._boot: bochs.Boot | None = None
        self._console_case: Case | None = None
        self._result_case: Case | None = None
        self._half_done: set[str] = set()

    def add(self, case: Case) -> Case:
        """Adds a case, or gives back the equal one that is there."""
        known = self.cases.setdefault(case.name, case)
        if known.script != case.script:
            raise pytest.UsageError(f"two different scripts are called {case.name!r}")
        return known

    def ordered(self) -> list[Case]:
        """The cases as they run: one that ends the machine comes last."""
        cases = sorted(self.cases.values(), key=lambda case: bool(case.ends))
        if sum(bool(case.ends) for case in cases) > 1:
            raise pytest.UsageError(f"two cases would end the machine {self.guest.id()}: use tags")
        return cases

    def cost(self) -> float:
        """A guess at the seconds the boot takes, to start the longest first: cases take about a
        twentieth of what they may."""
        cases = sum(case.seconds for case in self.cases.values()) / 20
        return self.guest.boot_seconds() + cases

    def run(self, modules: Path, report: Callable[[str], None]) -> None:
        """Boots and settles all cases. Never raises: what goes wrong is each case's failure."""
        self.started = time.monotonic()
        folder = bochs.session_folder() / self.guest.id()
        try:
            shutil.rmtree(folder, ignore_errors=True)
            boot = self._boot = bochs.Boot(folder, self.guest, self._files(modules))
            for case in self.cases.values():
                case.console = boot.console
            outcome = boot.run(self.guest.limit, self._console, self._result,
                               tick=lambda: self._report(report))
            self.wall = outcome.seconds
            self._settle(boot, outcome)
        except (LabError, proc.Interrupted, OSError, AssertionError) as error:
            self._abandon(f"no boot: {error!r}" if not str(error) else str(error))
        except BaseException as error:
            self._abandon(f"the lab itself failed: {error!r}")
            raise

    def describe(self) -> str:
        """Where the boot stands, for a line of progress."""
        now = f"case {self.current.name}" if self.current else "starting"
        return (f"{self.guest.id()}: {self.finished} of {len(self.cases)} cases done, {now}"
                f" … {time.monotonic() - self.started:.0f} s")

    def _report(self, report: Callable[[str], None]) -> None:
        report(self.describe())

    def _files(self, modules: Path) -> dict[str, image.Content]:
        """Everything that the guest gets besides the base."""
        files: dict[str, image.Content] = {"lab/library": LIBRARY}
        for module in sorted(modules.glob("*.ko")):
            files[f"lab/modules/{module.name}"] = module
        for name in self.guest.kernel_modules:
            files[f"lab/kernel/{name}.ko"] = kernels.module_file(self.guest.kernel, name)
        driver = [DRIVER]
        for number, case in enumerate(self.ordered()):
            files[f"lab/cases/{number}"] = case.script + "\n"
            driver.append(f"run_case {number} {case.seconds}")
            for name, content in case.files().items():
                if files.setdefault(name.lstrip("/"), content) != content:
                    raise LabError(f"two cases want different files {name}")
        files["lab/scenario"] = "\n".join(driver) + "\n"
        return files

    def _by_number(self, word: str) -> Case:
        return self.ordered()[int(word)]

    def _console(self, line: str) -> None:
        text = without_time(line)
        words = text.split()
        if text.startswith("@@BEGIN "):
            self._console_case = self.current = self._by_number(words[1])
            self.current.cost = -self._spent()
        elif text.startswith("@@END ") and self._console_case:
            case, self._console_case = self._console_case, None
            case.cost += self._spent()
            self._one_half(case)
        elif self._console_case:
            self._console_case.lines.append(text)

    def _result(self, line: str) -> None:
        words = line.split()
        if line.startswith("@@BEGIN "):
            self._result_case = self._by_number(words[1])
        elif line.startswith("@@END ") and self._result_case:
            case, self._result_case = self._result_case, None
            case.rc = int(words[2])
            case.output = case.output[:-1] if case.output.endswith("\n\n") else case.output
            self._one_half(case)
        elif line.startswith("@@LEFT "):
            self._by_number(words[1]).left.append(words[2])
        elif self._result_case:
            self._result_case.output += line + "\n"

    def _spent(self) -> float:
        """The emulator's processor time so far."""
        self.spent = max(self.spent, self._boot.cpu_seconds() if self._boot else 0.0)
        return self.spent

    def times(self) -> dict[str, Any]:
        """What the boot and its cases took, in seconds, the dearest case first."""
        cases = {case.name: round(case.cost, 1) for case in self.cases.values() if case.cost > 0}
        wall = self.wall or time.monotonic() - self.started  # the last one is still switching off
        return {"boot": self.guest.id(), "wall": round(wall), "processor": round(self.spent),
                "cases": dict(sorted(cases.items(), key=lambda item: -item[1]))}

    def _one_half(self, case: Case) -> None:
        """A case is done when both serial ports have said so."""
        if case.name not in self._half_done:
            self._half_done.add(case.name)
            return
        self.finished += 1
        self.current = None
        case.done.set_result(None)

    def _settle(self, boot: bochs.Boot, outcome: Outcome) -> None:
        """After the boot: what is not done yet failed, unless it was meant to end the machine."""
        culprit = self.current
        for case in self.ordered():
            if case.done.done():
                continue
            case.ended = outcome.kind
            if case is culprit and case.ends == outcome.kind:
                case.done.set_result(None)
            elif case is culprit or culprit is None:
                case.done.set_exception(LabError(boot.explain(outcome)))
            else:
                case.done.set_exception(LabError(
                    f"not run, since the machine ended in case {culprit.name}:"
                    f" {boot.explain(outcome)}"))

    def _abandon(self, reason: str) -> None:
        for case in self.cases.values():
            if not case.done.done():
                case.done.set_exception(LabError(f"{self.guest.id()}: {reason}"))


class Runner:
    """Boots what the selected tests need, a few at a time, while the tests wait for their part."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.boots: dict[Guest, BootOfCases] = {}
        self.write = write
        self.at_once = int(os.environ.get("VTX_BOOTS", "2"))
        self._pool: ThreadPoolExecutor | None = None
        self._modules: dict[str, Path] = {}
        self._modules_lock = threading.Lock()

    def case_for(self, item: Any) -> Case | None:
        """The case of a test (a pytest item), made on first use."""
        mark = item.get_closest_marker("in_guest")
        if not mark or item.get_closest_marker("skip") or any(
                skip.args[0] for skip in item.iter_markers("skipif")):
            return None
        values = dict(item.callspec.params)
        guest = values.pop("guest")
        options = mark.kwargs
        taken = _taken(options["script"]) | _taken(options["files"])
        words = [value.stem if isinstance(value, Path) else str(value)
                 for name, value in values.items() if name in taken]
        suffix = f" [{'-'.join(words)}]" if words else ""
        case = Case(name=(options["name"] or item.originalname) + suffix, guest=guest,
                    script=_called(options["script"], values),
                    files=lambda: _called(options["files"], values) or {},
                    seconds=options["seconds"], ends=options["ends"])
        return self.boots.setdefault(guest, BootOfCases(guest)).add(case)

    def order(self) -> list[BootOfCases]:
        """The boots as they are started: the longest first."""
        return sorted(self.boots.values(), key=lambda boot: -boot.cost())

    def start(self) -> None:
        """Starts booting in the background."""
        if not self.boots:
            return
        self._pool = ThreadPoolExecutor(self.at_once, thread_name_prefix="boot")
        for number, boot in enumerate(self.order(), 1):
            boot.number = number
            self._pool.submit(self._boot, boot)

    def stop(self) -> None:
        """Ends what still runs."""
        proc.stop_all()
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _boot(self, boot: BootOfCases) -> None:
        label = f"boot {boot.number} of {len(self.boots)}"
        spoken = [time.monotonic()]

        def report(text: str) -> None:
            if time.monotonic() - spoken[0] >= 15:
                spoken[0] = time.monotonic()
                self.write(f"{label}: {text}")

        self.write(f"{label}: {boot.guest.id()}, {len(boot.cases)} cases")
        try:
            modules = self._built(boot.guest.kernel)
        except (LabError, proc.Interrupted, OSError) as error:
            boot._abandon(str(error))
            return
        boot.run(modules, report)
        self.write(f"{label}: {boot.guest.id()} done after"
                   f" {time.monotonic() - boot.started:.0f} s")

    def _built(self, kernel: str) -> Path:
        """The modules of all steps for a kernel, built once a session."""
        with self._modules_lock:
            if kernel not in self._modules:
                folder = bochs.session_folder() / f"modules-{kernel}"
                build.build(kernel, step_folders(), yes=True, collect=folder)
                kernels.image(kernel)
                self._modules[kernel] = folder
            return self._modules[kernel]


def _called(value: Any, parameters: Mapping[str, Any]) -> Any:
    """The value, or what it returns for a test's parameters (those that it takes)."""
    if not callable(value):
        return value
    return value(**{name: parameters[name] for name in _taken(value)})


def _taken(value: Any) -> set[str]:
    """The names of a test's parameters on which a script or the files depend."""
    return set(inspect.signature(value).parameters) if callable(value) else set()
