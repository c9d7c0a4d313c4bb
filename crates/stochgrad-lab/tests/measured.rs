//! The table of all methods on three small models, `docs/measured.md`, and its rows on the page of each method.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use stochgrad_check::Oracle;
use stochgrad_distributions::{Bernoulli, Id, Normal, OneHotCategorical};
use stochgrad_estimators::ScoreFunction;
use stochgrad_graph::GraphResult;
use stochgrad_lab::{Catalogue, Lab, Statistics};
use stochgrad_nn::{Inputs, Parameters, Record};
use stochgrad_tensor::Tensor;

fn bits(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let b = record.sample("x", &Bernoulli::from_logits(record.param("logits")?), &ScoreFunction::new())?;
    record.cost("loss", (b.sum() - 1.2).square())
}

fn categories(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let b = record.sample("x", &OneHotCategorical::from_logits(record.param("logits")?), &ScoreFunction::new())?;
    record.cost("loss", ((b * record.constant([0.0, 1.0, 3.0])).sum() - 1.2).square())
}

fn number(record: &Record<'_, '_, f64>) -> GraphResult<()> {
    let x = record.sample("x", &Normal::new(record.param("mean")?, 0.5), &ScoreFunction::new())?;
    record.cost("loss", (x - 0.3).square())
}

/// A row of the table of a model: the method, and the cells of the row.
type Row = (String, String);

/// The methods of the catalogue by their variance, and those that are missing with the reason. Returns the rows for the
/// pages of the methods.
fn section<D: Catalogue<f64>>(
    page: &mut String,
    (heading, intro): (&str, &str),
    model: fn(&Record<'_, '_, f64>) -> GraphResult<()>,
    parameters: &Parameters<f64>,
) -> Vec<Row> {
    let inputs = Inputs::new();
    let lab = Lab::new(model, parameters, &inputs).warm_up(200);
    let compare = lab.compare().node::<D>("x", D::catalogue()).precision(0.02).repetitions(20_000);
    let found = compare.exact_reference(&Oracle::new()).unwrap().run().unwrap();
    let mut arms: Vec<_> = found.measured().collect();
    let is_exact = |found: &Statistics| found.variance.estimate <= 1e-14 * found.second_moment.estimate;
    arms.sort_by(|one, other| one.1.variance.estimate.total_cmp(&other.1.variance.estimate));
    writeln!(page, "## {heading}\n\n{intro}\n").unwrap();
    writeln!(page, "| method | variance | bias / gradient | guarantee | evaluations |\n|---|---|---|---|---|").unwrap();
    let mut rows = Vec::new();
    for (arm, found) in arms {
        let variance = if is_exact(found) { "0".into() } else { format!("{:.2e}", found.variance.estimate) };
        let bias = match &found.bias {
            Some(bias) if bias.is_significant() => match &bias.relative {
                Some(relative) => format!("{:.2}", relative.estimate),
                None => format!("{:.2e}", bias.worst.estimate),
            },
            _ => "–".into(),
        };
        let evaluations = found.evaluations.map_or_else(|| "∞".into(), |count| count.to_string());
        let (method, guarantee) = (&arm.methods[0].1, found.guarantee);
        writeln!(page, "| `{method}` | {variance} | {bias} | {guarantee} | {evaluations} |").unwrap();
        let row = format!("| {} | `{method}` | {variance} | {bias} | {evaluations} |", heading.to_lowercase());
        rows.push((method.to_string(), row));
    }
    let refused = found.arms.iter().filter_map(|arm| Some((&arm.methods[0].1, arm.refusal.as_ref()?)));
    writeln!(page, "\nNot possible on this model:\n").unwrap();
    for (method, reason) in refused {
        // The place in the source is that of this program.
        let reason = reason.split(" (crates/").next().unwrap_or_default().replace('|', "\\|");
        writeln!(page, "* `{method}`: {reason}").unwrap();
    }
    writeln!(page, "\nNot for these distributions:\n").unwrap();
    for missing in D::not_applicable() {
        writeln!(page, "* `{}`: {}", missing.method, missing.reason).unwrap();
    }
    page.push('\n');
    rows
}

