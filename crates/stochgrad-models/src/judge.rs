//! The comparison of an estimator with the meaning of its model.

use crate::interpret::{Direction, Meaning, interpret};
use crate::methods::{Choice, Entry};
use crate::model::Model;
use crate::record::record;
use crate::reference::Reference;
use crate::taylor::TOP;
use crate::verdict::{Failure, FailureKind, Settings, Verdict};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use stochgrad::check::{CheckError, Moments, Oracle};
use stochgrad::distributions::NoiseSource;
use stochgrad::graph::{Bias, Gradients, GraphError, GraphResult};
use stochgrad::prelude::*;
use stochgrad::tape::Workspace;

/// The tolerance between found and expected values, relative to the magnitude of the expected one or 1, whichever is
/// larger.
pub const TOLERANCE: f64 = 1e-9;

/// The number of directions along which derivatives are compared.
const DIRECTIONS: usize = 2;

/// Why a comparison ended early.
enum End {
    Refused(String),
    Other(Verdict),
}

impl From<GraphError> for End {
    fn from(error: GraphError) -> Self {
        End::Refused(error.to_string())
    }
}

fn failed(kind: FailureKind, what: impl Into<String>, expected: f64, found: f64) -> End {
    End::Other(Verdict::Failed(Failure { kind, what: what.into(), expected, found }))
}

