# SPDX-License-Identifier: GPL-2.0-only
"""On other systems than Debian 12: the same command in the project's container."""
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

IMAGE = "vtxtutorial-lab"
#: The package that holds podman, by what /etc/os-release calls the system or its relatives.
PACKAGES = {"debian": "apt install podman", "ubuntu": "apt install podman",
            "fedora": "dnf install podman", "rhel": "dnf install podman",
            "arch": "pacman -S podman", "suse": "zypper install podman",
            "opensuse": "zypper install podman", "alpine": "apk add podman",
            "gentoo": "emerge app-containers/podman", "void": "xbps-install podman"}


def os_release(usual: Path = Path("/etc/os-release")) -> dict[str, str]:
    """What the system says of itself."""
    path = Path(os.environ.get("VTX_OS_RELEASE", usual))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name: value.strip("\"'") for name, value in pairs}


def system_name() -> str:
    return os_release().get("PRETTY_NAME", platform.system())


def is_debian_12() -> bool:
    release = os_release()
    return release.get("ID") == "debian" and release.get("VERSION_ID") == "12"


def engine() -> str:
    """podman or docker, whichever is installed; podman first, since it needs no privilege."""
    return next((name for name in ("podman", "docker") if shutil.which(name)), "")


def engine_package() -> str:
    """What a person types here to get a container engine."""
    release = os_release()
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    return next((PACKAGES[name] for name in names if name in PACKAGES), "the package podman")


def offer(arguments: list[str], yes: bool) -> int:
    """Says that this is not Debian 12, and runs the same command in the container if wanted."""
    ui.say(f"The lab needs Debian 12's packages, and this is {system_name()}.")
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
    return [*command, IMAGE, "./lab", *arguments]
