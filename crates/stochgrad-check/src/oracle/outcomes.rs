//! The loop over all outcomes of a program, within limits of number and time.

use crate::error::{CheckError, CheckResult};
use crate::oracle::Oracle;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::rc::Rc;
use std::time::Instant;
use stochgrad_distributions::NoiseSource;
use stochgrad_graph::{Graph, GraphResult};
use stochgrad_tape::Workspace;

/// How far the probability of all outcomes may be from 1.
const PROBABILITY_TOLERANCE: f64 = 1e-12;

/// The number of runs with random choices that estimate the number of outcomes.
const PROBES: u64 = 64;

/// The number of visited outcomes, and their probability.
#[derive(Default)]
pub(crate) struct Visited {
    pub(crate) outcomes: usize,
    pub(crate) probability: f64,
    rounding: f64,
}

impl Visited {
    /// Kahan's sum: otherwise the rounding errors of a million outcomes would hide a missing one.
    fn add(&mut self, weight: f64) {
        self.outcomes += 1;
        let term = weight - self.rounding;
        let sum = self.probability + term;
        self.rounding = (sum - self.probability) - term;
        self.probability = sum;
    }
}

impl Oracle {
    /// An estimate of the number of outcomes that [`gradient`](Self::gradient) and [`verify`](Self::verify) visit for
    /// the estimator of a model.
    ///
    /// It is the mean over 64 runs that make every choice at random (Knuth 1975, Mathematics of Computation 29). The
    /// result is exact if all outcomes make the same number of choices with the same numbers of options; otherwise its
    /// error can be large. The seeds of the runs are fixed.
    ///
    /// ```
    /// use stochgrad_check::Oracle;
    /// use stochgrad_graph::Graph;
    ///
    /// let nothing_random = |graph: &Graph<'_, f64>| graph.cost("square", graph.param("x", 3.0)?.square());
    /// assert_eq!(Oracle::new().estimated_outcomes(nothing_random)?, 1.0);
    /// # Ok::<(), stochgrad_check::CheckError>(())
    /// ```
    ///
    /// # Errors
    /// The errors of the model, and [`CheckError::Noise`] for draws that cannot be enumerated.
    pub fn estimated_outcomes<M>(&self, model: M) -> CheckResult<f64>
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
    {
        let noise = self.noise()?;
        let mut workspace = Workspace::new();
        let mut sum = 0.0;
        for probe in 0..PROBES {
            noise.begin_probe(ChaCha8Rng::seed_from_u64(probe));
            let graph = Graph::with_noise(workspace.tape(), noise.clone());
            let result = model(&graph).and_then(|()| graph.backward());
            if let Some(failure) = noise.take_failure() {
                return Err(failure);
            }
            result?;
            sum += noise.options();
        }
        Ok(sum / PROBES as f64)
    }

    /// Runs a program once for each outcome.
    pub(crate) fn enumerate<T, A: Default>(
        &self,
        mut run: impl FnMut(Rc<dyn NoiseSource<f64>>) -> CheckResult<T>,
        mut visit: impl FnMut(&mut A, f64, T) -> CheckResult<()>,
    ) -> CheckResult<(A, Visited)> {
        let noise = self.noise()?;
        let start = Instant::now();
        loop {
            let mut found = A::default();
            let mut visited = Visited::default();
            loop {
                let Visited { outcomes, probability: covered, .. } = visited;
                // Each visited outcome stands for as many outcomes as its choices had options.
                let estimate = || outcomes as f64 / noise.explored();
                if outcomes == self.max_outcomes {
                    let limit = self.max_outcomes;
                    return Err(CheckError::TooManyOutcomes { limit, covered, estimate: estimate() });
                }
                if let Some(limit) = self.time_limit.filter(|limit| outcomes > 0 && start.elapsed() > *limit) {
                    return Err(CheckError::TooLong { limit, outcomes, covered, estimate: estimate() });
                }
                noise.begin();
                let result = run(noise.clone());
                if let Some(failure) = noise.take_failure() {
                    return Err(failure);
                }
                let value = result?;
                let weight = noise.weight()?;
                if !noise.is_refined() {
                    visit(&mut found, weight, value)?;
                }
                visited.add(weight);
                if !noise.advance() {
                    break;
                }
            }
            if noise.begin_again()? {
                continue;
            }
            if (visited.probability - 1.0).abs() > PROBABILITY_TOLERANCE {
                return Err(CheckError::Probability { outcomes: visited.outcomes, total: visited.probability });
            }
            return Ok((found, visited));
        }
    }
}