/// Compares an estimator of a model with its reference.
pub fn judge(
    model: &Model,
    reference: &Reference,
    methods: &[Entry],
    choices: &[Choice],
    settings: Settings,
) -> Verdict {
    let judged = catch_unwind(AssertUnwindSafe(|| compare(model, reference, methods, choices, settings)));
    match judged {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(End::Other(verdict))) => verdict,
        Ok(Err(End::Refused(reason))) if reason.trim().is_empty() => Verdict::Failed(Failure {
            kind: FailureKind::EmptyReason,
            what: "an error without a message".into(),
            expected: f64::NAN,
            found: f64::NAN,
        }),
        Ok(Err(End::Refused(reason))) => Verdict::Refused(reason),
        Err(panic) => Verdict::Failed(Failure {
            kind: FailureKind::Panic,
            what: format!("a panic: {}", message(&*panic)),
            expected: f64::NAN,
            found: f64::NAN,
        }),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// The parameters whose derivatives are valid up to an order.
struct Level {
    parameters: Vec<usize>,
    top: usize,
}

fn compare(
    model: &Model,
    reference: &Reference,
    methods: &[Entry],
    choices: &[Choice],
    settings: Settings,
) -> Result<Verdict, End> {
    let tape = Tape::<f64>::new();
    let graph = Graph::new(&tape, Seed::new(1));
    record(&graph, model, methods, choices)?;
    let gradients = graph.backward()?;
    let mut tops = Vec::new();
    let mut is_redistributed = false;
    for parameter in &model.parameters {
        let guarantee = gradients.guarantee(&parameter.name)?;
        is_redistributed |= guarantee.bias == Bias::Distribution;
        let allowed = (0..=TOP).rev().find(|&order| guarantee.order.allows(order)).unwrap_or(0);
        tops.push(if guarantee.bias == Bias::Unbiased { allowed } else { 0 });
    }
    let Reference::Finite { value, gradient, singular, boundary } = reference else {
        // The costs of some outcomes may be finite, so the expected value decides.
        let found = match expectation(model, methods, choices, settings, &tops, &[], &[]) {
            Err(End::Other(Verdict::Failed(failure))) => failure.found,
            other => other?.mean[0],
        };
        return Err(failed(FailureKind::Infinite, "an infinite cost was accepted", f64::INFINITY, found));
    };
    let labelled = !singular && tops.iter().all(|&top| top == 0);
    if *singular {
        tops.fill(0);
    }
    let levels = levels(&tops);
    let quantities = quantities(model, *value, gradient, &tops, &levels)?;
    let found = expectation(model, methods, choices, settings, &tops, &levels, &quantities)?;
    if found.mean.len() != quantities.len() {
        let (expected, found) = (quantities.len() as f64, found.mean.len() as f64);
        return Err(failed(FailureKind::Oracle, "the number of compared quantities", expected, found));
    }
    let found = found.mean.into_iter().zip(found.variance);
    let steepness = steepness(model);
    for (Quantity { kind, what, order, expected }, (found, variance)) in quantities.into_iter().zip(found) {
        // Outcomes far from their mean cancel and leave rounding errors of their own size.
        let scale = expected.abs().max(1.0).max(variance.sqrt());
        // The reference itself has rounding errors of the size of the costs, and derivatives of higher order have those
        // of the terms that cancel in the derivatives of a probability p, which are of the size of 1/p for each order.
        let rounding = 1e3 * f64::EPSILON * value.abs() * steepness.powi(order.saturating_sub(1) as i32);
        let difference = ((found - expected).abs() - rounding) / scale;
        let is_value = kind == FailureKind::Value;
        if (difference.is_nan() || difference > TOLERANCE) && !(is_redistributed && is_value) {
            let kind = if *boundary && !is_value { FailureKind::Boundary } else { kind };
            return Err(failed(kind, what, expected, found));
        }
    }
    if settings.compiled {
        compiled(model, &graph, methods, choices)?;
    }
    if settings.oracle {
        truth(model, *value, methods, choices, settings)?;
    }
    let top = tops.iter().copied().max().unwrap_or(0);
    Ok(if labelled { Verdict::Labelled } else { Verdict::Agreed(top) })
}

/// The expected value of one component of the results of [`expectation`].
struct Quantity {
    /// The kind of failure if the component differs.
    kind: FailureKind,
    what: String,
    /// The order of the derivative; 0 for a value.
    order: usize,
    expected: f64,
}

/// The largest inverse of a parameter, or 1: probabilities are parameters of the models.
fn steepness(model: &Model) -> f64 {
    let values = model.parameters.iter().flat_map(|parameter| &parameter.values);
    values.filter(|value| **value != 0.0).fold(1.0_f64, |most, value| most.max(value.abs().recip()))
}

/// The quantities, in the order in which [`expectation`] returns them.
fn quantities(
    model: &Model,
    value: f64,
    gradient: &Direction,
    tops: &[usize],
    levels: &[Level],
) -> Result<Vec<Quantity>, End> {
    let quantity = |kind, what: String, order, expected| Quantity { kind, what, order, expected };
    let mut quantities = vec![
        quantity(FailureKind::Value, "the value of the surrogate".into(), 0, value),
        quantity(FailureKind::Value, "the total of the costs".into(), 0, value),
    ];
    for (parameter, slopes) in gradient.iter().enumerate().filter(|(parameter, _)| tops[*parameter] > 0) {
        let name = &model.parameters[parameter].name;
        for (element, &expected) in slopes.iter().enumerate() {
            let what = format!("the derivative with respect to {name}[{element}]");
            quantities.push(quantity(FailureKind::Gradient, what, 1, expected));
        }
    }
    for level in levels {
        for number in 0..DIRECTIONS {
            let direction = direction(model, &level.parameters, number);
            let Meaning::Finite { derivatives, .. } = interpret(model, &direction) else {
                let what = format!("the reference has derivatives along each coordinate and none along {direction:?}");
                return Err(failed(FailureKind::Oracle, what, f64::NAN, f64::NAN));
            };
            for (order, &expected) in (1..=level.top).zip(&derivatives[1..]) {
                let what = format!("the derivative of order {order} along direction {number}: {direction:?}");
                quantities.push(quantity(FailureKind::Derivative, what, order, expected));
            }
        }
    }
    Ok(quantities)
}

/// For each order that is the highest one of some parameter, the parameters whose derivatives are valid up to it.
fn levels(tops: &[usize]) -> Vec<Level> {
    let present = (1..=TOP).filter(|top| tops.contains(top));
    let level = |top| Level { parameters: (0..tops.len()).filter(|&at| tops[at] >= top).collect(), top };
    present.map(level).collect()
}

/// A fixed direction with components between 1/2 and 1, or between −1 and −1/2, for some of the parameters.
fn direction(model: &Model, parameters: &[usize], number: usize) -> Direction {
    let each = model.parameters.iter().enumerate().map(|(at, parameter)| {
        let component = |element: usize| {
            let mixed = ((at * 31 + element * 7 + number * 17 + 3) as f64 * 0.618_033_988_749_895).fract();
            if mixed < 0.5 { mixed - 1.0 } else { mixed }
        };
        let included = parameters.contains(&at);
        (0..parameter.values.len()).map(|element| if included { component(element) } else { 0.0 }).collect()
    });
    each.collect()
}

/// The exact expectations, over all outcomes of the estimator's own draws, of the value of the surrogate, the total of
/// the costs, the gradient with respect to the parameters with a derivative, and the directional derivatives of each
/// level.
fn expectation(
    model: &Model,
    methods: &[Entry],
    choices: &[Choice],
    settings: Settings,
    tops: &[usize],
    levels: &[Level],
    quantities: &[Quantity],
) -> Result<Moments, End> {
    let mut workspace = Workspace::new();
    let not_finite = Cell::new(None);
    let run = |noise: Rc<dyn NoiseSource<f64>>| {
        let tape = workspace.tape();
        let graph = Graph::with_noise(tape, noise);
        record(&graph, model, methods, choices)?;
        let gradients = graph.backward()?;
        let surrogate = graph.surrogate()?;
        let mut results = surrogate.value().peek()?.to_vec();
        results.push(gradients.total());
        for (parameter, _) in model.parameters.iter().zip(tops).filter(|(_, top)| **top > 0) {
            results.extend_from_slice(gradients.get(&parameter.name)?.as_slice());
        }
        let mark = tape.len();
        for level in levels {
            let names: Vec<&str> = level.parameters.iter().map(|&at| model.parameters[at].name.as_str()).collect();
            surrogate.check_order(&names, level.top)?;
            let wrt: Vec<Var<'_, f64>> =
                names.iter().map(|name| surrogate.parameter(name)).collect::<GraphResult<_>>()?;
            for number in 0..DIRECTIONS {
                let direction = direction(model, &level.parameters, number);
                let mut derivative = surrogate.value();
                for _ in 1..=level.top {
                    let slopes = tape.gradients(derivative, &wrt)?;
                    derivative = tape.constant(0.0);
                    for (slope, &at) in slopes.into_iter().zip(&level.parameters) {
                        derivative = derivative + (slope * tape.constant(direction[at].clone())).sum();
                    }
                    results.extend_from_slice(derivative.peek()?.as_slice());
                }
                if results.iter().any(|result| !result.is_finite()) {
                    // The graph checks the derivatives that it returns and names the operation that failed. The
                    // derivatives computed here are not checked, so ask the graph for them.
                    let along: Vec<(&str, Tensor<f64>)> = names
                        .iter()
                        .zip(&level.parameters)
                        .map(|(name, &at)| (*name, Tensor::from(direction[at].clone())))
                        .collect();
                    for order in 1..=level.top {
                        surrogate.directional(&along, order)?;
                    }
                }
                tape.truncate(mark);
            }
        }
        not_finite.set(results.iter().position(|result| !result.is_finite()));
        Ok(results)
    };
    let oracle = Oracle::new().max_outcomes(settings.max_outcomes).nodes(2);
    match oracle.expectation(run) {
        Ok(moments) => Ok(moments),
        Err(CheckError::NotFinite { what, found }) => {
            let quantity = not_finite.get().and_then(|at: usize| quantities.get(at));
            let (what, expected) = quantity.map_or((what, f64::NAN), |it| (it.what.clone(), it.expected));
            Err(failed(FailureKind::NotFinite, what, expected, found))
        }
        Err(error) => Err(ended(error)),
    }
}

fn ended(error: CheckError) -> End {
    match error {
        CheckError::Graph(error) => End::Refused(error.to_string()),
        CheckError::Tape(error) => End::Refused(error.to_string()),
        CheckError::TooManyOutcomes { .. } => End::Other(Verdict::TooLarge),
        CheckError::Noise { .. } => End::Other(Verdict::NotEnumerable),
        other => failed(FailureKind::Oracle, other.to_string(), f64::NAN, f64::NAN),
    }
}

/// Compares a compiled graph with new recordings, bit by bit.
fn compiled(model: &Model, graph: &Graph<'_, f64>, methods: &[Entry], choices: &[Choice]) -> Result<(), End> {
    let mut program = match graph.compile() {
        Ok(program) => program,
        Err(error) if error.is_host_code() => return Ok(()),
        Err(error) => {
            return Err(failed(
                FailureKind::Compiled,
                format!("a recording does not compile: {error}"),
                f64::NAN,
                f64::NAN,
            ));
        }
    };
    for seed in [Seed::new(1), Seed::new(1), Seed::new(1).step(1), Seed::new(5)] {
        for parameter in &model.parameters {
            program.set(&parameter.name, &Tensor::from_fn([parameter.values.len()], |i| parameter.values[i]))?;
        }
        for data in &model.data {
            program.set(&data.name, &Tensor::from_fn([data.values.len()], |i| data.values[i]))?;
        }
        let tape = Tape::<f64>::new();
        let fresh = Graph::new(&tape, seed);
        let expected = record(&fresh, model, methods, choices).and_then(|()| fresh.backward());
        let (expected, found) = match (expected, program.run(seed)) {
            (Ok(expected), Ok(found)) => (expected, found),
            (Err(_), Ok(_)) => {
                let what = format!("a compiled run succeeded where a recording is refused ({seed:?})");
                return Err(failed(FailureKind::Compiled, what, f64::NAN, f64::NAN));
            }
            (_, Err(_)) => return Ok(()),
        };
        let values = |gradients: &Gradients<f64>| -> Vec<f64> {
            let slopes = gradients.iter().flat_map(|(_, gradient)| gradient.to_vec());
            slopes.chain(gradients.costs().iter().map(|(_, cost)| *cost)).collect()
        };
        for (at, (expected, found)) in values(&expected).into_iter().zip(values(found)).enumerate() {
            // Zeros of different sign count as equal.
            if expected.to_bits() != found.to_bits() && expected != found {
                let what = format!("value {at} of a compiled run ({seed:?})");
                return Err(failed(FailureKind::Compiled, what, expected, found));
            }
        }
    }
    Ok(())
}

/// Compares the expected cost of the exact oracle with the reference.
fn truth(model: &Model, value: f64, methods: &[Entry], choices: &[Choice], settings: Settings) -> Result<(), End> {
    let oracle = Oracle::new().max_outcomes(settings.max_outcomes).nodes(2);
    match oracle.exact_cost(|graph: &Graph<'_, f64>| record(graph, model, methods, choices)) {
        Ok(found) if (found - value).abs() <= TOLERANCE * value.abs().max(1.0) => Ok(()),
        Ok(found) => Err(failed(FailureKind::Truth, "the expected cost of the exact oracle", value, found)),
        // The comparison of the estimator has already reported errors and limits.
        Err(_) => Ok(()),
    }
}
