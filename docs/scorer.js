// SPDX-License-Identifier: GPL-2.0-only
// How search results are ranked. Sphinx's own numbers say how a page was found; what a reader wants
// to see first depends on which page it is, so the ranks come from here, best first:
//
//   500  the page whose title is what was typed
//   400  the one row of a reference table that has this name: error 7, IA32_VMX_BASIC
//   300  a chapter, then another page, that names it in an index directive: `.. index:: ! VMREAD`
//   200  a chapter, then another page, with all words in its title or file name, or in a heading
//   100  the glossary's entry
//        a chapter with some of the words in its title; then every other page that has the words
//
// Exercises stay below the chapters that they belong to, the names of our code below everything.
const FOLDERS = {steps: 40, concepts: 30, "how-to": 30, reference: 20, about: 10};

// The words that count in a text, without their endings.
function stems(text) {
    const stemmer = new Stemmer();
    const leftOut = new Set(stopwords); // an array, or in newer versions of Sphinx a set
    return splitQuery(text.toLowerCase()).filter((word) => !leftOut.has(word))
        .map((word) => stemmer.stemWord(word));
}

var Scorer = {
    typed: "", // what is looked for; book.js says it

    score: ([docname, title, anchor, descr, score]) => {
        const [folder, name] = docname.split("/");
        if (descr !== null || anchor.startsWith("#_CPP") || docname.startsWith("reference/api")) {
            return score - 200;
        }
        const place = name === "index" ? 0 : FOLDERS[folder] ?? 25;
        const words = stems(Scorer.typed);
        const [page, heading] = title.split(" > ").map(stems);
        const named = folder === "exercises" ? page : [...page, ...stems(name ?? docname)];
        const known = words.filter((word) => named.includes(word)).length;
        const same = (other) => other?.join(" ") === words.join(" ");
        if (!heading && same(page)) {
            return 500 + place;
        }
        if (folder === "exercises" && known < words.length) {
            return Math.min(score, 15) - 20;
        }
        if (anchor.startsWith("#term-")) {
            return score;
        }
        if (score >= 100 && !heading) { // an index entry that is just this
            return place + (folder === "reference" ? 400 : 300);
        }
        if (known === words.length || same(heading)) {
            // The fewer other words, the better.
            return 200 + place + Math.round(9 * known / named.length);
        }
        const base = known * 10 + place / 10 + Math.min(score, 15);
        return folder === "steps" && known > 0 ? base + 40 : base;
    },
    objNameMatch: 11,
    objPartialMatch: 6,
    objPrio: {0: 15, 1: 5, 2: -5},
    objPrioDefault: 0,
    title: 15,
    partialTitle: 7,
    term: 5,
    partialTerm: 2,
};
