//! The check of a gradient method or a distribution of your own.

mod agreement;
mod compiled;
mod report;

pub use report::{CheckReport, CheckRow, Verdict};

use std::panic::{AssertUnwindSafe, catch_unwind};

use stochgrad_check::models::{self, Draw};
use stochgrad_check::{Oracle, RandomModel, gradient_check};
use stochgrad_distributions::testing::DistributionCheck;
use stochgrad_graph::{Graph, GraphResult};
use stochgrad_tape::{Tape, Var};
use stochgrad_tensor::Tensor;

/// A function whose derivatives are checked.
type Function<'c> = dyn for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64> + 'c;

/// Checks a gradient method or a distribution of your own, with one call.
///
/// | part | what is compared |
/// |---|---|
/// | surrogate | the exact expectations of its derivatives with those of the expected cost, over all outcomes, up to the order that the method declares; of a method that declares a bias, the value of the cost |
/// | gradient | the mean of many gradients with the exact one, or, for draws that the oracle cannot enumerate, with the mean of as many score-function estimates |
/// | score | the mean derivative of the log-probability of the draws, which is 0 if they have the distribution |
/// | compiled | a compiled graph with new recordings, bit by bit |
///
/// This is done on the [standard graphs](stochgrad_check::models), which have chains, forks, skipped edges, plates, and
/// costs of several samples, and on [random ones](RandomModel). A graph that refuses the method is listed with the
/// reason. [`function`](Self::function) adds the derivatives of a function, such as your log-density, and
/// [`distribution`](Self::distribution) all checks of `stochgrad_distributions::testing`.
///
/// The nodes are recorded by a closure, from the graph, the name of the node and a scalar parameter, which may be any
/// number. It returns a scalar made of the sample.
///
/// ```
/// use stochgrad_distributions::Bernoulli;
/// use stochgrad_estimators::DisArm;
/// use stochgrad_lab::Check;
///
/// let report = Check::new("DisARM", |graph, name, parameter| {
///     graph.sample(name, &Bernoulli::from_logits(parameter), &DisArm::new())
/// })
/// .random_models(5)
/// .runs(500)
/// .run();
/// println!("{report}");
/// report.passed()?;
/// # Ok::<(), stochgrad_lab::LabError>(())
/// ```
pub struct Check<'c> {
    name: String,
    draw: Box<Draw<'c>>,
    random_models: u64,
    order: usize,
    runs: u64,
    oracle: Oracle,
    functions: Vec<(String, Box<Function<'c>>, Vec<Tensor<f64>>)>,
    distributions: Vec<(DistributionCheck, Vec<f64>)>,
}

impl<'c> Check<'c> {
    /// A check of the nodes that `draw` records: up to order 2, on the standard graphs and on 20 random ones, with 2000
    /// runs for each mean.
    pub fn new(
        name: impl Into<String>,
        draw: impl for<'t> Fn(&Graph<'t, f64>, &str, Var<'t, f64>) -> GraphResult<Var<'t, f64>> + 'c,
    ) -> Self {
        Check {
            name: name.into(),
            draw: Box::new(draw),
            random_models: 20,
            order: 2,
            runs: 2000,
            oracle: Oracle::new().max_outcomes(20_000),
            functions: Vec::new(),
            distributions: Vec::new(),
        }
    }

    /// The number of random models.
    pub fn random_models(self, models: u64) -> Self {
        Check { random_models: models, ..self }
    }

    /// The highest order of derivative that is compared, as far as the method declares it; at least 1.
    pub fn order(self, order: usize) -> Self {
        Check { order: order.max(1), ..self }
    }

    /// The number of runs of a mean, at least 2.
    pub fn runs(self, runs: u64) -> Self {
        Check { runs: runs.max(2), ..self }
    }

    /// The oracle, by default with at most 20 000 outcomes.
    pub fn oracle(self, oracle: Oracle) -> Self {
        Check { oracle, ..self }
    }

