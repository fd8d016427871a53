# SPDX-License-Identifier: GPL-2.0-only
"""What ./lab run shows of step 10: Debian's Linux as a guest, and what somebody types there."""
from __future__ import annotations

import collections
import re
from pathlib import Path
from typing import Mapping

from . import guest_userland, image, kernels, ui
from .common import module_name

MODULE = "step10_linux"
FOLDER = f"/sys/kernel/debug/{MODULE}"
#: What is typed, one line at each prompt. The last one ends the guest.
COMMANDS = ("uname -a", "cat /proc/uptime", "free", "poweroff -f")
SHOWN = 3  # of the guest's first lines, and of the last before its prompt
#: What a terminal would take as colours, cursor movements and the like.
_CONTROL = re.compile(r"\x1b\[[?0-9;]*[a-zA-Z]|\r|\x07")

#: Everything goes to the second serial port, so its order is exact. The guest may take two minutes
#: to each prompt, and one to its end.
SCRIPT = f"""\
  D={FOLDER}
  prompts() {{ grep -c '{guest_userland.PROMPT}' /run/guest; }}
  goes_on() {{ grep -q state=running $D/status && [ $((tries = tries + 1)) -lt $1 ]; }}
  stty -F /dev/ttyS1 115200
  echo @@GUEST >/dev/ttyS1
  : >/run/guest
  if cat /lab/guest/kernel >$D/kernel && cat /lab/guest/initrd >$D/initrd && echo 1 >$D/run; then
    dd if=$D/console bs=4k 2>/dev/null | tee /run/guest >/dev/ttyS1 &
    wanted=0
    while read -r line; do
      wanted=$((wanted + 1)) tries=0
      while [ $(prompts) -lt $wanted ] && goes_on 480; do sleep 0.25; done
      [ $(prompts) -ge $wanted ] || break
      echo "$line" >$D/console
    done </lab/guest/commands
    tries=0
    while goes_on 240; do sleep 0.25; done
    echo 0 >$D/run
    wait
  fi 2>/run/out
  echo >/dev/ttyS1
  echo "@@STATUS $(cat $D/status)" >/dev/ttyS1
  grep -E '^(total|ports|end) ' $D/exits >/dev/ttyS1
  echo @@GUEST-END >/dev/ttyS1"""


def contents(steps: list[Path], kernel: str) -> Mapping[str, image.Content]:
    """What the PC needs for it; nothing if step 10 is not among the steps."""
    if MODULE not in map(module_name, steps):
        return {}
    return {"lab/guest/kernel": kernels.image(kernel).vmlinuz,
            "lab/guest/initrd": guest_userland.initrd(),
            "lab/guest/commands": "".join(f"{command}\n" for command in COMMANDS)}


class Screen:
    """Shows the lines of the guest's console: the first ones, the last ones before its prompt, and
    all that follow."""

    def __init__(self) -> None:
        self.end = ""  # how the guest ended, as the file `status` has it
        self.over = False
        self._lines = 0
        self._last: collections.deque[str] = collections.deque(maxlen=SHOWN)
        self._typing = False

    def line(self, text: str) -> None:
        """One line of the second serial port, from @@GUEST on."""
        text = _CONTROL.sub("", text)
        if text.startswith("@@STATUS "):
            found = re.search(r"end=(\S+)", text)
            self.end = found[1] if found else "none"
            ui.say("  " + ui.dim(f"{FOLDER}/status:"))
            ui.say("  " + text.removeprefix("@@STATUS "))
            ui.say("  " + ui.dim(f"the end of {FOLDER}/exits:"))
        elif text == "@@GUEST-END":
            self.over = True
        elif self.end:
            ui.say("  " + text)
        elif self._typing and text:
            self._show(text)
        elif text.startswith(guest_userland.PROMPT):
            self.leave_boot()
            self._show(text)
        elif text:
            self._boot(text)

    def _boot(self, text: str) -> None:
        self._lines += 1
        if self._lines <= SHOWN:
            self._show(text)
        else:
            self._last.append(text)

    def leave_boot(self) -> None:
        """Shows what is left of the time before the first prompt."""
        if self._typing:
            return
        self._typing = True
        more = self._lines - SHOWN - len(self._last)
        if more > 0:
            self._show(f"… {more} more lines")
        for text in self._last:
            self._show(text)

    @staticmethod
    def _show(text: str) -> None:
        ui.say("  | " + text)
