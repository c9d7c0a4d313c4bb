//! Distributions of a random level $N = 0, 1, 2, \dots$
//!
//! The level is drawn on the host before the terms, because it decides how much is recorded. It therefore cannot depend
//! on the samples of the terms. Its probabilities are plain numbers, which divide the terms: an estimate is unbiased
//! whatever they are, also if they were chosen by earlier samples or by the values of parameters.

use crate::expectations::independent_members::Estimator;
use crate::score_function::ScoreFunction;
use stochgrad_distributions::{Categorical, Geometric, Poisson};
use stochgrad_graph::{Address, Graph, GraphResult, Seed};
use stochgrad_tape::Tape;
use stochgrad_tensor::special::{gamma_p, poisson_log_pmf};
use stochgrad_tensor::{Real, Tensor};

/// The distribution of a random level.
///
/// ```
/// use stochgrad_estimators::Levels;
/// use stochgrad_graph::Seed;
///
/// let levels = Levels::geometric(0.4);
/// assert!((levels.probability(2) - 0.6 * 0.16).abs() < 1e-15);
/// assert!((levels.survival(2) - 0.16).abs() < 1e-15);
/// // The same level for the same seed, step and address.
/// assert_eq!(levels.draw(Seed::new(7).step(3), "level")?, levels.draw(Seed::new(7).step(3), "level")?);
/// # Ok::<(), stochgrad_graph::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// The probability to go on.
    Geometric(f64),
    Poisson(f64),
    Given(Vec<f64>),
}

impl Levels {
    /// $P(N = n) = (1 - q)\, q^n$: after each level, the next one follows with the probability $q \in (0, 1)$.
    pub fn geometric(continuation: f64) -> Self {
        Levels { kind: Kind::Geometric(continuation) }
    }

    /// $P(N = n) = e^{-\lambda} \lambda^n / n!$, with a rate $\lambda > 0$.
    pub fn poisson(rate: f64) -> Self {
        Levels { kind: Kind::Poisson(rate) }
    }

    /// $P(N = n) = p_n$ for finitely many levels. The probabilities sum to 1, and the last one is not 0.
    pub fn from_probabilities(probabilities: &[f64]) -> Self {
        Levels { kind: Kind::Given(probabilities.to_vec()) }
    }

    /// $\min(N, n)$: what lies above the level $n$ goes to $n$. An estimator then ends with this level.
    pub fn at_most(&self, last: usize) -> Self {
        let mut probabilities: Vec<f64> = (0..last).map(|level| self.probability(level)).collect();
        probabilities.push(self.survival(last));
        while probabilities.len() > 1 && probabilities.last() == Some(&0.0) {
            probabilities.pop();
        }
        Levels { kind: Kind::Given(probabilities) }
    }

    /// $P(N = n)$.
    pub fn probability(&self, level: usize) -> f64 {
        match &self.kind {
            Kind::Geometric(continuation) => (1.0 - continuation) * continuation.powf(level as f64),
            Kind::Poisson(rate) => poisson_log_pmf(level as f64, *rate).exp(),
            Kind::Given(probabilities) => probabilities.get(level).copied().unwrap_or(0.0),
        }
    }

    /// $P(N \ge n)$.
    pub fn survival(&self, level: usize) -> f64 {
        match &self.kind {
            _ if level == 0 => 1.0,
            Kind::Geometric(continuation) => continuation.powf(level as f64),
            Kind::Poisson(rate) => gamma_p(level as f64, *rate),
            Kind::Given(probabilities) => probabilities.iter().skip(level).rev().sum(),
        }
    }

    /// The last level, if there are finitely many.
    pub fn last(&self) -> Option<usize> {
        match &self.kind {
            Kind::Geometric(_) | Kind::Poisson(_) => None,
            Kind::Given(probabilities) => Some(probabilities.len().saturating_sub(1)),
        }
    }

    /// A level, drawn with the noise of a seed and an address. It is the level that [`sample`](Self::sample) draws in a
    /// graph in double precision with the same seed.
    ///
    /// # Errors
    /// For probabilities outside their domain.
    pub fn draw(&self, seed: Seed, address: impl Into<Address>) -> GraphResult<usize> {
        let tape = Tape::<f64>::new();
        self.sample(&Graph::new(&tape, seed), address)
    }

    /// A level, drawn as a node of a graph and read by host code. What is recorded afterwards may depend on it, so that
    /// the graph cannot be compiled.
    ///
    /// # Errors
    /// For probabilities outside their domain, if another node has this address, and for earlier errors on the tape.
    #[track_caller]
    pub fn sample<F: Real>(&self, graph: &Graph<'_, F>, address: impl Into<Address>) -> GraphResult<usize> {
        let address = address.into();
        self.check(&Estimator { name: &address.to_string(), at: std::panic::Location::caller() })?;
        let method = ScoreFunction::new();
        let level = match &self.kind {
            Kind::Geometric(continuation) => {
                graph.sample(address, &Geometric::from_probabilities(graph.constant(1.0 - continuation)), &method)
            }
            Kind::Poisson(rate) => graph.sample(address, &Poisson::from_rate(graph.constant(*rate)), &method),
            Kind::Given(probabilities) => {
                let probabilities =
                    probabilities.iter().map(|&probability| F::from_f64(probability)).collect::<Vec<_>>();
                let length = probabilities.len();
                let probabilities = Tensor::new(probabilities, [length])?;
                graph.sample(address, &Categorical::from_probabilities(graph.constant(probabilities)), &method)
            }
        }?;
        // A count is far below the end of the integers that a number holds exactly.
        Ok(level.item()?.to_f64() as usize)
    }

