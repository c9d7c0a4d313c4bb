//! Multilevel Monte Carlo: many samples of a cheap approximation, and few of the differences between better ones. Use
//! it for expectations of a quantity that can only be computed approximately, at a cost that increases with the
//! accuracy.
//!
//! With approximations $Y_0, Y_1, \dots$ and terms $\Delta_0 = Y_0$, $\Delta_l = Y_l - Y_{l-1}$ (both from the same
//! noise),
//!
//! $$\mathbb E Y_L = \sum_{l \le L} \mathbb E \Delta_l \approx \sum_{l \le L} \frac{1}{N_l} \sum_{i \le N_l} \Delta_l^{(i)}.$$
//!
//! A pilot run estimates the variances of the levels, and the [`Allocation`] the numbers of samples for half of the
//! squared tolerance. The bias $\mathbb E Y_L - \mathbb E Y$ is estimated from the decrease of the means:
//! with $\mathbb E \Delta_l \propto r^l$ it is $-\mathbb E \Delta_L\, r / (1 - r)$. Heinrich (2001); Giles (2008).
//!
//! | | |
//! |---|---|
//! | bias | that of the last level, estimated in the report |
//! | variance | at most half of the squared tolerance, by the estimated variances |

use crate::expectations::allocation::Allocation;
use crate::expectations::independent_members::Estimator;
use crate::expectations::level_statistics::LevelStatistics;
use std::fmt;
use std::panic::Location;
use stochgrad_graph::GraphError;

/// A multilevel estimate of an expectation to a tolerance, from terms that are plain numbers: those of a program, or
/// the costs of compiled graphs. For terms with gradients, pass the statistics of a pilot run to [`Allocation`].
///
/// ```
/// use stochgrad_estimators::MultilevelMonteCarlo;
/// use stochgrad_graph::GraphError;
/// use stochgrad_tensor::random::Key;
///
/// // The approximation of level l has the first 2 (l + 1) binary digits of a uniform sample.
/// let digits = |u: f64, level: usize| {
///     let scale = 4.0_f64.powf(level as f64 + 1.0);
///     (u * scale).floor() / scale
/// };
/// let report = MultilevelMonteCarlo::new(0.01).run(&[1.0, 2.0, 4.0, 8.0, 16.0], |level, index| {
///     let mut u = [0.0_f64];
///     Key::new(7, level as u64, 0).uniform(index as u64, &mut u);
///     let coarse = if level == 0 { 0.0 } else { digits(u[0], level - 1) };
///     Ok::<f64, GraphError>(digits(u[0], level) - coarse)
/// })?;
/// assert!((report.mean() - 0.5).abs() < 0.02);
/// assert!(report.bias().is_some_and(|bias| bias.abs() < 0.001));
/// println!("{report}");
/// # Ok::<(), GraphError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MultilevelMonteCarlo {
    tolerance: f64,
    pilot: usize,
}

impl MultilevelMonteCarlo {
    /// An estimate whose variance is at most half of the squared tolerance. The other half is left to the bias.
    pub fn new(tolerance: f64) -> Self {
        MultilevelMonteCarlo { tolerance, pilot: 100 }
    }

    /// The number of samples of each level before their numbers are chosen; 100 by default.
    pub fn pilot(self, samples: usize) -> Self {
        MultilevelMonteCarlo { pilot: samples, ..self }
    }

