//! Derivatives along sample paths: the checks that a method makes in its
//! [`guarantee`](crate::GradientMethod::guarantee) before it differentiates samples.
//!
//! A sample-path derivative has two ends. From the value to the costs it follows recorded operations, which
//! [`path_order`] checks. From the parameters to the value it follows the distribution, which [`check_parameter_paths`]
//! and [`sample_path_order`] check.

use crate::guarantee::Path;
use std::collections::HashSet;
use stochgrad_distributions::{Distribution, Order, SamplePath};
use stochgrad_tape::{Op, Smoothness, Var};
use stochgrad_tensor::Real;

/// The order up to which a sample-path derivative along a path is valid. With `assume_continuous`, the caller asserts
/// that jumps on the path cancel (two branches that meet, say), which makes the derivative valid to order 1.
///
/// ```
/// use stochgrad_graph::{Order, Path, path_order};
/// use stochgrad_tape::Smoothness;
///
/// let jump = Path { smoothness: Smoothness::Jump, ..Path::smooth() };
/// assert_eq!(path_order(&Path::smooth(), false), Ok(Order::Any));
/// assert!(path_order(&jump, false).is_err());
/// assert_eq!(path_order(&jump, true), Ok(Order::Finite(1)));
/// ```
///
/// # Errors
/// For a path through a jump, unless continuity is assumed: the operation, and what to try.
pub fn path_order(path: &Path, assume_continuous: bool) -> Result<Order, String> {
    match path.smoothness {
        Smoothness::Constant | Smoothness::Smooth | Smoothness::Kinked => return Ok(path.order()),
        Smoothness::Jump if assume_continuous => return Ok(Order::Finite(1)),
        Smoothness::Jump => {}
    }
    let through = path.through.as_ref().map_or("an operation".into(), |(what, at)| format!("{what} ({at})"));
    Err(format!(
        "the value reaches a cost or the distribution of another node through {through}, which jumps or stops the \
         gradient: a sample-path derivative would miss it; use SmoothedPerturbation (if the value itself is compared \
         with a threshold), MeasureValued or ScoreFunction here, smooth the operation, or say assume_continuous() if the \
         jumps cancel"
    ))
}

/// Checks that samples of a distribution have a derivative with respect to each of its parameters that is to be
/// trained.
///
/// # Errors
/// For a [differentiable](is_differentiable) parameter without a [sample path](SamplePath): its name, and what to try.
pub fn check_parameter_paths<'t, F: Real>(distribution: &dyn Distribution<'t, F>) -> Result<(), String> {
    let parameters = distribution.parameters();
    let mut lacking = parameters.iter().filter(|parameter| match parameter.path {
        SamplePath::None => is_differentiable(parameter.var),
        SamplePath::Recorded(_) | SamplePath::Implicit(_) => false,
    });
    match lacking.next() {
        None => Ok(()),
        Some(parameter) => Err(format!(
            "samples of {} are not differentiable with respect to its parameter \"{}\", and that parameter depends on \
             something trainable; use ScoreFunction or MeasureValued here, or stop its gradient",
            distribution.name(),
            parameter.name
        )),
    }
}

/// The order up to which samples of a distribution can be differentiated with respect to its parameters that are to be
/// trained.
pub fn sample_path_order<'t, F: Real>(distribution: &dyn Distribution<'t, F>) -> Order {
    let parameters = distribution.parameters();
    let trained = parameters.iter().filter(|parameter| is_differentiable(parameter.var));
    trained.map(|parameter| parameter.path.order()).min().unwrap_or(Order::Any)
}

/// Whether the derivative of a value with respect to some trainable leaf of the tape may differ from zero: a method can
/// skip the terms of parameters for which it cannot.
///
/// ```
/// use stochgrad_graph::is_differentiable;
/// use stochgrad_tape::Tape;
///
/// let tape = Tape::<f64>::new();
/// let theta = tape.parameter(0.5);
/// assert!(is_differentiable(theta.exp()));
/// assert!(!is_differentiable(theta.stop_gradient()));
/// ```
pub fn is_differentiable<F: Real>(value: Var<'_, F>) -> bool {
    let tape = value.tape();
    let mut pending = vec![value];
    let mut seen = HashSet::new();
    while let Some(var) = pending.pop() {
        if !seen.insert(var.id()) {
            continue;
        }
        match var.op() {
            None => {}
            Some(Op::Leaf { trainable: true }) => return true,
            // The inputs after the first are the parameters of the node's distribution.
            Some(Op::Sample(_)) => pending.extend(var.inputs().into_iter().take(1)),
            Some(_) => {
                let passes = |input: usize| match tape.smoothness(var, input) {
                    Smoothness::Smooth | Smoothness::Kinked => true,
                    Smoothness::Constant | Smoothness::Jump => false,
                };
                pending.extend(
                    var.inputs().into_iter().enumerate().filter(|(input, _)| passes(*input)).map(|(_, var)| var),
                );
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tape::Tape;

    #[test]
    fn only_paths_that_pass_gradients_count() {
        let tape = Tape::<f64>::new();
        let parameter = tape.parameter([1.0, 2.0]);
        assert!(is_differentiable((parameter * 2.0).sum()));
        assert!(!is_differentiable(parameter.stop_gradient() + 1.0));
        assert!(!is_differentiable(tape.constant(3.0).exp()));
        let site = tape.new_site();
        assert!(!is_differentiable(tape.sample(site, tape.constant(1.0), &[parameter])));
    }
}
