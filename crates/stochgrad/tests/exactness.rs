//! Every method on every shape of graph, compared with the exact derivatives at each order that it declares: the table in
//! `docs/exactness.md`, which the test compares with what it finds.
//!
//! `UPDATE_TABLES=1 cargo test -p stochgrad --test exactness` writes it. The methods that cannot be enumerated are sampled: briefly here, and with
//! `cargo test --release -p stochgrad --test exactness -- --ignored` at length.

use std::fmt::Write;
use std::sync::Arc;
use stochgrad::check::{CheckError, CheckResult};
use stochgrad::distributions::Id;
use stochgrad::prelude::*;
use stochgrad::tape::PlateKind;

type BitMethod = DynMethod<f64, Bernoulli<Id>>;
type CategoryMethod = DynMethod<f64, OneHotCategorical<Id>>;

/// Larger trees of outcomes are sampled.
const MOST_OUTCOMES: usize = 1000;

/// How a method is compared with the exact derivatives.
#[derive(Clone, Copy, PartialEq)]
enum Proof {
    /// Every outcome is visited; the highest order that is looked at.
    Outcomes(usize),
    /// Samples.
    Samples,
    /// Not at all: its costs are of another law.
    Costs,
}

/// A method on bits, on categories, or on both.
struct Entry {
    bits: Option<BitMethod>,
    categories: Option<CategoryMethod>,
    proof: Proof,
}

fn both<M>(method: M, proof: Proof) -> Entry
where
    M: GradientMethod<f64, Bernoulli<Id>> + GradientMethod<f64, OneHotCategorical<Id>> + Clone + 'static,
{
    Entry { bits: Some(Arc::new(method.clone())), categories: Some(Arc::new(method)), proof }
}

fn bits<M: GradientMethod<f64, Bernoulli<Id>> + 'static>(method: M, proof: Proof) -> Entry {
    Entry { bits: Some(Arc::new(method)), categories: None, proof }
}

fn entries() -> Vec<Entry> {
    use Proof::{Costs, Outcomes, Samples};
    let score = ScoreFunction::new();
    vec![
        both(score, Outcomes(3)),
        both(score.baseline(Constant(0.7)), Outcomes(3)),
        both(score.samples(2).baseline(LeaveOneOut), Outcomes(2)),
        both(score.samples(2).baseline(Vimco::new()), Outcomes(2)),
        both(DoubleControlVariate::new(2), Outcomes(1)),
        both(Enumerate::new(), Outcomes(3)),
        both(UnorderedSet::new(1), Outcomes(2)),
        both(SumAndSample::new(1, 1), Outcomes(2)),
        both(Auto::new(), Outcomes(2)),
        both(MeasureValued::new(), Outcomes(1)),
        both(StochasticDerivatives::new().side(Side::Right), Outcomes(1)),
        both(StochasticDerivatives::new().side(Side::Left), Outcomes(1)),
        both(StochasticDerivatives::new(), Outcomes(1)),
        bits(DisArm::new(), Outcomes(1)),
        bits(Arm::new(), Outcomes(1)),
        bits(Arms::new(3), Samples),
        bits(Rodeo::new(2), Outcomes(1)),
        both(Rebar::new(), Samples),
        both(Relax::new().hidden(4), Samples),
        both(Relax::new().hidden(4).relaxed_cost(), Samples),
        both(StraightThrough::new(1.0), Outcomes(1)),
        both(ReinMax::new(1.0), Outcomes(1)),
        both(GumbelRao::new(1.0), Costs),
        both(GumbelSoftmax::new(1.0).straight_through(), Costs),
        both(GumbelSoftmax::new(1.0), Costs),
    ]
}

/// Draws a node with a logit and gives a number made of it.
type Draw<'a> = &'a dyn for<'t> Fn(&Graph<'t, f64>, &str, Var<'t, f64>) -> GraphResult<Var<'t, f64>>;

