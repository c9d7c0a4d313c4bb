//! Every gradient method, every distribution and every page is listed where readers and tests look for it.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder and its subfolders with an extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn text(files: &[PathBuf]) -> String {
    files.iter().map(|file| fs::read_to_string(file).expect("a file of the repository")).collect()
}

/// The words of a text that start with a capital letter.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.starts_with(|c: char| c.is_uppercase()))
}

/// The types that implement `Method` in the crate of estimators, outside its tests.
fn methods() -> Vec<String> {
    let mut found = Vec::new();
    for file in files(&root().join("crates/stochgrad-estimators/src"), "rs") {
        let is_test =
            file.components().any(|part| ["testing", "tests.rs"].map(Some).contains(&part.as_os_str().to_str()));
        if is_test {
            continue;
        }
        let source = text(&[file]);
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| line.starts_with("impl")) {
            if let Some((_, implementor)) = line.split_once(" Method for ") {
                found.extend(names(implementor).next().map(str::to_owned));
            }
        }
    }
    found
}

#[test]
fn every_method_has_a_page_a_row_and_an_entry_in_the_table_of_exactness() {
    let methods = methods();
    assert!(methods.len() > 40, "found only {methods:?}");
    let pages = text(&files(&root().join("docs/methods"), "md"));
    let rows = text(&[root().join("crates/stochgrad-estimators/src/lib.rs")]);
    let entries = text(&files(&root().join("crates/stochgrad/tests/exactness"), "rs"));
    for method in &methods {
        assert!(names(&pages).any(|name| name == method), "{method}: expected a page in docs/methods");
        let row = format!("[`{method}`]");
        assert!(rows.contains(&row), "{method}: expected a row {row} in the table of stochgrad-estimators/src/lib.rs");
        // They need what the models of the table do not have: gamma variates, a critic, matrices of scores, a linear
        // solver, and sequences.
        let elsewhere =
            ["GeneralizedReparameterization", "GradientCritic", "GumbelSinkhorn", "ImplicitMle", "SequenceSet"];
        let is_tested_elsewhere = elsewhere.contains(&method.as_str());
        assert!(
            is_tested_elsewhere || names(&entries).any(|name| name == method),
            "{method}: expected an entry in crates/stochgrad/tests/exactness/entries.rs"
        );
    }
}

#[test]
fn every_page_of_a_method_has_a_program_and_a_picture() {
    // They weight costs or learn beside a method, take a matrix of scores, a solver or a search, and have no variance of
    // one node to show. The
    // exact oracle, which the pictures compare with, does not know the gamma variables of the third one.
    let without = [
        "critics",
        "evidence_bounds",
        "generalized_reparameterization",
        "gumbel_sinkhorn",
        "implicit_mle",
        "log_variance",
        "perturbed_optimizers",
        "sequence_set",
        "thermodynamic_objective",
        "wake_sleep",
    ];
    for page in files(&root().join("docs/methods"), "md") {
        let name = page.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
        let text = text(&[page]);
        assert!(text.contains("\n```rust\n"), "docs/methods/{name}.md: expected a program");
        // The test `method_pictures` of the crate stochgrad-lab draws them.
        let has_picture = text.contains(&format!("]({name}.svg)"));
        assert!(
            has_picture || without.contains(&name.as_str()),
            "docs/methods/{name}.md: expected the picture {name}.svg"
        );
    }
}

#[test]
fn every_distribution_is_in_the_catalogue() {
    let source = root().join("crates/stochgrad-distributions/src");
    let catalogue = text(&files(&root().join("crates/stochgrad-distributions/tests/catalogue"), "rs"));
    let mut distributions = Vec::new();
    for folder in ["continuous", "discrete", "multivariate", "compound", "series"] {
        let exports = text(&[source.join(folder).join("mod.rs")]);
        // Maps are not distributions, nor are the types of their interface.
        let of_maps =
            |export: &str| export.starts_with("bijector::composition") || export.starts_with("invertible_map");
        for export in exports.split("pub use ").skip(1).filter(|export| !of_maps(export)) {
            let items = export.split(';').next().unwrap_or_default();
            distributions.extend(names(items).map(str::to_owned));
        }
    }
    assert!(distributions.len() > 45, "found only {distributions:?}");
    for name in &distributions {
        let is_map = name.ends_with("Map");
        assert!(
            is_map || names(&catalogue).any(|listed| listed == name),
            "{name}: expected an entry in crates/stochgrad-distributions/tests/catalogue"
        );
    }
}

#[test]
fn every_page_is_a_chapter_of_the_book_and_its_programs_are_tests() {
    let docs = root().join("docs");
    let summary = docs.join("SUMMARY.md");
    let chapters = text(std::slice::from_ref(&summary));
    let doctests = text(&[root().join("crates/stochgrad/src/lib.rs")]);
    let pages: Vec<PathBuf> = files(&docs, "md").into_iter().filter(|page| *page != summary).collect();
    assert!(pages.len() > 100, "found only {pages:?}");
    for page in &pages {
        let parts = page.strip_prefix(&docs).expect("a page of docs").iter();
        let name = parts.map(|part| part.to_str().expect("UTF-8")).collect::<Vec<_>>().join("/");
        let line = format!("]({name})");
        assert!(chapters.contains(&line), "docs/{name}: expected a line with {line} in docs/SUMMARY.md");
        // The pages of the gallery quote parts of programs that are tests themselves. A list has the names of others.
        let has_programs = text(std::slice::from_ref(page)).contains("\n```rust");
        let stem = page.file_stem().expect("a name").to_str().expect("UTF-8");
        let list =
            doctests.split("\"distributions\":").nth(1).and_then(|list| list.split('}').next()).unwrap_or_default();
        let is_listed = name.starts_with("distributions/") && list.split_whitespace().any(|page| page == stem);
        assert!(
            !has_programs || name.starts_with("gallery/") || is_listed || doctests.contains(&format!("docs/{name}\")")),
            "docs/{name}: expected its programs in the module `book` of crates/stochgrad/src/lib.rs"
        );
    }
}
