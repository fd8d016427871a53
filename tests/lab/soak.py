# SPDX-License-Identifier: GPL-2.0-only
"""How much of what can go on for ever is done: by ./lab test each day, and by ./lab soak."""
from __future__ import annotations

import os

#: True in ./lab soak.
ON = bool(os.environ.get("VTX_SOAK"))
#: The step whose soak it is (./lab soak 07); empty for steps 05 and 06.
STEP = os.environ.get("VTX_SOAK_STEP", "")


def often(daily: int, soak: int) -> int:
    """The number for this run."""
    return soak if ON else daily