type Shape = (&'static str, for<'a, 't> fn(&Graph<'t, f64>, Draw<'a>) -> GraphResult<()>);

const SHAPES: [Shape; 7] = [
    ("chain", chain),
    ("fork", fork),
    ("skip edge", skip_edge),
    ("two costs", two_costs),
    ("unequal plates", unequal_plates),
    ("joint over data", joint_over_data),
    ("joint over samples", joint_over_samples),
];

fn chain(graph: &Graph<'_, f64>, draw: Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = draw(graph, "x", t)?;
    let y = draw(graph, "y", t * x + 0.25)?;
    graph.cost("cost", (x - y * 2.0 + 1.0).square() + t * x * y)
}

fn fork(graph: &Graph<'_, f64>, draw: Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.4])?;
    let x = draw(graph, "x", t.index(0, 0))?;
    let y = draw(graph, "y", t.index(0, 0) * x - 0.2)?;
    let z = draw(graph, "z", t.index(0, 1) + x * 0.7)?;
    graph.cost("of one", (y * 2.0 - 0.7).square())?;
    graph.cost("of both", (y + z * 3.0 - 1.0).square() * 0.5)
}

fn skip_edge(graph: &Graph<'_, f64>, draw: Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", 0.4)?;
    let x = draw(graph, "x", t)?;
    let y = draw(graph, "y", t * 2.0 * x - 0.5)?;
    let z = draw(graph, "z", x * 0.8 - t * y + 0.1)?;
    graph.cost("cost", (x + z * 2.0 - 0.6).square() + y * z)
}

fn two_costs(graph: &Graph<'_, f64>, draw: Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = draw(graph, "x", t)?;
    graph.cost("early", (x * 3.0 - 1.0).square() * t)?;
    let y = draw(graph, "y", t * x - 0.3)?;
    graph.cost("late", (y - x - 0.4).square() * 2.0)
}

fn unequal_plates(graph: &Graph<'_, f64>, draw: Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.8])?;
    let features = graph.data("data", [0.5, -1.5])?;
    let x = draw(graph, "x", t.index(0, 0) * features)?;
    let y = draw(graph, "y", t.index(0, 1))?;
    graph.cost("cost", (x + y * features - 0.3).square())
}

fn joint_over_data(graph: &Graph<'_, f64>, draw: Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", [0.3, -0.8])?;
    let features = graph.data("data", [0.5, -1.5])?;
    let x = draw(graph, "x", t.index(0, 0) * features)?;
    let sum = (x * features).sum_over(features.plates()[0]);
    graph.cost("cost", (sum - 0.7).square() * t.index(0, 1))
}

fn joint_over_samples(graph: &Graph<'_, f64>, draw: Draw<'_>) -> GraphResult<()> {
    let t = graph.param("t", 0.3)?;
    let x = draw(graph, "x", t)?;
    let log_weight = x * 1.3 - 0.4 - t * x;
    // The states of an enumerated node are no samples: each of them has a cost of its own.
    let bound = match graph.find_plate("x").filter(|plate| graph.tape().plate_kind(*plate) != PlateKind::Enumerated) {
        Some(plate) => log_weight.log_mean_exp_over(plate),
        None => log_weight,
    };
    graph.cost("bound", -bound)
}

fn bit<'t, M>(graph: &Graph<'t, f64>, name: &str, logit: Var<'t, f64>, method: &M) -> GraphResult<Var<'t, f64>>
where
    M: GradientMethod<f64, Bernoulli<Id>> + Clone + 'static,
{
    graph.sample(name, &Bernoulli::from_logits(logit), method)
}

/// A number made of a vector of three categories.
fn category<'t, M>(graph: &Graph<'t, f64>, name: &str, logit: Var<'t, f64>, method: &M) -> GraphResult<Var<'t, f64>>
where
    M: GradientMethod<f64, OneHotCategorical<Id>> + Clone + 'static,
{
    let logits = Var::stack(&[logit, 0.3 - logit, logit * 0.5])?;
    let x = graph.sample(name, &OneHotCategorical::from_logits(logits), method)?;
    Ok((x * graph.constant([0.2, -1.0, 1.3])).sum())
}

/// What is found for a method on a shape.
fn outcome(draw: Draw<'_>, truth: Draw<'_>, shape: &Shape, proof: Proof, runs: usize) -> String {
    let model = |graph: &Graph<'_, f64>| (shape.1)(graph, draw);
    let refused = |error: &CheckError| match error {
        CheckError::Graph(GraphError::Refused { .. } | GraphError::Replay { .. }) => Some("refused".to_string()),
        _ => None,
    };
    let verdict = |result: CheckResult<()>, good: String| match result {
        Ok(()) => good,
        Err(error) => refused(&error).unwrap_or_else(|| match error {
            CheckError::Expectation { .. } => "biased".into(),
            other => format!("{other}"),
        }),
    };
    match proof {
        Proof::Outcomes(top) => {
            let oracle = Oracle::new().nodes(2).max_outcomes(MOST_OUTCOMES);
            match oracle.verify(model, 0..=top, 1e-9) {
                Err(CheckError::TooManyOutcomes { .. }) => outcome(draw, truth, shape, Proof::Samples, runs),
                result => verdict(result.map(|_| ()), format!("exact to {top}")),
            }
        }
        Proof::Samples => {
            let test = StatisticalTest::new().runs(runs);
            // One sample a node is enough for the truth, unless the cost sees all samples.
            let truth = if shape.0 == "joint over samples" { draw } else { truth };
            let exact = Oracle::new().exact_gradient(|graph: &Graph<'_, f64>| (shape.1)(graph, truth));
            verdict(exact.and_then(|exact| test.check(model, &exact).map(|_| ())), "unbiased".into())
        }
        Proof::Costs => {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(1));
            let result = model(&graph).and_then(|()| graph.backward()).map(|_| ()).map_err(CheckError::from);
            verdict(result, "by construction".into())
        }
    }
}

fn table(runs: usize) -> String {
    let mut text = String::from(
        "# Exactness\n\n\
         Every method on every shape of graph, with itself at all nodes, on bits and on vectors of three categories. *exact to n*: the derivatives of orders 0 to n \
         have the exact means to 1e-9, over all outcomes of the method's own draws (the methods are right to the orders that they declare, and the table stops at 3). \
         *unbiased*: sampled, every element within four standard errors by Holm's correction. *refused*: an error that says why and what to try. \
         *biased*: the method is labelled so, and the mean is off. *by construction*: a relaxed law or gradient; its known bias is tested beside the method.\n\n\
         Written by `crates/stochgrad/tests/exactness.rs`.\n\n",
    );
    for (kind, of_bits) in [("Bits", true), ("Categories", false)] {
        let header: Vec<&str> = SHAPES.iter().map(|(name, _)| *name).collect();
        let _ =
            writeln!(text, "## {kind}\n\n| method | {} |\n|---{}|", header.join(" | "), "|---".repeat(SHAPES.len()));
        for entry in entries() {
            let name = if of_bits {
                entry.bits.as_ref().map(|m| m.name())
            } else {
                entry.categories.as_ref().map(|m| m.name())
            };
            let Some(name) = name else { continue };
            let cells: Vec<String> = SHAPES
                .iter()
                .map(|shape| {
                    let plain = ScoreFunction::new();
                    let (draw, truth): (Draw<'_>, Draw<'_>) = match (&entry.bits, &entry.categories) {
                        (Some(method), _) if of_bits => {
                            (&|graph, name, logit| bit(graph, name, logit, method), &|graph, name, logit| {
                                bit(graph, name, logit, &plain)
                            })
                        }
                        (_, Some(method)) => {
                            (&|graph, name, logit| category(graph, name, logit, method), &|graph, name, logit| {
                                category(graph, name, logit, &plain)
                            })
                        }
                        _ => return String::new(),
                    };
                    outcome(draw, truth, shape, entry.proof, runs)
                })
                .collect();
            let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
        }
        text.push('\n');
    }
    text
}

fn compare(found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exactness.md");
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, found).expect("docs/exactness.md can be written");
    }
    let known = std::fs::read_to_string(&path).expect("docs/exactness.md can be read");
    for (found, known) in found.lines().zip(known.lines()) {
        assert_eq!(found, known, "docs/exactness.md is out of date: UPDATE_TABLES=1 writes it");
    }
    assert_eq!(found.lines().count(), known.lines().count());
}

#[test]
fn the_table_is_what_is_found() {
    compare(&table(300));
}

#[test]
#[ignore = "minutes of work; see the head of the file"]
fn the_table_is_what_is_found_at_length() {
    compare(&table(20_000));
}
