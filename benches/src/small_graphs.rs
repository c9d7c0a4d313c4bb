//! Group c: gradient estimates of small graphs, one by one and 10 000 along a plate. Arithmetic takes almost none of
//! their time.

use std::sync::Arc;

use stochgrad::distributions::Id;
use stochgrad::graph::{DynMethod, GraphResult};
use stochgrad::nn::Parameters;
use stochgrad::prelude::*;

use crate::case::Case;
use crate::estimate::{Estimate, per_estimate};

/// The targets of the four bits.
const TARGETS: [f64; 4] = [0.49, 0.499, 0.501, 0.51];

/// The value of every parameter.
const PARAMETER: f64 = 0.1;

/// The number of estimates along the plate.
const ESTIMATES: usize = 10_000;

/// A gradient method for four bits.
type BitMethod = DynMethod<f32, Bernoulli<Id>>;

/// A small model of one vector of parameters.
#[derive(Clone)]
pub enum SmallGraph {
    /// $x \sim \mathrm{Bernoulli}(\sigma(\eta))$ in four dimensions, cost $\sum_i (x_i - p_i)^2$.
    FourBits(BitMethod),
    /// $z_1 \sim \mathrm{Bernoulli}(\sigma(t_1))$, $z_2 \sim \mathcal{N}(t_2 + z_1, 1)$, $z_3 \sim
    /// \mathrm{Bernoulli}(\sigma(t_3 z_2))$, cost $(z_3 - 0.499)^2 + 0.1 z_2^2 - z_1 z_3$: the bits use the score
    /// function, and $z_2$ its reparameterisation.
    Chain,
}

impl SmallGraph {
    /// The number of parameters.
    pub fn parameters(&self) -> usize {
        match self {
            SmallGraph::FourBits(_) => 4,
            SmallGraph::Chain => 3,
        }
    }

    /// Records the cost, given the parameters.
    ///
    /// # Errors
    /// The errors of the graph.
    pub fn record<'t>(&self, record: &Record<'_, 't, f32>, parameters: Var<'t, f32>) -> GraphResult<()> {
        let cost = match self {
            SmallGraph::FourBits(method) => {
                let bits = record.sample("x", &Bernoulli::from_logits(parameters), method)?;
                (bits - record.constant(TARGETS)).square().sum()
            }
            SmallGraph::Chain => {
                let [t1, t2, t3] = [0, 1, 2].map(|position| parameters.index(0, position));
                let z1 = record.sample("z1", &Bernoulli::from_logits(t1), &ScoreFunction::new())?;
                let z2 = record.sample("z2", &Normal::new(t2 + z1, 1.0), &Pathwise::new())?;
                let z3 = record.sample("z3", &Bernoulli::from_logits(t3 * z2), &ScoreFunction::new())?;
                (z3 - 0.499_f64).square() + z2.square() * 0.1 - z1 * z3
            }
        };
        record.cost("cost", cost)
    }

    /// Single estimates.
    pub fn one(self, threads: usize) -> Estimate {
        let parameters = parameters(Tensor::full([self.parameters()], PARAMETER as f32));
        let model = move |record: &Record<'_, '_, f32>| self.record(record, record.param("parameters")?);
        Estimate::new(parameters, model, threads)
    }

    /// Estimates along a plate, each with a separate gradient.
    pub fn many(self, estimates: usize, threads: usize) -> Estimate {
        let parameters = parameters(Tensor::full([estimates, self.parameters()], PARAMETER as f32));
        let model =
            move |record: &Record<'_, '_, f32>| self.record(record, per_estimate(record, "parameters", estimates)?);
        Estimate::new(parameters, model, threads)
    }
}

fn parameters(value: Tensor<f32>) -> Parameters<f32> {
    let mut parameters = Parameters::new();
    parameters.insert("parameters", value).expect("the first name");
    parameters
}

/// The models with their names.
fn models() -> Vec<(&'static str, SmallGraph)> {
    let bits = |method: BitMethod| SmallGraph::FourBits(method);
    vec![
        ("bern4 score K=1", bits(Arc::new(ScoreFunction::new()))),
        ("bern4 loo K=4", bits(Arc::new(ScoreFunction::new().samples(4).baseline(LeaveOneOut)))),
        ("bern4 concrete", bits(Arc::new(GumbelSoftmax::new(1.0)))),
        ("bern4 expect", bits(Arc::new(Enumerate::new()))),
        ("chain score+reparam", SmallGraph::Chain),
    ]
}

