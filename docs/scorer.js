// SPDX-License-Identifier: GPL-2.0-only
// How search results are ranked: what a reader looks up comes before the names of our code, and an
// entry that is just what was typed comes first of all.
var Scorer = {
    score: ([docname, title, anchor, descr, score]) => {
        if (anchor.startsWith("#_CPP") || docname.startsWith("reference/api")) {
            return score - 60;
        }
        if (anchor.startsWith("#term-")) {
            return score + 50;
        }
        return anchor !== "" && docname.startsWith("reference/") ? score + 20 : score;
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
