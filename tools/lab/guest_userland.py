# SPDX-License-Identifier: GPL-2.0-only
"""The userland of the Linux that runs as a guest of step 10: busybox, and a first process."""
from __future__ import annotations

import shlex
from pathlib import Path

from . import image
from .common import LabError

PROMPT = "guest:/# "

#: The first process. When its shell is left, it switches the guest's machine off.
INIT = r"""#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
dmesg -n 4
hostname guest
export PATH=/bin HOME=/root ENV=/etc/profile TERM={term}
{size}
setsid cttyhack sh
poweroff -f
"""

#: What the shell begins with, behind its own greeting.
PROFILE = r"""PS1='guest:\w# '
echo "Linux $(uname -r) as a guest. Try: uname -a, free, cat /proc/interrupts, dmesg. End it: exit"
"""

FOLDERS = ("bin", "dev", "etc", "proc", "root", "sys", "tmp")


def initrd(rows: int = 0, columns: int = 0, term: str = "vt100") -> bytes:
    """The initrd, for a terminal of this size. A serial line does not tell the guest about it."""
    busybox = Path("/bin/busybox")
    if not busybox.exists():
        raise LabError("/bin/busybox is missing; package busybox-static has it (./lab setup).")
    size = f"stty -F /dev/ttyS0 rows {rows} cols {columns} 2>/dev/null" if rows else ""
    init = INIT.format(term=shlex.quote(term), size=size)
    return image.pack({"bin/busybox": busybox, "init": init, "etc/profile": PROFILE}, FOLDERS,
                      image.links_to(busybox))