/// The page of `docs/measured.md`, and the rows of all models.
fn measured() -> (String, Vec<Row>) {
    let mut page = "\
# All methods on three small models

The lab measures every method of a catalogue, with customary settings, at fixed parameters. Variances are sums over all
elements of the gradient, to about 2 %; a bias is listed if it is significant. The methods are ordered by their variance,
so that their costs have to be compared as well: the cost evaluations are in the last column.
[The lab](lab.md) measures them on your model, with times.

```sh
cargo test --release -p stochgrad-lab --test measured -- --ignored
```

writes this page and the section “Measured” on the pages of the methods. The same seeds give the same numbers.

"
    .to_owned();
    let parameters = |name: &str, values: Tensor<f64>| {
        let mut parameters = Parameters::new();
        parameters.insert(name, values).unwrap();
        parameters
    };
    let mut rows = section::<Bernoulli<Id>>(
        &mut page,
        ("Bits", "Three bits with the logits −2, 0.5 and 1, and the cost $(\\sum_i b_i - 1.2)^2$."),
        bits,
        &parameters("logits", [-2.0, 0.5, 1.0].into()),
    );
    rows.extend(section::<OneHotCategorical<Id>>(
        &mut page,
        (
            "Categories",
            "A one-hot vector $b$ of three categories with the logits −1, 0 and 0.5, and the cost $(b_2 + 3 b_3 - \
             1.2)^2$.",
        ),
        categories,
        &parameters("logits", [-1.0, 0.0, 0.5].into()),
    ));
    rows.extend(section::<Normal<Id>>(
        &mut page,
        (
            "A normal variable",
            "A normal variable with the mean 1 and the standard deviation ½, and the cost $(x - 0.3)^2$.",
        ),
        number,
        &parameters("mean", Tensor::scalar(1.0)),
    ));
    (page.trim_end().to_owned() + "\n", rows)
}

/// The page that documents a method: the one with its name, or the first one that shows how to construct it, if possible
/// under "Interface".
fn page_of(method: &str, pages: &BTreeMap<PathBuf, String>) -> PathBuf {
    let name = method.split("::").next().unwrap_or(method);
    if method.contains(".baseline(") {
        return pages.keys().find(|path| path.ends_with("baselines.md")).unwrap().clone();
    }
    let is_named = |path: &&PathBuf| {
        path.file_stem().is_some_and(|stem| stem.to_string_lossy().replace('_', "") == name.to_lowercase())
    };
    let constructs = |text: &str| text.contains(&format!("`{name}`")) || text.contains(&format!("{name}::"));
    let shows = |text: &str| {
        let interface = text.split_once("## Interface").and_then(|(_, rest)| rest.split("\n## ").next());
        interface.is_some_and(constructs)
    };
    let documented = || {
        let page = |shows: &dyn Fn(&str) -> bool| pages.iter().find(|(_, text)| shows(text)).map(|(path, _)| path);
        page(&shows).or_else(|| page(&constructs))
    };
    pages
        .keys()
        .find(is_named)
        .or_else(documented)
        .unwrap_or_else(|| panic!("{method}: expected a page in docs/methods that shows `{name}`"))
        .clone()
}

/// A page with the section "Measured" before its references, in place of the section that it had.
fn with_rows(text: &str, rows: &[String]) -> String {
    const HEADING: &str = "\n## Measured\n";
    let mut text = text.to_owned();
    if let Some(start) = text.find(HEADING) {
        let after = start + HEADING.len();
        let end = text[after..].find("\n## ").map_or(text.len(), |at| after + at);
        text.replace_range(start..end, "");
    }
    let at = text.find("\n## Reference").unwrap_or(text.len());
    let section = format!(
        "{HEADING}\nThe three small models are described under [all methods on three small models](../measured.md); the \
         variance is the\nsum over all elements of the gradient.\n\n| model | method | variance | bias / gradient | \
         evaluations |\n|---|---|---|---|---|\n{}\n",
        rows.join("\n")
    );
    text.insert_str(at, &section);
    text
}

/// The pages of the methods, by their files.
fn method_pages() -> BTreeMap<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/methods");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

#[test]
#[ignore = "writes docs/measured.md and sections of docs/methods; half a minute"]
fn all_methods_on_three_models() {
    let (page, rows) = measured();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/measured.md");
    std::fs::write(file, page).unwrap();

    let pages = method_pages();
    let mut by_page: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for (method, row) in rows {
        by_page.entry(page_of(&method, &pages)).or_default().push(row);
    }
    for (path, rows) in by_page {
        let text = with_rows(&pages[&path], &rows);
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn the_section_is_replaced_and_stands_before_the_references() {
    let page = "# A method\n\n## Properties\n\nNone.\n\n## Reference\n\nNobody.\n";
    let once = with_rows(page, &["| bits | `A::new()` | 1 | – | 2 |".to_owned()]);
    let twice = with_rows(&once, &["| bits | `A::new()` | 3 | – | 2 |".to_owned()]);
    assert!(once.contains("| 1 | – |") && !twice.contains("| 1 | – |"), "{twice}");
    assert_eq!(once.replace("| 1 | –", "| 3 | –"), twice);
    let places = ["## Properties", "## Measured", "## Reference"].map(|heading| twice.find(heading).unwrap());
    assert!(places.is_sorted() && twice.ends_with("Nobody.\n"), "{twice}");
}

#[test]
fn every_method_has_a_page() {
    let pages = method_pages();
    for method in
        ["DisArm::new()", "Ars::new()", "Pairwise::new()", "ScoreFunction::new().samples(2).baseline(LeaveOneOut)"]
    {
        let page = page_of(method, &pages);
        let name = method.split("::").next().unwrap();
        assert!(pages[&page].contains(name), "{method} in {}", page.display());
    }
}
