//! Score matching: objectives for models of a score or of an unnormalised density, which are trained on data without
//! a normalising constant.
//!
//! The mean square error of a model $\psi$ of the score of the data has, up to a constant, three forms without the
//! unknown score:
//!
//! | objective | for each data point | passes |
//! |---|---|---|
//! | [`score_matching`] | $\tfrac12 \lVert \psi(x) \rVert^2 + \operatorname{tr} \nabla \psi(x)$ | one for each dimension |
//! | [`sliced_score_matching`] | $\tfrac12 \lVert \psi(x) \rVert^2 + v^\top \nabla \psi(x)\, v$ with random directions $v$ | one |
//! | [`denoising_score_matching`] | $\tfrac12 \lVert \psi(x + \tau \varepsilon) + \varepsilon / \tau \rVert^2$ | none |
//!
//! The first two are unbiased for the error with respect to the score of the data, and the last one for that of the
//! data with noise of standard deviation $\tau$. All are recorded on the tape, with derivatives of any order, so that
//! they are costs like others. Hyvärinen (2005); Song, Garg, Shi and Ermon (2019), with the second moment of the
//! directions integrated out; Vincent (2011).
//!
//! **Assumptions.** $\psi$ at a data point depends on no other data point, and is differentiable.

use crate::scores::pairs::failed;
use std::panic::Location;
use stochgrad_graph::GraphResult;
use stochgrad_tape::Var;
use stochgrad_tensor::Real;

/// The gradient of a log-density with respect to its argument, recorded with its derivatives: the score of a model
/// whose normalising constant need not be known. `log_density` has one number for each data point.
///
/// ```
/// use stochgrad_estimators::score_of;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let x = graph.data("x", [0.5, -1.0])?;
/// let score = score_of(x, |x| Ok(x * 0.5 - x.square().square() * 0.25))?;
/// assert_eq!(score.peek()?.to_vec(), [0.375, 1.5]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of `log_density`, for a log-density with event axes, and earlier errors on the tape.
#[track_caller]
pub fn score_of<'t, F: Real>(
    x: Var<'t, F>,
    log_density: impl FnOnce(Var<'t, F>) -> GraphResult<Var<'t, F>>,
) -> GraphResult<Var<'t, F>> {
    let at = Location::caller();
    let value = log_density(x)?;
    if !value.shape().is_empty() {
        let problem = format!("expected one log-density for each data point, got the event shape {}", value.shape());
        return Err(failed("score_of", problem, at));
    }
    check_plates("score_of", value, x, at)?;
    slope(value, x)
}

/// The objective of Hyvärinen (2005), one number for each data point.
///
/// ```
/// use stochgrad_estimators::score_matching;
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let (mean, variance) = (graph.param("mean", 0.5)?, graph.param("variance", 2.0)?);
/// let x = graph.data("x", [-1.2, 0.3, 0.9, 2.1, -0.4, 0.7])?;
/// graph.cost("loss", score_matching(x, |x| Ok((mean - x) / variance))?)?;
/// assert!((graph.backward()?.cost("loss")? + 0.3645833333).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of `score`, for a score that does not have the shape of the data, and earlier errors on the tape.
#[track_caller]
pub fn score_matching<'t, F: Real>(
    data: Var<'t, F>,
    score: impl FnOnce(Var<'t, F>) -> GraphResult<Var<'t, F>>,
) -> GraphResult<Var<'t, F>> {
    let (x, psi) = evaluated("score_matching", data.stop_gradient(), score, Location::caller())?;
    let count = psi.shape().numel();
    let elements = psi.reshape([count]);
    let mut trace = psi.tape().constant(0.0);
    for element in 0..count {
        trace = trace + slope(elements.index(0, element), x)?.reshape([count]).index(0, element);
    }
    Ok(psi.square().sum() * 0.5 + trace)
}