    /// Estimates the sum over levels with these costs of a sample. `term` computes the term of a level for the sample
    /// with this index, which counts from 0 at each level: use both for its noise, so that all samples of all levels
    /// are independent. The pilot samples are part of the estimate.
    ///
    /// # Errors
    /// For a tolerance or a cost that is not above 0, for fewer than two pilot samples, for terms that are not finite,
    /// and those of `term`.
    #[track_caller]
    pub fn run<E: From<GraphError>>(
        &self,
        costs: &[f64],
        mut term: impl FnMut(usize, usize) -> Result<f64, E>,
    ) -> Result<MultilevelReport, E> {
        let estimator = Estimator { name: "multilevel Monte Carlo", at: Location::caller() };
        if !(self.tolerance > 0.0 && self.tolerance.is_finite()) {
            return Err(estimator.error(format!("expected a finite tolerance above 0, got {}", self.tolerance)).into());
        }
        if self.pilot < 2 {
            let problem = format!("expected at least 2 pilot samples to estimate variances, got {}", self.pilot);
            return Err(estimator.error(problem).into());
        }
        let mut terms: Vec<Vec<f64>> = vec![Vec::new(); costs.len()];
        let mut wanted = vec![self.pilot; costs.len()];
        loop {
            let mut is_complete = true;
            for (level, (known, &wanted)) in terms.iter_mut().zip(&wanted).enumerate() {
                is_complete &= known.len() >= wanted;
                while known.len() < wanted {
                    known.push(term(level, known.len())?);
                }
            }
            let statistics = terms.iter().zip(costs).map(|(terms, &cost)| LevelStatistics::of_samples(terms, cost));
            let statistics: Vec<LevelStatistics> = statistics.collect();
            LevelStatistics::check(&statistics, |problem| estimator.error(problem))?;
            if is_complete {
                let samples = terms.iter().map(Vec::len).collect();
                return Ok(MultilevelReport { allocation: Allocation::of(&statistics, samples), levels: statistics });
            }
            // The new samples change the estimated variances, so that the numbers are chosen again.
            let variance = self.tolerance * self.tolerance / 2.0;
            let chosen = Allocation::for_variance(&statistics, variance)?;
            wanted.iter_mut().zip(chosen.samples()).for_each(|(wanted, &chosen)| *wanted = chosen.max(*wanted));
        }
    }
}

/// The result of [`MultilevelMonteCarlo`]: the estimate, its variance, bias and cost, and the statistics of the levels.
#[derive(Clone, Debug, PartialEq)]
pub struct MultilevelReport {
    levels: Vec<LevelStatistics>,
    allocation: Allocation,
}

impl MultilevelReport {
    /// The estimate.
    pub fn mean(&self) -> f64 {
        self.levels.iter().map(|level| level.mean).sum()
    }

    /// The estimated variance of the estimate.
    pub fn variance(&self) -> f64 {
        self.allocation.variance()
    }

    /// The estimated bias, $\mathbb E Y_L - \mathbb E Y$, by a geometric extrapolation of the means. `None` with fewer
    /// than three levels, and if the means do not decrease.
    pub fn bias(&self) -> Option<f64> {
        // The mean of the level 0 is not a difference.
        let [_, differences @ ..] = &self.levels[..] else { return None };
        let [.., before, last] = differences else { return None };
        if last.mean == 0.0 {
            return Some(0.0);
        }
        let magnitude = (last.mean / differences[0].mean).abs().powf(1.0 / (differences.len() - 1) as f64);
        let ratio = magnitude * (last.mean * before.mean).signum();
        (magnitude < 1.0).then(|| -last.mean * ratio / (1.0 - ratio))
    }

    /// The cost of all samples.
    pub fn cost(&self) -> f64 {
        self.allocation.cost()
    }

    /// The statistics of each level.
    pub fn levels(&self) -> &[LevelStatistics] {
        &self.levels
    }

    /// The number of samples of each level.
    pub fn samples(&self) -> &[usize] {
        self.allocation.samples()
    }
}

