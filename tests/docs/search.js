// SPDX-License-Identifier: GPL-2.0-only
// What the built book's search answers, without a browser:
//
//     node search.js build/docs/html < queries.json
//
// reads a list of queries and prints, for each, the addresses in the order in which the page of
// results shows them. The scripts are the book's own; only what they need of a page is imitated.
"use strict";
const fs = require("fs");
const path = require("path");
const vm = require("vm");

class Element {
    constructor() {
        Object.assign(this, {children: [], dataset: {}, classList: {add() {}}});
    }
    setAttribute() {}
    appendChild(child) {
        this.children.push(child);
        return child;
    }
}

const book = process.argv[2];
const listeners = [];
const page = vm.createContext({
    document: {
        addEventListener: (_, listener) => listeners.push(listener),
        createElement: () => new Element(),
        documentElement: new Element(),
        getElementById: (id) => id === "search-results" ? page.results : null,
        querySelectorAll: () => [],
    },
    window: {setTimeout() {}, addEventListener() {}}, // dots that move, highlighting, printing
    setTimeout: (next) => next(), // the next result
    DOCUMENTATION_OPTIONS: {BUILDER: "html", FILE_SUFFIX: ".html", LINK_SUFFIX: ".html",
                            SHOW_SEARCH_SUMMARY: false},
    Documentation: {gettext: (text) => text, ngettext: (text) => text},
    SPHINX_HIGHLIGHT_ENABLED: false,
    _: (text) => text,
    _ready() {},
});

const scripts = [...fs.readFileSync(path.join(book, "search.html"), "utf8")
    .matchAll(/<script [^>]*src="([^"?]+)/g)].map((match) => match[1])
    .filter((name) => /(?:book|searchtools|language_data|searchindex)\.js$/.test(name));
for (const name of scripts) {
    vm.runInContext(fs.readFileSync(path.join(book, name), "utf8"), page, {filename: name});
}
listeners.forEach((listener) => listener());

const answers = JSON.parse(fs.readFileSync(0, "utf8")).map((query) => {
    page.results = new Element();
    page.query = query;
    vm.runInContext("Search._pulse_status = -1; Search.performSearch(query)", page);
    const [, , list] = page.results.children;
    return list.children.map((item) => item.children[0].href);
});
console.log(JSON.stringify(answers));
