# SPDX-License-Identifier: GPL-2.0-only
"""On systems on which the lab does not run: the same command in the project's container."""
from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from . import ui
from .common import ROOT, LabError, UsageError
from .platforms import names, os_release, system_name

IMAGE = "vtxtutorial-lab"
KVM = Path("/dev/kvm")
#: The package that holds podman, by what /etc/os-release calls the system or its relatives.
PACKAGES = {"debian": "apt install podman", "ubuntu": "apt install podman",
            "fedora": "dnf install podman", "rhel": "dnf install podman",
            "arch": "pacman -S podman", "suse": "zypper install podman",
            "opensuse": "zypper install podman", "alpine": "apk add podman",
            "gentoo": "emerge app-containers/podman", "void": "xbps-install podman"}


def engine() -> str:
    """podman or docker, whichever is installed; podman first, since it needs no privilege."""
    return next((name for name in ("podman", "docker") if shutil.which(name)), "")


def engine_package() -> str:
    """What a person types here to get a container engine."""
    release = os_release()
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    return next((PACKAGES[name] for name in names if name in PACKAGES), "the package podman")


def offer(arguments: list[str], yes: bool, why: str = "") -> int:
    """Says why the lab does not run here, and runs the same command in the container if wanted."""
    ui.say(why or f"The lab runs natively on {names()}, and this is {system_name()}.")
    if platform.machine() not in ("x86_64", "amd64"):
        raise LabError(f"Its container needs an x86-64 machine, too; this is {platform.machine()}.")
    name = engine()
    if not name:
        raise UsageError("It can run in a container, but there is neither podman nor docker."
                         f" Install podman ({engine_package()}) and give the same command again.")
    build = [name, "build", "-t", IMAGE, "-f", str(ROOT / "Containerfile"), str(ROOT)]
    start = _start(name, arguments)
    if not yes:
        commands = f"  {shlex.join(build)}\n  {shlex.join(start)}"
        if not ui.can_ask():
            raise UsageError(f"Pass --yes to run it in a container by {name}, or type:\n{commands}")
        ui.say(f"It can run itself in a container instead:\n{commands}")
        if not ui.ask("Do that now?"):
            raise UsageError("Nothing was done.")
    if subprocess.run(build, check=False).returncode != 0:
        raise LabError(f"{name} could not build the container; its output above says why.")
    return subprocess.run(start, check=False).returncode


def _start(name: str, arguments: list[str]) -> list[str]:
    """The command that runs the lab in the container, on this checkout."""
    command = [name, "run", "--rm", "--init", "-v", f"{ROOT}:{ROOT}", "-w", str(ROOT)]
    if sys.stdin.isatty() and sys.stdout.isatty():
        command += ["-it", "-e", f"TERM={os.environ.get('TERM', 'xterm')}"]
    if name == "docker":
        # What it writes to build/ shall be the reader's. (podman maps root to the reader itself.)
        command += ["--user", f"{os.getuid()}:{os.getgid()}", "-e", "HOME=/tmp"]
    if "--kvm" in arguments and KVM.exists():
        command += ["--device", str(KVM)]
        # Some systems let only the members of a group use it.
        command += ["--group-add", str(KVM.stat().st_gid) if name == "docker" else "keep-groups"]
    return [*command, IMAGE, "./lab", *arguments]