    /// Checks the probabilities.
    pub(crate) fn check(&self, estimator: &Estimator<'_>) -> GraphResult<()> {
        match &self.kind {
            Kind::Geometric(continuation) if !(*continuation > 0.0 && *continuation < 1.0) => {
                Err(estimator.error(format!("expected a probability of a further level in (0, 1), got {continuation}")))
            }
            Kind::Poisson(rate) if !(*rate > 0.0 && rate.is_finite()) => {
                Err(estimator.error(format!("expected a finite rate above 0, got {rate}")))
            }
            Kind::Given(probabilities) => {
                let sum: f64 = probabilities.iter().sum();
                let is_distribution =
                    probabilities.iter().all(|probability| *probability >= 0.0) && (sum - 1.0).abs() < 1e-9;
                if is_distribution && probabilities.last().is_some_and(|last| *last > 0.0) {
                    return Ok(());
                }
                Err(estimator.error(format!(
                    "expected probabilities of at least 0 that sum to 1 and end with one above 0, got {probabilities:?}"
                )))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::Location;

    fn all() -> [Levels; 4] {
        [
            Levels::geometric(0.4),
            Levels::poisson(1.7),
            Levels::from_probabilities(&[0.2, 0.0, 0.5, 0.3]),
            Levels::geometric(0.6).at_most(3),
        ]
    }

    #[test]
    fn survival_is_the_sum_of_the_probabilities_from_a_level_on() {
        for levels in all() {
            for level in 0..6 {
                let sum: f64 = (level..200).map(|n| levels.probability(n)).sum();
                assert!((levels.survival(level) - sum).abs() < 1e-13, "{levels:?} at {level}");
            }
        }
        // A tail far below the rounding of 1.
        let tail: f64 = (30..60).map(|n| Levels::poisson(1.0).probability(n)).sum();
        assert!((Levels::poisson(1.0).survival(30) / tail - 1.0).abs() < 1e-10);
    }

    #[test]
    fn levels_are_drawn_with_their_probabilities() {
        const RUNS: usize = 4000;
        for levels in all() {
            let mut counts = [0_usize; 40];
            for step in 0..RUNS {
                counts[levels.draw(Seed::new(3).step(step), "level").unwrap()] += 1;
            }
            for (level, &count) in counts.iter().enumerate() {
                let probability = levels.probability(level);
                let error = (RUNS as f64 * probability * (1.0 - probability)).sqrt();
                let distance = (count as f64 - RUNS as f64 * probability).abs();
                assert!(distance <= 4.0 * error + 1.0, "{levels:?}: {count} times level {level}");
            }
        }
    }

    #[test]
    fn a_graph_draws_the_same_level() {
        for levels in all() {
            for step in 0..20 {
                let tape = Tape::<f64>::new();
                let graph = Graph::new(&tape, Seed::new(5).step(step));
                assert_eq!(levels.sample(&graph, "n"), levels.draw(Seed::new(5).step(step), "n"));
            }
        }
    }

    #[test]
    fn levels_above_the_last_one_go_to_it() {
        let levels = Levels::poisson(1.0).at_most(2);
        assert_eq!((levels.last(), Levels::poisson(1.0).last()), (Some(2), None));
        assert!((levels.probability(2) - Levels::poisson(1.0).survival(2)).abs() < 1e-15);
        assert_eq!(Levels::from_probabilities(&[0.5, 0.5]).at_most(9).last(), Some(1));
    }

    #[test]
    fn probabilities_outside_their_domain_are_refused() {
        let estimator = Estimator { name: "level", at: Location::caller() };
        for (levels, expected) in [
            (Levels::geometric(1.0), "in (0, 1), got 1"),
            (Levels::geometric(f64::NAN), "in (0, 1), got NaN"),
            (Levels::poisson(0.0), "a finite rate above 0, got 0"),
            (Levels::from_probabilities(&[]), "that sum to 1"),
            (Levels::from_probabilities(&[0.5, 0.6]), "got [0.5, 0.6]"),
            (Levels::from_probabilities(&[1.2, -0.2]), "got [1.2, -0.2]"),
            (Levels::from_probabilities(&[1.0, 0.0]), "end with one above 0"),
        ] {
            let message = levels.check(&estimator).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("objective \"level\""), "{message}");
            assert!(levels.draw(Seed::new(1), "n").is_err());
        }
    }
}
