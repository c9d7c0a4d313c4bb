//! Estimates of expectations and their derivatives.

use crate::error::{TripleError, TripleResult};
use crate::run::Run;
use crate::structure::Triples;
use crate::triple::Triple;

/// The result of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate<V> {
    /// The values that the program returned.
    pub value: V,
    /// Unbiased estimates of the derivatives of their expectations.
    pub derivative: V,
}

/// The average of independent runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Average {
    /// The estimate of the expectation.
    pub value: f64,
    /// Its standard error.
    pub value_error: f64,
    /// The estimate of the derivative of the expectation.
    pub derivative: f64,
    /// Its standard error.
    pub derivative_error: f64,
}

/// Runs a program once. It gets the argument as a triple with the derivative 1, and returns a triple, or a structure of
/// triples.
///
/// ```
/// use stochgrad_triples::estimate;
///
/// let result = estimate(0.3, 1, |run, p| [run.binomial(10.0, p), 2.0 * p])?;
/// assert_eq!(result.value[1], 0.6);
/// assert_eq!(result.derivative[1], 2.0);
/// # Ok::<(), stochgrad_triples::TripleError>(())
/// ```
///
/// # Errors
/// If a parameter of a distribution is outside of its domain, if control flow depends on a value that changes smoothly,
/// or if a result is not finite.
pub fn estimate<R: Triples>(
    at: f64,
    seed: u64,
    mut program: impl FnMut(&mut Run, Triple) -> R,
) -> TripleResult<Estimate<R::Values>> {
    run_once(Run::new(seed, 0), |run| program(run, Triple::argument(at, 1.0)))
}

/// The average of independent runs of a program. Memory does not grow with their number.
///
/// ```
/// use stochgrad_triples::average;
///
/// let mean = average(3.0, 10_000, 7, |run, rate| run.poisson(rate).square())?;
/// assert!((mean.derivative - 7.0).abs() < 4.0 * mean.derivative_error); // E[X²] = λ + λ²
/// # Ok::<(), stochgrad_triples::TripleError>(())
/// ```
///
/// # Errors
/// As [`estimate`].
pub fn average(
    at: f64,
    samples: u64,
    seed: u64,
    mut program: impl FnMut(&mut Run, Triple) -> Triple,
) -> TripleResult<Average> {
    averaged(samples, seed, |run| program(run, Triple::argument(at, 1.0)))
}

/// The averages of independent runs of a program of several arguments, one for the derivative with respect to each
/// argument. All of them have the same noise, so that their values are equal.
///
/// Each argument costs runs of its own. With many arguments, use a graph, whose backward pass gives all derivatives at
/// once.
///
/// ```
/// use stochgrad_triples::gradient;
///
/// let means = gradient(&[0.5, 2.0], 10_000, 7, |run, x| run.bernoulli(x[0]) * run.poisson(x[1]))?;
/// assert!((means[0].derivative - 2.0).abs() < 4.0 * means[0].derivative_error);
/// assert!((means[1].derivative - 0.5).abs() < 4.0 * means[1].derivative_error);
/// # Ok::<(), stochgrad_triples::TripleError>(())
/// ```
///
/// # Errors
/// As [`estimate`].
pub fn gradient(
    at: &[f64],
    samples: u64,
    seed: u64,
    mut program: impl FnMut(&mut Run, &[Triple]) -> Triple,
) -> TripleResult<Vec<Average>> {
    let mut arguments: Vec<Triple> = at.iter().copied().map(Triple::constant).collect();
    let along = |index: usize| {
        arguments[index].derivative = 1.0;
        let mean = averaged(samples, seed, |run| program(run, &arguments));
        arguments[index].derivative = 0.0;
        mean
    };
    (0..at.len()).map(along).collect()
}

fn averaged(samples: u64, seed: u64, mut program: impl FnMut(&mut Run) -> Triple) -> TripleResult<Average> {
    let mut moments = [Moments::default(); 2];
    for sample in 0..samples {
        let Estimate { value, derivative } = run_once(Run::new(seed, sample), &mut program)?;
        moments[0].add(value);
        moments[1].add(derivative);
    }
    let [value, derivative] = moments;
    Ok(Average {
        value: value.mean,
        value_error: value.error(),
        derivative: derivative.mean,
        derivative_error: derivative.error(),
    })
}

fn run_once<R: Triples>(mut run: Run, program: impl FnOnce(&mut Run) -> R) -> TripleResult<Estimate<R::Values>> {
    let result = program(&mut run);
    let mut not_finite = None;
    let mut checked = |what: &'static str, got: f64| {
        if !got.is_finite() {
            not_finite.get_or_insert(TripleError::NotFinite { what, got });
        }
        got
    };
    let value = result.values(&mut |x| checked("value", x.value));
    let derivative = result.values(&mut |x| checked("derivative", run.derivative(x)));
    match run.into_error().or(not_finite) {
        Some(error) => Err(error),
        None => Ok(Estimate { value, derivative }),
    }
}

/// Running mean and sum of squares (Welford).
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let change = value - self.mean;
        self.mean += change / self.count;
        self.squares += change * (value - self.mean);
    }

    fn error(&self) -> f64 {
        (self.squares / (self.count * (self.count - 1.0))).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_that_are_not_finite_are_errors() {
        let message = estimate(0.0, 1, |_, x| x.ln()).expect_err("a refusal").to_string();
        assert!(message.starts_with("expected a finite value, got -inf"), "{message}");
        let error = estimate(0.0, 1, |_, x| x.abs()).expect_err("a refusal");
        assert!(matches!(error, TripleError::NotFinite { what: "derivative", .. }));
    }

    #[test]
    fn runs_of_equal_seeds_are_equal() {
        let program = |run: &mut Run, x: Triple| run.poisson(x) * run.standard_normal();
        assert_eq!(average(2.0, 100, 3, program), average(2.0, 100, 3, program));
        assert_ne!(average(2.0, 100, 3, program), average(2.0, 100, 4, program));
    }
}
