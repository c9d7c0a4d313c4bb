//! The log-variance loss (VarGrad): the variance of the log-ratio as an objective. Use it to fit an approximate
//! posterior with samples of any reference distribution.
//!
//! For a distribution $q_\theta$, an unnormalised target $p$ and $K \ge 2$ samples of *any* reference distribution $r$
//! with the same support, which does not depend on $\theta$,
//!
//! $$\mathcal L_r = \tfrac12 \operatorname{Var}_r\big[\ln q_\theta(x) - \ln p(x)\big]
//!     \approx \frac{1}{2 (K - 1)} \sum_{k=1}^K (\ell_k - \bar\ell)^2, \qquad \ell_k = \ln q_\theta(x_k) - \ln p(x_k), \quad x_k \sim r.$$
//!
//! It is zero if and only if $q_\theta$ is the normalised target, whatever $r$ is. With $r = q_\theta$, detached, its
//! gradient
//!
//! $$\frac{1}{K - 1} \sum_k (\ell_k - \bar\ell)\, \nabla_\theta \ln q_\theta(x_k)$$
//!
//! is that of the score function with leave-one-out for $\operatorname{KL}(q_\theta \,\|\, p)$. Richter, Boustati,
//! Nüsken, Ruiz and Akyildiz (2020).
//!
//! **Assumptions.** The samples must not carry a gradient. They come from a distribution with constant parameters
//! ([`detached`]), by any method that draws independent samples.
//!
//! | | |
//! |---|---|
//! | bias | none, as a gradient of $\mathcal L_r$ |
//! | order | any, as a derivative of $\mathcal L_r$ |
//! | cost evaluations | $K$ |
//! | requirement on the cost | the log-ratio, differentiable with respect to the parameters of $q$ |

use std::panic::Location;
use stochgrad_distributions::{DistributionResult, Family, Live};
use stochgrad_tape::{IdMap, Plate, TapeError, Var};
use stochgrad_tensor::Real;

/// The log-variance loss: half the sample variance of a log-ratio over the members of a plate. It is a joint cost of
/// all members.
///
/// ```
/// use stochgrad_distributions::{Bernoulli, Distribution};
/// use stochgrad_estimators::{ScoreFunction, detached, log_variance};
/// use stochgrad_graph::{Graph, GraphError, Seed};
/// use stochgrad_tape::Tape;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tape = Tape::<f64>::new();
/// let graph = Graph::new(&tape, Seed::new(7));
/// let q = Bernoulli::from_logits(graph.param("logits", [0.3, -1.0])?);
/// let target = Bernoulli::from_logits(graph.constant([1.0, 1.0]));
/// let samples = graph.plate("samples", 8)?;
/// let x = graph.sample("x", &detached(&q)?, &ScoreFunction::new().on_plate(samples))?;
/// graph.cost("log variance", log_variance(q.log_prob(x) - target.log_prob(x), samples))?;
/// graph.backward()?;
/// # Ok(())
/// # }
/// ```
///
/// Fewer than two members, or a value without the plate, are recorded as an error.
#[track_caller]
pub fn log_variance<'t, F: Real>(log_ratio: Var<'t, F>, samples: Plate) -> Var<'t, F> {
    let tape = log_ratio.tape();
    let members = tape.whole_plate_size(samples);
    if members < 2 || !log_ratio.plates().contains(&samples) {
        let message = format!(
            "log_variance: expected a log-ratio along a plate of at least 2 samples, got {} along plate \"{}\" of \
             size {members}; draw the samples with .samples(2) or more, or .on_plate(plate)",
            if log_ratio.plates().contains(&samples) { "one" } else { "one that does not lie" },
            tape.plate_name(samples)
        );
        return tape.fail(TapeError::Other { message, at: Location::caller() });
    }
    let deviation = log_ratio - log_ratio.sum_over(samples) * (1.0 / members as f64);
    deviation.square().sum_over(samples) * (0.5 / (members - 1) as f64)
}

