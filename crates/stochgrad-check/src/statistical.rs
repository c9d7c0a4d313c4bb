//! The statistical test: the mean or the variance of an estimator over many runs with fixed seeds.

use crate::error::{CheckError, CheckResult};
use crate::moments::{RunningMoments, check_finite};
use std::fmt;
use stochgrad_graph::{Graph, GraphResult, Seed};
use stochgrad_tape::Workspace;
use stochgrad_tensor::Tensor;

/// Differences below this, relative to max(1, |expected|), are rounding errors.
const ROUNDING: f64 = 1e-10;

/// Tests the mean (or the variance) of an estimator over many runs.
///
/// Use it for models that the [`Oracle`](crate::Oracle) cannot enumerate. Each element of each gradient is tested
/// separately, because the biases of several elements may cancel in an average. Holm's correction (1979) accounts for
/// the number of elements: with the default threshold of 4 standard errors, an unbiased estimator fails for one seed in
/// 16 000. Seeds are fixed, so a test that passes once always passes. An element without variance must match to
/// rounding.
///
/// The test assumes that the mean over the runs is normally distributed, which requires enough runs. Do not use it for
/// an estimator with infinite variance.
///
/// ```
/// use stochgrad_check::StatisticalTest;
/// use stochgrad_tensor::random::Key;
///
/// let test = StatisticalTest::new().runs(2000);
/// let square = |run: u64| {
///     let mut u = [0.0];
///     Key::new(7, run, 0).uniform(0, &mut u);
///     vec![u[0] * u[0]]
/// };
/// assert!(test.check_values(square, &[1.0 / 3.0])?.largest() < 4.0);
/// assert!(test.check_values(square, &[0.30]).is_err());
/// # Ok::<(), stochgrad_check::CheckError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticalTest {
    runs: usize,
    seed: u64,
    threshold: f64,
}

impl Default for StatisticalTest {
    fn default() -> Self {
        Self::new()
    }
}

/// The sample mean and variance of each component of a vector over runs.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleMoments {
    /// The mean of each component.
    pub mean: Vec<f64>,
    /// The unbiased estimate of the variance of one run, for each component.
    pub variance: Vec<f64>,
    /// The number of runs.
    pub runs: usize,
}

impl SampleMoments {
    /// The standard error of the mean of a component.
    pub fn standard_error(&self, component: usize) -> f64 {
        (self.variance[component] / self.runs as f64).sqrt()
    }
}

/// The result of a statistical test that passed.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticalReport {
    moments: SampleMoments,
    distances: Vec<f64>,
}

impl StatisticalReport {
    /// The sample moments of all tested elements, in the order of the exact values.
    pub fn moments(&self) -> &SampleMoments {
        &self.moments
    }

    /// The distance of each element from its exact value: in standard errors for means, relative to the exact value for
    /// variances.
    pub fn distances(&self) -> &[f64] {
        &self.distances
    }

    /// The largest of the distances.
    pub fn largest(&self) -> f64 {
        self.distances.iter().copied().fold(0.0, f64::max)
    }
}

impl fmt::Display for StatisticalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} elements over {} runs; largest distance {:.2}",
            self.distances.len(),
            self.moments.runs,
            self.largest()
        )
    }
}

impl StatisticalTest {
    /// 10 000 runs, seed 1, threshold 4.
    pub fn new() -> Self {
        StatisticalTest { runs: 10_000, seed: 1, threshold: 4.0 }
    }

    /// The number of runs, at least 2.
    pub fn runs(mut self, runs: usize) -> Self {
        self.runs = runs;
        self
    }

    /// The seed. Run `i` uses step `i` of it.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many standard errors an element that is tested alone may be off. With several elements, each of them may be
    /// slightly farther off.
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Tests the mean of the gradients of [`Graph::backward`]. `exact` holds the exact gradient with respect to each
    /// parameter to be tested, by name.
    ///
    /// # Errors
    /// [`CheckError::Mean`] if an element is too far off; [`CheckError::NotFinite`], [`CheckError::Runs`], and the
    /// errors of the model.
    pub fn check<M, S>(&self, model: M, exact: &[(S, Tensor<f64>)]) -> CheckResult<StatisticalReport>
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
        S: AsRef<str>,
    {
        let (names, expected) = flatten(exact);
        self.compare_means(self.sample_gradients(model, exact)?, &expected, |element| names[element].clone())
    }

    /// Tests the variance of the gradients of [`Graph::backward`] against exact variances, by name of the parameter.
    /// Choose the tolerance for the number of runs; the sample variance of a heavy-tailed estimator converges slowly.
    ///
    /// # Errors
    /// [`CheckError::Variance`] if an element is too far off; [`CheckError::NotFinite`], [`CheckError::Runs`], and the
    /// errors of the model.
    pub fn check_variance<M, S>(
        &self,
        model: M,
        exact: &[(S, Tensor<f64>)],
        relative_tolerance: f64,
    ) -> CheckResult<StatisticalReport>
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
        S: AsRef<str>,
    {
        let (names, expected) = flatten(exact);
        let moments = self.sample_gradients(model, exact)?;
        let mut distances = Vec::with_capacity(expected.len());
        for (element, (&found, &expected)) in moments.variance.iter().zip(&expected).enumerate() {
            let off = (found - expected).abs();
            // A variance that comes from rounding errors only counts as zero.
            let distance = if off <= ROUNDING * ROUNDING * moments.mean[element].powi(2).max(1.0) {
                0.0
            } else {
                off / expected.abs()
            };
            if distance.is_nan() || distance > relative_tolerance {
                let what = names[element].clone();
                return Err(CheckError::Variance {
                    what,
                    runs: self.runs,
                    expected,
                    found,
                    tolerance: relative_tolerance,
                });
            }
            distances.push(distance);
        }
        Ok(StatisticalReport { moments, distances })
    }

