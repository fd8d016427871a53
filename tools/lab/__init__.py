# SPDX-License-Identifier: GPL-2.0-only
"""The lab: builds the steps' kernel modules and runs them in an emulated PC (see ../../lab)."""
