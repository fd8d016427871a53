// SPDX-License-Identifier: GPL-2.0-only
// A listing that scrolls sideways can be reached and scrolled by keyboard.
document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll("div.highlight pre, .table-wrapper")) {
        box.tabIndex = 0;
    }
});