    /// Adds the first and second derivatives of a function at some inputs, which are compared with differences of its
    /// values: a log-density as a function of the parameter and the value, or an operation of your own.
    pub fn function(
        mut self,
        name: impl Into<String>,
        function: impl for<'t> Fn(&'t Tape<f64>, &[Var<'t, f64>]) -> Var<'t, f64> + 'c,
        inputs: impl IntoIterator<Item = Tensor<f64>>,
    ) -> Self {
        self.functions.push((name.into(), Box::new(function), inputs.into_iter().collect()));
        self
    }

    /// Adds everything that [`DistributionCheck::assert_distribution`] compares: density, moments, distribution
    /// function, draws, paths and weak derivatives of a distribution of single real numbers. `values` are points inside
    /// its support.
    pub fn distribution(mut self, distribution: DistributionCheck, values: &[f64]) -> Self {
        self.distributions.push((distribution, values.to_vec()));
        self
    }

    /// Makes all checks. The report has the failures; see [`CheckReport::passed`].
    pub fn run(self) -> CheckReport {
        let mut rows = Vec::new();
        for (name, model) in models::ALL {
            let record = |graph: &Graph<'_, f64>| model(graph, &*self.draw);
            let model = name.to_owned();
            self.add_model(&mut rows, model, &record, true);
        }
        for number in 0..self.random_models {
            let random = RandomModel::new(number);
            let record = |graph: &Graph<'_, f64>| random.record(graph, &*self.draw);
            let first = rows.len();
            self.add_model(&mut rows, format!("random model {number}"), &record, false);
            // A failure names the model, so that it can be recorded elsewhere.
            for row in rows[first..].iter_mut() {
                if let Verdict::Failed(problem) = &mut row.verdict {
                    *problem = format!("{problem}\n    in {random}");
                }
            }
        }
        for (name, function, inputs) in &self.functions {
            let verdict = match gradient_check(function, inputs) {
                Ok(found) => {
                    let worst = found.first_order.max(found.second_order);
                    Verdict::Agreed(format!("largest difference {worst:.1e}"))
                }
                Err(error) => Verdict::Failed(error.to_string()),
            };
            rows.push(CheckRow { part: "derivatives", subject: name.clone(), verdict });
        }
        for (distribution, values) in &self.distributions {
            // The checks of a distribution are assertions, which panic.
            let verdict = match catch_unwind(AssertUnwindSafe(|| distribution.assert_distribution(values, 7))) {
                Ok(()) => Verdict::Agreed("density, moments, distribution function, draws and derivatives".into()),
                Err(payload) => {
                    let text = payload.downcast_ref::<String>().map(String::as_str);
                    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
                    Verdict::Failed(text.unwrap_or("a check of the distribution panicked").to_owned())
                }
            };
            rows.push(CheckRow { part: "distribution", subject: self.name.clone(), verdict });
        }
        CheckReport { name: self.name, rows }
    }

    /// The rows of a model. Means and compiled graphs take longer, and are compared on the standard graphs; means also
    /// where the oracle has no answer.
    fn add_model<M>(&self, rows: &mut Vec<CheckRow>, subject: String, model: &M, is_standard: bool)
    where
        M: for<'t> Fn(&Graph<'t, f64>) -> GraphResult<()>,
    {
        let mut add = |part, verdict| rows.push(CheckRow { part, subject: subject.clone(), verdict });
        let guarantee = match agreement::guarantee(model) {
            Ok(guarantee) => guarantee,
            Err(error) => return add("surrogate", Verdict::Refused(error.to_string())),
        };
        let surrogate = agreement::surrogate(&self.oracle, model, guarantee, self.order);
        let is_unknown = matches!(surrogate, Verdict::Unknown(_));
        add("surrogate", surrogate);
        if is_standard || is_unknown {
            add("gradient", agreement::mean_gradient(&self.oracle, model, guarantee, self.runs));
            add("score", agreement::mean_score(&self.oracle, model, self.runs));
        }
        if is_standard && let Some(verdict) = compiled::compare(model) {
            add("compiled", verdict);
        }
    }
}

impl std::fmt::Debug for Check<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("random_models", &self.random_models)
            .field("order", &self.order)
            .field("runs", &self.runs)
            .field("oracle", &self.oracle)
            .finish_non_exhaustive()
    }
}