impl fmt::Display for MultilevelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "estimate {:.6}, standard error {:.2e}", self.mean(), self.variance().sqrt())?;
        match self.bias() {
            Some(bias) => writeln!(f, "estimated bias of the last level {bias:.2e}")?,
            None => writeln!(f, "the bias of the last level is not known: the means of the levels do not decrease")?,
        }
        writeln!(f, "cost {:.6}", self.cost())?;
        writeln!(f, "level  samples          mean      variance  cost")?;
        for (number, (level, samples)) in self.levels.iter().zip(self.samples()).enumerate() {
            let (mean, variance) = (level.mean, level.variance());
            writeln!(f, "{number:5} {samples:8} {mean:13.6e} {variance:13.6e}  {}", level.cost)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stochgrad_tensor::random::Key;

    /// Terms with the given means and standard deviations: a uniform sample that is scaled and shifted.
    fn term(means: &[f64], deviations: &[f64]) -> impl Fn(usize, usize) -> Result<f64, GraphError> {
        let (means, deviations) = (means.to_vec(), deviations.to_vec());
        move |level, index| {
            let mut uniform = [0.0];
            Key::new(7, level as u64, 0).uniform(index as u64, &mut uniform);
            Ok(means[level] + (uniform[0] - 0.5) * 12.0_f64.sqrt() * deviations[level])
        }
    }

    const COSTS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];
    const DEVIATIONS: [f64; 4] = [1.0, 0.5, 0.244_948_974_278, 0.122_474_487_139];

    #[test]
    fn the_estimate_has_the_asked_variance_at_nearly_the_least_cost() {
        let means = [1.0, 0.4, 0.2, 0.1];
        let report = MultilevelMonteCarlo::new(0.05).run(&COSTS, term(&means, &DEVIATIONS)).unwrap();
        assert!(report.variance() <= 0.00125, "{report}");
        assert!((report.mean() - 1.7).abs() < 4.0 * report.variance().sqrt(), "{report}");
        // 2035, 720, 250 and 100, with variances that are known: the pilot has 100 samples.
        for (found, expected) in report.samples().iter().zip([2035.0, 720.0, 250.0, 100.0]) {
            assert!((*found as f64 / expected - 1.0).abs() < 0.15, "{report}");
        }
        assert!((report.cost() / 5275.0 - 1.0).abs() < 0.15, "{report}");
        // The means halve, so that 0.1 is missing.
        assert!((report.bias().unwrap() + 0.1).abs() < 0.05, "{report}");
        let text = report.to_string();
        assert!(text.contains("standard error") && text.lines().count() == 8, "{text}");
    }

    #[test]
    fn each_sample_is_computed_once_and_in_order() {
        let mut seen = vec![0; 2];
        let term = |level: usize, index: usize| {
            assert_eq!(seen[level], index);
            seen[level] += 1;
            Ok::<f64, GraphError>((index % 2) as f64)
        };
        let report = MultilevelMonteCarlo::new(0.02).pilot(4).run(&[1.0, 1.0], term).unwrap();
        assert_eq!(report.samples(), seen);
    }

    #[test]
    fn an_unknown_bias_is_not_stated() {
        let run = |means: &[f64]| {
            let costs = &COSTS[..means.len()];
            MultilevelMonteCarlo::new(1.0).run(costs, term(means, &[0.0; 4])).unwrap()
        };
        assert_eq!(run(&[1.0, 0.5]).bias(), None);
        assert_eq!(run(&[1.0, 0.5, 0.7]).bias(), None);
        assert!(run(&[1.0, 0.5, 0.7]).to_string().contains("is not known"));
        assert!((run(&[1.0, 0.5, 0.1]).bias().unwrap() + 0.025).abs() < 1e-12);
        assert!((run(&[1.0, 0.5, -0.1]).bias().unwrap() + 0.1 / 6.0).abs() < 1e-12);
        assert_eq!(run(&[1.0, 0.5, 0.0]).bias(), Some(0.0));
    }

    #[test]
    fn errors_of_the_terms_and_wrong_settings_are_returned() {
        let one = |_: usize, _: usize| Ok::<f64, GraphError>(1.0);
        let message = |result: Result<MultilevelReport, GraphError>| result.unwrap_err().to_string();
        assert!(message(MultilevelMonteCarlo::new(0.0).run(&[1.0], one)).contains("a finite tolerance above 0, got 0"));
        assert!(message(MultilevelMonteCarlo::new(1.0).pilot(1).run(&[1.0], one)).contains("at least 2 pilot samples"));
        assert!(message(MultilevelMonteCarlo::new(1.0).run(&[], one)).contains("at least one level, got none"));
        assert!(message(MultilevelMonteCarlo::new(1.0).run(&[0.0], one)).contains("cost 0 at level 0"));
        let nan = |_: usize, _: usize| Ok::<f64, GraphError>(f64::NAN);
        assert!(message(MultilevelMonteCarlo::new(1.0).run(&[1.0], nan)).contains("mean NaN"));
        let failing = |_: usize, _: usize| Err(GraphError::model("no term"));
        assert!(message(MultilevelMonteCarlo::new(1.0).run(&[1.0], failing)).contains("no term"));
    }
}
