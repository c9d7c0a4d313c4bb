//! Group e: 100 000 single-sample gradient estimates at once, reduced to their mean and variance.

use std::sync::Arc;

use stochgrad::distributions::Id;
use stochgrad::graph::{DynMethod, GraphResult};
use stochgrad::nn::Parameters;
use stochgrad::prelude::*;
use stochgrad::tensor::Pool;
use stochgrad::tensor::map::{Map, map};
use stochgrad::tensor::reduce::{Reduce, reduce};

use crate::case::Case;
use crate::estimate::{Estimate, per_estimate};

/// The number of estimates along the plate.
const ESTIMATES: usize = 100_000;

/// The target of the bit.
const TARGET: f64 = 0.499;

/// The constant in the costs of the normal variable.
const K: f64 = 0.5;

/// The mean and the variance of the gradient estimates with respect to one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// The mean.
    pub mean: f32,
    /// The variance, with the number of estimates in the denominator.
    pub variance: f32,
}

/// A cost of a normal variable with location 1 and scale 1.
#[derive(Clone, Copy, Debug)]
pub enum NormalCost {
    /// $(x - k)^2$
    Square,
    /// $e^{-k x^2}$
    Exp,
    /// $\cos(k x)$
    Cos,
}

/// A distribution, a cost and a gradient method.
#[derive(Clone)]
pub enum Problem {
    /// $b \sim \mathrm{Bernoulli}(1/2)$, cost $(b - t)^2$, differentiated with respect to the logit.
    Bit(DynMethod<f32, Bernoulli<Id>>),
    /// $x \sim \mathcal{N}(1, 1)$, differentiated with respect to location and scale.
    Normal(NormalCost, DynMethod<f32, Normal<Id>>),
}

impl Problem {
    /// The names of the parameters and their values.
    pub fn parameters(&self) -> &'static [(&'static str, f32)] {
        match self {
            Problem::Bit(_) => &[("logit", 0.0)],
            Problem::Normal(..) => &[("location", 1.0), ("scale", 1.0)],
        }
    }

    /// Records one cost for each member of the parameters' plate.
    ///
    /// # Errors
    /// The errors of the graph.
    pub fn record<'t>(&self, record: &Record<'_, 't, f32>, parameters: &[Var<'t, f32>]) -> GraphResult<()> {
        let cost = match (self, parameters) {
            (Problem::Bit(method), &[logit, ..]) => {
                (record.sample("b", &Bernoulli::from_logits(logit), method)? - TARGET).square()
            }
            (Problem::Normal(cost, method), &[location, scale, ..]) => {
                let x = record.sample("x", &Normal::new(location, scale), method)?;
                match cost {
                    NormalCost::Square => (x - K).square(),
                    NormalCost::Exp => (x.square() * -K).exp(),
                    NormalCost::Cos => (x * K).cos(),
                }
            }
            _ => record.constant(0.0),
        };
        record.cost("cost", cost)
    }

    /// Estimates along a plate, each with a separate gradient.
    pub fn estimates(self, count: usize, threads: usize) -> Estimate {
        let mut parameters = Parameters::new();
        for &(name, value) in self.parameters() {
            parameters.insert(name, Tensor::full([count], value)).expect("different names");
        }
        let model = move |record: &Record<'_, '_, f32>| {
            let named = self.parameters().iter().map(|(name, _)| per_estimate(record, name, count));
            self.record(record, &named.collect::<GraphResult<Vec<_>>>()?)
        };
        Estimate::new(parameters, model, threads)
    }
}

/// The mean and variance of all elements of a gradient.
pub fn moments(pool: &Pool<f32>, gradient: &Tensor<f32>) -> Moments {
    let count = gradient.len() as f32;
    let axes: Vec<usize> = (0..gradient.rank()).collect();
    let mean_of = |x: &Tensor<f32>| {
        let sum = reduce(pool, Reduce::Sum, x, &axes, false);
        let mean = sum.as_slice()[0] / count;
        pool.recycle(sum);
        mean
    };
    let mean = mean_of(gradient);
    let deviations = map(pool, Map::AddScalar(-f64::from(mean)), gradient);
    let squares = map(pool, Map::Square, &deviations);
    let variance = mean_of(&squares);
    pool.recycle(deviations);
    pool.recycle(squares);
    Moments { mean, variance }
}

