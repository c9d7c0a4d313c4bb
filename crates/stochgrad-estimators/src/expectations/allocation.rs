//! The numbers of samples of a multilevel estimator.
//!
//! The sum over levels $\sum_l \mathbb E \Delta_l$ is estimated by independent averages of $N_l$ samples each. With the
//! variances $V_l$ and the costs $C_l$ of one sample, the least cost for a variance $v$ has
//!
//! $$N_l = \frac1v \sqrt{\frac{V_l}{C_l}} \sum_m \sqrt{V_m C_m},$$
//!
//! rounded up (Giles 2008).

use crate::expectations::independent_members::Estimator;
use crate::expectations::level_statistics::LevelStatistics;
use std::panic::Location;
use stochgrad_graph::{Graph, GraphResult};
use stochgrad_tape::{Plate, Var};
use stochgrad_tensor::Real;

/// The number of samples of each level, with the variance of the sum of their averages and its cost.
///
/// ```
/// use stochgrad_distributions::Normal;
/// use stochgrad_estimators::{Allocation, LevelStatistics, Pathwise, antithetic_difference};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), GraphError> {
/// // Means, mean squares and costs of the terms, from a pilot run.
/// let pilot = [(0.30, 0.73, 1.0), (0.14, 0.043, 2.0), (0.073, 0.012, 4.0), (0.038, 0.0038, 8.0)];
/// let levels = pilot.map(|(mean, mean_square, cost)| LevelStatistics::new(mean, mean_square, cost));
/// let allocation = Allocation::for_variance(&levels, 0.01)?;
/// assert_eq!(allocation.samples(), [106, 15, 6, 3]);
///
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let location = graph.param("location", 0.3)?;
/// let log = allocation.record(&graph, "ln E[exp(X)]", |level, repetitions| {
///     let samples = graph.plate(&format!("samples {level}"), 1 << level)?;
///     let on_repetitions = location.expand_plates(&[repetitions]);
///     let method = Pathwise::new().on_plate(samples);
///     let x = graph.sample(("x", level), &Normal::new(on_repetitions, 0.8), &method)?;
///     antithetic_difference(x.exp(), samples, |mean| mean.ln())
/// })?;
/// graph.cost("log", log)?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    samples: Vec<usize>,
    variance: f64,
    cost: f64,
}

impl Allocation {
    /// The least cost for a variance of the sum of at most `variance`. Each level gets at least one sample.
    ///
    /// # Errors
    /// For no levels, for moments or costs that are not finite, and for a variance that is not above 0.
    #[track_caller]
    pub fn for_variance(levels: &[LevelStatistics], variance: f64) -> GraphResult<Self> {
        let estimator = Estimator { name: "allocation", at: Location::caller() };
        LevelStatistics::check(levels, |problem| estimator.error(problem))?;
        if !(variance > 0.0 && variance.is_finite()) {
            return Err(estimator.error(format!("expected a finite variance above 0, got {variance}")));
        }
        let samples = unrounded(levels, variance).into_iter().map(|samples| (samples.ceil() as usize).max(1));
        Ok(Self::of(levels, samples.collect()))
    }

    /// The moments for given numbers of samples.
    pub(crate) fn of(levels: &[LevelStatistics], samples: Vec<usize>) -> Self {
        let each = || levels.iter().zip(&samples).map(|(level, &samples)| (level, samples as f64));
        let variance = each().map(|(level, samples)| level.variance() / samples).sum();
        let cost = each().map(|(level, samples)| level.cost * samples).sum();
        Allocation { samples, variance, cost }
    }

    /// The number of samples of each level.
    pub fn samples(&self) -> &[usize] {
        &self.samples
    }

    /// The variance of the sum of the averages.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// The cost of all samples.
    pub fn cost(&self) -> f64 {
        self.cost
    }

    /// The sum of the averages of the terms, as a recorded value with derivatives. `term` records the term of a level
    /// along a plate with as many members as the level has samples, which has this name and the number of the level.
    ///
    /// The numbers of samples are fixed, so that the graph can be compiled. Passed to `Graph::cost`, each sample is
    /// credited with the terms that depend on it.
    ///
    /// # Errors
    /// For a term that lacks the plate, if another plate has the name, and those of `term`.
    #[track_caller]
    pub fn record<'t, F: Real>(
        &self,
        graph: &Graph<'t, F>,
        name: &str,
        mut term: impl FnMut(usize, Plate) -> GraphResult<Var<'t, F>>,
    ) -> GraphResult<Var<'t, F>> {
        let estimator = Estimator { name, at: Location::caller() };
        let mut sum = graph.constant(0.0);
        for (level, &samples) in self.samples.iter().enumerate() {
            let plate = graph.plate(&format!("{name} {level}"), samples)?;
            let value = term(level, plate)?;
            graph.tape().check()?;
            if !value.plates().contains(&plate) {
                return Err(estimator.error(format!(
                    "expected a term of level {level} along plate \"{}\" of its samples, got one without it",
                    graph.tape().plate_name(plate)
                )));
            }
            sum = sum + value.mean_over(plate);
        }
        graph.tape().check()?;
        Ok(sum)
    }
}

/// The optimal numbers of samples before they are rounded.
fn unrounded(levels: &[LevelStatistics], variance: f64) -> Vec<f64> {
    let total: f64 = levels.iter().map(|level| (level.variance() * level.cost).sqrt()).sum();
    levels.iter().map(|level| total * (level.variance() / level.cost).sqrt() / variance).collect()
}

#[cfg(test)]
mod tests;
