// SPDX-License-Identifier: GPL-2.0-only
// A listing that scrolls sideways can be reached and scrolled by keyboard.
document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll("div.highlight pre, .table-wrapper")) {
        box.tabIndex = 0;
    }
});

// On a narrow screen a figure is drawn small. A button opens it in its own size.
document.addEventListener("DOMContentLoaded", () => {
    for (const drawing of document.querySelectorAll("figure > svg.figure")) {
        const button = document.createElement("button");
        button.className = "enlarge";
        button.textContent = "Enlarge the figure";
        button.addEventListener("click", () => {
            const dialog = document.createElement("dialog");
            dialog.className = "enlarged";
            dialog.innerHTML = "<form method=dialog><button>Close</button></form>" +
                `<div tabindex=0>${drawing.outerHTML}</div>`;
            dialog.addEventListener("close", () => dialog.remove());
            document.body.append(dialog);
            dialog.showModal();
        });
        drawing.after(button);
    }
});

// On paper nothing can be unfolded, so all is open there.
window.addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details:not([open])")) {
        folded.open = true;
        window.addEventListener("afterprint", () => { folded.open = false; }, { once: true });
    }
});

// The search finds a number in either notation and with or without zeros in front: 681EH, as the
// SDM writes it, and 0x681e are the same. If the book spells it in several ways, that of the index
// comes first, then what was typed. A word without a digit that the book has ("each") stays a word.
function asInTheBook(word) {
    const typed = word.toLowerCase();
    const terms = Object.keys(Search._index?.terms ?? {});
    if (!/^(?:0x[0-9a-f]+|[0-9a-f]+h)$/.test(typed) ||
            (!/[0-9]/.test(typed) && terms.includes(typed))) {
        return word;
    }
    const number = typed.startsWith("0x") ? typed : "0x" + typed.slice(0, -1);
    const digits = number.slice(2).replace(/^0+(?=.)/, "");
    const same = terms.filter((term) => new RegExp(`^0x0*${digits}$`).test(term));
    return same.find((term) => term in (Search._index.indexentries ?? {})) ??
        (same.includes(number) ? number : same[0] ?? "0x" + digits);
}

// A question is looked for without the words that only make it a question: "how do I read a VMCS
// field" finds what "read a VMCS field" finds.
function asWords(text) {
    const words = text.trim().replace(/(?:\s+means?)?\s*\?*$/i, "").split(/\s+/);
    const asking = /^(?:how|what|why|when|where|which|can|do|does|is|are|i|you|we|my|to|an?|the)$/i;
    const first = words.findIndex((word) => !asking.test(word));
    return words.slice(Math.max(first, 0)).join(" ");
}

document.addEventListener("DOMContentLoaded", () => {
    if (typeof Search !== "undefined") { // the page of results; its own script runs after this one
        const query = Search.query;
        Search.query = (text) => {
            Scorer.typed = asWords(text).replace(/\w+/g, asInTheBook);
            query(Scorer.typed);
        };
    }
});
