# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages: which are needed for what, which are missing, and how they get installed."""
from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Iterable

from . import common, platforms, ui

#: Packages that count as installed if their command is there, for it may come from elsewhere.
COMMANDS = {"nodejs": "node", "npm": "npm"}


def groups() -> tuple[str, ...]:
    """The kinds of work that need packages."""
    return tuple(platforms.debian().packages)


def needed(wanted: Iterable[str]) -> list[str]:
    """The packages of some groups, each once."""
    return list(dict.fromkeys(
        name for group in wanted for name in platforms.debian().packages[group]))


def installed() -> set[str]:
    """The names of all packages that dpkg has fully installed."""
    result = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"],
                            stdout=subprocess.PIPE, text=True, check=True)
    rows = (line.split(" ") for line in result.stdout.splitlines())
    return {row[0] for row in rows if row[1] == "installed"}


def missing(names: Iterable[str]) -> list[str]:
    """Those of the named packages that are not installed, in order."""
    present = installed() | {name for name, command in COMMANDS.items() if shutil.which(command)}
    return [name for name in names if name not in present]


def ensure(names: Iterable[str], yes: bool = False) -> None:
    """Installs what is missing of the named packages, and says so; asks first if sudo is needed."""
    wanted = missing(names)
    if not wanted:
        return
    with common.locked(common.BUILD / "cache" / "packages.lock"):
        wanted = missing(wanted)
        if wanted:
            install(wanted, yes)


def install(names: list[str], yes: bool) -> None:
    """Installs (or brings up to date) the named packages by apt, as root or through sudo."""
    prefix = _permission(names, yes)
    ui.say(f"To be installed from Debian: {' '.join(names)}")
    if _lists_are_old() or _unknown(names):
        _apt(prefix, ["update"], "Fetching Debian's package lists")
    refuse_unknown(names)
    if _install(prefix, names) != 0:
        _apt(prefix, ["update"], "Fetching Debian's package lists again")
        if _install(prefix, names) != 0:
            _fail(names)


def install_line(names: Iterable[str]) -> str:
    """The command that a person types to do the same."""
    return "apt-get install --no-install-recommends " + " ".join(names)


def _permission(names: list[str], yes: bool) -> list[str]:
    """What to put before apt-get to be allowed to install; asks, or gives up with exit status 2."""
    if os.geteuid() == 0:
        return []
    line = install_line(names)
    if not shutil.which("sudo"):
        raise common.UsageError("Packages are missing and there is no sudo."
                                f" As root, run:\n  {line}")
    if not yes:
        if not ui.can_ask():
            raise common.UsageError("Packages are missing, and without a terminal nobody can be"
                                    f" asked. Run this, or pass --yes:\n  sudo {line}")
        ui.say(f"Packages are missing. The lab would run:\n  sudo {line}")
        if not ui.ask("Install them now?"):
            raise common.UsageError("Nothing was installed.")
    # In the foreground, so that sudo can ask for a password before output is captured.
    if subprocess.run(["sudo", "-v"], check=False).returncode != 0:
        raise common.UsageError(f"sudo refused. As root, run:\n  {line}")
    return ["sudo"]


def _lists_are_old() -> bool:
    """Whether apt's lists are absent or more than a day old (old lists name files now gone)."""
    lists = list(Path("/var/lib/apt/lists").glob("*_InRelease"))
    lists += Path("/var/lib/apt/lists").glob("*_Packages*")
    newest = max((path.stat().st_ctime for path in lists), default=0.0)
    return time.time() - newest > 86400


def _unknown(names: Iterable[str]) -> list[str]:
    """The names for which apt has no candidate version."""
    result = subprocess.run(["apt-cache", "policy", *names], stdout=subprocess.PIPE, text=True,
                            check=True, env={**os.environ, "LC_ALL": "C"})
    found = re.findall(r"^(\S+):\n.*\n  Candidate: (\S+)", result.stdout, re.MULTILINE)
    known = {name for name, candidate in found if candidate != "(none)"}
    return [name for name in names if name not in known]


def refuse_unknown(names: list[str]) -> None:
    """Says where a package that apt does not know would come from."""
    unknown = _unknown(names)
    if unknown:
        debian = platforms.debian()
        raise common.LabError(
            f"apt knows no package {', '.join(unknown)}. Is there an archive of {debian}"
            f" ({debian.suite} main) in /etc/apt/sources.list or /etc/apt/sources.list.d/?")


def _install(prefix: list[str], names: list[str]) -> int:
    many = "s" if len(names) > 1 else ""
    return _apt(prefix, ["install", "-y", "--no-install-recommends", *names],
                f"Installing {len(names)} package{many} and what they need", check=False)


def _apt(prefix: list[str], arguments: list[str], title: str, check: bool = True) -> int:
    """Runs apt-get with its output in build/apt.log and a line of progress on the screen."""
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get",
               "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", *arguments]
    log = common.BUILD / "apt.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as file, ui.busy(title) as progress:
        file.write("$ " + shlex.join(command) + "\n")
        # Not in a session of its own: sudo remembers its password by terminal.
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace") as child:
            assert child.stdout is not None
            for line in child.stdout:
                file.write(line)
                file.flush()
                progress.detail = _step_of(line) or progress.detail
        if check and child.returncode != 0:
            _fail(arguments)
    return child.returncode


def _step_of(line: str) -> str:
    """What an output line of apt tells about its progress."""
    found = re.match(r"(Unpacking|Setting up|Get:\d+ \S+ \S+ \S+) ?(\S*)", line)
    if not found:
        return ""
    return line.split(" ")[4] if line.startswith("Get:") and line.count(" ") > 4 else found.group(0)


def _fail(arguments: list[str]) -> None:
    log = common.BUILD / "apt.log"
    errors = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
              if line.startswith("E:")]
    why = f": {errors[-1][3:]}" if errors else ""
    raise common.LabError(f"apt-get {arguments[0]} failed{why}. Its log: {common.shown(log)}")
