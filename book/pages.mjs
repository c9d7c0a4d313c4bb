// A preprocessor of mdBook. The pages are written for GitHub; this makes them pages of the book:
//
// * Formulas, `$…$` in a line and `$$…$$` displayed, are rendered with KaTeX, as `.ci/book` installed it. Code is left
//   alone, and `\$` is a dollar sign. A formula that KaTeX does not understand, or a dollar sign without a partner, ends
//   the build.
// * Links to a README lead to the index of its folder, under which mdBook stores it.

import { readFileSync } from "node:fs";

import katex from "../target/katex/katex.mjs";

if (process.argv[2] === "supports") {
    process.exit(0);
}

// What Markdown would take for markup of its own, outside of tags.
const markup = /[\\`*_[\]|~$!]/g;

function render(formula, displayed) {
    const html = katex.renderToString(formula, { displayMode: displayed, throwOnError: true, strict: "error" });
    const text = (part) => part.replace(markup, (sign) => `&#${sign.charCodeAt(0)};`);
    return html.replace(/<[^>]*>|[^<]+/g, (part) => (part.startsWith("<") ? part : text(part))).replaceAll("\n", " ");
}

// Alternatives, the first that matches counts: a fenced block of code, code in a line, a dollar sign, a displayed
// formula, a formula in a line, a dollar sign alone, and a link to a README. A formula does not reach beyond its
// paragraph.
const parts = new RegExp(
    [
        /^(?<indent>[ \t>*-]*)(?<fence>`{3,}|~{3,})[^\n]*\n[^]*?(?:^[ \t>]*\k<fence>`*~*[ \t]*$|$(?![^]))/,
        /(?<ticks>`+)(?!`)(?:[^\n]|\n(?!\n))*?(?<!`)\k<ticks>(?!`)/,
        /\\\$/,
        /\$\$(?<displayed>(?:[^$\n]|\n(?!\s*\n))+)\$\$/,
        /\$(?<inline>[^\s$](?:(?:\\\$|[^$\n]|\n(?!\s*\n))*?[^\s\\$])?)\$(?!\d)/,
        /(?<alone>\$)/,
        /(?<folder>\]\((?:[^)\s:]*\/)?)README\.md(?=[#)])/,
    ]
        .map((part) => part.source)
        .join("|"),
    "gm",
);

const problems = [];

function page(chapter) {
    return chapter.content.replace(parts, (...match) => {
        const { displayed, inline, alone, folder } = match.at(-1);
        if (folder !== undefined) {
            return `${folder}index.md`;
        }
        const line = chapter.content.slice(0, match.at(-3)).split("\n").length;
        const place = `docs/${chapter.source_path}, line ${line}`;
        const formula = displayed ?? inline;
        if (alone) {
            problems.push(`${place}: expected a formula, got a dollar sign without a partner; write \\$ for the sign`);
        }
        if (formula === undefined) {
            return match[0];
        }
        try {
            return render(formula, displayed !== undefined);
        } catch (error) {
            problems.push(`${place}: ${error.message}`);
            return match[0];
        }
    });
}

function walk(items) {
    for (const item of items) {
        if (item.Chapter) {
            item.Chapter.content = page(item.Chapter);
            walk(item.Chapter.sub_items);
        }
    }
}

const [, book] = JSON.parse(readFileSync(0, "utf8"));
walk(book.items);
if (problems.length > 0) {
    console.error(problems.join("\n"));
    process.exit(1);
}
process.stdout.write(JSON.stringify(book));