/// The problems with their names.
fn problems() -> Vec<(String, Problem)> {
    let mut problems = vec![
        ("bern score".to_owned(), Problem::Bit(Arc::new(ScoreFunction::new()))),
        ("bern loo K=2".to_owned(), Problem::Bit(Arc::new(ScoreFunction::new().samples(2).baseline(LeaveOneOut)))),
        ("bern disarm".to_owned(), Problem::Bit(Arc::new(DisArm::new()))),
        ("bern concrete".to_owned(), Problem::Bit(Arc::new(GumbelSoftmax::new(0.5)))),
    ];
    for (name, cost) in [("sq", NormalCost::Square), ("exp", NormalCost::Exp), ("cos", NormalCost::Cos)] {
        let methods: [(&str, DynMethod<f32, Normal<Id>>); 3] = [
            ("score", Arc::new(ScoreFunction::new())),
            ("pathwise", Arc::new(Pathwise::new())),
            ("measure-valued", Arc::new(MeasureValued::new())),
        ];
        for (method, implementation) in methods {
            problems.push((format!("normal {name} {method}"), Problem::Normal(cost, implementation)));
        }
    }
    problems
}

/// The cases of the group.
pub fn cases() -> Vec<Case> {
    let case = |(name, problem): (String, Problem)| {
        Case::new("e", name, move |threads| {
            let mut estimates = problem.clone().estimates(ESTIMATES, threads);
            let pool = Pool::with_threads(threads);
            Ok(Box::new(move || {
                for (_, gradient) in estimates.run()?.iter() {
                    std::hint::black_box(moments(&pool, gradient));
                }
                Ok(())
            }))
        })
    };
    problems().into_iter().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Samples, central_differences, uniform_mean};

    /// The expected cost of a normal variable.
    fn expected_cost(cost: NormalCost, [mean, scale]: [f64; 2]) -> f64 {
        let variance = scale * scale;
        match cost {
            NormalCost::Square => (mean - K).powi(2) + variance,
            NormalCost::Exp => {
                let spread = 1.0 + 2.0 * K * variance;
                (-K * mean * mean / spread).exp() / spread.sqrt()
            }
            NormalCost::Cos => (-0.5 * K * K * variance).exp() * (K * mean).cos(),
        }
    }

    fn exact(name: &str, problem: &Problem) -> Vec<f64> {
        match problem {
            Problem::Normal(cost, _) => central_differences([1.0, 1.0], |at| expected_cost(*cost, at)).to_vec(),
            Problem::Bit(_) if name == "bern concrete" => vec![uniform_mean(|u| {
                let z = 1.0 / (1.0 + ((1.0 - u) / u).powi(2));
                2.0 * (z - TARGET) * z * (1.0 - z) / 0.5
            })],
            Problem::Bit(_) => vec![0.25 * (1.0 - 2.0 * TARGET)],
        }
    }

    #[test]
    fn estimates_have_the_exact_means() {
        for (name, problem) in problems() {
            let exact = exact(&name, &problem);
            let parameters = problem.parameters();
            let mut estimates = problem.estimates(ESTIMATES, 1);
            let gradients = estimates.run().expect("gradients");
            for ((parameter, _), exact) in parameters.iter().zip(exact) {
                let gradient = gradients.get(parameter).expect("a gradient");
                assert_eq!(gradient.shape()[..], [ESTIMATES]);
                let mut samples = Samples::new(1);
                samples.add(gradient);
                samples.assert_means(&format!("{name} by {parameter}"), &[exact], 0.05);
            }
        }
    }

    #[test]
    fn moments_are_those_of_the_elements() {
        let pool = Pool::new();
        let found = moments(&pool, &Tensor::from([1.0_f32, 2.0, 3.0, 6.0]));
        assert_eq!(found, Moments { mean: 3.0, variance: 3.5 });
    }

    #[test]
    fn the_variance_of_pathwise_gradients_is_the_known_one() {
        // With respect to the location, 2 (x − k): variance 4. With respect to the scale, 2 (x − k) e: variance
        // 4 (1 − k)² + 8 = 9.
        let problem = Problem::Normal(NormalCost::Square, Arc::new(Pathwise::new()));
        let mut estimates = problem.estimates(ESTIMATES, 1);
        let gradients = estimates.run().expect("gradients");
        for (name, exact) in [("location", 4.0), ("scale", 9.0)] {
            let found = moments(&Pool::new(), gradients.get(name).expect("a gradient")).variance;
            assert!((found / exact - 1.0).abs() < 0.03, "{name}: {found}");
        }
    }
}
