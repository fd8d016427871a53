# SPDX-License-Identifier: GPL-2.0-only
"""Downloads packages that are extracted, not installed, by apt lists of the lab's own.

Everything lies in build/cache/; nothing in /etc/apt or /var/lib/apt changes, and no root is needed.
Mirror and proxy are those of this machine's apt.
"""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from . import platforms, proc
from .common import BUILD, LabError, locked, shown, write_if_changed

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LISTS_LIVE = 86400  # seconds, after which lists may name files that are gone

#: What apt reads after the machine's own configuration, which still says how to reach the mirror.
#: Its hooks (#clear) are for the system's lists, not for ours.
CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "amd64";
#clear APT::Architectures;
APT::Default-Release "";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc::sourcelist "{place}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{place}/state";
Dir::State::status "{place}/state/status";
Dir::State::lists "{place}/state/lists";
Dir::Cache "{place}/cache";
"""


def cache() -> Path:
    """Where the downloads for this machine's Debian are kept."""
    return BUILD / "cache" / f"debian{platforms.debian().version}"


def mirrors() -> dict[str, str]:
    """The address from which this machine's apt takes each suite.

    Not by `apt-get indextargets`, which is silent while apt has no lists, as in a new container.
    """
    result = subprocess.run(["apt-get", "--print-uris", "update"], text=True, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    rows = re.findall(r"^'(\S+?)/*/dists/(\S+?)/InRelease'", result.stdout, re.MULTILINE)
    return {suite: address for address, suite in reversed(rows)}


def sources(debian: platforms.Debian, known: dict[str, str]) -> dict[str, str]:
    """An address for each suite of a Debian that these mirrors are likely to have.

    A machine may lack a suite, name it otherwise ("stable"), or run another Debian. Then it comes
    from the mirror that has the rest; security has one of its own.
    """
    def find(security: bool) -> str:
        rows = [(suite.startswith(debian.suite), address) for suite, address in known.items()
                if ("security" in suite) == security and "debian" in address]
        return max(rows, default=(False, ""))[1]

    main, security = find(False), find(True)
    found = {suite: known.get(suite, security if "security" in suite else main)
             for suite in debian.suites}
    return {suite: address for suite, address in found.items() if address}


def sources_list(debian: platforms.Debian, known: dict[str, str]) -> str:
    """The lines of a sources.list."""
    return "".join(f"deb [signed-by={KEYRING}] {address} {suite} main\n"
                   for suite, address in sources(debian, known).items())


def _prepare() -> list[str]:
    """Writes apt's configuration. Returns the option by which apt reads it."""
    place = cache() / "apt"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    write_if_changed(place / "state" / "status", b"")
    write_if_changed(place / "apt.conf", CONFIGURATION.format(place=place).encode())
    text = sources_list(platforms.debian(), mirrors())
    if not text:
        raise LabError("This machine's apt has no archive of Debian's. Add one to a file in"
                       " /etc/apt/sources.list.d/:\n  deb ADDRESS-OF-A-MIRROR/debian"
                       f" {platforms.debian().suite} main")
    if write_if_changed(place / "sources.list", text.encode()):
        (place / "updated").unlink(missing_ok=True)
    return ["-c", str(place / "apt.conf")]


def _update(options: list[str], even_if_new: bool = False) -> bool:
    """Fetches the package lists unless they are of today. Returns whether it did."""
    stamp = cache() / "apt" / "updated"
    age = time.time() - stamp.stat().st_mtime if stamp.exists() else LISTS_LIVE
    if age < LISTS_LIVE and not even_if_new:
        return False
    log = cache() / "apt.log"
    if proc.run_logged(["apt-get", *options, "--error-on=any", "update"], log,
                       env={**os.environ, "LC_ALL": "C"}) != 0:
        raise LabError(f"apt could not fetch Debian's package lists{_error(log)}. Is the network"
                       f" there? Log: {shown(log)}")
    stamp.touch()
    return True


def depends(package: str, suite: str = "") -> list[str]:
    """What the newest version of a package needs. `suite` prefers one, such as backports."""
    with locked(cache() / "apt.lock"):
        options = _prepare()
        _update(options)
        found = _depends(options, package, suite)
        if found is None and _update(options, even_if_new=True):
            found = _depends(options, package, suite)
    if found is None:
        raise LabError(f"Debian's archive has no package {package}{_advice(suite)}")
    return found


def _depends(options: list[str], package: str, suite: str) -> list[str] | None:
    release = ["-o", f"APT::Default-Release={suite}"] if suite else []
    result = subprocess.run(["apt-cache", *options, *release, "depends", package], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
                            env={**os.environ, "LC_ALL": "C"})
    if result.returncode != 0:
        return None
    return re.findall(r"^ +(?:Pre)?Depends: ([^\s<]+)", result.stdout, re.MULTILINE)


def _advice(suite: str) -> str:
    """Which line would bring a suite that the mirrors do not have."""
    debian = platforms.debian()
    missing = [name for name in debian.suites if name not in sources(debian, mirrors())]
    wanted = suite or next((name for name in missing if "security" in name), "")
    if not missing or not wanted:
        return ", or not yet. Try again tomorrow."
    return (". It may be in a suite that this machine's apt does not name. Add a line to a file in"
            " /etc/apt/sources.list.d/, and try again:\n"
            f"  deb ADDRESS-OF-ITS-MIRROR {wanted} main")


def download(packages: list[str], target: Path) -> None:
    """Fetches packages and extracts them all into a new folder, which appears when it is whole."""
    work = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    log = target.with_name(f"{target.name}.log")
    try:
        with locked(cache() / "apt.lock"):
            options = _prepare()
            command = ["apt-get", *options, "download", *packages]
            environment = {**os.environ, "LC_ALL": "C"}
            if proc.run_logged(command, log, cwd=work, env=environment) != 0:
                raise LabError(f"apt could not download {packages[0]}{_error(log)}."
                               f" Log: {shown(log)}")
        for archive in sorted(work.glob("*.deb")):
            if proc.run_logged(["dpkg", "-x", str(archive), str(work / "tree")], log) != 0:
                raise LabError(f"{archive.name} could not be extracted. Log: {shown(log)}")
        (work / "tree").rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _error(log: Path) -> str:
    """apt's own first word on what went wrong."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    errors = [line[3:] for line in text.splitlines() if line.startswith("E: ")]
    return f": {errors[0].rstrip('.')}" if errors else ""