/// The same distribution with detached parameters. Its samples carry no gradient.
///
/// # Errors
/// Those of the distribution.
pub fn detached<'t, F: Real, D: Live<'t, F>>(distribution: &D) -> DistributionResult<D> {
    let mut ids = IdMap::identity();
    for parameter in distribution.parameters() {
        ids.insert(parameter.var.id(), parameter.var.stop_gradient().id());
    }
    D::Family::store(distribution).bind(distribution.tape()?, &ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_function::ScoreFunction;
    use crate::score_function::baseline::LeaveOneOut;
    use approx::assert_abs_diff_eq;
    use stochgrad_check::Oracle;
    use stochgrad_distributions::{Bernoulli, Distribution, Normal, OneHotCategorical};
    use stochgrad_graph::{Graph, GraphResult, Seed};
    use stochgrad_tape::Tape;
    use stochgrad_tensor::Tensor;

    const TARGET: [f64; 3] = [1.0, -0.5, 0.2];

    fn gradient(model: &dyn Fn(&Graph<'_, f64>) -> GraphResult<()>) -> Vec<f64> {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(21));
        model(&graph).unwrap();
        let gradients = graph.backward().unwrap();
        gradients.iter().flat_map(|(_, gradient)| gradient.to_vec()).collect()
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-13 * expected.abs().max(1.0), "{found}, not {expected}");
        }
    }

    #[test]
    fn its_gradient_is_that_of_leave_one_out() {
        let bits = |graph: &Graph<'_, f64>, varied: bool| {
            let q = Bernoulli::from_logits(graph.param("logits", [0.3, -1.0, 2.0])?);
            let target = Bernoulli::from_logits(graph.constant(TARGET));
            let samples = graph.plate("samples", 5)?;
            let plain = ScoreFunction::new().on_plate(samples);
            if varied {
                let x = graph.sample("x", &detached(&q).expect("a distribution"), &plain)?;
                graph.cost("cost", log_variance(q.log_prob(x) - target.log_prob(x), samples))
            } else {
                let x = graph.sample("x", &q, &plain.baseline(LeaveOneOut))?;
                graph.cost("cost", q.log_prob(x).stop_gradient() - target.log_prob(x))
            }
        };
        assert_near(&gradient(&|graph| bits(graph, true)), &gradient(&|graph| bits(graph, false)));
        let normals = |graph: &Graph<'_, f64>, varied: bool| {
            let images = graph.data("images", [0.5, -1.0])?;
            let q = Normal::new(graph.param("location", 0.3)? * images, graph.param("scale", 0.8)?);
            let target = Normal::new(images, 1.3);
            let samples = graph.plate("samples", 4)?;
            let plain = ScoreFunction::new().on_plate(samples);
            if varied {
                let x = graph.sample("x", &detached(&q).expect("a distribution"), &plain)?;
                graph.cost("cost", log_variance(q.log_prob(x) - target.log_prob(x), samples))
            } else {
                let x = graph.sample("x", &q, &plain.baseline(LeaveOneOut))?;
                graph.cost("cost", q.log_prob(x).stop_gradient() - target.log_prob(x))
            }
        };
        assert_near(&gradient(&|graph| normals(graph, true)), &gradient(&|graph| normals(graph, false)));
    }

    /// The loss under a reference distribution of the given logits.
    fn under(graph: &Graph<'_, f64>, logits: [f64; 3], reference: [f64; 3]) -> GraphResult<()> {
        let q = OneHotCategorical::from_logits(graph.param("logits", logits)?);
        // The target need not be normalised.
        let target = graph.constant(TARGET) + 3.0;
        let samples = graph.plate("samples", 3)?;
        let x = graph.sample(
            "x",
            &OneHotCategorical::from_logits(graph.constant(reference)),
            &ScoreFunction::new().on_plate(samples),
        )?;
        graph.cost("cost", log_variance(q.log_prob(x) - (x * target).sum(), samples))
    }

    #[test]
    fn under_any_reference_it_is_the_variance_and_its_derivatives() {
        let reference = [0.2, 1.0, -0.7];
        let logits = [0.3, -1.0, 0.5];
        let model = |graph: &Graph<'_, f64>| under(graph, logits, reference);
        Oracle::new().verify(model, 0..=2, 1e-9).unwrap();
        let softmax = |x: [f64; 3]| {
            let sum: f64 = x.iter().map(|x| x.exp()).sum();
            x.map(|x| x.exp() / sum)
        };
        let (r, q) = (softmax(reference), softmax(logits));
        let ratio: [f64; 3] = std::array::from_fn(|i| q[i].ln() - TARGET[i]);
        let mean: f64 = (0..3).map(|i| r[i] * ratio[i]).sum();
        let cost: f64 = (0..3).map(|i| r[i] * (ratio[i] - mean).powi(2)).sum::<f64>() * 0.5;
        let moments = Oracle::new().gradient(model).unwrap();
        assert_abs_diff_eq!(moments.cost("cost").unwrap().0, cost, epsilon = 1e-12);
        for (j, found) in moments.mean("logits").unwrap().as_slice().iter().enumerate() {
            // Cov(ℓ, ∂ℓ/∂φⱼ), and the derivative of ln q is 1 less a constant.
            let expected = r[j] * (ratio[j] - mean);
            assert_abs_diff_eq!(*found, expected, epsilon = 1e-12);
        }
    }

    #[test]
    fn at_the_target_every_sample_has_the_gradient_zero() {
        for seed in 0..5 {
            let tape = Tape::<f64>::new();
            let graph = Graph::new(&tape, Seed::new(seed));
            under(&graph, TARGET.map(|x| x - 0.4), [0.0; 3]).unwrap();
            let gradients = graph.backward().unwrap();
            assert!(gradients.get("logits").unwrap().as_slice().iter().all(|g| g.abs() < 1e-14));
            assert!(gradients.total().abs() < 1e-14);
        }
    }

    #[test]
    fn a_single_sample_is_an_error() {
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let one = graph.plate("samples", 1).unwrap();
        let value = tape.constant_on(&[one], Tensor::from([1.0]));
        let error = graph.cost("cost", log_variance(value, one)).unwrap_err().to_string();
        assert!(error.contains("at least 2") && error.contains("\"samples\""), "{error}");
        let tape = Tape::<f64>::new();
        let graph = Graph::new(&tape, Seed::new(1));
        let two = graph.plate("samples", 2).unwrap();
        let error = graph.cost("cost", log_variance(tape.constant(1.0), two)).unwrap_err().to_string();
        assert!(error.contains("does not lie"), "{error}");
    }
}
