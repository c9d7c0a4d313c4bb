//! The documentation of a distribution in its source file, as the text of a page.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a source file says about a distribution, in Markdown.
pub(crate) struct Documentation {
    /// What it is: the first paragraph of the module.
    pub(crate) summary: String,
    /// The rest of the module: the density, the parameters, the formulas of its capabilities.
    pub(crate) definition: String,
    /// The documentation of the type, with its example.
    pub(crate) usage: String,
}

/// The source files of the crate.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the crate") {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The documentation of each of these types. A macro may write the type: then its name follows the documentation.
pub(crate) fn documentation(names: &[&'static str]) -> BTreeMap<&'static str, Documentation> {
    let mut found = BTreeMap::new();
    for source in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&source).expect("a source file");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for &name in names {
            let is_type = |line: &&str| {
                let rest = line.strip_prefix("pub struct ").unwrap_or(line).strip_prefix(name);
                // A name with a comma alone is a variant of an enumeration.
                rest.is_some_and(|rest| rest.starts_with([' ', '<', ',', ';']) && rest != ",")
            };
            let before = |at: &usize| *at > 0 && (lines[at - 1].starts_with("///") || lines[at - 1].starts_with("#["));
            let Some(at) = (0..lines.len()).find(|at| is_type(&lines[*at]) && before(at)) else { continue };
            let module = text_of(lines.iter().take_while(|line| line.starts_with("//!")), "//!", names);
            let own = lines[..at].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
            let mut own: Vec<&&str> = own.filter(|line| line.starts_with("///")).collect();
            own.reverse();
            let (summary, definition) = module.split_once("\n\n").unwrap_or((&module, ""));
            let page = Documentation {
                summary: summary.trim().to_owned(),
                definition: definition.trim().to_owned(),
                usage: text_of(own.into_iter(), "///", names).trim().to_owned(),
            };
            assert!(found.insert(name, page).is_none(), "{name}: expected one type of this name");
        }
    }
    found
}

/// Comments of documentation as Markdown: complete programs, headings one level lower, and links to other pages.
fn text_of<'a>(comments: impl Iterator<Item = &'a &'a str>, mark: &str, names: &[&str]) -> String {
    let mut text = String::new();
    let mut program: Option<Vec<&str>> = None;
    for comment in comments {
        let line = comment.strip_prefix(mark).map_or("", |line| line.strip_prefix(' ').unwrap_or(line));
        match &mut program {
            Some(_) if line.starts_with("```") => {
                text += &complete(&program.take().unwrap_or_default());
                text += "```\n";
            }
            Some(lines) => lines.push(line),
            None if line.starts_with("```") => {
                let kind = line.trim_start_matches('`');
                text += &format!("```rust{}{kind}\n", if kind.is_empty() { "" } else { "," });
                program = Some(Vec::new());
            }
            None => {
                text += &format!("{}{}\n", if line.starts_with('#') { "#" } else { "" }, without_paths(line, names));
            }
        }
    }
    text
}

/// A program for users of the facade, with the lines that the documentation of the crate hides.
fn complete(lines: &[&str]) -> String {
    let is_hidden = |line: &str| line == "#" || line.starts_with("# ");
    let shown = |line: &str| {
        let line = if is_hidden(line) { line.get(2..).unwrap_or_default() } else { line };
        ["tape", "tensor", "distributions"].iter().fold(line.to_owned(), |line, name| {
            line.replace(&format!("stochgrad_{name}"), &format!("stochgrad::{name}"))
        })
    };
    let main = lines.iter().position(|line| is_hidden(line) && line.contains("fn main()"));
    let (start, end) = match main {
        Some(main) => (main + 1, lines.iter().rposition(|line| *line == "# }").expect("the end of the program")),
        None => {
            let inside = |line: &&str| !line.starts_with("use ") && !line.is_empty() && !line.starts_with("fn ");
            (lines.iter().position(inside).expect("a statement"), lines.len())
        }
    };
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        if main.is_none() && at == start {
            text += "fn main() {\n";
        }
        let line = shown(line);
        let indent = if (start..end).contains(&at) && !line.is_empty() { "    " } else { "" };
        text += &format!("{indent}{line}\n");
    }
    if main.is_none() {
        text += "}\n";
    }
    text
}

/// A line with links to pages in place of links to items of the crate.
fn without_paths(line: &str, names: &[&str]) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        text += before;
        let Some((label, tail)) = after.split_once(']') else {
            text.push('[');
            rest = after;
            continue;
        };
        let target = tail.strip_prefix('(').and_then(|tail| tail.split_once(')'));
        let is_code = label.starts_with('`') && label.ends_with('`');
        let item = match target {
            Some((target, _)) if target.contains("::") => Some(target.strip_prefix("crate::").unwrap_or(target)),
            None if is_code => Some(label.trim_matches('`')),
            _ => None,
        };
        match item {
            Some(item) => {
                let page = names.iter().find(|name| **name == item);
                text += &page.map_or(label.to_owned(), |name| format!("[{label}]({}.md)", file_name(name)));
                rest = target.map_or(tail, |(_, tail)| tail);
            }
            None => {
                text += &format!("[{label}]");
                rest = tail;
            }
        }
    }
    text + rest
}

/// The name of a type as that of a file: `StudentT` is `student_t`.
pub(crate) fn file_name(name: &str) -> String {
    let mut file = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !file.is_empty() {
            file.push('_');
        }
        file.extend(letter.to_lowercase());
    }
    file
}