    /// Tests the mean of any random vector against its exact value. `run` maps the number of a run to a vector, and
    /// must derive its seed from that number.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_values(&self, run: impl FnMut(u64) -> Vec<f64>, exact: &[f64]) -> CheckResult<StatisticalReport> {
        self.compare_means(self.sample(run)?, exact, |element| format!("component {element}"))
    }

    /// The sample mean and variance of a random vector. `run` maps the number of a run to a vector.
    ///
    /// # Errors
    /// [`CheckError::NotFinite`], and [`CheckError::Runs`] if the vectors differ in length.
    pub fn sample(&self, mut run: impl FnMut(u64) -> Vec<f64>) -> CheckResult<SampleMoments> {
        self.accumulate(|step| Ok(run(step)), |element| format!("component {element}"))
    }

    fn accumulate(
        &self,
        mut run: impl FnMut(u64) -> CheckResult<Vec<f64>>,
        name: impl Fn(usize) -> String,
    ) -> CheckResult<SampleMoments> {
        if self.runs < 2 {
            return Err(CheckError::Setting { setting: "runs", expected: "at least 2", found: self.runs.to_string() });
        }
        let mut moments = RunningMoments::default();
        for step in 0..self.runs as u64 {
            let values = run(step)?;
            check_finite(|element| format!("{} in run {step}", name(element)), &values)?;
            moments.add(1.0, &values)?;
        }
        let correction = self.runs as f64 / (self.runs - 1) as f64;
        let variance = moments.variance().into_iter().map(|variance| variance * correction).collect();
        Ok(SampleMoments { mean: moments.mean().to_vec(), variance, runs: self.runs })
    }

    fn sample_gradients<M, S>(&self, model: M, exact: &[(S, Tensor<f64>)]) -> CheckResult<SampleMoments>
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
        S: AsRef<str>,
    {
        let mut workspace = Workspace::new();
        let (names, _) = flatten(exact);
        let run = |step: u64| {
            let graph = Graph::new(workspace.tape(), Seed::new(self.seed).step(step as usize));
            model(&graph)?;
            let gradients = graph.backward()?;
            let mut values = Vec::with_capacity(names.len());
            for (name, exact) in exact {
                let gradient = gradients.get(name.as_ref())?;
                if gradient.shape() != exact.shape() {
                    return Err(CheckError::Runs {
                        what: format!("the shape of \"{}\"", name.as_ref()),
                        expected: exact.shape().to_string(),
                        found: gradient.shape().to_string(),
                    });
                }
                values.extend_from_slice(gradient.as_slice());
            }
            Ok(values)
        };
        self.accumulate(run, |element| names[element].clone())
    }

    /// Holm's step-down test: it compares the k-th smallest of m p-values, counted from 0, with α / (m − k).
    fn compare_means(
        &self,
        moments: SampleMoments,
        exact: &[f64],
        name: impl Fn(usize) -> String,
    ) -> CheckResult<StatisticalReport> {
        if moments.mean.len() != exact.len() {
            return Err(CheckError::Runs {
                what: "the number of values".into(),
                expected: exact.len().to_string(),
                found: moments.mean.len().to_string(),
            });
        }
        check_finite(|element| format!("the exact value of {}", name(element)), exact)?;
        let distances: Vec<f64> = (0..exact.len())
            .map(|element| {
                let off = (moments.mean[element] - exact[element]).abs();
                if off <= ROUNDING * exact[element].abs().max(1.0) {
                    0.0
                } else {
                    off / moments.standard_error(element)
                }
            })
            .collect();
        let mut order: Vec<usize> = (0..exact.len()).collect();
        order.sort_by(|&i, &j| distances[j].total_cmp(&distances[i]));
        let level = two_sided(self.threshold);
        let tested = exact.len();
        let rejected = order
            .iter()
            .enumerate()
            .take_while(|&(rank, &i)| two_sided(distances[i]) < level / (tested - rank) as f64)
            .count();
        match order.first() {
            Some(&worst) if rejected > 0 => Err(CheckError::Mean {
                what: name(worst),
                runs: self.runs,
                expected: exact[worst],
                found: moments.mean[worst],
                standard_error: moments.standard_error(worst),
                distance: distances[worst],
                threshold: self.threshold,
                rejected,
                tested,
            }),
            _ => Ok(StatisticalReport { moments, distances }),
        }
    }
}

/// The probability that a standard normal sample is farther from 0 than this.
fn two_sided(distance: f64) -> f64 {
    libm::erfc(distance / std::f64::consts::SQRT_2)
}

/// The names and the values of all elements.
fn flatten<S: AsRef<str>>(exact: &[(S, Tensor<f64>)]) -> (Vec<String>, Vec<f64>) {
    let mut names = Vec::new();
    let mut values = Vec::new();
    for (name, tensor) in exact {
        for (element, &value) in tensor.as_slice().iter().enumerate() {
            names.push(format!("the gradient with respect to \"{}\", element {element}", name.as_ref()));
            values.push(value);
        }
    }
    (names, values)
}