/// Sliced score matching (Song, Garg, Shi and Ermon 2019), one number for each data point, for given directions of the
/// shape of the data: standard normal noise or random signs, drawn on the plates of the data. Its mean over the
/// directions is [`score_matching`].
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{Pathwise, sliced_score_matching};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let precision = graph.param("precision", [0.5, 1.5])?;
/// let x = graph.data("x", [[0.4, 1.0], [-1.0, 0.2]])?;
/// let directions = graph.sample("directions", &Normal::new(x * 0.0, 1.0), &Pathwise::new())?;
/// graph.cost("loss", sliced_score_matching(x, directions, |x| Ok(-precision * x))?)?;
/// assert!(graph.backward()?.get("precision")?.all_finite());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`score_matching`].
#[track_caller]
pub fn sliced_score_matching<'t, F: Real>(
    data: Var<'t, F>,
    directions: Var<'t, F>,
    score: impl FnOnce(Var<'t, F>) -> GraphResult<Var<'t, F>>,
) -> GraphResult<Var<'t, F>> {
    // Several directions at one data point need the derivative along each of them.
    let points = data.stop_gradient().expand_plates(&directions.plates());
    let (x, psi) = evaluated("sliced_score_matching", points, score, Location::caller())?;
    let along = slope((psi * directions).sum(), x)?;
    Ok(psi.square().sum() * 0.5 + (along * directions).sum())
}

/// Denoising score matching (Vincent 2011), one number for each data point, with standard normal noise of the shape of
/// the data, drawn on its plates, and the standard deviation $\tau$ of the noise that is added to the data.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{Pathwise, denoising_score_matching};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let precision = graph.param("precision", 0.5)?;
/// let x = graph.data("x", [0.4, -1.0, 1.3])?;
/// let noise = graph.sample("noise", &Normal::new(x * 0.0, 1.0), &Pathwise::new())?;
/// graph.cost("loss", denoising_score_matching(x, noise, 0.1, |x| Ok(-precision * x))?)?;
/// assert!(graph.backward()?.get("precision")?.all_finite());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`score_matching`], and for a standard deviation that is not positive and finite.
#[track_caller]
pub fn denoising_score_matching<'t, F: Real>(
    data: Var<'t, F>,
    noise: Var<'t, F>,
    deviation: f64,
    score: impl FnOnce(Var<'t, F>) -> GraphResult<Var<'t, F>>,
) -> GraphResult<Var<'t, F>> {
    let (what, at) = ("denoising_score_matching", Location::caller());
    if !(deviation > 0.0 && deviation.is_finite()) {
        return Err(failed(what, format!("expected a finite standard deviation above 0, got {deviation}"), at));
    }
    let (_, psi) = evaluated(what, data.stop_gradient() + noise * deviation, score, at)?;
    Ok((psi + noise * (1.0 / deviation)).square().sum() * 0.5)
}

/// The score of a model at some points, and the points.
fn evaluated<'t, F: Real>(
    what: &'static str,
    points: Var<'t, F>,
    score: impl FnOnce(Var<'t, F>) -> GraphResult<Var<'t, F>>,
    at: &'static Location<'static>,
) -> GraphResult<(Var<'t, F>, Var<'t, F>)> {
    let psi = score(points)?;
    points.tape().check()?;
    if psi.shape() != points.shape() {
        let problem = format!("expected a score of the shape {} of the data, got {}", points.shape(), psi.shape());
        return Err(failed(what, problem, at));
    }
    check_plates(what, psi, points, at)?;
    Ok((points, psi))
}

/// Checks that a model has one value for each data point, whose derivative is not summed over other plates.
fn check_plates<'t, F: Real>(
    what: &'static str,
    value: Var<'t, F>,
    data: Var<'t, F>,
    at: &'static Location<'static>,
) -> GraphResult<()> {
    let known = data.plates();
    let other: Vec<_> = value.plates().into_iter().filter(|plate| !known.contains(plate)).collect();
    if other.is_empty() {
        return Ok(());
    }
    let names = value.tape().plate_names(&other);
    let problem = format!("expected a model on the plates of the data, got {names}; expand_plates the data before");
    Err(failed(what, problem, at))
}

/// The gradient of a number for each member with respect to the argument of the same member.
fn slope<'t, F: Real>(value: Var<'t, F>, x: Var<'t, F>) -> GraphResult<Var<'t, F>> {
    let total = value.plates().iter().fold(value, |sum, &plate| sum.sum_over(plate));
    Ok(x.tape().gradients(total, &[x])?[0])
}

#[cfg(test)]
mod tests;
