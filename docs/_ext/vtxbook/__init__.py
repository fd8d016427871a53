# SPDX-License-Identifier: GPL-2.0-only
"""What the book needs beyond Sphinx: SDM citations, listings, step differences, tables."""
from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from . import (api, details, drawings, exercises, facts, figures, incremental, listing, notes, sdm,
               sourcefiles, stepdiff, tables, theme)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx: registers all directives and roles."""
    for part in (sdm, notes, listing, sourcefiles, stepdiff, details, drawings, facts, tables,
                 figures, api, exercises, theme, incremental):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True,
            "env_version": incremental.version()}