/// The cases of the group. Enumeration is left out along a plate, because it has no noise and its estimates are equal.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, model) in models() {
        let single = model.clone();
        cases.push(Case::new("c", name, move |threads| {
            let mut estimate = single.clone().one(threads);
            Ok(Box::new(move || Ok(estimate.run().map(drop)?)))
        }));
        if name != "bern4 expect" {
            let name = format!("{name} x{ESTIMATES} by vmap, whole call");
            cases.push(Case::new("c", name, move |threads| {
                let mut estimate = model.clone().many(ESTIMATES, threads);
                Ok(Box::new(move || Ok(estimate.run().map(drop)?)))
            }));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Samples, central_differences, normal_mean, uniform_mean};

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    fn model(name: &str) -> SmallGraph {
        models().into_iter().find(|(known, _)| *known == name).expect("a model").1
    }

    /// The derivative of the expected cost of the four bits with respect to the logits.
    fn bits_gradient() -> [f64; 4] {
        let p = sigmoid(PARAMETER);
        TARGETS.map(|target| p * (1.0 - p) * (1.0 - 2.0 * target))
    }

    /// The same derivative for relaxed bits at temperature 1.
    fn relaxed_gradient() -> [f64; 4] {
        TARGETS.map(|target| {
            uniform_mean(|u| {
                let z = sigmoid(PARAMETER + (u / (1.0 - u)).ln());
                2.0 * (z - target) * z * (1.0 - z)
            })
        })
    }

    fn chain_cost([t1, t2, t3]: [f64; 3]) -> f64 {
        let given = |z1: f64, z2: f64, z3: f64| (z3 - 0.499).powi(2) + 0.1 * z2 * z2 - z1 * z3;
        let after_z1 = |z1: f64| {
            normal_mean(|e| {
                let z2 = t2 + z1 + e;
                let p = sigmoid(t3 * z2);
                p * given(z1, z2, 1.0) + (1.0 - p) * given(z1, z2, 0.0)
            })
        };
        let p = sigmoid(t1);
        p * after_z1(1.0) + (1.0 - p) * after_z1(0.0)
    }

    fn check(name: &str, exact: &[f64]) {
        let mut samples = Samples::new(exact.len());
        let mut estimate = model(name).many(ESTIMATES, 1);
        for _ in 0..10 {
            let gradients = estimate.run().expect("gradients");
            let gradient = gradients.get("parameters").expect("a gradient");
            assert_eq!(gradient.shape()[..], [ESTIMATES, exact.len()]);
            samples.add(gradient);
        }
        samples.assert_means(name, exact, 5e-3);
    }

    #[test]
    fn many_estimates_have_the_exact_mean() {
        check("bern4 score K=1", &bits_gradient());
        check("bern4 loo K=4", &bits_gradient());
        check("bern4 concrete", &relaxed_gradient());
        check("chain score+reparam", &central_differences([PARAMETER; 3], chain_cost));
    }

    #[test]
    fn enumeration_gives_the_exact_gradient_and_cost() {
        let mut estimate = model("bern4 expect").one(1);
        let gradients = estimate.run().expect("gradients");
        let gradient = gradients.get("parameters").expect("a gradient");
        for (found, exact) in gradient.as_slice().iter().zip(bits_gradient()) {
            assert!((f64::from(*found) - exact).abs() < 1e-6, "{found}, not {exact}");
        }
        let p = sigmoid(PARAMETER);
        let cost: f64 = TARGETS.iter().map(|t| p * (1.0 - t).powi(2) + (1.0 - p) * t * t).sum();
        assert!((f64::from(gradients.total()) - cost).abs() < 1e-6);
    }

    #[test]
    fn every_model_is_compiled() {
        for (name, model) in models() {
            let mut estimate = model.one(1);
            estimate.run().expect("gradients");
            assert!(estimate.is_compiled(), "{name}");
        }
    }

    #[test]
    fn single_estimates_differ_from_step_to_step_and_have_the_exact_mean() {
        let mut samples = Samples::new(4);
        let mut estimate = model("bern4 loo K=4").one(1);
        for _ in 0..20_000 {
            samples.add(estimate.run().expect("gradients").get("parameters").expect("a gradient"));
        }
        samples.assert_means("bern4 loo K=4", &bits_gradient(), 1e-2);
    }
}
