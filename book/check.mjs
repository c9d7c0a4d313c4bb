// Checks the book in target/book, and the links of the pages at the root of the repository: every page of docs/ is a
// chapter, every relative link and its anchor exist, every formula is rendered, nothing is loaded from elsewhere, and
// the search knows every chapter.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize, relative, sep } from "node:path";

const root = normalize(join(import.meta.dirname, ".."));
const docs = join(root, "docs");
const book = join(root, "target/book");
const problems = [];

function files(folder, extension) {
    return readdirSync(folder, { recursive: true })
        .map((file) => file.split(sep).join("/"))
        .filter((file) => file.endsWith(extension))
        .sort();
}

const read = (...path) => readFileSync(join(...path), "utf8");
const unescaped = (text) =>
    text
        .replace(/&#x([0-9a-f]+);/gi, (_, code) => String.fromCodePoint(parseInt(code, 16)))
        .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
        .replaceAll("&quot;", '"')
        .replaceAll("&lt;", "<")
        .replaceAll("&gt;", ">")
        .replaceAll("&amp;", "&");

// The chapters.

const chapters = new Set([...read(docs, "SUMMARY.md").matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target));
const pages = files(docs, ".md").filter((page) => page !== "SUMMARY.md");
for (const page of pages) {
    if (!chapters.has(page)) {
        problems.push(`docs/${page}: expected a line in docs/SUMMARY.md, got none; a page without one is not in the book`);
    }
}

// The pages of the book: what can be linked to, and what is linked.

const html = new Map(files(book, ".html").map((file) => [file, read(book, file)]));
const anchors = new Map(
    [...html].map(([file, text]) => [file, new Set([...text.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => unescaped(id)))]),
);

/** The main part of a page, without the navigation, which is the same on all pages. */
const main = (text) => text.match(/<main>([^]*)<\/main>/)?.[1] ?? "";

function checkLink(place, from, target) {
    if (/^(https?:|mailto:)/.test(target)) {
        return;
    }
    const [path, anchor] = target.split("#", 2).map(decodeURIComponent);
    const file = path === "" ? from : join(dirname(from), path).split(sep).join("/");
    if (file.startsWith("../")) {
        problems.push(`${place}: the link ${target} leaves docs/; name the file as code instead, since it is not in the book`);
    } else if (!existsSync(join(book, file))) {
        problems.push(`${place}: the link ${target} leads nowhere`);
    } else if (anchor !== undefined && !anchors.get(file)?.has(anchor)) {
        problems.push(`${place}: the link ${target} leads to a page without the anchor #${anchor}`);
    }
}

/** The page of docs/ of a page of the book. */
function source(file) {
    const page = file.replace(/\.html$/, ".md");
    const index = file.replace(/index\.html$/, "README.md");
    return [page, index].find((name) => existsSync(join(docs, name)));
}

let links = 0;
let formulas = 0;
for (const [file, text] of html) {
    const page = source(file);
    const place = page ? `docs/${page}` : `target/book/${file}`;
    const seen = new Set();
    for (const [, target] of text.matchAll(/<(?:a|img|link|script)\b[^>]*?\s(?:href|src)="([^"]*)"/g)) {
        if (!seen.has(target)) {
            seen.add(target);
            links += 1;
            checkLink(place, file, unescaped(target));
        }
    }
    for (const [tag] of text.matchAll(/<(?:img|link|script|iframe)\b[^>]*?\s(?:href|src)="https?:[^>]*>/g)) {
        problems.push(`${place}: ${tag} needs a network`);
    }
    formulas += text.split('<span class="katex">').length - 1;
    const prose = main(text).replace(/<(pre|code|annotation)\b[^]*?<\/\1>/g, "").replace(/<[^>]*>/g, "");
    const [dollar] = unescaped(prose).match(/.*\$.*/) ?? [];
    if (dollar !== undefined) {
        problems.push(`${place}: a formula was not rendered: ${dollar.trim()}`);
    }
}

// The links of pages that are not in the book.

for (const page of readdirSync(root).filter((file) => file.endsWith(".md"))) {
    const prose = read(root, page).replace(/^```[^]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
        const [path, anchor] = target.split("#", 2);
        if (/^(https?:|mailto:)/.test(target) || path === "") {
            continue;
        }
        links += 1;
        if (!existsSync(join(root, path))) {
            problems.push(`${page}: the link ${target} leads nowhere`);
        } else if (anchor !== undefined && path.startsWith("docs/")) {
            const file = relative("docs", path).replace(/README\.md$/, "index.html").replace(/\.md$/, ".html");
            checkLink(page, "index.html", `${file}#${anchor}`);
        }
    }
}

// The search.

const index = readdirSync(book).find((file) => /^searchindex.*\.js$/.test(file));
const indexed = index === undefined ? "" : read(book, index);
for (const [file] of html) {
    if (source(file) && !indexed.includes(file)) {
        problems.push(`docs/${source(file)}: the search does not know this page`);
    }
}

for (const problem of problems) {
    console.error(problem);
}
if (problems.length > 0) {
    console.error(`${problems.length} problems`);
    process.exit(1);
}
console.log(`target/book/index.html: ${pages.length} pages, ${links} links, ${formulas} formulas`);
