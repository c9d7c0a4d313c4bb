//! The table of the capabilities of all distributions and a page for each, generated from the implementations and their
//! documentation.
//!
//! `UPDATE_TABLES=1 cargo test -p stochgrad-distributions --test capabilities` updates `docs/distributions.md` and the
//! folder `docs/distributions`. Without the variable, the tests compare the files with what they would write.

#[path = "../catalogue/mod.rs"]
mod catalogue;
mod documentation;
mod other_libraries;
mod page;
#[path = "../pairs/mod.rs"]
mod pairs;
mod picture;
mod settings;

use catalogue::{Entry, entries};
use documentation::{documentation, file_name};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use stochgrad_distributions::*;
use stochgrad_tape::{PlateKind, Plates, Smoothness, Tape, Var};

/// Names of parameters, and for how many derivatives.
fn by_order(parameters: &[(&'static str, Order)]) -> String {
    let of = |wanted: Order| -> Option<String> {
        let names: Vec<&str> = parameters.iter().filter(|(_, order)| *order == wanted).map(|(name, _)| *name).collect();
        let order = if wanted == Order::Any { "any order".into() } else { format!("order {wanted}") };
        match names.len() {
            0 => None,
            all if all == parameters.len() => Some(order),
            _ => Some(format!("{order} by {}", names.join(", "))),
        }
    };
    let orders = [Order::Any, Order::Finite(2), Order::Finite(1)];
    orders.into_iter().filter_map(of).collect::<Vec<_>>().join("; ")
}

/// The order up to which a score is valid that depends on its parameter in this way.
fn score_order(score: Smoothness) -> Order {
    match score {
        Smoothness::Smooth => Order::Any,
        Smoothness::Kinked => Order::Finite(1),
        Smoothness::Constant | Smoothness::Jump => Order::Finite(0),
    }
}

/// The cells of one distribution.
fn cells(entry: &Entry) -> Vec<String> {
    let tape = Tape::<f64>::new();
    let parameters: Vec<Var<'_, f64>> = entry.ordinary.iter().map(|&value| tape.parameter(value)).collect();
    let distribution = (entry.build)(&tape, &parameters);
    let plate = tape.plate("samples", 2, PlateKind::Samples, &[]);
    let noise = KeyedNoise::new(0, 0);
    let draw = Draw::new(&tape, &noise, NoiseKey::new("x", None), Plates::from_slice(&[plate]));
    let sample = draw.record(&tape, distribution.draw(&draw).expect("draws"));
    let can = distribution.capabilities();
    let parameters = distribution.parameters();
    let names_of = |known: &dyn Fn(usize) -> bool| -> String {
        let names: Vec<&str> =
            parameters.iter().enumerate().filter(|(index, _)| known(*index)).map(|(_, p)| p.name).collect();
        names.join(", ")
    };
    let yes = |there: bool| if there { "yes".to_string() } else { String::new() };
    let score: Vec<_> = parameters.iter().map(|p| (p.name, score_order(p.score))).collect();
    let path: Vec<_> = parameters.iter().map(|p| (p.name, p.path.order())).collect();
    let divergences: Vec<String> = pairs::pairs()
        .into_iter()
        .filter(|(p, _, _)| *p == entry.name())
        .map(|(p, q, _)| if p == q { "itself".to_string() } else { q.to_string() })
        .collect();
    vec![
        format!("[`{0}`](distributions/{1}.md)", entry.name(), file_name(entry.name())),
        if can.score.is_some() { by_order(&score) } else { String::new() },
        if can.reparameterized.is_some() { by_order(&path) } else { String::new() },
        names_of(&|index| {
            can.weak_derivative
                .is_some_and(|weak| weak.weak_derivative(index, sample, &draw).expect("a derivative").is_some())
        }),
        names_of(&|index| {
            can.stochastic_derivative.is_some_and(|jumps| {
                jumps.stochastic_derivative(index, Side::TwoSided, sample, &draw).expect("a derivative").is_some()
            })
        }),
        yes(can.finite_support.is_some()),
        yes(can.relaxed.is_some()),
        yes(can.entropy.is_some()),
        match (can.cdf.is_some(), can.icdf.is_some()) {
            (true, true) => "cdf, icdf".into(),
            (true, false) => "cdf".into(),
            _ => String::new(),
        },
        {
            let moments =
                [("mean", distribution.mean()), ("variance", distribution.variance()), ("mode", distribution.mode())];
            let known: Vec<&str> = moments.iter().filter(|(_, there)| there.is_some()).map(|(name, _)| *name).collect();
            known.join(", ")
        },
        divergences.join(", "),
    ]
}

const INTRODUCTION: &str = "\
# What each distribution can do

A test writes this table from the implementations, at ordinary parameters
(`cargo test -p stochgrad-distributions --test capabilities`). An empty cell means that the capability is not
implemented. The notes below the table give the reasons. The page of a distribution has its definition, an example, a
picture, and its moments. [Other libraries](distributions/other_libraries.md) compares with TensorFlow Probability,
NumPyro and PyTorch.

* *Score*: the log-probability is differentiable with respect to the parameters, and the support does not depend on
  them.
* *Path*: samples are differentiable functions of the parameters. The order is 1 where the path is implicit.
* *Weak* and *stochastic*: the parameters with respect to which a measure-valued or a stochastic derivative is known.
* *Cdf*: the distribution function (`cdf`), with the survival function and the logarithms of both, and its inverse
  (`icdf`), with that of the survival function. [The guide](guide.md#tails) shows how to use them, and
  [Accuracy](accuracy.md) lists their errors.
* *Divergence*: the distributions to which the Kullback–Leibler divergence has a closed form. It is also known to be
  infinite for pairs whose supports do not fit. `monte_carlo_kl` estimates all others.
* Draws of all distributions are recorded operations, so that every distribution can be compiled.
  [What compiles](compiled.md) lists the combinations with methods.

";

const NOTES: &str = "
## Why a cell is empty

- **Score.** The support of `Uniform`, `Triangular`, `TruncatedNormal` and `DiscreteUniform` depends on their bounds,
  that of `Hypergeometric` on its three integers, that of `Pareto` on the scale, that of `Levy` on the location, those
  of `GeneralizedPareto` and `GeneralizedExtremeValue` on all parameters, that of `Delta` on its value, that of
  `Empirical` on its values, and those of `Truncated` and `Censored` on the bounds of real numbers. The bounds of counts
  have no derivative. The mean of the derivative of the log-probability is then not zero in general, and the score
  function would be biased.
- **Path.** Counts and categories have no sample path, and neither have `Quantized` values. That of `Empirical` is the
  chosen value as a function of the values.
- **Weak derivatives.** No cheap sampler is known for the parts of the derivative with respect to the shapes of
  `Weibull`, `Kumaraswamy`, `GeneralizedPareto`, `GeneralizedExtremeValue`, `InverseGaussian`, `Dirichlet`, `Wishart`
  and `Lkj`, the degrees of freedom of `StudentT`, `HalfStudentT` and `FisherF`, the scales of `Gumbel` and
  `GeneralizedExtremeValue`, the location of `Levy`, the concentration of `VonMises` and the power of
  `GeneralizedNormal`, nor for those of `JohnsonSu`, `SinhArcsinh` and `NormalInverseGaussian`. Use the path.
  `Truncated` has one with respect to its bounds only, and `Censored` and `Quantized` have none: use the path or the
  score. None is known either for the concentrations of `BetaBinomial` and `DirichletMultinomial`, and that of `Zipf`
  has a part for each rank. That of `Zeta` is the product of the sample and a random power of a prime number, for which
  there is no simple sampler: use the score. For the shapes of `Gamma`, `InverseGamma`, `Chi`, `Chi2` and `Beta`, the
  parts are roots of the derivative of the distribution function. A root takes a few microseconds, and more for `Beta`,
  so that the path is cheaper for costs that have one. `TruncatedNormal` and the relaxed distributions have paths of any
  order. The bounds of `DiscreteUniform` and the parameters of `Hypergeometric` are integers and have no derivative.
  Numbers of trials and of successes are not differentiated. `Independent` joins elements, but alternatives replace
  single elements: use the distribution inside it.
- **Weak derivatives of vectors, matrices and sequences.** None is known for the degrees of freedom of
  `MultivariateStudentT` and of `InverseWishart`, nor for `PowerSpherical`, `VonMisesFisher` and `ProjectedNormal`: use the path. For
  normal matrices, functions and sequences (`MatrixNormal`, `GaussianProcess`, `GaussianRandomWalk`, `AutoRegressive`,
  `LinearGaussianStateSpace`) use `MultivariateNormal` or the increments as nodes, and for `MarkovChain` and
  `HiddenMarkovModel` the states as nodes, since an alternative would replace all later steps. The last two have no
  path.
- **Stochastic derivatives** exist for jumps between neighbouring counts or categories. `Skellam` and `Multinomial` have
  weak derivatives with one replay instead. Those of `ZeroInflated` are those of the counts behind the gate, and jumps
  to and from 0; positive counts of a `Hurdle` have none, since the distribution without zeros is not that of the jumps.
- **Relaxations** exist for bits, categories and rankings.
- **Quadratic variances** make gradients of polynomials exact. `Bernoulli`, `Binomial`, `Poisson`, `Geometric` and
  `NegativeBinomial` have them.
- **Entropies.** That of `DirichletMultinomial` is a sum without a fixed number of terms, and that of `PlackettLuce` is
  a sum over rankings, as are its mean and variance. Those of `Binomial`, with one derivative, `BetaBinomial`,
  `Hypergeometric`, `Multinomial`, `NegativeBinomial`, `Poisson`, `Skellam` and `Zeta` are sums or integrals with a
  stated error. Those of `JohnsonSu`, `SinhArcsinh`, `SkewNormal`, `NormalInverseGaussian` and
  `ExponentiallyModifiedGaussian` need functions that are not elementary. Mixtures, zero-inflated and hurdle
  distributions, truncated, censored and quantized distributions, relaxed distributions and transformed distributions
  have none in general. That of `HiddenMarkovModel` is one of a mixture.
- **Distribution functions** are not defined for vectors and matrices. Those of `BetaBinomial` and `Hypergeometric` are
  sums over the counts, of which there are at most 2²⁰. That of `SkewNormal` needs Owen's T function, and would lose its
  digits in the shorter tail, that of `Horseshoe` a generalised hypergeometric function, and that of
  `NormalInverseGaussian` is an integral. Quantiles of `ExponentiallyModifiedGaussian` have no closed form. `Empirical`
  has no quantiles, which would need a sort. Quantiles of counts are found by a search, and those of `VonMises`,
  `InverseGaussian` and mixtures of continuous distributions by Newton's method in a bracket, those of `Zeta` by three
  steps of it.
- **Moments** that are missing do not exist (`Cauchy`, `HalfCauchy`, `Horseshoe`) or have no closed form (relaxed and
  transformed distributions, truncated, censored and quantized ones, `Lkj`; the mode of `NormalInverseGaussian`; the
  moments of `SinhArcsinh`, and the modes of it, `JohnsonSu`, `SkewNormal` and `ExponentiallyModifiedGaussian`). Those
  of `VonMises` are the circular moments.
";

#[test]
fn the_table_in_the_book_is_that_of_the_implementations() {
    let mut table = String::from(INTRODUCTION);
    let head = [
        "distribution",
        "score",
        "path",
        "weak",
        "stochastic",
        "finite",
        "relaxed",
        "entropy",
        "cdf",
        "moments",
        "divergence",
    ];
    writeln!(table, "| {} |", head.join(" | ")).expect("a string");
    writeln!(table, "|{}", "---|".repeat(head.len())).expect("a string");
    let mut seen = Vec::new();
    for entry in entries() {
        let row = cells(&entry);
        if seen.contains(&row) {
            continue;
        }
        writeln!(table, "| {} |", row.join(" | ")).expect("a string");
        seen.push(row);
    }
    table += NOTES;
    assert!(is_current("distributions.md", &table, |found| found == table), "{STALE}: distributions.md");
}

const STALE: &str =
    "a file of docs/ differs from the implementations; run the test with UPDATE_TABLES=1 and look at the difference";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// Whether a file is as it would be written; with `UPDATE_TABLES`, it is written first.
fn is_current(name: &str, text: &str, is_same: impl FnOnce(&str) -> bool) -> bool {
    let path = docs().join(name);
    if std::env::var_os("UPDATE_TABLES").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the book can be written");
        fs::write(&path, text).expect("the book can be written");
    }
    is_same(&fs::read_to_string(&path).unwrap_or_default())
}

/// The entry of each type that its page shows: the first one.
fn types() -> Vec<Entry> {
    let mut seen = BTreeSet::new();
    entries().into_iter().filter(|entry| seen.insert(entry.name())).collect()
}

#[test]
fn the_page_of_each_distribution_is_that_of_the_implementation() {
    let types = types();
    let names: Vec<&'static str> = types.iter().map(Entry::name).collect();
    let documentation = documentation(&names);
    let (mut stale, mut wide) = (Vec::new(), Vec::new());
    for entry in &types {
        let name = entry.name();
        let own =
            documentation.get(name).unwrap_or_else(|| panic!("{name}: expected documentation of the type, got none"));
        let has_example = own.usage.contains("```rust\n");
        assert!(has_example, "{name}: expected an example in the documentation of the type, got none");
        let rows: Vec<Vec<String>> = entries().iter().filter(|other| other.name() == name).map(cells).collect();
        let text = page::page(entry, &settings::settings(entry), own, &rows);
        assert!(
            !text.contains("](crate"),
            "{name}: expected links that begin and end in one line of the documentation"
        );
        let prose = text.lines().filter(|line| !line.starts_with('|') && !line.starts_with("$$"));
        wide.extend(prose.filter(|line| line.chars().count() > 120).map(|line| format!("{name}: {line}")));
        let file = format!("distributions/{}.md", file_name(name));
        if !is_current(&file, &text, |found| found == text) {
            stale.push(file);
        }
    }
    assert!(stale.is_empty(), "{STALE}: {stale:?}");
    assert!(wide.is_empty(), "expected at most 120 columns, got {wide:#?}");
}

/// Whether two pictures are the same, up to a pixel that another processor rounds in the other direction.
fn is_same_picture(one: &str, other: &str) -> bool {
    let parts = |text: &str| -> Vec<String> {
        let mut parts = vec![String::new()];
        for c in text.chars() {
            let follows = parts.last().and_then(|part| part.chars().last());
            if follows.is_some_and(|last| last.is_ascii_digit() != c.is_ascii_digit()) {
                parts.push(String::new());
            }
            parts.last_mut().expect("a part").push(c);
        }
        parts
    };
    let (one, other) = (parts(one), parts(other));
    let is_near = |(one, other): (&String, &String)| match (one.parse::<i64>(), other.parse::<i64>()) {
        (Ok(one), Ok(other)) => (one - other).abs() <= 1,
        _ => one == other,
    };
    one.len() == other.len() && one.iter().zip(&other).all(is_near)
}

#[test]
fn the_picture_of_each_distribution_is_that_of_the_implementation() {
    let mut stale = Vec::new();
    for entry in types() {
        let svg = picture::picture(&entry, &settings::settings(&entry));
        assert!(svg.len() < 16_000, "{}: expected a picture of less than 16 kB, got {} bytes", entry.name(), svg.len());
        let file = format!("distributions/{}.svg", file_name(entry.name()));
        if !is_current(&file, &svg, |found| is_same_picture(found, &svg)) {
            stale.push(file);
        }
    }
    assert!(stale.is_empty(), "{STALE}: {stale:?}");
}

#[test]
fn no_page_is_left_of_a_distribution_that_is_gone() {
    let known: BTreeSet<String> = types().iter().map(|entry| file_name(entry.name())).collect();
    for file in fs::read_dir(docs().join("distributions")).expect("the folder of the pages") {
        let path = file.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(
            known.contains(&name) || name == "other_libraries",
            "{}: no distribution has this name",
            path.display()
        );
    }
}

#[test]
fn the_comparison_with_other_libraries_is_complete() {
    let types: Vec<(&str, String)> = types().iter().map(|entry| (entry.name(), file_name(entry.name()))).collect();
    let problems = other_libraries::problems(&types);
    assert!(problems.is_empty(), "{problems:#?}");
    let page = other_libraries::page(&types);
    let file = "distributions/other_libraries.md";
    assert!(is_current(file, &page, |found| found == page), "{STALE}: {file}");
}
