// SPDX-License-Identifier: GPL-2.0-only
// Takes the place of the theme's script. Debian ships that one as a module, and browsers do not load
// modules of pages that are opened from a disk. It does the same: switches the theme, marks the
// section at hand in the page's table of contents, shows "back to top" when one scrolls up.
"use strict";

function nextTheme(theme) {
    const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
    const order = dark ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
    return order[(order.indexOf(theme) + 1) % order.length];
}

function switchTheme() {
    const theme = nextTheme(document.body.dataset.theme || "auto");
    document.body.dataset.theme = theme;
    localStorage.setItem("theme", theme);
}

/** The links of the table of contents with the headings that they lead to. */
function headings() {
    const pairs = [];
    for (const link of document.querySelectorAll(".toc-tree a[href^='#']")) {
        const id = decodeURIComponent(link.getAttribute("href").slice(1));
        const heading = id === "" ? document.body : document.getElementById(id);
        if (heading !== null) {
            pairs.push([link.parentElement, heading]);
        }
    }
    return pairs;
}

function markCurrent(pairs) {
    let current = null;
    for (const [item, heading] of pairs) {
        if (heading.getBoundingClientRect().top < 100) {
            current = item;
        }
    }
    for (const [item] of pairs) {
        item.classList.toggle("scroll-current", item === current);
    }
}

document.addEventListener("DOMContentLoaded", () => {
    document.documentElement.classList.remove("no-js");
    for (const button of document.getElementsByClassName("theme-toggle")) {
        button.addEventListener("click", switchTheme);
    }

    const pairs = headings();
    const header = document.querySelector("header");
    let last = window.scrollY;
    const onScroll = () => {
        const now = window.scrollY;
        document.documentElement.classList.toggle("show-back-to-top", now >= 64 && now < last);
        header.classList.toggle("scrolled", Math.floor(header.getBoundingClientRect().top) === 0);
        markCurrent(pairs);
        last = now;
    };
    window.addEventListener("scroll", () => window.requestAnimationFrame(onScroll));
    markCurrent(pairs);
});
