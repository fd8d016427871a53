# SPDX-License-Identifier: GPL-2.0-only
"""`.. vmx-table:: NAME` a reference table, from the JSON that the tool vtx-tables writes."""
from __future__ import annotations

from sphinx.application import Sphinx


def setup(app: Sphinx) -> None:
    """Registers the directive."""
