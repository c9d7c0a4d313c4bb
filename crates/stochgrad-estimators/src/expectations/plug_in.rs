//! Plug-in estimates: a function of an average in place of the function of the expectation.
//!
//! For an average $\bar X_K$ of $K$ independent draws, with the Hessian $H$ of $g$ at $\mathbb E X$,
//!
//! $$\mathbb E\, g(\bar X_K) = g(\mathbb E X) + \frac{1}{2K} \operatorname{tr}\big(H \operatorname{Cov} X\big) + O(K^{-2}).$$
//!
//! The surrogate differentiates $\mathbb E\, g(\bar X_K)$ correctly, which is not $g(\mathbb E X)$. The guarantee
//! therefore states a [biased cost](stochgrad_graph::Bias::Cost), unless $g$ is affine in the averages.
//!
//! | | |
//! |---|---|
//! | bias | of the order $1/K$; none for affine functions |
//! | order | that of the methods |
//! | members | any number |
//!
//! Rainforth, Cornish, Yang, Warrington and Wood (2018) for nested expectations.

use crate::expectations::independent_members::{Estimator, qualify_cost};
use std::collections::HashSet;
use std::panic::Location;
use stochgrad_graph::{Graph, GraphResult};
use stochgrad_tape::{Degree, Plate, PlateKind, Var};
use stochgrad_tensor::Real;

/// A function of the expectations of some values, estimated by the function of their averages over the samples along a
/// plate. The guarantee of the gradients states the bias of order $1/K$, unless the function is affine in the averages.
///
/// In a nested expectation $\mathbb E_x\, g(\mathbb E[Y | x])$, the samples of $Y$ lie along an inner plate, and the
/// result keeps the plates of $x$.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{Pathwise, plug_in};
/// use stochgrad_graph::{Bias, Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let location = graph.param("location", 0.3)?;
/// let samples = graph.plate("samples", 16)?;
/// let x = graph.sample("x", &Normal::new(location, 0.8), &Pathwise::new().on_plate(samples))?;
/// graph.cost("log", plug_in(&graph, [x.exp()], samples, |[mean]| mean.ln())?)?;
/// assert_eq!(graph.backward()?.guarantee("location")?.bias, Bias::Cost);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// For a value without the plate, for a result that still carries the plate, and for earlier errors on the tape.
#[track_caller]
pub fn plug_in<'t, F: Real, const N: usize>(
    graph: &Graph<'t, F>,
    values: [Var<'t, F>; N],
    samples: Plate,
    function: impl FnOnce([Var<'t, F>; N]) -> Var<'t, F>,
) -> GraphResult<Var<'t, F>> {
    let estimator = Estimator { name: "plug-in estimate", at: Location::caller() };
    let tape = graph.tape();
    tape.check()?;
    let plate = tape.plate_name(samples);
    if values.iter().any(|value| !value.plates().contains(&samples)) {
        return Err(estimator.error(format!(
            "expected values along plate \"{plate}\", got one without it; draw the samples with .on_plate(plate)"
        )));
    }
    let means = values.map(|value| value.mean_over(samples));
    let result = function(means);
    tape.check()?;
    if result.plates().contains(&samples) {
        return Err(estimator.error(format!(
            "expected a function of the averages, got a result along plate \"{plate}\"; use only the averages that the \
             function is given"
        )));
    }
    let is_exact = tape.plate_kind(samples) == PlateKind::Enumerated || is_affine(result, &means, samples);
    if !is_exact {
        let members = tape.whole_plate_size(samples);
        let because = format!(
            "a plug-in estimate from {members} samples along plate \"{plate}\" ({}) replaces an expectation by their \
             average in a function that is not affine: a bias of order 1/{members}",
            estimator.at
        );
        qualify_cost(graph, &values, because);
    }
    Ok(result)
}

/// Whether a result is an affine function of some averages over a plate, and depends on the members in no other way.
fn is_affine<'t, F: Real>(result: Var<'t, F>, means: &[Var<'t, F>], samples: Plate) -> bool {
    let tape = result.tape();
    let mut seen: HashSet<_> = means.iter().map(|mean| mean.id()).collect();
    let mut pending = vec![result];
    let mut between = HashSet::new();
    while let Some(var) = pending.pop() {
        if seen.insert(var.id()) {
            if var.plates().contains(&samples) {
                return false;
            }
            between.insert(var.id());
            pending.extend(var.inputs());
        }
    }
    let start = means.iter().map(|mean| mean.id().index()).min().unwrap_or(0);
    let end = result.id().index() + 1;
    let mut degrees = vec![Degree::CONSTANT; end.saturating_sub(start)];
    let mut operands = Vec::new();
    tape.visit(end, &mut |visit| {
        let Some(at) = visit.id.index().checked_sub(start) else { return };
        if means.iter().any(|mean| mean.id() == visit.id) {
            degrees[at] = Degree::new(1);
        } else if between.contains(&visit.id) {
            operands.clear();
            let of = |id: &stochgrad_tape::Id| id.index().checked_sub(start).map_or(Degree::CONSTANT, |at| degrees[at]);
            operands.extend(visit.inputs.iter().map(of));
            // A constant operand is no dependence.
            if operands.iter().any(|operand| *operand != Degree::CONSTANT) {
                degrees[at] = visit.degree(&operands);
            }
        }
    });
    degrees.last().is_none_or(|degree| *degree <= Degree::new(1))
}

#[cfg(test)]
mod tests;
