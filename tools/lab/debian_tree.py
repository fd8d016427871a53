# SPDX-License-Identifier: GPL-2.0-only
"""A Debian in a folder, made by debootstrap, and commands that run in it as on its own machine.

    python3 -m lab.debian_tree make VERSION FOLDER [PACKAGE …]
    python3 -m lab.debian_tree run FOLDER COMMAND …

The mirror and the proxy are those of this machine's apt. What is mounted for a command is mounted
in a namespace of its own, so it is gone when the command ends, however it ends.
"""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterable

from . import apt, platforms, proc
from .common import BUILD, LabError, UsageError, shown

SCRIPTS = Path("/usr/share/debootstrap/scripts")
#: Where apt in the tree reads how this machine reaches the mirror.
OPTIONS = Path("etc/apt/apt.conf.d/80host")
CERTIFICATES = Path("/usr/local/share/ca-certificates")

NAMESPACE = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
#: The tree becomes a mount point, so that a command in it can make private mounts again.
MOUNT = """
tree=$1; shift
mount --bind "$tree" "$tree"
mount -t proc -o ro proc "$tree/proc"
mount -t sysfs -o ro sys "$tree/sys"
mount --rbind /dev "$tree/dev"
"""
#: The first process of a namespace has to wait for orphans, so a shell is the first.
ENTER = 'exec chroot "$tree" env -i "$@"'
FIRST = ["sh", "-c", '"$@"; exit $?', "sh"]
#: Bind mounts come as words OPTIONS SOURCE TARGET before "--".
BIND = """
while [ "$1" != -- ]; do
    mkdir -p "$tree/$3"
    mount --bind "$2" "$tree/$3"
    mount -o "remount,bind,$1" "$tree/$3"
    shift 3
done
shift
"""


def obstacle() -> str:
    """Why no tree can be made and entered on this machine; empty if it can be."""
    if os.geteuid() != 0:
        return "debootstrap and chroot need root's rights"
    if not shutil.which("debootstrap"):
        return "debootstrap is not installed (sudo apt-get install debootstrap)"
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        for name in ("proc", "sys", "dev"):
            Path(folder, name).mkdir()
        tried = subprocess.run(
            [*NAMESPACE, "sh", "-ec", f'mknod "$1/null" c 1 3; : >"$1/null"; {MOUNT}', "sh",
             folder], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            text=True, check=False)
    if tried.returncode == 0:
        return ""
    said = tried.stderr.strip().splitlines() or ["no reason was given"]
    return f"mounting is not possible ({said[0]}); a container has to be privileged"


def make(debian: platforms.Debian, tree: Path, packages: Iterable[str], log: Path) -> None:
    """Makes a minimal tree with a few more packages, or brings one's configuration up to date."""
    addresses = apt.sources(debian, apt.mirrors())
    if debian.suite not in addresses:
        raise LabError(f"This machine's apt knows no mirror that may have {debian}.")
    if tree.is_dir():
        _configure(debian, tree, addresses)
        return
    work = tree.with_name(f".{tree.name}.tmp")
    remove(work)
    # A debootstrap older than the suite has no script for it; sid's fits every newer Debian.
    script = SCRIPTS / debian.suite
    script = script if script.exists() else SCRIPTS / "sid"
    environment = {**os.environ, "LC_ALL": "C"}
    if proxy := _apt_config("Acquire::http::Proxy"):
        environment["http_proxy"] = proxy  # for debootstrap's wget
    command = [*NAMESPACE, "debootstrap", "--variant=minbase", f"--keyring={apt.KEYRING}",
               debian.suite, str(work), addresses[debian.suite], str(script)]
    try:
        _logged(command, log, environment)
        _configure(debian, work, addresses)
        for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            _logged(command_in(work, ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *words]),
                    log, environment)
        work.rename(tree)
    finally:
        remove(work)


def _logged(command: list[str], log: Path, environment: dict[str, str]) -> None:
    """Runs one command of the making; its failure is told in its own words."""
    if proc.run_logged(command, log, env=environment) != 0:
        text = log.read_text(encoding="utf-8", errors="replace")
        errors = re.findall(r"^[EW]: (.*)", text, re.MULTILINE) or text.splitlines()
        raise LabError(f"The tree could not be made: {errors[-1].rstrip('.')}. Log: {shown(log)}")


def _apt_config(name: str) -> str:
    """One value of this machine's apt configuration."""
    result = subprocess.run(["apt-config", "shell", "value", name], text=True,
                            stdout=subprocess.PIPE, check=True)
    return result.stdout.strip().removeprefix("value=").strip("'")


def _configure(debian: platforms.Debian, tree: Path, addresses: dict[str, str]) -> None:
    """Tells the tree's apt and resolver what this machine's know. It has no backports, as usual."""
    usual = [suite for suite in debian.suites if not suite.endswith("-backports")]
    (tree / "etc/apt/sources.list").write_text("".join(
        f"deb {addresses[suite]} {suite} main\n" for suite in usual if suite in addresses))
    dump = subprocess.run(["apt-config", "dump"], text=True, stdout=subprocess.PIPE, check=True)
    (tree / OPTIONS).write_text("".join(re.findall(
        r'^Acquire::(?:https?::Proxy|Check-Valid-Until|Check-Date)\b.* ".+";\n', dump.stdout,
        re.MULTILINE)))
    for name in ("resolv.conf", "hosts"):
        (tree / "etc" / name).unlink(missing_ok=True)
        shutil.copyfile(Path("/etc", name), tree / "etc" / name)
    # Whom this machine's administrator trusts: a proxy may sign with a certificate of its own.
    if CERTIFICATES.is_dir():
        shutil.copytree(CERTIFICATES, tree / CERTIFICATES.relative_to("/"), dirs_exist_ok=True)


def command_in(tree: Path, command: list[str], *, binds: Iterable[tuple[str, Path, str]] = (),
               variables: Iterable[str] = ()) -> list[str]:
    """The command line that runs a command in the tree; `binds` are ("ro" or "rw", source, target).

    Its environment is that of a fresh login, with the proxies of this one and `variables`.
    """
    words = [word for options, source, target in binds for word in (options, str(source), target)]
    proxies = [f"{name}={value}" for name, value in os.environ.items()
               if name.lower() in ("http_proxy", "https_proxy", "no_proxy")]
    return [*NAMESPACE, "sh", "-ec", MOUNT + BIND + ENTER, "sh", str(tree.resolve()), *words, "--",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=dumb", "LC_ALL=C.UTF-8",
            *proxies, *variables, *FIRST, *command]


def remove(tree: Path) -> None:
    """Removes a tree. Nothing is mounted in it but for processes that still run there."""
    if tree.exists():
        subprocess.run(["rm", "-rf", "--one-file-system", str(tree)], check=True)


def main(words: list[str]) -> int:
    """The two commands of the docstring."""
    if words[:1] == ["make"] and len(words) >= 3:
        known = {one.version: one for one in platforms.known()}
        if words[1] not in known:
            raise UsageError(f"There is no Debian {words[1]!r} here, only {platforms.names()}.")
        if why := obstacle():
            raise LabError(f"No tree can be made here: {why}.")
        tree = Path(words[2])
        make(known[words[1]], tree, words[3:], tree.with_name(f"{tree.name}-making.log"))
        return 0
    if words[:1] == ["run"] and len(words) >= 3:
        return subprocess.run(command_in(Path(words[1]), words[2:]), check=False).returncode
    raise UsageError(__doc__ or "")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        sys.exit(f"debian_tree: {error}")
